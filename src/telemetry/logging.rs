//! Log lines: one JSON object per line for collectors, or text for people.
//!
//! Messages are lowercase, without period and without interpolation; what varies goes into fields
//! (`kind namespace name generation step class request_id`). A span must not have a field `name`: in JSON it would
//! stand beside the span's own name. Lines go to standard error, so that standard
//! output stays free for what a command prints.
//!
//! Which lines are written can be changed while the process runs ([`Level`]).

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::{audit, traces};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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
    #[error("log level {filter:?} is not understood; write for example `info` or `info,oms_operator=debug`")]
    Filter {
        /// What was given.
        filter: String,
    },
    /// Another subscriber is installed already.
    #[error("logging was set up twice")]
    Installed(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Something besides the lines that hears of spans.
pub type Listener = Box<dyn Layer<Registry> + Send + Sync>;

/// The switch for which lines are written.
#[derive(Clone)]
pub struct Level(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl Level {
    /// Writes other lines from now on. Fails when the filter is not understood; then the former one stays.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        (self.0)(parse(filter)?);
        Ok(())
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Level")
    }
}

/// Checks a filter.
pub fn check(filter: &str) -> Result<(), Error> {
    parse(filter).map(drop)
}

/// Sends the process's log lines to standard error.
///
/// `filter` is a level or a list of directives such as `info,oms_operator=debug`. Fails when the filter is not understood
/// or when logging was set up before.
pub fn init(format: Format, filter: &str, listeners: Vec<Listener>) -> Result<Level, Error> {
    let colour = io::stderr().is_terminal();
    let (subscriber, level) = subscriber(format, filter, io::stderr, colour, listeners)?;
    tracing::subscriber::set_global_default(subscriber).map_err(Error::Installed)?;
    Ok(level)
}

/// The subscriber behind [`init`], with a writer of the caller's choice.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
    colour: bool,
    listeners: Vec<Listener>,
) -> Result<(Box<dyn tracing::Subscriber + Send + Sync>, Level), Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Listener = match format {
        Format::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_filter(filter),
        ),
        Format::Text => Box::new(lines.with_ansi(colour).with_filter(filter)),
    };
    let mut layers = listeners;
    layers.push(lines);
    // It fails only when the subscriber is gone, and nothing is logged then.
    let level = Level(Arc::new(move |filter| {
        let _ = handle.reload(filter);
    }));
    Ok((Box::new(Registry::default().with(layers)), level))
}

/// Reads a filter. The audit is not silenced by a level, only by a directive of its own.
fn parse(filter: &str) -> Result<EnvFilter, Error> {
    let wrong = || Error::Filter { filter: filter.to_owned() };
    // The library takes a misspelt level for the name of a target, and would write nothing else.
    let plain = |directive: &&str| {
        let level = directive.rsplit_once('=').map_or(*directive, |(_, level)| level);
        !level.is_empty() && level.parse::<LevelFilter>().is_ok()
    };
    let directives: Vec<_> = filter.split(',').map(str::trim).collect();
    if !filter.contains('[') && !directives.iter().all(plain) {
        return Err(wrong());
    }
    let mut parsed = EnvFilter::builder().parse(directives.join(",")).map_err(|_| wrong())?;
    let audit = format!("{}=info", audit::TARGET);
    // What is traced is not in the lines: their fields say the same.
    let traces = format!("{}=off", traces::TARGET);
    let wanted = [(!filter.contains(audit::TARGET)).then_some(audit), Some(traces)];
    for directive in wanted.into_iter().flatten() {
        parsed = parsed.add_directive(directive.parse().map_err(|_| wrong())?);
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        for filter in ["verbose", "", "info,", "info,oms_operator", "oms_operator=loud", "info debug", "=="] {
            let error = check(filter).expect_err(filter).to_string();
            assert!(error.contains(&format!("{filter:?} is not understood")), "{error}");
        }
    }

    #[test]
    fn levels_and_targets_with_levels_are_taken() {
        for filter in [
            "info",
            "WARN",
            "off",
            "info,oms_operator=debug",
            "warn, kube::client=trace",
            "info,[call]=debug",
        ] {
            assert!(check(filter).is_ok(), "{filter}");
        }
    }
}
