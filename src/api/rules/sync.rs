//! What the API server checks of a SyncTask (OMS API reference 5.4.3) and of a SyncEvent (5.4.1).

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator};

use super::super::{SyncEventSpec, SyncEventStatus, SyncTaskSpec, TransferStatus};
use super::{
    CRC64_CLOUDS, Frozen, add, bucket_name, existing, forbidden, frozen, frozen_cdn, invalid, no_login,
    required, root, without_status,
};

const SYNC_TASK: Frozen = ("SyncTask", "sync task");

/// Fields of a SyncTask's spec that OMS cannot change: it has no operation for that. Credentials count at the next start.
const FROZEN: [&str; 13] = [
    "adopt",
    "connectionRef",
    "source.cloudType",
    "source.region",
    "source.bucket",
    "source.appId",
    "destination.region",
    "destination.bucket",
    "destination.storagePolicy",
    "consistencyCheck",
    "enableMetadataMigration",
    "enableRestore",
    "description",
];

/// Members of the common status that a sync task has no use for: it has no end, no progress and no name.
const NOT_IN_STATUS: [&str; 7] =
    ["taskName", "retries", "progress", "members", "finishedAt", "failedObjects", "notification"];

/// A SyncTask.
pub(in crate::api) fn sync_task(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = root::<SyncTaskSpec, TransferStatus>(
        generator,
        "SyncTask keeps copying the objects that its SyncEvents name, from a bucket into an OBS bucket.",
    );
    without_status(&mut schema, &NOT_IN_STATUS);
    add(&mut schema, FROZEN.map(|field| frozen(SYNC_TASK, field)));
    add(&mut schema, [frozen_cdn(SYNC_TASK)]);
    schema
}

/// The spec of a SyncTask.
pub(in crate::api) fn sync_task_spec(schema: &mut Schema) {
    add(schema, existing());
    add(
        schema,
        [
            forbidden(
                "consistencyCheck",
                format!(
                    "!has(self.source) || self.consistencyCheck != 'crc64' || self.source.cloudType in {CRC64_CLOUDS}"
                ),
                "Only HuaweiCloud, Aliyun and Tencent keep a CRC64: use size_last_modified for this cloud",
            ),
            forbidden(
                "consistencyCheck",
                "self.consistencyCheck != 'no_check'",
                "`no_check` is for URLs, which a sync task does not read: use size_last_modified",
            ),
            invalid(
                "description",
                r#"!has(self.description) || !self.description.matches('[<>&"\'()]')"#,
                "OMS refuses the characters < > & \" ' ( and ) in the description of a sync task: leave them out",
            ),
        ],
    );
}

/// The source of a SyncTask.
pub(in crate::api) fn sync_source(schema: &mut Schema) {
    add(
        schema,
        [
            invalid(
                "cloudType",
                "self.cloudType != 'Google'",
                "OMS has no sync tasks for Google: copy with a MigrationTask or a TaskGroup",
            ),
            invalid(
                "cloudType",
                "self.cloudType != 'URLSource'",
                "A sync task reads from a bucket: name its cloud, or copy URLs with a MigrationTask of `type: url_list`",
            ),
            required(
                "appId",
                "self.cloudType != 'Tencent' || has(self.appId)",
                "Tencent needs `appId`: the APPID of the account that owns the bucket",
            ),
            forbidden(
                "appId",
                "self.cloudType == 'Tencent' || !has(self.appId)",
                "Only Tencent has an `appId`: remove it",
            ),
            bucket_name(""),
            no_login(),
            permanent_keys_only(),
        ],
    );
}

/// The destination of a SyncTask.
pub(in crate::api) fn sync_destination(schema: &mut Schema) {
    add(schema, [bucket_name(""), no_login(), permanent_keys_only()]);
}

/// Of a cloud's keys OMS takes none but an access key and its secret for a sync task.
fn permanent_keys_only() -> Rule {
    let keys = "self.credentials.secretRef.keys";
    forbidden(
        "credentials",
        format!(
            "!has(self.credentials) || !has({keys}) || !(has({keys}.securityToken) || has({keys}.connectionString) || \
             has({keys}.jsonAuthFile))"
        ),
        "A sync task takes permanent access keys only, also of Azure: remove `securityToken`, `connectionString` and \
         `jsonAuthFile` from `keys`, and put an access key and its secret into the Secret",
    )
}

/// A SyncEvent.
pub(in crate::api) fn sync_event(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = root::<SyncEventSpec, SyncEventStatus>(
        generator,
        "SyncEvent tells a SyncTask which objects to copy, each at least once.",
    );
    add(
        &mut schema,
        [forbidden(
            "spec",
            "self.spec == oldSelf.spec",
            "A SyncEvent cannot be changed, as part of it may have been told to OMS: put it back, and create another \
             SyncEvent for other keys",
        )],
    );
    schema
}

/// The spec of a SyncEvent.
pub(in crate::api) fn sync_event_spec(schema: &mut Schema) {
    add(
        schema,
        [
            invalid(
                "objectKeys",
                "self.objectKeys.size() <= 1000",
                "A SyncEvent holds at most 1000 keys: split them over several SyncEvents, in any order",
            ),
            invalid(
                "objectKeys",
                "self.objectKeys.all(key, bytes(key).size() <= 1024)",
                "The name of an object has at most 1024 bytes in UTF-8: correct the entry",
            ),
        ],
    );
}
