//! The file of `--config`: settings that can be changed while the operator runs.
//!
//! In a cluster it is a mounted ConfigMap, whose content the kubelet exchanges behind a symbolic link. So its content is
//! looked at from time to time; a watch of the path would miss the exchange.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::telemetry::logging::{self, Format};

/// How often the file is looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What the file says. A setting that it leaves out is the flag's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Which log lines are written; applies while the operator runs.
    pub log_level: Option<String>,
    /// How log lines look; applies when it starts.
    pub log_format: Option<Format>,
}

/// Why the file is not taken, in one line that names the field at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct Error {
    path: PathBuf,
    problem: String,
}

/// The file as it was seen last.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    /// Its content, or why there was none.
    seen: Result<String, String>,
}

impl File {
    /// Reads the file for the first time.
    pub fn open(path: &Path) -> Result<(Self, Settings), Error> {
        let file = Self { path: path.to_owned(), seen: read(path) };
        let settings = file.settings()?;
        Ok((file, settings))
    }

    /// Looks again; `None` when it is as it was.
    pub fn look(&mut self) -> Option<Result<Settings, Error>> {
        let now = read(&self.path);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(self.settings())
    }

    fn settings(&self) -> Result<Settings, Error> {
        let settings = self.seen.clone().and_then(|text| parse(&text));
        settings.map_err(|problem| Error { path: self.path.clone(), problem })
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

fn parse(text: &str) -> Result<Settings, String> {
    // An empty file says nothing, and is none the worse for it.
    let settings: Option<Settings> =
        serde_yaml::from_str(text).map_err(|error| error.to_string().replace('\n', " "))?;
    let settings = settings.unwrap_or_default();
    if let Some(level) = &settings.log_level {
        logging::check(level).map_err(|error| format!("`logLevel`: {error}"))?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_the_flags() {
        assert_eq!(parse("").unwrap(), Settings::default());
        assert_eq!(parse("# nothing\n").unwrap(), Settings::default());
        let told = parse("logLevel: off\nlogFormat: text\n").unwrap();
        assert_eq!((told.log_level.as_deref(), told.log_format), (Some("off"), Some(Format::Text)));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_with_its_field() {
        for (text, words) in [
            ("logLevel: verbose", "`logLevel`: log level \"verbose\" is not understood"),
            ("logLevel: 7", "`logLevel`: log level \"7\" is not understood"),
            ("logFormat: xml", "logFormat: unknown variant `xml`, expected `json` or `text`"),
            ("loglevel: info", "unknown field `loglevel`, expected `logLevel` or `logFormat`"),
            ("logLevel: info\nlogLevel: warn", "duplicate"),
            ("- a", "invalid type: sequence"),
            ("logLevel: [", "line"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(words) && !problem.contains('\n'), "{text:?}: {problem}");
        }
    }
}
