//! No answer can panic the client, and the reference's examples are read as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::answer::Refusal;
use super::super::error::Error;
use super::super::model::{
    ApiVersion, ApiVersions, BucketNames, BucketRegion, CdnCheck, CloudTypes, CreatedSyncTask, CreatedTask,
    CreatedTaskGroup, ObjectPage, PrefixFound, Quotas, Regions, Reply, SyncTask, SyncTaskPage,
    SyncTaskStatistic, Task, TaskGroup, TaskGroupPage, TaskPage, any_json,
};
use super::super::read;

/// Every example of a 2xx answer in the reference, by operation.
const DOCUMENTED: &str = include_str!("documented.json");

type Reader = fn(&'static str, &[u8]) -> Result<(), Error>;

/// How the answer of every operation is read.
const READERS: [(&str, Reader); 37] = [
    ("CreateTask", answer::<CreatedTask>),
    ("ShowTask", answer::<Task>),
    ("ListTasks", answer::<TaskPage>),
    ("StartTask", nothing),
    ("StopTask", nothing),
    ("DeleteTask", nothing),
    ("UpdateBandwidthPolicy", nothing),
    ("BatchUpdateTasks", nothing),
    ("UpdatePrivacyAgreementRecord", nothing),
    ("CreateTaskGroup", answer::<CreatedTaskGroup>),
    ("ShowTaskGroup", answer::<TaskGroup>),
    ("ListTaskGroup", answer::<TaskGroupPage>),
    ("StartTaskGroup", nothing),
    ("StopTaskGroup", nothing),
    ("RetryTaskGroup", nothing),
    ("UpdateTaskGroup", nothing),
    ("DeleteTaskGroup", nothing),
    ("CreateSyncTask", answer::<CreatedSyncTask>),
    ("ShowSyncTask", answer::<SyncTask>),
    ("ListSyncTasks", answer::<SyncTaskPage>),
    ("StartSyncTask", nothing),
    ("StopSyncTask", nothing),
    ("DeleteSyncTask", nothing),
    ("ListSyncTaskStatistic", answer::<SyncTaskStatistic>),
    ("CreateSyncEvents", nothing),
    ("ShowBucketList", answer::<BucketNames>),
    ("ShowBucketObjects", answer::<ObjectPage>),
    ("ShowBucketRegion", answer::<BucketRegion>),
    ("CheckPrefix", answer::<PrefixFound>),
    ("ShowCdnInfo", answer::<CdnCheck>),
    ("CheckUrlSourceListFileFormat", nothing),
    ("ListApiVersions", answer::<ApiVersions>),
    ("ShowApiInfo", answer::<ApiVersion>),
    ("ShowCloudType", answer::<CloudTypes>),
    ("ShowRegionInfo", answer::<Regions>),
    ("v1ListVersions", answer::<ApiVersions>),
    ("v1ShowQuotas", answer::<Quotas>),
];

fn refusal<'a>(operation: &'static str, body: &'a [u8]) -> Refusal<'a> {
    Refusal {
        operation,
        host: "oms.example.test",
        status: 200,
        content_type: None,
        request_id: None,
        retry_after: None,
        body,
        secrets: &["planted-secret"],
    }
}

fn answer<T: Reply>(operation: &'static str, body: &[u8]) -> Result<(), Error> {
    read::json(&refusal(operation, body), T::from_wire).map(drop)
}

fn nothing(operation: &'static str, body: &[u8]) -> Result<(), Error> {
    read::nothing(&refusal(operation, body))
}

/// Reads, and looks at what an error says.
fn try_to_read(index: usize, body: &[u8]) -> bool {
    let (operation, reader) = READERS[index % READERS.len()];
    match reader(operation, body) {
        Ok(()) => true,
        Err(error) => {
            let told = format!("{error} {error:?} {:?}", error.field());
            assert!(!error.to_string().contains(char::is_control), "{told}");
            false
        }
    }
}

static EXAMPLES: LazyLock<BTreeMap<String, Vec<Value>>> =
    LazyLock::new(|| serde_json::from_str(DOCUMENTED).unwrap());

fn documented() -> &'static BTreeMap<String, Vec<Value>> {
    &EXAMPLES
}

/// One change to one place of a document.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(Value),
    Remove,
    Wrap,
    Stringify,
    Nest(u8),
}

fn any_mutation() -> impl Strategy<Value = (Vec<usize>, Mutation)> {
    let mutation = prop_oneof![
        any_json().prop_map(Mutation::Replace),
        Just(Mutation::Remove),
        Just(Mutation::Wrap),
        Just(Mutation::Stringify),
        any::<u8>().prop_map(Mutation::Nest),
    ];
    (prop::collection::vec(any::<usize>(), 0..5), mutation)
}

/// Follows the path as far as it leads and changes what is there.
fn mutate(value: &mut Value, path: &[usize], mutation: &Mutation) {
    let Some((step, rest)) = path.split_first() else {
        *value = match (mutation, value.take()) {
            (Mutation::Replace(other), _) => other.clone(),
            (Mutation::Remove, _) => Value::Null,
            (Mutation::Wrap, old) => json!([old]),
            (Mutation::Stringify, old) => Value::String(old.to_string()),
            (Mutation::Nest(depth), old) => (0..*depth).fold(old, |inner, _| json!({"inner": inner})),
        };
        return;
    };
    match value {
        Value::Object(object) if !object.is_empty() => {
            let name = object.keys().nth(step % object.len()).cloned().unwrap_or_default();
            if rest.is_empty() && matches!(mutation, Mutation::Remove) {
                object.remove(&name);
            } else {
                mutate(&mut object[&name], rest, mutation);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            let index = step % elements.len();
            mutate(&mut elements[index], rest, mutation);
        }
        _ => mutate(value, &[], mutation),
    }
}

#[test]
fn every_operation_of_the_client_is_among_those_tried_here() {
    let sources = [
        include_str!("tasks.rs"),
        include_str!("groups.rs"),
        include_str!("sync.rs"),
        include_str!("buckets.rs"),
        include_str!("catalogue.rs"),
        include_str!("legacy.rs"),
    ];
    let mut operations = BTreeSet::new();
    for source in sources {
        for start in ["const OPERATION: &str = \"", "call(\""] {
            for rest in source.split(start).skip(1) {
                operations.insert(rest.split('"').next().unwrap());
            }
        }
    }
    let tried: BTreeSet<&str> = READERS.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(operations, tried);
    assert_eq!(tried.len(), 37);
}

#[test]
fn every_documented_answer_is_read_as_it_stands() {
    let examples = documented();
    for (operation, reader) in READERS {
        let of_it = examples.get(operation).map(Vec::as_slice).unwrap_or_default();
        for example in of_it {
            let read = reader(operation, example.to_string().as_bytes());
            assert!(read.is_ok(), "{operation}: {read:?}");
        }
    }
    let unknown: Vec<_> =
        examples.keys().filter(|name| !READERS.iter().any(|(operation, _)| operation == name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(examples.len(), 21);
}

#[test]
fn absurd_answers_are_errors_and_nothing_worse() {
    let deep = [("[", "]"), ("{\"a\":", "}"), ("{\"tasks\":[", "]}")]
        .map(|(open, close)| format!("{}1{}", open.repeat(50_000), close.repeat(50_000)));
    let digits = "9".repeat(5_000);
    let mut bodies: Vec<String> = deep.into();
    for number in [format!("1e{digits}"), digits.clone(), format!("-{digits}"), format!("0.{digits}")] {
        bodies
            .push(format!("{{\"id\": {number}, \"count\": {number}, \"tasks\": [], \"status\": {number}}}"));
        bodies.push(format!(
            "{{\"id\": 5, \"group_id\": {number}, \"sync_task_id\": \"s\", \"status\": {number}}}"
        ));
    }
    bodies.extend(
        ["", " ", "null", "0", "\"\"", "{}", "[]", "[[]]", "\u{feff}{}", "{\"id\": 1", "<html>"]
            .map(str::to_owned),
    );
    for body in &bodies {
        for index in 0..READERS.len() {
            try_to_read(index, body.as_bytes());
        }
    }
    // A call that has to say something says something: the others take an empty body.
    let saying: Vec<_> =
        READERS.iter().filter(|(operation, reader)| reader(operation, b"").is_err()).collect();
    assert_eq!(saying.len(), documented().len());
    for body in [" ", "0", "\"\"", "<html>", "{\"id\": 1"] {
        for (operation, reader) in &saying {
            assert!(reader(operation, body.as_bytes()).is_err(), "{operation}: {body}");
        }
    }
}

#[test]
fn an_error_in_a_success_is_an_error_for_every_operation() {
    let body = json!({"error_code": "OMS.0064", "error_msg": "no", "error_detail": "request parameter [x] invalid."});
    for (operation, reader) in READERS {
        let error = reader(operation, body.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.code(), error.field()), (Some("OMS.0064"), Some("x")), "{operation}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_can_panic(index: usize, bytes: Vec<u8>) {
        try_to_read(index, &bytes);
    }

    #[test]
    fn no_json_can_panic(index: usize, value in any_json()) {
        try_to_read(index, value.to_string().as_bytes());
    }

    #[test]
    fn no_change_of_a_documented_answer_can_panic(
        reader: usize,
        example: usize,
        same: bool,
        mutations in prop::collection::vec(any_mutation(), 1..6),
    ) {
        let examples = documented();
        let (operation, of_it) = examples.iter().nth(example % examples.len()).unwrap();
        let mut value = of_it[reader % of_it.len()].clone();
        for (path, mutation) in &mutations {
            mutate(&mut value, path, mutation);
        }
        // Its own reader, or that of another operation.
        let own = READERS.iter().position(|(name, _)| name == operation).unwrap();
        try_to_read(if same { own } else { reader }, value.to_string().as_bytes());
    }

    #[test]
    fn no_damaged_text_of_a_documented_answer_can_panic(
        example: usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..8),
    ) {
        let examples = documented();
        let (operation, of_it) = examples.iter().nth(example % examples.len()).unwrap();
        let mut bytes = of_it[0].to_string().into_bytes();
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at),
                _ if !bytes.is_empty() => { bytes.remove(at); }
                _ => {}
            }
        }
        let own = READERS.iter().position(|(name, _)| name == operation).unwrap();
        try_to_read(own, &bytes);
    }

    /// Whatever one member becomes, the rest of the record is still read: only the ID must be there.
    #[test]
    fn one_odd_member_never_hides_a_record(kind in 0_usize..3, member: usize, value in any_json()) {
        let (operation, id) =
            [("ShowTask", "id"), ("ShowTaskGroup", "group_id"), ("ShowSyncTask", "sync_task_id")][kind];
        let mut record = documented()[operation][0].clone();
        let object = record.as_object_mut().unwrap();
        let names: Vec<String> = object.keys().filter(|name| *name != id).cloned().collect();
        object.insert(names[member % names.len()].clone(), value);
        let (name, reader) = READERS.iter().find(|(name, _)| *name == operation).unwrap();
        let read = reader(name, record.to_string().as_bytes());
        prop_assert!(read.is_ok(), "{:?}", read);
    }
}
