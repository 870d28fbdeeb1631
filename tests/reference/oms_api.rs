//! The page of operations: who calls each, who answers it, and which tests hold both; and where the sources contradict
//! each other.
//!
//! Client methods and handlers are read out of the code, so an operation without either fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::contradictions::CONTRADICTIONS;
use crate::{NOTE, row};

/// Every operation of OMS, by the names of its reference, in its order, each with a test of the emulator's answer.
const OPERATIONS: &[(&str, &str)] = &[
    ("ListApiVersions", "catalogue::versions_read_as_their_tables_or_as_their_examples"),
    ("ShowApiInfo", "catalogue::versions_read_as_their_tables_or_as_their_examples"),
    ("UpdatePrivacyAgreementRecord", "tasks::the_privacy_agreement_comes_first"),
    ("ListTasks", "tasks::lists_come_in_pages_with_the_newest_first"),
    ("CreateTask", "tasks::a_task_starts_by_itself_and_copies_what_it_names"),
    ("ShowTask", "tasks::a_task_starts_by_itself_and_copies_what_it_names"),
    ("DeleteTask", "tasks::a_delete_after_a_stop_is_refused_for_a_while_only"),
    ("StopTask", "tasks::a_stop_is_seen_at_once_and_a_start_goes_on"),
    ("StartTask", "tasks::a_stop_is_seen_at_once_and_a_start_goes_on"),
    ("UpdateBandwidthPolicy", "tasks::bandwidth_is_replaced_and_echoed"),
    ("BatchUpdateTasks", "tasks::a_batch_update_is_all_or_nothing"),
    ("ListSyncTasks", "sync::lists_are_paged_and_filtered"),
    ("CreateSyncTask", "sync::a_task_starts_by_itself_and_reads_as_documented"),
    ("ShowSyncTask", "sync::a_task_starts_by_itself_and_reads_as_documented"),
    ("DeleteSyncTask", "sync::a_deleted_task_is_told_from_one_that_never_was"),
    ("ListSyncTaskStatistic", "sync::what_an_event_names_is_copied_and_counted"),
    ("StopSyncTask", "sync::stop_and_start_are_seen_at_once_and_the_queue_outlives_them"),
    ("StartSyncTask", "sync::stop_and_start_are_seen_at_once_and_the_queue_outlives_them"),
    ("CreateSyncEvents", "sync::what_an_event_names_is_copied_and_counted"),
    ("ListTaskGroup", "groups::groups_are_listed_in_pages_by_state"),
    ("CreateTaskGroup", "groups::a_group_splits_its_prefixes_into_tasks_and_copies_every_object_once"),
    ("ShowTaskGroup", "groups::a_group_splits_its_prefixes_into_tasks_and_copies_every_object_once"),
    ("DeleteTaskGroup", "groups::a_finished_group_can_only_be_looked_at_and_deleted"),
    ("StopTaskGroup", "groups::a_stop_pauses_all_tasks_and_a_start_goes_on_with_new_keys"),
    ("StartTaskGroup", "groups::a_stop_pauses_all_tasks_and_a_start_goes_on_with_new_keys"),
    ("RetryTaskGroup", "groups::a_group_with_a_failed_task_fails_and_its_failed_objects_can_be_copied_again"),
    ("UpdateTaskGroup", "groups::bandwidth_reaches_the_tasks_of_a_group_and_a_batch_update_too"),
    ("ShowBucketList", "buckets::the_buckets_of_an_account_are_a_bare_list"),
    ("ShowBucketObjects", "buckets::a_folder_is_listed_page_by_page_without_what_lies_deeper"),
    ("ShowBucketRegion", "buckets::the_region_of_a_bucket_is_what_its_store_tells"),
    ("CheckPrefix", "buckets::a_prefix_exists_when_a_key_begins_with_it"),
    ("ShowCdnInfo", "clouds::the_check_of_a_cdn_tells_which_objects_it_serves_as_the_bucket_has_them"),
    ("CheckUrlSourceListFileFormat", "buckets::a_url_list_is_read_from_beginning_to_end"),
    ("ShowCloudType", "catalogue::clouds_are_told_for_each_side"),
    ("ShowRegionInfo", "catalogue::the_regions_told_are_those_that_a_store_stands_for"),
    ("v1ListVersions", "catalogue::the_first_api_shows_its_versions"),
    ("v1ShowQuotas", "catalogue::the_quota_of_an_account_is_the_number_of_tasks_that_run_at_once"),
];

/// A line of the emulator's table of routes.
struct Route {
    method: String,
    path: String,
}

pub(crate) fn page() -> String {
    let routes = routes();
    let methods = client_methods();
    let handlers = handlers();
    let tests = transport_tests();
    let mut page = format!(
        "# The OMS API\n\n{NOTE}\n\nEvery operation of OMS: the method of the client (`src/oms/client/`), the function of \
         the emulator that answers it (`src/emulator/operations/`), and a test of each. `tests/contract` holds requests \
         and answers of all of them against the schemas of the API reference, and `tests/vendor_sdk` calls the emulator with the \
         vendor's own SDK.\n\n## Operations\n\n"
    );
    row(&mut page, &["operation", "call", "client", "emulator", "tests of the client, of the emulator"]);
    row(&mut page, &["---"; 5]);
    for (operation, test) in OPERATIONS {
        let route =
            routes.get(*operation).unwrap_or_else(|| panic!("the emulator has no route for {operation}"));
        let (room, method) =
            methods.get(*operation).unwrap_or_else(|| panic!("the client has no method for {operation}"));
        let handler =
            handlers.get(*operation).unwrap_or_else(|| panic!("the emulator does not answer {operation}"));
        let of_client = tests
            .iter()
            .find(|(_, body)| body.contains(&format!(".{method}(")))
            .unwrap_or_else(|| panic!("no test of the client calls {method}"));
        assert!(has_test(test), "{operation}: tests/emulator_api has no {test}");
        let call = format!("`{} {}`", route.method, route.path);
        let client = format!("`{room}::{method}`");
        let tests = format!("`oms_transport {}`, `emulator_api {test}`", of_client.0);
        row(&mut page, &[operation, &call, &client, &format!("`{handler}`"), &tests]);
    }
    page.push_str(
        "\nOf the retired `access-keys` calls there is nothing: no page describes them, and the emulator answers 404.\n\n\
         ## Where the sources contradict each other\n\nThe reference in its editions, the vendor's SDK and Terraform \
         provider, and what was seen of the live service. Where there is a switch, `behaviour` in the emulator's configuration \
         has it ([the emulator](../emulator.md)).\n\n",
    );
    row(&mut page, &["operations", "what they say", "the client", "the emulator", "switch"]);
    row(&mut page, &["---"; 5]);
    for one in CONTRADICTIONS {
        let switch = one.switch.map(|switch| format!("`{switch}`")).unwrap_or_default();
        row(&mut page, &[&one.operations.join(", "), one.sources, one.client, one.emulator, &switch]);
    }
    page
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files of a folder: name without the ending, and text.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Functions that start with `head`: name and text up to the next one.
fn functions<'t>(text: &'t str, head: &str) -> Vec<(&'t str, &'t str)> {
    let name =
        |rest: &'t str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    text.split(head).skip(1).map(|rest| (name(rest), rest)).collect()
}

fn routes() -> BTreeMap<String, Route> {
    let text = fs::read_to_string(root().join("src/emulator/route.rs")).unwrap();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (operation, method, path) = (words.next()?, words.next()?, words.next()?);
            let path = path.strip_prefix('"')?.strip_suffix('"')?;
            ["GET", "POST", "PUT", "DELETE"]
                .contains(&method)
                .then(|| (operation.to_owned(), Route { method: method.to_owned(), path: path.to_owned() }))
        })
        .collect()
}

/// File and method of the client, by operation.
fn client_methods() -> BTreeMap<String, (String, String)> {
    let mut methods = BTreeMap::new();
    for (room, text) in files("src/oms/client") {
        for (method, body) in functions(&text, "pub async fn ") {
            let body = body.split("\n    }\n").next().unwrap_or_default();
            let operation =
                body.split('"').skip(1).step_by(2).find(|word| {
                    word.chars().any(char::is_uppercase) && word.chars().all(char::is_alphanumeric)
                });
            if let Some(operation) = operation {
                methods.insert(operation.to_owned(), (room.clone(), method.to_owned()));
            }
        }
    }
    methods
}

/// Function that answers an operation.
fn handlers() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("src/emulator/operations/mod.rs")).unwrap();
    text.split("Operation::")
        .skip(1)
        .filter_map(|arm| {
            let (operation, rest) = arm.split_once(" => ")?;
            let call = rest.split("self.").nth(1).or_else(|| rest.split("Self::").nth(1))?;
            Some((operation.to_owned(), call.split('(').next()?.to_owned()))
        })
        .collect()
}

/// Tests of the client against a server that follows a script.
fn transport_tests() -> Vec<(String, String)> {
    files("tests/oms_transport")
        .iter()
        .flat_map(|(room, text)| {
            text.split("#[tokio::test").skip(1).filter_map(move |test| {
                let (name, body) = *functions(test, "async fn ").first()?;
                Some((format!("{room}::{name}"), body.to_owned()))
            })
        })
        .collect()
}

/// Whether a test of the emulator is in the file of that name, or in the folder.
fn has_test(path: &str) -> bool {
    let (room, name) = path.split_once("::").unwrap();
    let folder = format!("tests/emulator_api/{room}");
    let mut texts = files("tests/emulator_api");
    texts.retain(|(file, _)| file == room);
    if root().join(&folder).is_dir() {
        texts.extend(files(&folder));
    }
    texts.iter().any(|(_, text)| text.contains(&format!("async fn {name}(")))
}

#[test]
fn no_operation_of_the_client_or_of_the_emulator_is_missing_on_the_page() {
    let known: BTreeSet<String> = OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let of_client: BTreeSet<String> = client_methods().into_keys().collect();
    assert_eq!(of_client, known, "the client's methods are the operations of the page");
    // What the emulator serves besides OMS is IAM's, STS's and the metadata service's.
    let unserved: Vec<_> = known.difference(&routes().into_keys().collect()).cloned().collect();
    assert!(unserved.is_empty(), "{unserved:?}");
}

#[test]
fn contradictions_name_operations_and_switches_that_exist() {
    for one in CONTRADICTIONS {
        for operation in one.operations {
            assert!(OPERATIONS.iter().any(|(name, _)| name == operation), "{operation}");
        }
        if let Some(switch) = one.switch {
            let config = format!(
                "projects: [{{ id: p, region: r, accessKeys: [{{ access: a, secret: s }}] }}]\nbehaviour: {{ {switch}: no }}"
            );
            // The wrong type is refused in other words than an unknown name.
            let refusal =
                oms_operator::emulator::config::Config::parse(&config).err().map(|error| error.to_string());
            assert!(!refusal.unwrap_or_default().contains("unknown field"), "`behaviour` has no {switch}");
        }
    }
}
