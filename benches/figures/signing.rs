//! How fast the client signs, on one core.

use std::hint::black_box;
use std::time::Instant;

use oms_operator::oms::sign::{Signable, authorization};

use crate::figure;

/// Signatures per second that are promised.
const TARGET: f64 = 100_000.0;

pub(crate) fn measure() {
    let path = "/v2/2c0689c860ad4728a497c91ec0844383/tasks";
    let headers = [
        ("content-type", "application/json"),
        ("host", "oms.cn-north-4.myhuaweicloud.com"),
        ("x-project-id", "2c0689c860ad4728a497c91ec0844383"),
        ("x-sdk-date", "20240416T095341Z"),
    ];
    let secret = "ExampleSecretKey0000000000000000000000AA".into();
    let request =
        Signable { method: "GET", path, query: "limit=100&offset=0&status=2", headers: &headers, body: b"" };
    let sign =
        || black_box(authorization(black_box(&request), "EXAMPLEAK0000000000A", &secret, "20240416T095341Z"));
    for _ in 0..10_000 {
        sign();
    }
    let (begun, mut signed) = (Instant::now(), 0_u32);
    while begun.elapsed().as_secs_f64() < 2.0 {
        for _ in 0..1000 {
            sign();
        }
        signed += 1000;
    }
    let rate = f64::from(signed) / begun.elapsed().as_secs_f64();
    figure(
        "client: requests signed on one core",
        &format!("{rate:.0}/s"),
        &format!("{TARGET:.0}/s"),
        rate / TARGET,
    );
}
