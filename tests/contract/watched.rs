//! That a watch over an emulator tells what it saw.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oms_operator::emulator::server::Exchange;

use crate::contract::watch::{Held, Watch};

/// A call that fits the contract in both directions.
fn exchange() -> Exchange {
    Exchange {
        operation: "CheckPrefix",
        method: "POST".to_owned(),
        path: "/v2/p/objectstorage/buckets/prefix".to_owned(),
        query: String::new(),
        request_body:
            r#"{"cloud_type":"AWS","ak":"a","sk":"s","bucket_name":"b","file_name":"","data_center":"r"}"#
                .into(),
        status: 200,
        response_body: r#"{"exist":true}"#.into(),
        content_type: Some("application/json".to_owned()),
        by_fault: false,
    }
}

/// How a watch ends after this call.
fn end(held: Held, exchange: &Exchange) -> Result<(), String> {
    let watch = Watch::over(held);
    watch.observer()(exchange);
    catch_unwind(AssertUnwindSafe(move || drop(watch)))
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn a_good_call_ends_well() {
    assert_eq!(end(Held::Both, &exchange()), Ok(()));
}

#[test]
fn a_bad_answer_fails_the_test() {
    let bad = Exchange { response_body: r#"{"exist":1,"more":2}"#.into(), ..exchange() };
    let complaint = end(Held::Answers, &bad).unwrap_err();
    assert!(complaint.contains("CheckPrefix: answer 200 /exist"), "{complaint}");
    assert!(complaint.contains("'more'"), "{complaint}");
}

#[test]
fn a_bad_request_fails_the_test_of_our_client_alone() {
    let bad = Exchange { query: "limit=1".to_owned(), ..exchange() };
    assert_eq!(end(Held::Answers, &bad), Ok(()));
    let complaint = end(Held::Both, &bad).unwrap_err();
    assert!(complaint.contains("CheckPrefix: query limit: is unknown"), "{complaint}");
}

#[test]
fn faults_and_other_services_are_not_held() {
    let page = Exchange { status: 502, content_type: None, response_body: "<html>".into(), ..exchange() };
    assert_ne!(end(Held::Both, &page), Ok(()));
    assert_eq!(end(Held::Both, &Exchange { by_fault: true, ..page }), Ok(()));
    let iam = Exchange { operation: "ListProjects", path: "/v3/projects".to_owned(), ..exchange() };
    assert_eq!(end(Held::Both, &iam), Ok(()));
    let unheard = Exchange { operation: "ShowMore", ..exchange() };
    assert!(end(Held::Both, &unheard).unwrap_err().contains("is not in the contract"));
}
