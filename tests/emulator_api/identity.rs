//! Logging in by password, temporary keys, OIDC, and what nodes and pods are given; and how all of that ends.

use jiff::{SignedDuration, Timestamp};
use oms_operator::emulator::{config::Config, server::Emulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, PROJECT, PROJECT_SECRET, Signer, World, config, hs256, read, task};

const PASSWORD: &str = "planted-password";
const SIGNING_KEY: &str = "planted-signing-key";
const POD_TOKEN: &str = "planted-pod-token";
const OTHER: &str = "5b1f2c0d9e8a4736b5c4d3e2f1a09876";
const PROVIDER: &str = "iam::d78cbac186b744899480f25bd022f468:oidcProvider:cluster";
const AGENCY: &str = "iam::d78cbac186b744899480f25bd022f468:agency:oms";

/// Two projects, of which Ann has the first; Gus may look there, Nil has no role.
fn with_users(changes: Value) -> Config {
    let users = json!([
        { "name": "ann", "password": PASSWORD, "domain": "acme" },
        { "name": "gus", "password": PASSWORD, "domain": "acme", "roles": ["Tenant Guest"] },
        { "name": "nil", "password": PASSWORD, "domain": "acme", "roles": [] },
    ]);
    let mut settings = json!({
        "projects": [
            {
                "id": PROJECT, "region": "cn-north-4", "users": users,
                "accessKeys": [{ "access": "PROJECTKEY", "secret": PROJECT_SECRET }],
            },
            {
                "id": OTHER, "region": "cn-east-3",
                "accessKeys": [{ "access": "OTHERKEY", "secret": PROJECT_SECRET }],
            },
        ],
        "identity": {
            "agencies": [{ "name": "oms", "domain": "acme", "projects": [PROJECT] }],
            "oidcProviders": [{
                "providerUrn": PROVIDER, "agencyUrn": AGENCY, "signingKey": SIGNING_KEY,
                "idTokens": ["planted-id-token"], "audience": "oms",
            }],
        },
        "metadata": { "podIdentityTokens": [POD_TOKEN] },
    });
    for (name, value) in changes.as_object().unwrap() {
        match settings.get_mut(name).and_then(Value::as_object_mut) {
            Some(found) => found.extend(value.as_object().unwrap().clone()),
            None => settings[name] = value.clone(),
        }
    }
    config(settings)
}

async fn start(changes: Value) -> (Emulator, Cloud) {
    let (emulator, world) = World::start(with_users(changes)).await;
    let endpoints = emulator.endpoints().to_json();
    let url = |name: &str| endpoints[name].as_str().unwrap().to_owned();
    let cloud = Cloud { sts: url("sts"), metadata: url("metadata"), pod_identity: url("podIdentity"), world };
    (emulator, cloud)
}

struct Cloud {
    world: World,
    sts: String,
    metadata: String,
    pod_identity: String,
}

impl Cloud {
    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.world.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = if let Some(body) = body { request.json(body) } else { request };
        read(request.send().await.unwrap()).await.unwrap()
    }

    async fn login(&self, user: &str, password: &str, domain: &str, scope: Value) -> Answer {
        let body = login(user, password, domain, &scope);
        self.send(
            Method::POST,
            &format!("{}/v3/auth/tokens?nocatalog=true", self.world.oms),
            &[],
            Some(&body),
        )
        .await
    }

    /// A token of Ann for the first project.
    async fn token(&self, user: &str) -> String {
        let answer = self.login(user, PASSWORD, "acme", json!({ "project": { "name": "cn-north-4" } })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.headers["x-subject-token"].to_str().unwrap().to_owned()
    }

    /// A call of OMS or IAM with a token instead of a signature.
    async fn with_token(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, &format!("{}{path}", self.world.oms), &[("X-Auth-Token", token)], body).await
    }

    async fn list_with(&self, token: &str) -> Answer {
        self.with_token(token, Method::GET, &format!("/v2/{PROJECT}/tasks"), None).await
    }

    async fn temporary_keys(&self, token: &str, identity: Value) -> Answer {
        let body = json!({ "auth": { "identity": identity } });
        self.with_token(token, Method::POST, "/v3.0/OS-CREDENTIAL/securitytokens", Some(&body)).await
    }

    async fn assume(&self, changes: Value) -> Answer {
        let mut body = json!({
            "provider_urn": PROVIDER, "agency_urn": AGENCY, "agency_session_name": "test",
            "id_token": id_token(json!({})),
        });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.send(Method::POST, &format!("{}/v5/agencies/assume-with-oidc", self.sts), &[], Some(&body)).await
    }

    async fn metadata_token(&self, seconds: &str) -> Answer {
        let url = format!("{}/meta-data/latest/api/token", self.metadata);
        self.send(Method::PUT, &url, &[("X-Metadata-Token-Ttl-Seconds", seconds)], None).await
    }

    async fn security_key(&self, token: &str) -> Answer {
        let url = format!("{}/openstack/latest/securitykey", self.metadata);
        self.send(Method::GET, &url, &[("X-Metadata-Token", token)], None).await
    }

    async fn list_signed_by(&self, signer: Signer) -> Answer {
        let mut world = self.world.clone();
        world.signer = signer;
        world.get(&format!("/v2/{PROJECT}/tasks")).await
    }
}

fn login(user: &str, password: &str, domain: &str, scope: &Value) -> Value {
    let user = json!({ "name": user, "password": password, "domain": { "name": domain } });
    json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": user } }, "scope": scope,
    }})
}

fn id_token(changes: Value) -> String {
    let mut claims = json!({
        "sub": "system:serviceaccount:media:oms", "aud": ["oms"],
        "exp": (Timestamp::now() + SignedDuration::from_hours(1)).as_second(),
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    hs256(&claims, SIGNING_KEY)
}

/// A signer with what IAM calls `credential`.
fn iam_signer(credential: &Value) -> Signer {
    let text = |name: &str| credential[name].as_str().unwrap().to_owned();
    Signer { access: text("access"), secret: text("secret"), date: None, token: Some(text("securitytoken")) }
}

#[track_caller]
fn expect_words(answer: &Answer, words: &str) {
    answer.expect_refusal(401, "APIGW.0301");
    assert_eq!(answer.body["error_msg"], format!("Incorrect IAM authentication information: {words}"));
}

#[track_caller]
fn expect_keystone(answer: &Answer, status: u16, title: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.body["error"]["code"], status);
    assert_eq!(answer.body["error"]["title"], title);
    assert!(answer.body["error"]["message"].is_string());
}

fn seconds_until(time: &Value) -> f64 {
    let end: Timestamp = time.as_str().unwrap().parse().unwrap();
    end.duration_since(Timestamp::now()).as_secs_f64()
}

#[tokio::test]
async fn a_password_buys_a_token_that_opens_every_operation_of_its_project() {
    let (_emulator, cloud) = start(json!({})).await;
    let answer = cloud.login("ann", PASSWORD, "acme", json!({ "project": { "id": PROJECT } })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let token = answer.headers["x-subject-token"].to_str().unwrap();
    assert!((2000..16_384).contains(&token.len()));
    assert!(!answer.text.contains(token), "the token is in the header alone");
    let told = &answer.body["token"];
    assert_eq!(told["project"]["id"], PROJECT);
    assert_eq!((&told["project"]["name"], &told["user"]["name"]), (&json!("cn-north-4"), &json!("ann")));
    assert_eq!(told["user"]["domain"]["name"], "acme");
    assert_eq!(told["roles"][0]["name"], "OMS Administrator");
    assert!((86_300.0..86_401.0).contains(&seconds_until(&told["expires_at"])), "{told}");

    let tasks = format!("/v2/{PROJECT}/tasks");
    let created = cloud.with_token(token, Method::POST, &tasks, Some(&task(json!({})))).await.expect_ok();
    let id = created["id"].as_u64().unwrap();
    cloud.world.reach(id, 5).await;
    let shown = cloud.with_token(token, Method::GET, &format!("{tasks}/{id}"), None).await.expect_ok();
    assert_eq!(shown["id"], id);
    let deleted = cloud.with_token(token, Method::DELETE, &format!("{tasks}/{id}"), None).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    cloud.with_token(token, Method::GET, "/v2", None).await.expect_ok();
    // By name as well as by ID.
    cloud.list_with(&cloud.token("ann").await).await.expect_ok();
}

#[tokio::test]
async fn logins_that_are_wrong_are_refused_in_the_words_of_keystone() {
    let (_emulator, cloud) = start(json!({})).await;
    let project = json!({ "project": { "id": PROJECT } });
    for (user, password, domain) in
        [("ann", "wrong", "acme"), ("bob", PASSWORD, "acme"), ("ann", PASSWORD, "elsewhere")]
    {
        let refused = cloud.login(user, password, domain, project.clone()).await;
        expect_keystone(&refused, 401, "Unauthorized");
        assert_eq!(refused.body["error"]["message"], "The username or password is wrong.");
    }
    let unknown =
        cloud.login("ann", PASSWORD, "acme", json!({ "project": { "name": "xx-nowhere-1" } })).await;
    expect_keystone(&unknown, 404, "Not Found");
    let foreign = cloud.login("ann", PASSWORD, "acme", json!({ "project": { "id": OTHER } })).await;
    expect_keystone(&foreign, 403, "Forbidden");

    let url = format!("{}/v3/auth/tokens", cloud.world.oms);
    let mut incomplete = login("ann", PASSWORD, "acme", &project);
    incomplete["auth"]["identity"]["password"]["user"].as_object_mut().unwrap().remove("domain");
    let mut totp = login("ann", PASSWORD, "acme", &project);
    totp["auth"]["identity"]["methods"] = json!(["totp"]);
    for body in [json!({}), json!([1]), json!({ "auth": {} }), json!({ "auth": "x" }), incomplete, totp] {
        expect_keystone(&cloud.send(Method::POST, &url, &[], Some(&body)).await, 400, "Bad Request");
    }
    let answer = cloud.world.http.post(&url).body("{").send().await.unwrap();
    expect_keystone(&read(answer).await.unwrap(), 400, "Bad Request");
}

#[tokio::test]
async fn a_token_is_good_for_its_own_project_alone() {
    let (_emulator, cloud) = start(json!({})).await;
    let token = cloud.token("ann").await;
    let elsewhere = format!("/v2/{OTHER}/tasks");
    cloud.with_token(&token, Method::GET, &elsewhere, None).await.expect_refusal(403, "OMS.2001");
    cloud.with_token(&token, Method::GET, "/v2/unknown/tasks", None).await.expect_refusal(403, "OMS.2001");
    let headers = [("X-Auth-Token", token.as_str()), ("X-Project-Id", OTHER)];
    let url = format!("{}/v2/{PROJECT}/tasks", cloud.world.oms);
    cloud.send(Method::GET, &url, &headers, None).await.expect_refusal(403, "OMS.2001");

    // Neither a domain nor nothing as scope makes a token that OMS takes; IAM takes it.
    for scope in [json!({ "domain": { "name": "acme" } }), Value::Null] {
        let answer = cloud.login("ann", PASSWORD, "acme", scope).await;
        assert_eq!((answer.status.as_u16(), &answer.body["token"]["project"]), (201, &Value::Null));
        assert_eq!(answer.body["token"]["domain"]["name"], "acme");
        let token = answer.headers["x-subject-token"].to_str().unwrap();
        cloud.list_with(token).await.expect_refusal(403, "OMS.2001");
        let found = cloud.with_token(token, Method::GET, "/v3/projects", None).await.expect_ok();
        assert_eq!(found["projects"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_user_needs_the_role_of_an_administrator() {
    let (_emulator, cloud) = start(json!({})).await;
    for user in ["gus", "nil"] {
        cloud.list_with(&cloud.token(user).await).await.expect_refusal(403, "OMS.0206");
    }
    // With keys, whoever is a guest may look.
    let identity = json!({ "methods": ["token"] });
    let keys = cloud.temporary_keys(&cloud.token("gus").await, identity).await.body;
    let signer = iam_signer(&keys["credential"]);
    cloud.list_signed_by(signer.clone()).await.expect_ok();
    let mut world = cloud.world.clone();
    world.signer = signer;
    world.create(&task(json!({}))).await.expect_refusal(403, "OMS.0205");
}

#[tokio::test]
async fn a_token_that_ended_is_refused_in_the_words_of_the_gateway() {
    let (_emulator, cloud) = start(json!({ "identity": { "tokenLifetimeSeconds": 600 } })).await;
    let token = cloud.token("ann").await;
    expect_words(&cloud.list_with("MIInonsense").await, "decrypt token fail");
    expect_words(&cloud.list_with("").await, "decrypt token fail");
    cloud.list_with(&"x".repeat(16_384)).await.expect_refusal(401, "APIGW.0301");
    cloud.list_with(&"x".repeat(16_385)).await.expect_refusal(403, "S3M.0163");

    let forward = json!({ "signatureOffsetMs": 601_000 });
    cloud.world.admin(Method::POST, "/clock", Some(&forward)).await.expect_ok();
    expect_words(&cloud.list_with(&token).await, "token expires");
    // A new login works, and its end is told by the same clock.
    let again = cloud.token("ann").await;
    cloud.list_with(&again).await.expect_ok();
    let revoked =
        cloud.world.admin(Method::POST, "/tokens/revoke", Some(&json!({ "user": "gus" }))).await.expect_ok();
    assert_eq!(revoked["revoked"], 0);
    cloud.list_with(&again).await.expect_ok();
    let revoked = cloud.world.admin(Method::POST, "/tokens/revoke", None).await.expect_ok();
    assert_eq!(revoked["revoked"], 1, "the other one had expired");
    cloud.list_with(&again).await.expect_refusal(401, "APIGW.0307");
}

#[tokio::test]
async fn iam_lists_projects_and_accounts_for_whoever_calls() {
    let (_emulator, cloud) = start(json!({})).await;
    let token = cloud.token("ann").await;
    let keys = cloud.temporary_keys(&token, json!({ "methods": ["token"] })).await.body;
    let mut temporary = cloud.world.clone();
    temporary.signer = iam_signer(&keys["credential"]);
    for path in ["/v3/projects", "/v3/projects?name=cn-north-4"] {
        for found in [
            cloud.with_token(&token, Method::GET, path, None).await.expect_ok(),
            cloud.world.get(path).await.expect_ok(),
            temporary.get(path).await.expect_ok(),
        ] {
            assert_eq!(found["projects"].as_array().unwrap().len(), 1, "{found}");
            assert_eq!(found["projects"][0]["id"], PROJECT);
        }
    }
    assert_eq!(temporary.get("/v3/projects?name=cn-east-3").await.expect_ok()["projects"], json!([]));
    let domains = temporary.get("/v3/auth/domains").await.expect_ok();
    assert_eq!(domains["domains"][0]["name"], "acme");
    let identity = temporary.get("/v5/caller-identity").await.expect_ok();
    assert_eq!(identity["account_id"], domains["domains"][0]["id"]);
    assert!(identity["principal_urn"].as_str().unwrap().ends_with(":user:ann"));
    let url = format!("{}/v3/projects", cloud.world.oms);
    cloud.send(Method::GET, &url, &[], None).await.expect_refusal(401, "APIGW.0301");
}

#[tokio::test]
async fn temporary_keys_sign_with_their_token_until_they_end() {
    let (_emulator, cloud) = start(json!({})).await;
    let token = cloud.token("ann").await;
    let answer = cloud
        .temporary_keys(&token, json!({ "methods": ["token"], "token": { "duration_seconds": 1000 } }))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let credential = &answer.body["credential"];
    assert!((900.0..1001.0).contains(&seconds_until(&credential["expires_at"])));
    let signer = iam_signer(credential);
    cloud.list_signed_by(signer.clone()).await.expect_ok();

    let without = Signer { token: None, ..signer.clone() };
    let words = format!("Get secretKey failed,ak:{},err:ak not exist", signer.access);
    expect_words(&cloud.list_signed_by(without).await, &words);
    let wrong = Signer { token: Some("wrong".to_owned()), ..signer.clone() };
    expect_words(&cloud.list_signed_by(wrong).await, "decrypt token fail");
    let altered = Signer { secret: "wrong".to_owned(), ..signer.clone() };
    expect_words(&cloud.list_signed_by(altered).await, "verify aksk signature fail");

    // By the wall, as signatures: the signature is as new as its clock says.
    let forward = json!({ "signatureOffsetMs": 1_001_000 });
    cloud.world.admin(Method::POST, "/clock", Some(&forward)).await.expect_ok();
    let in_time = Some(Timestamp::now() + SignedDuration::from_millis(1_001_000));
    expect_words(&cloud.list_signed_by(Signer { date: in_time, ..signer }).await, "token expires");
}

#[tokio::test]
async fn temporary_keys_can_be_ended_in_the_middle_of_a_run() {
    let (_emulator, cloud) = start(json!({})).await;
    let token = cloud.token("ann").await;
    let mut signers = Vec::new();
    for _ in 0..2 {
        let keys = cloud.temporary_keys(&token, json!({ "methods": ["token"] })).await.body;
        signers.push(iam_signer(&keys["credential"]));
    }
    let one = json!({ "access": signers[0].access });
    let ended = cloud.world.admin(Method::POST, "/temporary-keys/expire", Some(&one)).await.expect_ok();
    assert_eq!(ended["expired"], 1);
    expect_words(&cloud.list_signed_by(signers[0].clone()).await, "token expires");
    cloud.list_signed_by(signers[1].clone()).await.expect_ok();
    let ended = cloud.world.admin(Method::POST, "/temporary-keys/expire", None).await.expect_ok();
    assert_eq!(ended["expired"], 1);
    expect_words(&cloud.list_signed_by(signers[1].clone()).await, "token expires");
    // The configured ones are not touched.
    cloud.list_signed_by(Signer::default()).await.expect_ok();
    let typo = json!({ "acess": "x" });
    assert_eq!(cloud.world.admin(Method::POST, "/temporary-keys/expire", Some(&typo)).await.status, 400);
}

#[tokio::test]
async fn an_agency_is_assumed_by_name_and_acts_in_its_own_projects() {
    let (_emulator, cloud) = start(json!({})).await;
    let token = cloud.token("nil").await;
    let assume = |agency: &str, domain: &str, seconds: i64| {
        json!({
            "methods": ["assume_role"],
            "assume_role": { "agency_name": agency, "domain_name": domain, "duration_seconds": seconds },
        })
    };
    let keys = cloud.temporary_keys(&token, assume("oms", "acme", 86_400)).await;
    assert_eq!(keys.status, 201, "{}", keys.text);
    let mut world = cloud.world.clone();
    world.signer = iam_signer(&keys.body["credential"]);
    world.get(&format!("/v2/{PROJECT}/tasks")).await.expect_ok();
    world.get(&format!("/v2/{OTHER}/tasks")).await.expect_refusal(403, "OMS.2001");

    for (agency, domain) in [("nobody", "acme"), ("oms", "elsewhere")] {
        expect_keystone(&cloud.temporary_keys(&token, assume(agency, domain, 900)).await, 404, "Not Found");
    }
    for seconds in [899, 86_401, -1] {
        expect_keystone(
            &cloud.temporary_keys(&token, assume("oms", "acme", seconds)).await,
            400,
            "Bad Request",
        );
    }
    expect_keystone(
        &cloud.temporary_keys(&token, json!({ "methods": ["password"] })).await,
        400,
        "Bad Request",
    );
    let refused = cloud.temporary_keys("MIInonsense", json!({ "methods": ["token"] })).await;
    expect_keystone(&refused, 401, "Unauthorized");
    // The token may come in the body.
    let body = json!({ "auth": { "identity": { "methods": ["token"], "token": { "id": token } } } });
    let url = format!("{}/v3.0/OS-CREDENTIAL/securitytokens", cloud.world.oms);
    assert_eq!(cloud.send(Method::POST, &url, &[], Some(&body)).await.status, 201);
}

#[tokio::test]
async fn an_id_token_buys_the_keys_of_the_agency_that_trusts_its_provider() {
    let (_emulator, cloud) = start(json!({})).await;
    let answer = cloud.assume(json!({ "duration_seconds": 900 })).await;
    let body = answer.expect_ok();
    assert_eq!(body["subject_from_id_token"], "system:serviceaccount:media:oms");
    assert_eq!((&body["audience"], &body["provider"]), (&json!("oms"), &json!(PROVIDER)));
    assert!(body["assumed_agency"]["urn"].as_str().unwrap().ends_with(":assumed-agency:oms/test"));
    let text = |name: &str| body["credentials"][name].as_str().unwrap().to_owned();
    assert!((800.0..901.0).contains(&seconds_until(&body["credentials"]["expiration"])));
    let signer = Signer {
        access: text("access_key_id"),
        secret: text("secret_access_key"),
        date: None,
        token: Some(text("security_token")),
    };
    cloud.list_signed_by(signer).await.expect_ok();
    cloud.assume(json!({ "id_token": "planted-id-token" })).await.expect_ok();

    let past = (Timestamp::now() - SignedDuration::from_secs(1)).as_second();
    for changes in [
        json!({ "id_token": id_token(json!({ "exp": past })) }),
        json!({ "id_token": id_token(json!({ "aud": "somebody" })) }),
        json!({ "id_token": hs256(&json!({ "aud": "oms", "exp": past + 3600 }), "another-key") }),
        json!({ "id_token": "nonsense" }),
        json!({ "provider_urn": "iam::1:oidcProvider:nobody" }),
        json!({ "agency_urn": "iam::1:agency:nobody" }),
    ] {
        let refused = cloud.assume(changes).await;
        refused.expect_refusal(403, "PAP5.0001");
        assert_eq!(refused.body["request_id"], refused.headers["x-request-id"].to_str().unwrap());
    }
    for changes in [
        json!({ "id_token": null }),
        json!({ "agency_session_name": "" }),
        json!({ "provider_urn": 1 }),
        json!({ "duration_seconds": 899 }),
        json!({ "duration_seconds": 43_201 }),
    ] {
        assert_eq!(cloud.assume(changes).await.status, 400);
    }
}

#[tokio::test]
async fn a_node_gets_keys_for_a_metadata_token() {
    let (_emulator, cloud) = start(json!({ "identity": { "temporaryKeyLifetimeSeconds": 3600 } })).await;
    let token = cloud.metadata_token("21600").await;
    assert_eq!(token.status, 200, "{}", token.text);
    let first = cloud.security_key(&token.text).await.expect_ok();
    assert!((3500.0..3601.0).contains(&seconds_until(&first["credential"]["expires_at"])));
    cloud.list_signed_by(iam_signer(&first["credential"])).await.expect_ok();
    let second = cloud.security_key(&token.text).await.expect_ok();
    assert_eq!(first, second, "the same keys as long as they are fresh");
    let url = format!("{}/openstack/latest/meta_data.json", cloud.metadata);
    let node = cloud.send(Method::GET, &url, &[("X-Metadata-Token", &token.text)], None).await.expect_ok();
    assert_eq!((&node["project_id"], &node["region_id"]), (&json!(PROJECT), &json!("cn-north-4")));
    assert_eq!(node["availability_zone"], "cn-north-4a");

    assert_eq!(cloud.security_key("wrong").await.status, 401);
    assert_eq!(cloud.send(Method::GET, &url, &[], None).await.status, 401);
    for seconds in ["0", "21601", "x", "-1"] {
        assert_eq!(cloud.metadata_token(seconds).await.status, 400, "{seconds}");
    }
    cloud.world.admin(Method::POST, "/metadata-tokens/expire", None).await.expect_ok();
    assert_eq!(cloud.security_key(&token.text).await.status, 401);
    let short = cloud.metadata_token("60").await.text;
    cloud.security_key(&short).await.expect_ok();
    // Past the half of their time there are new keys, and the token has expired by the same clock.
    let forward = json!({ "signatureOffsetMs": 1_801_000 });
    cloud.world.admin(Method::POST, "/clock", Some(&forward)).await.expect_ok();
    assert_eq!(cloud.security_key(&short).await.status, 401);
    let token = cloud.metadata_token("60").await.text;
    let third = cloud.security_key(&token).await.expect_ok();
    assert_ne!(third["credential"]["access"], first["credential"]["access"]);
    cloud.world.admin(Method::POST, "/temporary-keys/expire", None).await.expect_ok();
    let fourth = cloud.security_key(&token).await.expect_ok();
    assert_ne!(fourth["credential"]["access"], third["credential"]["access"], "never keys that have ended");
}

#[tokio::test]
async fn a_node_may_have_no_agency_and_a_service_without_tokens() {
    for (status, given) in [(401, json!({})), (404, json!({ "noAgencyStatus": 404 }))] {
        let mut metadata = json!({ "agency": false, "podIdentityTokens": [POD_TOKEN] });
        metadata.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let (_emulator, cloud) = start(json!({ "metadata": metadata })).await;
        let token = cloud.metadata_token("60").await.text;
        let refused = cloud.security_key(&token).await;
        assert_eq!(refused.status, status);
        assert!(refused.text.contains("Please configure Cloud Service Agency first"), "{}", refused.text);
    }
    let (_emulator, cloud) = start(json!({ "metadata": { "tokens": "optional" } })).await;
    assert_eq!(cloud.metadata_token("60").await.status, 200);
    cloud.security_key("").await.expect_ok();
    let (_emulator, cloud) = start(json!({ "metadata": { "tokens": "unsupported" } })).await;
    assert_eq!(cloud.metadata_token("60").await.status, 404);
    cloud.security_key("").await.expect_ok();
}

#[tokio::test]
async fn a_pod_gets_keys_for_the_contents_of_its_token_file() {
    let (_emulator, cloud) = start(json!({})).await;
    let keys = async |token: &str| {
        cloud.send(Method::POST, &cloud.pod_identity, &[("Authorization", token)], Some(&json!({}))).await
    };
    let body = keys(POD_TOKEN).await.expect_ok();
    let text = |name: &str| body["credentials"][name].as_str().unwrap().to_owned();
    assert!(seconds_until(&body["credentials"]["expiration"]) > 80_000.0);
    let signer = Signer {
        access: text("accessKeyId"),
        secret: text("secretAccessKey"),
        date: None,
        token: Some(text("securityToken")),
    };
    cloud.list_signed_by(signer).await.expect_ok();
    assert_eq!(keys("wrong").await.status, 401);
    assert_eq!(cloud.send(Method::POST, &cloud.pod_identity, &[], None).await.status, 401);
}

#[tokio::test]
async fn every_port_has_its_own_paths() {
    let (_emulator, cloud) = start(json!({})).await;
    let oms = &cloud.world.oms;
    for (method, path) in [
        (Method::GET, "/openstack/latest/securitykey"),
        (Method::GET, "/openstack/latest/meta_data.json"),
        (Method::PUT, "/meta-data/latest/api/token"),
        (Method::POST, "/v1/credentials"),
        (Method::POST, "/tokens/revoke"),
        (Method::POST, "/temporary-keys/expire"),
        (Method::GET, "/admin/journal"),
    ] {
        let answer = cloud.send(method, &format!("{oms}{path}"), &[], None).await;
        answer.expect_refusal(404, "APIGW.0101");
    }
    for path in ["/journal", "/faults", "/clock", "/state", "/reset"] {
        // One word might be an API version, so OMS itself is asked, and it wants a signature.
        let answer = cloud.send(Method::GET, &format!("{oms}{path}"), &[], None).await;
        answer.expect_refusal(401, "APIGW.0301");
        cloud.world.get(path).await.expect_refusal(404, "S3M.0256");
    }
    for path in ["/v2", "/v3/projects", "/journal", "/v3/auth/tokens"] {
        assert_eq!(
            cloud.send(Method::GET, &format!("{}{path}", cloud.metadata), &[], None).await.status,
            404
        );
    }
}

#[tokio::test]
async fn the_journal_tells_of_logins_and_never_a_secret() {
    let (emulator, cloud) = start(json!({})).await;
    let token = cloud.token("ann").await;
    cloud.login("ann", "wrong", "acme", json!({ "project": { "id": PROJECT } })).await;
    let keys = cloud.temporary_keys(&token, json!({ "methods": ["token"] })).await.body;
    cloud.assume(json!({})).await.expect_ok();
    let metadata_token = cloud.metadata_token("60").await.text;
    let node = cloud.security_key(&metadata_token).await.expect_ok();
    cloud.send(Method::POST, &cloud.pod_identity, &[("Authorization", POD_TOKEN)], None).await.expect_ok();
    let journal = cloud.world.journal("").await;
    let calls: Vec<(&str, &str)> = journal
        .iter()
        .map(|entry| (entry["operation"].as_str().unwrap(), entry["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        calls,
        [
            ("KeystoneCreateUserTokenByPassword", "ok"),
            ("KeystoneCreateUserTokenByPassword", "401"),
            ("CreateTemporaryAccessKey", "ok"),
            ("AssumeAgencyWithOIDC", "ok"),
            ("CreateMetadataToken", "ok"),
            ("ShowSecurityKey", "ok"),
            ("CreatePodCredentials", "ok"),
        ]
    );
    let state = cloud.world.admin(Method::GET, "/state", None).await.text;
    let printed = format!("{journal:?} {state} {emulator:?}");
    for secret in [
        PASSWORD,
        SIGNING_KEY,
        POD_TOKEN,
        "planted-id-token",
        &token,
        &metadata_token,
        keys["credential"]["secret"].as_str().unwrap(),
        keys["credential"]["securitytoken"].as_str().unwrap(),
        node["credential"]["secret"].as_str().unwrap(),
    ] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn faults_strike_logins_too() {
    let (_emulator, cloud) = start(json!({})).await;
    cloud
        .world
        .fault(json!({ "operation": "KeystoneCreateUserTokenByPassword", "nth": 1, "kind": "html" }))
        .await;
    cloud.world.fault(json!({ "operation": "ShowSecurityKey", "kind": "status", "status": 503 })).await;
    let scope = json!({ "project": { "id": PROJECT } });
    assert_eq!(cloud.login("ann", PASSWORD, "acme", scope.clone()).await.status, 502);
    assert_eq!(cloud.login("ann", PASSWORD, "acme", scope).await.status, 201);
    assert_eq!(cloud.security_key("").await.status, 503);
}

#[tokio::test]
async fn tokens_and_temporary_keys_outlive_the_process_as_tasks_do() {
    let folder = tempfile::tempdir().unwrap();
    let options = || oms_operator::emulator::server::Options {
        state: Some(folder.path().join("state")),
        ..oms_operator::emulator::server::Options::local(with_users(json!({})))
    };
    let emulator = Emulator::start(options()).await.unwrap();
    let world = World::at(&emulator.endpoints().to_json());
    let cloud = Cloud { sts: String::new(), metadata: String::new(), pod_identity: String::new(), world };
    let (token, revoked) = (cloud.token("ann").await, cloud.token("gus").await);
    let keys = cloud.temporary_keys(&token, json!({ "methods": ["token"] })).await.body;
    cloud.world.admin(Method::POST, "/tokens/revoke", Some(&json!({ "user": "gus" }))).await.expect_ok();
    emulator.shutdown().await;

    let emulator = Emulator::start(options()).await.unwrap();
    let world = World::at(&emulator.endpoints().to_json());
    let cloud = Cloud { world, ..cloud };
    cloud.list_with(&token).await.expect_ok();
    cloud.list_with(&revoked).await.expect_refusal(401, "APIGW.0307");
    cloud.list_signed_by(iam_signer(&keys["credential"])).await.expect_ok();
    let log = std::fs::read_to_string(folder.path().join("state/changes.jsonl")).unwrap();
    assert!(!log.contains(&token) && !log.contains(PASSWORD), "tokens are kept as digests");
    // A reset ends them all.
    assert_eq!(cloud.world.admin(Method::POST, "/reset", None).await.status, 204);
    expect_words(&cloud.list_with(&token).await, "decrypt token fail");
    emulator.shutdown().await;
}
