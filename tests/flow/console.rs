//! Somebody at the OMS console, or any other client of OMS: of what is done here the operator is not told.

use oms_operator::oms::{self, BandwidthWindow, BatchUpdateTasks, TaskId, TaskSelection, Urgency};

use crate::world::{PROJECT, REGION, World, eventually};

/// Another client of the emulated OMS.
pub(crate) struct Console<'w> {
    world: &'w World,
    client: oms::Client,
}

impl World {
    /// Somebody at the console of the project.
    pub(crate) fn console(&self) -> Console<'_> {
        self.console_of(PROJECT)
    }

    /// Somebody at the console of any project.
    pub(crate) fn console_of(&self, project: &str) -> Console<'_> {
        let settings = oms::Settings::new(&self.emulator.endpoints().oms, project);
        let keys = &self.oms_keys;
        let credentials = oms::Credentials::keys(&keys.access, keys.secret.clone().into(), None);
        let client = oms::Client::new(settings, credentials, oms::Budget::new(100.0)).unwrap();
        Console { world: self, client }
    }
}

fn number(id: &str) -> TaskId {
    TaskId::new(id.parse().unwrap())
}

fn said<T>(answer: Result<T, oms::Error>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

impl Console<'_> {
    /// Creates a task of the whole bucket `photos` into `photos-archive`, below a prefix when it is not empty.
    pub(crate) async fn create_task(&self, description: &str, prefix: &str) -> String {
        let request = oms::CreateTask {
            task_type: "prefix".into(),
            src_node: oms::SourceNode {
                cloud_type: "AWS".into(),
                region: Some("eu-west-1".into()),
                bucket: Some("photos".into()),
                ak: Some(self.world.source_keys.access.clone().into()),
                sk: Some(self.world.source_keys.secret.clone().into()),
                object_key: vec![String::new()],
                ..oms::SourceNode::default()
            },
            dst_node: oms::DestinationNode {
                region: REGION.into(),
                bucket: "photos-archive".into(),
                ak: self.world.destination_keys.access.clone().into(),
                sk: self.world.destination_keys.secret.clone().into(),
                save_prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
                ..oms::DestinationNode::default()
            },
            description: Some(description.to_owned()),
            ..oms::CreateTask::default()
        };
        self.client.create_task(&request, Urgency::User).await.unwrap().id.get().to_string()
    }

    /// Creates a group of the whole bucket `photos` into `photos-archive`.
    pub(crate) async fn create_group(&self) -> String {
        let request = oms::CreateTaskGroup {
            task_type: "PREFIX".into(),
            src_node: oms::GroupSourceNode {
                cloud_type: "AWS".into(),
                region: Some("eu-west-1".into()),
                bucket: Some("photos".into()),
                ak: Some(self.world.source_keys.access.clone().into()),
                sk: Some(self.world.source_keys.secret.clone().into()),
                object_key: vec![String::new()],
                ..oms::GroupSourceNode::default()
            },
            dst_node: oms::GroupDestinationNode {
                region: REGION.into(),
                bucket: "photos-archive".into(),
                ak: self.world.destination_keys.access.clone().into(),
                sk: self.world.destination_keys.secret.clone().into(),
                ..oms::GroupDestinationNode::default()
            },
            ..oms::CreateTaskGroup::default()
        };
        self.client.create_task_group(&request, Urgency::User).await.unwrap().group_id
    }

    /// Creates a sync task from `photos` to `photos-archive`.
    pub(crate) async fn create_sync_task(&self) -> String {
        let request = oms::CreateSyncTask {
            src_cloud_type: "AWS".into(),
            src_region: "eu-west-1".into(),
            src_bucket: "photos".into(),
            src_ak: self.world.source_keys.access.clone().into(),
            src_sk: self.world.source_keys.secret.clone().into(),
            dst_ak: self.world.destination_keys.access.clone().into(),
            dst_sk: self.world.destination_keys.secret.clone().into(),
            dst_region: REGION.into(),
            dst_bucket: "photos-archive".into(),
            ..oms::CreateSyncTask::default()
        };
        self.client.create_sync_task(&request, Urgency::User).await.unwrap().sync_task_id
    }

    /// Tells a sync task of objects.
    pub(crate) async fn name_objects(&self, sync_task: &str, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let request = oms::CreateSyncEvents { object_keys: keys };
        self.client.create_sync_events(sync_task, &request, Urgency::User).await.unwrap();
    }

    /// Stops a running task.
    pub(crate) async fn stop_task(&self, id: &str) {
        eventually("the task can be stopped", async || {
            said(self.client.stop_task(number(id), Urgency::User).await)
        })
        .await;
    }

    /// Starts a stopped or failed task.
    pub(crate) async fn start_task(&self, id: &str) {
        let (source, destination) = (&self.world.source_keys, &self.world.destination_keys);
        let request = oms::StartTask {
            src_ak: Some(source.access.clone().into()),
            src_sk: Some(source.secret.clone().into()),
            dst_ak: destination.access.clone().into(),
            dst_sk: destination.secret.clone().into(),
            ..oms::StartTask::default()
        };
        eventually("the task can be started", async || {
            said(self.client.start_task(number(id), &request, Urgency::User).await)
        })
        .await;
    }

    /// Deletes the record of a task that does not run.
    pub(crate) async fn delete_task(&self, id: &str) {
        eventually("the record can be deleted", async || {
            said(self.client.delete_task(number(id), Urgency::User).await)
        })
        .await;
    }

    /// Gives a task one bandwidth window from 08:00 to 20:00, in bytes per second.
    pub(crate) async fn limit_task(&self, id: &str, bytes_per_second: u64) {
        let windows = [window(bytes_per_second)];
        self.client.update_bandwidth_policy(number(id), &windows, Urgency::User).await.unwrap();
    }

    /// Sets the priority of a task that does not run, and takes its windows away, as OMS sets both together.
    pub(crate) async fn prioritize(&self, id: &str, priority: &str) {
        let request = BatchUpdateTasks {
            tasks: TaskSelection::Ids(vec![number(id)]),
            bandwidth_policy: Vec::new(),
            task_priority: Some(priority.to_owned()),
        };
        self.client.batch_update_tasks(&request, Urgency::User).await.unwrap();
    }

    /// Stops a group that has its tasks.
    pub(crate) async fn stop_group(&self, id: &str) {
        eventually("the group can be stopped", async || {
            said(self.client.stop_task_group(id, Urgency::User).await)
        })
        .await;
    }

    /// Starts a stopped group.
    pub(crate) async fn start_group(&self, id: &str) {
        let (source, destination) = (&self.world.source_keys, &self.world.destination_keys);
        let keys = oms::GroupKeys {
            src_ak: Some(source.access.clone().into()),
            src_sk: Some(source.secret.clone().into()),
            dst_ak: destination.access.clone().into(),
            dst_sk: destination.secret.clone().into(),
            ..oms::GroupKeys::default()
        };
        let request = oms::StartTaskGroup { keys };
        eventually("the group can be started", async || {
            said(self.client.start_task_group(id, &request, Urgency::User).await)
        })
        .await;
    }

    /// Deletes a group that does not run.
    pub(crate) async fn delete_group(&self, id: &str) {
        eventually("the group can be deleted", async || {
            said(self.client.delete_task_group(id, Urgency::User).await)
        })
        .await;
    }

    /// Gives a group one bandwidth window from 08:00 to 20:00, in bytes per second.
    pub(crate) async fn limit_group(&self, id: &str, bytes_per_second: u64) {
        self.client.update_task_group(id, &[window(bytes_per_second)], Urgency::User).await.unwrap();
    }

    /// Stops a sync task.
    pub(crate) async fn stop_sync_task(&self, id: &str) {
        self.client.stop_sync_task(id, Urgency::User).await.unwrap();
    }

    /// Starts a stopped sync task.
    pub(crate) async fn start_sync_task(&self, id: &str) {
        let (source, destination) = (&self.world.source_keys, &self.world.destination_keys);
        let request = oms::StartSyncTask {
            src_ak: source.access.clone().into(),
            src_sk: source.secret.clone().into(),
            dst_ak: destination.access.clone().into(),
            dst_sk: destination.secret.clone().into(),
            ..oms::StartSyncTask::default()
        };
        self.client.start_sync_task(id, &request, Urgency::User).await.unwrap();
    }

    /// Deletes a stopped sync task.
    pub(crate) async fn delete_sync_task(&self, id: &str) {
        self.client.delete_sync_task(id, Urgency::User).await.unwrap();
    }
}

fn window(bytes_per_second: u64) -> BandwidthWindow {
    BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: bytes_per_second }
}
