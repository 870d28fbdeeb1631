//! Installs custom resource definitions and waits until the server serves them.

use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};

use super::error::{Context, Error, Result};

const LIMIT: Duration = Duration::from_secs(30);

/// Applies the definitions (server-side, so repeating it changes nothing) and returns when every
/// served version can be listed.
pub async fn install(client: &Client, definitions: &[CustomResourceDefinition]) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let apply = PatchParams::apply("oms-dev").force();
    for definition in definitions {
        let name = definition.name_any();
        api.patch(&name, &apply, &Patch::Apply(definition))
            .await
            .context(format_args!("Could not apply the definition `{name}`"))?;
    }
    let deadline = Instant::now() + LIMIT;
    for definition in definitions {
        for version in definition.spec.versions.iter().filter(|version| version.served) {
            let kind =
                GroupVersionKind::gvk(&definition.spec.group, &version.name, &definition.spec.names.kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, &definition.spec.names.plural);
            let objects = Api::<DynamicObject>::all_with(client.clone(), &resource);
            // `Established` comes a moment before the server really serves the path, so ask for it.
            while let Err(error) = objects.list(&ListParams::default().limit(1)).await {
                if Instant::now() >= deadline {
                    return Err(Error::new(format!(
                        "The API server does not serve `{}`: {error}",
                        definition.name_any()
                    )));
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }
    Ok(())
}
