//! What the API server checks beyond types and lengths: CEL rules with messages that say what to do.
//!
//! The rules follow the contract of OMS (OMS API reference 5.3.3, CreateTask), so that a manifest that OMS would
//! refuse is refused by `kubectl apply`. What spans objects or depends on the account is a condition instead.
//! Each function here is a schemars `transform` of the type that it is named after.

mod sync;
mod task_group;

use kube::core::{Reason, Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
pub(super) use sync::{
    sync_destination, sync_event, sync_event_spec, sync_source, sync_task, sync_task_spec,
};
pub(super) use task_group::task_group_spec;

/// A name of a Kubernetes object (RFC 1123 subdomain).
pub(super) const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A name of a namespace (RFC 1123 label).
pub(super) const NAMESPACE_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A key of a Secret or a ConfigMap.
pub(super) const DATA_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// `hh:mm` on the 24-hour clock.
pub(super) const TIME_OF_DAY: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

/// Fields of the spec of a MigrationTask and of a TaskGroup that OMS cannot change in what was created.
///
/// Everything else is live, waits until the task is not running (`priority`), or counts at the next start
/// (credentials).
const FROZEN: [&str; 22] = [
    "adopt",
    "connectionRef",
    "type",
    "source.cloudType",
    "source.region",
    "source.bucket",
    "source.objectKeys",
    "source.listFile",
    "source.appId",
    "destination.region",
    "destination.bucket",
    "destination.prefix",
    "destination.storagePolicy",
    "overwriteMode",
    "consistencyCheck",
    "migrateSince",
    "enableMetadataMigration",
    "enableRestore",
    "enableFailedObjectRecording",
    "enableRequesterPays",
    "notification",
    "description",
];

const CRC64_CLOUDS: &str = "['HuaweiCloud', 'Aliyun', 'Tencent']";

/// A rule about the field at `path`, which is where the error points.
fn rule(reason: Reason, path: &str, expression: impl Into<String>, message: impl AsRef<str>) -> Rule {
    Rule::new(expression).message(message.as_ref()).reason(reason).field_path(format!(".{path}"))
}

fn invalid(path: &str, expression: impl Into<String>, message: impl AsRef<str>) -> Rule {
    rule(Reason::FieldValueInvalid, path, expression, message)
}

fn required(path: &str, expression: impl Into<String>, message: impl AsRef<str>) -> Rule {
    rule(Reason::FieldValueRequired, path, expression, message)
}

fn forbidden(path: &str, expression: impl Into<String>, message: impl AsRef<str>) -> Rule {
    rule(Reason::FieldValueForbidden, path, expression, message)
}

fn add(schema: &mut Schema, rules: impl IntoIterator<Item = Rule>) {
    for rule in rules {
        kube::core::validate(schema, rule).expect("a rule is plain JSON");
    }
}

/// Whose task it is stays also while the operator only observes it; what the task should be may be written then, and
/// corrected where it was adopted: `status.differences` tells of what is wrong.
const ALWAYS_FROZEN: [&str; 2] = ["adopt", "connectionRef"];

/// One rule per frozen field, at the root: a rule on the field itself would not see it removed, and removing and
/// adding it again would change it. Frozen is from the intent to create until a refusal clears that intent; a further
/// run repeats the same spec, so with a former run it stays frozen.
fn frozen(kind: Frozen, field: &str) -> Rule {
    let (new, old) = (format!("self.spec.{field}"), format!("oldSelf.spec.{field}"));
    unchanged(kind, field, &format!("{new} == {old}"))
}

/// A field that may change only as far as `same` allows when both have it.
fn unchanged((kind, thing): Frozen, field: &str, same: &str) -> Rule {
    let (new, old) = (present("self.spec", field), present("oldSelf.spec", field));
    let (observed, adopted) = if ALWAYS_FROZEN.contains(&field) {
        ("", "")
    } else {
        (
            "oldSelf.spec.managementPolicy == 'Observe' || ",
            "(has(oldSelf.status.adopted) && oldSelf.status.adopted) || ",
        )
    };
    forbidden(
        &format!("spec.{field}"),
        format!(
            "{observed}!has(oldSelf.status) || {adopted}!(has(oldSelf.status.create) || has(oldSelf.status.taskId) || \
             has(oldSelf.status.history)) || (({new}) ? {old} && {same} : !({old}))"
        ),
        format!(
            "`{field}` is frozen, as OMS cannot change it in a {thing} that was created: put it back, \
             or create another {kind} and delete this one"
        ),
    )
}

/// Whether a field is there; what it is within may be absent.
fn present(root: &str, field: &str) -> String {
    let mut path = root.to_owned();
    let parts = field.split('.').map(|part| {
        path = format!("{path}.{part}");
        format!("has({path})")
    });
    parts.collect::<Vec<_>>().join(" && ")
}

/// A kind, and what it is at OMS.
pub(super) type Frozen = (&'static str, &'static str);

/// Adds the rules about frozen fields to the root of a MigrationTask or a TaskGroup.
pub(super) fn freeze(schema: &mut Schema, kind: Frozen) {
    add(schema, FROZEN.map(|field| frozen(kind, field)));
    add(schema, [frozen_cdn(kind)]);
}

/// The key of a CDN, and how OMS keeps it, are sent again at every start; the rest is frozen.
fn frozen_cdn(kind: Frozen) -> Rule {
    let same = ["domain", "protocol", "authenticationType"]
        .map(|member| format!("self.spec.source.cdn.{member} == oldSelf.spec.source.cdn.{member}"));
    unchanged(kind, "source.cdn", &same.join(" && "))
}

/// The root of a kind. `status` has a default: a tool that looks before the operator did sees that generation -1
/// was observed, and waits.
pub(super) fn root<Spec: JsonSchema, Status: JsonSchema>(
    generator: &mut SchemaGenerator,
    description: &str,
) -> Schema {
    let mut status = generator.subschema_for::<Status>();
    status.insert("default".into(), json!({ "observedGeneration": super::status::not_observed() }));
    json_schema!({
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": { "spec": generator.subschema_for::<Spec>(), "status": status },
    })
}

/// Removes members of the common status that the kind does not have.
pub(super) fn without_status(schema: &mut Schema, members: &[&str]) {
    if let Some(Value::Object(status)) = schema.pointer_mut("/properties/status/properties") {
        status.retain(|name, _| !members.contains(&name.as_str()));
    }
}

/// The spec of a MigrationTask.
pub(super) fn migration_task_spec(schema: &mut Schema) {
    add(
        schema,
        [
            required(
                "source.objectKeys",
                "!has(self.source) || self.type in ['list', 'url_list'] || has(self.source.objectKeys)",
                "Types `object` and `prefix` need `objectKeys`: name the objects or prefixes, \
             or write [\"\"] for the whole bucket",
            ),
            forbidden(
                "source.objectKeys",
                "!has(self.source) || !(self.type in ['list', 'url_list']) || !has(self.source.objectKeys)",
                "Types `list` and `url_list` take the names from `listFile`: remove `objectKeys`, \
             or choose type `object` or `prefix`",
            ),
            required(
                "source.listFile",
                "!has(self.source) || !(self.type in ['list', 'url_list']) || has(self.source.listFile)",
                "Types `list` and `url_list` need `listFile`: the bucket and key of a text file in the region of \
             the destination",
            ),
            forbidden(
                "source.listFile",
                "!has(self.source) || self.type in ['list', 'url_list'] || !has(self.source.listFile)",
                "Types `object` and `prefix` take the names from `objectKeys`: remove `listFile`, \
             or choose type `list` or `url_list`",
            ),
        ],
    );
    add(schema, existing());
    add(schema, copying());
}

/// What goes for every kind about a task that exists.
fn existing() -> [Rule; 3] {
    [
        required(
            "adopt",
            "self.managementPolicy != 'Observe' || has(self.adopt)",
            "`managementPolicy: Observe` looks at a task that exists: name it in `adopt`, or choose `Manage`",
        ),
        required(
            "source",
            "self.managementPolicy == 'Observe' || has(self.source)",
            "Without `managementPolicy: Observe` the operator has to know where the objects come from: add `source`",
        ),
        required(
            "destination",
            "self.managementPolicy == 'Observe' || has(self.destination)",
            "Without `managementPolicy: Observe` the operator has to know where the objects go: add `destination`",
        ),
    ]
}

/// What MigrationTask and TaskGroup have in common.
fn copying() -> Vec<Rule> {
    vec![
        invalid(
            "source.cloudType",
            "!has(self.source) || self.type != 'url_list' || self.source.cloudType == 'URLSource'",
            "Type `url_list` copies from URLs: write `cloudType: URLSource`",
        ),
        invalid(
            "source.cloudType",
            "!has(self.source) || self.type == 'url_list' || self.source.cloudType != 'URLSource'",
            "`URLSource` has no bucket: name the cloud of the bucket, or choose `type: url_list`",
        ),
        invalid(
            "source.objectKeys",
            "!has(self.source) || !has(self.source.objectKeys) || !has(self.destination) || \
             !has(self.destination.prefix) || self.source.objectKeys.all(key, \
             bytes(self.destination.prefix + key).size() <= 1024)",
            "`destination.prefix` and each of `objectKeys` together have at most 1024 bytes in UTF-8, \
             as that is the longest name of an object: shorten one of them",
        ),
        forbidden(
            "overwriteMode",
            format!(
                "!has(self.source) || self.overwriteMode != 'CRC64_COMPARISON_OVERWRITE' || self.source.cloudType in {CRC64_CLOUDS}"
            ),
            "Only HuaweiCloud, Aliyun and Tencent keep a CRC64: use SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE \
             or NO_OVERWRITE for this cloud",
        ),
        forbidden(
            "consistencyCheck",
            format!(
                "!has(self.source) || self.consistencyCheck != 'crc64' || self.source.cloudType in {CRC64_CLOUDS}"
            ),
            "Only HuaweiCloud, Aliyun and Tencent keep a CRC64: use size_last_modified for this cloud",
        ),
        forbidden(
            "consistencyCheck",
            "self.consistencyCheck != 'no_check' || self.type == 'url_list'",
            "`no_check` is for type `url_list` only: use size_last_modified",
        ),
        required(
            "acknowledge",
            "self.overwriteMode != 'FULL_OVERWRITE' || (has(self.acknowledge) && 'FullOverwrite' in self.acknowledge)",
            "`overwriteMode: FULL_OVERWRITE` replaces every object of the same name at the destination: \
             add `acknowledge: [FullOverwrite]` if that is what you want",
        ),
        required(
            "acknowledge",
            "self.consistencyCheck != 'no_check' || (has(self.acknowledge) && 'NoCheck' in self.acknowledge)",
            "`consistencyCheck: no_check` verifies nothing and can overwrite objects whatever the mode: \
             add `acknowledge: [NoCheck]` if that is what you want",
        ),
        forbidden(
            "enableRestore",
            "!has(self.source) || !self.enableRestore || self.source.cloudType != 'URLSource'",
            "URLs cannot be restored from an archive: remove `enableRestore`",
        ),
        forbidden(
            "enableRequesterPays",
            "!has(self.source) || !self.enableRequesterPays || self.source.cloudType != 'URLSource'",
            "URLs have no requester to bill: remove `enableRequesterPays`",
        ),
        invalid(
            "migrateSince",
            "!has(self.migrateSince) || (int(self.migrateSince) > 0 && timestamp(int(self.migrateSince)) == \
             self.migrateSince)",
            "OMS counts whole seconds since 1970: write a later time without fractions of a second, \
             for example \"2024-01-01T00:00:00Z\"",
        ),
        invalid(
            "bandwidthPolicy",
            "!has(self.bandwidthPolicy) || self.bandwidthPolicy.all(a, a.start >= a.end || \
             self.bandwidthPolicy.exists_one(b, a.start < b.end && b.start < a.end))",
            "The windows overlap: let each end before, or when, the next one starts",
        ),
        invalid(
            "description",
            r#"!has(self.description) || !self.description.matches('[\\^<>&"\'()]')"#,
            "OMS refuses the characters ^ < > & \" ' ( and ) in a description: leave them out",
        ),
    ]
}

/// A source.
pub(super) fn source(schema: &mut Schema) {
    let of_buckets = |field: &str, what: &str| {
        [
            required(
                field,
                format!("self.cloudType == 'URLSource' || has(self.{field})"),
                format!("A source bucket needs `{field}`: {what}"),
            ),
            forbidden(
                field,
                format!("self.cloudType != 'URLSource' || !has(self.{field})"),
                format!("`URLSource` has no bucket of its own: remove `{field}`"),
            ),
        ]
    };
    add(schema, of_buckets("region", "the region of the bucket, as its cloud writes it"));
    add(schema, of_buckets("bucket", "the name of the bucket"));
    add(schema, of_buckets("credentials", "a `secretRef` to the Secret with the keys of the bucket"));
    add(
        schema,
        [
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
            forbidden(
                "cdn",
                "self.cloudType != 'URLSource' || !has(self.cdn)",
                "URLs are fetched as the list says: remove `cdn`",
            ),
            bucket_name("!has(self.bucket) || "),
            invalid(
                "objectKeys",
                "!has(self.objectKeys) || self.objectKeys.size() == 1 || !('' in self.objectKeys)",
                "The empty string stands for the whole bucket: keep it alone, or remove it",
            ),
            invalid(
                "objectKeys",
                "!has(self.objectKeys) || self.objectKeys.all(key, bytes(key).size() <= 1024)",
                "The name of an object has at most 1024 bytes in UTF-8: shorten the entry",
            ),
            forbidden(
                "credentials",
                format!(
                    "self.cloudType == 'Azure' || !has(self.credentials) || {}",
                    no_key("self.credentials", "connectionString")
                ),
                "Only Azure takes a connection string: remove `connectionString` from `keys`",
            ),
            forbidden(
                "credentials",
                format!(
                    "self.cloudType == 'Google' || !has(self.credentials) || {}",
                    no_key("self.credentials", "jsonAuthFile")
                ),
                "Only Google takes a JSON credentials file: remove `jsonAuthFile` from `keys`",
            ),
            no_login(),
        ],
    );
}

/// A CDN. Which types need a key is documented for Alibaba Cloud, and which have none for the first three; about Azure
/// and Tencent the documents are silent (OMS API reference 5.3.3, `authentication_key`).
pub(super) fn cdn(schema: &mut Schema) {
    const KEYLESS: &str = "['NONE', 'QINIU_PRIVATE_AUTHENTICATION', 'KSYUN_PRIVATE_AUTHENTICATION']";
    add(
        schema,
        [
            invalid(
                "domain",
                "!self.domain.contains('/') && !self.domain.contains(' ')",
                "`domain` is the bare domain of the CDN: remove the scheme and the path",
            ),
            required(
                "authenticationKey",
                "!self.authenticationType.startsWith('ALIYUN_OSS_') || has(self.authenticationKey)",
                "This type signs requests with a key: add `authenticationKey` with a `secretRef` to the Secret that holds it",
            ),
            forbidden(
                "authenticationKey",
                format!("!(self.authenticationType in {KEYLESS}) || !has(self.authenticationKey)"),
                "This type has no key: remove `authenticationKey`, or choose the type that the CDN is set to",
            ),
            forbidden(
                "crypto",
                "!has(self.crypto) || has(self.authenticationKey)",
                "`crypto` is how OMS keeps the key of the CDN: add `authenticationKey`, or remove `crypto`",
            ),
        ],
    );
}

/// How credentials are kept.
pub(super) fn crypto(schema: &mut Schema) {
    add(
        schema,
        [
            required(
                "kmsKeyId",
                "self.type != 'KMS' || has(self.kmsKeyId)",
                "Type `KMS` needs `kmsKeyId`: the ID of a symmetric key (AES_256 or SM4) in the connection's region",
            ),
            forbidden(
                "kmsKeyId",
                "self.type == 'KMS' || !has(self.kmsKeyId)",
                "Only type `KMS` has a key: remove `kmsKeyId`, or choose `KMS`",
            ),
        ],
    );
}

/// A notification.
pub(super) fn notification(schema: &mut Schema) {
    add(
        schema,
        [invalid(
            "topicUrn",
            "self.topicUrn.matches('^urn:smn:[^:/ ]+:[^:/ ]+:[^:/ ]+$')",
            "The URN of a topic looks like urn:smn:REGION:PROJECT:NAME: copy it from the SMN console",
        )],
    );
}

/// A list file.
pub(super) fn list_file(schema: &mut Schema) {
    add(
        schema,
        [
            bucket_name(""),
            invalid(
                "key",
                "self.key.endsWith('.txt')",
                "OMS reads list files whose key ends in \".txt\" only: rename the file",
            ),
            invalid(
                "key",
                "bytes(self.key).size() <= 1024",
                "The name of an object has at most 1024 bytes in UTF-8: rename the file",
            ),
        ],
    );
}

/// A destination.
pub(super) fn destination(schema: &mut Schema) {
    add(
        schema,
        [
            bucket_name(""),
            invalid(
                "prefix",
                "!has(self.prefix) || !self.prefix.startsWith('/')",
                "OMS refuses a prefix that starts with \"/\": remove the slash",
            ),
            invalid(
                "prefix",
                "!has(self.prefix) || bytes(self.prefix).size() <= 1024",
                "The name of an object has at most 1024 bytes in UTF-8: shorten the prefix",
            ),
            forbidden(
                "credentials",
                format!("!has(self.credentials) || {}", access_keys_only("self.credentials")),
                "OBS takes access keys only: remove `connectionString` and `jsonAuthFile` from `keys`",
            ),
            no_login(),
        ],
    );
}

/// The credentials of a connection.
pub(super) fn connection_credentials(schema: &mut Schema) {
    let keys = "self.secretRef.keys";
    let names_any = |names: &[&str]| {
        names.iter().map(|name| format!("has({keys}.{name})")).collect::<Vec<_>>().join(" || ")
    };
    let without_keys = format!("!has(self.secretRef) || !has({keys})");
    add(
        schema,
        [
            required(
                "secretRef",
                "has(self.secretRef) || has(self.source)",
                "A connection needs credentials: name a Secret in `secretRef`, or, in a ClusterConnection, \
                 write `source: Ambient`",
            ),
            forbidden(
                "source",
                "!has(self.secretRef) || !has(self.source)",
                "The credentials come from a Secret or from the operator's surroundings: remove `secretRef` or `source`",
            ),
            forbidden(
                "secretRef",
                format!("{without_keys} || !({})", names_any(&["connectionString", "jsonAuthFile"])),
                "OMS takes access keys or a login only: remove `connectionString` and `jsonAuthFile` from `keys`",
            ),
            forbidden(
                "secretRef",
                format!(
                    "{without_keys} || !({}) || !({})",
                    names_any(&["accessKey", "secretKey", "securityToken"]),
                    names_any(&["username", "password", "domainName"]),
                ),
                "A connection signs with access keys or logs in with a password: name the keys of one of the two in `keys`",
            ),
        ],
    );
}

/// A bandwidth window.
pub(super) fn bandwidth_window(schema: &mut Schema) {
    add(
        schema,
        [invalid(
            "end",
            "self.start < self.end",
            "A window ends later than it starts, on the same day: write a night as two windows, \
         for example 22:00 to 23:59 and 00:00 to 06:00",
        )],
    );
}

/// A rate; the limits are those of `max_bandwidth` at OMS.
pub(super) fn byte_rate() -> Value {
    json!([{
        "rule": "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && \
                 quantity(string(self)).compareTo(quantity('200Mi')) <= 0",
        "message": "OMS takes 1 to 200 MiB/s: write bytes per second from 1Mi to 200Mi (1048576 to 209715200)",
    }])
}

/// A reference is one thing: appliers replace it as a whole.
pub(super) fn atomic(schema: &mut Schema) {
    schema.insert("x-kubernetes-map-type".into(), "atomic".into());
}

/// Bounds what Kubernetes' own type leaves open: label keys and values have at most 317 and 63 characters.
pub(super) fn bounded_selector(schema: &mut Schema) {
    fn bound(schema: &mut Map<String, Value>) {
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => drop(schema.entry("maxLength").or_insert(json!(317))),
            Some("array") => drop(schema.entry("maxItems").or_insert(json!(64))),
            Some("object") if schema.contains_key("additionalProperties") => {
                schema.entry("maxProperties").or_insert(json!(64));
            }
            _ => {}
        }
        for member in schema.values_mut() {
            if let Value::Object(member) = member {
                bound(member);
            }
        }
    }
    if let Some(Value::Object(selector)) = schema.pointer_mut("/properties/selector") {
        bound(selector);
    }
}

fn bucket_name(unless: &str) -> Rule {
    invalid(
        "bucket",
        format!("{unless}!self.bucket.contains('/')"),
        "`bucket` is the bare name of a bucket: remove the scheme and the path",
    )
}

fn no_login() -> Rule {
    let without = |key| no_key("self.credentials", key);
    forbidden(
        "credentials",
        format!(
            "!has(self.credentials) || ({}) && ({}) && ({})",
            without("username"),
            without("password"),
            without("domainName")
        ),
        "A bucket takes no login: remove `username`, `password` and `domainName` from `keys`",
    )
}

fn no_key(credentials: &str, key: &str) -> String {
    format!("!has({credentials}.secretRef.keys) || !has({credentials}.secretRef.keys.{key})")
}

fn access_keys_only(credentials: &str) -> String {
    format!(
        "!has({credentials}.secretRef.keys) || !(has({credentials}.secretRef.keys.connectionString) || \
         has({credentials}.secretRef.keys.jsonAuthFile))"
    )
}
