//! `make demo`: one real migration, watched live, and every object compared afterwards.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::bucket::{Bucket, Fingerprint};
use super::error::{Context, Error, Result};
use super::samples;
use super::stack::{self, Cluster, NAMESPACE, Programs, Stack};
use crate::api::{MigrationTask, Phase, Progress};

/// Far beyond what the demo needs on a slow machine.
const MIGRATION_LIMIT: Duration = Duration::from_mins(10);
/// Where OMS leaves its own lists of succeeded and failed objects in the destination bucket.
const OMS_FOLDER: &str = "oms/task/";
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

    println!("\n$ kubectl apply -f {}", manifest.display());
    let mut apply = stack.plane.kubectl();
    apply.args(["apply", "--namespace", NAMESPACE, "-f"]).arg(manifest);
    if !apply.status().context("Could not run kubectl")?.success() {
        return Err(Error::new(format!("kubectl refused {}", manifest.display())));
    }
    let applied = Instant::now();
    let name = task.name_any();
    let outcome = tokio::time::timeout(MIGRATION_LIMIT, watch(stack, &name)).await;
    let Ok(outcome) = outcome else {
        let (minutes, log) = (MIGRATION_LIMIT.as_secs() / 60, stack.operator_log());
        return Err(Error::new(format!("The migration is not done after {minutes} minutes. {log}")));
    };
    outcome?;
    let transfer = applied.elapsed();

    println!("\n$ kubectl get migrationtask {name}");
    let mut get = stack.plane.kubectl();
    get.args(["get", "--namespace", NAMESPACE, "migrationtask", &name]);
    get.status().context("Could not run kubectl")?;
    println!();

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
    let calls = Calls::read(&stack.admin).await?;
    if calls.creates() != 1 {
        differences.push(format!("{} tasks were created at OMS instead of one", calls.creates()));
    }
    if differences.is_empty() {
        println!(
            "All {} objects ({}) are equal in key, SHA-256, Content-Type and metadata. \
             {:.0} s in all, {:.1} s from apply to done. {calls}",
            source_objects.len(),
            HumanBytes(total),
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

/// What differs, one line each.
fn compare(
    source: &BTreeMap<String, Fingerprint>,
    destination: &BTreeMap<String, Fingerprint>,
    prefix: &str,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, wanted) in source {
        let Some(found) = destination.get(&format!("{prefix}{key}")) else {
            differences.push(format!("`{key}` is missing in the destination"));
            continue;
        };
        if found.sha256 != wanted.sha256 {
            let (sizes, hashes) = ((wanted.size, found.size), (&wanted.sha256[..12], &found.sha256[..12]));
            differences.push(format!("`{key}` has other contents: bytes {sizes:?}, SHA-256 {hashes:?}"));
        }
        if found.content_type != wanted.content_type {
            let types = (&wanted.content_type, &found.content_type);
            differences.push(format!("`{key}` has another Content-Type: {types:?}"));
        }
        if found.metadata != wanted.metadata {
            let both = (&wanted.metadata, &found.metadata);
            differences.push(format!("`{key}` has other metadata: {both:?}"));
        }
    }
    for key in destination.keys().filter(|key| !key.starts_with(OMS_FOLDER)) {
        if !key.strip_prefix(prefix).is_some_and(|key| source.contains_key(key)) {
            differences.push(format!("`{key}` is in the destination, but not in the source"));
        }
    }
    differences
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

/// A progress bar at a terminal; nothing elsewhere, as a log wants results.
struct Bar(ProgressBar);

impl Bar {
    fn new(total: u64, what: &str) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
        bar.set_style(style("{spinner} {msg} [{bar:32}] {bytes}/{total_bytes}"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    fn add(&self, size: u64) {
        self.0.inc(size);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// How a person sees the migration: a bar at a terminal, elsewhere a line per step.
struct View {
    bar: Option<ProgressBar>,
    last: Cell<Option<(Phase, u32)>>,
}

impl View {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            bar.set_style(style("{spinner} {prefix:9} [{bar:32}] {percent:>3}%  {msg}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: Cell::new(None) }
    }

    fn show(&self, phase: Phase, message: &str, progress: Option<&Progress>) {
        let percent = progress.map_or(0, |progress| progress.percent);
        let details = progress.map_or_else(|| message.to_owned(), describe);
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{phase:?}"));
            bar.set_position(u64::from(percent));
            bar.set_message(details);
        } else if self.last.replace(Some((phase, percent))) != Some((phase, percent)) {
            println!("{:10} {percent:>3}%  {details}", format!("{phase:?}"));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn describe(progress: &Progress) -> String {
    let objects = &progress.objects;
    let mut text = format!(
        "{}/{} objects, {} of {}",
        objects.succeeded + objects.failed + objects.skipped,
        objects.total,
        HumanBytes(progress.bytes.done),
        HumanBytes(progress.bytes.total),
    );
    if let Some(speed) = &progress.speed {
        text.push_str(", ");
        text.push_str(speed);
    }
    if let Some(remaining) = progress.remaining.as_deref().filter(|text| !text.is_empty()) {
        text.push_str(", ");
        text.push_str(remaining);
        text.push_str(" left");
    }
    if objects.failed > 0 {
        text = format!("{text}, {} failed", objects.failed);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(contents: &str) -> Fingerprint {
        Fingerprint {
            size: contents.len() as u64,
            sha256: format!("{contents:0>64}"),
            content_type: "text/plain".to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    fn bucket(objects: &[(&str, Fingerprint)]) -> BTreeMap<String, Fingerprint> {
        objects.iter().map(|(key, object)| ((*key).to_owned(), object.clone())).collect()
    }

    #[test]
    fn equal_buckets_have_no_difference() {
        let source = bucket(&[("a", object("1")), ("b/", object(""))]);
        let destination = bucket(&[("in/a", object("1")), ("in/b/", object(""))]);
        assert_eq!(compare(&source, &destination, "in/"), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let source = bucket(&[
            ("contents", object("1")),
            ("metadata", object("2")),
            ("missing", object("3")),
            ("type", object("4")),
        ]);
        let mut other_metadata = object("2");
        other_metadata.metadata.insert("a".to_owned(), "b".to_owned());
        let mut other_type = object("4");
        other_type.content_type = "image/png".to_owned();
        let destination = bucket(&[
            ("contents", object("9")),
            ("extra", object("5")),
            ("oms/task/photos/success_object_lists/1.success_list.txt", object("6")),
            ("metadata", other_metadata),
            ("type", other_type),
        ]);
        let differences = compare(&source, &destination, "");
        assert_eq!(differences.len(), 5, "{differences:#?}");
        for (difference, key) in differences.iter().zip(["contents", "metadata", "missing", "type", "extra"])
        {
            assert!(difference.starts_with(&format!("`{key}`")), "{difference}");
        }
    }
}
