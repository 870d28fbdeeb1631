//! The chart's `resources` come from a measurement on the page of figures, and both stay together.

use std::fs;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

/// How far the memory limit has to be above what was measured: a burst, more objects, and what an allocator keeps.
const HEADROOM: f64 = 3.0;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The row of the page that has the measurement: its value column begins with megabytes and thousandths of a core.
const FIGURE: &str = "| released `oms-operator` with 1,000 migrations |";

/// Memory at most, in MB, and processor time, in thousandths of a core.
fn measured() -> (f64, f64) {
    let page = read("docs/benchmarks.md");
    let row = page.lines().find_map(|line| line.strip_prefix(FIGURE));
    let value = row.unwrap_or_else(|| panic!("docs/benchmarks.md has no row `{FIGURE}`"));
    let words: Vec<_> = value.split_whitespace().collect();
    let [memory, "MB", "and", processor, "m", ..] = words.as_slice() else { panic!("{value}") };
    (memory.parse().unwrap(), processor.parse().unwrap())
}

/// A quantity of the chart without its unit.
fn quantity(pointer: &str, unit: &str) -> f64 {
    let text = read("charts/oms-operator/values.yaml");
    let values = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).unwrap();
    let quantity = values.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    quantity.strip_suffix(unit).unwrap_or_else(|| panic!("{pointer} is {quantity}")).parse().unwrap()
}

#[test]
fn the_resources_of_the_chart_are_those_that_were_measured_and_room_above() {
    let (memory, processor) = measured();
    let mebibyte = 1024.0 * 1024.0 / 1e6;
    let limit = quantity("/resources/limits/memory", "Mi") * mebibyte;
    let request = quantity("/resources/requests/memory", "Mi") * mebibyte;
    assert!(limit >= HEADROOM * memory, "a limit of {limit:.0} MB for {memory} MB");
    assert!((1.0..=2.0).contains(&(request / memory)), "a request of {request:.0} MB for {memory} MB");
    let request = quantity("/resources/requests/cpu", "m");
    assert!(request >= processor, "a request of {request} m for {processor} m");
}
