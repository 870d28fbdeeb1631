//! A task group and a synchronization, each over a few objects.

use std::path::Path;
use std::time::{Duration, Instant};

use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use super::comparison::compare;
use super::{apply, get};
use crate::api;
use crate::dev::bucket::Bucket;
use crate::dev::error::{Context, Error, Result};
use crate::dev::samples;
use crate::dev::stack::{NAMESPACE, Stack};

/// Far beyond what either needs on a slow machine.
const LIMIT: Duration = Duration::from_mins(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Objects of each: the small ones among the samples.
const OBJECTS: usize = 12;

/// Objects of both.
pub(super) const OBJECTS_IN_ALL: usize = SHOWS.len() * OBJECTS;

/// Manifest, buckets, and the phases in which its objects are done.
struct Show {
    manifest: &'static str,
    source: &'static str,
    destination: &'static str,
    done: &'static [(&'static str, &'static str, &'static str)],
}

const SHOWS: [Show; 2] = [
    Show {
        manifest: "first-group.yaml",
        source: "albums",
        destination: "albums-archive",
        done: &[("TaskGroup", "albums", "Succeeded")],
    },
    Show {
        manifest: "first-sync.yaml",
        source: "inbox",
        destination: "inbox-copy",
        done: &[("SyncTask", "inbox", "Synchronizing"), ("SyncEvent", "inbox-monday", "Succeeded")],
    },
];

/// Shows the other kinds; the manifests are in `folder`. What differs between the buckets, one line each.
pub(super) async fn show(stack: &mut Stack, folder: &Path) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    for show in SHOWS {
        let source = Bucket::new(&stack.source, show.source)?;
        let destination = Bucket::new(&stack.destination, show.destination)?;
        let mut samples = samples::samples();
        samples.sort_by_key(|sample| sample.size);
        samples.truncate(OBJECTS);
        for (number, sample) in samples.iter_mut().enumerate() {
            sample.key = format!("2026/{number:02}.dat");
        }
        samples::store(&source, &samples, |_| ()).await?;
        destination.create().await?;
        apply(stack, &folder.join(show.manifest))?;
        for (kind, name, phase) in show.done {
            wait(stack, kind, name, phase).await?;
        }
        let found = arrived(&source, &destination).await?;
        let kinds: Vec<_> = show.done.iter().map(|(kind, ..)| kind.to_lowercase()).collect();
        get(stack, &[kinds.join(",").as_str()])?;
        differences.extend(found);
    }
    Ok(differences)
}

/// Waits until an object is in a phase.
async fn wait(stack: &mut Stack, kind: &str, name: &str, phase: &str) -> Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(api::GROUP, api::VERSION, kind));
    let objects = Api::<DynamicObject>::namespaced_with(stack.client.clone(), NAMESPACE, &resource);
    let begun = Instant::now();
    loop {
        stack.check()?;
        stack.check_operator()?;
        let object = objects.get(name).await.context(format!("Could not read {kind} `{name}`"))?;
        let status = &object.data["status"];
        if status["phase"] == phase {
            return Ok(());
        }
        if status["phase"] == "Failed" || begun.elapsed() > LIMIT {
            let (status, log) = (status.to_string(), stack.operator_log());
            return Err(Error::new(format!("{kind} `{name}` is not {phase}: {status}. {log}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What differs once everything had its time to arrive: what becomes of each object of an event OMS does not tell.
async fn arrived(source: &Bucket, destination: &Bucket) -> Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let (there, here) = tokio::try_join!(source.fingerprints(|_| ()), destination.fingerprints(|_| ()))?;
        let differences = compare(&there, &here, "");
        if differences.is_empty() || begun.elapsed() > LIMIT {
            return Ok(differences);
        }
        tokio::time::sleep(LOOK).await;
    }
}
