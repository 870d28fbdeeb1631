//! The images that `make image` made: what is in them, that they come out the same again, and that the programs in them
//! work with nothing else around.
//!
//! `make test-image` runs it. It wants root or user namespaces for a root file system of its own, and `qemu-aarch64`.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod archive;
#[path = "../common/conditions.rs"]
mod conditions;
mod contents;
#[path = "../common/programs.rs"]
mod programs;
mod reproducible;
mod root;
mod runs;
mod sbom;
#[path = "../common/tls.rs"]
mod tls;
mod untrusted;

use std::path::{Path, PathBuf};

use oms_operator::dev::image::{Architecture, archive_name};

use crate::archive::Archive;
use crate::conditions::{LIMIT, eventually};
use crate::programs::oms_dev;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds: `tmp` in it is what cargo tells tests of.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// Where `make image` puts what it makes.
fn folder() -> PathBuf {
    target().join("image")
}

/// The operator's image for an architecture.
fn image(architecture: Architecture) -> Archive {
    let path = folder().join(archive_name(architecture));
    assert!(path.exists(), "{} is missing; `make image` makes it", path.display());
    Archive::read(&path)
}
