//! What is sent: with as little as it takes, or with every member that the client knows.

use jiff::Timestamp;
use oms_operator::oms::{
    BandwidthWindow, BatchUpdateTasks, BucketAccess, CheckPrefix, CheckUrlSourceListFileFormat,
    CreateSyncEvents, CreateSyncTask, CreateTask, CreateTaskGroup, Crypto, DestinationNode,
    GroupDestinationNode, GroupKeys, GroupSourceNode, GroupStatus, ListFile, ListSyncTasks, ListTaskGroup,
    ListTasks, ShowBucketObjects, ShowCdnInfo, SmnConfig, SourceCdn, SourceNode, StartSyncTask, StartTask,
    StatisticKind, SyncStatus, SyncTaskStatisticQuery, TaskId, TaskSelection, TaskStatus,
};

pub fn windows(full: bool) -> Vec<BandwidthWindow> {
    let window = |start: &str, end: &str, max_bandwidth| BandwidthWindow {
        start: start.into(),
        end: end.into(),
        max_bandwidth,
    };
    if !full {
        return Vec::new();
    }
    vec![
        window("00:00", "01:00", 1024 * 1024),
        window("01:00", "02:30", 200 * 1024 * 1024),
        window("08:00", "12:00", 50_000_000),
        window("12:00", "18:59", 2 * 1024 * 1024),
        window("20:00", "23:59", 3 * 1024 * 1024),
    ]
}

pub fn key_management() -> Crypto {
    Crypto { crypto_type: "KMS".into(), kms_key_id: Some("0d0466b0-e727-4d9c-b35d-f84bb474a37f".into()) }
}

pub fn cdn() -> SourceCdn {
    SourceCdn {
        domain: "cdn.example.test".into(),
        protocol: "https".into(),
        authentication_type: "ALIYUN_OSS_A".into(),
        authentication_key: Some("cdn-key".into()),
        crypto: Some(key_management()),
    }
}

pub fn notification() -> SmnConfig {
    SmnConfig {
        topic_urn: "urn:smn:cn-north-4:4cf2090802d94440b4cdd72ef26857b2:OMS".into(),
        trigger_conditions: vec!["SUCCESS".into(), "FAILURE".into()],
        language: Some("en-us".into()),
        message_template_name: Some("oms".into()),
    }
}

/// Everything at once would be refused for what does not go together, so the cloud is the one that knows most members.
pub fn create_task(full: bool) -> CreateTask {
    let bare = CreateTask {
        task_type: "prefix".into(),
        src_node: SourceNode {
            cloud_type: "Tencent".into(),
            region: Some("ap-beijing".into()),
            bucket: Some("photos".into()),
            ak: Some("source-ak".into()),
            sk: Some("source-sk".into()),
            app_id: Some("1250000000".into()),
            object_key: vec![String::new()],
            ..SourceNode::default()
        },
        dst_node: DestinationNode {
            ak: "destination-ak".into(),
            sk: "destination-sk".into(),
            region: "cn-north-4".into(),
            bucket: "archive".into(),
            ..DestinationNode::default()
        },
        ..CreateTask::default()
    };
    if !full {
        return bare;
    }
    CreateTask {
        src_node: SourceNode {
            security_token: Some("token".into()),
            connection_string: Some("AccountName=a;AccountKey=b".into()),
            json_auth_file: Some("{}".into()),
            object_key: Vec::new(),
            list_file: Some(list_file("a.txt")),
            crypto: Some(key_management()),
            ..bare.src_node
        },
        dst_node: DestinationNode {
            security_token: Some("token".into()),
            save_prefix: Some("imported/".into()),
            crypto: Some(key_management()),
            ..bare.dst_node
        },
        task_type: "list".into(),
        description: Some("oms-0123-4567-a1 weekly photos".into()),
        migrate_since: Some(1_704_067_200),
        bandwidth_policy: windows(true),
        enable_metadata_migration: Some(true),
        enable_restore: Some(true),
        enable_failed_object_recording: Some(true),
        enable_requester_pays: Some(true),
        object_overwrite_mode: Some("CRC64_COMPARISON_OVERWRITE".into()),
        dst_storage_policy: Some("SRC_STORAGE_MAPPING".into()),
        consistency_check: Some("crc64".into()),
        task_priority: Some("HIGH".into()),
        source_cdn: Some(cdn()),
        smn_config: Some(notification()),
    }
}

pub fn list_tasks(full: bool) -> ListTasks {
    if !full {
        return ListTasks::default();
    }
    ListTasks {
        status: Some(TaskStatus::Running),
        group_id: Some("9ad15f51-778f-4684-b47b-4c5109c0e105".into()),
        task_name: Some("photos & more".into()),
        limit: 100,
        offset: 200,
    }
}

pub fn start_task(full: bool) -> StartTask {
    let bare = StartTask {
        dst_ak: "destination-ak".into(),
        dst_sk: "destination-sk".into(),
        ..StartTask::default()
    };
    if !full {
        return bare;
    }
    StartTask {
        src_ak: Some("source-ak".into()),
        src_sk: Some("source-sk".into()),
        src_security_token: Some("token".into()),
        connection_string: Some("AccountName=a;AccountKey=b".into()),
        json_auth_file: Some("{}".into()),
        dst_security_token: Some("token".into()),
        source_cdn_authentication_key: Some("cdn-key".into()),
        src_crypto: Some(key_management()),
        dst_crypto: Some(key_management()),
        source_cdn_crypto: Some(key_management()),
        migrate_failed_object: true,
        ..bare
    }
}

pub fn batch(full: bool) -> BatchUpdateTasks {
    let tasks = if full {
        TaskSelection::Ids((1..=20).map(TaskId::new).collect())
    } else {
        TaskSelection::Group("9ad15f51-778f-4684-b47b-4c5109c0e105".into())
    };
    BatchUpdateTasks { tasks, bandwidth_policy: windows(full), task_priority: full.then(|| "LOW".into()) }
}

fn list_file(key: &str) -> ListFile {
    ListFile { obs_bucket: "lists".into(), list_file_key: key.into() }
}

/// Midnight of a day.
pub fn moment(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

pub fn create_task_group(full: bool) -> CreateTaskGroup {
    let bare = CreateTaskGroup {
        task_type: "PREFIX".into(),
        src_node: GroupSourceNode {
            cloud_type: "Tencent".into(),
            region: Some("ap-beijing".into()),
            bucket: Some("photos".into()),
            ak: Some("source-ak".into()),
            sk: Some("source-sk".into()),
            app_id: Some("1250000000".into()),
            object_key: vec![String::new()],
            ..GroupSourceNode::default()
        },
        dst_node: GroupDestinationNode {
            ak: "destination-ak".into(),
            sk: "destination-sk".into(),
            region: "cn-north-4".into(),
            bucket: "archive".into(),
            ..GroupDestinationNode::default()
        },
        ..CreateTaskGroup::default()
    };
    if !full {
        return bare;
    }
    CreateTaskGroup {
        task_type: "LIST".into(),
        src_node: GroupSourceNode {
            connection_string: Some("AccountName=a;AccountKey=b".into()),
            json_auth_file: Some("{}".into()),
            object_key: Vec::new(),
            list_file: Some(list_file("lists/")),
            crypto: Some(key_management()),
            ..bare.src_node
        },
        dst_node: GroupDestinationNode {
            cloud_type: Some("HEC".into()),
            save_prefix: Some("imported/".into()),
            crypto: Some(key_management()),
            ..bare.dst_node
        },
        description: Some("oms-0123-4567-a1 weekly photos".into()),
        migrate_since: Some(1_704_067_200),
        bandwidth_policy: windows(true),
        enable_metadata_migration: Some(true),
        enable_restore: Some(true),
        enable_failed_object_recording: Some(true),
        enable_requester_pays: Some(true),
        object_overwrite_mode: Some("CRC64_COMPARISON_OVERWRITE".into()),
        dst_storage_policy: Some("SRC_STORAGE_MAPPING".into()),
        consistency_check: Some("crc64".into()),
        source_cdn: Some(cdn()),
        smn_config: Some(notification()),
    }
}

pub fn list_task_group(full: bool) -> ListTaskGroup {
    if full {
        ListTaskGroup { status: Some(GroupStatus::Monitoring), limit: 100, offset: 200 }
    } else {
        ListTaskGroup::default()
    }
}

pub fn group_keys(full: bool) -> GroupKeys {
    let bare = GroupKeys {
        dst_ak: "destination-ak".into(),
        dst_sk: "destination-sk".into(),
        ..GroupKeys::default()
    };
    if !full {
        return bare;
    }
    GroupKeys {
        src_ak: Some("source-ak".into()),
        src_sk: Some("source-sk".into()),
        connection_string: Some("AccountName=a;AccountKey=b".into()),
        json_auth_file: Some("{}".into()),
        source_cdn_authentication_key: Some("cdn-key".into()),
        src_crypto: Some(key_management()),
        dst_crypto: Some(key_management()),
        source_cdn_crypto: Some(key_management()),
        ..bare
    }
}

pub fn create_sync_task(full: bool) -> CreateSyncTask {
    let bare = CreateSyncTask {
        src_cloud_type: "Aliyun".into(),
        src_region: "cn-beijing".into(),
        src_bucket: "photos".into(),
        src_ak: "source-ak".into(),
        src_sk: "source-sk".into(),
        dst_ak: "destination-ak".into(),
        dst_sk: "destination-sk".into(),
        dst_region: "cn-north-4".into(),
        dst_bucket: "archive".into(),
        ..CreateSyncTask::default()
    };
    if !full {
        return bare;
    }
    CreateSyncTask {
        src_cloud_type: "Tencent".into(),
        src_crypto: Some(key_management()),
        dst_crypto: Some(key_management()),
        description: Some("oms-0123-4567-a1 photos".into()),
        enable_metadata_migration: Some(true),
        enable_restore: Some(true),
        dst_storage_policy: Some("DEEP_ARCHIVE".into()),
        app_id: Some("1250000000".into()),
        source_cdn: Some(cdn()),
        consistency_check: Some("crc64".into()),
        ..bare
    }
}

pub fn start_sync_task(full: bool) -> StartSyncTask {
    let bare = StartSyncTask {
        src_ak: "source-ak".into(),
        src_sk: "source-sk".into(),
        dst_ak: "destination-ak".into(),
        dst_sk: "destination-sk".into(),
        ..StartSyncTask::default()
    };
    if !full {
        return bare;
    }
    StartSyncTask {
        src_crypto: Some(key_management()),
        dst_crypto: Some(key_management()),
        source_cdn_authentication_key: Some("cdn-key".into()),
        source_cdn_crypto: Some(key_management()),
        ..bare
    }
}

pub fn list_sync_tasks(full: bool) -> ListSyncTasks {
    if full {
        ListSyncTasks { status: Some(SyncStatus::Synchronizing), limit: 100, offset: 10_000 }
    } else {
        ListSyncTasks::default()
    }
}

pub fn statistic(full: bool) -> SyncTaskStatisticQuery {
    let all = vec![
        StatisticKind::Request,
        StatisticKind::Success,
        StatisticKind::Failure,
        StatisticKind::Skip,
        StatisticKind::Size,
    ];
    SyncTaskStatisticQuery {
        kinds: if full { all } else { vec![StatisticKind::Request] },
        start_time: moment("2026-11-01"),
        end_time: moment("2026-11-02"),
    }
}

pub fn events(full: bool) -> CreateSyncEvents {
    let keys: &[&str] =
        if full { &["a", "b/c d", "e+f", "\u{fc}", "g%2F", "h?", "i#", "j&", "k\"", "l//m"] } else { &["a"] };
    CreateSyncEvents { object_keys: keys.iter().map(|key| (*key).to_owned()).collect() }
}

/// How the source is opened; all ways at once where everything is to be sent.
pub fn access(full: bool) -> BucketAccess {
    let bare = BucketAccess {
        cloud_type: "AWS".into(),
        ak: Some("source-ak".into()),
        sk: Some("source-sk".into()),
        ..BucketAccess::default()
    };
    if !full {
        return bare;
    }
    BucketAccess {
        cloud_type: "Tencent".into(),
        connection_string: Some("AccountName=a;AccountKey=b".into()),
        json_auth_file: Some("{}".into()),
        app_id: Some("1250000000".into()),
        ..bare
    }
}

pub fn objects(full: bool) -> ShowBucketObjects {
    ShowBucketObjects {
        access: access(full),
        bucket: "photos".into(),
        region: "eu-west-1".into(),
        folder: if full { "2024/".into() } else { String::new() },
        page_size: if full { 100 } else { 1 },
        behind_filename: if full { "2024/a".into() } else { String::new() },
    }
}

pub fn check_prefix(full: bool) -> CheckPrefix {
    CheckPrefix {
        access: access(full),
        security_token: full.then(|| "token".into()),
        bucket: "photos".into(),
        region: "eu-west-1".into(),
        prefix: if full { "2024/".into() } else { String::new() },
    }
}

/// Google is not checked, so its key file is never sent.
pub fn check_cdn(full: bool) -> ShowCdnInfo {
    ShowCdnInfo {
        access: BucketAccess { json_auth_file: None, ..access(full) },
        bucket: "photos".into(),
        region: "eu-west-1".into(),
        source_cdn: if full {
            cdn()
        } else {
            SourceCdn {
                domain: "cdn.example.test".into(),
                protocol: "http".into(),
                authentication_type: "NONE".into(),
                ..SourceCdn::default()
            }
        },
        keys: if full { vec!["a".into(), "b/c d".into()] } else { Vec::new() },
    }
}

pub fn url_list() -> CheckUrlSourceListFileFormat {
    CheckUrlSourceListFileFormat {
        list_file: list_file("urls.txt"),
        ak: "destination-ak".into(),
        sk: "destination-sk".into(),
        region: "cn-north-4".into(),
    }
}
