//! Notifications about the ends of tasks and groups. Nothing is sent anywhere: what SMN would have delivered is
//! recorded, for the admin API to show.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    config::{Project, SmnTopic},
    groups::GroupStatus,
    mover::{Counters, ListFile},
    persist::Record,
    service::{Service, State},
    tasks::{Status, Task, service_zone},
    wire::{
        refusal::{Refusal, TOPIC_MISSING, TOPIC_NOT_AUTHORIZED, TOPIC_REGION},
        request::Notification,
    },
};

/// The word that examples of the reference have in the place of a topic's region.
const ANY_REGION: &str = "region";

/// What a notification that finds its topic gone fails with (OMS API reference, error codes).
const TOPIC_GONE: &str = "S3M.0157";

/// A notification, as SMN would have got it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Service time.
    pub at: Timestamp,
    /// Project of the task or group.
    pub project: String,
    /// The topic.
    pub topic_urn: String,
    /// `SUCCESS` or `FAILURE`.
    pub trigger: String,
    /// `zh-cn` or `en-us`.
    pub language: String,
    /// Name of the template that SMN would have filled in, if one was asked for.
    pub template: Option<String>,
    /// The task that ended, as a text.
    pub task_id: Option<String>,
    /// The group that ended.
    pub group_id: Option<String>,
    /// Code of why it was not delivered; absent for one that was.
    pub error: Option<String>,
    /// Subject of the message.
    pub subject: String,
    /// OMS's own words; a template would have been filled in instead.
    pub message: String,
    /// What templates can use (OMS API reference 5.3.3, `message_template_name`), by name.
    pub variables: BTreeMap<String, String>,
}

/// What became of a notification: `smn_info` of a task, `smn_config` of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    /// Name of the topic.
    pub topic: String,
    /// Code of why it was not delivered; absent for one that was.
    pub error: Option<String>,
}

impl Notified {
    /// As answers show it.
    pub fn shown(&self) -> Value {
        json!({
            "notify_result": self.error.is_none(),
            "notify_error_message": self.error.as_deref().unwrap_or_default(),
            "topic_name": self.topic,
        })
    }
}

/// What ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// A task with this ID.
    Task(u64),
    /// A group with this ID.
    Group(&'a str),
}

/// The end of a task or group.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// What ended.
    pub what: Ended<'a>,
    /// Its project.
    pub project: &'a str,
    /// Its name; the ID of a group.
    pub name: &'a str,
    /// Whether it ended well.
    pub succeeded: bool,
    /// Begin of the run.
    pub started: Option<Timestamp>,
    /// End of the run.
    pub ended: Timestamp,
    /// What was copied.
    pub counters: Counters,
    /// Source bucket; empty for URL lists.
    pub source_bucket: &'a str,
    /// Destination bucket.
    pub destination_bucket: &'a str,
    /// List file, or the folder of them that a group has.
    pub list_file: Option<&'a ListFile>,
    /// Folder or key of the list of objects that were copied.
    pub succeeded_list: Option<&'a str>,
    /// Folder or key of the list of objects that failed.
    pub failed_list: Option<&'a str>,
}

impl Service {
    /// Whether a notification can be asked for: the topic lies in the project's region, exists and may be used. Without
    /// topics in the configuration every one exists.
    pub fn check_topic(&self, project: &Project, notification: Option<&Notification>) -> Result<(), Refusal> {
        let Some(notification) = notification else { return Ok(()) };
        let urn = notification.topic_urn.as_str();
        let region = urn.strip_prefix("urn:smn:").and_then(|rest| rest.split(':').next());
        if region.is_some_and(|region| region != project.region && region != ANY_REGION) {
            return Err(TOPIC_REGION);
        }
        match self.topic(urn) {
            Topic::Missing => Err(TOPIC_MISSING),
            Topic::Configured(topic) if !topic.authorized => Err(TOPIC_NOT_AUTHORIZED),
            Topic::Configured(_) | Topic::Assumed => Ok(()),
        }
    }

    fn topic(&self, urn: &str) -> Topic<'_> {
        match &self.config.smn_topics {
            None => Topic::Assumed,
            Some(topics) => {
                topics.iter().find(|topic| topic.urn == urn).map_or(Topic::Missing, Topic::Configured)
            }
        }
    }

    /// Records the notification about an end, where one was asked for, and tells what became of it. The caller keeps
    /// that with the task or group, and writes both down.
    pub fn notify(
        &self,
        state: &mut State,
        wanted: Option<&Notification>,
        end: &End<'_>,
    ) -> Option<Notified> {
        let wanted =
            wanted.filter(|wanted| if end.succeeded { wanted.on_success } else { wanted.on_failure })?;
        let error = match self.topic(&wanted.topic_urn) {
            Topic::Missing => Some(TOPIC_GONE.to_owned()),
            Topic::Configured(topic) => topic.delivery_error.clone(),
            Topic::Assumed => None,
        };
        let entry = entry(wanted, end, error.clone());
        if self.is_persistent() {
            self.record_lazily(&Record::Notified(Box::new(entry.clone())));
        }
        state.ledger.add_notification(entry);
        Some(Notified { topic: wanted.topic_name().to_owned(), error })
    }

    /// Tells of the end of a task, where that was asked for. To be called when it has just ended.
    pub(super) fn notify_of_task(&self, state: &mut State, id: u64) {
        let Some(task) = state.ledger.find(id) else { return };
        let Some(succeeded) = has_succeeded(task) else { return };
        if task.definition.notification.is_none() {
            return;
        }
        let (task, failed_list) = (task.clone(), task.checkpoint.failed_list_key());
        let definition = &task.definition;
        let end = End {
            what: Ended::Task(id),
            project: &task.project,
            name: &task.name,
            succeeded,
            started: task.started,
            ended: task.ended.unwrap_or_else(|| self.clock.now()),
            counters: task.checkpoint.counters,
            source_bucket: &definition.source_bucket,
            destination_bucket: &definition.destination_bucket,
            list_file: definition.list_file.as_ref(),
            succeeded_list: task.checkpoint.success_lists.first().map(String::as_str),
            failed_list: failed_list.as_deref(),
        };
        let notified = self.notify(state, definition.notification.as_ref(), &end);
        state.ledger.change(id, |task| task.notified = notified);
    }
}

impl Service {
    /// Tells of the end of a group, where that was asked for. To be called when it has just changed its state.
    pub(super) fn notify_of_group(&self, state: &mut State, id: &str) {
        let Some(group) = state.ledger.find_group(id) else { return };
        let succeeded = match group.status {
            GroupStatus::Completed => true,
            GroupStatus::Failed | GroupStatus::CreationFailed => false,
            _ => return,
        };
        if group.definition.notification.is_none() {
            return;
        }
        let group = group.clone();
        let mut counters = Counters::default();
        let mut failed_list = None;
        for task in state.ledger.members(id) {
            counters.real_size += task.checkpoint.counters.real_size;
            if task.checkpoint.failed_list_key().is_some() {
                failed_list = Some(format!("oms/task_group/{id}/failed_object_lists/"));
            }
        }
        let definition = &group.definition;
        let end = End {
            what: Ended::Group(id),
            project: &group.project,
            name: id,
            succeeded,
            started: group.started,
            ended: group.ended.unwrap_or(group.since),
            counters,
            source_bucket: &definition.source_bucket,
            destination_bucket: &definition.destination_bucket,
            list_file: definition.list_file.as_ref(),
            succeeded_list: None,
            failed_list: failed_list.as_deref(),
        };
        let notified = self.notify(state, definition.notification.as_ref(), &end);
        state.ledger.change_group(id, |group| group.notified = notified);
    }
}

/// What is known of a topic.
enum Topic<'a> {
    /// No topics are configured, so it is taken to be there.
    Assumed,
    /// It is configured.
    Configured(&'a SmnTopic),
    /// Others are configured.
    Missing,
}

fn has_succeeded(task: &Task) -> Option<bool> {
    match task.status {
        Status::Succeeded => Some(true),
        Status::Failed => Some(false),
        _ => None,
    }
}

fn entry(wanted: &Notification, end: &End<'_>, error: Option<String>) -> Entry {
    let chinese = wanted.language == "zh-cn";
    let status = match (chinese, end.succeeded) {
        (true, true) => "成功",
        (true, false) => "失败",
        (false, true) => "Succeeded",
        (false, false) => "Failed",
    };
    let variables = variables(end, status);
    let group = matches!(end.what, Ended::Group(_));
    let subject = match (chinese, group) {
        (true, false) => format!("OMS迁移任务{status}: {}", end.name),
        (true, true) => format!("OMS迁移任务组{status}: {}", end.name),
        (false, false) => format!("OMS migration task {}: {}", status.to_lowercase(), end.name),
        (false, true) => format!("OMS migration task group {}: {}", status.to_lowercase(), end.name),
    };
    let lines = variables.iter().filter(|(_, value)| !value.is_empty());
    let message = lines.map(|(name, value)| [name, ": ", value, "\n"].concat()).collect();
    let (task_id, group_id) = match end.what {
        Ended::Task(id) => (Some(id.to_string()), None),
        Ended::Group(id) => (None, Some(id.to_owned())),
    };
    Entry {
        at: end.ended,
        project: end.project.to_owned(),
        topic_urn: wanted.topic_urn.clone(),
        trigger: if end.succeeded { "SUCCESS" } else { "FAILURE" }.to_owned(),
        language: wanted.language.clone(),
        template: wanted.template.clone(),
        task_id,
        group_id,
        error,
        subject,
        message,
        variables,
    }
}

/// The variables of templates; one that says nothing about this end is empty. The reference gives the names only.
fn variables(end: &End<'_>, status: &str) -> BTreeMap<String, String> {
    let time = |at: Timestamp| at.to_zoned(service_zone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let took = end.started.map_or(SignedDuration::ZERO, |started| end.ended.duration_since(started));
    let seconds = u64::try_from(took.as_secs()).unwrap_or(0);
    let bytes = end.counters.real_size;
    let list = end.list_file;
    [
        ("Task_Status", status.to_owned()),
        ("Task_Name", end.name.to_owned()),
        ("Start_Time", end.started.map(time).unwrap_or_default()),
        ("Total_Time_Used", format!("{seconds} s")),
        ("Transferred_Data", format!("{bytes} B")),
        ("Average_Speed", format!("{} B/s", bytes.checked_div(seconds.max(1)).unwrap_or(0))),
        ("Source_Bucket", end.source_bucket.to_owned()),
        ("Destination_Bucket", end.destination_bucket.to_owned()),
        ("List_File_Bucket", list.map(|list| list.bucket.clone()).unwrap_or_default()),
        ("List_File_Key", list.map(|list| list.key.clone()).unwrap_or_default()),
        ("Success_object_list_path", end.succeeded_list.unwrap_or_default().to_owned()),
        ("Skip_object_list_path", String::new()),
        ("Failed_object_list_path", end.failed_list.unwrap_or_default().to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
