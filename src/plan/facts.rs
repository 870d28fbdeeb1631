//! What a task is, field by field: to tell where a task that exists is not what a spec says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Destination, Difference, MigrationTaskSpec, Source, SyncTaskSpec, TaskGroupSpec};

/// Most differences that a status lists.
pub const MAX_DIFFERENCES: usize = 32;

/// Most characters of a value in a status.
const MAX_LENGTH: usize = 256;

/// Fields whose values some services write in other letters than they were sent.
const CASELESS: [&str; 7] = [
    "type",
    "source.cloudType",
    "source.region",
    "destination.region",
    "destination.storagePolicy",
    "overwriteMode",
    "consistencyCheck",
];

/// The value of a field of the spec, or what OMS has in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Field of the spec.
    pub field: &'static str,
    /// Its value as text; empty: none.
    pub value: String,
}

impl Fact {
    /// A fact.
    pub fn new(field: &'static str, value: impl Into<String>) -> Self {
        Self { field, value: value.into() }
    }

    /// A fact about a list whose order means nothing.
    pub fn of_list(field: &'static str, values: &[String]) -> Self {
        let mut values = values.to_vec();
        values.sort();
        values.dedup();
        Self::new(field, if values.is_empty() { String::new() } else { format!("{values:?}") })
    }
}

/// Where what was found is not what is wanted; what OMS does not tell, or the spec leaves open, is no difference.
pub fn differences(wanted: &[Fact], found: &[Fact]) -> Vec<Difference> {
    let differs = |wanted: &Fact| {
        let found = found.iter().find(|found| found.field == wanted.field)?;
        let same = if CASELESS.contains(&wanted.field) {
            wanted.value.eq_ignore_ascii_case(&found.value)
        } else {
            wanted.value == found.value
        };
        (!same).then(|| difference(wanted.field, &wanted.value, &found.value))
    };
    wanted.iter().filter_map(differs).take(MAX_DIFFERENCES).collect()
}

/// A difference, its values cut to what a status holds.
pub fn difference(field: &str, wanted: &str, found: &str) -> Difference {
    let cut = |text: &str| {
        let mut cut: String = text.chars().take(MAX_LENGTH).collect();
        if cut.len() < text.len() {
            cut.pop();
            cut.push('…');
        }
        cut
    };
    Difference { field: field.to_owned(), wanted: cut(wanted), found: cut(found) }
}

/// What the spec of a MigrationTask says of what OMS cannot change. What it leaves open is left out.
pub fn of_migration_task(spec: &MigrationTaskSpec) -> Vec<Fact> {
    let mut facts = of_buckets(spec.source.as_ref(), spec.destination.as_ref());
    if spec.source.is_none() {
        // An observer that says nothing of the buckets says nothing of the rest: what it has are defaults.
        return facts;
    }
    facts.extend(spec.description.as_ref().map(|text| Fact::new("description", text.clone())));
    facts.extend([
        Fact::new("type", spec.task_type.as_str()),
        Fact::new("overwriteMode", spec.overwrite_mode.as_str()),
        Fact::new("consistencyCheck", spec.consistency_check.as_str()),
        Fact::new("migrateSince", moment(spec.migrate_since.as_ref())),
        Fact::new("enableMetadataMigration", spec.enable_metadata_migration.to_string()),
        Fact::new("enableRestore", spec.enable_restore.to_string()),
        Fact::new("enableFailedObjectRecording", spec.enable_failed_object_recording.to_string()),
        Fact::new("enableRequesterPays", spec.enable_requester_pays.to_string()),
    ]);
    facts
}

/// The same of a TaskGroup.
pub fn of_task_group(spec: &TaskGroupSpec) -> Vec<Fact> {
    let mut facts = of_buckets(spec.source.as_ref(), spec.destination.as_ref());
    if spec.source.is_none() {
        return facts;
    }
    facts.extend(spec.description.as_ref().map(|text| Fact::new("description", text.clone())));
    facts.extend([
        Fact::new("type", spec.group_type.as_str().to_ascii_lowercase()),
        Fact::new("overwriteMode", spec.overwrite_mode.as_str()),
        Fact::new("consistencyCheck", spec.consistency_check.as_str()),
        Fact::new("migrateSince", moment(spec.migrate_since.as_ref())),
        Fact::new("enableMetadataMigration", spec.enable_metadata_migration.to_string()),
        Fact::new("enableRestore", spec.enable_restore.to_string()),
        Fact::new("enableFailedObjectRecording", spec.enable_failed_object_recording.to_string()),
        Fact::new("enableRequesterPays", spec.enable_requester_pays.to_string()),
    ]);
    facts
}

/// The same of a SyncTask.
pub fn of_sync_task(spec: &SyncTaskSpec) -> Vec<Fact> {
    let Some(source) = &spec.source else { return Vec::new() };
    let mut facts = vec![
        Fact::new("source.cloudType", source.cloud_type.as_str()),
        Fact::new("source.region", source.region.clone()),
        Fact::new("source.bucket", source.bucket.clone()),
        Fact::new("source.appId", source.app_id.clone().unwrap_or_default()),
        Fact::new("source.cdn", source.cdn.as_ref().map(|cdn| cdn.domain.clone()).unwrap_or_default()),
        Fact::new("consistencyCheck", spec.consistency_check.as_str()),
        Fact::new("enableMetadataMigration", spec.enable_metadata_migration.to_string()),
        Fact::new("enableRestore", spec.enable_restore.to_string()),
    ];
    facts.extend(spec.description.as_ref().map(|text| Fact::new("description", text.clone())));
    if let Some(destination) = &spec.destination {
        let region = destination.region.as_ref();
        facts.extend(region.map(|region| Fact::new("destination.region", region.clone())));
        facts.extend([
            Fact::new("destination.bucket", destination.bucket.clone()),
            Fact::new("destination.storagePolicy", destination.storage_policy.as_str()),
        ]);
    }
    facts
}

fn moment(at: Option<&Time>) -> String {
    at.map(|at| at.0.to_string()).unwrap_or_default()
}

fn of_buckets(source: Option<&Source>, destination: Option<&Destination>) -> Vec<Fact> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut facts = Vec::new();
    if let Some(source) = source {
        let file = source.list_file.as_ref().map(|file| format!("{}/{}", file.bucket, file.key));
        facts.extend([
            Fact::new("source.cloudType", source.cloud_type.as_str()),
            Fact::new("source.region", text(&source.region)),
            Fact::new("source.bucket", text(&source.bucket)),
            Fact::of_list("source.objectKeys", source.object_keys.as_deref().unwrap_or_default()),
            Fact::new("source.listFile", file.unwrap_or_default()),
            Fact::new("source.appId", text(&source.app_id)),
            Fact::new("source.cdn", source.cdn.as_ref().map(|cdn| cdn.domain.clone()).unwrap_or_default()),
        ]);
    }
    if let Some(destination) = destination {
        let region = destination.region.as_ref();
        facts.extend(region.map(|region| Fact::new("destination.region", region.clone())));
        facts.extend([
            Fact::new("destination.bucket", destination.bucket.clone()),
            Fact::new("destination.prefix", text(&destination.prefix)),
            Fact::new("destination.storagePolicy", destination.storage_policy.as_str()),
        ]);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_oms_does_not_tell_is_no_difference() {
        let wanted = [Fact::new("overwriteMode", "NO_OVERWRITE"), Fact::new("source.bucket", "photos")];
        assert_eq!(differences(&wanted, &[Fact::new("source.bucket", "photos")]), []);
        let found = differences(&wanted, &[Fact::new("source.bucket", "films")]);
        assert_eq!(found, [difference("source.bucket", "photos", "films")]);
    }

    #[test]
    fn the_order_of_keys_and_the_letters_of_a_cloud_are_no_difference() {
        let keys = |keys: [&str; 2]| Fact::of_list("source.objectKeys", &keys.map(str::to_owned));
        let wanted = [keys(["b", "a"]), Fact::new("source.cloudType", "HuaweiCloud")];
        let found = [keys(["a", "b"]), Fact::new("source.cloudType", "HUAWEICLOUD")];
        assert_eq!(differences(&wanted, &found), []);
        assert_eq!(differences(&wanted, &[keys(["a", "B"])]).len(), 1);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "ä".repeat(500);
        let told = difference("description", &long, "short");
        assert_eq!(told.wanted.chars().count(), MAX_LENGTH);
        assert!(told.wanted.ends_with('…'));
        assert_eq!(told.found, "short");
    }
}
