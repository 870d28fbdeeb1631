//! `oms-dev`: starts and ends the real control plane for tests, demo and playground.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use oms_operator::dev::control_plane::{KUBECONFIG_VARIABLE, TOOLS_VARIABLE};
use oms_operator::dev::error::{Context, Result};
use oms_operator::dev::image::{self, Request};
use oms_operator::dev::stack::{self, Cluster, Programs};
use oms_operator::dev::supervisor::{self, Parts};
use oms_operator::dev::tools::{Tool, Tools};
use oms_operator::dev::{ControlPlane, Error, book, demo, interrupt, objects, playground, process};
use tokio_util::sync::CancellationToken;

/// What shells answer for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Development harness of oms-operator
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// End (as by SIGTERM) when the process that started this one has ended
    #[arg(long)]
    end_with_parent: bool,
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find the Kubernetes programs, or build them once into the user's cache folder
    Tools {
        /// Print the folder that holds them
        #[arg(long)]
        print_dir: bool,
        /// Argo CD instead of the Kubernetes programs
        #[arg(long)]
        argocd: bool,
        /// `crane` instead of the Kubernetes programs
        #[arg(long, conflicts_with = "argocd")]
        crane: bool,
    },
    /// Make container images of the operator, which was built for each architecture
    Image {
        /// Folder that holds `<target>/release/oms-operator` for each architecture
        #[arg(long)]
        binaries: PathBuf,
        /// The commit that they were built from
        #[arg(long)]
        revision: String,
        /// When that was committed, in seconds since 1970
        #[arg(long, env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
        epoch: u64,
        /// Folder for the images
        #[arg(long)]
        output: PathBuf,
    },
    /// Run a control plane until standard input ends; prints one JSON line when it is ready
    ControlPlane {
        /// Leave kube-controller-manager off
        #[arg(long)]
        no_controller_manager: bool,
    },
    /// Run a command with a control plane around it, and return its exit code
    WithControlPlane {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Migrate a bucket for real, watch it, and compare every object
    Demo {
        /// The MigrationTask to apply
        #[arg(long, default_value = "examples/first-migration.yaml")]
        manifest: PathBuf,
    },
    /// Run the whole stack until Ctrl-C; `.dev/env` appears when it is ready
    Playground,
    /// Make and look at buckets of the playground; wants `source .dev/env`
    #[command(subcommand)]
    Bucket(BucketTask),
    /// Give the book the files that its pages link to; mdBook calls it
    #[command(hide = true)]
    Book {
        /// Words of mdBook: `supports` and a renderer, or nothing
        words: Vec<String>,
    },
    /// Become a program that is killed when its parent dies
    #[command(hide = true)]
    ExecBound {
        /// Process ID of the parent that is expected
        #[arg(long)]
        parent: u32,
        /// The program and its arguments
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Subcommand)]
enum BucketTask {
    /// Make a source bucket with objects, and an empty destination bucket
    Make {
        /// Bucket at the source
        source: String,
        /// Bucket at the destination
        destination: String,
        /// How many objects
        #[arg(long, default_value_t = 40)]
        objects: usize,
    },
    /// Put small objects into a source bucket
    Put {
        /// Bucket at the source
        source: String,
        /// Keys of the objects
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Print the keys in a destination bucket
    List {
        /// Bucket at the destination
        destination: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Task::ExecBound { parent, command } = &arguments.command {
        return exit_code(process::exec_bound(*parent, &command[0], &command[1..]));
    }
    if arguments.end_with_parent
        && let Err(error) = process::end_with_parent()
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    // Two providers can be in the tree; rustls does not choose by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let oms_dev = std::env::current_exe().context("Could not find the path of this program")?;
    match task {
        Task::Tools { print_dir, argocd, crane } => {
            let wanted: &[Tool] = match (argocd, crane) {
                (true, _) => &[Tool::ArgoCd],
                (_, true) => &[Tool::Crane],
                _ => &Tool::ALL,
            };
            let tools = Tools::resolve(&oms_dev, wanted)?;
            if print_dir {
                println!("{}", tools.folder().display());
            } else {
                for &tool in wanted {
                    println!("{}", tools.path(tool).display());
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Image { binaries, revision, epoch, output } => {
            let request = Request { binaries, revision, epoch, output };
            for archive in image::build(&oms_dev, &request)? {
                println!("{}", archive.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::ControlPlane { no_controller_manager } => {
            let parts = Parts { controller_manager: !no_controller_manager };
            let runtime = runtime()?;
            let outcome = runtime.block_on(supervisor::supervise(&oms_dev, parts));
            // A build of the tools that goes on in the background is not waited for.
            runtime.shutdown_background();
            outcome.map(|()| ExitCode::SUCCESS)
        }
        Task::WithControlPlane { command } => with_control_plane(&oms_dev, &command),
        Task::Demo { manifest } => {
            let programs = Programs::beside(&oms_dev)?;
            let cluster = Cluster::from_environment()?;
            let done = until_done(async |cancel| demo::run(programs, cluster, &manifest, &cancel).await)?;
            Ok(if done { ExitCode::SUCCESS } else { exit_code(INTERRUPTED) })
        }
        Task::Playground => {
            let programs = Programs::beside(&oms_dev)?;
            let cluster = Cluster::from_environment()?;
            until_done(async |cancel| playground::run(programs, cluster, &cancel).await)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Bucket(task) => {
            let done = runtime()?.block_on(async {
                match task {
                    BucketTask::Make { source, destination, objects } => {
                        objects::make(&source, &destination, objects).await
                    }
                    BucketTask::Put { source, keys } => objects::put(&source, &keys).await,
                    BucketTask::List { destination } => objects::list(&destination).await,
                }
            })?;
            // Who reads the list may have seen enough of it.
            let mut output = std::io::stdout().lock();
            match writeln!(output, "{done}") {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("Could not write the answer"),
            }?;
            Ok(ExitCode::SUCCESS)
        }
        // Every renderer that there is can do with it.
        Task::Book { words } if !words.is_empty() => Ok(ExitCode::SUCCESS),
        Task::Book { .. } => {
            book::preprocess(std::io::stdin().lock(), std::io::stdout().lock()).map(|()| ExitCode::SUCCESS)
        }
        Task::ExecBound { .. } => Err(Error::new("`exec-bound` comes first")),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("Could not start the runtime")
}

/// Runs something that a signal can end early, until it has cleaned up.
fn until_done<T>(body: impl AsyncFnOnce(CancellationToken) -> Result<T>) -> Result<T> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async { body(interrupt::token()?).await });
    runtime.shutdown_background();
    outcome
}

fn with_control_plane(oms_dev: &Path, command: &[OsString]) -> Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = runtime()?;
    let plane = ControlPlane::start(oms_dev)?;
    let mut child = Command::new(&command[0]);
    child
        .args(&command[1..])
        .env("KUBECONFIG", plane.kubeconfig())
        .env(KUBECONFIG_VARIABLE, plane.kubeconfig())
        .env(TOOLS_VARIABLE, plane.tools().folder())
        .env("PATH", stack::path_with(plane.tools().folder()));
    runtime.block_on(async {
        // A signal from the terminal reaches the command as well; we stay until it has ended.
        let mut interrupts = signal(SignalKind::interrupt()).context("Could not listen for signals")?;
        let mut terminations = signal(SignalKind::terminate()).context("Could not listen for signals")?;
        let mut child = tokio::process::Command::from(child)
            .spawn()
            .context(format_args!("Could not start `{}`", command[0].display()))?;
        loop {
            tokio::select! {
                status = child.wait() => {
                    let status = status.context("Could not wait for the command")?;
                    return Ok(exit_code(status.code().unwrap_or(1)));
                }
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {
                    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                    }
                }
            }
        }
    })
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
