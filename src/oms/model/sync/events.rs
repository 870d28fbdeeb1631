//! Telling a sync task which objects changed.

use serde::Serialize;

use super::super::super::sign;
use super::super::check::{self, Checked};
use super::super::{Body, body};

/// The most keys of one call: the reference says 10 in its text and 100 in its table, and what happens to the eleventh is
/// not documented.
const MOST_KEYS: usize = 10;

/// The longest key once it is encoded (OMS API reference 5.4.1).
const LONGEST_ENCODED: usize = 16_384;

/// Objects that changed at the source (OMS API reference 5.4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSyncEvents {
    /// Their keys as they are in the bucket, 1 to 10. They are sent percent-encoded: every byte but the unreserved characters
    /// of RFC 3986, once, so that no reading of `+`, `%` and `/` can make another key of them.
    pub object_keys: Vec<String>,
}

impl CreateSyncEvents {
    /// What would make OMS do something else than was meant.
    pub(in crate::oms) fn check(&self) -> Checked {
        check::count("object_keys", self.object_keys.len(), 1..=MOST_KEYS)?;
        for key in &self.object_keys {
            check::filled("object_keys", key)?;
            if sign::encode(key).len() > LONGEST_ENCODED {
                return check::fault("object_keys", "has a key of more than 16,384 encoded characters");
            }
        }
        Ok(())
    }

    /// The request body.
    pub(in crate::oms) fn body(&self) -> Body {
        body(&EventsWire { object_keys: self.object_keys.iter().map(|key| sign::encode(key)).collect() })
    }
}

#[derive(Serialize)]
struct EventsWire {
    object_keys: Vec<String>,
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn sent(keys: &[&str]) -> Vec<String> {
        let events = CreateSyncEvents { object_keys: keys.iter().map(|key| (*key).to_owned()).collect() };
        let body: Value = serde_json::from_slice(&events.body()).unwrap();
        body["object_keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn keys_are_encoded_once_and_in_full() {
        assert_eq!(sent(&["test/001.txt", "test/002.txt"]), ["test%2F001.txt", "test%2F002.txt"]);
        assert_eq!(sent(&["test+001.txt"]), ["test%2B001.txt"]);
        assert_eq!(sent(&["test 001.txt"]), ["test%20001.txt"]);
        assert_eq!(sent(&["test%2F001.txt"]), ["test%252F001.txt"]);
        assert_eq!(sent(&["aZ09-._~"]), ["aZ09-._~"]);
        assert_eq!(sent(&["\u{4e2d}\u{1f600}"]), ["%E4%B8%AD%F0%9F%98%80"]);
        assert_eq!(sent(&["a'()*!&=?#"]), ["a%27%28%29%2A%21%26%3D%3F%23"]);
    }

    #[test]
    fn one_to_ten_keys_are_sent() {
        let check = |keys: usize| CreateSyncEvents { object_keys: vec!["k".into(); keys] }.check();
        assert_eq!((check(1), check(10)), (Ok(()), Ok(())));
        for wrong in [0, 11, 100] {
            let fault = check(wrong).unwrap_err();
            assert_eq!(fault.field, "object_keys");
            assert!(fault.why.contains(&format!("has {wrong} elements; 1 to 10")), "{}", fault.why);
        }
        let check = |key: String| CreateSyncEvents { object_keys: vec!["k".into(), key] }.check();
        assert_eq!(check(String::new()).unwrap_err().field, "object_keys");
        assert_eq!(check("\u{4e2d}".repeat(1_820)), Ok(()));
        assert_eq!(check("\u{4e2d}".repeat(1_821)).unwrap_err().field, "object_keys");
    }

    proptest! {
        #[test]
        fn every_key_comes_back_under_both_readings_of_plus(key: String) {
            let encoded = sent(&[&key]).remove(0);
            prop_assert!(!encoded.contains('+'));
            prop_assert_eq!(percent_decode_str(&encoded).decode_utf8().unwrap(), key.as_str());
            let form = encoded.replace('+', " ");
            prop_assert_eq!(percent_decode_str(&form).decode_utf8().unwrap(), key.as_str());
        }
    }
}
