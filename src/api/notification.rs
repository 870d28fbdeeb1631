//! Telling people about the end of a task, by Simple Message Notification (SMN).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Whom OMS tells about the end of the task, through Simple Message Notification (`smn_config`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::notification)]
pub struct Notification {
    /// URN of the topic, in the connection's region. OMS has to be allowed to publish to it.
    #[schemars(length(min = 1, max = 1024))]
    pub topic_urn: String,
    /// Which ends are told.
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub triggers: Vec<NotificationTrigger>,
    /// Language of the message.
    #[serde(default)]
    pub language: NotificationLanguage,
    /// Name of a message template of SMN; default: OMS's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 255))]
    pub template: Option<String>,
}

impl Notification {
    /// The region that the topic's URN names (`urn:smn:REGION:PROJECT:NAME`).
    pub fn topic_region(&self) -> Option<&str> {
        self.topic_urn.split(':').nth(2)
    }
}

/// An end that is told (`trigger_conditions`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotificationTrigger {
    /// The task succeeded.
    Success,
    /// The task failed.
    Failure,
}

impl NotificationTrigger {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        }
    }
}

/// Language of a notification (`language`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotificationLanguage {
    /// English; the default.
    #[default]
    #[serde(rename = "en-us")]
    EnUs,
    /// Chinese.
    #[serde(rename = "zh-cn")]
    ZhCn,
}

impl NotificationLanguage {
    /// As OMS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnUs => "en-us",
            Self::ZhCn => "zh-cn",
        }
    }
}

/// What became of the notification about the end of the task.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NotificationStatus {
    /// Whether it was sent.
    pub result: NotificationResult,
    /// What OMS says about one that was not sent, in its own words; as a rule an error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
    /// What to do about one that was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub remedy: Option<String>,
    /// Name of the topic, where OMS tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub topic_name: Option<String>,
}

/// Whether a notification was sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationResult {
    /// The task ended, and OMS does not tell yet.
    Pending,
    /// It was sent.
    Sent,
    /// It could not be sent; the task is none the worse for it.
    Failed,
    /// OMS did not tell within two minutes after the end.
    Unknown,
}
