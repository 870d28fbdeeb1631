//! The archive of an image, as users load it.
//!
//! It is in the layout of OCI, with the two names in it that containerd and podman read, and with the `manifest.json` that
//! older versions of Docker want. So every `load` and `import` takes it.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use tar::{Builder, EntryType};

use super::layer::add;
use crate::dev::error::{Context, Error, Result};

/// Writes the archive of the one image in the folder `layout`, which it calls `reference` (`name:tag`).
pub fn write(path: &Path, layout: &Path, reference: &str, epoch: u64) -> Result<()> {
    let index = read_json(&layout.join("index.json"))?;
    let (image, config, layers) = parts(layout, &index)
        .ok_or_else(|| Error::new(format!("{} does not hold exactly one image", layout.display())))?;
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": index["mediaType"],
        "manifests": [{
            "mediaType": image["mediaType"],
            "digest": image["digest"],
            "size": image["size"],
            "annotations": {
                "io.containerd.image.name": format!("docker.io/library/{reference}"),
                "org.opencontainers.image.ref.name": tag,
            },
        }],
    });
    let manifest = json!([{
        "Config": blob(&config),
        "RepoTags": [reference],
        "Layers": layers.iter().map(|digest| blob(digest)).collect::<Vec<_>>(),
    }]);
    let mut files = vec![
        ("index.json".to_owned(), index.to_string().into_bytes()),
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
        ("oci-layout".to_owned(), read(&layout.join("oci-layout"))?),
    ];
    let blobs = layout.join("blobs/sha256");
    for entry in fs::read_dir(&blobs).context(format_args!("Could not read {}", blobs.display()))? {
        let entry = entry.context(format_args!("Could not read {}", blobs.display()))?;
        files.push((blob(&entry.file_name().to_string_lossy()), read(&entry.path())?));
    }
    // Folders come in the order of the disk.
    files.sort();
    let doing = || format!("Could not write {}", path.display());
    let mut archive = Builder::new(BufWriter::new(File::create(path).context(doing())?));
    for folder in ["blobs/", "blobs/sha256/"] {
        add(&mut archive, folder, EntryType::Directory, 0o755, &[], epoch).context(doing())?;
    }
    for (name, content) in &files {
        add(&mut archive, name, EntryType::Regular, 0o644, content, epoch).context(doing())?;
    }
    archive.into_inner().and_then(|mut file| file.flush()).context(doing())
}

/// Of a layout with one image: its entry in the index, and the digests of its configuration and layers.
fn parts<'a>(layout: &Path, index: &'a Value) -> Option<(&'a Value, String, Vec<String>)> {
    let digest = |value: &Value| Some(value["digest"].as_str()?.strip_prefix("sha256:")?.to_owned());
    let [image] = index["manifests"].as_array()?.as_slice() else { return None };
    let manifest = read_json(&layout.join("blobs/sha256").join(digest(image)?)).ok()?;
    let layers = manifest["layers"].as_array()?.iter().map(digest).collect::<Option<_>>()?;
    Some((image, digest(&manifest["config"])?, layers))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(format_args!("Could not read {}", path.display()))
}

fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path)?).context(format_args!("Could not read {}", path.display()))
}
