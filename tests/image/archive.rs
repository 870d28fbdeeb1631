//! An image archive, as one who does not know how it was written reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// An entry of a tar file.
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) folder: bool,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) names: (String, String),
    pub(crate) time: u64,
    pub(crate) content: Vec<u8>,
}

/// All entries, in their order.
pub(crate) fn entries(tar: impl std::io::Read) -> Vec<Entry> {
    let mut archive = tar::Archive::new(tar);
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let name = |name: Option<&[u8]>| String::from_utf8(name.unwrap_or_default().to_vec()).unwrap();
        Entry {
            path: entry.path().unwrap().to_str().unwrap().to_owned(),
            folder: header.entry_type().is_dir(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            names: (name(header.username_bytes()), name(header.groupname_bytes())),
            time: header.mtime().unwrap(),
            content,
        }
    };
    archive.entries().unwrap().map(read).collect()
}

/// An image archive in memory.
pub(crate) struct Archive {
    pub(crate) entries: Vec<Entry>,
    pub(crate) size: u64,
}

impl Archive {
    pub(crate) fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let size = file.metadata().unwrap().len();
        Self { entries: entries(file), size }
    }

    pub(crate) fn file(&self, path: &str) -> &[u8] {
        let entry = self.entries.iter().find(|entry| entry.path == path);
        &entry.unwrap_or_else(|| panic!("no {path}")).content
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_slice(self.file(path)).unwrap()
    }

    /// A blob, which is what its digest says.
    fn blob(&self, descriptor: &Value) -> &[u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let content = self.file(&format!("blobs/sha256/{digest}"));
        assert_eq!(data_encoding::HEXLOWER.encode(&Sha256::digest(content)), digest);
        assert_eq!(descriptor["size"], content.len());
        content
    }

    pub(crate) fn manifest(&self) -> Value {
        let index = self.json("index.json");
        let [image] = index["manifests"].as_array().unwrap().as_slice() else { panic!("{index}") };
        serde_json::from_slice(self.blob(image)).unwrap()
    }

    pub(crate) fn config(&self) -> Value {
        serde_json::from_slice(self.blob(&self.manifest()["config"])).unwrap()
    }

    /// The labels without their common prefix.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let config = self.config();
        let labels = config["config"]["Labels"].as_object().unwrap();
        let short = |name: &str| name.strip_prefix("org.opencontainers.image.").unwrap().to_owned();
        labels.iter().map(|(name, value)| (short(name), value.as_str().unwrap().to_owned())).collect()
    }

    /// What is in the one layer.
    pub(crate) fn root(&self) -> Vec<Entry> {
        let manifest = self.manifest();
        let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut tar = Vec::new();
        GzDecoder::new(self.blob(layer)).read_to_end(&mut tar).unwrap();
        let digest = format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(&tar)));
        assert_eq!(self.config()["rootfs"]["diff_ids"], serde_json::json!([digest]));
        entries(tar.as_slice())
    }

    /// The program.
    pub(crate) fn program(&self) -> Vec<u8> {
        self.root().into_iter().find(|entry| entry.path == "oms-operator").unwrap().content
    }
}
