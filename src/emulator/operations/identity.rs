//! What IAM answers: the caller's projects.

use serde_json::{Value, json};

use super::Done;
use crate::emulator::{
    service::{Caller, Service},
    signature::decode_query,
};

impl Service {
    /// IAM: the caller's projects, by name where one is asked for.
    pub(super) fn list_projects(&self, caller: Caller<'_>, query: &str) -> Done {
        let name = decode_query(query).into_iter().find(|(key, _)| key == "name").map(|(_, name)| name);
        let projects: Vec<Value> = self
            .config
            .projects
            .iter()
            .filter(|project| caller.may_use(project))
            .filter(|project| name.as_deref().is_none_or(|name| name == project.name()))
            .map(|project| {
                let domain = project.domain_id.as_deref().unwrap_or("d78cbac186b744899480f25bd022f468");
                json!({
                    "id": project.id,
                    "name": project.name(),
                    "domain_id": domain,
                    "parent_id": domain,
                    "is_domain": false,
                    "enabled": true,
                    "description": "",
                    "links": { "self": format!("/v3/projects/{}", project.id) },
                })
            })
            .collect();
        Done::read(
            json!({ "projects": projects, "links": { "self": "/v3/projects", "previous": null, "next": null } }),
        )
    }
}
