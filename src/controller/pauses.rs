//! Namespaces that are paused by their label: only these are watched, and of them the metadata alone.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::PAUSED_NAMESPACE;
use crate::engine::Waker;

/// How long passes wait for the first list; a right that is missing must not keep everything from starting.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// The paused namespaces, a signal once they are known, and what keeps them current until `stop` is cancelled.
pub(super) fn watch(
    client: &kube::Client,
    waker: Waker,
    stop: CancellationToken,
) -> (Store<PartialObjectMeta<Namespace>>, watch::Receiver<bool>, impl Future<Output = ()> + Send + 'static) {
    let (store, writer) = reflector::store();
    let (fill, filled) = watch::channel(false);
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let selected = watcher::Config::default().labels(&format!("{PAUSED_NAMESPACE}=true"));
    let run = async move {
        let mut events = watcher(namespaces, selected).default_backoff().reflect(writer).boxed();
        let first_list = tokio::time::sleep(FIRST_LIST);
        tokio::pin!(first_list);
        let mut failing = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut first_list, if !*fill.borrow() => {
                    fill.send_replace(true);
                    continue;
                }
                () = stop.cancelled() => return,
            };
            match event {
                Some(Ok(watcher::Event::Apply(namespace) | watcher::Event::Delete(namespace))) => {
                    waker.wake_namespace(Some(namespace.name_any()));
                }
                Some(Ok(watcher::Event::InitDone)) => {
                    failing = false;
                    if fill.send_replace(true) {
                        // What changed while the watch was down is not told one by one.
                        waker.wake_namespace(None);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "labels of namespaces cannot be watched; a pause by label is not noticed");
                    }
                    fill.send_replace(true);
                }
                None => {
                    stop.cancelled().await;
                    return;
                }
            }
        }
    };
    (store, filled, run)
}
