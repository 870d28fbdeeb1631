//! What a synchronization task counts: sums per five minutes (OMS API reference 5.4.5), from which months and hours
//! are added up.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Milliseconds of the shortest interval.
const FIVE_MINUTES: i64 = 300_000;
/// Milliseconds of the longer one.
const ONE_HOUR: i64 = 3_600_000;
/// Spans up to this long are answered in five-minute intervals; the service's own rule is unknown.
const FINE_SPAN: i64 = 24 * ONE_HOUR;
/// Points per series (OMS API reference 5.4.5).
const MOST_POINTS: usize = 1000;
/// Five-minute sums that are kept: a little more than a year of them.
const MOST_SLOTS: usize = 110_000;

/// A series of the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Objects for which a request was received.
    Request,
    /// Objects that were copied.
    Success,
    /// Objects that could not be copied.
    Failure,
    /// Objects that were there already.
    Skip,
    /// Bytes of copied objects.
    Size,
}

impl Series {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 5] = [Self::Request, Self::Success, Self::Failure, Self::Skip, Self::Size];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Skip => "SKIP",
            Self::Size => "SIZE",
        }
    }

    /// The series with this name; case counts.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|series| series.as_str() == name)
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Copied, with so many bytes.
    Success(u64),
    /// It could not be copied.
    Failure,
    /// It was there already.
    Skip,
}

/// Sums over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Objects requested.
    pub request: u64,
    /// Objects copied.
    pub success: u64,
    /// Objects failed.
    pub failure: u64,
    /// Objects skipped.
    pub skip: u64,
    /// Bytes copied.
    pub size: u64,
}

impl Sums {
    /// One of them.
    pub fn of(&self, series: Series) -> u64 {
        match series {
            Series::Request => self.request,
            Series::Success => self.success,
            Series::Failure => self.failure,
            Series::Skip => self.skip,
            Series::Size => self.size,
        }
    }

    fn settle(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Success(bytes) => {
                self.success += 1;
                self.size += bytes;
            }
            Verdict::Failure => self.failure += 1,
            Verdict::Skip => self.skip += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.request += other.request;
        self.success += other.success;
        self.failure += other.failure;
        self.skip += other.skip;
        self.size += other.size;
    }
}

/// Length of the intervals of an answer, which the server chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Raw sums.
    FiveMinutes,
    /// Rolled up.
    OneHour,
}

impl Interval {
    /// The interval for a span of milliseconds since the epoch.
    pub fn of_span(start: i64, end: i64) -> Self {
        if end.saturating_sub(start) <= FINE_SPAN { Self::FiveMinutes } else { Self::OneHour }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "FIVE_MINUTES",
            Self::OneHour => "ONE_HOUR",
        }
    }

    fn milliseconds(self) -> i64 {
        match self {
            Self::FiveMinutes => FIVE_MINUTES,
            Self::OneHour => ONE_HOUR,
        }
    }

    /// The beginning of the interval that holds this moment.
    fn begin(self, at: i64) -> i64 {
        at.div_euclid(self.milliseconds()).saturating_mul(self.milliseconds())
    }
}

/// The counters of one synchronization task.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// By the beginning of the five minutes, in milliseconds since the epoch; those without anything are absent.
    slots: BTreeMap<i64, Sums>,
    /// Since the task was created.
    total: Sums,
}

impl Statistics {
    /// Counts objects for which a request was accepted.
    pub fn accept(&mut self, objects: u64, at: Timestamp) {
        self.slot(at).request += objects;
        self.total.request += objects;
    }

    /// Counts what became of an object.
    pub fn settle(&mut self, verdict: Verdict, at: Timestamp) {
        self.slot(at).settle(verdict);
        self.total.settle(verdict);
    }

    fn slot(&mut self, at: Timestamp) -> &mut Sums {
        while self.slots.len() >= MOST_SLOTS {
            self.slots.pop_first();
        }
        self.slots.entry(Interval::FiveMinutes.begin(at.as_millisecond())).or_default()
    }

    /// The beginning of the latest five minutes in which anything was counted.
    pub fn latest(&self) -> Option<Timestamp> {
        self.slots.last_key_value().and_then(|(at, _)| Timestamp::from_millisecond(*at).ok())
    }

    /// Everything since the task was created.
    pub fn total(&self) -> Sums {
        self.total
    }

    /// The calendar month that holds a moment, given in milliseconds since the epoch. The reference names no time
    /// zone; `zone` is the service's.
    pub fn month(&self, at: i64, zone: &TimeZone) -> Sums {
        let mut sums = Sums::default();
        if let Some((first, next)) = month(at, zone) {
            self.slots.range(first..next).for_each(|(_, slot)| sums.add(slot));
        }
        sums
    }

    /// The points of a series whose intervals begin in the span or hold its start: ascending, without those where
    /// nothing happened, and of too many only the latest.
    pub fn points(&self, series: Series, start: i64, end: i64) -> Vec<(i64, u64)> {
        let interval = Interval::of_span(start, end);
        let first = interval.begin(start);
        let mut points: Vec<(i64, u64)> = Vec::new();
        if first >= end {
            return points;
        }
        // The last hour may begin within the span and reach beyond it.
        let last = interval.begin(end - 1).saturating_add(interval.milliseconds());
        for (at, sums) in self.slots.range(first..last) {
            let (begin, number) = (interval.begin(*at), sums.of(series));
            match points.last_mut() {
                _ if number == 0 => {}
                Some((same, sum)) if *same == begin => *sum += number,
                _ => points.push((begin, number)),
            }
        }
        points.split_off(points.len().saturating_sub(MOST_POINTS))
    }
}

/// Beginning of the month and of the next one, in milliseconds; `None` for moments that no calendar reaches.
fn month(at: i64, zone: &TimeZone) -> Option<(i64, i64)> {
    let date: Date = Timestamp::from_millisecond(at).ok()?.to_zoned(zone.clone()).date();
    let begin = |date: Date| date.to_zoned(zone.clone()).ok().map(|begin| begin.timestamp().as_millisecond());
    let next = date.last_of_month().tomorrow().ok()?;
    Some((begin(date.first_of_month())?, begin(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ms(text: &str) -> i64 {
        at(text).as_millisecond()
    }

    #[test]
    fn a_month_begins_at_midnight_of_the_service() {
        let mut statistics = Statistics::default();
        statistics.accept(1, at("2026-02-28T15:59:59Z"));
        statistics.accept(2, at("2026-02-28T16:00:00Z"));
        statistics.settle(Verdict::Success(7), at("2026-03-31T15:59:00Z"));
        statistics.settle(Verdict::Failure, at("2026-03-31T16:00:00Z"));
        let february = statistics.month(ms("2026-02-10T00:00:00Z"), &zone());
        assert_eq!(february, Sums { request: 1, ..Sums::default() });
        let march = statistics.month(ms("2026-03-31T15:59:59Z"), &zone());
        assert_eq!(march, Sums { request: 2, success: 1, size: 7, ..Sums::default() });
        assert_eq!(statistics.month(ms("2026-04-01T00:00:00Z"), &zone()).failure, 1);
        for nowhere in [0, i64::MAX, i64::MIN] {
            assert_eq!(statistics.month(nowhere, &zone()), Sums::default());
        }
        assert_eq!(statistics.total().request, 3);
    }

    #[test]
    fn points_are_sparse_ascending_sums_at_the_begin_of_their_interval() {
        let mut statistics = Statistics::default();
        for (moment, objects) in [
            ("2026-03-01T00:01:00Z", 1),
            ("2026-03-01T00:04:59Z", 2),
            ("2026-03-01T00:15:00Z", 4),
            ("2026-03-01T01:00:00Z", 8),
        ] {
            statistics.accept(objects, at(moment));
        }
        let (start, day) = (ms("2026-03-01T00:00:00Z"), 24 * ONE_HOUR);
        let points = |start, end| statistics.points(Series::Request, start, end);
        let fine = [(start, 3), (start + 900_000, 4), (start + ONE_HOUR, 8)];
        assert_eq!(points(start, start + day), fine);
        assert_eq!(points(start, start + day + 1), [(start, 7), (start + ONE_HOUR, 8)]);
        // The end does not belong to the span; the interval that holds the start does.
        assert_eq!(points(start, start + ONE_HOUR), fine[..2]);
        assert_eq!(points(start + 299_999, start + 300_001), fine[..1]);
        assert_eq!(points(start + 300_000, start + 300_001), []);
        assert_eq!(points(start, start), []);
        assert_eq!(points(0, i64::MAX).len(), 2);
        assert_eq!(statistics.points(Series::Skip, start, start + day), []);
    }

    #[test]
    fn of_too_many_points_the_latest_are_shown() {
        let mut statistics = Statistics::default();
        let begin = ms("2026-01-01T00:00:00Z");
        for hour in 0..1010 {
            let moment = Timestamp::from_millisecond(begin + hour * ONE_HOUR).unwrap();
            statistics.settle(Verdict::Skip, moment);
        }
        let points = statistics.points(Series::Skip, begin, begin + 1010 * ONE_HOUR);
        assert_eq!((points.len(), points[0].0), (1000, begin + 10 * ONE_HOUR));
    }
}
