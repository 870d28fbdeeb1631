//! The real promtool.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it in a folder, with what it reads from standard input, and prints what it said; it has to be content.
pub(crate) fn promtool(folder: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool (Debian's package prometheus): {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("$ promtool {}\n{said}", arguments.join(" "));
    // What is only a matter of style ends with status 3 and counts too.
    assert!(output.status.success(), "promtool {arguments:?}: {} {said}", output.status);
}
