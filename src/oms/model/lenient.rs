//! Readers that take what a service sends instead of what it documents: numbers as strings, null, nothing, other types.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Text; anything without a plain textual form is empty.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(optional_text(deserializer)?.unwrap_or_default())
}

/// Text that is neither absent nor empty.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    })
}

/// Text that has to be there: an ID.
pub(super) fn required_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_text(deserializer)?.ok_or_else(|| serde::de::Error::custom("an ID is a text"))
}

/// A count or size; negative, absent or unreadable is 0.
pub(super) fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(optional_unsigned(deserializer)?.unwrap_or_default())
}

/// A count or size, if there is a readable one.
pub(super) fn optional_unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => Some(whole),
            None => number.as_f64().map(|float| float.max(0.0) as u64),
        },
        Value::String(text) => match text.trim().parse::<u64>() {
            Ok(whole) => Some(whole),
            Err(_) => finite(&text).map(|float| float.max(0.0) as u64),
        },
        _ => None,
    })
}

/// A whole number that may be negative, if there is a readable one.
pub(super) fn optional_signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// A share from 0 to 1; anything else is clamped, unreadable is 0.
pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => finite(&text),
        _ => None,
    };
    Ok(share.unwrap_or_default().clamp(0.0, 1.0))
}

/// A truth value, if there is a readable one.
pub(super) fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(flag(&Value::deserialize(deserializer)?))
}

/// A truth value as it may be spelt.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An object, or its default when it is absent, null or of another shape.
pub(super) fn object<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(optional_object(deserializer)?.unwrap_or_default())
}

/// An object, if there is one of the right shape.
pub(super) fn optional_object<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(if value.is_object() { T::deserialize(value).ok() } else { None })
}

/// The readable elements of a list; null or anything else is an empty one.
pub(super) fn list<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(optional_list(deserializer)?.unwrap_or_default())
}

/// The readable elements of a list, if it is one.
pub(super) fn optional_list<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(values) => {
            Some(values.into_iter().filter_map(|value| T::deserialize(value).ok()).collect())
        }
        _ => None,
    })
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|float| float.is_finite())
}
