//! The Git repository that Argo CD reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Git allows one writer at a time.
static WRITER: Mutex<()> = Mutex::new(());

fn git(repository: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an empty repository with branch `main`.
pub(crate) fn create(repository: &Path) {
    git(repository, &["init", "--quiet", "--initial-branch", "main"]);
    git(repository, &["commit", "--quiet", "--allow-empty", "--message", "Begin"]);
}

/// Commits a manifest as the whole of a folder, or a folder without a manifest.
pub(crate) fn commit(repository: &Path, folder: &str, manifest: Option<&str>) {
    let _writer = WRITER.lock().unwrap();
    let place = repository.join(folder);
    std::fs::create_dir_all(&place).unwrap();
    // Git keeps no empty folders.
    std::fs::write(place.join("README"), "What Argo CD applies.\n").unwrap();
    let file = place.join("manifest.yaml");
    match manifest {
        Some(text) => std::fs::write(file, text).unwrap(),
        None => std::fs::remove_file(file).unwrap(),
    }
    git(repository, &["add", "--all", "."]);
    git(repository, &["commit", "--quiet", "--message", folder]);
}

/// Commits files as the whole of a folder.
pub(crate) fn commit_files(repository: &Path, folder: &str, files: &BTreeMap<String, String>) {
    let _writer = WRITER.lock().unwrap();
    let place = repository.join(folder);
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).unwrap();
    // Git keeps no empty folders.
    std::fs::write(place.join("README"), "What Argo CD applies.\n").unwrap();
    for (name, text) in files {
        std::fs::write(place.join(name), text).unwrap();
    }
    git(repository, &["add", "--all", "."]);
    git(repository, &["commit", "--quiet", "--allow-empty", "--message", folder]);
}
