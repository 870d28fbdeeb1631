//! What the API server checks of a TaskGroup beyond what it shares with a MigrationTask (OMS API reference 5.5.2).

use kube::core::Rule;
use schemars::Schema;
use serde_json::{Value, json};

use super::{add, bucket_name, copying, existing, forbidden, invalid, required};

/// Where the keys of both buckets are named, below the spec.
const CREDENTIALS: [&str; 2] = ["source.credentials", "destination.credentials"];

/// The spec of a TaskGroup.
pub(in crate::api) fn task_group_spec(schema: &mut Schema) {
    describe(
        schema,
        "/properties/source/properties/objectKeys",
        "Prefixes of names, each at most 1024 bytes; `[\"\"]` is the whole bucket. Frozen.",
    );
    describe(
        schema,
        "/properties/source/properties/listFile",
        "The folder of list files of types `list` and `url_list`, in OBS, in the region of the destination, read with \
         the destination's keys. OMS uses every file in it whose name ends in `.txt`. Frozen.",
    );
    describe(schema, "/properties/source/properties/listFile/properties/bucket", "Bucket of the folder.");
    describe(schema, "/properties/source/properties/listFile/properties/key", "The folder; ends in `/`.");
    if let Some(list) = schema.pointer_mut("/properties/source/properties/listFile") {
        list["x-kubernetes-validations"] = json!([]);
        if let Ok(list) = <&mut Schema>::try_from(list) {
            add(list, folder());
        }
    }
    add(schema, selection());
    add(schema, CREDENTIALS.map(permanent));
    add(schema, existing());
    add(schema, copying());
    add(
        schema,
        [invalid(
            "description",
            r"!has(self.description) || !self.description.matches('[`\\\\]')",
            "OMS refuses backquotes and backslashes in the description of a group: leave them out",
        )],
    );
}

fn describe(schema: &mut Schema, pointer: &str, text: &str) {
    if let Some(Value::Object(field)) = schema.pointer_mut(pointer) {
        field.insert("description".into(), text.into());
    }
}

fn folder() -> [Rule; 4] {
    [
        bucket_name(""),
        invalid(
            "key",
            "self.key.endsWith('/')",
            "A group reads a folder of list files: write the folder with a slash at its end, for example \"lists/\"",
        ),
        invalid(
            "key",
            "!self.key.startsWith('/')",
            "Names of folders in OBS do not start with \"/\": remove the slash in front",
        ),
        invalid(
            "key",
            "bytes(self.key).size() <= 1024",
            "The name of an object has at most 1024 bytes in UTF-8: rename the folder",
        ),
    ]
}

fn selection() -> [Rule; 4] {
    [
        required(
            "source.objectKeys",
            "!has(self.source) || self.type != 'prefix' || has(self.source.objectKeys)",
            "Type `prefix` needs `objectKeys`: name the prefixes, or write [\"\"] for the whole bucket",
        ),
        forbidden(
            "source.objectKeys",
            "!has(self.source) || self.type == 'prefix' || !has(self.source.objectKeys)",
            "Types `list` and `url_list` take the names from `listFile`: remove `objectKeys`, or choose type `prefix`",
        ),
        required(
            "source.listFile",
            "!has(self.source) || self.type == 'prefix' || has(self.source.listFile)",
            "Types `list` and `url_list` need `listFile`: the bucket and the folder of text files in the region of the \
             destination",
        ),
        forbidden(
            "source.listFile",
            "!has(self.source) || self.type != 'prefix' || !has(self.source.listFile)",
            "Type `prefix` takes the names from `objectKeys`: remove `listFile`, or choose type `list` or `url_list`",
        ),
    ]
}

/// Groups take permanent keys only: their API has no field for a security token.
fn permanent(credentials: &str) -> Rule {
    let keys = format!("self.{credentials}.secretRef.keys");
    let bucket = credentials.split('.').next().unwrap_or(credentials);
    forbidden(
        credentials,
        format!(
            "!has(self.{bucket}) || !has(self.{credentials}) || !has({keys}) || !has({keys}.securityToken)"
        ),
        "OMS takes no temporary keys for a group: remove `securityToken` from `keys`, and put permanent keys into the \
         Secret",
    )
}
