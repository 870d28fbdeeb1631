//! Requests of the group API (OMS API reference 5.5).

use secrecy::SecretString;
use serde_json::Value;

use super::{
    Definition, TaskKeys,
    definition::{Migration, Style},
    list::Paging,
    source::{Cdn, SourceCredentials, read_kms_keys, read_pair, read_secret},
};
use crate::emulator::{
    config::{Behaviour, Limits},
    mover::{Keys, TaskType},
    wire::{
        bandwidth::BandwidthWindow,
        members::Members,
        refusal::{GROUP_STATUS_VALUE, Refusal},
    },
};

/// Body of CreateTaskGroup.
#[derive(Clone, Debug)]
pub struct CreateGroup {
    /// What is fixed for good. Its list file is the folder with the lists.
    pub definition: Definition,
    /// Secrets.
    pub keys: TaskKeys,
    /// Bandwidth windows.
    pub bandwidth: Vec<BandwidthWindow>,
    /// KMS keys that the credentials are to be kept with.
    pub kms_keys: Vec<String>,
}

impl CreateGroup {
    /// Reads and checks a request.
    pub fn read(body: &Value, limits: &Limits, behaviour: &Behaviour) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let task_type = match members.word("task_type", &["PREFIX", "LIST", "URL_LIST"])? {
            None | Some("PREFIX") => TaskType::Prefix,
            Some("LIST") => TaskType::List,
            Some(_) => TaskType::UrlList,
        };
        let Migration { mut definition, keys, bandwidth, kms_keys } =
            Migration::read(&members, (limits, behaviour), Style::Group, task_type)?;
        if let Some(list) = definition.list_file.as_mut().filter(|list| !list.key.ends_with('/')) {
            list.key.push('/');
        }
        Ok(Self { definition, keys, bandwidth, kms_keys })
    }
}

/// Body of StartTaskGroup, and of RetryTaskGroup, which may come without keys.
#[derive(Clone, Debug)]
pub struct TakeUpGroup {
    source: SourceCredentials,
    destination: Option<Keys>,
    cdn: Option<SecretString>,
    /// Only the failed objects again.
    pub migrate_failed_object: bool,
    /// KMS keys that the credentials are to be kept with.
    pub kms_keys: Vec<String>,
}

impl TakeUpGroup {
    /// Reads the body of StartTaskGroup. There are no temporary keys.
    pub fn read_start(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        members.required_text("dst_ak", 100)?;
        members.required_text("dst_sk", 100)?;
        Self::read(&members, 1, false)
    }

    /// Reads the body of RetryTaskGroup.
    pub fn read_retry(body: &Value) -> Result<Self, Refusal> {
        let members = Members::of(body)?;
        let failed_only = members.flag("migrate_failed_object", false)?;
        Self::read(&members, 0, failed_only)
    }

    fn read(members: &Members<'_>, shortest: usize, migrate_failed_object: bool) -> Result<Self, Refusal> {
        Ok(Self {
            source: SourceCredentials::read(members, ("src_ak", "src_sk", None), shortest)?,
            destination: read_pair(members, ("dst_ak", "dst_sk", None), shortest)?,
            cdn: read_secret(members, "source_cdn_authentication_key")?,
            migrate_failed_object,
            kms_keys: read_kms_keys(members)?,
        })
    }

    /// The secrets for a group of this definition. What did not come is taken from `kept`, where there is something.
    pub fn keys_for(&self, definition: &Definition, kept: Option<&TaskKeys>) -> Result<TaskKeys, Refusal> {
        let source = match (self.source.keys(&definition.cloud_type), kept) {
            (Err(_), Some(kept)) => kept.source.clone(),
            (keys, _) => keys?,
        };
        let destination = self.destination.as_ref().or(kept.map(|kept| &kept.destination));
        let cdn = self.cdn.as_ref().or(kept.and_then(|kept| kept.cdn.as_ref()));
        Cdn::check_key(definition.cdn.as_ref(), cdn)?;
        Ok(TaskKeys {
            source,
            destination: destination.ok_or_else(|| Refusal::parameter("dst_ak"))?.clone(),
            cdn: cdn.cloned(),
        })
    }
}

/// Query of ListTaskGroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListGroups {
    /// Only in this state.
    pub status: Option<u8>,
    /// Page size.
    pub limit: usize,
    /// Records to skip.
    pub offset: usize,
}

impl ListGroups {
    /// Reads the decoded query.
    pub fn read(query: &[(String, String)]) -> Result<Self, Refusal> {
        let status = match query.iter().find(|(key, _)| key == "status").map(|(_, value)| value.as_str()) {
            None | Some("") => None,
            Some(text) => match text.parse() {
                Ok(status @ 0..=9) => Some(status),
                _ => return Err(GROUP_STATUS_VALUE),
            },
        };
        let Paging { limit, offset } = Paging::read(query)?;
        Ok(Self { status, limit, offset })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({
            "src_node": {
                "cloud_type": "HUAWEICLOUD", "region": "cn-north-4", "ak": "a", "sk": "s", "bucket": "b",
                "object_key": [""]
            },
            "dst_node": { "region": "cn-north-4", "cloud_type": "HEC", "ak": "a", "sk": "s", "bucket": "d" },
            "enable_kms": false
        })
    }

    fn read_with(pointer: &str, name: &str, value: Value) -> Result<CreateGroup, Refusal> {
        let mut body = body();
        body.pointer_mut(pointer).unwrap()[name] = value;
        CreateGroup::read(&body, &Limits::default(), &Behaviour::default())
    }

    #[test]
    fn a_group_is_read_with_the_documented_defaults_and_clouds_in_any_case() {
        let group = CreateGroup::read(&body(), &Limits::default(), &Behaviour::default()).unwrap();
        assert_eq!(group.definition.task_type, TaskType::Prefix);
        assert_eq!(group.definition.cloud_type, "HuaweiCloud");
        assert!(group.definition.enable_failed_object_recording);
        for (name, cloud) in [("HEC", "HuaweiCloud"), ("aws", "AWS"), ("KINGSOFTCLOUD", "KingsoftCloud")] {
            let group = read_with("/src_node", "cloud_type", json!(name)).unwrap();
            assert_eq!(group.definition.cloud_type, cloud);
        }
    }

    #[test]
    fn a_folder_of_lists_ends_with_a_slash() {
        let mut body = body();
        body["task_type"] = json!("LIST");
        body["src_node"]["object_key"] = json!([]);
        body["src_node"]["list_file"] = json!({ "obs_bucket": "l", "list_file_key": "lists" });
        let group = CreateGroup::read(&body, &Limits::default(), &Behaviour::default()).unwrap();
        assert_eq!(group.definition.list_file.unwrap().key, "lists/");
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_the_code_for_it() {
        for (pointer, name, value, code) in [
            ("", "task_type", json!("prefix"), "OMS.0064"),
            ("", "task_type", json!("OBJECT"), "OMS.0064"),
            ("", "task_type", json!("URL_LIST"), "S3M.0095"),
            ("", "task_type", json!("LIST"), "S3M.0088"),
            ("/src_node", "cloud_type", json!("Nimbus"), "OMS.0064"),
            ("/dst_node", "cloud_type", json!("AWS"), "OMS.0064"),
            ("/src_node", "crypto_type", json!("ROT13"), "OMS.0064"),
            ("/src_node", "ak", json!(""), "OMS.0057"),
            ("/dst_node", "save_prefix", json!("/x"), "S3M.0092"),
        ] {
            let refusal = read_with(pointer, name, value.clone()).unwrap_err();
            assert_eq!(refusal.code, code, "{pointer}/{name} = {value}");
        }
    }

    #[test]
    fn temporary_keys_do_not_exist_for_groups() {
        let group = read_with("/dst_node", "security_token", json!("token")).unwrap();
        assert!(group.keys.destination.security_token.is_none());
    }

    #[test]
    fn a_start_needs_keys_and_a_retry_can_use_those_that_are_kept() {
        let group = CreateGroup::read(&body(), &Limits::default(), &Behaviour::default()).unwrap();
        let kept = Some(&group.keys);
        let retry = TakeUpGroup::read_retry(&json!({ "migrate_failed_object": true })).unwrap();
        assert!(retry.migrate_failed_object);
        assert_eq!(retry.keys_for(&group.definition, kept).unwrap().destination.access_key, "a");
        assert_eq!(retry.keys_for(&group.definition, None).unwrap_err().code, "OMS.0057");
        assert_eq!(TakeUpGroup::read_start(&json!({})).unwrap_err(), Refusal::parameter("dst_ak"));
        let start = TakeUpGroup::read_start(&json!({ "dst_ak": "n", "dst_sk": "s" })).unwrap();
        assert_eq!(start.keys_for(&group.definition, None).unwrap_err().code, "OMS.0057");
    }

    #[test]
    fn a_list_query_refuses_states_that_groups_do_not_have() {
        let read = |key: &str, value: &str| ListGroups::read(&[(key.to_owned(), value.to_owned())]);
        assert_eq!(read("status", "0").unwrap(), ListGroups { status: Some(0), limit: 10, offset: 0 });
        assert_eq!(read("status", "10").unwrap_err().code, "S3M.1035");
        assert_eq!(read("status", "x").unwrap_err().code, "S3M.1035");
        assert_eq!(read("limit", "0").unwrap_err(), Refusal::parameter("limit"));
    }
}
