//! `make demo`: one real migration, watched live, then a group and a synchronization, and every object compared afterwards.

mod comparison;
mod other_kinds;
mod view;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use indicatif::HumanBytes;
use kube::{Api, ResourceExt};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::comparison::compare;
use self::view::{Bar, View};
use super::bucket::Bucket;
use super::error::{Context, Error, Result};
use super::samples;
use super::stack::{self, Cluster, NAMESPACE, Programs, Stack};
use crate::api::{MigrationTask, Phase};

/// Far beyond what the demo needs on a slow machine.
const MIGRATION_LIMIT: Duration = Duration::from_mins(10);
/// Differences that are told one by one.
const TOLD_DIFFERENCES: usize = 20;

/// Runs the demo with the manifest at `manifest`; an error when anything differs. `false` when
/// `cancel` came first.
pub async fn run(
    programs: Programs,
    cluster: Cluster,
    manifest: &Path,
    cancel: &CancellationToken,
) -> Result<bool> {
    let started = Instant::now();
    let task = read_manifest(manifest)?;
    let tell = |line: String| println!("{line}");
    let body = async |stack: &mut Stack| migrate(stack, manifest, &task, started).await;
    Ok(stack::with_stack(programs, cluster, cancel, tell, body).await?.is_some())
}

/// What the demo does, on a stack that has done nothing yet.
pub async fn show(stack: &mut Stack, manifest: &Path) -> Result<()> {
    let task = read_manifest(manifest)?;
    migrate(stack, manifest, &task, Instant::now()).await
}

/// The first MigrationTask of a manifest.
fn read_manifest(path: &Path) -> Result<MigrationTask> {
    let reading = format!("Could not read {}", path.display());
    let text = std::fs::read_to_string(path).context(&reading)?;
    for document in serde_yaml::Deserializer::from_str(&text) {
        let value = serde_json::Value::deserialize(document).context(&reading)?;
        if value["kind"] == "MigrationTask" {
            return serde_json::from_value(value).context(&reading);
        }
    }
    Err(Error::new(format!("{} holds no MigrationTask", path.display())))
}

async fn migrate(stack: &mut Stack, manifest: &Path, task: &MigrationTask, started: Instant) -> Result<()> {
    let source_name =
        task.spec.source.as_ref().and_then(|source| source.bucket.as_deref()).unwrap_or_default();
    let source = Bucket::new(&stack.source, source_name)?;
    let wanted = task
        .spec
        .destination
        .as_ref()
        .ok_or_else(|| Error::new("the example names no destination".to_owned()))?;
    let destination = Bucket::new(&stack.destination, &wanted.bucket)?;
    let samples = samples::samples();
    let total: u64 = samples.iter().map(|sample| sample.size as u64).sum();
    let bar = Bar::new(total, "Filling the source bucket");
    samples::store(&source, &samples, |size| bar.add(size as u64)).await?;
    bar.finish();
    destination.create().await?;
    println!("Bucket `{source_name}` holds {} objects, {}", samples.len(), HumanBytes(total));

    apply(stack, manifest)?;
    let applied = Instant::now();
    let name = task.name_any();
    let outcome = tokio::time::timeout(MIGRATION_LIMIT, watch(stack, &name)).await;
    let Ok(outcome) = outcome else {
        let (minutes, log) = (MIGRATION_LIMIT.as_secs() / 60, stack.operator_log());
        return Err(Error::new(format!("The migration is not done after {minutes} minutes. {log}")));
    };
    outcome?;
    let transfer = applied.elapsed();

    get(stack, &["migrationtask", &name])?;

    let bar = Bar::new(2 * total, "Comparing every object");
    let (source_objects, destination_objects) = tokio::try_join!(
        source.fingerprints(|size| bar.add(size)),
        destination.fingerprints(|size| bar.add(size))
    )?;
    bar.finish();
    let prefix = wanted.prefix.as_deref().unwrap_or_default();
    let mut differences = compare(&source_objects, &destination_objects, prefix);
    if source_objects.len() != samples.len() {
        let (there, made) = (source_objects.len(), samples.len());
        differences.push(format!("the source bucket holds {there} objects instead of {made}"));
    }
    if differences.is_empty() {
        differences.extend(other_kinds::show(stack, manifest.parent().unwrap_or(Path::new("."))).await?);
    }
    let calls = Calls::read(&stack.admin).await?;
    if calls.creates() != 1 {
        differences.push(format!("{} tasks were created at OMS instead of one", calls.creates()));
    }
    if differences.is_empty() {
        println!(
            "All {} objects ({}) are equal in key, SHA-256, Content-Type and metadata, and so are the {} of the other \
             kinds. {:.0} s in all, {:.1} s from apply to done. {calls}",
            source_objects.len(),
            HumanBytes(total),
            other_kinds::OBJECTS_IN_ALL,
            started.elapsed().as_secs_f64(),
            transfer.as_secs_f64(),
        );
        return Ok(());
    }
    for difference in differences.iter().take(TOLD_DIFFERENCES) {
        println!("Difference: {difference}");
    }
    let (count, all) = (differences.len(), source_objects.len());
    Err(Error::new(format!("{count} differences in {all} objects. {}", stack.operator_log())))
}

/// `kubectl apply`, as a user types it.
fn apply(stack: &Stack, manifest: &Path) -> Result<()> {
    println!("\n$ kubectl apply -f {}", manifest.display());
    let mut apply = stack.plane.kubectl();
    apply.args(["apply", "--namespace", NAMESPACE, "-f"]).arg(manifest);
    if apply.status().context("Could not run kubectl")?.success() {
        Ok(())
    } else {
        Err(Error::new(format!("kubectl refused {}", manifest.display())))
    }
}

/// `kubectl get`, as a user types it.
fn get(stack: &Stack, what: &[&str]) -> Result<()> {
    println!("\n$ kubectl get {}", what.join(" "));
    let mut get = stack.plane.kubectl();
    get.args(["get", "--namespace", NAMESPACE]).args(what);
    get.status().context("Could not run kubectl")?;
    println!();
    Ok(())
}

/// Follows the status until the migration is done; an error when it did not end well.
async fn watch(stack: &mut Stack, name: &str) -> Result<()> {
    let tasks = Api::<MigrationTask>::namespaced(stack.client.clone(), NAMESPACE);
    let mut states = kube::runtime::watcher::watch_object(tasks, name).boxed();
    let view = View::new();
    loop {
        let state = tokio::select! {
            state = states.next() => state,
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                stack.check()?;
                stack.check_operator()?;
                continue;
            }
        };
        let task = match state {
            None => return Err(Error::new("The watch of the migration ended")),
            // The watcher looks again by itself.
            Some(Err(_)) => continue,
            Some(Ok(None)) => return Err(Error::new(format!("MigrationTask `{name}` is gone"))),
            Some(Ok(Some(task))) => task,
        };
        let Some(status) = task.status else { continue };
        let Some(phase) = status.phase else { continue };
        let message = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")
            .map(|condition| condition.message.as_str())
            .unwrap_or_default();
        view.show(phase, message, status.progress.as_ref());
        match phase {
            Phase::Succeeded => return Ok(()),
            Phase::SucceededWithFailures | Phase::Failed => {
                let log = stack.operator_log();
                return Err(Error::new(format!("The migration ended in phase {phase:?}: {message}. {log}")));
            }
            _ => {}
        }
    }
}

/// Calls that OMS got, from the emulator's journal.
struct Calls(BTreeMap<String, usize>);

impl Calls {
    async fn read(admin: &str) -> Result<Self> {
        let reading = "Could not read the emulator's journal";
        let http = reqwest::Client::builder().no_proxy().build().context(reading)?;
        let url = format!("{}/journal", admin.trim_end_matches('/'));
        let journal: serde_json::Value =
            http.get(url).send().await.context(reading)?.json().await.context(reading)?;
        let entries = journal.as_array().or_else(|| journal["entries"].as_array());
        let entries = entries.ok_or_else(|| Error::new(format!("{reading}: it is no list")))?;
        let mut calls = BTreeMap::new();
        for entry in entries {
            let operation = entry["operation"].as_str().unwrap_or("unknown");
            *calls.entry(operation.to_owned()).or_default() += 1;
        }
        Ok(Self(calls))
    }

    fn creates(&self) -> usize {
        self.0.get("CreateTask").copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|(operation, count)| format!("{operation} {count}")).collect();
        write!(f, "OMS calls: {} ({})", self.0.values().sum::<usize>(), parts.join(", "))
    }
}
