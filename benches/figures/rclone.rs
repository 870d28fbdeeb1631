//! `rclone`, what copying is held against: from the path, else from Debian's package, which needs no rights to unpack.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `rclone` is. `None`, with a word about it, where it cannot be had.
pub(crate) fn find() -> Option<PathBuf> {
    if Command::new("rclone").arg("version").output().is_ok_and(|output| output.status.success()) {
        return Some("rclone".into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    let folder = cache.join("oms-operator").join("rclone");
    let program = folder.join("usr/bin/rclone");
    if !program.exists() && !unpack(&folder) {
        println!("Missing tool `rclone`: install it, or `apt-get` and `dpkg-deb` to fetch Debian's package");
        return None;
    }
    Some(program)
}

fn unpack(folder: &Path) -> bool {
    let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    std::fs::create_dir_all(folder).is_ok()
        && done(Command::new("apt-get").args(["download", "rclone"]).current_dir(folder))
        && std::fs::read_dir(folder).is_ok_and(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
                .any(|package| done(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder)))
        })
}
