//! API versions, and the consent to the privacy agreement (OMS API reference 5.1, 5.2).

use serde_json::{Value, json};

use super::Done;
use crate::emulator::{
    config::Project,
    persist::Record,
    service::Service,
    wire::refusal::{NO_SUCH_VERSION, Refusal},
};

impl Service {
    pub(super) fn list_versions() -> Done {
        Done::read(json!({ "versions": [version("v1"), version("v2")] }))
    }

    pub(super) fn show_version(id: &str) -> Result<Done, Refusal> {
        if matches!(id, "v1" | "v2") { Ok(Done::read(version(id))) } else { Err(NO_SUCH_VERSION) }
    }

    pub(super) async fn accept_agreement(&self, project: &Project) -> Result<Done, Refusal> {
        let (saved, effect) = {
            let mut state = self.state();
            let effect = !state.ledger.has_agreement(&project.id);
            state.ledger.accept_agreement(&project.id);
            (self.record(&state, &[Record::Agreement { project: project.id.clone() }]), effect)
        };
        saved.await?;
        Ok(Done { effect, ..Done::default() })
    }
}

fn version(id: &str) -> Value {
    json!({
        "id": id,
        "status": "SUPPORTED",
        "updated": "2020-01-01T12:00:00Z",
        "links": [{ "rel": "self", "href": format!("/{id}/") }],
    })
}
