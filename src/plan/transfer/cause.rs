//! Which field of the spec a code of OMS is about, and what its owner can do: OMS names neither.

/// Where the keys of the source bucket are named.
pub(super) const SOURCE_KEYS: &str = "source.credentials.secretRef";
/// Where the keys of the destination bucket are named.
pub(super) const DESTINATION_KEYS: &str = "destination.credentials.secretRef";
/// Where the key of the CDN is named.
pub(super) const CDN_KEY: &str = "source.cdn.authenticationKey.secretRef";

/// Field and remedy behind an error code (OMS API reference, error codes) or a cause of a task's failure (task failure
/// causes); `None` when a code is about nothing in particular. The remedies do without a change of the spec, which is
/// frozen once a task was created.
pub(super) fn of(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "OMS.0081" | "S3M.0081" => {
            ("source.cdn", "Let the domain serve the objects of the bucket, with this key")
        }
        "OMS.1032" | "S3M.1032" => (CDN_KEY, "Put the key of the CDN into the Secret"),
        "OMS.0156" | "OMS.0157" | "OMS.0158" | "OMS.0159" | "OMS.0160" | "OMS.0161" | "OMS.0168"
        | "OMS.0169" | "S3M.0156" | "S3M.0157" | "S3M.0158" | "S3M.0159" | "S3M.0160" | "S3M.0161"
        | "S3M.0168" | "S3M.0169" => ("notification.topicUrn", "Create the topic, and let OMS publish to it"),
        "OMS.0209" | "OMS.0210" | "OMS.0211" | "OMS.0212" | "OMS.0213" | "OMS.0214" | "OMS.0215"
        | "OMS.0216" | "OMS.0217" => ("crypto.kmsKeyId", "Create the key in KMS, and let OMS use it"),
        "OMS.0079" => ("source.region", "Choose a source that OMS can read"),
        "OMS.0175" | "OMS.0180" | "OMS.0181" | "OMS.0185" | "OMS.0186" | "OMS.0187" | "OMS.0188"
        | "TRF.0013" | "TRF.0014" | "TRF.0016" | "TRF.0017" | "TRF.0018" | "TRF.0019" | "TRF.0026"
        | "TRF.0030" => ("source.listFile", "Correct the list file in its bucket"),
        "OMS.0189" | "TRF.0057" => (DESTINATION_KEYS, "Correct the keys in the Secret"),
        "OMS.1020" | "TRF.0058" => ("destination.bucket", "Create the bucket, and let the keys use it"),
        "S3M.0080" => ("destination.region", "Use the connection's region"),
        "TRF.0012" => ("source.objectKeys", "Put matching objects into the source bucket"),
        "TRF.0020" | "TRF.0051" => {
            (DESTINATION_KEYS, "Let the keys list, read and write the destination bucket")
        }
        "TRF.0024" | "TRF.0025" | "TRF.0027" | "TRF.0028" | "TRF.0029" | "TRF.0152" => {
            (SOURCE_KEYS, "Let the keys list and read the source bucket")
        }
        "TRF.0151" => (SOURCE_KEYS, "Correct the keys in the Secret"),
        "TRF.0155" => ("source.bucket", "Create the bucket, and let the keys use it"),
        _ => return None,
    })
}

/// Whether a task failed because of the keys of a bucket or what they may do (task failure causes).
pub fn is_of_keys(code: &str) -> bool {
    let number = code.strip_prefix("TRF.").and_then(|number| number.parse::<u16>().ok());
    matches!(number, Some(15 | 20 | 22 | 24..=31 | 51 | 52 | 54 | 57 | 151..=154 | 161))
}

/// The field of the spec that OMS means by a parameter of its request (`dst_node.save_prefix`).
pub(super) fn field_named(parameter: &str) -> String {
    let path: Vec<_> = parameter
        .split('.')
        .map(|part| match part {
            "src_node" => "source".to_owned(),
            "dst_node" => "destination".to_owned(),
            "task_type" => "type".to_owned(),
            "task_priority" => "priority".to_owned(),
            "object_key" => "objectKeys".to_owned(),
            "save_prefix" => "prefix".to_owned(),
            "object_overwrite_mode" => "overwriteMode".to_owned(),
            "dst_storage_policy" => "destination.storagePolicy".to_owned(),
            "ak" | "sk" => "credentials.secretRef".to_owned(),
            "source_cdn" => "source.cdn".to_owned(),
            "authentication_key" => "authenticationKey.secretRef".to_owned(),
            "smn_config" => "notification".to_owned(),
            "trigger_conditions" => "triggers".to_owned(),
            "message_template_name" => "template".to_owned(),
            "crypto_type" => format!("{}crypto.type", credentials_of(parameter)),
            "kms_key_id" => format!("{}crypto.kmsKeyId", credentials_of(parameter)),
            other => camel(other),
        })
        .collect();
    path.join(".")
}

/// Where `crypto` stands: a CDN has it beside its key, a bucket below its credentials.
fn credentials_of(parameter: &str) -> &'static str {
    if parameter.starts_with("source_cdn.") { "" } else { "credentials." }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        whole.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        whole.push_str(letters.as_str());
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_of_oms_is_told_as_the_field_that_people_write() {
        for (parameter, field) in [
            ("description", "description"),
            ("dst_node.region", "destination.region"),
            ("src_node.object_key", "source.objectKeys"),
            ("dst_node.save_prefix", "destination.prefix"),
            ("src_node.cloud_type", "source.cloudType"),
            ("dst_storage_policy", "destination.storagePolicy"),
            ("migrate_since", "migrateSince"),
            ("dst_node.ak", DESTINATION_KEYS),
            ("src_node.kms_key_id", "source.credentials.crypto.kmsKeyId"),
            ("source_cdn.kms_key_id", "source.cdn.crypto.kmsKeyId"),
            ("source_cdn.authentication_type", "source.cdn.authenticationType"),
            ("source_cdn.authentication_key", CDN_KEY),
            ("smn_config.topic_urn", "notification.topicUrn"),
            ("smn_config.trigger_conditions", "notification.triggers"),
        ] {
            assert_eq!(field_named(parameter), field);
        }
    }
}
