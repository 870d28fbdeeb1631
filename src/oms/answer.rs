//! Reading an answer that is not the expected one.

use std::time::Duration;

use serde_json::Value;

/// Longest text taken over from an answer, in characters.
const LONGEST: usize = 512;

/// Shorter strings are not looked for when secrets are taken out of a text: they would hit ordinary words.
const SHORTEST_SECRET: usize = 6;

/// What stands where a secret was.
const REDACTED: &str = "***";

/// An answer to make an error of.
pub(super) struct Refusal<'a> {
    pub(super) operation: &'static str,
    pub(super) host: &'a str,
    pub(super) status: u16,
    pub(super) content_type: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: &'a [u8],
    /// Strings that must not reach the error's texts.
    pub(super) secrets: &'a [&'a str],
}

/// What a body looks like, whatever its content type says.
pub(super) enum Shape {
    Empty,
    Json(Value),
    Html,
    Text,
}

impl Shape {
    pub(super) fn of(body: &[u8], content_type: Option<&str>) -> Self {
        let trimmed = body.trim_ascii();
        if trimmed.is_empty() {
            return Self::Empty;
        }
        if let Ok(value) = serde_json::from_slice(trimmed) {
            return Self::Json(value);
        }
        let declared = content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        if declared || trimmed.starts_with(b"<") { Self::Html } else { Self::Text }
    }
}

/// What an error body says, in any of the shapes that OMS, its gateway and IAM use.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) code: Option<String>,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Reported {
    /// Looks at the object itself, then one object deeper.
    pub(super) fn find(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        Self::at(value).or_else(|| object.values().find_map(Self::at))
    }

    fn at(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name: &str| match object.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let names = [("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")];
        names.into_iter().find_map(|(code, message)| {
            let (code, message) = (text(code), text(message));
            (code.is_some() || message.is_some()).then(|| Self {
                // IAM repeats the HTTP status as its code, which says nothing more.
                code: code.filter(|code| !code.bytes().all(|byte| byte.is_ascii_digit())),
                message: message.unwrap_or_default(),
                detail: text("error_detail"),
                request_id: text("request_id"),
            })
        })
    }
}

/// One line of bounded length: control characters and runs of white space become a space.
pub(super) fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST));
    let is_blank = |c: &char| c.is_control() || c.is_whitespace();
    for (index, word) in text.split(|c: char| is_blank(&c)).filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST * 4 {
            break;
        }
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    // The lines of a key file count as secrets of their own, as it may come back re-formatted.
    secrets
        .iter()
        .flat_map(|secret| std::iter::once(*secret).chain(secret.lines().map(str::trim)))
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
}

/// Whether a JSON body that came with 2xx is an error after all: it names an error code in so many words.
pub(super) fn reports_error(value: &Value) -> bool {
    let names = |value: &Value| {
        let codes = ["error_code", "errorCode"].into_iter().filter_map(|name| value.get(name)?.as_str());
        codes.into_iter().any(|code| !code.is_empty())
    };
    names(value) || value.as_object().is_some_and(|object| object.values().any(names))
}
