//! Reads the members of a JSON object as leniently as the service: unknown members are ignored, `null` is absent;
//! but a member of the wrong type or size is refused by name.

use serde_json::{Map, Value};

use super::refusal::{NOT_JSON, Refusal};

/// A JSON object in a request, with the path to it for refusals.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

/// Parses a request body. An empty body counts as `{}` only where `optional` is set.
pub fn parse(body: &[u8], optional: bool) -> Result<Value, Refusal> {
    if optional && body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|_| NOT_JSON)
}

impl<'a> Members<'a> {
    /// The members of a request body.
    pub fn of(body: &'a Value) -> Result<Self, Refusal> {
        body.as_object().map(|map| Self { path: String::new(), map }).ok_or(NOT_JSON)
    }

    /// The refusal of member `name`.
    pub fn refuse(&self, name: &str) -> Refusal {
        Refusal::parameter(&format!("{}{name}", self.path))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the member is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text of at most `longest` characters.
    pub fn text(&self, name: &str, longest: usize) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= longest => Ok(Some(text)),
            Some(_) => Err(self.refuse(name)),
        }
    }

    /// A text that is there, not empty, and of at most `longest` characters.
    pub fn required_text(&self, name: &str, longest: usize) -> Result<&'a str, Refusal> {
        self.text(name, longest)?.filter(|text| !text.is_empty()).ok_or_else(|| self.refuse(name))
    }

    /// One of the given words.
    pub fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => words
                .iter()
                .copied()
                .find(|word| value.as_str() == Some(word))
                .map(Some)
                .ok_or_else(|| self.refuse(name)),
        }
    }

    /// A Boolean.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.refuse(name)),
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.refuse(name)),
        }
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&'a [Value]>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.refuse(name)),
        }
    }

    /// A list of texts, bounded in number and length.
    pub fn texts(&self, name: &str, most: usize, longest: usize) -> Result<Option<Vec<String>>, Refusal> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        if items.len() > most {
            return Err(self.refuse(name));
        }
        items
            .iter()
            .map(|item| item.as_str().filter(|text| text.chars().count() <= longest).map(str::to_owned))
            .collect::<Option<_>>()
            .map(Some)
            .ok_or_else(|| self.refuse(name))
    }

    /// An object.
    pub fn object(&self, name: &str) -> Result<Option<Members<'a>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Members { path: format!("{}{name}.", self.path), map })),
            Some(_) => Err(self.refuse(name)),
        }
    }

    /// An object that is there.
    pub fn required_object(&self, name: &str) -> Result<Members<'a>, Refusal> {
        self.object(name)?.ok_or_else(|| self.refuse(name))
    }
}
