//! The printed requests of the API reference, sent as they stand: the emulator reads each of them, and refuses one only
//! for what its placeholders cannot satisfy.

use std::collections::BTreeSet;

use oms_operator::emulator::route::OPERATIONS;
use serde_json::{Value, json};

use crate::{
    contract::{
        Contract,
        examples::{Example, What},
    },
    world::{self, World},
};

/// Why an example is refused: operation, example (`*`: every one), codes, and what is wrong with it.
const REFUSED: &[(&str, &str, &[&str], &str)] = &[
    ("CreateTask", "chapter4_object", &["OMS.0064"], "`cloud_type` is no cloud"),
    ("CreateTask", "*", &["OMS.1020"], "no bucket can be called `dst_bucket`"),
    ("ShowTask", "*", &["OMS.1009"], "no such task"),
    ("StartTask", "*", &["OMS.1009"], "no such task"),
    ("StopTask", "*", &["OMS.1009"], "no such task"),
    ("DeleteTask", "*", &["OMS.1009"], "no such task"),
    ("UpdateBandwidthPolicy", "*", &["OMS.0054"], "the ID is no number"),
    ("BatchUpdateTasks", "*", &["OMS.1009"], "no such group, no such tasks"),
    ("ShowTaskGroup", "*", &["OMS.1009"], "no such group"),
    ("StartTaskGroup", "*", &["OMS.1009"], "no such group"),
    ("RetryTaskGroup", "*", &["OMS.1009"], "no such group"),
    ("UpdateTaskGroup", "*", &["OMS.1009"], "no such group"),
    ("DeleteTaskGroup", "*", &["OMS.1009"], "no such group"),
    ("StopTaskGroup", "*", &["APIGW.0101"], "the printed line has no /stop"),
    ("ShowSyncTask", "*", &["OMS.1004"], "the printed line has no query_time"),
    ("ListSyncTaskStatistic", "*", &["OMS.1004"], "the printed line has no times"),
    ("StartSyncTask", "*", &["OMS.1009"], "no such task"),
    ("DeleteSyncTask", "*", &["OMS.1009"], "no such task"),
    ("CreateSyncEvents", "*", &["OMS.2002"], "no such task"),
    ("CheckUrlSourceListFileFormat", "*", &["OMS.0180"], "no bucket can be called `obs_bucket_name`"),
    ("StopSyncTask", "*", &["APIGW.0101"], "the printed line has no /stop"),
];

/// A project of the examples, or made up for a region that they use.
const PROJECTS: [(&str, &str); 5] = [
    ("2c0689c860ad4728a497c91ec0844383", "cn-north-4"),
    ("f4e146cac1de45669c3fed73dc3b9c6f", "cn-north-4"),
    ("f697f813-554a-4f05-bac8-82a183b20878", "cn-north-4"),
    ("11111111111111111111111111111111", "cn-north-1"),
    ("77777777777777777777777777777777", "cn-north-7"),
];

/// A world in which everything exists that the examples name: projects, keys, buckets.
async fn start() -> (oms_operator::emulator::server::Emulator, World) {
    let keys = json!([
        { "access": "SOURCEKEY", "secret": world::SOURCE_SECRET },
        { "access": "DESTINATIONKEY", "secret": world::DESTINATION_SECRET },
        { "access": "src_ak", "secret": "src_sk" },
        { "access": "dst_ak", "secret": "dst_sk" },
        { "access": "*****", "secret": "*****" },
        { "access": "xxxxxak", "secret": "xxxxxsk" },
        { "access": "xxxxak", "secret": "xxxxsk" },
        { "access": "xxxak", "secret": "xxxsk" },
        { "access": "xxx", "secret": "xxx" },
        { "access": "access_key_1234", "secret": "secret_key_1234" },
    ]);
    let projects: Vec<Value> = PROJECTS
        .iter()
        .map(|(id, region)| {
            json!({
                "id": id, "region": region,
                "accessKeys": [{ "access": "PROJECTKEY", "secret": world::PROJECT_SECRET }],
            })
        })
        .collect();
    let config = world::config(json!({
        "projects": projects,
        "embeddedStores": [
            { "name": "source", "cloudType": "Aliyun", "accessKeys": keys },
            { "name": "destination", "cloudType": "HuaweiCloud", "region": "*", "accessKeys": keys },
        ],
        "embeddedCdns": [
            {
                "name": "checked", "domain": "xxx", "store": "source", "bucket": "xxx",
                "authenticationType": "ALIYUN_OSS_B", "authenticationKey": "xcsad",
            },
            {
                "name": "of-tasks", "domain": "xxx.xxx.xxx", "store": "destination", "bucket": "src-bucket",
                "authenticationType": "ALIYUN_OSS_A", "authenticationKey": "xxx",
            },
        ],
    }));
    let (emulator, world) = World::start(config).await;
    for (store, buckets) in [
        (&world.source, &["api-auto-test1", "xxx"][..]),
        (
            &world.destination,
            &[
                "assess-bucket-1",
                "dst-bucket",
                "hw-src",
                "jjyy",
                "list-file-bucket",
                "oms-sonar-north",
                "src-bucket",
                "url-file-bucket",
                "xxx",
                "zzww",
            ],
        ),
    ] {
        for bucket in buckets {
            world.make_bucket(store, "SOURCEKEY", world::SOURCE_SECRET, bucket).await;
        }
    }
    (emulator, world)
}

/// The path with a project: where none is printed, the one of the region that the body names.
fn with_project(path: &str, body: Option<&Value>) -> String {
    let region = body
        .and_then(|body| body.pointer("/dst_node/region").or_else(|| body.get("dst_region")))
        .and_then(Value::as_str);
    let project = PROJECTS.iter().find(|(_, of)| Some(*of) == region).unwrap_or(&PROJECTS[0]).0;
    path.replace("{project_id}", project)
}

#[tokio::test]
async fn every_printed_request_is_read() {
    let (emulator, world) = start().await;
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for example in Example::all() {
        let What::Request { method, path, query, body } = &example.what else { continue };
        let path = with_project(path, body.as_ref());
        let line = if query.is_empty() { path } else { format!("{path}?{}", canonical(query)) };
        let answer = world.call(method.parse().unwrap(), &line, body.as_ref()).await;
        let allowed = REFUSED.iter().find(|(operation, name, ..)| {
            *operation == example.operation && (*name == "*" || *name == example.name)
        });
        let fits = match allowed {
            None => answer.status == 200,
            Some((operation, name, codes, _)) => {
                used.insert((*operation, *name));
                codes.contains(&answer.code())
            }
        };
        if !fits {
            wrong.push(format!("{}: {} {}", example.title(), answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let unused: Vec<_> =
        REFUSED.iter().filter(|(operation, name, ..)| !used.contains(&(*operation, *name))).collect();
    assert!(unused.is_empty(), "no example is refused like this: {unused:?}");
    emulator.shutdown().await;
}

/// The query in the order of its names, as a signature takes it.
fn canonical(query: &str) -> String {
    let mut parts: Vec<&str> = query.split('&').collect();
    parts.sort_unstable();
    parts.join("&")
}

#[test]
fn the_emulator_serves_every_operation_of_the_contract_under_its_name() {
    let contract: BTreeSet<&str> = Contract::load().operations().collect();
    let served: BTreeSet<&str> = OPERATIONS.iter().copied().collect();
    let missing: Vec<&&str> = contract.difference(&served).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
