//! Where the client's credentials come from, against servers that give, refuse, end and break them.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use oms_operator::oms::{
    Ambient, AmbientSettings, AmbientSource, Budget, Class, Client, CreateTask, Credentials, Delivery,
    DestinationNode, Error, ListTasks, Login, Scope, Settings, Source, SourceNode, Urgency, find_project_id,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PROJECT: &str = "0215ef11e49d4743be23dd97a1561e91";
const REGION: &str = "cn-north-4";
const PASSWORD: &str = "planted-password-of-the-user";

/// A request as a server saw it.
#[derive(Clone)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server on the loopback that answers with one function; it ends with the test.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let request = Seen {
                    line: format!("{} {}", head.method, head.uri),
                    headers: head.headers,
                    body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
                };
                log.lock().unwrap().push(request.clone());
                answer(&request)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn unauthorized() -> Response {
    let message = "Incorrect IAM authentication information: token expires";
    answer(401, json!({ "error_code": "APIGW.0301", "error_msg": message, "request_id": "r" }))
}

/// A day when a test does not care.
const LONG: Duration = Duration::from_hours(24);

fn ends_in(life: Duration) -> String {
    (Timestamp::now() + life).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// IAM: gives `token-1`, `token-2` and so on, each for `life`.
async fn iam(life: Duration) -> Server {
    let count = Arc::new(AtomicU32::new(0));
    Server::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let body = json!({ "token": {
            "expires_at": ends_in(life), "issued_at": ends_in(Duration::ZERO), "methods": ["password"],
            "project": { "id": PROJECT, "name": REGION, "domain": {} }, "user": {}, "roles": [], "catalog": [],
        } });
        let header = [("x-subject-token", format!("planted-token-{number}"))];
        (StatusCode::CREATED, header, axum::Json(body)).into_response()
    })
    .await
}

/// OMS, which takes whoever `accepts` likes, by the header that carries the identity.
async fn oms(accepts: impl Fn(&Seen) -> bool + Clone + Send + Sync + 'static) -> Server {
    Server::start(move |seen| {
        if !accepts(seen) {
            return unauthorized();
        }
        if seen.line.starts_with("POST") {
            answer(200, json!({ "id": 7, "task_name": "t" }))
        } else {
            answer(200, json!({ "count": 0, "tasks": [] }))
        }
    })
    .await
}

fn login() -> Login {
    Login {
        username: "migrator".into(),
        password: PASSWORD.into(),
        domain_name: "company".into(),
        scope: Scope::Region(REGION.into()),
    }
}

fn client(oms: &Server, credentials: &Credentials) -> Client {
    Client::new(Settings::new(oms.url(), PROJECT), credentials.clone(), Budget::new(1000.0)).unwrap()
}

fn create_request() -> CreateTask {
    CreateTask {
        task_type: "object".into(),
        src_node: SourceNode {
            cloud_type: "AWS".into(),
            region: Some("eu-west-1".into()),
            bucket: Some("photos".into()),
            ak: Some("source-ak".into()),
            sk: Some("source-sk".into()),
            object_key: vec!["2024/".into()],
            ..SourceNode::default()
        },
        dst_node: DestinationNode {
            ak: "destination-ak".into(),
            sk: "destination-sk".into(),
            region: REGION.into(),
            bucket: "archive".into(),
            ..DestinationNode::default()
        },
        ..CreateTask::default()
    }
}

async fn list(client: &Client) -> Result<(), Error> {
    client.list_tasks(&ListTasks::default(), Urgency::User).await.map(drop)
}

fn password(iam: &Server) -> Credentials {
    Credentials::password(Settings::new(iam.url(), ""), login()).unwrap()
}

/// The sources around a process with this environment.
fn around(variables: &[(&str, &str)], sts: Option<String>, metadata: Option<String>) -> Ambient {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings =
        AmbientSettings { sts_endpoint: sts, metadata_endpoint: metadata, ..AmbientSettings::default() };
    let find =
        move |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    Ambient::new(find, settings)
}

/// A file with a token that a test can replace.
struct TokenFile(tempfile::NamedTempFile);

impl TokenFile {
    fn new(token: &str) -> Self {
        let file = Self(tempfile::NamedTempFile::new().unwrap());
        file.write(token);
        file
    }

    fn write(&self, token: &str) {
        std::fs::write(self.0.path(), format!("{token}\n")).unwrap();
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

fn oidc(sts: &Server, file: &TokenFile) -> Credentials {
    let variables = [
        ("HUAWEICLOUD_OIDC_PROVIDER_URN", "iam::company:oidc-provider:cce"),
        ("HUAWEICLOUD_OIDC_AGENCY_URN", "iam::company:agency:oms"),
        ("HUAWEICLOUD_OIDC_TOKEN_FILE", file.path()),
        ("HUAWEICLOUD_OIDC_POLICY_IDS", "a, b"),
    ];
    around(&variables, Some(sts.url()), None).credentials(AmbientSource::Oidc, REGION).unwrap()
}

/// Temporary keys as STS, the pod identity agent and the metadata service write them, numbered.
fn keys_of_sts(number: u32, life: Duration) -> Value {
    json!({ "assumed_agency": { "urn": "u", "id": "i" }, "credentials": {
        "access_key_id": format!("AK{number}"), "secret_access_key": "planted-temporary-secret",
        "security_token": format!("planted-security-token-{number}"), "expiration": ends_in(life),
    } })
}

fn keys_of_agent(life: Duration) -> Value {
    json!({ "assumedAgency": { "urn": "", "id": "" }, "audience": "", "credentials": {
        "accessKeyId": "AK", "secretAccessKey": "planted-temporary-secret",
        "securityToken": "planted-security-token", "expiration": ends_in(life),
    }, "podIdentityAssociationId": "", "subject": { "namespace": "", "serviceAccount": "" } })
}

fn keys_of_metadata(life: Duration) -> Value {
    json!({ "credential": {
        "access": "AK", "secret": "planted-temporary-secret", "securitytoken": "planted-security-token",
        "expires_at": ends_in(life),
    } })
}

#[tokio::test]
async fn a_password_becomes_a_token_that_goes_along_unsigned() {
    let (iam, oms) = (iam(LONG).await, oms(|seen| seen.header("x-auth-token") == "planted-token-1").await);
    let credentials = password(&iam);
    assert_eq!((credentials.source(), credentials.valid_until()), (Source::Token, None));
    let client = client(&oms, &credentials);
    for _ in 0..3 {
        list(&client).await.unwrap();
    }
    let asked = iam.seen();
    assert_eq!(asked.len(), 1, "the token is kept");
    assert_eq!(asked[0].line, "POST /v3/auth/tokens?nocatalog=true");
    assert_eq!(asked[0].header("content-type"), "application/json;charset=utf8");
    assert_eq!(
        asked[0].json(),
        json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": "migrator", "password": PASSWORD, "domain": { "name": "company" },
            } } },
            "scope": { "project": { "name": REGION } },
        } })
    );
    let call = &oms.seen()[0];
    assert!(!call.headers.contains_key("authorization") && !call.headers.contains_key("x-sdk-date"));
    assert_eq!(call.header("x-project-id"), PROJECT);
    assert_eq!(credentials.project_id(REGION).await.unwrap().as_deref(), Some(PROJECT));
    assert!(credentials.valid_until().unwrap() > Timestamp::now() + Duration::from_hours(23));
    assert!(credentials.renewal_due().unwrap() < credentials.valid_until().unwrap());
}

#[tokio::test]
async fn a_token_for_another_project_is_another_login() {
    let iam = iam(LONG).await;
    let credentials = password(&iam);
    credentials.refresh().await.unwrap();
    credentials.for_project(PROJECT).refresh().await.unwrap();
    assert_eq!(iam.seen().len(), 1, "the project is the token's own");
    for _ in 0..2 {
        credentials.for_project("elsewhere").refresh().await.unwrap();
    }
    let asked = iam.seen();
    assert_eq!(asked.len(), 2, "and the other login is kept too");
    assert_eq!(asked[1].json()["auth"]["scope"], json!({ "project": { "id": "elsewhere" } }));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_and_the_call_made_again_once_even_a_create() {
    let revoked = Arc::new(AtomicU32::new(0));
    let gate = Arc::clone(&revoked);
    let (iam, oms) = (
        iam(LONG).await,
        oms(move |seen| {
            seen.header("x-auth-token") != format!("planted-token-{}", gate.load(Ordering::SeqCst))
        })
        .await,
    );
    let client = client(&oms, &password(&iam));
    list(&client).await.unwrap();
    revoked.store(1, Ordering::SeqCst);
    let created = client.create_task(&create_request(), Urgency::Create).await.unwrap();
    assert_eq!(created.id.get(), 7);
    let posts: Vec<_> = oms.seen().into_iter().filter(|seen| seen.line.starts_with("POST")).collect();
    let tokens: Vec<_> = posts.iter().map(|seen| seen.header("x-auth-token")).collect();
    assert_eq!(tokens, ["planted-token-1", "planted-token-2"]);
    assert_eq!(posts[0].body, posts[1].body);
    assert_eq!(iam.seen().len(), 2);
}

#[tokio::test]
async fn who_is_refused_with_the_new_token_too_is_told_so_after_two_calls() {
    let open = Arc::new(AtomicU32::new(1));
    let gate = Arc::clone(&open);
    let (iam, oms) = (iam(LONG).await, oms(move |_| gate.load(Ordering::SeqCst) == 1).await);
    let client = client(&oms, &password(&iam));
    list(&client).await.unwrap();
    open.store(0, Ordering::SeqCst);
    let error = list(&client).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Credential, Delivery::Answered));
    assert_eq!(error.code(), Some("APIGW.0301"));
    assert!(!error.lacks_credentials(), "it was OMS who refused");
    assert_eq!((oms.seen().len(), iam.seen().len()), (3, 2));
    // What was refused as soon as it was there is not renewed again at every call.
    list(&client).await.unwrap_err();
    assert_eq!((oms.seen().len(), iam.seen().len()), (4, 2));
}

#[tokio::test]
async fn keys_that_were_given_are_refused_once() {
    let oms = oms(|_| false).await;
    let given = Credentials::keys("AK", "SK".into(), Some("TOKEN".into()));
    assert_eq!(list(&client(&oms, &given)).await.unwrap_err().class(), Class::Credential);
    assert_eq!(oms.seen().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_so_that_no_call_is_refused() {
    let (iam, oms) = (iam(Duration::from_secs(2)).await, oms(|_| true).await);
    let credentials = password(&iam);
    let client = client(&oms, &credentials);
    let deadline = Instant::now() + Duration::from_secs(20);
    while iam.seen().len() < 3 {
        assert!(Instant::now() < deadline, "no renewal");
        let first = credentials.valid_until();
        list(&client).await.unwrap();
        assert!(first.is_none_or(|end| credentials.valid_until().unwrap() >= end));
        assert!(credentials.valid_until().unwrap() > Timestamp::now(), "held beyond its end");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_callers_log_in_once_and_renew_once() {
    let revoked = Arc::new(AtomicU32::new(0));
    let gate = Arc::clone(&revoked);
    let (iam, oms) = (
        iam(LONG).await,
        oms(move |seen| {
            seen.header("x-auth-token") != format!("planted-token-{}", gate.load(Ordering::SeqCst))
        })
        .await,
    );
    let client = client(&oms, &password(&iam));
    let burst = || futures::future::join_all((0..50).map(|_| list(&client)));
    assert!(burst().await.iter().all(Result::is_ok));
    assert_eq!(iam.seen().len(), 1);
    revoked.store(1, Ordering::SeqCst);
    assert!(burst().await.iter().all(Result::is_ok));
    assert_eq!(iam.seen().len(), 2);
}

/// What IAM says to a login, and what becomes of it.
async fn refused_login(status: u16, body: Value) -> (Error, Server) {
    let iam = Server::start(move |_| answer(status, body.clone())).await;
    let oms = oms(|_| true).await;
    let client = client(&oms, &password(&iam));
    let error = list(&client).await.unwrap_err();
    assert!(error.lacks_credentials() && !error.is_not_found(), "{error}");
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(oms.seen().is_empty(), "nothing goes out without credentials");
    for text in [error.to_string(), format!("{error:?}"), error.message().to_owned()] {
        assert!(!text.contains("planted"), "{text}");
    }
    list(&client).await.unwrap_err();
    assert_eq!(iam.seen().len(), 1, "who was refused does not hammer IAM, which locks users");
    (error, iam)
}

#[tokio::test]
async fn a_wrong_password_is_told_with_whose_move_it_is_and_without_the_password() {
    let body =
        |message: String| json!({ "error": { "code": 401, "message": message, "title": "Unauthorized" } });
    let (error, _iam) =
        refused_login(401, body(format!("The username or password {PASSWORD} is wrong."))).await;
    assert_eq!(error.class(), Class::Credential);
    assert_eq!(error.to_string(), "IAM answered with HTTP status 401: The username or password *** is wrong");
    assert!(error.remedy().unwrap().starts_with("Correct the user name, password or domain name"));
}

#[tokio::test]
async fn nothing_that_iam_says_looks_like_a_task_that_is_gone() {
    let body =
        json!({ "error": { "code": 404, "message": "Could not find project.", "title": "Not Found" } });
    let (error, _iam) = refused_login(404, body).await;
    assert_eq!(error.class(), Class::Missing);
}

#[tokio::test]
async fn an_iam_without_a_token_in_its_answer_is_told() {
    for reply in [
        json!({}),
        json!({ "token": { "expires_at": "tomorrow" } }),
        json!({ "error_code": "X", "error_msg": "y" }),
    ] {
        let (error, _iam) = refused_login(201, reply).await;
        assert!(error.to_string().contains("where credentials were expected"), "{error}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed_with_a_password() {
    let elsewhere = Server::start(|_| answer(201, json!({}))).await;
    let target = elsewhere.url();
    let iam = Server::start(move |_| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", target.clone())]).into_response()
    })
    .await;
    let error = password(&iam).refresh().await.unwrap_err();
    assert!(error.to_string().contains("redirect"), "{error}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let iam = Server::start(|_| (StatusCode::CREATED, "x".repeat(1024 * 1024)).into_response()).await;
    let error = password(&iam).refresh().await.unwrap_err();
    assert!(error.to_string().contains("larger than 256 KiB"), "{error}");
}

#[tokio::test]
async fn an_iam_that_is_down_is_told_as_such() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let settings = Settings::new(format!("http://{closed}"), "");
    let error = Credentials::password(settings, login()).unwrap().refresh().await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert!(error.lacks_credentials());
    assert!(error.to_string().starts_with("Could not connect to"), "{error}");
}

#[tokio::test]
async fn sts_gives_temporary_keys_for_the_token_that_the_file_holds_at_that_moment() {
    let count = Arc::new(AtomicU32::new(0));
    let sts = Server::start(move |_| {
        answer(201, keys_of_sts(count.fetch_add(1, Ordering::SeqCst) + 1, Duration::from_hours(1)))
    })
    .await;
    let file = TokenFile::new("planted-id-token-1");
    let credentials = oidc(&sts, &file);
    assert_eq!(credentials.source(), Source::Oidc);
    let revoked = Arc::new(AtomicU32::new(0));
    let gate = Arc::clone(&revoked);
    let oms = oms(move |seen| {
        seen.header("x-security-token") != format!("planted-security-token-{}", gate.load(Ordering::SeqCst))
    })
    .await;
    let client = client(&oms, &credentials);
    list(&client).await.unwrap();
    let asked = &sts.seen()[0];
    assert_eq!(asked.line, "POST /v5/agencies/assume-with-oidc");
    assert!(!asked.headers.contains_key("authorization"), "the token is the proof");
    assert_eq!(
        asked.json(),
        json!({
            "provider_urn": "iam::company:oidc-provider:cce", "agency_urn": "iam::company:agency:oms",
            "agency_session_name": "oms-operator", "id_token": "planted-id-token-1", "duration_seconds": 3600,
            "policy_ids": ["a", "b"],
        })
    );
    let call = &oms.seen()[0];
    assert!(call.header("authorization").starts_with("SDK-HMAC-SHA256 Access=AK1, "));
    assert!(call.header("authorization").contains("x-security-token"));
    // The kubelet has put another token there meanwhile.
    file.write("planted-id-token-2");
    revoked.store(1, Ordering::SeqCst);
    list(&client).await.unwrap();
    assert_eq!(sts.seen()[1].json()["id_token"], "planted-id-token-2");
    assert_eq!(oms.seen().last().unwrap().header("x-security-token"), "planted-security-token-2");
}

#[tokio::test]
async fn a_token_file_that_is_not_there_is_named() {
    let sts = Server::start(|_| answer(201, json!({}))).await;
    let file = TokenFile::new("");
    let error = oidc(&sts, &file).refresh().await.unwrap_err();
    assert_eq!(error.to_string(), format!("The token file `{}` is empty", file.path()));
    let credentials = oidc(&sts, &file);
    let path = file.path().to_owned();
    drop(file);
    let error = credentials.refresh().await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("The token file `{path}` cannot be read")), "{error}");
    assert!(error.remedy().unwrap().contains("HUAWEICLOUD_OIDC_TOKEN_FILE"));
    assert!(sts.seen().is_empty());
}

#[tokio::test]
async fn a_refusal_of_sts_shows_no_token() {
    let sts = Server::start(|seen| {
        let token = seen.json()["id_token"].as_str().unwrap().to_owned();
        answer(403, json!({ "error_code": "STS.0001", "error_msg": format!("not trusted: {token}") }))
    })
    .await;
    let file = TokenFile::new("planted-id-token-1");
    let error = oidc(&sts, &file).refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "STS answered `STS.0001`: not trusted: ***");
    assert!(!format!("{error:?}").contains("planted"));
}

#[tokio::test]
async fn the_pod_identity_agent_is_shown_the_token_of_the_file() {
    let agent = Server::start(|seen| {
        if seen.header("authorization") == "planted-agent-token" {
            answer(200, keys_of_agent(Duration::from_hours(1)))
        } else {
            answer(401, json!({}))
        }
    })
    .await;
    let file = TokenFile::new("planted-agent-token");
    let address = format!("{}/v1/credentials", agent.url());
    let variables = [
        ("HC_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path()),
    ];
    let around = around(&variables, None, Some("http://127.0.0.1:9".into()));
    assert_eq!(around.choose(None).unwrap(), AmbientSource::PodIdentity);
    let credentials = around.credentials(AmbientSource::PodIdentity, REGION).unwrap();
    let oms = oms(|seen| seen.header("x-security-token") == "planted-security-token").await;
    list(&client(&oms, &credentials)).await.unwrap();
    assert_eq!(agent.lines(), ["POST /v1/credentials"]);
    assert_eq!(agent.seen()[0].json(), json!({}));
    assert_eq!(credentials.source(), Source::PodIdentity);
}

/// A metadata service: `token` says what a request for a token gets, `keys` what one for keys gets.
async fn metadata(
    token: impl Fn() -> Response + Clone + Send + Sync + 'static,
    keys: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> (Server, Credentials) {
    let server = Server::start(move |seen| match seen.line.as_str() {
        "PUT /meta-data/latest/api/token" => token(),
        "GET /openstack/latest/securitykey" => keys(seen),
        "GET /openstack/latest/meta_data.json" => {
            answer(200, json!({ "project_id": PROJECT, "region_id": REGION, "availability_zone": "a" }))
        }
        other => panic!("{other}"),
    })
    .await;
    let around = around(&[], None, Some(server.url()));
    let credentials = around.credentials(AmbientSource::Metadata, REGION).unwrap();
    (server, credentials)
}

#[tokio::test]
async fn the_metadata_service_gives_keys_and_project_for_its_token() {
    let (server, credentials) = metadata(
        || "planted-metadata-token".into_response(),
        |seen| {
            if seen.header("x-metadata-token") == "planted-metadata-token" {
                answer(200, keys_of_metadata(Duration::from_hours(1)))
            } else {
                answer(401, json!({}))
            }
        },
    )
    .await;
    credentials.refresh().await.unwrap();
    assert_eq!(credentials.project_id(REGION).await.unwrap().as_deref(), Some(PROJECT));
    assert_eq!(credentials.project_id("elsewhere").await.unwrap(), None, "the node is not there");
    let lines = server.lines();
    assert_eq!(lines[0], "PUT /meta-data/latest/api/token");
    assert_eq!(server.seen()[0].header("x-metadata-token-ttl-seconds"), "21600");
    assert_eq!(lines[1], "GET /openstack/latest/securitykey");
    assert_eq!(lines.iter().filter(|line| line.starts_with("PUT")).count(), 1, "its token is kept");
    assert_eq!(credentials.source(), Source::Metadata);
}

#[tokio::test]
async fn an_old_metadata_service_without_tokens_works_too() {
    for status in [404, 405, 503] {
        let (server, credentials) = metadata(
            move || answer(status, json!({})),
            |seen| {
                assert!(!seen.headers.contains_key("x-metadata-token"));
                answer(200, keys_of_metadata(Duration::from_hours(1)))
            },
        )
        .await;
        credentials.refresh().await.unwrap();
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_token_of_the_metadata_service_that_ended_is_replaced() {
    let count = Arc::new(AtomicU32::new(0));
    let (server, credentials) = metadata(
        move || format!("token-{}", count.fetch_add(1, Ordering::SeqCst)).into_response(),
        |seen| {
            if seen.header("x-metadata-token") == "token-0" {
                answer(401, json!({ "error": "token expired" }))
            } else {
                answer(200, keys_of_metadata(Duration::from_hours(1)))
            }
        },
    )
    .await;
    credentials.refresh().await.unwrap();
    let puts = server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!((puts, server.seen().len()), (2, 4));
}

#[tokio::test]
async fn a_node_without_an_agency_is_told_as_such() {
    for status in [401, 404, 400] {
        let (server, credentials) = metadata(
            || "token".into_response(),
            move |_| {
                let text = if status == 404 {
                    "404 page not found"
                } else {
                    "Please configure Cloud Service Agency first"
                };
                (StatusCode::from_u16(status).unwrap(), text).into_response()
            },
        )
        .await;
        let error = credentials.refresh().await.unwrap_err();
        assert_eq!(error.to_string(), "The metadata service has no keys, as the node has no agency");
        assert!(error.remedy().unwrap().starts_with("Give the node an agency"));
        assert_eq!(server.seen().len(), 2, "another token would not help");
    }
}

#[tokio::test]
async fn a_metadata_service_that_does_not_answer_costs_three_seconds() {
    // It takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let around = around(&[], None, Some(format!("http://{}", listener.local_addr().unwrap())));
    let credentials = around.credentials(AmbientSource::Metadata, REGION).unwrap();
    let started = Instant::now();
    let error = credentials.refresh().await.unwrap_err();
    assert!(error.to_string().ends_with("did not answer within 3 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn the_project_of_a_region_is_looked_up_with_temporary_keys() {
    let sts = Server::start(|_| answer(201, keys_of_sts(1, Duration::from_hours(1)))).await;
    let file = TokenFile::new("planted-id-token");
    let iam = Server::start(|seen| {
        assert_eq!(seen.line, "GET /v3/projects?name=cn-north-4");
        assert_eq!(seen.header("x-security-token"), "planted-security-token-1");
        answer(200, json!({ "projects": [{ "id": PROJECT, "name": REGION }], "links": {} }))
    })
    .await;
    let credentials = oidc(&sts, &file);
    let found = find_project_id(Settings::new(iam.url(), ""), credentials, REGION).await.unwrap();
    assert_eq!(found, PROJECT);
}

#[tokio::test]
async fn nothing_of_the_credentials_shows_in_debug_texts() {
    let (iam, oms) = (iam(LONG).await, oms(|_| true).await);
    let credentials = password(&iam);
    let client = client(&oms, &credentials);
    list(&client).await.unwrap();
    let around = around(
        &[("HUAWEICLOUD_OIDC_PROVIDER_URN", "p"), ("HUAWEICLOUD_OIDC_ID_TOKEN", "planted-id-token")],
        None,
        None,
    );
    for text in [format!("{credentials:?}"), format!("{client:?}"), format!("{around:?}")] {
        assert!(!text.contains("planted"), "{text}");
    }
}
