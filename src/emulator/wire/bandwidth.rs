//! Bandwidth windows (OMS API reference, BandwidthPolicyDto).

use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    members::Members,
    refusal::{BANDWIDTH_RANGE, INVALID_WINDOW, Refusal, TOO_MANY_WINDOWS, WINDOWS_OVERLAP},
};
use crate::emulator::{config::Limits, mover};

/// A time of day with a limit. The texts are kept and echoed as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BandwidthWindow {
    /// `hh:mm`.
    pub start: String,
    /// `hh:mm`, later than `start`.
    pub end: String,
    /// Bytes per second.
    pub max_bandwidth: i64,
}

impl BandwidthWindow {
    /// The window as the mover wants it. The last minute of the day, `23:59`, counts to its end, as there is no
    /// later one that could be written.
    pub fn for_mover(&self) -> mover::Window {
        let end = match minutes(&self.end) {
            Some(minute) if minute < 23 * 60 + 59 => time(minute),
            _ => Time::MAX,
        };
        mover::Window {
            start: minutes(&self.start).map_or(Time::MIN, time),
            end,
            max_bytes_per_second: u64::try_from(self.max_bandwidth).unwrap_or(0),
        }
    }
}

fn time(minute: i16) -> Time {
    Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).unwrap_or(Time::MAX)
}

/// Reads `bandwidth_policy` and checks it: number (OMS.0083), times (OMS.0087), range (OMS.0084), overlap (OMS.0085).
/// Windows may touch.
pub fn read(members: &Members<'_>, limits: &Limits) -> Result<Option<Vec<BandwidthWindow>>, Refusal> {
    let Some(items) = members.list("bandwidth_policy")? else { return Ok(None) };
    if items.len() > limits.bandwidth_windows {
        return Err(TOO_MANY_WINDOWS);
    }
    let windows = items
        .iter()
        .map(|item| read_window(item, limits).unwrap_or_else(|| Err(members.refuse("bandwidth_policy"))))
        .collect::<Result<Vec<_>, _>>()?;
    for (index, one) in windows.iter().enumerate() {
        if windows[..index].iter().any(|other| one.start < other.end && other.start < one.end) {
            return Err(WINDOWS_OVERLAP);
        }
    }
    Ok(Some(windows))
}

/// `None`: the item does not have the shape of a window.
fn read_window(item: &Value, limits: &Limits) -> Option<Result<BandwidthWindow, Refusal>> {
    let start = item.get("start")?.as_str()?;
    let end = item.get("end")?.as_str()?;
    let max_bandwidth = item.get("max_bandwidth")?.as_i64()?;
    Some(match (minutes(start), minutes(end)) {
        (Some(first), Some(last)) if first < last => {
            if (limits.min_bandwidth..=limits.max_bandwidth).contains(&max_bandwidth) {
                Ok(BandwidthWindow { start: start.to_owned(), end: end.to_owned(), max_bandwidth })
            } else {
                Err(BANDWIDTH_RANGE)
            }
        }
        _ => Err(INVALID_WINDOW),
    })
}

/// Minutes since midnight of `hh:mm`, zero-padded, 00:00 to 23:59. As all are of one length, they sort as texts too.
fn minutes(text: &str) -> Option<i16> {
    let bytes = text.as_bytes();
    let digit = |index: usize| {
        bytes.get(index).filter(|byte| byte.is_ascii_digit()).map(|byte| i16::from(byte - b'0'))
    };
    if bytes.len() != 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (digit(0)? * 10 + digit(1)?, digit(3)? * 10 + digit(4)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(policy: Value) -> String {
        let body = json!({ "bandwidth_policy": policy });
        let members = Members::of(&body).unwrap();
        match read(&members, &Limits::default()) {
            Ok(_) => "ok".to_owned(),
            Err(refusal) => refusal.code.into_owned(),
        }
    }

    fn window(start: &str, end: &str, max: i64) -> Value {
        json!({ "start": start, "end": end, "max_bandwidth": max })
    }

    #[test]
    fn windows_are_checked_with_the_code_for_each_mistake() {
        let mib = 1_048_576;
        for (policy, expected) in [
            (json!([]), "ok"),
            (json!([window("00:00", "08:00", mib), window("08:00", "23:59", 200 * mib)]), "ok"),
            (json!([window("00:00", "08:01", mib), window("08:00", "23:59", mib)]), "OMS.0085"),
            (json!([window("22:00", "06:00", mib)]), "OMS.0087"),
            (json!([window("06:00", "06:00", mib)]), "OMS.0087"),
            (json!([window("6:00", "07:00", mib)]), "OMS.0087"),
            (json!([window("06:00", "24:00", mib)]), "OMS.0087"),
            (json!([window("06:00", "07:00", mib - 1)]), "OMS.0084"),
            (json!([window("06:00", "07:00", 200 * mib + 1)]), "OMS.0084"),
            (json!([{ "start": "06:00" }]), "OMS.0064"),
            (Value::Array(vec![window("06:00", "07:00", mib); 6]), "OMS.0083"),
        ] {
            assert_eq!(code(policy.clone()), expected, "{policy}");
        }
    }
}
