//! Log lines: one JSON object per line for collectors, or text for people.
//!
//! Messages are lowercase, without period and without interpolation; what varies goes into fields
//! (`kind namespace name generation step class request_id`). A span must not have a field `name`: in JSON it would
//! stand beside the span's own name. Lines go to standard error, so that standard
//! output stays free for what a command prints.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Json,
    /// Lines for people; coloured on a terminal.
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not understood.
    #[error("log filter {filter:?} is not understood; write for example `info` or `info,oms_operator=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another subscriber is installed already.
    #[error("logging was set up twice")]
    Installed(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Sends the process's log lines to standard error.
///
/// `filter` is a list of directives such as `info,oms_operator=debug`. Fails when the filter is not understood
/// or when logging was set up before.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let subscriber = subscriber(format, filter, io::stderr, io::stderr().is_terminal())?;
    tracing::subscriber::set_global_default(subscriber).map_err(Error::Installed)
}

/// The subscriber behind [`init`], with a writer of the caller's choice.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
    colour: bool,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| Error::Filter { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        Format::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
        }
        Format::Text => Box::new(lines.with_ansi(colour).finish()),
    })
}
