//! Copying, held against `rclone`: the same objects between the same stores with the same number of workers. The stores
//! run in a process of their own, so that both copiers come to them from outside.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use futures::{StreamExt as _, stream};
use oms_operator::oms::Urgency;
use serde_json::json;

use crate::emulator::{Emulator, Store, behaviour, config, create, http, project};
use crate::{figure, rclone};

/// What copying may take, as a part of the speed of `rclone`.
const TARGET: f64 = 0.7;
/// Objects that either copies at a time.
const WORKERS: usize = 8;
const KIB: usize = 1024;
/// Name, number and size of the objects.
const LOADS: [(&str, usize, usize); 4] = [
    ("small", 4000, 16 * KIB),
    ("medium", 200, 2048 * KIB),
    ("big", 4, 128 * 1024 * KIB),
    ("huge", 1, 4 * 1024 * 1024 * KIB),
];
/// Objects from this size on are all zeros, so that they take no disk; the bytes pass all the same.
const SPARSE: usize = 1024 * 1024 * KIB;

pub(crate) async fn measure() {
    let Some(rclone) = rclone::find() else { return };
    let data = tempfile::tempdir().unwrap();
    let stores = Emulator::start(&config(Some(data.path().to_owned())), None).await;
    let (source, destination, http) = (stores.store(0), stores.store(1), http());
    let keys = |store: &Store| json!([{ "access": store.access, "secret": store.secret }]);
    let mover = Emulator::start(
        &json!({
            "projects": [project()],
            "stores": [
                { "cloudType": "AWS", "endpoint": source.endpoint, "accessKeys": keys(&source) },
                { "cloudType": "HuaweiCloud", "endpoint": destination.endpoint, "accessKeys": keys(&destination) },
            ],
            "behaviour": behaviour(),
        }),
        None,
    )
    .await;
    let client = mover.client();
    for (name, number, size) in LOADS {
        source.make(&http, name).await;
        for bucket in [format!("{name}-oms"), format!("{name}-rclone")] {
            destination.make(&http, &bucket).await;
        }
        stream::iter(0..number)
            .for_each_concurrent(WORKERS, async |index| {
                let (key, byte) = (format!("folder/object-{index:06}"), (index % 251) as u8);
                source.put(&http, name, &key, if size < SPARSE { byte } else { 0 }, size).await;
            })
            .await;
        let bytes = (number * size) as f64;

        let begun = Instant::now();
        run_rclone(&rclone, stores.folder.path(), (&source, &destination), name);
        let by_rclone = bytes / begun.elapsed().as_secs_f64();

        let begun = Instant::now();
        let request = create(&source, name, &destination, &format!("{name}-oms"));
        let created = client.create_task(&request, Urgency::User).await.unwrap();
        let task = mover.finished(&client, created.id).await;
        assert_eq!(task.successful_num, number as u64);
        let by_us = bytes / begun.elapsed().as_secs_f64();

        figure(
            &format!("emulator: copying {number} objects of {} KiB (at least {TARGET})", size / KIB),
            &format!("{:.0} MB/s", by_us / 1e6),
            &format!("rclone {:.0} MB/s", by_rclone / 1e6),
            by_us / by_rclone,
        );
    }
}

fn run_rclone(program: &Path, folder: &Path, (source, destination): (&Store, &Store), name: &str) {
    let file = folder.join("rclone.conf");
    let section = |title: &str, store: &Store| {
        format!(
            "[{title}]\ntype = s3\nprovider = Other\nenv_auth = false\naccess_key_id = {}\nsecret_access_key = {}\n\
             endpoint = {}\nregion = cn-north-4\nforce_path_style = true\n",
            store.access, store.secret, store.endpoint
        )
    };
    std::fs::write(&file, section("from", source) + &section("to", destination)).unwrap();
    let output = Command::new(program)
        .arg("--config")
        .arg(&file)
        .args(["copy", &format!("from:{name}"), &format!("to:{name}-rclone")])
        .args(["--transfers", &WORKERS.to_string(), "--checkers", &WORKERS.to_string()])
        .args(["--s3-no-check-bucket", "--retries", "1"])
        // What the environment says about other networks is not for stores on this machine.
        .env_remove("AWS_CA_BUNDLE")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
