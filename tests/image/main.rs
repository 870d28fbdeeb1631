//! The images that `make image` made: what is in them, that they come out the same again, and that the programs in them
//! work with nothing else around.
//!
//! `make test-image` runs it. It wants root or user namespaces for a root file system of its own, and `qemu-aarch64`.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod archive;
mod contents;
mod reproducible;
mod root;
mod runs;
mod sbom;
mod tls;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oms_operator::dev::image::{Architecture, archive_name};

use crate::archive::Archive;

/// How long a condition may take to come true; generous, as a foreign processor is emulated.
const LIMIT: Duration = Duration::from_mins(3);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);

fn oms_dev() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oms-dev"))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds: `tmp` in it is what cargo tells tests of.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// Where `make image` puts what it makes.
fn folder() -> PathBuf {
    target().join("image")
}

/// The operator's image for an architecture.
fn image(architecture: Architecture) -> Archive {
    let path = folder().join(archive_name(architecture));
    assert!(path.exists(), "{} is missing; `make image` makes it", path.display());
    Archive::read(&path)
}

/// Looks until something holds and returns what it found; an error is what was seen instead.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}; seen: {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
