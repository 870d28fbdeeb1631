//! Queries.

use crate::emulator::wire::refusal::Refusal;

/// Query of ListTasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTasks {
    /// Only of this group.
    pub group_id: Option<String>,
    /// Only in this state.
    pub status: Option<u8>,
    /// Only with this in the name, in any case.
    pub task_name: Option<String>,
    /// Page size.
    pub limit: usize,
    /// Records to skip.
    pub offset: usize,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Paging {
    /// Reads `limit` and `offset` of a decoded query.
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, Refusal> {
        Ok(Self {
            limit: usize::try_from(number(query, "limit", 1..=100, 10)?).unwrap_or(10),
            offset: usize::try_from(number(query, "offset", 0..=i64::from(i32::MAX), 0)?)
                .unwrap_or(usize::MAX),
        })
    }
}

/// Of a repeated parameter the first counts.
fn first<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn number(
    query: &[(String, String)],
    name: &str,
    range: std::ops::RangeInclusive<i64>,
    default: i64,
) -> Result<i64, Refusal> {
    match first(query, name) {
        None | Some("") => Ok(default),
        Some(text) => text
            .parse::<i64>()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| Refusal::parameter(name)),
    }
}

impl ListTasks {
    /// Reads the decoded query. Of a repeated parameter the first counts; unknown parameters are ignored.
    pub fn read(query: &[(String, String)]) -> Result<Self, Refusal> {
        let text = |name: &str, longest: usize| match first(query, name) {
            Some(text) if text.chars().count() > longest => Err(Refusal::parameter(name)),
            text => Ok(text.filter(|text| !text.is_empty()).map(str::to_owned)),
        };
        let Paging { limit, offset } = Paging::read(query)?;
        let status = number(query, "status", 1..=7, 0)?;
        Ok(Self {
            group_id: text("group_id", 100)?,
            status: u8::try_from(status).ok().filter(|status| *status > 0),
            task_name: text("task_name", 255)?,
            limit,
            offset,
        })
    }
}
