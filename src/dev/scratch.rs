//! Temporary folders that are swept when their owner was killed.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{Context, Error, Result};

const PREFIX: &str = "oms-dev-";

/// A folder of our own under the system's temporary folder, readable by this user only, removed on
/// drop. A sibling `.lock` file is held while we live; a folder whose lock is free is stale.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Removes what killed processes left behind, then makes a new folder.
    pub fn create() -> Result<Self> {
        let root = std::env::temp_dir();
        sweep(&root);
        for attempt in 0..1000_u32 {
            let name = format!("{PREFIX}{}-{attempt}", std::process::id());
            let lock_path = root.join(format!("{name}.lock"));
            // The lock comes before the folder, so that a folder without a held lock is never young.
            let Some(lock) = take_lock(&lock_path)? else { continue };
            let folder = root.join(name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self { folder, lock_path, _lock: lock }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let _ = fs::remove_file(&lock_path);
                    return Err(error).context(format_args!("Could not create {}", folder.display()));
                }
            }
        }
        Err(Error::new(format!("No free folder name is left in {}", root.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// The lock on `path`, or `None` when somebody else holds it.
fn take_lock(path: &Path) -> Result<Option<File>> {
    let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = match opened {
        Ok(file) => file,
        // Another user's file of the same name.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error).context(format_args!("Could not create {}", path.display())),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => {
            return Err(error).context(format_args!("Could not lock {}", path.display()));
        }
    }
    // A sweeper may have removed the file between our open and our lock.
    let ours = file.metadata().context("Could not look at the lock")?.ino();
    Ok(fs::metadata(path).is_ok_and(|there| there.ino() == ours).then_some(file))
}

/// Removes the folders and lock files of processes that are gone. What cannot be removed (another
/// user's) is left alone.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let stem = name.strip_suffix(".lock").unwrap_or(name);
        let lock_path = root.join(format!("{stem}.lock"));
        if let Ok(Some(_lock)) = take_lock(&lock_path) {
            let _ = fs::remove_dir_all(root.join(stem));
            let _ = fs::remove_file(&lock_path);
        }
    }
}
