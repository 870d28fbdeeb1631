//! Notifications through Huawei Cloud's Simple Message Notification (SMN).

use serde::{Deserialize, Serialize};

use super::lenient;

/// Whom to tell when a task ends (OMS API reference 5.3.3, `smn_config`). SMN trouble does not fail the task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SmnConfig {
    /// URN of a topic in the endpoint's region.
    pub topic_urn: String,
    /// `SUCCESS`, `FAILURE` or both.
    pub trigger_conditions: Vec<String>,
    /// `zh-cn` or `en-us` (OMS's default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// An SMN template to send instead of OMS's own text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_template_name: Option<String>,
}

/// What became of a notification. It is there once the task has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SmnInfo {
    /// Whether the message was sent.
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub notify_result: Option<bool>,
    /// Code that says why it was not, such as `S3M.0156`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub notify_error_message: Option<String>,
    /// Name of the topic; documented as empty once the message was sent.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub topic_name: Option<String>,
}
