//! Who keeps the operator's hands off an object, and the words for it, of whatever kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api;

/// Who asked for hands off, beside the object itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The label of the namespace.
    Namespace(String),
    /// The operator runs with `--paused`.
    Operator,
}

/// The words for the pause of an object; `None`: it is not paused.
pub(super) fn words(meta: &ObjectMeta, pause: Option<&Pause>) -> Option<String> {
    let annotation = meta.annotations.as_ref().and_then(|annotations| annotations.get(api::PAUSED));
    match pause {
        Some(Pause::Operator) => Some(
            "The operator runs with `--paused` and keeps its hands off, except for deletions. Its administrator starts it without"
                .to_owned(),
        ),
        Some(Pause::Namespace(name)) => Some(format!(
            "Namespace `{name}` has the label `{}`: the operator keeps its hands off, except for deletions. Remove the label to go on",
            api::PAUSED_NAMESPACE
        )),
        None if annotation.is_some_and(|value| value == "true") => Some(format!(
            "The object has the annotation `{}`: the operator keeps its hands off, except for a deletion. Remove it to go on",
            api::PAUSED
        )),
        None => None,
    }
}
