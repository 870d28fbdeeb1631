//! The dashboards' queries, asked as Grafana asks them.

use crate::dashboards;
use crate::server::{Prometheus, Series};

/// What Grafana puts in for its variables.
const VARIABLES: [(&str, &str); 4] =
    [("$__rate_interval", "15s"), ("$__range", "10m"), ("$namespace", ".*"), ("$object_namespace", ".*")];

/// Queries that return nothing although everything is right, each with the reason.
const EMPTY_BY_RIGHT: [(&str, &str); 0] = [];

/// Series that are printed of an answer.
const PRINTED: usize = 4;

fn filled(written: &str) -> String {
    VARIABLES.iter().fold(written.to_owned(), |text, (variable, value)| text.replace(variable, value))
}

fn told(series: &[Series]) -> String {
    let shown: Vec<_> =
        series.iter().take(PRINTED).map(|series| format!("{} = {}", series.labels, series.value)).collect();
    let more = series.len().saturating_sub(PRINTED);
    if more == 0 {
        shown.join("\n      ")
    } else {
        format!("{}\n      and {more} more", shown.join("\n      "))
    }
}

/// Asks every query of every dashboard and prints each with what it returned. Returns which are wrong or empty.
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
            let answer = if query.instant {
                prometheus.at(&asked, end).await
            } else {
                prometheus.over(&asked, start, end).await
            };
            let excuse = EMPTY_BY_RIGHT.iter().find(|(name, _)| *name == query.name);
            match (&answer, excuse) {
                (Err(error), _) => wrong.push(format!("{}: {error}", query.name)),
                (Ok(series), None) if series.is_empty() => wrong.push(format!("{}: empty", query.name)),
                (Ok(series), Some(_)) if !series.is_empty() => {
                    wrong.push(format!("{}: not empty, so it needs no excuse", query.name));
                }
                _ => {}
            }
            let value = match (&answer, excuse) {
                (Ok(_), Some((_, why))) => format!("empty: {why}"),
                (Ok(series), None) => told(series),
                (Err(error), _) => error.clone(),
            };
            println!("{}\n    {}\n      {value}", query.name, query.written);
        }
    }
    println!("{count} queries of the dashboards, {} of them wrong or empty", wrong.len());
    wrong
}
