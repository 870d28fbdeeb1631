//! What can go wrong does: one trouble after the other, each until Prometheus sees it.

use jiff::{Span, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use oms_operator::api;
use oms_operator::dev::bucket::Bucket;
use oms_operator::dev::stack::{NAMESPACE, Stack};
use oms_operator::oms::{self, Urgency};
use serde_json::{Value, json};

use crate::eventually;
use crate::server::Prometheus;
use crate::stage::{now, wait_alert};

/// The bucket whose migrations take long: an object a second.
const BIG: &str = "big";
const MIB: usize = 1 << 20;

/// Somebody with bad luck.
pub(crate) struct Troubles<'s> {
    stack: &'s mut Stack,
    prometheus: &'s Prometheus,
    http: reqwest::Client,
}

impl<'s> Troubles<'s> {
    pub(crate) fn new(stack: &'s mut Stack, prometheus: &'s Prometheus) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { stack, prometheus, http }
    }

    /// Every trouble that needs one operator. What takes long is still under way afterwards.
    pub(crate) async fn all(&mut self) {
        self.fill(BIG, 300, MIB).await;
        for number in 0..4 {
            self.migrate(&format!("running-{number}"), BIG, slow).await;
        }
        self.wait_phase("MigrationTask", "running-3", "Running").await;
        self.kubernetes_refuses().await;
        self.single_objects_fail().await;
        self.connections_fail().await;
        self.a_second_task_turns_up().await;
        // One that runs is enough from here on.
        for number in 1..4 {
            self.patch("MigrationTask", &format!("running-{number}"), json!({ "spec": { "suspend": true } }))
                .await;
        }
        for alert in ["OMSTasksPending", "OMSObjectsPaused", "OMSTasksFailed", "OMSTasksRetrying"] {
            self.wait_alert(alert).await;
        }
        self.wait_alert("OMSQuotaWaitLong").await;
        self.oms_fails().await;
        self.credentials_are_lost().await;
        self.nothing_moves().await;
        self.oms_throttles().await;
    }

    /// The API server takes neither the events of one object nor the statuses of others.
    async fn kubernetes_refuses(&self) {
        let rule = |group: &str, version: &str, resource: &str, operation: &str| {
            json!({
                "apiGroups": [group], "apiVersions": [version], "resources": [resource], "operations": [operation],
            })
        };
        let name = json!({ "name": "refusals" });
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": name,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": { "resourceRules": [
                    rule(api::GROUP, api::VERSION, "migrationtasks/status", "UPDATE"),
                    rule("events.k8s.io", "v1", "events", "CREATE"),
                    rule("", "v1", "configmaps", "CREATE"),
                ] },
                "validations": [{ "expression":
                    "has(object.regarding) ? object.regarding.name != 'unheard' : !object.metadata.name.startsWith('refused')" }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": name,
            "spec": { "policyName": "refusals", "validationActions": ["Deny"] },
        });
        self.apply(policy).await;
        self.apply(binding).await;
        let maps =
            Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(self.stack.client.clone(), NAMESPACE);
        let refused = serde_json::from_value(json!({ "metadata": { "name": "refused" } })).unwrap();
        let only_try = PostParams { dry_run: true, ..PostParams::default() };
        eventually("the API server refuses", async || match maps.create(&only_try, &refused).await {
            Ok(_) => Err("it takes everything".to_owned()),
            Err(_) => Ok(()),
        })
        .await;
        for number in 0..10 {
            self.migrate(&format!("refused-{number}"), BIG, |_| ()).await;
        }
        // There is no such sync task, so it waits, and that is told in an event.
        self.event("unheard", "nowhere", "2026/00.dat").await;
        self.wait_alert("OMSOperatorReconcileErrors").await;
        self.wait_alert("OMSOperatorEventsDropped").await;
    }

    /// A migration fails for good, one again and again, one in part, one needs a Secret, one is paused, one waits for its place.
    async fn single_objects_fail(&self) {
        // A bucket that does not exist.
        self.migrate("failed", "missing", |spec| {
            spec["preflight"] = json!("Off");
            spec["retry"] = json!({ "limit": 0 });
        })
        .await;
        self.migrate("retrying", "missing", |spec| spec["preflight"] = json!("Off")).await;
        self.migrate("pending", BIG, |spec| {
            spec["source"]["credentials"]["secretRef"]["name"] = json!("nobody-made-it");
        })
        .await;
        self.migrate("paused", BIG, |_| ()).await;
        self.annotate("MigrationTask", "paused", api::PAUSED, "true").await;

        self.fill("small", 10, MIB).await;
        self.migrate("partly", "small", slow).await;
        self.wait_phase("MigrationTask", "partly", "Running").await;
        let id = self.status("MigrationTask", "partly").await["taskId"].clone();
        for operation in ["ShowTask", "ListTasks"] {
            self.fault(json!({
                "operation": operation, "task": id, "kind": "taskMembers", "members": { "failed_num": 2 },
            }))
            .await;
        }

        self.connection("one-place", "huawei", |spec| spec["limits"] = json!({ "runningSyncTasks": 1 }))
            .await;
        self.apply(json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "SyncTask",
            "metadata": { "name": "queued" },
            "spec": {
                "connectionRef": { "name": "one-place" },
                "source": {
                    "cloudType": "AWS", "region": "eu-west-1", "bucket": "small",
                    "credentials": { "secretRef": { "name": "aws-source" } },
                },
                "destination": { "bucket": "partly-archive", "credentials": { "secretRef": { "name": "obs" } } },
            },
        }))
        .await;
        // The demo's sync task is asked for an object that is not there.
        self.event("absent", "inbox", "2026/absent.dat").await;
        self.wait_phase("SyncEvent", "absent", "Succeeded").await;
        let mut look = 0;
        eventually("OMS has counted the failure", async || {
            look += 1;
            self.nudge("SyncTask", "inbox", &format!("count-{look}")).await;
            let counted = self.status("SyncTask", "inbox").await["statistics"]["failed"].clone();
            if counted.as_u64().unwrap_or_default() > 0 { Ok(()) } else { Err(counted.to_string()) }
        })
        .await;
        self.wait_alert("OMSSyncObjectsFailed").await;
        self.wait_phase("MigrationTask", "partly", "SucceededWithFailures").await;
        self.wait_alert("OMSObjectsNotCopied").await;
    }

    /// The keys of one connection are wrong, and those of another end soon.
    async fn connections_fail(&self) {
        let end = Timestamp::now() + Span::new().minutes(8);
        let keys = [self.stack.access_key.clone(), self.stack.secret_key.clone()];
        let token = [("securityToken", "temporary".to_owned()), ("expiration", end.to_string())];
        self.secret("temporary", &keys, &token).await;
        self.connection("temporary", "temporary", |_| ()).await;
        self.secret("wrong", &["AKOFNOBODY".to_owned(), "no-secret".to_owned()], &[]).await;
        self.connection("wrong", "wrong", |_| ()).await;
        // Nobody else would try the same keys again so soon.
        let again = async |round| self.nudge("Connection", "wrong", &format!("again-{round}")).await;
        self.until_active(&["OMSCallsRefused"], again).await;
        for alert in ["OMSCredentialsExpiring", "OMSConnectionNotReady"] {
            self.wait_alert(alert).await;
        }
    }

    /// Somebody makes a task with the mark of one of ours.
    async fn a_second_task_turns_up(&self) {
        let id = self.status("MigrationTask", "running-0").await["taskId"].as_str().unwrap().to_owned();
        let url = format!("{}/state", self.admin());
        let state: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let tasks = state["tasks"].as_array().unwrap();
        let ours = tasks.iter().find(|task| task["id"].to_string().trim_matches('"') == id).unwrap();
        let stack = &self.stack;
        let settings = oms::Settings::new(stack.oms.trim_end_matches('/'), &stack.project_id);
        let keys = oms::Credentials::keys(&stack.access_key, stack.secret_key.clone().into(), None);
        let client = oms::Client::new(settings, keys, oms::Budget::new(100.0)).unwrap();
        let request = oms::CreateTask {
            task_type: "prefix".into(),
            src_node: oms::SourceNode {
                cloud_type: stack.source.cloud.clone(),
                region: Some(stack.source.region.clone()),
                bucket: Some(BIG.into()),
                ak: Some(stack.source.access_key.clone().into()),
                sk: Some(stack.source.secret_key.clone().into()),
                object_key: vec![String::new()],
                ..oms::SourceNode::default()
            },
            dst_node: oms::DestinationNode {
                region: stack.destination.region.clone(),
                bucket: "running-0-archive".into(),
                ak: stack.destination.access_key.clone().into(),
                sk: stack.destination.secret_key.clone().into(),
                save_prefix: Some("second/".into()),
                ..oms::DestinationNode::default()
            },
            description: ours["description"].as_str().map(str::to_owned),
            ..oms::CreateTask::default()
        };
        client.create_task(&request, Urgency::User).await.unwrap();
        self.wait_alert("OMSDuplicateRemotes").await;
    }

    /// OMS says something new, and then nothing.
    async fn oms_fails(&self) {
        self.fault(json!({ "kind": "status", "status": 400, "code": "OMS.9876" })).await;
        self.wait_alert("OMSUnknownCodes").await;
        self.no_faults().await;
        self.fault(json!({ "kind": "status", "status": 503 })).await;
        self.wait_alert("OMSCallsFailing").await;
        self.wait_alert("OMSPollsFailing").await;
        self.no_faults().await;
    }

    /// The keys of a task's connection become wrong, and the operator starts anew without those that it knew.
    async fn credentials_are_lost(&mut self) {
        let keys = [self.stack.access_key.clone(), self.stack.secret_key.clone()];
        self.secret("doomed", &keys, &[]).await;
        self.connection("doomed", "doomed", |_| ()).await;
        self.migrate("doomed", BIG, |spec| {
            spec["connectionRef"] = json!({ "name": "doomed" });
            slow(spec);
        })
        .await;
        self.wait_phase("MigrationTask", "doomed", "Running").await;
        self.secret("doomed", &["AKOFNOBODY".to_owned(), "no-secret".to_owned()], &[]).await;
        for _ in 0..4 {
            let begun = self.operator_began().await;
            self.stack.end_operator();
            self.stack.revive_operator().unwrap();
            eventually("the operator is back", async || {
                let again = self.operator_began().await;
                if again.is_some() && again != begun { Ok(()) } else { Err(format!("{again:?}")) }
            })
            .await;
        }
        self.wait_alert("OMSOperatorRestarts").await;
        let doomed = self.objects("MigrationTask");
        doomed.delete("doomed", &DeleteParams::default()).await.unwrap();
        self.wait_alert("OMSTasksStuck").await;
        self.wait_alert("OMSCleanupAbandoned").await;
    }

    /// The time at which the process of the operator began, as Prometheus has it.
    async fn operator_began(&self) -> Option<f64> {
        let query = "process_start_time_seconds{pod=\"oms-operator-0\"}";
        self.prometheus.at(query, now()).await.unwrap().first().map(|series| series.value)
    }

    /// Tasks run and copy nothing, as far as OMS tells.
    async fn nothing_moves(&self) {
        let still = json!({ "complete_size": 0, "successful_num": 0, "skipped_num": 0, "failed_num": 0 });
        for operation in ["ShowTask", "ListTasks"] {
            self.fault(json!({ "operation": operation, "kind": "taskMembers", "members": still })).await;
        }
        self.wait_alert("OMSTasksNotProgressing").await;
        self.no_faults().await;
    }

    /// OMS throttles, and there is more to do than the connection allows.
    async fn oms_throttles(&self) {
        self.fault(json!({ "kind": "throttle", "probability": 0.5 })).await;
        self.until_active(&["OMSThrottled"], async |round| self.request_all(&format!("often-{round}")).await)
            .await;
        self.no_faults().await;
        let limits = json!({ "spec": { "limits": { "requestsPerSecond": 1 } } });
        self.patch("Connection", "default", limits).await;
        let late = ["OMSBudgetExhausted", "OMSOperatorQueueOld"];
        self.until_active(&late, async |round| self.request_all(&format!("busy-{round}")).await).await;
    }

    /// Does something again and again until these alerts are pending or fire. A rate is that of what happens between two
    /// scrapes: what happened once, before the first one that saw its series, has none.
    async fn until_active(&self, alerts: &[&str], mut again: impl AsyncFnMut(u32)) {
        let query = format!("count by (alertname) (ALERTS{{alertname=~\"{}\"}})", alerts.join("|"));
        let mut round = 0;
        eventually(&alerts.join(" and "), async || {
            round += 1;
            again(round).await;
            let active = self.prometheus.at(&query, now()).await?;
            if active.len() == alerts.len() { Ok(()) } else { Err(format!("{active:?}")) }
        })
        .await;
    }

    /// Asks for a look at every migration there is by now.
    async fn request_all(&self, word: &str) {
        for name in ["running-0", "running-1", "running-2", "running-3", "failed", "retrying", "pending"] {
            self.request("MigrationTask", name, word).await;
        }
    }

    /// A lease that somebody else holds, in a namespace of its own.
    pub(crate) async fn hold_lease(&self, namespace: &str) {
        self.apply(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }))
            .await;
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        self.apply(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": "oms-operator", "namespace": namespace },
            "spec": {
                "holderIdentity": "somebody-else", "leaseDurationSeconds": 3600,
                "acquireTime": time, "renewTime": time, "leaseTransitions": 0,
            },
        }))
        .await;
    }

    async fn wait_alert(&self, alert: &str) {
        wait_alert(self.prometheus, alert).await;
    }

    fn admin(&self) -> &str {
        self.stack.admin.trim_end_matches('/')
    }

    async fn fault(&self, fault: Value) {
        let url = format!("{}/faults", self.admin());
        let answer = self.http.post(url).json(&fault).send().await.unwrap();
        assert!(answer.status().is_success(), "{fault}: {}", answer.text().await.unwrap());
    }

    async fn no_faults(&self) {
        let url = format!("{}/faults", self.admin());
        assert!(self.http.delete(url).send().await.unwrap().status().is_success());
    }

    /// Makes a bucket to copy from.
    async fn fill(&self, name: &str, count: usize, size: usize) {
        let source = Bucket::new(&self.stack.source, name).unwrap();
        source.create().await.unwrap();
        for number in 0..count {
            let key = format!("{number:03}.bin");
            source.put(&key, "application/octet-stream", &[], vec![7; size].into()).await.unwrap();
        }
    }

    /// Applies a MigrationTask of a bucket into one of its own.
    async fn migrate(&self, name: &str, bucket: &str, change: impl FnOnce(&mut Value)) {
        let archive = format!("{name}-archive");
        Bucket::new(&self.stack.destination, &archive).unwrap().create().await.unwrap();
        let mut spec = json!({
            "type": "prefix",
            "source": {
                "cloudType": "AWS", "region": "eu-west-1", "bucket": bucket, "objectKeys": [""],
                "credentials": { "secretRef": { "name": "aws-source" } },
            },
            "destination": { "bucket": archive, "credentials": { "secretRef": { "name": "obs" } } },
        });
        change(&mut spec);
        self.apply(json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "MigrationTask",
            "metadata": { "name": name },
            "spec": spec,
        }))
        .await;
    }

    /// Applies a SyncEvent of one key.
    async fn event(&self, name: &str, task: &str, key: &str) {
        self.apply(json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "SyncEvent",
            "metadata": { "name": name },
            "spec": { "syncTaskRef": { "name": task }, "objectKeys": [key] },
        }))
        .await;
    }

    async fn connection(&self, name: &str, secret: &str, change: impl FnOnce(&mut Value)) {
        let mut spec = json!({
            "region": self.stack.destination.region,
            "projectId": self.stack.project_id,
            "endpoint": self.stack.oms.trim_end_matches('/'),
            "credentials": { "secretRef": { "name": secret } },
            "privacyAgreement": "Accepted",
        });
        change(&mut spec);
        self.apply(json!({
            "apiVersion": "oms-operator.io/v1alpha1",
            "kind": "Connection",
            "metadata": { "name": name },
            "spec": spec,
        }))
        .await;
    }

    async fn secret(&self, name: &str, [access, secret]: &[String; 2], more: &[(&str, String)]) {
        let mut data = json!({ "accessKey": access, "secretKey": secret });
        for (key, value) in more {
            data[*key] = json!(value);
        }
        let metadata = json!({ "name": name });
        self.apply(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data }))
            .await;
    }

    /// Applies anything, in the stack's namespace where it has none of its own.
    async fn apply(&self, manifest: Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (kind, name) = (text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
        let version = text(&manifest["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        if kind == "ValidatingAdmissionPolicy" {
            "validatingadmissionpolicies".clone_into(&mut resource.plural);
        }
        let client = self.stack.client.clone();
        let objects: Api<DynamicObject> = if group.starts_with("admission") || kind == "Namespace" {
            Api::all_with(client, &resource)
        } else {
            let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE);
            Api::namespaced_with(client, namespace, &resource)
        };
        let apply = PatchParams::apply("troubles").force();
        objects.patch(&name, &apply, &Patch::Apply(&manifest)).await.unwrap();
    }

    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(api::GROUP, api::VERSION, kind));
        Api::namespaced_with(self.stack.client.clone(), NAMESPACE, &resource)
    }

    async fn status(&self, kind: &str, name: &str) -> Value {
        self.objects(kind).get(name).await.unwrap().data["status"].clone()
    }

    async fn wait_phase(&self, kind: &str, name: &str, phase: &str) {
        eventually(&format!("{kind} {name} is {phase}"), async || {
            let status = self.status(kind, name).await;
            if status["phase"] == phase { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    async fn patch(&self, kind: &str, name: &str, patch: Value) {
        self.objects(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn annotate(&self, kind: &str, name: &str, annotation: &str, value: &str) {
        self.patch(kind, name, json!({ "metadata": { "annotations": { annotation: value } } })).await;
    }

    /// Asks the operator to look now.
    async fn request(&self, kind: &str, name: &str, word: &str) {
        self.annotate(kind, name, api::RECONCILE_REQUESTED_AT, word).await;
    }

    /// The same, and waits until it has.
    async fn nudge(&self, kind: &str, name: &str, word: &str) {
        self.request(kind, name, word).await;
        eventually(&format!("the operator has looked at {kind} {name}"), async || {
            let handled = self.status(kind, name).await["lastHandledReconcileAt"].clone();
            if handled == word { Ok(()) } else { Err(handled.to_string()) }
        })
        .await;
    }
}

/// Lets a transfer take as long as OMS can make it.
fn slow(spec: &mut Value) {
    spec["bandwidthPolicy"] = json!([{ "start": "00:00", "end": "23:59", "maxBandwidth": "1Mi" }]);
}
