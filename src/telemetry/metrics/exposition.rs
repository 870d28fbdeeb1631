//! Metrics as text, in one of the two formats that Prometheus and its relatives read.

use std::fmt::{self, Write};

use super::catalogue::{Description, Type};
use super::series::{BOUNDS, Value};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older text format, 0.0.4, which everything reads.
    Classic,
}

impl Format {
    /// The one that a scraper asks for in its header `Accept`.
    pub fn accepted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text that grows by one metric after the other.
pub(super) struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::with_capacity(16 * 1024), format }
    }

    /// Goes on with a metric.
    pub(super) fn family(&mut self, description: &'static Description) -> Family<'_> {
        Family { exposition: self, description, name: description.series(), begun: false }
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A metric that is being written; one without series leaves nothing.
pub(super) struct Family<'a> {
    exposition: &'a mut Exposition,
    description: &'static Description,
    name: String,
    begun: bool,
}

impl Family<'_> {
    /// Writes a series with the values of its labels, in the order of the description.
    pub(super) fn series(&mut self, labels: &[&str], value: impl Into<Value>) {
        // Only the writer can fail, and a String does not.
        let _ = self.write(labels, &value.into());
    }

    fn write(&mut self, labels: &[&str], value: &Value) -> fmt::Result {
        if !self.begun {
            self.begin()?;
            self.begun = true;
        }
        match value {
            Value::Whole(number) => self.sample("", labels, None, number),
            Value::Real(number) => self.sample("", labels, None, number),
            Value::Times(times) => {
                let mut so_far = 0;
                for (bound, within) in BOUNDS.iter().zip(times.within) {
                    so_far += within;
                    self.sample("_bucket", labels, Some(&format!("{bound:?}")), &so_far)?;
                }
                self.sample("_bucket", labels, Some("+Inf"), &times.count)?;
                self.sample("_count", labels, None, &times.count)?;
                self.sample("_sum", labels, None, &times.sum.as_secs_f64())
            }
        }
    }

    fn begin(&mut self) -> fmt::Result {
        let Description { name, kind, help, .. } = *self.description;
        let Exposition { text, format } = &mut *self.exposition;
        // What the older format does not know, it knows by the name of the series.
        let (family, kind) = match (*format, kind) {
            (Format::OpenMetrics, kind) => (name, kind),
            (Format::Classic, Type::Info) => (self.name.as_str(), Type::Gauge),
            (Format::Classic, kind) => (self.name.as_str(), kind),
        };
        writeln!(text, "# HELP {family} {help}")?;
        writeln!(text, "# TYPE {family} {}", kind.as_str())?;
        match self.description.unit() {
            Some(unit) if *format == Format::OpenMetrics => writeln!(text, "# UNIT {family} {unit}"),
            _ => Ok(()),
        }
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[&str],
        bound: Option<&str>,
        number: &dyn fmt::Display,
    ) -> fmt::Result {
        debug_assert_eq!(self.description.labels.len(), labels.len(), "{}", self.name);
        let text = &mut self.exposition.text;
        text.push_str(&self.name);
        text.push_str(suffix);
        let named = self.description.labels.iter().map(|label| label.name).zip(labels.iter().copied());
        let mut before = '{';
        for (label, value) in named.chain(bound.map(|bound| ("le", bound))) {
            write!(text, "{before}{label}=\"")?;
            escape(text, value);
            text.push('"');
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        writeln!(text, " {number}")
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{Label, Shown};
    use super::super::series::Times;
    use super::*;

    const LABEL: Label = Label { name: "name", values: &[] };

    const fn described(kind: Type, name: &'static str) -> Description {
        Description { name, kind, shown: Shown::Always, labels: &[LABEL], help: "What it tells" }
    }

    static COUNTER: Description = described(Type::Counter, "x_y_bytes");
    static INFO: Description = described(Type::Info, "x");
    static HISTOGRAM: Description = described(Type::Histogram, "x_seconds");
    static GAUGE: Description = described(Type::Gauge, "x");

    fn text(format: Format, description: &'static Description, label: &str, value: Value) -> String {
        let mut exposition = Exposition::new(format);
        exposition.family(description).series(&[label], value);
        exposition.end()
    }

    #[test]
    fn openmetrics_names_the_family_and_the_older_format_the_series() {
        let three = Value::Whole(3);
        assert_eq!(
            text(Format::OpenMetrics, &COUNTER, "a", three),
            "# HELP x_y_bytes What it tells\n# TYPE x_y_bytes counter\n# UNIT x_y_bytes bytes\n\
             x_y_bytes_total{name=\"a\"} 3\n# EOF\n"
        );
        assert_eq!(
            text(Format::Classic, &COUNTER, "a", three),
            "# HELP x_y_bytes_total What it tells\n# TYPE x_y_bytes_total counter\n\
             x_y_bytes_total{name=\"a\"} 3\n"
        );
        assert_eq!(
            text(Format::Classic, &INFO, "a", three),
            "# HELP x_info What it tells\n# TYPE x_info gauge\nx_info{name=\"a\"} 3\n"
        );
    }

    #[test]
    fn buckets_add_up_and_the_last_holds_everything() {
        let mut times = Times::default();
        times.within[0] = 2;
        times.within[3] = 1;
        (times.count, times.sum) = (4, std::time::Duration::from_millis(90_500));
        let text = text(Format::OpenMetrics, &HISTOGRAM, "a", Value::Times(times));
        for line in [
            "x_seconds_bucket{name=\"a\",le=\"0.001\"} 2",
            "x_seconds_bucket{name=\"a\",le=\"0.01\"} 2",
            "x_seconds_bucket{name=\"a\",le=\"0.05\"} 3",
            "x_seconds_bucket{name=\"a\",le=\"60.0\"} 3",
            "x_seconds_bucket{name=\"a\",le=\"+Inf\"} 4",
            "x_seconds_count{name=\"a\"} 4",
            "x_seconds_sum{name=\"a\"} 90.5",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn values_of_labels_are_escaped_and_a_metric_without_series_is_left_out() {
        let text = text(Format::Classic, &GAUGE, "a\"b\\c\nd", Value::Real(0.25));
        assert!(text.ends_with("x{name=\"a\\\"b\\\\c\\nd\"} 0.25\n"), "{text}");
        let mut exposition = Exposition::new(Format::Classic);
        let _ = exposition.family(&GAUGE);
        assert_eq!(exposition.end(), "");
    }

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Classic);
        assert_eq!(Format::accepted(None), Format::Classic);
    }
}
