//! From the JSON of an answer to what the caller gets.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CreatedTask, Task, TaskPage, lenient};

/// What an operation answers. Reading is as lenient as the live service demands: only what a caller cannot do without
/// must be there.
pub(in crate::oms) trait Reply: Sized {
    /// The JSON as it comes.
    type Wire: DeserializeOwned;

    /// The answer; the error names what makes no sense, in words that follow "did not answer as OMS does:".
    fn from_wire(wire: Self::Wire) -> Result<Self, &'static str>;
}

impl Reply for CreatedTask {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        // Lists of the reference show an ID of 0; what was created cannot have it.
        if wire.id.get() == 0 { Err("a task without an ID") } else { Ok(wire) }
    }
}

impl Reply for Task {
    type Wire = Self;

    fn from_wire(wire: Self) -> Result<Self, &'static str> {
        Ok(wire)
    }
}

impl Reply for TaskPage {
    type Wire = Page<Task>;

    fn from_wire(wire: Page<Task>) -> Result<Self, &'static str> {
        let (count, tasks) = wire.read().ok_or("a page without tasks")?;
        Ok(Self { count, tasks })
    }
}

/// The answer of a list call. Both members may be missing, but not together; a record without a readable ID makes the
/// whole page unreadable, because a search that overlooks one would create it twice.
#[derive(Deserialize)]
pub(in crate::oms) struct Page<T> {
    #[serde(alias = "taskgroups", bound(deserialize = "T: Deserialize<'de>"))]
    tasks: Option<Vec<T>>,
    #[serde(default, deserialize_with = "lenient::optional_unsigned")]
    count: Option<u64>,
}

impl<T> Page<T> {
    /// How many match over all pages, and the records of this one, if the answer makes sense.
    pub(super) fn read(self) -> Option<(u64, Vec<T>)> {
        match (self.tasks, self.count) {
            (Some(tasks), count) => Some((count.unwrap_or(tasks.len() as u64), tasks)),
            (None, Some(0)) => Some((0, Vec::new())),
            (None, _) => None,
        }
    }
}

/// Readable elements of an array; null is an empty one, everything else is none.
pub(super) fn elements<T: DeserializeOwned>(value: Value) -> Option<Vec<T>> {
    match value {
        Value::Array(values) => {
            Some(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
        }
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// A text without its own type: strings, and numbers as they are written.
#[derive(Deserialize)]
pub(super) struct Text(#[serde(deserialize_with = "lenient::text")] pub(super) String);

/// The texts of a bare array, without empty ones.
pub(super) fn texts(value: Value) -> Option<Vec<String>> {
    let texts = elements::<Text>(value)?;
    Some(texts.into_iter().map(|text| text.0).filter(|text| !text.is_empty()).collect())
}
