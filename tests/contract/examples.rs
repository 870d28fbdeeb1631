//! The examples of the API reference.

use serde_json::Value;

use super::documents;

/// An example, as it is printed.
#[derive(Clone, Debug)]
pub struct Example {
    /// Operation, by its name in the API reference.
    pub operation: String,
    /// What tells it from others of the operation; empty for the printed line of a request without a body.
    pub name: String,
    /// The printed request or answer.
    pub what: What,
    /// Why the example does not fit the tables of its own chapter.
    pub deviates: Option<String>,
}

/// A request or an answer.
#[derive(Clone, Debug)]
pub enum What {
    /// A request.
    Request {
        /// HTTP method.
        method: String,
        /// Path; `{project_id}` where none is printed.
        path: String,
        /// Query without the question mark.
        query: String,
        /// Body, where there is one.
        body: Option<Value>,
    },
    /// An answer.
    Response {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Value,
    },
}

impl Example {
    /// Every example in `examples/`.
    pub fn all() -> Vec<Self> {
        documents("examples")
            .into_iter()
            .flat_map(|(file, document)| {
                let examples = document.as_array().unwrap_or_else(|| panic!("{}", file.display())).clone();
                examples.into_iter().map(|example| Self::read(&example))
            })
            .collect()
    }

    fn read(example: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let what = if let Some(request) = example.get("request") {
            What::Request {
                method: text(&request["method"]),
                path: text(&request["path"]),
                query: text(&request["query"]),
                body: request.get("body").cloned(),
            }
        } else {
            let response = &example["response"];
            let status = response["status"].as_u64().and_then(|status| status.try_into().ok());
            What::Response { status: status.expect("a status"), body: response["body"].clone() }
        };
        Self {
            operation: text(&example["operation"]),
            name: text(&example["name"]),
            what,
            deviates: example.get("deviates").map(text),
        }
    }

    /// How a message names it.
    pub fn title(&self) -> String {
        format!("{} {}", self.operation, if self.name.is_empty() { "(line)" } else { &self.name })
    }
}
