//! What the container of a pod asks for, as a command of this machine.
//!
//! Its program is the one that its image stands for. `0.0.0.0` in an argument becomes the pod's address, as a pod has a network
//! of its own. Mounted files are put into a folder, and a path of theirs in an argument or a variable is changed to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret};
use kube::{Api, Client, ResourceExt};

use super::Machine;

/// A command that is ready to be started.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Folders that are there, of mounted volumes.
    pub(super) folders: Vec<PathBuf>,
    /// Files to be written first.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

/// Why a container cannot be started: the reason of its state, and words.
pub(super) type Refusal = (&'static str, String);

/// Objects that a pod refers to.
struct References {
    config_maps: Api<ConfigMap>,
    secrets: Api<Secret>,
}

type Data = BTreeMap<String, Vec<u8>>;

impl References {
    async fn config_map(&self, name: &str) -> Result<Data, Refusal> {
        let found = self.config_maps.get(name).await.map_err(|error| missing("ConfigMap", name, &error))?;
        let text = found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
        let bytes = found.binary_data.unwrap_or_default();
        Ok(text.chain(bytes.into_iter().map(|(key, ByteString(value))| (key, value))).collect())
    }

    async fn secret(&self, name: &str) -> Result<Data, Refusal> {
        let found = self.secrets.get(name).await.map_err(|error| missing("Secret", name, &error))?;
        Ok(found.data.unwrap_or_default().into_iter().map(|(key, ByteString(value))| (key, value)).collect())
    }
}

fn missing(kind: &str, name: &str, error: &kube::Error) -> Refusal {
    ("CreateContainerConfigError", format!("{kind} {name}: {error}"))
}

/// The command of the pod's one container.
pub(super) async fn of(
    pod: &Pod,
    address: &str,
    client: &Client,
    machine: &Machine,
) -> Result<Launch, Refusal> {
    let namespace = pod.namespace().unwrap_or_default();
    let references = References {
        config_maps: Api::namespaced(client.clone(), &namespace),
        secrets: Api::namespaced(client.clone(), &namespace),
    };
    let container = container(pod)?;
    let image = container.image.clone().unwrap_or_default();
    let program = program(machine, &image)
        .ok_or_else(|| ("ErrImagePull", format!("No program of this machine stands for image {image}")))?;
    let folder = machine.folder.join(pod.name_any());
    let mounts = mounts(pod, container, &folder, &references).await?;
    let environment = environment(pod, container, address, machine, &references).await?;
    let known: BTreeMap<&str, &str> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let here = |text: &str| moved(text, &mounts);
    let words = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten());
    let arguments = words.map(|word| here(&expanded(word, &known)).replace("0.0.0.0", address)).collect();
    let environment = environment.iter().map(|(name, value)| (name.clone(), here(value))).collect();
    let folders = mounts.iter().map(|mount| mount.folder.clone()).collect();
    let files = mounts.into_iter().flat_map(|mount| mount.files).collect();
    Ok(Launch { program, arguments, environment, folders, files })
}

/// The one container of a pod.
pub(super) fn container(pod: &Pod) -> Result<&Container, Refusal> {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    match containers {
        [container] => Ok(container),
        _ => Err(("CreateContainerConfigError", "This kubelet runs pods of one container only".into())),
    }
}

/// The program that stands for an image; one that is known without its tag stands for every tag.
fn program(machine: &Machine, image: &str) -> Option<PathBuf> {
    let named = image.split_once('@').map_or(image, |(name, _)| name);
    let untagged = named.rsplit_once(':').map_or(named, |(name, _)| name);
    machine.images.get(named).or_else(|| machine.images.get(untagged)).cloned()
}

/// A mounted volume: where the container expects it, and what is in it.
struct Mount {
    path: String,
    folder: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

async fn mounts(
    pod: &Pod,
    container: &Container,
    folder: &Path,
    references: &References,
) -> Result<Vec<Mount>, Refusal> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let refused = |what: &str| ("CreateContainerConfigError", format!("Volume {}: {what}", mount.name));
        let volume = volumes.iter().find(|volume| volume.name == mount.name);
        let volume = volume.ok_or_else(|| refused("the pod has none of that name"))?;
        let content = match (&volume.config_map, &volume.secret, &volume.empty_dir) {
            (Some(source), None, None) => references.config_map(&source.name).await?,
            (None, Some(source), None) => {
                references.secret(source.secret_name.as_deref().unwrap_or_default()).await?
            }
            (None, None, Some(_)) => Data::new(),
            _ => return Err(refused("this kubelet mounts ConfigMaps, Secrets and empty folders only")),
        };
        let folder = folder.join(mount.mount_path.trim_start_matches('/'));
        let files = content.into_iter().map(|(name, bytes)| (folder.join(name), bytes)).collect();
        mounts.push(Mount { path: mount.mount_path.clone(), folder, files });
    }
    Ok(mounts)
}

/// A text whose paths into mounted volumes lead to their folders.
fn moved(text: &str, mounts: &[Mount]) -> String {
    let mut text = text.to_owned();
    for mount in mounts {
        text = text.replace(&mount.path, &mount.folder.to_string_lossy());
    }
    text
}

async fn environment(
    pod: &Pod,
    container: &Container,
    address: &str,
    machine: &Machine,
    references: &References,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut all = machine.environment.clone();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for source in container.env_from.iter().flatten() {
        let data = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => references.config_map(&map.name).await?,
            (_, Some(secret)) => references.secret(&secret.name).await?,
            _ => Data::new(),
        };
        let prefix = source.prefix.clone().unwrap_or_default();
        all.extend(data.iter().map(|(name, value)| (format!("{prefix}{name}"), text(value))));
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value {
            Some(value) => {
                let known: BTreeMap<&str, &str> =
                    all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                expanded(value, &known)
            }
            None => referred(pod, variable, address, references).await?,
        };
        all.push((variable.name.clone(), value));
    }
    Ok(all)
}

/// The value of a variable that comes from elsewhere.
async fn referred(
    pod: &Pod,
    variable: &EnvVar,
    address: &str,
    references: &References,
) -> Result<String, Refusal> {
    let refused =
        |what: String| ("CreateContainerConfigError", format!("Variable {}: {what}", variable.name));
    let Some(source) = &variable.value_from else { return Ok(String::new()) };
    let of = |data: Data, key: &str| {
        data.get(key)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .ok_or_else(|| refused(format!("there is no key {key}")))
    };
    if let Some(field) = &source.field_ref {
        return match field.field_path.as_str() {
            "metadata.name" => Ok(pod.name_any()),
            "metadata.namespace" => Ok(pod.namespace().unwrap_or_default()),
            "metadata.uid" => Ok(pod.uid().unwrap_or_default()),
            "status.podIP" => Ok(address.to_owned()),
            path if label(path).is_some() => {
                let labels = pod.metadata.labels.as_ref();
                let value = label(path).and_then(|name| labels?.get(name));
                Ok(value.cloned().unwrap_or_default())
            }
            other => Err(refused(format!("this kubelet does not know the field {other}"))),
        };
    }
    if let Some(key) = &source.secret_key_ref {
        return of(references.secret(&key.name).await?, &key.key);
    }
    if let Some(key) = &source.config_map_key_ref {
        return of(references.config_map(&key.name).await?, &key.key);
    }
    Err(refused("this kubelet does not know its source".into()))
}

/// The label that a field path such as `metadata.labels['app']` names.
fn label(path: &str) -> Option<&str> {
    path.strip_prefix("metadata.labels['")?.strip_suffix("']")
}

/// A text with `$(NAME)` replaced where the name is known.
fn expanded(text: &str, known: &BTreeMap<&str, &str>) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_variable_is_expanded_and_another_one_left() {
        let known = BTreeMap::from([("HOST", "10.0.0.1")]);
        assert_eq!(expanded("$(HOST),.svc,$(PORT)", &known), "10.0.0.1,.svc,$(PORT)");
    }

    #[test]
    fn an_image_is_found_with_and_without_its_tag() {
        let images = BTreeMap::from([
            ("oms-operator".to_owned(), PathBuf::from("any")),
            ("oms-operator:2".to_owned(), PathBuf::from("two")),
        ]);
        let machine = Machine {
            oms_dev: PathBuf::new(),
            images,
            kubeconfig: PathBuf::new(),
            folder: PathBuf::new(),
            environment: Vec::new(),
        };
        assert_eq!(program(&machine, "oms-operator:1"), Some("any".into()));
        assert_eq!(program(&machine, "oms-operator:2"), Some("two".into()));
        assert_eq!(program(&machine, "oms-operator@sha256:00"), Some("any".into()));
        assert_eq!(program(&machine, "other"), None);
    }

    #[test]
    fn a_label_is_named_by_its_path() {
        assert_eq!(
            label("metadata.labels['batch.kubernetes.io/job-name']"),
            Some("batch.kubernetes.io/job-name")
        );
        assert_eq!(label("metadata.labels"), None);
    }

    #[test]
    fn a_path_into_a_volume_leads_to_its_folder() {
        let mount = Mount { path: "/etc/oms".into(), folder: "here/etc/oms".into(), files: Vec::new() };
        assert_eq!(moved("--file=/etc/oms/token", &[mount]), "--file=here/etc/oms/token");
    }
}
