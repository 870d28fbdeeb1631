//! Whether two buckets hold the same.

use std::collections::BTreeMap;

use crate::dev::bucket::Fingerprint;

/// Where OMS leaves its own lists of succeeded and failed objects in the destination bucket.
const OMS_FOLDER: &str = "oms/";

/// What differs, one line each.
pub(super) fn compare(
    source: &BTreeMap<String, Fingerprint>,
    destination: &BTreeMap<String, Fingerprint>,
    prefix: &str,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, wanted) in source {
        let Some(found) = destination.get(&format!("{prefix}{key}")) else {
            differences.push(format!("`{key}` is missing in the destination"));
            continue;
        };
        if found.sha256 != wanted.sha256 {
            let (sizes, hashes) = ((wanted.size, found.size), (&wanted.sha256[..12], &found.sha256[..12]));
            differences.push(format!("`{key}` has other contents: bytes {sizes:?}, SHA-256 {hashes:?}"));
        }
        if found.content_type != wanted.content_type {
            let types = (&wanted.content_type, &found.content_type);
            differences.push(format!("`{key}` has another Content-Type: {types:?}"));
        }
        if found.metadata != wanted.metadata {
            let both = (&wanted.metadata, &found.metadata);
            differences.push(format!("`{key}` has other metadata: {both:?}"));
        }
    }
    for key in destination.keys().filter(|key| !key.starts_with(OMS_FOLDER)) {
        if !key.strip_prefix(prefix).is_some_and(|key| source.contains_key(key)) {
            differences.push(format!("`{key}` is in the destination, but not in the source"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(contents: &str) -> Fingerprint {
        Fingerprint {
            size: contents.len() as u64,
            sha256: format!("{contents:0>64}"),
            content_type: "text/plain".to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    fn bucket(objects: &[(&str, Fingerprint)]) -> BTreeMap<String, Fingerprint> {
        objects.iter().map(|(key, object)| ((*key).to_owned(), object.clone())).collect()
    }

    #[test]
    fn equal_buckets_have_no_difference() {
        let source = bucket(&[("a", object("1")), ("b/", object(""))]);
        let destination = bucket(&[("in/a", object("1")), ("in/b/", object(""))]);
        assert_eq!(compare(&source, &destination, "in/"), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let source = bucket(&[
            ("contents", object("1")),
            ("metadata", object("2")),
            ("missing", object("3")),
            ("type", object("4")),
        ]);
        let mut other_metadata = object("2");
        other_metadata.metadata.insert("a".to_owned(), "b".to_owned());
        let mut other_type = object("4");
        other_type.content_type = "image/png".to_owned();
        let destination = bucket(&[
            ("contents", object("9")),
            ("extra", object("5")),
            ("oms/task/photos/success_object_lists/1.success_list.txt", object("6")),
            ("metadata", other_metadata),
            ("type", other_type),
        ]);
        let differences = compare(&source, &destination, "");
        assert_eq!(differences.len(), 5, "{differences:#?}");
        for (difference, key) in differences.iter().zip(["contents", "metadata", "missing", "type", "extra"])
        {
            assert!(difference.starts_with(&format!("`{key}`")), "{difference}");
        }
    }
}
