//! The OMS API on a laptop or in CI: `oms-emulator serve`.
use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use oms_operator::emulator::{
    config::{Config, DEFAULT_REGION},
    persist::write_private_file,
    server::{Emulator, Endpoints, Options},
};
use secrecy::ExposeSecret as _;
use tracing_subscriber::EnvFilter;

/// The Object Storage Migration Service of Huawei Cloud on a laptop: same paths, states, errors and signatures, and
/// objects that really move between S3 stores.
#[derive(Debug, Parser)]
#[command(name = "oms-emulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Address of OMS, IAM and STS; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address of the admin API, which anybody who reaches it may use; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    admin_listen: SocketAddr,
    /// Configuration file (YAML). Without one: one project, one source store and one destination store.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder that keeps tasks over a restart, keys of active tasks included. Without one: in memory.
    #[arg(long)]
    state: Option<PathBuf>,
    /// File to write, as JSON and with keys, when everything answers.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// What to log to standard error, in the syntax of `RUST_LOG`.
    #[arg(long, default_value = "warn,oms_operator=info")]
    log: String,
}

fn main() -> ExitCode {
    let Command::Serve(serve) = Arguments::parse().command;
    allow_connections();
    match run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody else to tell if even this fails.
            let _ = writeln!(io::stderr(), "oms-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(serve: Serve) -> Result<(), Box<dyn Error>> {
    let filter =
        EnvFilter::try_new(&serve.log).map_err(|error| format!("`--log` cannot be read: {error}"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let config = match &serve.config {
        None => Config::standard(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("Cannot read the configuration `{}`: {error}", path.display()))?;
            Config::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    // Before anything is ready, so that a signal at any later moment ends it cleanly.
    let end = end_of_service()?;
    let emulator = Emulator::start(Options {
        config,
        listen: serve.listen,
        admin_listen: serve.admin_listen,
        state: serve.state,
        observer: None,
    })
    .await?;
    announce(emulator.endpoints())?;
    if let Some(path) = &serve.ready_file {
        let text = serde_json::to_vec_pretty(&emulator.endpoints().to_json())?;
        write_private_file(path, &text)
            .map_err(|error| format!("Cannot write the ready file `{}`: {error}", path.display()))?;
    }
    end.await;
    if let Some(path) = &serve.ready_file {
        // It no longer tells the truth.
        let _ = std::fs::remove_file(path);
    }
    emulator.shutdown().await;
    Ok(())
}

/// Raises the limit of open files as far as this process may: every connection is one.
fn allow_connections() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // With fewer files there are fewer connections, and that is told when one cannot be accepted.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(unix)]
fn end_of_service() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn end_of_service() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Prints what a person needs to use it.
fn announce(endpoints: &Endpoints) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "OMS, IAM, STS {}", endpoints.oms)?;
    writeln!(out, "metadata      {}", endpoints.metadata)?;
    writeln!(out, "pod identity  {}", endpoints.pod_identity)?;
    if let Some(token) = &endpoints.pod_identity_token {
        writeln!(out, "  token       {}", token.expose_secret())?;
    }
    writeln!(out, "admin API     {}", endpoints.admin)?;
    for project in &endpoints.projects {
        writeln!(out, "project       {} ({}, {})", project.id, project.name, project.region)?;
        writeln!(out, "  access key  {}", project.access_key)?;
        writeln!(out, "  secret key  {}", project.secret_key.expose_secret())?;
        for user in &project.users {
            writeln!(out, "  user        {} of {}", user.name, user.domain)?;
            writeln!(out, "  password    {}", user.password.expose_secret())?;
        }
    }
    for store in &endpoints.stores {
        writeln!(
            out,
            "store         {} {} ({}, {})",
            store.name, store.endpoint, store.cloud_type, store.region
        )?;
        if let Some((access, secret)) = &store.first_key {
            writeln!(out, "  access key  {access}")?;
            writeln!(out, "  secret key  {}", secret.expose_secret())?;
        }
    }
    if endpoints.stores.is_empty() {
        writeln!(
            out,
            "No store is configured: add `stores` or `embeddedStores`, one with cloudType HuaweiCloud for {DEFAULT_REGION} or your region"
        )?;
    }
    out.flush()
}
