//! Reading an answer of 2xx: bytes in, the operation's answer or an error out. Nothing here can wait or panic.

use serde::de::DeserializeOwned;

use super::answer::{self, Refusal, Shape};
use super::error::Error;

/// An answer that is JSON and has to make sense; `check` names what does not.
pub(super) fn json<W: DeserializeOwned, T>(
    answer: &Refusal<'_>,
    check: impl FnOnce(W) -> Result<T, &'static str>,
) -> Result<T, Error> {
    let read = serde_json::from_slice::<W>(answer.body).map_err(|_| "an unexpected body");
    read.and_then(check).map_err(|what| match Shape::of(answer.body, answer.content_type) {
        Shape::Html => Error::from_answer(answer),
        Shape::Json(value) if answer::reports_error(&value) => Error::from_answer(answer),
        Shape::Empty => Error::unexpected(answer, "an empty body"),
        Shape::Json(_) | Shape::Text => Error::unexpected(answer, what),
    })
}

/// An answer that says nothing but yes. Its body is not documented; only a page of HTML or an error in it counts.
pub(super) fn nothing(answer: &Refusal<'_>) -> Result<(), Error> {
    match Shape::of(answer.body, answer.content_type) {
        Shape::Html => Err(Error::from_answer(answer)),
        Shape::Json(value) if answer::reports_error(&value) => Err(Error::from_answer(answer)),
        Shape::Empty | Shape::Json(_) | Shape::Text => Ok(()),
    }
}
