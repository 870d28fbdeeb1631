//! The one call to IAM: which project a region is.

use http::Method;
use serde::Deserialize;

use super::Credentials;
use crate::oms::budget::{Budget, Urgency};
use crate::oms::codes::Class;
use crate::oms::error::{Delivery, Error};
use crate::oms::settings::Settings;
use crate::oms::transport::{Call, Effect, Transport};

const OPERATION: &str = "KeystoneListProjects";

#[derive(Deserialize)]
struct Projects {
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: String,
}

/// The ID of the project that stands for a region: IAM names it like the region (IAM API reference, "Listing projects").
/// Sub-projects (`{region}_{name}`) are never taken; they need an explicit project ID.
///
/// `settings.endpoint` is IAM's, such as `https://iam.cn-north-4.myhuaweicloud.com`; its project ID is not used.
///
/// Fails with [`Class::Missing`] when the account has no such project (the region was never opened) and with
/// [`Class::Invalid`] when it has several.
pub async fn find_project_id(
    settings: Settings,
    credentials: Credentials,
    region: &str,
) -> Result<String, Error> {
    // IAM's limits are not those of OMS; one look-up per connection needs no shared budget.
    let settings = Settings { project_id: String::new(), ..settings };
    let transport = Transport::new(settings, credentials, Budget::new(1.0))?;
    let call = Call {
        operation: OPERATION,
        method: Method::GET,
        path: "/v3/projects".to_owned(),
        query: vec![("name", region.to_owned())],
        body: None,
        urgency: Urgency::User,
        secrets: Vec::new(),
        effect: Effect::Look,
    };
    let found: Projects = transport.fetch(call, Ok).await?;
    // The filter is IAM's; whether it matches exactly is not documented.
    let mut ids =
        found.projects.into_iter().filter(|project| project.name == region).map(|project| project.id);
    let refuse = |summary: String, class, remedy| {
        Error::ours(OPERATION, summary, class, Delivery::Answered, Some(remedy))
    };
    match (ids.next(), ids.next()) {
        (Some(id), None) if !id.is_empty() => Ok(id),
        (Some(_), Some(_)) => Err(refuse(
            format!("IAM knows several projects of the name `{region}`"),
            Class::Invalid,
            "Set the project ID of the connection",
        )),
        _ => Err(refuse(
            format!(
                "IAM knows no project of the name `{region}`: the region was never opened for this account"
            ),
            Class::Missing,
            "Open the region in the Huawei Cloud console, or set the project ID of the connection",
        )),
    }
}
