//! Child processes that cannot outlive us.
//!
//! A child is started through `oms-dev exec-bound`, which asks the kernel to kill it when its
//! parent dies and then becomes the program. So a parent that is killed with SIGKILL, or a test
//! that panics, leaves nothing behind.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::error::{Context, Error, Result};

/// Exit code of `exec-bound` when the program could not be started, as shells have it.
const CANNOT_EXECUTE: i32 = 126;

type SpawnRequest = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The thread that starts every child. The kernel's parent-death signal follows the *thread* that
/// forked, and test threads end long before the test process does; this one never ends.
static SPAWNER: LazyLock<Mutex<mpsc::Sender<SpawnRequest>>> = LazyLock::new(|| {
    let (requests, inbox) = mpsc::channel::<SpawnRequest>();
    thread::spawn(move || {
        for (mut command, reply) in inbox {
            // The asker may have gone; then the child is dropped, and dies with us.
            let _ = reply.send(command.spawn());
        }
    });
    Mutex::new(requests)
});

fn spawn_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    SPAWNER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .send((command, reply))
        .map_err(std::io::Error::other)?;
    answer.recv().map_err(std::io::Error::other)?
}

/// A running program whose life is bound to ours. Dropping it kills it.
#[derive(Debug)]
pub struct BoundProcess {
    name: String,
    child: Child,
    log: PathBuf,
}

impl BoundProcess {
    /// Starts `command` (its program, arguments, environment and folder are taken; standard input
    /// is empty) with standard output and standard error appended to the file `log`.
    ///
    /// `oms_dev` is the path of the `oms-dev` binary. The child gets a process group of its own,
    /// so that Ctrl-C at a terminal reaches us first and we decide the order of ending.
    pub fn spawn(oms_dev: &Path, name: &str, command: &Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .context(format_args!("Could not open the log {}", log.display()))?;
        let errors = output.try_clone().context("Could not share the log")?;
        let mut bound = bound_command(oms_dev, command);
        bound.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = spawn_from_lasting_thread(bound)
            .context(format_args!("Could not start {name} through {}", oms_dev.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of its output, for a message.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error with the end of the log when it no longer runs.
    pub fn check_running(&mut self) -> Result<()> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => Err(Error::new(format!(
                "{} ended unexpectedly ({}); the end of its log:\n{}",
                self.name,
                describe(status),
                self.log_tail(15)
            ))),
        }
    }

    /// Sends a signal; one to a process that has ended is not an error.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit_status().is_none()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits until it has ended, at most for `limit`; `None` when it still runs then.
    pub fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end (SIGTERM), and kills it when it has not within `grace`.
    /// Returns whether it ended by itself.
    pub fn terminate(&mut self, grace: Duration) -> bool {
        self.signal(Signal::TERM);
        if self.wait_within(grace).is_some() {
            return true;
        }
        self.kill();
        false
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for BoundProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `command`, started through `oms-dev exec-bound` so that it dies with this process.
/// Standard streams are left for the caller to set.
fn bound_command(oms_dev: &Path, command: &Command) -> Command {
    let mut bound = Command::new(oms_dev);
    bound.arg("exec-bound").arg("--parent").arg(std::process::id().to_string()).arg("--");
    bound.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(key, value),
            None => bound.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Starts `command` bound to our life, with standard streams as the caller wants them.
/// It is spawned from the lasting thread, in this process's group.
pub fn spawn_bound(oms_dev: &Path, command: &Command, streams: [Stdio; 3]) -> Result<Child> {
    let mut bound = bound_command(oms_dev, command);
    let [input, output, errors] = streams;
    bound.stdin(input).stdout(output).stderr(errors);
    spawn_from_lasting_thread(bound)
        .context(format_args!("Could not start `{}`", command.get_program().display()))
}

/// The body of `oms-dev exec-bound`: binds this process to its parent, then becomes `program`.
/// Returns only when that failed, with the exit code to use.
pub fn exec_bound(parent: u32, program: &OsString, arguments: &[OsString]) -> i32 {
    #[cfg(target_os = "linux")]
    {
        if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
            eprintln!("Could not bind the process to its parent: {error}");
            return CANNOT_EXECUTE;
        }
        // The parent may have died before the line above; then nobody would send the signal.
        if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get() as u32) != Some(parent) {
            return CANNOT_EXECUTE;
        }
    }
    let _ = parent;
    let error = Command::new(program).args(arguments).exec();
    eprintln!("Could not start `{}`: {error}", program.display());
    CANNOT_EXECUTE
}

/// Asks the kernel to send us SIGTERM when our parent dies. To be called from the main thread.
pub fn end_with_parent() -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .context("Could not bind the process to its parent")?;
    Ok(())
}

/// The last `lines` lines of a file; empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    const ENOUGH: u64 = 64 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// "exit code 3" or "signal 9", for messages.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}
