//! An emulator with two stores, a client that signs by itself, and what tests do with them all the time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use oms_operator::emulator::{
    config::Config,
    server::{Emulator, Options},
};
use reqwest::{Method, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::contract::watch::{Held, Watch};

/// A test that waits longer than this has failed.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Secret keys that must never be seen again.
pub const SOURCE_SECRET: &str = "planted-source-secret";
pub const DESTINATION_SECRET: &str = "planted-destination-secret";
pub const PROJECT_SECRET: &str = "planted-project-secret";

pub const PROJECT: &str = "2c0689c860ad4728a497c91ec0844383";

/// One project and two embedded stores, with everything as quick as it gets.
pub fn config(changes: Value) -> Config {
    let mut config = json!({
        "projects": [{
            "id": PROJECT,
            "region": "cn-north-4",
            "accessKeys": [{ "access": "PROJECTKEY", "secret": PROJECT_SECRET }],
        }],
        "embeddedStores": [
            {
                "name": "source", "cloudType": "AWS",
                "accessKeys": [{ "access": "SOURCEKEY", "secret": SOURCE_SECRET }],
            },
            {
                "name": "destination", "cloudType": "OBS", "region": "cn-north-4",
                "accessKeys": [{ "access": "DESTINATIONKEY", "secret": DESTINATION_SECRET }],
            },
        ],
        "behaviour": {
            "privacyAgreementAccepted": true, "taskStartDelayMs": 0, "minimumRunMs": 0, "pauseMs": 0,
            "staleInProgressMs": 0, "groupStartDelayMs": 0, "groupCreationMs": 0, "groupDeletionMs": 0,
        },
    });
    merge(&mut config, changes);
    Config::parse(&config.to_string()).unwrap()
}

pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// An answer: status, body, whether it was JSON, and the request ID.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error_code"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub fn expect_refusal(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["x-request-id"].len(), 32);
    }

    #[track_caller]
    pub fn expect_ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }
}

/// Who signs, and how.
#[derive(Clone, Debug)]
pub struct Signer {
    pub access: String,
    pub secret: String,
    pub date: Option<Timestamp>,
    pub token: Option<String>,
}

impl Default for Signer {
    fn default() -> Self {
        Self { access: "PROJECTKEY".into(), secret: PROJECT_SECRET.into(), date: None, token: None }
    }
}

impl Signer {
    /// Signs host and date; `path` and `query` must be canonical already.
    fn sign(
        &self,
        request: reqwest::RequestBuilder,
        method: &Method,
        url: &str,
        body: &[u8],
    ) -> reqwest::RequestBuilder {
        let url = url::Url::parse(url).unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let date = self.date.unwrap_or_else(Timestamp::now).strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut path = url.path().to_owned();
        if !path.ends_with('/') {
            path.push('/');
        }
        let hash = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
        let canonical = format!(
            "{method}\n{path}\n{}\nhost:{host}\nx-sdk-date:{date}\n\nhost;x-sdk-date\n{}",
            url.query().unwrap_or_default(),
            hash(body),
        );
        let string_to_sign = format!("SDK-HMAC-SHA256\n{date}\n{}", hash(canonical.as_bytes()));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(string_to_sign.as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let mut request = request.header("X-Sdk-Date", date).header(
            "Authorization",
            format!(
                "SDK-HMAC-SHA256 Access={}, SignedHeaders=host;x-sdk-date, Signature={signature}",
                self.access
            ),
        );
        if let Some(token) = &self.token {
            request = request.header("X-Security-Token", token);
        }
        request
    }
}

/// Where things are; also made from the ready file of a process.
#[derive(Clone, Debug)]
pub struct World {
    pub oms: String,
    pub admin: String,
    pub source: String,
    pub destination: String,
    pub signer: Signer,
    pub http: reqwest::Client,
    /// Fails the test when an answer breaks the contract; an emulator in a process of its own is not watched.
    _watch: Option<Arc<Watch>>,
}

impl World {
    pub fn at(ready: &Value) -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let store = |name: &str| {
            let stores = ready["stores"].as_array().unwrap();
            stores
                .iter()
                .find(|store| store["name"] == name)
                .map(|store| text(&store["endpoint"]))
                .unwrap_or_default()
        };
        Self {
            oms: text(&ready["oms"]),
            admin: text(&ready["admin"]),
            source: store("source"),
            destination: store("destination"),
            signer: Signer::default(),
            _watch: None,
            // No pool: a cut connection must not be noticed late, on the next call.
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .timeout(DEADLINE)
                .build()
                .unwrap(),
        }
    }

    /// An emulator in this process with buckets `photos` and `archive`, and three objects in the first.
    pub async fn start(config: Config) -> (Emulator, Self) {
        Self::start_with(Options::local(config)).await
    }

    pub async fn start_with(options: Options) -> (Emulator, Self) {
        let watch = Watch::over(Held::Answers);
        let emulator = Emulator::start(watch.with(options)).await.unwrap();
        let world = Self { _watch: Some(Arc::new(watch)), ..Self::at(&emulator.endpoints().to_json()) };
        world.make_bucket(&world.source, "SOURCEKEY", SOURCE_SECRET, "photos").await;
        world.make_bucket(&world.destination, "DESTINATIONKEY", DESTINATION_SECRET, "archive").await;
        for key in ["2024/a", "2024/b", "2025/c"] {
            world.put_source(key, format!("the photo {key}").into_bytes()).await;
        }
        (emulator, world)
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{path}", self.oms);
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = self.signer.sign(self.http.request(method.clone(), &url), &method, &url, &bytes);
        let request =
            if body.is_some() { request.header("content-type", "application/json") } else { request };
        read(request.body(bytes).send().await?).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn tasks(&self, method: Method, rest: &str, body: Option<&Value>) -> Answer {
        self.call(method, &format!("/v2/{PROJECT}/tasks{rest}"), body).await
    }

    pub async fn create(&self, body: &Value) -> Answer {
        self.tasks(Method::POST, "", Some(body)).await
    }

    pub async fn created(&self, body: &Value) -> u64 {
        self.create(body).await.expect_ok()["id"].as_u64().unwrap()
    }

    pub async fn show(&self, id: u64) -> Value {
        self.tasks(Method::GET, &format!("/{id}"), None).await.expect_ok()
    }

    pub async fn status(&self, id: u64) -> u64 {
        self.show(id).await["status"].as_u64().unwrap()
    }

    pub async fn stop(&self, id: u64) -> Answer {
        self.tasks(Method::POST, &format!("/{id}/stop"), None).await
    }

    pub async fn start_task(&self, id: u64, changes: Value) -> Answer {
        let mut body = json!({
            "src_ak": "SOURCEKEY", "src_sk": SOURCE_SECRET,
            "dst_ak": "DESTINATIONKEY", "dst_sk": DESTINATION_SECRET,
        });
        merge(&mut body, changes);
        self.tasks(Method::POST, &format!("/{id}/start"), Some(&body)).await
    }

    pub async fn delete(&self, id: u64) -> Answer {
        self.tasks(Method::DELETE, &format!("/{id}"), None).await
    }

    /// Waits until the task is in this state, and returns it.
    #[track_caller]
    pub fn reach(&self, id: u64, status: u64) -> impl Future<Output = Value> {
        let begun = Instant::now();
        async move {
            loop {
                let task = self.show(id).await;
                if task["status"] == status {
                    return task;
                }
                assert!(begun.elapsed() < DEADLINE, "task did not reach {status}: {task}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.admin));
        let request = if let Some(body) = body { request.json(body) } else { request };
        read(request.send().await.unwrap()).await.unwrap()
    }

    pub async fn fault(&self, fault: Value) {
        let answer = self.admin(Method::POST, "/faults", Some(&fault)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    pub async fn journal(&self, query: &str) -> Vec<Value> {
        let body = self.admin(Method::GET, &format!("/journal{query}"), None).await.expect_ok();
        body["entries"].as_array().unwrap().clone()
    }

    pub async fn make_bucket(&self, endpoint: &str, access: &str, secret: &str, name: &str) {
        let bucket = bucket(endpoint, name);
        let credentials = Credentials::new(access, secret);
        let url = bucket.create_bucket(&credentials).sign(DEADLINE);
        assert!(self.http.put(url).send().await.unwrap().status().is_success());
    }

    pub async fn put_source(&self, key: &str, contents: Vec<u8>) {
        let credentials = Credentials::new("SOURCEKEY", SOURCE_SECRET);
        let url = bucket(&self.source, "photos").put_object(Some(&credentials), key).sign(DEADLINE);
        assert!(self.http.put(url).body(contents).send().await.unwrap().status().is_success());
    }

    pub async fn put_destination(&self, key: &str, content_type: &str, contents: Vec<u8>) {
        let credentials = Credentials::new("DESTINATIONKEY", DESTINATION_SECRET);
        let url = bucket(&self.destination, "archive").put_object(Some(&credentials), key).sign(DEADLINE);
        let request = self.http.put(url).header("content-type", content_type).body(contents);
        assert!(request.send().await.unwrap().status().is_success());
    }

    pub async fn destination_object(&self, key: &str) -> Option<Vec<u8>> {
        let credentials = Credentials::new("DESTINATIONKEY", DESTINATION_SECRET);
        let url = bucket(&self.destination, "archive").get_object(Some(&credentials), key).sign(DEADLINE);
        let answer = self.http.get(url).send().await.unwrap();
        if answer.status() == 404 { None } else { Some(answer.bytes().await.unwrap().to_vec()) }
    }
}

pub async fn read(answer: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), text, headers })
}

fn bucket(endpoint: &str, name: &str) -> Bucket {
    Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, name.to_owned(), "us-east-1").unwrap()
}

/// The whole bucket `photos` to `archive`, with changes.
pub fn task(changes: Value) -> Value {
    let mut task = json!({
        "task_type": "prefix",
        "src_node": {
            "cloud_type": "AWS", "region": "eu-west-1", "bucket": "photos", "object_key": [""],
            "ak": "SOURCEKEY", "sk": SOURCE_SECRET,
        },
        "dst_node": {
            "region": "cn-north-4", "bucket": "archive", "ak": "DESTINATIONKEY", "sk": DESTINATION_SECRET,
        },
        "enable_kms": false,
    });
    merge(&mut task, changes);
    task
}

/// A JWT that is signed with HS256.
pub fn hs256(claims: &Value, key: &str) -> String {
    let part = |text: String| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let signed = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
}

/// Whether a text holds any of the planted secrets.
pub fn holds_secret(text: &str) -> bool {
    [SOURCE_SECRET, DESTINATION_SECRET, PROJECT_SECRET].iter().any(|secret| text.contains(secret))
}

/// The keys of an in-process emulator, for tests that read the ready JSON.
pub fn ready_json(emulator: &Emulator) -> Value {
    let endpoints = emulator.endpoints();
    assert_eq!(endpoints.projects[0].secret_key.expose_secret(), PROJECT_SECRET);
    endpoints.to_json()
}
