//! Where the reference contradicts itself or the service: what each says, and which reading is taken.

/// One contradiction.
pub(crate) struct Contradiction {
    /// The operations it is about.
    pub(crate) operations: &'static [&'static str],
    /// What one source says and what another says.
    pub(crate) sources: &'static str,
    /// What the client does.
    pub(crate) client: &'static str,
    /// What the emulator does.
    pub(crate) emulator: &'static str,
    /// The switch for the other reading: a member of `behaviour`, or none.
    pub(crate) switch: Option<&'static str>,
}

const fn row(
    operations: &'static [&'static str],
    sources: &'static str,
    client: &'static str,
    emulator: &'static str,
    switch: Option<&'static str>,
) -> Contradiction {
    Contradiction { operations, sources, client, emulator, switch }
}

pub(crate) const CONTRADICTIONS: &[Contradiction] = &[
    row(
        &["ShowTask", "ListTasks"],
        "Task states are 1 to 7; clients of the live service have met 0",
        "reads 0 as initialising, and any other number as unknown",
        "a waiting task reads as 1",
        Some("initialisingMs"),
    ),
    row(
        &["ShowTask"],
        "An unknown task is answered with 404; the service answers 400 with OMS.1009",
        "takes both as not found",
        "400",
        Some("notFoundStatus"),
    ),
    row(
        &["DeleteTask"],
        "OMS.0063 means that the task runs; the service answers it for a while after the task stopped",
        "reports a conflict, which the operator looks at again",
        "refuses for two seconds after a stop",
        Some("staleInProgressMs"),
    ),
    row(
        &["StopTask"],
        "A task that waits: the pages say only that a running one can be stopped, one console offers it",
        "tries; OMS.0066 means to look again",
        "OMS.0066",
        Some("stopWaitingTasks"),
    ),
    row(
        &["ShowTask", "ListTasks", "ShowTaskGroup"],
        "`migrate_since` is in seconds in requests and in milliseconds in answers; Terraform's provider reads seconds back",
        "sends seconds; reads values from 100,000,000,000 on as milliseconds",
        "answers milliseconds",
        Some("migrateSinceUnit"),
    ),
    row(
        &["CreateTask", "CreateTaskGroup", "CreateSyncTask"],
        "`enable_kms` is gone from the reference; older clients send it always, and the service takes it",
        "never sends it",
        "ignores it, as every member that it does not know",
        None,
    ),
    row(
        &["CreateTask"],
        "A bad description is OMS.0078 with the characters of one table, or those of another; the service answered OMS.0064 with `error_detail`",
        "sends neither set; reads both codes",
        "OMS.0064 with `error_detail` for either set",
        Some("descriptionCode"),
    ),
    row(
        &["CreateTask", "StartTask"],
        "`ak` and `sk` are mandatory unless `url_list`; Azure has a connection string, Google a credentials file",
        "sends what the cloud uses",
        "takes either",
        None,
    ),
    row(
        &["CreateTask"],
        "The sentence on `cloud_type` prints \"not url_list\" where `url_list` is meant",
        "sends `URLSource` exactly with `url_list`",
        "S3M.0095 otherwise",
        None,
    ),
    row(
        &["CreateTask", "CreateTaskGroup", "CreateSyncTask", "ShowCdnInfo"],
        "`QINIU_PRIVATE_AUTHENTICATION` is printed in two spellings; `protocol` in upper and in lower case",
        "sends upper case and lower case",
        "takes any case",
        None,
    ),
    row(
        &["CreateTask"],
        "1,500 tasks a day in the reference; 200, 5,000 and 1,000,000 on other pages",
        "knows no number, and goes by OMS.1021 and OMS.0077",
        "1,500 created and 1,500 waiting; `limits` changes both",
        None,
    ),
    row(
        &["BatchUpdateTasks"],
        "`bandwidth_policy` is mandatory; a public client leaves it out",
        "always sends it",
        "refuses a call without it",
        Some("batchPolicyRequired"),
    ),
    row(
        &["StopTaskGroup"],
        "A group that is creating its tasks can be stopped; the service refuses it",
        "tries; a refusal means to wait",
        "refuses it",
        Some("groupStopWhileCreating"),
    ),
    row(
        &["DeleteTaskGroup"],
        "A group that runs is refused with OMS.1047; Terraform's provider meets OMS.0063",
        "takes both as a conflict",
        "OMS.1047, and OMS.0063 for a moment after a stop",
        Some("staleInProgressMs"),
    ),
    row(
        &["ShowTaskGroup", "ListTaskGroup"],
        "The numbers of tasks are documented; the examples of real answers have null",
        "reads both",
        "null",
        Some("groupTaskNumbers"),
    ),
    row(
        &["CreateTaskGroup", "ShowTaskGroup"],
        "Clouds and task types are written one way in requests and in upper case in answers",
        "reads any case",
        "answers upper case",
        None,
    ),
    row(
        &["CreateTaskGroup"],
        "`list_file_key` is called an object; examples and codes show a folder",
        "sends a folder",
        "reads every `.txt` in the folder",
        None,
    ),
    row(
        &["RetryTaskGroup"],
        "State 5 by the operation's text, 4 and 5 by OMS.1040, 4 by Terraform's documentation",
        "leaves it to the service",
        "allows 4 and 5",
        None,
    ),
    row(
        &["CreateSyncEvents"],
        "1 to 10 keys by the text, 1 to 100 by the array's limits",
        "sends at most 10",
        "refuses more than 10; `limits.syncEventObjects` changes it",
        None,
    ),
    row(
        &["CreateSyncTask", "ShowSyncTask"],
        "`consistency_check` is `transmission` in requests and `no_check` in answers",
        "reads both",
        "takes both, answers `no_check`",
        None,
    ),
    row(
        &["ShowSyncTask"],
        "`query_time` is mandatory and missing in the printed example",
        "always sends it",
        "refuses a call without it",
        None,
    ),
    row(
        &["CheckUrlSourceListFileFormat"],
        "The URI line and the example print different paths",
        "uses the URI line's",
        "serves the URI line's; the other is 404",
        None,
    ),
    row(
        &["ListApiVersions", "ShowApiInfo"],
        "`status` of a version is a text in the table and an object in the example",
        "reads both",
        "a text",
        Some("versions"),
    ),
    row(
        &["CreateTask", "CreateTaskGroup", "CreateSyncTask"],
        "200 is labelled \"Created\"; the general table knows 201",
        "takes every 2xx",
        "200",
        None,
    ),
    row(
        &["StartTask", "StopTask", "DeleteTask"],
        "No body is documented; clients have met `{}` and nothing",
        "reads neither",
        "nothing",
        None,
    ),
    row(
        &["CreateTask", "CreateTaskGroup", "CreateSyncTask"],
        "The missing consent is OMS.0092, OMS.1010 and S3M.0096 in three places of one table",
        "takes all three for it",
        "OMS.0092",
        Some("agreementCode"),
    ),
];
