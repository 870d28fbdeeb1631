//! What is looked at before a request leaves: only what OMS would understand as something else than was meant. What it
//! would plainly refuse is left to OMS, as its limits move and differ between regions.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

/// The most prefixes or object names of a task (OMS API reference 5.3.3).
const MOST_KEYS: usize = 500;

/// The most bandwidth windows of a task (OMS API reference 5.3.7).
const MOST_WINDOWS: usize = 5;

/// A request that is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::oms) struct Fault {
    /// Member or parameter at fault, as OMS names it.
    pub(in crate::oms) field: &'static str,
    /// Completes "`field` ...".
    pub(in crate::oms) why: String,
}

pub(in crate::oms) type Checked = Result<(), Fault>;

/// A fault of a field.
pub(in crate::oms) fn fault(field: &'static str, why: impl Into<String>) -> Checked {
    Err(Fault { field, why: why.into() })
}

/// A text that must not be empty: OMS takes a default for many of them.
pub(in crate::oms) fn filled(field: &'static str, text: &str) -> Checked {
    if text.is_empty() { fault(field, "is empty") } else { Ok(()) }
}

/// Keys that must not be empty.
pub(in crate::oms) fn secrets_filled(secrets: &[(&'static str, Option<&SecretString>)]) -> Checked {
    secrets.iter().try_for_each(|(field, secret)| match secret {
        Some(secret) => filled(field, secret.expose_secret()),
        None => Ok(()),
    })
}

/// How many elements a list may have.
pub(in crate::oms) fn count(field: &'static str, got: usize, allowed: RangeInclusive<usize>) -> Checked {
    if allowed.contains(&got) {
        return Ok(());
    }
    let (least, most) = (allowed.start(), allowed.end());
    fault(field, format!("has {got} elements; {least} to {most} may be sent in one call"))
}

/// A moment that OMS can be told of: it counts from 1970.
pub(in crate::oms) fn moment(field: &'static str, at: Timestamp) -> Checked {
    if at.as_millisecond() < 0 { fault(field, "is before 1970") } else { Ok(()) }
}

/// A part of a path: an empty or dotted one would address something else.
pub(in crate::oms) fn segment(field: &'static str, text: &str) -> Checked {
    match text {
        "" => fault(field, "is empty"),
        "." | ".." => fault(field, "is no name that an address can carry"),
        _ => Ok(()),
    }
}

/// Bandwidth windows: none that would stop or release everything by mistake.
pub(super) fn windows(windows: &[super::BandwidthWindow]) -> Checked {
    count("bandwidth_policy", windows.len(), 0..=MOST_WINDOWS)?;
    if windows.iter().any(|window| window.max_bandwidth == 0) {
        return fault("max_bandwidth", "is 0, which OMS does not say the meaning of");
    }
    Ok(())
}

/// What a task or group is to copy: without exactly one of the two selections OMS might take the whole bucket.
pub(super) fn selection(
    kind: &str,
    cloud_type: &str,
    object_key: &[String],
    list_file: Option<&super::ListFile>,
) -> Checked {
    filled("task_type", kind)?;
    filled("cloud_type", cloud_type)?;
    let kind = kind.to_ascii_lowercase();
    let by_list = matches!(kind.as_str(), "list" | "url_list");
    if (kind == "url_list") != (cloud_type == "URLSource") {
        return fault("cloud_type", "is `URLSource` for URL lists, and only for them");
    }
    match list_file {
        Some(file) if by_list => {
            filled("list_file_key", &file.list_file_key)?;
            filled("obs_bucket", &file.obs_bucket)?;
        }
        Some(_) => return fault("list_file", "goes with lists and URL lists only"),
        None if by_list => return fault("list_file", "is missing"),
        None => {}
    }
    if by_list {
        return count("object_key", object_key.len(), 0..=0);
    }
    if object_key.is_empty() {
        return fault("object_key", "is empty; a whole bucket is one empty prefix");
    }
    count("object_key", object_key.len(), 1..=MOST_KEYS)
}

/// Where a task or group puts objects.
pub(super) fn destination(
    region: &str,
    bucket: &str,
    save_prefix: Option<&str>,
    ak: &SecretString,
    sk: &SecretString,
) -> Checked {
    filled("dst_node.region", region)?;
    filled("dst_node.bucket", bucket)?;
    secrets_filled(&[("dst_node.ak", Some(ak)), ("dst_node.sk", Some(sk))])?;
    if save_prefix.is_some_and(|prefix| prefix.starts_with('/')) {
        return fault("save_prefix", "starts with `/`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{BandwidthWindow, ListFile};
    use super::*;

    fn field(checked: Checked) -> &'static str {
        checked.map_or_else(|fault| fault.field, |()| "")
    }

    #[test]
    fn a_selection_is_prefixes_or_a_list_never_both_or_neither() {
        let list = ListFile { list_file_key: "a.txt".into(), obs_bucket: "lists".into() };
        let bare = ListFile { list_file_key: String::new(), obs_bucket: "lists".into() };
        let (none, whole): (&[String], &[String]) = (&[], &[String::new()]);
        let many = vec!["a".to_owned(); 501];
        assert_eq!(field(selection("prefix", "AWS", whole, None)), "");
        assert_eq!(field(selection("PREFIX", "AWS", whole, None)), "");
        assert_eq!(field(selection("list", "AWS", none, Some(&list))), "");
        assert_eq!(field(selection("url_list", "URLSource", none, Some(&list))), "");
        assert_eq!(field(selection("", "AWS", whole, None)), "task_type");
        assert_eq!(field(selection("object", "", whole, None)), "cloud_type");
        assert_eq!(field(selection("object", "URLSource", whole, None)), "cloud_type");
        assert_eq!(field(selection("url_list", "AWS", none, Some(&list))), "cloud_type");
        assert_eq!(field(selection("object", "AWS", none, None)), "object_key");
        assert_eq!(field(selection("object", "AWS", &many, None)), "object_key");
        assert_eq!(field(selection("list", "AWS", whole, Some(&list))), "object_key");
        assert_eq!(field(selection("prefix", "AWS", whole, Some(&list))), "list_file");
        assert_eq!(field(selection("LIST", "AWS", none, None)), "list_file");
        assert_eq!(field(selection("list", "AWS", none, Some(&bare))), "list_file_key");
    }

    #[test]
    fn an_empty_destination_or_a_prefix_with_a_slash_is_not_sent() {
        let (key, empty): (SecretString, SecretString) = ("k".into(), "".into());
        assert_eq!(field(destination("r", "b", Some("in/"), &key, &key)), "");
        assert_eq!(field(destination("", "b", None, &key, &key)), "dst_node.region");
        assert_eq!(field(destination("r", "", None, &key, &key)), "dst_node.bucket");
        assert_eq!(field(destination("r", "b", None, &empty, &key)), "dst_node.ak");
        assert_eq!(field(destination("r", "b", None, &key, &empty)), "dst_node.sk");
        assert_eq!(field(destination("r", "b", Some("/in"), &key, &key)), "save_prefix");
    }

    #[test]
    fn windows_are_few_and_let_something_through() {
        let window = BandwidthWindow { start: "00:00".into(), end: "23:59".into(), max_bandwidth: 1_048_576 };
        assert_eq!(field(windows(&[])), "");
        assert_eq!(field(windows(&vec![window.clone(); 5])), "");
        assert_eq!(field(windows(&vec![window.clone(); 6])), "bandwidth_policy");
        assert_eq!(field(windows(&[BandwidthWindow { max_bandwidth: 0, ..window }])), "max_bandwidth");
    }

    #[test]
    fn a_path_is_never_left() {
        for wrong in ["", ".", ".."] {
            assert_eq!(field(segment("group_id", wrong)), "group_id");
        }
        for right in ["a", "...", "a/b", "%2e"] {
            assert_eq!(segment("group_id", right), Ok(()));
        }
    }
}
