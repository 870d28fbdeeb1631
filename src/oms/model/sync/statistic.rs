//! How much a sync task copied, over time.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::super::check::{self, Checked};
use super::super::{Reply, lenient};

/// What to count (OMS API reference 5.4.5). OMS answers at most 1,000 points per series: up to a day comes in steps of five
/// minutes, longer spans by the hour, as it chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTaskStatisticQuery {
    /// The series, at least one.
    pub kinds: Vec<StatisticKind>,
    /// First moment.
    pub start_time: Timestamp,
    /// Last moment; later than the first.
    pub end_time: Timestamp,
}

/// What a series counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatisticKind {
    /// Objects that were asked for.
    Request,
    /// Objects copied.
    Success,
    /// Objects that failed.
    Failure,
    /// Objects skipped.
    Skip,
    /// Bytes of copied objects.
    Size,
    /// Anything else, as it came; cannot be asked for.
    Unknown(String),
}

/// How far the points of an answer lie apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatisticInterval {
    /// 300,000 ms.
    FiveMinutes,
    /// 3,600,000 ms.
    OneHour,
    /// Anything else, as it came; empty when there was nothing.
    Unknown(String),
}

/// Time series of a sync task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTaskStatistic {
    /// How far the points lie apart.
    pub interval: StatisticInterval,
    /// One series per kind that was asked for.
    pub series: Vec<StatisticSeries>,
}

/// One time series. Intervals in which nothing happened are left out; the newest point may still grow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StatisticSeries {
    /// What it counts.
    #[serde(rename = "data_type", deserialize_with = "kind")]
    pub kind: StatisticKind,
    /// Its points.
    #[serde(default, rename = "data", deserialize_with = "lenient::list")]
    pub points: Vec<StatisticPoint>,
}

/// The sum over one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct StatisticPoint {
    /// Unix milliseconds of the interval.
    #[serde(rename = "time_stamp", deserialize_with = "required_unsigned")]
    pub at: u64,
    /// Objects, or bytes in a series of sizes.
    #[serde(default, rename = "statistic_num", deserialize_with = "lenient::unsigned")]
    pub sum: u64,
}

impl StatisticKind {
    /// OMS's name of the series.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Request => "REQUEST",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Skip => "SKIP",
            Self::Size => "SIZE",
            Self::Unknown(other) => other,
        }
    }
}

impl SyncTaskStatisticQuery {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::count("data_type", self.kinds.len(), 1..=5)?;
        if self.kinds.iter().any(|kind| matches!(kind, StatisticKind::Unknown(_))) {
            return check::fault("data_type", "is none that OMS counts");
        }
        check::moment("start_time", self.start_time)?;
        if self.end_time <= self.start_time {
            return check::fault("end_time", "is not later than `start_time`");
        }
        Ok(())
    }

    /// The parameters.
    pub(in crate::oms) fn parameters(&self) -> Vec<(&'static str, String)> {
        let kinds: Vec<&str> = self.kinds.iter().map(StatisticKind::as_str).collect();
        vec![
            ("data_type", kinds.join(",")),
            ("start_time", self.start_time.as_millisecond().to_string()),
            ("end_time", self.end_time.as_millisecond().to_string()),
        ]
    }
}

impl Reply for SyncTaskStatistic {
    type Wire = StatisticWire;

    fn from_wire(wire: StatisticWire) -> Result<Self, &'static str> {
        let known = wire.statistic_time_type.is_some() || wire.statistic_datas.is_some();
        if !known && wire.sync_task_id.is_none() {
            return Err("statistics without any series");
        }
        let interval = match wire.statistic_time_type.unwrap_or_default() {
            name if name == "FIVE_MINUTES" => StatisticInterval::FiveMinutes,
            name if name == "ONE_HOUR" => StatisticInterval::OneHour,
            other => StatisticInterval::Unknown(other),
        };
        Ok(Self { interval, series: wire.statistic_datas.unwrap_or_default() })
    }
}

/// The answer as it comes.
#[derive(Deserialize)]
pub(in crate::oms) struct StatisticWire {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    sync_task_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    statistic_time_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_list")]
    statistic_datas: Option<Vec<StatisticSeries>>,
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatisticKind, D::Error> {
    Ok(match lenient::text(deserializer)?.as_str() {
        "REQUEST" => StatisticKind::Request,
        "SUCCESS" => StatisticKind::Success,
        "FAILURE" => StatisticKind::Failure,
        "SKIP" => StatisticKind::Skip,
        "SIZE" => StatisticKind::Size,
        other => StatisticKind::Unknown(other.to_owned()),
    })
}

fn required_unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    lenient::optional_unsigned(deserializer)?
        .ok_or_else(|| serde::de::Error::custom("a point has a time stamp"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<SyncTaskStatistic, &'static str> {
        serde_json::from_str(&value.to_string())
            .map_err(|_| "unreadable")
            .and_then(SyncTaskStatistic::from_wire)
    }

    #[test]
    fn series_are_read_with_what_is_unknown_kept() {
        let statistic = read(json!({
            "sync_task_id": "s", "statistic_time_type": "ONE_DAY", "statistic_datas": [
                {"data_type": "REQUEST", "data": [{"time_stamp": "1700150400000", "statistic_num": "20"}, {"statistic_num": 1}, 7]},
                {"data_type": "NEW", "data": null}, "no series"
            ]
        }))
        .unwrap();
        assert_eq!(statistic.interval, StatisticInterval::Unknown("ONE_DAY".into()));
        assert_eq!(
            statistic.series,
            [
                StatisticSeries {
                    kind: StatisticKind::Request,
                    points: vec![StatisticPoint { at: 1_700_150_400_000, sum: 20 }]
                },
                StatisticSeries { kind: StatisticKind::Unknown("NEW".into()), points: Vec::new() },
            ]
        );
        let empty = read(json!({"statistic_time_type": "FIVE_MINUTES", "statistic_datas": null})).unwrap();
        assert_eq!((empty.interval, empty.series.len()), (StatisticInterval::FiveMinutes, 0));
        assert_eq!(read(json!({})), Err("statistics without any series"));
        assert_eq!(read(json!("x")), Err("unreadable"));
    }

    #[test]
    fn a_question_names_series_and_a_span() {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        let query = SyncTaskStatisticQuery {
            kinds: vec![StatisticKind::Request, StatisticKind::Size],
            start_time: at(1_700_150_400_000),
            end_time: at(1_700_188_200_000),
        };
        assert_eq!(query.check(), Ok(()));
        let expected =
            [("data_type", "REQUEST,SIZE"), ("start_time", "1700150400000"), ("end_time", "1700188200000")];
        assert_eq!(query.parameters(), expected.map(|(name, value)| (name, value.to_owned())));
        let faulty = [
            (SyncTaskStatisticQuery { kinds: Vec::new(), ..query.clone() }, "data_type"),
            (
                SyncTaskStatisticQuery { kinds: vec![StatisticKind::Unknown("X".into())], ..query.clone() },
                "data_type",
            ),
            (SyncTaskStatisticQuery { end_time: at(1_700_150_400_000), ..query.clone() }, "end_time"),
            (SyncTaskStatisticQuery { start_time: at(-1), ..query }, "start_time"),
        ];
        for (query, field) in faulty {
            assert_eq!(query.check().unwrap_err().field, field);
        }
    }
}
