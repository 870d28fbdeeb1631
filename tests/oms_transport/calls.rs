//! One call, whatever the operation: signature, outcome, time limits, secrets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use oms_operator::oms::{
    BandwidthWindow, BatchUpdateTasks, Budget, CallRecord, Class, Client, CreateTask, Credentials, Delivery,
    DestinationNode, Error, ListTasks, Settings, SourceNode, StartTask, TaskId, TaskSelection, TaskStatus,
    Timeouts, Urgency, find_project_id, sign,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::server::{ACCESS_KEY, PROJECT, SECRET_KEY, Server, client, credentials, json_answer};

fn create_request() -> CreateTask {
    CreateTask {
        task_type: "object".into(),
        src_node: SourceNode {
            cloud_type: "AWS".into(),
            region: Some("eu-west-1".into()),
            bucket: Some("photos".into()),
            ak: Some("planted-source-ak".into()),
            sk: Some("planted-source-sk".into()),
            object_key: vec!["2024/".into()],
            ..SourceNode::default()
        },
        dst_node: DestinationNode {
            ak: "planted-destination-ak".into(),
            sk: "planted-destination-sk".into(),
            region: "cn-north-4".into(),
            bucket: "archive".into(),
            ..DestinationNode::default()
        },
        description: Some("oms-1 weekly".into()),
        ..CreateTask::default()
    }
}

fn assert_no_secret(error: &Error) {
    let texts = [
        error.to_string(),
        format!("{error:?}"),
        error.message().to_owned(),
        error.detail().unwrap_or_default().to_owned(),
        error.code().unwrap_or_default().to_owned(),
    ];
    for text in texts {
        assert!(!text.to_lowercase().contains("planted"), "{text}");
    }
}

#[tokio::test]
async fn every_operation_asks_for_the_documented_path_and_is_signed_as_sent() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.ends_with("/tasks")) {
        ("POST", true) => {
            json_answer(200, json!({"id": 200_429_548_242_937_u64, "task_name": "photos-archive-1"}))
        }
        ("GET", true) => json_answer(200, json!({"count": 1, "tasks": [{"id": 5, "status": 2}]})),
        ("GET", false) => json_answer(200, json!({"id": 5, "status": 5, "progress": 1.0})),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let (client, id, user) = (server.client(), TaskId::new(5), Urgency::User);
    let windows = [BandwidthWindow { start: "08:00".into(), end: "20:00".into(), max_bandwidth: 2_097_152 }];

    let created = client.create_task(&create_request(), Urgency::Create).await.unwrap();
    assert_eq!((created.id, created.name.as_str()), (TaskId::new(200_429_548_242_937), "photos-archive-1"));
    assert_eq!(client.show_task(id, user).await.unwrap().status, TaskStatus::Succeeded);
    let query = ListTasks {
        status: Some(TaskStatus::Running),
        task_name: Some("a b/\u{4e2d}".into()),
        ..ListTasks::default()
    };
    assert_eq!(client.list_tasks(&query, Urgency::Poll).await.unwrap().tasks[0].id, id);
    let start =
        StartTask { dst_ak: "planted-ak".into(), dst_sk: "planted-sk".into(), ..StartTask::default() };
    client.start_task(id, &start, user).await.unwrap();
    client.stop_task(id, user).await.unwrap();
    client.delete_task(id, Urgency::Delete).await.unwrap();
    client.update_bandwidth_policy(id, &windows, user).await.unwrap();
    let batch = BatchUpdateTasks {
        tasks: TaskSelection::Ids(vec![id]),
        bandwidth_policy: windows.to_vec(),
        task_priority: Some("HIGH".into()),
    };
    client.batch_update_tasks(&batch, user).await.unwrap();
    client.update_privacy_agreement_record(user).await.unwrap();

    let seen = server.seen();
    let tasks = format!("/v2/{PROJECT}/tasks");
    let asked: Vec<_> = seen.iter().map(|seen| (seen.method.as_str(), seen.path.clone())).collect();
    assert_eq!(
        asked,
        [
            ("POST", tasks.clone()),
            ("GET", format!("{tasks}/5")),
            ("GET", tasks.clone()),
            ("POST", format!("{tasks}/5/start")),
            ("POST", format!("{tasks}/5/stop")),
            ("DELETE", format!("{tasks}/5")),
            ("PUT", format!("{tasks}/5/bandwidth-policy")),
            ("POST", format!("{tasks}/batch-update")),
            ("POST", format!("/v2/{PROJECT}/privacy-agreements")),
        ]
    );
    assert_eq!(seen[2].query, "limit=100&offset=0&status=2&task_name=a%20b%2F%E4%B8%AD");
    assert_eq!(seen[0].json()["src_node"]["sk"], "planted-source-sk");
    assert_eq!(seen[6].json()["bandwidth_policy"][0]["max_bandwidth"], 2_097_152);
    assert_eq!(seen[7].json()["ids"], json!([5]));
    for seen in &seen {
        let names = ["content-type", "host", "x-project-id", "x-sdk-date"];
        let headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, seen.header(name))).collect();
        assert_eq!(seen.header("host"), server.address.to_string());
        assert_eq!(seen.header("x-project-id"), PROJECT);
        assert!(seen.header("content-type").starts_with("application/json"));
        let signable = sign::Signable {
            method: &seen.method,
            path: &seen.path,
            query: &seen.query,
            headers: &headers,
            body: &seen.body,
        };
        let date = seen.header("x-sdk-date");
        let expected = sign::authorization(&signable, ACCESS_KEY, &SECRET_KEY.into(), date);
        assert_eq!(seen.header("authorization"), expected, "{}", seen.path);
        let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
        let age = jiff::Timestamp::now()
            .duration_since(signed_at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp());
        assert!(age.unsigned_abs() < Duration::from_mins(1), "{age:?}");
    }
}

#[tokio::test]
async fn a_temporary_security_token_travels_signed() {
    let server = Server::start(|_| json_answer(200, json!({"id": 5}))).await;
    let credentials = Credentials::keys(ACCESS_KEY, SECRET_KEY.into(), Some("planted-token".into()));
    let client = Client::new(server.settings(), credentials, Budget::new(10.0)).unwrap();
    client.show_task(TaskId::new(5), Urgency::Poll).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("x-security-token"), "planted-token");
    assert!(seen[0].header("authorization").contains("x-sdk-date;x-security-token,"));
}

#[tokio::test]
async fn a_refused_connection_was_never_sent() {
    // Bound and dropped: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client(Settings::new(format!("http://{address}"), PROJECT));
    let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!((error.delivery(), error.class()), (Delivery::NotSent, Class::Transient));
    assert!(error.to_string().starts_with(&format!("Could not connect to `{address}`")), "{error}");
    assert!(error.remedy().is_some());
    assert_no_secret(&error);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_was_never_sent() {
    // A label of 64 characters is one too long for any resolver, and `localhost` keeps proxies out of it.
    let client = client(Settings::new(format!("http://{}.localhost", "a".repeat(64)), PROJECT));
    let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!((error.delivery(), error.class()), (Delivery::NotSent, Class::Transient), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_was_never_sent_anything() {
    let server = Server::raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    let client = client(Settings::new(format!("https://{}", server.address), PROJECT));
    let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotSent, "{error}");
    assert_no_secret(&error);
}

/// Regression: who was allowed to call when the wait for a permit began called at its end, whatever had happened meanwhile.
#[tokio::test]
async fn a_call_that_may_no_longer_be_made_when_its_wait_is_over_is_never_sent() {
    let server = Server::start(|_| json_answer(200, json!({"count": 0, "tasks": []}))).await;
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let mut settings = server.settings();
    // The first call may be made, and no other.
    settings.may_send = Some(Arc::new(move || {
        *count.lock().unwrap() += 1;
        *count.lock().unwrap() == 1
    }));
    let client = Client::new(settings, credentials(), Budget::new(5.0)).unwrap();
    client.list_tasks(&ListTasks::default(), Urgency::Poll).await.unwrap();
    let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!((error.delivery(), error.class()), (Delivery::NotSent, Class::Transient));
    assert_eq!(error.to_string(), "The call was held back: this replica no longer leads");
    assert_eq!((server.seen().len(), *asked.lock().unwrap()), (1, 2));
}

#[tokio::test]
async fn no_answer_in_time_leaves_the_outcome_open() {
    let server = Server::raw(b"", true).await;
    let mut settings = server.settings();
    settings.timeouts = Timeouts { request: Duration::from_millis(200), ..Timeouts::default() };
    let error = client(settings).create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!((error.delivery(), error.class()), (Delivery::Unknown, Class::Transient));
    assert_eq!(error.to_string(), format!("`{}` did not answer within 0.2 s", server.address));
    assert_eq!(server.seen().len(), 1);
    assert_no_secret(&error);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off_by_the_deadline() {
    let server = Server::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"", true).await;
    let mut settings = server.settings();
    settings.timeouts = Timeouts { request: Duration::from_millis(200), ..Timeouts::default() };
    let error = client(settings).create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Unknown);
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_open_and_nothing_is_sent_twice() {
    for reply in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"", b"garbage\r\n\r\n"] {
        let server = Server::raw(reply, false).await;
        let error = server.client().create_task(&create_request(), Urgency::Create).await.unwrap_err();
        assert_eq!((error.delivery(), error.class()), (Delivery::Unknown, Class::Transient), "{error}");
        assert_eq!(server.seen().len(), 1, "{error}");
        assert_no_secret(&error);
    }
}

#[tokio::test]
async fn an_overloaded_service_is_asked_once() {
    for status in [429, 500, 502, 503, 504] {
        let server = Server::start(move |_| {
            json_answer(status, json!({"error_code": "OMS.2004", "error_msg": "try again later"}))
        })
        .await;
        let error = server.client().create_task(&create_request(), Urgency::Create).await.unwrap_err();
        let throttled = status == 429;
        assert_eq!(error.class(), if throttled { Class::Throttled } else { Class::Transient });
        assert_eq!(error.delivery(), if throttled { Delivery::Answered } else { Delivery::Unknown });
        assert_eq!(error.request_id(), Some("request-of-the-test"));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_web_page_is_never_taken_for_an_answer() {
    for status in [200, 403, 404, 502] {
        let server = Server::start(move |_| {
            let page = "<!DOCTYPE html><html><body>Welcome to nginx</body></html>";
            (StatusCode::from_u16(status).unwrap(), [("content-type", "text/html")], page).into_response()
        })
        .await;
        let (client, id) = (server.client(), TaskId::new(5));
        let told =
            format!("`{}` answered with HTML instead of JSON: is `endpoint` really OMS?", server.address);
        let errors = [
            client.show_task(id, Urgency::Poll).await.unwrap_err(),
            client.delete_task(id, Urgency::Delete).await.unwrap_err(),
            client.create_task(&create_request(), Urgency::Create).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), told);
            assert_eq!(error.delivery(), Delivery::Unknown);
            assert_eq!(error.class(), if status == 502 { Class::Transient } else { Class::Unknown });
            assert!(!error.is_not_found());
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start(|_| json_answer(200, json!({"id": 5}))).await;
    let location = format!("http://{}/elsewhere", target.address);
    let server = Server::start(move |_| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", location.clone())]).into_response()
    })
    .await;
    let error = server.client().create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!(error.http_status(), Some(307));
    assert!(error.to_string().contains("redirect"), "{error}");
    assert_eq!(target.seen().len(), 0);
}

#[tokio::test]
async fn an_oversized_answer_is_refused_while_it_is_read() {
    let server = Server::start(|_| {
        let chunks = (0..64).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1024 * 1024])));
        Body::from_stream(futures::stream::iter(chunks)).into_response()
    })
    .await;
    let error = server.client().list_tasks(&ListTasks::default(), Urgency::Poll).await.unwrap_err();
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    assert_eq!(error.delivery(), Delivery::Unknown);
}

#[tokio::test]
async fn a_success_that_says_nothing_understandable_is_an_error_for_who_needs_an_answer() {
    for body in ["", "{}", "null", "[]", "{\"task_name\":\"x\"}", "{\"id\":0}", "OK", "{\"id\":", "[[[[[[[["]
    {
        let server = Server::start(move |_| (StatusCode::OK, body).into_response()).await;
        let client = server.client();
        let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
        assert_eq!((error.delivery(), error.class()), (Delivery::Unknown, Class::Unknown), "{body}");
        assert!(client.show_task(TaskId::new(5), Urgency::Poll).await.is_err());
        assert!(client.list_tasks(&ListTasks::default(), Urgency::Poll).await.is_err());
        client.stop_task(TaskId::new(5), Urgency::User).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_in_a_success_is_an_error() {
    let server =
        Server::start(|_| json_answer(200, json!({"error_code": "OMS.0063", "error_msg": "in progress"})))
            .await;
    let client = server.client();
    for error in [
        client.delete_task(TaskId::new(5), Urgency::Delete).await.unwrap_err(),
        client.show_task(TaskId::new(5), Urgency::Poll).await.unwrap_err(),
    ] {
        assert_eq!((error.code(), error.class()), (Some("OMS.0063"), Class::Conflict));
    }
}

#[tokio::test]
async fn every_2xx_is_a_success() {
    for status in [200, 201, 202, 204] {
        let server = Server::start(move |_| StatusCode::from_u16(status).unwrap().into_response()).await;
        server.client().stop_task(TaskId::new(5), Urgency::User).await.unwrap();
    }
    let server = Server::start(|_| json_answer(201, json!({"id": 7, "task_name": "n"}))).await;
    assert_eq!(
        server.client().create_task(&create_request(), Urgency::Create).await.unwrap().id,
        TaskId::new(7)
    );
}

#[tokio::test]
async fn a_task_that_was_not_asked_for_is_not_taken() {
    let server = Server::start(|_| json_answer(200, json!({"id": 6, "status": 5}))).await;
    let error = server.client().show_task(TaskId::new(5), Urgency::Poll).await.unwrap_err();
    assert!(error.to_string().contains("another task"), "{error}");
}

#[tokio::test]
async fn a_missing_task_is_told_by_both_of_oms_ways() {
    for (status, body) in
        [(404, json!({})), (400, json!({"error_code": "OMS.1009", "error_msg": "Resource not found."}))]
    {
        let server = Server::start(move |_| {
            if status == 404 {
                StatusCode::NOT_FOUND.into_response()
            } else {
                json_answer(status, body.clone())
            }
        })
        .await;
        let error = server.client().show_task(TaskId::new(5), Urgency::Poll).await.unwrap_err();
        assert!(error.is_not_found());
        assert_eq!((error.class(), error.delivery()), (Class::NotFound, Delivery::Answered));
    }
}

#[tokio::test]
async fn a_throttled_call_teaches_the_budget_of_all_clients() {
    let server = Server::start(|_| {
        let body = json!({"error_code": "APIGW.0308", "request_id": "from-the-body",
            "error_msg": "The throttling threshold has been reached: policy user over ratelimit,limit:60,time:1 minute"});
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], axum::Json(body)).into_response()
    })
    .await;
    let budget = Budget::new(20.0);
    let mut settings = server.settings();
    settings.timeouts.permit = Duration::from_secs(5);
    let first = Client::new(settings.clone(), credentials(), budget.clone()).unwrap();
    let second = Client::new(settings, credentials(), budget.clone()).unwrap();

    let error = first.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Throttled, Delivery::Answered));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(error.request_id(), Some("from-the-body"));
    assert!((budget.rate() - 1.0).abs() < 1e-9);

    // The other client is not let through, and is told so at once instead of after the wait.
    let error = second.delete_task(TaskId::new(5), Urgency::Delete).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Throttled, Delivery::NotSent));
    assert!(error.retry_after().unwrap() > Duration::from_secs(20));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn keys_that_the_service_repeats_reach_no_error() {
    let server = Server::start(|seen| {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        json_answer(
            400,
            json!({"error_code": "OMS.0064", "error_msg": format!("bad request {body}"),
                   "error_detail": format!("Get secretKey failed,ak:{ACCESS_KEY},sk:{SECRET_KEY},err:ak not exist")}),
        )
    })
    .await;
    let client = server.client();
    let error = client.create_task(&create_request(), Urgency::Create).await.unwrap_err();
    assert_eq!(error.code(), Some("OMS.0064"));
    assert!(error.detail().unwrap().contains("err:ak not exist"));
    assert_no_secret(&error);
    let start = StartTask {
        src_sk: Some("planted-src-sk".into()),
        dst_ak: "planted-dst-ak".into(),
        dst_sk: "planted-dst-sk".into(),
        ..StartTask::default()
    };
    assert_no_secret(&client.start_task(TaskId::new(5), &start, Urgency::User).await.unwrap_err());
    for printed in [
        format!("{client:?}"),
        format!("{start:?}"),
        format!("{:?}", create_request()),
        format!("{:?}", server.settings()),
    ] {
        assert!(!printed.to_lowercase().contains("planted"), "{printed}");
    }
    assert!(format!("{client:?}").contains(PROJECT));
}

#[tokio::test]
async fn every_call_is_reported_with_its_outcome() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "DELETE" => json_answer(400, json!({"error_code": "OMS.0063", "error_msg": "in progress"})),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let records: Arc<Mutex<Vec<CallRecord>>> = Arc::default();
    let log = Arc::clone(&records);
    let mut settings = server.settings();
    settings.on_call = Some(Arc::new(move |record| log.lock().unwrap().push(record.clone())));
    let client = client(settings);
    client.stop_task(TaskId::new(5), Urgency::User).await.unwrap();
    client.delete_task(TaskId::new(5), Urgency::Delete).await.unwrap_err();
    let told: Vec<_> =
        records.lock().unwrap().iter().map(|record| (record.operation, record.outcome)).collect();
    assert_eq!(told, [("StopTask", "ok"), ("DeleteTask", "conflict")]);
}

#[tokio::test]
async fn a_code_that_no_table_knows_is_reported_by_name() {
    let server = Server::start(|seen| {
        let code = if seen.path.ends_with("/4711") { "OMS.4711" } else { "OMS.1009" };
        json_answer(400, json!({"error_code": code, "error_msg": "x"}))
    })
    .await;
    let records: Arc<Mutex<Vec<CallRecord>>> = Arc::default();
    let log = Arc::clone(&records);
    let mut settings = server.settings();
    settings.on_call = Some(Arc::new(move |record| log.lock().unwrap().push(record.clone())));
    let client = client(settings);
    let unknown = client.show_task(TaskId::new(4711), Urgency::User).await.unwrap_err();
    assert_eq!((unknown.class(), unknown.code()), (Class::Unknown, Some("OMS.4711")));
    client.show_task(TaskId::new(5), Urgency::User).await.unwrap_err();
    let told: Vec<_> = records.lock().unwrap().iter().map(|record| record.unknown_code.clone()).collect();
    assert_eq!(told, [Some("OMS.4711".to_owned()), None]);
}

#[tokio::test]
async fn a_project_is_found_by_the_exact_name_of_its_region() {
    let project = |id: &str, name: &str| json!({"id": id, "name": name, "enabled": true});
    let cases = [
        (json!([project("p-1", "cn-north-4"), project("p-2", "cn-north-4_sub")]), Ok("p-1")),
        (json!([project("p-2", "cn-north-4_sub")]), Err(Class::Missing)),
        (json!([]), Err(Class::Missing)),
        (json!([project("p-1", "cn-north-4"), project("p-3", "cn-north-4")]), Err(Class::Invalid)),
    ];
    for (projects, expected) in cases {
        let server =
            Server::start(move |_| json_answer(200, json!({"projects": projects, "links": {}}))).await;
        let found = find_project_id(server.settings(), credentials(), "cn-north-4").await;
        match expected {
            Ok(id) => assert_eq!(found.unwrap(), id),
            Err(class) => {
                let error = found.unwrap_err();
                assert_eq!(error.class(), class, "{error}");
                assert!(error.to_string().contains("`cn-north-4`") && error.remedy().is_some());
            }
        }
        let seen = server.seen();
        assert_eq!((seen[0].path.as_str(), seen[0].query.as_str()), ("/v3/projects", "name=cn-north-4"));
        assert!(seen[0].header("authorization").contains("SignedHeaders=content-type;host;x-sdk-date,"));
        assert_eq!(seen[0].header("x-project-id"), "");
    }
    let server = Server::start(|_| {
        json_answer(
            401,
            json!({"error": {"code": 401, "message": "The AK is wrong.", "title": "Unauthorized"}}),
        )
    })
    .await;
    let error = find_project_id(server.settings(), credentials(), "cn-north-4").await.unwrap_err();
    assert_eq!(error.class(), Class::Credential);
}
