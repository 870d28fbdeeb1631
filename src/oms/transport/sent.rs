//! A request that is meant to change something, from its departure to what became of it. It is told of exactly once, also
//! when no answer came and when nobody waits for one any more.

use std::time::{Duration, Instant};

use super::{Call, Effect, Transport};
use crate::oms::error::{Delivery, Error};
use crate::oms::settings::MutationRecord;

/// Longest ID that is believed.
const LONGEST_ID: usize = 128;

/// A request under way.
pub(super) struct Sent<'a> {
    transport: &'a Transport,
    call: &'a Call<'a>,
    began: Instant,
    told: bool,
}

/// What an answer says besides its body.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) status: u16,
    pub(super) request_id: Option<&'a str>,
    pub(super) body: &'a [u8],
    pub(super) duration: Duration,
}

impl<'a> Sent<'a> {
    /// A request that leaves now; `None` for one that only looks, and where nobody wants to know.
    pub(super) fn departing(transport: &'a Transport, call: &'a Call<'a>) -> Option<Self> {
        let wanted = transport.on_mutation.is_some() && !matches!(call.effect, Effect::Look);
        wanted.then(|| Self { transport, call, began: Instant::now(), told: false })
    }

    /// No answer came. One that provably never left is not told of.
    pub(super) fn failed(mut self, error: &Error) {
        self.told = error.delivery() == Delivery::NotSent;
        self.tell("lostReply", None, None);
    }

    /// An answer came.
    pub(super) fn answered(mut self, heard: Heard<'_>, error: Option<&Error>) {
        let outcome = error.map_or("ok", |error| error.class().as_str());
        self.tell(outcome, Some(heard), error);
    }

    fn tell(&mut self, outcome: &'static str, heard: Option<Heard<'_>>, error: Option<&Error>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let Some(on_mutation) = &self.transport.on_mutation else { return };
        let made = match (&self.call.effect, heard) {
            (Effect::Make(member), Some(heard)) if error.is_none() => made(heard.body, member),
            _ => None,
        };
        let known = match &self.call.effect {
            Effect::Change(subject) => subject.as_deref(),
            Effect::Make(_) | Effect::Look => None,
        };
        let request_id = error.and_then(Error::request_id).or(heard.and_then(|heard| heard.request_id));
        on_mutation(&MutationRecord {
            operation: self.call.operation,
            method: self.call.method.as_str(),
            endpoint: self.transport.endpoint(),
            path: &self.call.path,
            subject: made.as_deref().or(known),
            request_id,
            status: heard.map(|heard| heard.status),
            outcome,
            code: error.and_then(Error::code),
            duration: heard.map_or_else(|| self.began.elapsed(), |heard| heard.duration),
        });
    }
}

impl Drop for Sent<'_> {
    /// The pass ran into its limit, or the process ends: the request may have arrived.
    fn drop(&mut self) {
        self.tell("abandoned", None, None);
    }
}

/// The ID of what was made: a text or a number.
fn made(body: &[u8], member: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = match answer.get(member)? {
        serde_json::Value::String(id) => id.clone(),
        serde_json::Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::made;

    #[test]
    fn the_id_of_what_was_made_is_a_text_or_a_number() {
        assert_eq!(made(br#"{"id":200477729979132,"task_name":"t"}"#, "id"), Some("200477729979132".into()));
        assert_eq!(made(br#"{"group_id":"a1-b2"}"#, "group_id"), Some("a1-b2".into()));
        for body in [&b"{}"[..], b"[]", b"<html>", b"{\"id\":null}", b"{\"id\":\"\"}", b"{\"id\":\"a b\"}"] {
            assert_eq!(made(body, "id"), None);
        }
    }
}
