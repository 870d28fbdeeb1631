//! The dashboards' queries, asked as Grafana asks them.

use crate::dashboards;
use crate::server::{Prometheus, Series};

/// What Grafana puts in for its variables.
const VARIABLES: [(&str, &str); 4] =
    [("$__rate_interval", "15s"), ("$__range", "10m"), ("$namespace", ".*"), ("$object_namespace", ".*")];

/// Queries that return nothing but 0, each with the reason.
const ZERO_BY_RIGHT: [(&str, &str); 0] = [];

/// Series that are printed of an answer.
const PRINTED: usize = 4;

fn filled(written: &str) -> String {
    VARIABLES.iter().fold(written.to_owned(), |text, (variable, value)| text.replace(variable, value))
}

/// Series in one line each, those that were not 0 first.
fn told(series: &mut [Series]) -> String {
    series.sort_by(|one, other| other.peak.abs().total_cmp(&one.peak.abs()));
    let mut lines: Vec<_> = series
        .iter()
        .take(PRINTED)
        .map(|Series { labels, value, peak }| {
            if value.to_bits() == peak.to_bits() {
                format!("{labels} = {value}")
            } else {
                format!("{labels} = {value}, was {peak}")
            }
        })
        .collect();
    if series.len() > PRINTED {
        lines.push(format!("and {} more", series.len() - PRINTED));
    }
    lines.join("\n      ")
}

/// Asks every query of every dashboard, for now and for the past, and prints each with what it returned last and, where that was
/// more, once. Returns which are wrong, empty, or never anything but 0.
pub(crate) async fn evaluate(prometheus: &Prometheus, start: f64, end: f64) -> Vec<String> {
    let (mut count, mut wrong) = (0, Vec::new());
    for dashboard in dashboards::all() {
        for variable in dashboard.variables().iter().filter(|variable| variable["type"] == "query") {
            let query = variable["query"]["query"].as_str().unwrap();
            let (metric, label) =
                query.strip_prefix("label_values(").unwrap().trim_end_matches(')').split_once(", ").unwrap();
            let values = prometheus.ask(&format!("label/{label}/values"), &[("match[]", metric)]).await;
            println!("{} / variable {}\n    {query}\n      {values:?}", dashboard.title(), variable["name"]);
            if values.is_ok_and(|values| values.as_array().unwrap().is_empty()) {
                wrong.push(format!("{query} has no value"));
            }
        }
        for query in dashboard.queries() {
            count += 1;
            let asked = filled(&query.written);
            assert!(!asked.contains('$'), "{}: a variable that nobody fills in: {asked}", query.name);
            let (now, past) = tokio::join!(prometheus.at(&asked, end), prometheus.over(&asked, start, end));
            let mut series = match (now, past) {
                (Ok(now), Ok(past)) => {
                    if now.is_empty() && query.instant {
                        wrong.push(format!("{}: nothing at the moment", query.name));
                    }
                    past
                }
                (Err(error), _) | (_, Err(error)) => {
                    wrong.push(format!("{}: {error}", query.name));
                    Vec::new()
                }
            };
            let excuse = ZERO_BY_RIGHT.iter().find(|(name, _)| *name == query.name).map(|(_, why)| *why);
            let is_zero = series.iter().all(|series| series.peak == 0.0);
            if series.is_empty() || is_zero != excuse.is_some() {
                wrong.push(format!("{}: {} series, all 0: {is_zero}", query.name, series.len()));
            }
            let why = excuse.map(|why| format!(" ({why})")).unwrap_or_default();
            println!("{}\n    {}\n      {}{why}", query.name, query.written, told(&mut series));
        }
    }
    println!("{count} queries of the dashboards, {} of them wrong, empty or always 0", wrong.len());
    wrong
}
