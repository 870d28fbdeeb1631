//! The error of the development programs: a message for a person at a terminal.

use std::fmt::Display;

/// What went wrong, as one message that says what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Result of everything in this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Adds to a failure what was being attempted.
pub trait Context<T> {
    /// Turns the error into `"{doing}: {error}"`, its sources included.
    fn context(self, doing: impl Display) -> Result<T>;
}

impl<T, E: std::error::Error> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| {
            let mut message = format!("{doing}: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                let text = cause.to_string();
                // Many libraries repeat their source in their own message.
                if !message.contains(&text) {
                    message.push_str(": ");
                    message.push_str(&text);
                }
                source = cause.source();
            }
            Error(message)
        })
    }
}
