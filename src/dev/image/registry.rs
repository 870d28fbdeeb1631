//! `crane`, with a registry of its own on this machine: it changes images in registries only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Architecture, NAME, Request, USER};
use crate::dev::error::{Context, Error, Result};
use crate::dev::process::{self, BoundProcess};

/// The tag of the index over all architectures.
pub(super) const INDEX: &str = "index";

const START_LIMIT: Duration = Duration::from_secs(30);

/// A registry that lives as long as this value.
pub(super) struct Registry {
    oms_dev: PathBuf,
    crane: PathBuf,
    folder: PathBuf,
    port: u16,
    _process: BoundProcess,
}

impl Registry {
    pub(super) fn start(oms_dev: &Path, crane: &Path, folder: &Path) -> Result<Self> {
        let log = folder.join("registry.log");
        let mut command = Command::new(crane);
        command.args(["registry", "serve", "--address", "127.0.0.1:0"]);
        let mut process = BoundProcess::spawn(oms_dev, "crane", &command, &log)?;
        let deadline = Instant::now() + START_LIMIT;
        let port = loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            if let Some(port) = port_in(&text) {
                break port;
            }
            process.check_running()?;
            if Instant::now() >= deadline {
                return Err(Error::new(format!("The registry of `crane` named no port:\n{text}")));
            }
            thread::sleep(Duration::from_millis(10));
        };
        let [oms_dev, crane, folder] = [oms_dev, crane, folder].map(Path::to_owned);
        Ok(Self { oms_dev, crane, folder, port, _process: process })
    }

    fn reference(&self, tag: &str) -> String {
        format!("127.0.0.1:{}/{NAME}:{tag}", self.port)
    }

    /// Makes the image of one architecture, under its name as the tag.
    pub(super) fn make(&self, request: &Request, architecture: Architecture, layer: &Path) -> Result<()> {
        let bare = self.reference(&format!("{architecture}-layer"));
        let mut append = self.crane();
        append.args(["append", "--oci-empty-base", "--new_tag", &bare, "--new_layer"]).arg(layer);
        self.run(&append)?;
        let mut mutate = self.crane();
        mutate
            .args(["mutate", &bare, "--tag", &self.reference(architecture.name())])
            .args(["--set-platform", &format!("linux/{architecture}"), "--user", USER])
            .args(["--entrypoint", &format!("/{NAME}"), "--cmd", "run"])
            .args(["--exposed-ports", "8080/tcp"]);
        for (name, value) in request.labels()? {
            mutate.args(["--label", &format!("org.opencontainers.image.{name}={value}")]);
        }
        self.run(&mutate)
    }

    /// Makes the index over the images of all architectures.
    pub(super) fn index(&self) -> Result<()> {
        let mut command = self.crane();
        command.args(["index", "append", "--tag", &self.reference(INDEX)]);
        for architecture in Architecture::ALL {
            command.args(["--manifest", &self.reference(architecture.name())]);
        }
        self.run(&command)
    }

    /// Writes what a tag names into a new folder, in the layout of OCI.
    pub(super) fn pull(&self, tag: &str, folder: &Path) -> Result<()> {
        let mut command = self.crane();
        command.args(["pull", "--format=oci", &self.reference(tag)]).arg(folder);
        self.run(&command)
    }

    fn crane(&self) -> Command {
        let mut command = Command::new(&self.crane);
        // No password of the user's is wanted, nor a program that would ask for it.
        command.env("DOCKER_CONFIG", &self.folder);
        command
    }

    fn run(&self, command: &Command) -> Result<()> {
        let streams = [Stdio::null(), Stdio::null(), Stdio::piped()];
        let output = process::spawn_bound(&self.oms_dev, command, streams)?
            .wait_with_output()
            .context("Could not wait for crane")?;
        if output.status.success() {
            return Ok(());
        }
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        Err(Error::new(format!(
            "`crane {}` failed ({}): {}",
            arguments.join(" "),
            process::describe(output.status),
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }
}

/// The port of the line with which the registry begins its log, once that is whole.
fn port_in(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("serving on port ")?;
    rest.split_once('\n')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_once_its_line_is_whole() {
        assert_eq!(port_in(""), None);
        assert_eq!(port_in("2026/11/30 22:12:38 serving on port 40"), None);
        assert_eq!(port_in("2026/11/30 22:12:38 serving on port 40265\n2026/11/30 GET /v2/\n"), Some(40265));
    }
}
