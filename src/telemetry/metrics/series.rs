//! What was counted and measured, kept until somebody asks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::catalogue::{Metric, Type};
use super::exposition::Family;

/// Upper bounds in seconds; from a cached reconcile to a call that ends at its deadline.
pub(super) const BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Values of the labels of a series, in the order of its description.
pub(super) type Labels = Vec<Cow<'static, str>>;

/// What a series says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// A whole number.
    Whole(u64),
    /// Any other.
    Real(f64),
    /// Times.
    Times(Times),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// Times that were observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Times {
    /// How many were at most as long as each bound, and longer than the one before.
    pub(super) within: [u64; BOUNDS.len()],
    /// How many there were.
    pub(super) count: u64,
    /// Their sum.
    pub(super) sum: Duration,
}

impl Times {
    fn observe(&mut self, time: Duration) {
        if let Some(index) = BOUNDS.iter().position(|bound| time.as_secs_f64() <= *bound) {
            self.within[index] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
    }
}

/// Values by metric and labels.
#[derive(Default)]
pub(super) struct Series(Mutex<BTreeMap<(Metric, Labels), Value>>);

impl Series {
    /// Starts a counter at 0 with every combination of its labels' values, so that the first increase of each is seen as one. A
    /// label that names something has no values to start with.
    pub(super) fn start(&self, metric: Metric) {
        if metric.description().kind != Type::Counter {
            return;
        }
        let mut combinations: Vec<Labels> = vec![Vec::new()];
        for label in metric.description().labels {
            let extended = |labels: &Labels| {
                let labels = labels.clone();
                label.values.iter().map(move |value| [labels.as_slice(), &[Cow::Borrowed(*value)]].concat())
            };
            combinations = combinations.iter().flat_map(extended).collect();
        }
        let mut series = self.lock();
        for labels in combinations {
            series.entry((metric, labels)).or_insert(Value::Whole(0));
        }
    }

    /// Adds to a counter.
    pub(super) fn add(&self, metric: Metric, labels: Labels, by: u64) {
        debug_assert_eq!(metric.description().kind, Type::Counter, "{metric:?}");
        let mut series = self.lock();
        if let Value::Whole(count) = series.entry((metric, labels)).or_insert(Value::Whole(0)) {
            *count = count.saturating_add(by);
        }
    }

    /// Sets a gauge.
    pub(super) fn set(&self, metric: Metric, labels: Labels, to: u64) {
        debug_assert!(matches!(metric.description().kind, Type::Gauge | Type::Info), "{metric:?}");
        self.lock().insert((metric, labels), Value::Whole(to));
    }

    /// Observes a time.
    pub(super) fn observe(&self, metric: Metric, labels: Labels, time: Duration) {
        debug_assert_eq!(metric.description().kind, Type::Histogram, "{metric:?}");
        let mut series = self.lock();
        if let Value::Times(times) =
            series.entry((metric, labels)).or_insert_with(|| Value::Times(Times::default()))
        {
            times.observe(time);
        }
    }

    /// Removes the series of a metric whose labels are of no use any more.
    pub(super) fn retain(&self, metric: Metric, keep: impl Fn(&Labels) -> bool) {
        self.lock().retain(|(of, labels), _| *of != metric || keep(labels));
    }

    /// Writes the series of a metric.
    pub(super) fn write(&self, metric: Metric, family: &mut Family<'_>) {
        for ((of, labels), value) in self.lock().range((metric, Vec::new())..) {
            if *of != metric {
                return;
            }
            let labels: Vec<_> = labels.iter().map(AsRef::as_ref).collect();
            family.series(&labels, *value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Metric, Labels), Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
