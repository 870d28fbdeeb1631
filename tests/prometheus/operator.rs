//! Operators beside the one of the stack.

use std::path::Path;
use std::process::Command;

use oms_operator::dev::process::BoundProcess;
use oms_operator::dev::stack::Stack;

use crate::oms_dev;

/// Starts one that serves its metrics on a port.
pub(crate) fn start(stack: &Stack, folder: &Path, name: &str, port: u16, flags: &[&str]) -> BoundProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oms-operator"));
    command
        .args(["run", "--metrics-listen", &format!("127.0.0.1:{port}"), "--allowed-endpoint", "127.0.0.1"])
        .args(flags)
        .env("KUBECONFIG", stack.plane.kubeconfig())
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env("no_proxy", "127.0.0.1,localhost");
    BoundProcess::spawn(oms_dev(), name, &command, &folder.join(format!("{name}.log"))).unwrap()
}
