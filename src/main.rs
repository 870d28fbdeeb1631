//! `oms-operator`: the controller that runs in the cluster.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use oms_operator::api;
use oms_operator::cli::{Cli, Command, ReleaseArgs, RunArgs};
use oms_operator::config::{Config, Surroundings, file};
use oms_operator::controller::{self, chain, release::Release};
use oms_operator::telemetry::logging;
use oms_operator::telemetry::traces::Traces;

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
        let client = controller::cluster::client().await?;
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
    logging::check(&args.log_level).map_err(|error| format!("--log-level: {error}"))?;
    let opened = args.config.as_deref().map(file::File::open).transpose();
    let (file, said) = opened.map_err(|error| format!("--config: {error}"))?.unzip();
    let said = said.unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = {
        let _entered = runtime.enter();
        Traces::from_environment()
    };
    let level = logging::init(
        said.log_format.unwrap_or(args.log_format),
        said.log_level.as_deref().unwrap_or(&args.log_level),
        traces.listeners(),
    )?;
    traces.tell();
    let done = runtime.block_on(async {
        if let Some(file) = file {
            let hangup = signal(SignalKind::hangup())?;
            let interval = file::INTERVAL.div_f64(config.time_scale);
            tokio::spawn(follow(file, said, args.log_level.clone(), level, (hangup, interval)));
        }
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
    traces.close();
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Applies what changes in the file of `--config`, and says what became of it. SIGHUP asks for a look at once.
async fn follow(
    mut file: file::File,
    started: file::Settings,
    default_level: String,
    level: logging::Level,
    (mut hangup, interval): (Signal, Duration),
) {
    let mut current = started.log_level.clone().unwrap_or_else(|| default_level.clone());
    let mut format = started.log_format;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = hangup.recv() => {}
        }
        let said = match file.look() {
            None => continue,
            Some(Ok(said)) => said,
            Some(Err(error)) => {
                tracing::warn!(%error, "the config file is not taken; what it said before holds");
                continue;
            }
        };
        let restart = std::mem::replace(&mut format, said.log_format) != said.log_format;
        let wanted = said.log_level.unwrap_or_else(|| default_level.clone());
        let tell = || {
            if restart {
                tracing::info!(field = "logFormat", "changed, takes effect after a restart");
            }
            if wanted != current {
                tracing::info!(field = "logLevel", from = current, to = wanted, "changed, in effect now");
            }
        };
        // It is said while such lines are written: before when they end, after when they begin.
        let told = tracing::enabled!(tracing::Level::INFO);
        if told {
            tell();
        }
        if let Err(error) = level.set(&wanted) {
            tracing::warn!(field = "logLevel", %error, "the config file is not taken");
            continue;
        }
        if !told {
            tell();
        }
        current = wanted;
    }
}
