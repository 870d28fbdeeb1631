//! A real Prometheus, for as long as its value is held.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use oms_operator::dev::process::BoundProcess;
use serde_json::{Value, json};

use crate::{eventually, oms_dev};

/// A running Prometheus; dropping it ends the process.
pub(crate) struct Prometheus {
    process: BoundProcess,
    address: String,
    http: reqwest::Client,
}

/// A series that a query returned.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its labels, as PromQL writes them.
    pub(crate) labels: String,
    /// Its last value that is a number.
    pub(crate) value: f64,
    /// The one that is farthest from 0.
    pub(crate) peak: f64,
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are chosen.
    let held = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Prometheus {
    /// Starts one in a folder, with a configuration to which the rules are added.
    pub(crate) async fn start(folder: &Path, scrapes: &Value, rules: &Value) -> Self {
        let config = json!({
            // A minute of the rules is a second here.
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yaml"],
            "scrape_configs": scrapes,
        });
        std::fs::write(folder.join("prometheus.yaml"), config.to_string()).unwrap();
        std::fs::write(folder.join("rules.yaml"), rules.to_string()).unwrap();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let log = folder.join("prometheus.log");
        let process = BoundProcess::spawn(oms_dev(), "prometheus", &command, &log).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut started = Self { process, address, http };
        eventually("Prometheus is ready", async || {
            started.process.check_running().unwrap_or_else(|error| panic!("{error}"));
            let url = format!("http://{}/-/ready", started.address);
            let answer = started.http.get(url).send().await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
        })
        .await;
        started
    }

    /// The data of an answer of its API, or what is wrong with the question.
    pub(crate) async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.http.get(url).query(parameters).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer["error"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// What a query returns for a moment.
    pub(crate) async fn at(&self, query: &str, time: f64) -> Result<Vec<Series>, String> {
        let data = self.ask("query", &[("query", query), ("time", &time.to_string())]).await?;
        Ok(series(&data, |series| vec![series["value"].clone()]))
    }

    /// What a query returns for a span of time, second by second.
    pub(crate) async fn over(&self, query: &str, start: f64, end: f64) -> Result<Vec<Series>, String> {
        let (start, end) = (start.to_string(), end.to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "1")];
        let data = self.ask("query_range", &parameters).await?;
        Ok(series(&data, |series| series["values"].as_array().cloned().unwrap_or_default()))
    }
}

/// The series of an answer that have a number.
fn series(data: &Value, samples: impl Fn(&Value) -> Vec<Value>) -> Vec<Series> {
    let all = data["result"].as_array().unwrap();
    all.iter()
        .filter_map(|series| {
            let numbers: Vec<f64> = samples(series)
                .iter()
                .filter_map(|sample| sample[1].as_str()?.parse().ok())
                .filter(|number: &f64| number.is_finite())
                .collect();
            let peak = numbers.iter().copied().max_by(|one, other| one.abs().total_cmp(&other.abs()))?;
            Some(Series { labels: labels(&series["metric"]), value: *numbers.last()?, peak })
        })
        .collect()
}

fn labels(metric: &Value) -> String {
    let pairs = metric.as_object().into_iter().flatten();
    let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
