//! Reads the members of a JSON object as leniently as the service: unknown members are ignored, `null` is absent;
//! but a member of the wrong type or size is refused by name. The parameters of a query are read in the same way.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::refusal::{
    BODY_NOT_JSON, NOT_JSON, PARAMETER_CONSTRAINT, PARAMETER_MISSING, PARAMETER_TYPE, Refusal,
};
use crate::emulator::signature::decode_query;

/// Which codes a request with a bad member is refused with. The reference names none for any operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// OMS.0064 for whatever is wrong with a member, as the live service answers for migration tasks; OMS.0067 for
    /// what is not JSON.
    #[default]
    General,
    /// OMS.1004 for what is missing, OMS.1002 for a wrong type, OMS.1003 for a broken constraint, OMS.1006 for what is
    /// not JSON.
    Specific,
}

/// What is wrong with a member or parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not there.
    Missing,
    /// It has the wrong type.
    Type,
    /// It breaks a documented constraint.
    Constraint,
}

impl Codes {
    /// The refusal of a member or parameter.
    pub fn refuse(self, flaw: Flaw, name: &str) -> Refusal {
        let general = Refusal::parameter(name);
        match (self, flaw) {
            (Self::General, _) => general,
            (Self::Specific, Flaw::Missing) => PARAMETER_MISSING.with_detail_of(general),
            (Self::Specific, Flaw::Type) => PARAMETER_TYPE.with_detail_of(general),
            (Self::Specific, Flaw::Constraint) => PARAMETER_CONSTRAINT.with_detail_of(general),
        }
    }

    /// Parses a request body.
    pub fn parse(self, body: &[u8]) -> Result<Value, Refusal> {
        serde_json::from_slice(body).map_err(|_| self.not_json())
    }

    fn not_json(self) -> Refusal {
        match self {
            Self::General => NOT_JSON,
            Self::Specific => BODY_NOT_JSON,
        }
    }
}

/// A JSON object in a request, with the path to it for refusals.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    path: String,
    map: &'a Map<String, Value>,
    codes: Codes,
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
        Self::with_codes(body, Codes::General)
    }

    /// The members of the body of an operation that refuses with these codes.
    pub fn with_codes(body: &'a Value, codes: Codes) -> Result<Self, Refusal> {
        let map = body.as_object().ok_or_else(|| codes.not_json())?;
        Ok(Self { path: String::new(), map, codes })
    }

    /// The refusal of member `name`, whose value breaks a constraint.
    pub fn refuse(&self, name: &str) -> Refusal {
        self.refuse_for(Flaw::Constraint, name)
    }

    /// The refusal of member `name`.
    pub fn refuse_for(&self, flaw: Flaw, name: &str) -> Refusal {
        self.codes.refuse(flaw, &format!("{}{name}", self.path))
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
            Some(Value::String(_)) => Err(self.refuse(name)),
            Some(_) => Err(self.refuse_for(Flaw::Type, name)),
        }
    }

    /// A text that is there, not empty, and of at most `longest` characters.
    pub fn required_text(&self, name: &str, longest: usize) -> Result<&'a str, Refusal> {
        match self.text(name, longest)? {
            None => Err(self.refuse_for(Flaw::Missing, name)),
            Some("") => Err(self.refuse(name)),
            Some(text) => Ok(text),
        }
    }

    /// A text that is there, if only as an empty one, and of at most `longest` characters.
    pub fn present_text(&self, name: &str, longest: usize) -> Result<&'a str, Refusal> {
        self.text(name, longest)?.ok_or_else(|| self.refuse_for(Flaw::Missing, name))
    }

    /// One of the given words.
    pub fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                words.iter().copied().find(|word| text == word).map(Some).ok_or_else(|| self.refuse(name))
            }
            Some(_) => Err(self.refuse_for(Flaw::Type, name)),
        }
    }

    /// A Boolean.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.refuse_for(Flaw::Type, name)),
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.refuse_for(Flaw::Type, name)),
        }
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&'a [Value]>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.refuse_for(Flaw::Type, name)),
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
            .map(|item| match item.as_str() {
                None => Err(self.refuse_for(Flaw::Type, name)),
                Some(text) if text.chars().count() > longest => Err(self.refuse(name)),
                Some(text) => Ok(text.to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// An object.
    pub fn object(&self, name: &str) -> Result<Option<Members<'a>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                Ok(Some(Members { path: format!("{}{name}.", self.path), map, codes: self.codes }))
            }
            Some(_) => Err(self.refuse_for(Flaw::Type, name)),
        }
    }

    /// An object that is there.
    pub fn required_object(&self, name: &str) -> Result<Members<'a>, Refusal> {
        self.object(name)?.ok_or_else(|| self.refuse_for(Flaw::Missing, name))
    }
}

/// The parameters of a query. Of a repeated one the first counts; unknown ones are ignored.
#[derive(Clone, Debug)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
    codes: Codes,
}

impl Parameters {
    /// The parameters of a query, for an operation that refuses with these codes.
    pub fn of(query: &str, codes: Codes) -> Self {
        Self { pairs: decode_query(query), codes }
    }

    /// The refusal of a parameter.
    pub fn refuse(&self, flaw: Flaw, name: &str) -> Refusal {
        self.codes.refuse(flaw, name)
    }

    /// A parameter that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(key, _)| key == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| self.refuse(Flaw::Missing, name))
    }

    /// A whole number within a range.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.refuse(Flaw::Type, name));
        }
        // What does not fit into 64 bits is out of every range.
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.refuse(Flaw::Constraint, name))
    }

    /// A whole number that has to be there and is not negative.
    pub fn required_number(&self, name: &str) -> Result<i64, Refusal> {
        self.number(name, 0..=i64::MAX)?.ok_or_else(|| self.refuse(Flaw::Missing, name))
    }
}
