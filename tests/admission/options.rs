//! Rows about what not every task has: a CDN in front of the source, a way to keep credentials, a notification.

use serde_json::{Value, json};

use super::{merged, object, url_list};

/// ID of a KMS key: 36 characters.
const KMS_KEY: &str = "0d0466b0-e727-4d9c-b35d-f84bb474a37f";

fn cdn(authentication: &str) -> Value {
    json!({ "domain": "cdn.example.com", "protocol": "https", "authenticationType": authentication })
}

fn keyed(authentication: &str) -> Value {
    merged(cdn(authentication), &json!({ "authenticationKey": { "secretRef": { "name": "cdn" } } }))
}

fn behind(cdn: Value) -> Value {
    merged(object(), &json!({ "source": { "cdn": cdn } }))
}

fn notifying() -> Value {
    let notification =
        json!({ "topicUrn": "urn:smn:cn-north-4:0f1e2d3c:migrations", "triggers": ["FAILURE"] });
    merged(object(), &json!({ "notification": notification }))
}

/// Manifests, changes to them, and where and how the server refuses the outcome.
pub(crate) fn refused() -> Vec<(Value, Value, &'static str, &'static str)> {
    vec![
        // A CDN in front of the source.
        (url_list(), json!({ "source": { "cdn": cdn("NONE") } }), "spec.source.cdn", "remove `cdn`"),
        (
            behind(cdn("ALIYUN_OSS_A")),
            json!({}),
            "spec.source.cdn.authenticationKey",
            "add `authenticationKey`",
        ),
        (
            behind(cdn("ALIYUN_OSS_B")),
            json!({}),
            "spec.source.cdn.authenticationKey",
            "add `authenticationKey`",
        ),
        (
            behind(cdn("ALIYUN_OSS_C")),
            json!({}),
            "spec.source.cdn.authenticationKey",
            "add `authenticationKey`",
        ),
        (behind(keyed("NONE")), json!({}), "spec.source.cdn.authenticationKey", "has no key"),
        (
            behind(keyed("QINIU_PRIVATE_AUTHENTICATION")),
            json!({}),
            "spec.source.cdn.authenticationKey",
            "has no key",
        ),
        (
            behind(keyed("KSYUN_PRIVATE_AUTHENTICATION")),
            json!({}),
            "spec.source.cdn.authenticationKey",
            "has no key",
        ),
        (behind(cdn("ALIYUN_OSS_D")), json!({}), "spec.source.cdn.authenticationType", "Unsupported value"),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "crypto": { "type": "DEFAULT" } } } }),
            "spec.source.cdn.crypto",
            "or remove `crypto`",
        ),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "domain": "https://cdn.example.com" } } }),
            "spec.source.cdn.domain",
            "remove the scheme",
        ),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "domain": "" } } }),
            "spec.source.cdn.domain",
            "at least 1",
        ),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "domain": "c".repeat(1025) } } }),
            "spec.source.cdn.domain",
            "1024",
        ),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "protocol": null } } }),
            "spec.source.cdn.protocol",
            "Required value",
        ),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "protocol": "HTTPS" } } }),
            "spec.source.cdn.protocol",
            "Unsupported value",
        ),
        (
            behind(keyed("ALIYUN_OSS_A")),
            json!({ "source": { "cdn": { "authenticationKey": { "secretRef": { "key": "a b" } } } } }),
            "spec.source.cdn.authenticationKey.secretRef.key",
            "should match",
        ),
        // How OMS keeps credentials.
        (
            object(),
            json!({ "source": { "credentials": { "crypto": { "type": "KMS" } } } }),
            "spec.source.credentials.crypto.kmsKeyId",
            "needs `kmsKeyId`",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "crypto": { "type": "DEFAULT", "kmsKeyId": KMS_KEY } } } }),
            "spec.source.credentials.crypto.kmsKeyId",
            "remove `kmsKeyId`",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "crypto": { "kmsKeyId": KMS_KEY } } } }),
            "spec.source.credentials.crypto.type",
            "Required value",
        ),
        (
            object(),
            json!({ "source": { "credentials": { "crypto": { "type": "AES" } } } }),
            "spec.source.credentials.crypto.type",
            "Unsupported value",
        ),
        (
            object(),
            json!({ "destination": { "credentials": {
                "secretRef": { "name": "obs" }, "crypto": { "type": "KMS", "kmsKeyId": &KMS_KEY[1..] },
            }}}),
            "spec.destination.credentials.crypto.kmsKeyId",
            "at least 36",
        ),
        (
            behind(keyed("ALIYUN_OSS_A")),
            json!({ "source": { "cdn": { "crypto": { "type": "KMS", "kmsKeyId": format!("{KMS_KEY}0") } } } }),
            "spec.source.cdn.crypto.kmsKeyId",
            "36",
        ),
        // Notifications.
        (
            notifying(),
            json!({ "notification": { "topicUrn": null } }),
            "spec.notification.topicUrn",
            "Required",
        ),
        (
            notifying(),
            json!({ "notification": { "topicUrn": "migrations" } }),
            "spec.notification.topicUrn",
            "looks like urn:smn:",
        ),
        (
            notifying(),
            json!({ "notification": { "topicUrn": format!("urn:smn:r:p:{}", "n".repeat(1024)) } }),
            "spec.notification.topicUrn",
            "1024",
        ),
        (
            notifying(),
            json!({ "notification": { "triggers": null } }),
            "spec.notification.triggers",
            "Required",
        ),
        (
            notifying(),
            json!({ "notification": { "triggers": [] } }),
            "spec.notification.triggers",
            "at least 1 item",
        ),
        (
            notifying(),
            json!({ "notification": { "triggers": ["SUCCESS", "SUCCESS"] } }),
            "spec.notification.triggers[1]",
            "Duplicate value",
        ),
        (
            notifying(),
            json!({ "notification": { "triggers": ["FAIL"] } }),
            "spec.notification.triggers[0]",
            "Unsupported value",
        ),
        (
            notifying(),
            json!({ "notification": { "language": "de-de" } }),
            "spec.notification.language",
            "Unsupported value",
        ),
        (
            notifying(),
            json!({ "notification": { "template": "t".repeat(256) } }),
            "spec.notification.template",
            "255",
        ),
    ]
}

/// Manifests, and changes to them that the server accepts.
pub(crate) fn accepted() -> Vec<(Value, Value)> {
    vec![
        (behind(cdn("NONE")), json!({ "source": { "cdn": { "authenticationType": null } } })),
        (
            behind(cdn("NONE")),
            json!({ "source": { "cdn": { "domain": "127.0.0.1:8080", "protocol": "http" } } }),
        ),
        (behind(cdn("QINIU_PRIVATE_AUTHENTICATION")), json!({})),
        (behind(cdn("KSYUN_PRIVATE_AUTHENTICATION")), json!({})),
        (behind(keyed("ALIYUN_OSS_A")), json!({})),
        (
            behind(keyed("ALIYUN_OSS_B")),
            json!({ "source": { "cdn": { "authenticationKey": { "secretRef": { "key": "CDN_KEY" } } } } }),
        ),
        (
            behind(keyed("ALIYUN_OSS_C")),
            json!({ "source": { "cdn": { "crypto": { "type": "KMS", "kmsKeyId": KMS_KEY } } } }),
        ),
        // What the documents say nothing about is left to OMS.
        (behind(cdn("AZURE_SAS_TOKEN")), json!({})),
        (behind(keyed("AZURE_SAS_TOKEN")), json!({})),
        (behind(cdn("TENCENT_COS_A")), json!({})),
        (behind(keyed("TENCENT_COS_B")), json!({})),
        (behind(keyed("TENCENT_COS_C")), json!({})),
        (behind(keyed("TENCENT_COS_D")), json!({})),
        (
            object(),
            json!({
                "source": { "credentials": { "crypto": { "type": "DEFAULT" } } },
                "destination": { "credentials": {
                    "secretRef": { "name": "obs" }, "crypto": { "type": "KMS", "kmsKeyId": KMS_KEY },
                }},
            }),
        ),
        (notifying(), json!({})),
        (
            notifying(),
            json!({ "notification": { "triggers": ["FAILURE", "SUCCESS"], "language": "zh-cn", "template": "oms" } }),
        ),
    ]
}
