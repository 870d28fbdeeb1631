//! Any JSON, as deep as a confused server might nest it.

use proptest::prelude::*;
use serde_json::{Value, json};

pub(in crate::oms) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("1e999")),
        Just(json!("NaN")),
        Just(json!("-0")),
        Just(json!(f64::MAX)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,12}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}
