//! Container images without a container engine.
//!
//! An image is one static binary and the certificates of public authorities, from scratch: no shell, not root. `crane` puts
//! it together; what is written here is the layer before ([`layer`]) and the archive after that ([`archive`]). Nothing in it
//! depends on the machine or on the time, so two builds of the same commit are equal byte by byte.

pub mod archive;
pub mod layer;
mod registry;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Context, Error, Result};
use super::scratch::Scratch;
use super::tools::{Tool, Tools};
use registry::Registry;

/// Name of the program, and of the image.
pub const NAME: &str = "oms-operator";

/// No image archive may be bigger, in bytes.
pub const SIZE_LIMIT: u64 = 15_000_000;

/// The user and the group in numbers, as `runAsNonRoot` cannot judge a name.
const USER: &str = "65532:65532";

/// What an image can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Architecture {
    /// All that images are made for.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Its name in image configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name among the targets of rustc.
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the image is called where nobody has given it a registry.
pub fn reference() -> String {
    format!("{NAME}:{}", env!("CARGO_PKG_VERSION"))
}

/// File name of the archive for an architecture.
pub fn archive_name(architecture: Architecture) -> String {
    format!("{NAME}-linux-{architecture}.tar")
}

/// What an image is made from.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of cargo's that has a folder for each target.
    pub binaries: PathBuf,
    /// The commit that the binaries were built from.
    pub revision: String,
    /// When that was committed, in seconds since 1970: the time of everything in the image.
    pub epoch: u64,
    /// The folder for the results.
    pub output: PathBuf,
}

impl Request {
    /// Path of a binary.
    pub fn binary(&self, architecture: Architecture) -> PathBuf {
        self.binaries.join(architecture.target()).join("release").join(NAME)
    }

    fn labels(&self) -> Result<Vec<(&'static str, String)>> {
        let created = i64::try_from(self.epoch)
            .ok()
            .and_then(|epoch| jiff::Timestamp::from_second(epoch).ok())
            .ok_or_else(|| Error::new(format!("{} is no time that a commit can have", self.epoch)))?;
        Ok(vec![
            ("created", created.to_string()),
            ("description", env!("CARGO_PKG_DESCRIPTION").to_owned()),
            ("licenses", env!("CARGO_PKG_LICENSE").to_owned()),
            ("revision", self.revision.clone()),
            ("source", env!("CARGO_PKG_REPOSITORY").to_owned()),
            ("title", NAME.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ])
    }
}

/// Makes the operator's images and returns the paths of the archives. `oms_dev` is the path of the `oms-dev` binary.
///
/// In `output` there are then an archive for each architecture, and a folder in the layout of OCI with both, which
/// `crane push` takes.
pub fn build(oms_dev: &Path, request: &Request) -> Result<Vec<PathBuf>> {
    let tools = Tools::resolve(oms_dev, &[Tool::Crane])?;
    let scratch = Scratch::create()?;
    fs::create_dir_all(&request.output)
        .context(format_args!("Could not create {}", request.output.display()))?;
    let registry = Registry::start(oms_dev, &tools.path(Tool::Crane), scratch.path())?;
    let mut archives = Vec::new();
    for architecture in Architecture::ALL {
        let layer = scratch.path().join(format!("{architecture}.tar.gz"));
        layer::write(&layer, NAME, &request.binary(architecture), request.epoch)?;
        registry.make(request, architecture, &layer)?;
        let layout = scratch.path().join(architecture.name());
        registry.pull(architecture.name(), &layout)?;
        let archive = request.output.join(archive_name(architecture));
        archive::write(&archive, &layout, &reference(), request.epoch)?;
        let size =
            fs::metadata(&archive).context(format_args!("Could not look at {}", archive.display()))?.len();
        if size > SIZE_LIMIT {
            return Err(Error::new(format!(
                "{} has {size} bytes and may have {SIZE_LIMIT}",
                archive.display()
            )));
        }
        archives.push(archive);
    }
    registry.index()?;
    let both = request.output.join(NAME);
    // `crane` adds to a layout that is there.
    if both.exists() {
        fs::remove_dir_all(&both).context(format_args!("Could not remove {}", both.display()))?;
    }
    registry.pull(registry::INDEX, &both)?;
    Ok(archives)
}
