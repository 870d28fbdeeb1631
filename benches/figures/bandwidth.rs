//! How closely a bandwidth window is held.

use oms_operator::oms::{BandwidthWindow, Urgency};

use crate::emulator::{Emulator, config, create, http};
use crate::figure;

const MIB: u64 = 1024 * 1024;
/// Limit of the window, in bytes per second.
const LIMIT: u64 = 8 * MIB;
const OBJECTS: u64 = 24;
const OBJECT: u64 = 4 * MIB;

pub(crate) async fn measure() {
    let data = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(&config(Some(data.path().to_owned())), None).await;
    let (source, destination, http) = (emulator.store(0), emulator.store(1), http());
    source.make(&http, "source").await;
    destination.make(&http, "destination").await;
    for number in 0..OBJECTS {
        source.put(&http, "source", &format!("object-{number}"), 7, OBJECT as usize).await;
    }
    let client = emulator.client();
    let mut request = create(&source, "source", &destination, "destination");
    let window = |start: &str, end: &str| BandwidthWindow {
        start: start.to_owned(),
        end: end.to_owned(),
        max_bandwidth: LIMIT,
    };
    // Two that touch, so that the whole day is covered.
    request.bandwidth_policy = vec![window("00:00", "12:00"), window("12:00", "23:59")];
    let created = client.create_task(&request, Urgency::User).await.unwrap();
    let task = emulator.finished(&client, created.id).await;
    let seconds = task.total_time as f64 / 1e3;
    let speed = (OBJECTS * OBJECT) as f64 / seconds;
    figure(
        "emulator: speed in a bandwidth window (0.95 to 1.05)",
        &format!("{:.2} MiB/s", speed / MIB as f64),
        &format!("{} MiB/s", LIMIT / MIB),
        speed / LIMIT as f64,
    );
}
