//! `oms-operator`: the controller that runs in the cluster.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use oms_operator::api;
use oms_operator::cli::{Cli, Command, ReleaseArgs, RunArgs};
use oms_operator::config::{Config, Surroundings};
use oms_operator::controller::{self, release::Release};
use oms_operator::telemetry::logging;

/// How long a clean end may take; Kubernetes kills after 30 s.
const GRACE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    // Two providers may be linked in one day; naming ours first keeps every client on it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Crds(args) => crds(args.output_dir.as_deref()),
        Command::Release(args) => release(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let error = chain(failure.as_ref());
            // Once lines are logged, a collector expects every line in their format.
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!(error, "ended with an error");
            } else {
                eprintln!("oms-operator: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn crds(output_dir: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = output_dir else {
        std::io::stdout().write_all(api::crds_yaml().as_bytes())?;
        return Ok(());
    };
    let wrong = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
    for (name, yaml) in api::crd_files() {
        let path = folder.join(name);
        std::fs::write(&path, yaml).map_err(|error| wrong(&path, error))?;
    }
    Ok(())
}

fn release(args: &ReleaseArgs) -> Result<(), Failure> {
    let release = Release { namespaces: args.namespaces.clone(), dry_run: args.dry_run, force: args.force };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let released = runtime.block_on(async {
        let client = kube::Client::try_default().await?;
        release.run(&client, |line| println!("{line}")).await.map_err(Failure::from)
    })?;
    let what = if args.dry_run { "Would release" } else { "Released" };
    println!(
        "{what} {} objects; {} tasks stay at OMS, {} of them still under way",
        released.objects, released.tasks, released.active
    );
    Ok(())
}

fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::new(args, &Surroundings::read())?;
    logging::init(args.log_format, &args.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let controller = controller::run(config, stop.clone());
        tokio::pin!(controller);
        tokio::select! {
            done = &mut controller => return done.map_err(Failure::from),
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "ending"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "ending"),
        }
        stop.cancel();
        tokio::select! {
            done = &mut controller => {
                tracing::info!("ended");
                done.map_err(Failure::from)
            }
            () = tokio::time::sleep(GRACE) => Err(format!("did not end within {} s, gave up", GRACE.as_secs()).into()),
            _ = terminate.recv() => Err("asked twice, gave up at once".into()),
            _ = interrupt.recv() => Err("asked twice, gave up at once".into()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// The error and its causes in one line; a cause that the text names already is not repeated.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
