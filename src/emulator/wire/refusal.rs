//! Refusals: HTTP status, code and message, as OMS or the gateway in front of it writes them.

use std::borrow::Cow;

use serde_json::{Value, json};

/// A call that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Error code: `OMS.0064`, `APIGW.0301`.
    pub code: Cow<'static, str>,
    /// Message, for people.
    pub message: Cow<'static, str>,
    /// The third member that live answers carry and no page of the reference mentions.
    pub detail: Option<String>,
    /// How the body is made up.
    pub shape: Shape,
}

/// Whose answers a refusal looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OMS's and the gateway's: `error_code` and `error_msg`.
    Service,
    /// IAM's, which is Keystone: `error` with code, message and title.
    Keystone,
    /// The metadata service's: the message as a page of text.
    Page,
}

impl Refusal {
    const fn fixed(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            message: Cow::Borrowed(message),
            detail: None,
            shape: Shape::Service,
        }
    }

    /// A refusal in the common shape.
    pub fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None, shape: Shape::Service }
    }

    /// A refusal by IAM, whose code is the status.
    pub fn keystone(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { shape: Shape::Keystone, ..Self::new(status, status.to_string(), message) }
    }

    /// A refusal by the metadata service.
    pub fn page(status: u16, text: &'static str) -> Self {
        Self { shape: Shape::Page, ..Self::new(status, status.to_string(), text) }
    }

    /// STS does not give what was asked for.
    pub fn sts_denied(why: &str) -> Self {
        Self::new(403, "PAP5.0001", format!("access denied: {why}"))
    }

    /// STS cannot use a member of the request.
    pub fn sts_member(name: &str) -> Self {
        Self::new(400, "IAM.0007", format!("Request parameter {name} is invalid."))
    }

    /// A refusal by the gateway: 401 with APIGW.0301 and one of its known causes.
    pub fn authentication(cause: &str) -> Self {
        let message = format!("Incorrect IAM authentication information: {cause}");
        Self::new(401, "APIGW.0301", message)
    }

    /// 429 with APIGW.0308, whose text carries the limit, as the live gateway writes it.
    pub fn throttled(requests: u32, minutes: u32) -> Self {
        let message = format!(
            "The throttling threshold has been reached: policy user over ratelimit,limit:{requests},time:{minutes} minute"
        );
        Self::new(429, "APIGW.0308", message)
    }

    /// A request member that breaks its documented constraints: OMS.0064 with the member's name, as seen live.
    pub fn parameter(name: &str) -> Self {
        INVALID_PARAMETERS.with_detail(format!("request parameter [{name}] invalid."))
    }

    /// The same refusal with an explanation of its own.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same refusal with the explanation of another one.
    pub(super) fn with_detail_of(self, other: Self) -> Self {
        Self { detail: other.detail, ..self }
    }

    /// Whether the gateway or STS refuses, and not OMS behind it: their bodies carry the request ID.
    pub fn is_from_gateway(&self) -> bool {
        ["APIG", "PAP5", "IAM."].iter().any(|prefix| self.code.starts_with(prefix))
    }

    /// The body of the answer.
    pub fn body(&self, request_id: &str) -> Value {
        if self.shape == Shape::Keystone {
            let title = http::StatusCode::from_u16(self.status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or_default();
            return json!({ "error": { "code": self.status, "message": self.message, "title": title } });
        }
        let mut body = json!({ "error_code": self.code, "error_msg": self.message });
        if let Some(detail) = &self.detail {
            body["error_detail"] = json!(detail);
        }
        if self.is_from_gateway() {
            body["request_id"] = json!(request_id);
        }
        body
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $message:literal;)*) => {
        $($(#[$doc])* pub const $name: Refusal = Refusal::fixed($status, $code, $message);)*
    };
}

refusals! {
    /// The path or method does not exist.
    NO_SUCH_API = 404 "APIGW.0101" "The API does not exist or has not been published in the environment";
    /// A token that was revoked.
    TOKEN_MUST_BE_UPDATED = 401 "APIGW.0307" "The token must be updated.";
    /// The body is larger than the gateway takes with a signature.
    BODY_TOO_LARGE = 413 "APIGW.0201" "Request entity too large";
    /// The body did not arrive in time.
    BODY_TOO_SLOW = 408 "APIGW.0201" "Request timed out";
    /// More connections than there are places.
    TOO_MANY_CONNECTIONS = 503 "APIGW.0201" "Too many connections";
    /// The body broke off, or is no HTTP.
    BODY_BROKEN = 400 "APIGW.0201" "The request body is incomplete";
    /// The head is longer than the gateway takes.
    HEADERS_TOO_LARGE = 403 "S3M.0162" "The request header fields are too large.";
    /// Task ID that is no number.
    INVALID_TASK_ID = 400 "OMS.0054" "Invalid task ID.";
    /// Source values that make no sense together.
    INVALID_SOURCE = 400 "OMS.0057" "Invalid source parameters.";
    /// A running task cannot be deleted.
    IN_PROGRESS = 400 "OMS.0063" "The task is in progress and cannot be deleted.";
    /// A member with an unacceptable value. The text is the live one.
    INVALID_PARAMETERS = 400 "OMS.0064" "Invalid request parameters.";
    /// Start of a task that is started.
    ALREADY_STARTED = 400 "OMS.0065" "The task has been started and cannot be started again.";
    /// Stop of a task that does not run.
    NOT_RUNNING = 400 "OMS.0066" "Failed to pause the task because the task is not running.";
    /// The body is not JSON.
    NOT_JSON = 400 "OMS.0067" "The request parameters are not in JSON format.";
    /// A finished task cannot be started or stopped.
    COMPLETE = 400 "OMS.0070" "The task is complete and cannot be started or paused.";
    /// Too many tasks wait.
    TOO_MANY_WAITING = 400 "OMS.0077" "The number of created migration tasks exceeds the limit.";
    /// The source region cannot be migrated from.
    SOURCE_REGION = 400 "OMS.0079" "The source region is not supported.";
    /// More bandwidth windows than allowed.
    TOO_MANY_WINDOWS = 400 "OMS.0083" "The number of traffic limit rules exceeds the maximum.";
    /// A bandwidth outside the allowed range.
    BANDWIDTH_RANGE = 400 "OMS.0084" "The maximum traffic is out of range.";
    /// Bandwidth windows overlap.
    WINDOWS_OVERLAP = 400 "OMS.0085" "The time periods of the traffic limit rules overlap.";
    /// A bandwidth window that is no window of one day.
    INVALID_WINDOW = 400 "OMS.0087" "The time period of a traffic limit rule is incorrect.";
    /// A description with a forbidden character, where the code for it is used.
    DESCRIPTION_CHARACTERS = 400 "OMS.0078" "The description cannot contain the following special characters: <>()'\"&";
    /// Too many wrong keys in a row.
    TOO_MANY_ATTEMPTS = 400 "OMS.0090" "The number of failed attempts reaches the maximum. Try again later.";
    /// The privacy agreement was not accepted.
    AGREEMENT_MISSING = 400 "OMS.0092" "The privacy agreement has not been accepted.";
    /// The same by its newer code, where that is used.
    AGREEMENT_MISSING_NEWER = 400 "OMS.1010" "The privacy agreement has not been accepted.";
    /// The same by the code of the layer below, where that is used.
    AGREEMENT_MISSING_STORAGE = 400 "S3M.0096" "The privacy agreement has not been accepted.";
    /// The account is restricted.
    ACCOUNT_RESTRICTED = 400 "OMS.0201" "The account is restricted.";
    /// The account is frozen.
    ACCOUNT_FROZEN = 400 "OMS.0202" "The account is frozen.";
    /// The holder of the account has to confirm who they are.
    ACCOUNT_UNVALIDATED = 400 "OMS.0203" "The personal information of the account has not been validated.";
    /// The account has not passed real-name authentication.
    ACCOUNT_UNVERIFIED = 400 "OMS.0204" "The account has not passed real-name authentication.";
    /// The synchronization task was deleted.
    SYNC_TASK_DELETED = 400 "OMS.0093" "The synchronization task has been deleted.";
    /// The synchronization task does not synchronize.
    NOT_SYNCHRONIZING = 400 "OMS.0094" "The task is not being synchronized. Start the task and try again.";
    /// Nobody has this, or the caller may not see it.
    NO_ACCESS = 403 "OMS.0095" "You do not have the permission, or the task does not exist.";
    /// OMS may not publish to the topic.
    TOPIC_NOT_AUTHORIZED = 400 "OMS.0158" "OMS is not authorized to access the SMN topic.";
    /// There is no list of failed objects.
    FAILED_LIST_MISSING = 400 "OMS.0167" "The list of failed objects cannot be found.";
    /// The topic lies in another region.
    TOPIC_REGION = 400 "OMS.0168" "The SMN topic must be in the region of the service.";
    /// There is no such topic.
    TOPIC_MISSING = 400 "OMS.0169" "The SMN topic does not exist or you do not have the permission to use it.";
    /// The bucket that is asked about cannot be looked at.
    BUCKET_NOT_FOUND = 400 "OMS.0153" "Failed to query the bucket information.";
    /// More buckets than can be listed.
    TOO_MANY_BUCKETS = 400 "OMS.0154" "Only accounts with at most 700 buckets can be listed.";
    /// The region of a bucket cannot be found out.
    BUCKET_REGION = 400 "OMS.0155" "Failed to query the region of the bucket.";
    /// A batch update that cannot be carried out.
    UPDATE_FAILED = 400 "OMS.0170" "Failed to update the migration task.";
    /// A line of the URL list holds no URL.
    URL_LIST_URL = 400 "OMS.0173" "The URL list file contains an invalid URL.";
    /// The URL list is no UTF-8, or its URLs are not encoded as such.
    URL_LIST_CODING = 400 "OMS.0174" "Failed to parse the URL list file. It must be encoded in UTF-8.";
    /// The URL list does not exist.
    URL_LIST_MISSING = 400 "OMS.0175" "Failed to verify the URL list file. Check that the file exists.";
    /// A line of the URL list is no URL, tab and name.
    URL_LIST_LAYOUT = 400 "OMS.0176" "The content format of the URL list file is incorrect.";
    /// A URL of the list is neither http nor https.
    URL_LIST_PROTOCOL = 400 "OMS.0177" "The URL list file contains a URL whose protocol is neither HTTP nor HTTPS.";
    /// A name of the URL list is too long.
    URL_LIST_KEY = 400 "OMS.0178" "The URL list file contains an object key longer than 1,024 characters.";
    /// A line of the URL list is too long.
    URL_LIST_LINE = 400 "OMS.0179" "The URL list file contains a line longer than 65,535 characters.";
    /// The URL list may not be read.
    URL_LIST_METADATA = 400 "OMS.0180" "Failed to obtain the metadata of the URL list file.";
    /// The URL list is 1 GB or larger.
    URL_LIST_SIZE = 400 "OMS.0181" "The URL list file must be smaller than 1 GB.";
    /// Something that had to be asked did not answer.
    TIMED_OUT = 400 "OMS.0184" "The API processing timed out. Try again later.";
    /// The URL list is no `.txt`.
    URL_LIST_SUFFIX = 400 "OMS.0185" "The name of the URL list file must end with .txt.";
    /// The URL list is no text.
    URL_LIST_TYPE = 400 "OMS.0186" "The Content-Type of the URL list file must be text/plain.";
    /// The URL list is encoded.
    URL_LIST_ENCODING = 400 "OMS.0187" "The Content-Encoding of the URL list file must be empty.";
    /// The URL list starts with a byte order mark.
    URL_LIST_BOM = 400 "OMS.0188" "The URL list file must not start with a BOM.";
    /// The destination keys are wrong.
    DESTINATION_KEYS = 400 "OMS.0189" "The AK/SK of the destination is invalid.";
    /// The authorization of OMS could not be verified.
    ADMISSION_FAILED = 403 "OMS.0207" "The admission check failed.";
    /// A call within the service failed.
    INTERFACE_FAILED = 403 "OMS.0208" "The interface request failed.";
    /// KMS made no data key.
    KMS_CREATION_FAILED = 403 "OMS.0209" "The request to create a KMS key failed.";
    /// KMS decrypted no data key.
    KMS_DECRYPTION_FAILED = 403 "OMS.0210" "The request to decrypt the data key failed.";
    /// The agency of OMS gave no token.
    AGENCY_TOKEN_MISSING = 403 "OMS.0213" "Failed to obtain the agency token.";
    /// The caller may not make data keys.
    KMS_CREATION_NOT_PERMITTED = 403 "OMS.0215" "Policy does not allow kms:cmk:createDataKeyWithOutPlaintext to be performed.";
    /// The caller may not decrypt data keys.
    KMS_DECRYPTION_NOT_PERMITTED = 403 "OMS.0216" "Policy does not allow kms:cmk:decryptDataKey to be performed.";
    /// The KMS key is not enabled.
    KMS_KEY_STATE = 403 "OMS.0211" "The status of the KMS key is not supported.";
    /// There is no such KMS key.
    KMS_KEY_MISSING = 403 "OMS.0212" "The KMS key information is not found.";
    /// The caller may not use the KMS key.
    KMS_KEY_NOT_PERMITTED = 403 "OMS.0214" "Policy does not allow kms:cmk:get to be performed.";
    /// The KMS key is not symmetric. The service has this text in Chinese only.
    KMS_KEY_ASYMMETRIC = 400 "OMS.0217" "KMS密钥不支持对称加密";
    /// The source bucket may not be listed.
    LISTING_REFUSED = 400 "OMS.0302" "Failed to list source objects.";
    /// A parameter of the wrong type, where the code for it is used.
    PARAMETER_TYPE = 400 "OMS.1002" "Invalid parameter type.";
    /// A parameter that breaks a documented constraint, where the code for it is used.
    PARAMETER_CONSTRAINT = 400 "OMS.1003" "A parameter does not meet its constraints.";
    /// A parameter that is missing, where the code for it is used.
    PARAMETER_MISSING = 400 "OMS.1004" "A required parameter is missing.";
    /// The body is not JSON, where the code for it is used.
    BODY_NOT_JSON = 400 "OMS.1006" "The parameter is not in JSON format.";
    /// Nothing has this ID.
    NOT_FOUND = 400 "OMS.1009" "The resource is not found.";
    /// Too many wrong keys in a row, where the other code for it is used.
    TOO_MANY_FAILURES = 400 "OMS.1015" "The number of failures reaches the maximum. Try again later.";
    /// The source bucket does not exist, or the keys do not open it.
    SOURCE_BUCKET = 400 "OMS.1016" "Failed to obtain the details of the source bucket. Check the AK/SK and the bucket.";
    /// The destination bucket does not exist or may not be used.
    DESTINATION_BUCKET = 400 "OMS.1020" "Failed to access the destination bucket.";
    /// The quota of 24 hours is used up.
    DAILY_QUOTA = 400 "OMS.1021" "The quota for creating migration tasks has been used up. Try again after 24 hours.";
    /// The state of a group does not allow what is asked for.
    GROUP_STATE = 400 "OMS.1036" "The operation cannot be performed on the migration task group in its current state.";
    /// The quota of groups in 24 hours is used up.
    GROUP_QUOTA = 400 "OMS.1037" "No more than 100 migration task groups can be created in 24 hours.";
    /// Stop of a group that does not monitor its tasks.
    GROUP_NOT_RUNNING = 400 "OMS.1038" "Only tasks that are being executed can be paused.";
    /// Start of a group that is not paused.
    GROUP_NOT_PAUSED = 400 "OMS.1039" "Only paused tasks can be resumed.";
    /// Retry of a group that has not failed.
    GROUP_NOT_FAILED = 400 "OMS.1040" "Only tasks that failed to be created or executed can be restarted.";
    /// Delete of a group that is at work, or being deleted.
    GROUP_NOT_DELETABLE = 400 "OMS.1047" "A migration task group that is being created, monitored, paused or deleted cannot be deleted.";
    /// No group has this ID.
    NO_SUCH_GROUP = 404 "OMS.1009" "The resource is not found.";
    /// Not a state of groups.
    GROUP_STATUS_VALUE = 400 "S3M.1035" "The status of the migration task group is invalid.";
    /// A CDN that is signed needs a key.
    CDN_KEY_MISSING = 400 "OMS.1032" "The CDN authentication key is missing.";
    /// Nobody answers for the domain of the CDN, or it does not accept the key.
    CDN_CHECK = 400 "OMS.0081" "Failed to check the custom domain name.";
    /// The cloud of the source cannot restore archived objects.
    RESTORE_UNSUPPORTED = 400 "OMS.1048" "The source cloud does not support the restoration of archived data.";
    /// Show and statistics of a synchronization task that there is not: 404, as their pages say, without naming a code.
    SYNC_TASK_NOT_FOUND = 404 "OMS.1009" "The resource is not found.";
    /// There is no such synchronization task for events.
    SYNC_TASK_UNKNOWN = 404 "OMS.2002" "The synchronization task does not exist or is not started.";
    /// Who may only look wants to change something.
    READ_ONLY = 403 "OMS.0205" "You are a read-only user and cannot create, modify, or delete resources.";
    /// The caller has no right at OMS at all.
    NO_RIGHTS = 403 "OMS.0206" "You do not have permission to perform OMS operations.";
    /// The project in the path is not one of the caller's.
    PROJECT_REFUSED = 403 "OMS.2001" "Failed to verify the project.";
    /// A finished task keeps its bandwidth.
    COMPLETE_BANDWIDTH = 400 "S3M.0071" "The task is complete and its bandwidth policy cannot be changed.";
    /// Bucket and endpoint are in different regions.
    REGION_OF_ENDPOINT = 400 "S3M.0080" "The bucket must be in the region of the OMS endpoint.";
    /// Selection and task type do not fit.
    SELECTION_MISMATCH = 400 "S3M.0088" "The list_file or object_key does not match the task_type.";
    /// Too many synchronization tasks.
    TOO_MANY_SYNC_TASKS = 400 "S3M.0091" "The number of synchronization tasks exceeds the limit.";
    /// The destination prefix starts with a slash.
    DESTINATION_PREFIX = 400 "S3M.0092" "The destination prefix is invalid.";
    /// The overwrite mode does not fit the source.
    OVERWRITE_MODE = 400 "S3M.0093" "The object overwrite mode is not supported.";
    /// The consistency check does not fit the source.
    MIGRATION_POLICY = 400 "S3M.0094" "The migration policy is not supported.";
    /// Cloud and task type do not fit.
    CLOUD_MISMATCH = 400 "S3M.0095" "The cloud_type does not match the task_type.";
    /// A token of more than 16384 characters.
    TOKEN_TOO_LARGE = 403 "S3M.0163" "The request token is too large.";
    /// STS cannot read a body.
    STS_BODY = 400 "IAM.0011" "Request body is invalid.";
    /// No such API version.
    NO_SUCH_VERSION = 404 "S3M.0256" "The version does not exist.";
    /// Failed objects were not recorded.
    RECORDING_OFF = 400 "S3M.0301" "The retransmission of failed objects is not enabled.";
    /// The emulator could not write its state folder.
    NOT_SAVED = 500 "OMS.1001" "Internal error.";
}
