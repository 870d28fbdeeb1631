//! The client and the emulator, which were written from the same documents and share nothing else.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "contract/mod.rs"]
mod contract;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use oms_operator::emulator::{
    config::Config,
    server::{Emulator, Options},
};
use oms_operator::oms::{
    BandwidthWindow, BatchUpdateTasks, Budget, Class, Client, CreateSyncEvents, CreateSyncTask,
    CreateTaskGroup, Credentials, Delivery, GroupDestinationNode, GroupKeys, GroupSourceNode, GroupStatus,
    ListSyncTasks, ListTaskGroup, ListTasks, RetryTaskGroup, Settings, StartSyncTask, StartTaskGroup,
    StatisticKind, SyncStatus, SyncTask, SyncTaskStatisticQuery, TaskGroup, TaskSelection, TaskStatus,
    Urgency,
};
use rusty_s3::{Bucket, S3Action as _, UrlStyle};
use serde_json::json;

use crate::contract::watch::{Held, Watch};

const DEADLINE: Duration = Duration::from_secs(30);
const PROJECT: &str = "2c0689c860ad4728a497c91ec0844383";
const USER: Urgency = Urgency::User;

/// A key in which every character that an encoding may trip over occurs.
const ODD: &str = "2025/a+b %2F&=?#\u{4e2d}";

/// An emulator with objects in its source, and a client of it.
struct World {
    client: Client,
    source: String,
    destination: String,
    http: reqwest::Client,
    /// Lives as long as the test.
    _emulator: Emulator,
    /// Fails the test when a call broke the contract.
    _watch: Watch,
}

impl World {
    async fn start() -> Self {
        let config = json!({
            "projects": [{"id": PROJECT, "region": "cn-north-4",
                          "accessKeys": [{"access": "PROJECTKEY", "secret": "project-secret"}]}],
            "embeddedStores": [
                {"name": "source", "cloudType": "AWS", "accessKeys": [{"access": "SOURCEKEY", "secret": "source-secret"}]},
                {"name": "destination", "cloudType": "OBS", "region": "cn-north-4",
                 "accessKeys": [{"access": "DESTINATIONKEY", "secret": "destination-secret"}]},
            ],
            "behaviour": {"privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": 0, "pauseMs": 0,
                          "staleInProgressMs": 0, "groupStartDelayMs": 0, "groupCreationMs": 0, "groupDeletionMs": 0},
        });
        let watch = Watch::over(Held::Both);
        let options = Options::local(Config::parse(&config.to_string()).unwrap());
        let emulator = Emulator::start(watch.with(options)).await.unwrap();
        let ready = emulator.endpoints().to_json();
        let store = |name: &str| {
            let stores = ready["stores"].as_array().unwrap();
            let store = stores.iter().find(|store| store["name"] == name).unwrap();
            store["endpoint"].as_str().unwrap().to_owned()
        };
        let credentials = Credentials::keys("PROJECTKEY", "project-secret".into(), None);
        let settings = Settings::new(ready["oms"].as_str().unwrap(), PROJECT);
        let world = Self {
            client: Client::new(settings, credentials, Budget::new(1_000.0)).unwrap(),
            source: store("source"),
            destination: store("destination"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _emulator: emulator,
            _watch: watch,
        };
        let keys = rusty_s3::Credentials::new("DESTINATIONKEY", "destination-secret");
        let url = bucket(&world.destination, "archive").create_bucket(&keys).sign(DEADLINE);
        assert!(world.http.put(url).send().await.unwrap().status().is_success());
        let keys = rusty_s3::Credentials::new("SOURCEKEY", "source-secret");
        let url = bucket(&world.source, "photos").create_bucket(&keys).sign(DEADLINE);
        assert!(world.http.put(url).send().await.unwrap().status().is_success());
        for key in ["2024/a", "2024/b", ODD] {
            let url = bucket(&world.source, "photos").put_object(Some(&keys), key).sign(DEADLINE);
            let put = world.http.put(url).body(format!("the photo {key}"));
            assert!(put.send().await.unwrap().status().is_success());
        }
        world
    }

    async fn copied(&self, key: &str) -> String {
        let keys = rusty_s3::Credentials::new("DESTINATIONKEY", "destination-secret");
        let url = bucket(&self.destination, "archive").get_object(Some(&keys), key).sign(DEADLINE);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn group_until(&self, id: &str, done: impl Fn(&TaskGroup) -> bool) -> TaskGroup {
        let begun = Instant::now();
        loop {
            let group = self.client.show_task_group(id, USER).await.unwrap();
            if done(&group) {
                return group;
            }
            assert!(begun.elapsed() < DEADLINE, "{group:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sync_until(&self, id: &str, done: impl Fn(&SyncTask) -> bool) -> SyncTask {
        let begun = Instant::now();
        loop {
            let task = self.client.show_sync_task(id, Timestamp::now(), USER).await.unwrap();
            if done(&task) {
                return task;
            }
            assert!(begun.elapsed() < DEADLINE, "{task:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn bucket(endpoint: &str, name: &str) -> Bucket {
    Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, name.to_owned(), "us-east-1").unwrap()
}

fn group(secret: &str) -> CreateTaskGroup {
    CreateTaskGroup {
        task_type: "PREFIX".into(),
        src_node: GroupSourceNode {
            cloud_type: "AWS".into(),
            region: Some("eu-west-1".into()),
            bucket: Some("photos".into()),
            ak: Some("SOURCEKEY".into()),
            sk: Some(secret.into()),
            object_key: vec![String::new()],
            ..GroupSourceNode::default()
        },
        dst_node: GroupDestinationNode {
            ak: "DESTINATIONKEY".into(),
            sk: "destination-secret".into(),
            region: "cn-north-4".into(),
            bucket: "archive".into(),
            ..GroupDestinationNode::default()
        },
        description: Some("all photos".into()),
        enable_failed_object_recording: Some(true),
        bandwidth_policy: vec![window()],
        ..CreateTaskGroup::default()
    }
}

fn window() -> BandwidthWindow {
    BandwidthWindow { start: "00:00".into(), end: "23:59".into(), max_bandwidth: 104_857_600 }
}

fn keys() -> GroupKeys {
    GroupKeys {
        src_ak: Some("SOURCEKEY".into()),
        src_sk: Some("source-secret".into()),
        dst_ak: "DESTINATIONKEY".into(),
        dst_sk: "destination-secret".into(),
        ..GroupKeys::default()
    }
}

#[tokio::test]
async fn a_group_runs_from_its_creation_to_its_deletion() {
    let world = World::start().await;
    let client = &world.client;
    let id = client.create_task_group(&group("source-secret"), Urgency::Create).await.unwrap().group_id;
    let done = world.group_until(&id, |group| group.status.is_settled()).await;
    assert_eq!((done.status, done.success_num, done.fail_num), (GroupStatus::Completed, 3, 0), "{done:?}");
    assert_eq!(done.description, "all photos");
    assert_eq!(done.bandwidth_policy, [window()]);
    assert_eq!(done.src_node.cloud_type.as_deref(), Some("AWS"));
    assert_eq!(world.copied(ODD).await, format!("the photo {ODD}"));

    let query = ListTaskGroup { status: Some(GroupStatus::Completed), ..ListTaskGroup::default() };
    let page = client.list_task_group(&query, USER).await.unwrap();
    assert_eq!((page.count, page.groups[0].group_id.as_str()), (1, id.as_str()));
    let members = ListTasks { group_id: Some(id.clone()), ..ListTasks::default() };
    let members = client.list_tasks(&members, USER).await.unwrap().tasks;
    assert!(!members.is_empty());
    assert!(members.iter().all(|task| task.status == TaskStatus::Succeeded));
    assert!(members.iter().all(|task| task.group_id.as_deref() == Some(&id)));
    assert!(members.iter().all(|task| task.group_type.as_deref() == Some("GROUP_TASK")));

    let over = [
        client.stop_task_group(&id, USER).await.unwrap_err(),
        client.start_task_group(&id, &StartTaskGroup { keys: keys() }, USER).await.unwrap_err(),
        client
            .retry_task_group(&id, &RetryTaskGroup { keys: keys(), ..Default::default() }, USER)
            .await
            .unwrap_err(),
        client.update_task_group(&id, &[window()], USER).await.unwrap_err(),
    ];
    for error in over {
        assert_eq!((error.class(), error.delivery()), (Class::Conflict, Delivery::Answered), "{error}");
    }
    client.delete_task_group(&id, Urgency::Delete).await.unwrap();
    let begun = Instant::now();
    loop {
        match client.show_task_group(&id, USER).await {
            Ok(group) => assert!(group.status.is_being_deleted(), "{group:?}"),
            Err(error) if error.is_not_found() => break,
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_sync_task_copies_what_it_is_told_of_and_counts_it() {
    let world = World::start().await;
    let client = &world.client;
    let create = CreateSyncTask {
        src_cloud_type: "AWS".into(),
        src_region: "eu-west-1".into(),
        src_bucket: "photos".into(),
        src_ak: "SOURCEKEY".into(),
        src_sk: "source-secret".into(),
        dst_ak: "DESTINATIONKEY".into(),
        dst_sk: "destination-secret".into(),
        dst_region: "cn-north-4".into(),
        dst_bucket: "archive".into(),
        description: Some("keep the photos".into()),
        ..CreateSyncTask::default()
    };
    let id = client.create_sync_task(&create, Urgency::Create).await.unwrap().sync_task_id;
    let keys =
        |keys: &[&str]| CreateSyncEvents { object_keys: keys.iter().map(|key| (*key).into()).collect() };
    client.create_sync_events(&id, &keys(&["2024/a", ODD]), USER).await.unwrap();
    let task = world.sync_until(&id, |task| task.monthly_success_object == Some(2)).await;
    assert_eq!((task.status, task.monthly_acceptance_request), (SyncStatus::Synchronizing, Some(2)));
    assert_eq!(task.consistency_check.as_deref(), Some("size_last_modified"));
    assert_eq!(world.copied(ODD).await, format!("the photo {ODD}"));

    let now = Timestamp::now();
    let query = SyncTaskStatisticQuery {
        kinds: vec![StatisticKind::Request, StatisticKind::Success, StatisticKind::Size],
        start_time: now - jiff::SignedDuration::from_hours(1),
        end_time: now + jiff::SignedDuration::from_hours(1),
    };
    let statistic = client.list_sync_task_statistic(&id, &query, USER).await.unwrap();
    let sums: Vec<u64> =
        statistic.series.iter().map(|series| series.points.iter().map(|point| point.sum).sum()).collect();
    let bytes = format!("the photo {ODD}").len() + "the photo 2024/a".len();
    assert_eq!(sums, [2, 2, bytes as u64]);

    let page = client.list_sync_tasks(&ListSyncTasks::default(), USER).await.unwrap();
    assert_eq!((page.count, page.tasks[0].description.as_str()), (1, "keep the photos"));
    let running = client.delete_sync_task(&id, USER).await.unwrap_err();
    assert_eq!(running.class(), Class::Conflict, "{running}");
    client.stop_sync_task(&id, USER).await.unwrap();
    assert_eq!(world.sync_until(&id, |_| true).await.status, SyncStatus::Stopped);
    assert!(client.create_sync_events(&id, &keys(&["2024/b"]), USER).await.is_err());
    let start = StartSyncTask {
        src_ak: "SOURCEKEY".into(),
        src_sk: "source-secret".into(),
        dst_ak: "DESTINATIONKEY".into(),
        dst_sk: "destination-secret".into(),
        ..StartSyncTask::default()
    };
    client.start_sync_task(&id, &start, USER).await.unwrap();
    client.create_sync_events(&id, &keys(&["2024/b"]), USER).await.unwrap();
    world.sync_until(&id, |task| task.monthly_success_object == Some(3)).await;
    client.stop_sync_task(&id, USER).await.unwrap();
    client.delete_sync_task(&id, USER).await.unwrap();
    assert!(client.show_sync_task(&id, now, USER).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_group_that_nobody_knows_is_told_as_such() {
    let world = World::start().await;
    let (client, id) = (&world.client, "9522a7e5-b4fc-44b9-93e1-4dbadbd86e67");
    let batch = BatchUpdateTasks {
        tasks: TaskSelection::Group(id.into()),
        bandwidth_policy: vec![window()],
        task_priority: None,
    };
    let errors = [
        client.batch_update_tasks(&batch, USER).await.unwrap_err(),
        client.show_task_group(id, USER).await.unwrap_err(),
        client.delete_task_group(id, USER).await.unwrap_err(),
        client.show_sync_task(id, Timestamp::now(), USER).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_not_found(), "{error}");
    }
}

#[tokio::test]
async fn the_versions_are_those_of_the_service() {
    let world = World::start().await;
    let versions = world.client.list_api_versions(USER).await.unwrap();
    let ids: Vec<_> = versions.iter().map(|version| version.id.as_str()).collect();
    assert!(ids.contains(&"v2"), "{versions:?}");
    assert_eq!(world.client.show_api_info("v2", USER).await.unwrap().id, "v2");
    let unknown = world.client.show_api_info("v9", USER).await.unwrap_err();
    assert_eq!(unknown.http_status(), Some(404), "{unknown}");
}
