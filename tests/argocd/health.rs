//! The health of every status that the operator writes, as Argo CD itself works it out.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{cli, statuses};

/// As many at once as there are cores, for each of some four hundred takes a start of Argo CD.
#[test]
fn argo_cd_shows_for_every_status_what_the_table_of_statuses_says() {
    let fixtures = statuses::all();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wanted = (format!("{:?}", fixture.health), fixture.message.clone());
                    assert_eq!(
                        cli::health(&fixture.object),
                        wanted,
                        "{}: {:#}",
                        fixture.name,
                        fixture.object
                    );
                }
            });
        }
    });
}
