//! Every request that may have changed something is told of exactly once, with what is known of it, and no other.

use std::sync::{Arc, Mutex};

use oms_operator::oms::{
    BatchUpdateTasks, Client, CreateSyncEvents, ListTasks, RetryTaskGroup, Settings, StartSyncTask,
    StartTask, StartTaskGroup, TaskId, TaskSelection, Timeouts,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::requests::{
    GROUP, SYNC, USER, access, create_group, create_sync, create_task, group_keys, windows,
};
use super::server::{ACCESS_KEY, SECRET_KEY, Server, client, json_answer};

/// What was told of a request.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    operation: &'static str,
    call: String,
    subject: Option<String>,
    request_id: Option<String>,
    outcome: &'static str,
    code: Option<String>,
}

/// A client, and what is told of its requests.
fn watched(mut settings: Settings) -> (Client, Arc<Mutex<Vec<Told>>>) {
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let log = Arc::clone(&told);
    settings.on_mutation = Some(Arc::new(move |record| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        for planted in [ACCESS_KEY, SECRET_KEY] {
            assert!(!format!("{record:?}").contains(planted), "{record:?}");
        }
        log.lock().unwrap().push(Told {
            operation: record.operation,
            call: format!("{} {}", record.method, record.path),
            subject: own(record.subject),
            request_id: own(record.request_id),
            outcome: record.outcome,
            code: own(record.code),
        });
    }));
    (client(settings), told)
}

fn start() -> StartTask {
    StartTask { dst_ak: "a".into(), dst_sk: "s".into(), ..StartTask::default() }
}

#[tokio::test]
async fn every_operation_that_changes_something_is_told_of_with_the_id_of_what_it_changes() {
    let server = Server::start(|seen| {
        let made = seen.method == "POST" && seen.path.matches('/').count() == 3;
        let answer = json!({ "id": 7, "task_name": "n", "group_id": GROUP, "sync_task_id": SYNC });
        json_answer(200, if made { answer } else { json!({}) })
    })
    .await;
    let (client, told) = watched(server.settings());
    let id = TaskId::new(5);
    let batch = |tasks| BatchUpdateTasks { tasks, bandwidth_policy: windows(), task_priority: None };
    let keys = CreateSyncEvents { object_keys: vec!["a".into()] };
    client.create_task(&create_task(), USER).await.unwrap();
    client.start_task(id, &start(), USER).await.unwrap();
    client.stop_task(id, USER).await.unwrap();
    client.update_bandwidth_policy(id, &windows(), USER).await.unwrap();
    let both = TaskSelection::Ids(vec![id, TaskId::new(6)]);
    client.batch_update_tasks(&batch(both), USER).await.unwrap();
    client.batch_update_tasks(&batch(TaskSelection::Group(GROUP.into())), USER).await.unwrap();
    client.delete_task(id, USER).await.unwrap();
    client.update_privacy_agreement_record(USER).await.unwrap();
    client.create_task_group(&create_group(), USER).await.unwrap();
    client.start_task_group(GROUP, &StartTaskGroup { keys: group_keys() }, USER).await.unwrap();
    client.stop_task_group(GROUP, USER).await.unwrap();
    let retry = RetryTaskGroup { keys: group_keys(), migrate_failed_object: true };
    client.retry_task_group(GROUP, &retry, USER).await.unwrap();
    client.update_task_group(GROUP, &windows(), USER).await.unwrap();
    client.delete_task_group(GROUP, USER).await.unwrap();
    client.create_sync_task(&create_sync(), USER).await.unwrap();
    let keys_again = StartSyncTask {
        src_ak: "a".into(),
        src_sk: "s".into(),
        dst_ak: "a".into(),
        dst_sk: "s".into(),
        ..StartSyncTask::default()
    };
    client.start_sync_task(SYNC, &keys_again, USER).await.unwrap();
    client.stop_sync_task(SYNC, USER).await.unwrap();
    client.create_sync_events(SYNC, &keys, USER).await.unwrap();
    client.delete_sync_task(SYNC, USER).await.unwrap();

    let told = told.lock().unwrap().clone();
    let seen: Vec<_> = server.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(told.iter().map(|told| told.call.clone()).collect::<Vec<_>>(), seen, "one each, in order");
    for told in &told {
        assert_eq!((told.outcome, told.code.as_deref()), ("ok", None), "{told:?}");
        assert_eq!(told.request_id.as_deref(), Some("request-of-the-test"), "{told:?}");
        let subject = match told.operation {
            "CreateTask" => Some("7"),
            "UpdatePrivacyAgreementRecord" => None,
            "BatchUpdateTasks" => continue,
            operation if operation.contains("Group") => Some(GROUP),
            operation if operation.contains("Sync") => Some(SYNC),
            _ => Some("5"),
        };
        assert_eq!(told.subject.as_deref(), subject, "{told:?}");
    }
    let batches: Vec<_> = told.iter().filter(|told| told.operation == "BatchUpdateTasks").collect();
    let subjects: Vec<_> = batches.iter().map(|told| told.subject.as_deref().unwrap()).collect();
    assert_eq!(subjects, ["5,6", GROUP]);
}

#[tokio::test]
async fn looks_are_not_told_of_also_those_that_are_posted() {
    let server =
        Server::start(|_| json_answer(400, json!({ "error_code": "OMS.1009", "error_msg": "x" }))).await;
    let (client, told) = watched(server.settings());
    client.list_tasks(&ListTasks::default(), USER).await.unwrap_err();
    client.show_task(TaskId::new(5), USER).await.unwrap_err();
    client.show_bucket_list(&access(), USER).await.unwrap_err();
    assert_eq!(server.seen().len(), 3);
    assert_eq!(*told.lock().unwrap(), []);
}

#[tokio::test]
async fn a_refusal_is_told_of_with_its_code_and_what_never_left_is_not() {
    let server =
        Server::start(|_| json_answer(400, json!({ "error_code": "OMS.0063", "error_msg": "x" }))).await;
    let (refused, told) = watched(server.settings());
    refused.delete_task(TaskId::new(5), USER).await.unwrap_err();
    let first = told.lock().unwrap()[0].clone();
    assert_eq!((first.outcome, first.code.as_deref()), ("conflict", Some("OMS.0063")));
    assert_eq!(first.request_id.as_deref(), Some("request-of-the-test"));

    // What the client itself refuses, and what finds nobody.
    refused.stop_task_group("", USER).await.unwrap_err();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (nobody, nothing) = watched(Settings::new(format!("http://{gone}"), "p"));
    nobody.delete_task(TaskId::new(5), USER).await.unwrap_err();
    assert_eq!((told.lock().unwrap().len(), nothing.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_lost_reply_and_one_that_nobody_waits_for_are_told_of_once() {
    let cut = Server::raw(b"", false).await;
    let (client, told) = watched(cut.settings());
    client.create_task(&create_task(), USER).await.unwrap_err();
    let lost = told.lock().unwrap().clone();
    assert_eq!((lost.len(), lost[0].outcome, &lost[0].subject), (1, "lostReply", &None), "{lost:?}");

    let silent = Server::raw(b"", true).await;
    let request = std::time::Duration::from_millis(200);
    let (client, told) =
        watched(Settings { timeouts: Timeouts { request, ..Timeouts::default() }, ..silent.settings() });
    client.stop_task(TaskId::new(5), USER).await.unwrap_err();
    assert_eq!(told.lock().unwrap().iter().map(|told| told.outcome).collect::<Vec<_>>(), ["lostReply"]);

    // A pass that ran into its limit drops its call.
    let (client, told) = watched(silent.settings());
    let call = tokio::spawn(async move { client.stop_task(TaskId::new(5), USER).await });
    while silent.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let told = told.lock().unwrap().clone();
    assert_eq!((told.len(), told[0].outcome, told[0].subject.as_deref()), (1, "abandoned", Some("5")));
}
