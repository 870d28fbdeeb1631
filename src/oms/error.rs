//! The one error of the client: what failed, whose move it is, and whether OMS may have acted.

use std::fmt;
use std::time::Duration;

use super::answer::{Refusal, Reported, Shape, clean, redact};
use super::codes::{self, Class};
use super::model::Fault;

/// Client errors that leave open whether the call took effect: OMS ran into its own time limit or an inner call of it
/// failed (documented with 400 and 403, OMS API reference 8.2).
const AMBIGUOUS: [&str; 2] = ["OMS.0184", "OMS.0208"];

/// Whether OMS may have acted on a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Provably never sent: no connection, name not resolved, TLS refused, no permit in time.
    NotSent,
    /// Sent, outcome not known: no answer in time, connection cut, 5xx, an answer that is not OMS's.
    Unknown,
    /// OMS or its gateway refused it for good; nothing happened.
    Answered,
}

/// A call that did not work. Prints a message that is stable from one occurrence to the next and holds no secret: keys of
/// the request and of the caller are taken out even if the answer repeats them.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    operation: &'static str,
    summary: String,
    class: Class,
    delivery: Delivery,
    code: Option<String>,
    status: Option<u16>,
    message: String,
    detail: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    remedy: Option<&'static str>,
    not_found: bool,
    /// The parameter at fault, when we found it ourselves.
    field: Option<&'static str>,
    no_credentials: bool,
    untrusted: bool,
}

impl Error {
    /// Whose move it is.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Whether nothing was sent because no known authority vouches for the certificate of the host.
    pub fn is_about_trust(&self) -> bool {
        self.0.untrusted
    }

    /// Name of the operation, as in the API reference (`CreateTask`).
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Error code of OMS or of its gateway, if the answer had one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// HTTP status, if there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        self.0.status
    }

    /// OMS's own words, of bounded length, without control characters; our own when OMS said nothing.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The undocumented `error_detail`, which names the parameter at fault.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// ID under which Huawei's support finds the call.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long to wait at least before the next call, if the answer said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What to do about it, from the error table.
    pub fn remedy(&self) -> Option<&'static str> {
        self.0.remedy
    }

    /// Whether OMS may have acted on the request.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Whether OMS said that the task is not there: `OMS.1009`, `S3M.1009`, or a 404 of OMS itself. A 404 of a gateway or
    /// of a web server that is not OMS says nothing about the task, and neither do codes that also mean "no permission".
    pub fn is_not_found(&self) -> bool {
        self.0.not_found
    }

    /// Whether the call was not made for want of credentials: their source gave none, or refused. The class is about the
    /// source then, and says nothing about OMS.
    pub fn lacks_credentials(&self) -> bool {
        self.0.no_credentials
    }

    /// Name of the request parameter at fault: found before the request was sent, or from the brackets in OMS's text
    /// (`request parameter [description] invalid`).
    pub fn field(&self) -> Option<&str> {
        if self.0.field.is_some() {
            return self.0.field;
        }
        let bracketed = |text: &'_ str| -> Option<(usize, usize)> {
            let start = text.find('[')? + 1;
            let end = start + text.get(start..)?.find(']')?;
            let name = text.get(start..end)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            (!name.is_empty() && name.chars().all(plain)).then_some((start, end))
        };
        let texts = [self.detail(), Some(self.message())];
        texts
            .into_iter()
            .flatten()
            .find_map(|text| bracketed(text).and_then(|(start, end)| text.get(start..end)))
    }

    /// Whether a gateway refused the call for coming too often.
    pub(super) fn is_rate_limit(&self) -> bool {
        let by_code = self.class() == Class::Throttled && self.code().is_some_and(codes::is_gateway);
        self.http_status() == Some(429) || by_code
    }

    /// An answer with an error status, or a 2xx whose body is an error.
    pub(super) fn from_answer(answer: &Refusal<'_>) -> Self {
        let (operation, status) = (answer.operation, answer.status);
        let shape = Shape::of(answer.body, answer.content_type);
        if matches!(shape, Shape::Html) {
            return Self::html(answer);
        }
        let reported = match &shape {
            Shape::Json(value) => Reported::find(value).unwrap_or_default(),
            Shape::Text => {
                Reported { message: String::from_utf8_lossy(answer.body).into_owned(), ..Reported::default() }
            }
            Shape::Html | Shape::Empty => Reported::default(),
        };
        let entry = reported.code.as_deref().and_then(|code| codes::lookup_with_status(code, status));
        let is_code = |wanted: &[&str]| reported.code.as_deref().is_some_and(|code| wanted.contains(&code));
        let class = match entry {
            _ if status == 429 => Class::Throttled,
            Some(entry) => entry.class,
            None => class_of_status(status, &shape),
        };
        let delivery = match status {
            400..=499 if status != 408 && !is_code(&AMBIGUOUS) => Delivery::Answered,
            _ => Delivery::Unknown,
        };
        // A 404 counts only in a shape that OMS answers with: its own error body or none at all.
        let from_oms = match &reported.code {
            Some(code) => {
                !codes::is_gateway(code) && entry.is_none_or(|entry| entry.class == Class::NotFound)
            }
            None => {
                matches!(shape, Shape::Empty)
                    || (matches!(shape, Shape::Json(_)) && !reported.message.is_empty())
            }
        };
        let not_found = is_code(&["OMS.1009", "S3M.1009"]) || (status == 404 && from_oms);
        let message = clean(&redact(&reported.message, answer.secrets));
        let detail =
            reported.detail.map(|text| clean(&redact(&text, answer.secrets))).filter(|text| !text.is_empty());
        let code = reported.code.map(|code| clean(&redact(&code, answer.secrets)));
        let message = match (message.is_empty(), entry) {
            (false, _) => message,
            (true, Some(entry)) => entry.meaning.clone(),
            (true, None) => format!("HTTP status {status} without an explanation"),
        };
        let said = message.trim_end_matches('.');
        let service = service(operation);
        let told = match &code {
            Some(code) => format!("{service} answered `{code}`: {said}"),
            None => format!("{service} answered with HTTP status {status}: {said}"),
        };
        let summary = match &detail {
            Some(detail) => format!("{told} ({})", detail.trim_end_matches('.')),
            None => told,
        };
        let request_id = answer.request_id.map(str::to_owned).or(reported.request_id).map(|id| clean(&id));
        Self(Box::new(Inner {
            operation,
            summary,
            class: if not_found { Class::NotFound } else { class },
            delivery,
            code,
            status: Some(status),
            message,
            detail,
            request_id,
            retry_after: answer.retry_after,
            remedy: entry.map(|entry| entry.remedy.as_str()),
            not_found,
            field: None,
            no_credentials: false,
            untrusted: false,
        }))
    }

    /// A web page where JSON was expected.
    fn html(answer: &Refusal<'_>) -> Self {
        let (host, service) = (answer.host, service(answer.operation));
        let asked = match service {
            "IAM" => "is `iamEndpoint` really IAM?".to_owned(),
            "OMS" => "is `endpoint` really OMS?".to_owned(),
            other => format!("is that really {}?", other.replace("The ", "the ")),
        };
        let summary = format!("`{host}` answered with HTML instead of JSON: {asked}");
        let class = if answer.status >= 500 { Class::Transient } else { Class::Unknown };
        let remedy = "Check the endpoint of the connection, and any proxy on the way to it";
        Self::ours(answer.operation, summary, class, Delivery::Unknown, Some(remedy)).with_answer(answer)
    }

    /// A 2xx whose body is not what the operation answers.
    pub(super) fn unexpected(answer: &Refusal<'_>, what: &str) -> Self {
        let (host, service) = (answer.host, service(answer.operation));
        let summary = format!("`{host}` did not answer as {service} does: {what}");
        let remedy = "Check the endpoint of the connection";
        Self::ours(answer.operation, summary, Class::Unknown, Delivery::Unknown, Some(remedy))
            .with_answer(answer)
    }

    /// A redirect. It is not followed: the signature belongs to one host.
    pub(super) fn redirect(answer: &Refusal<'_>) -> Self {
        let summary = format!("`{}` answered with a redirect, which is never followed", answer.host);
        let remedy = "Set the endpoint of the connection to the address that answers by itself";
        Self::ours(answer.operation, summary, Class::Unknown, Delivery::Unknown, Some(remedy))
            .with_answer(answer)
    }

    /// A failure without an answer, in our own words.
    pub(super) fn ours(
        operation: &'static str,
        summary: impl Into<String>,
        class: Class,
        delivery: Delivery,
        remedy: Option<&'static str>,
    ) -> Self {
        let summary = summary.into();
        Self(Box::new(Inner {
            operation,
            message: summary.clone(),
            summary,
            class,
            delivery,
            code: None,
            status: None,
            detail: None,
            request_id: None,
            retry_after: None,
            remedy,
            not_found: false,
            field: None,
            no_credentials: false,
            untrusted: false,
        }))
    }

    /// The same of a host whose certificate nobody vouches for.
    pub(super) fn of_untrusted_host(mut self) -> Self {
        self.0.untrusted = true;
        self
    }

    /// A request that is not sent, because OMS would take it for something else than was meant.
    pub(super) fn unsent(operation: &'static str, fault: &Fault) -> Self {
        let summary = format!("`{}` {}", fault.field, fault.why);
        let mut error = Self::ours(operation, summary, Class::Invalid, Delivery::NotSent, None);
        error.0.field = Some(fault.field);
        error
    }

    /// The same, said by a source of credentials: the call itself was not made, and nothing is known about its object.
    pub(super) fn without_credentials(mut self, remedy: Option<&'static str>) -> Self {
        let inner = &mut self.0;
        inner.no_credentials = true;
        inner.not_found = false;
        inner.delivery = Delivery::NotSent;
        if inner.class == Class::NotFound {
            inner.class = Class::Missing;
        }
        inner.remedy = remedy.or(inner.remedy);
        // Who said it matters here, as it was not OMS.
        inner.message.clone_from(&inner.summary);
        inner.detail = None;
        self
    }

    /// Settings no client can be made of.
    pub(super) fn settings(what: impl Into<String>) -> Self {
        Self::ours("Settings", what, Class::Invalid, Delivery::NotSent, None)
    }

    /// Sets how long to wait before the next call.
    pub(super) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    fn with_answer(mut self, answer: &Refusal<'_>) -> Self {
        self.0.status = Some(answer.status);
        self.0.request_id = answer.request_id.map(clean);
        self.0.retry_after = answer.retry_after;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.summary)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}

/// Who answers an operation.
fn service(operation: &str) -> &'static str {
    match operation {
        "AssumeAgencyWithOIDC" => "STS",
        "GetPodIdentityCredentials" => "The pod identity agent",
        "GetMetadataToken" | "GetSecurityKey" | "GetServerMetadata" => "The metadata service",
        // IAM's operations carry the name of the standard they follow.
        _ if operation.starts_with("Keystone") => "IAM",
        _ => "OMS",
    }
}

/// For codes that are in no table (OMS API reference 8.1). Never `NotFound`: that is decided by shape.
fn class_of_status(status: u16, shape: &Shape) -> Class {
    match status {
        401 => Class::Credential,
        403 => Class::Permission,
        413 if matches!(shape, Shape::Json(_)) => Class::Invalid,
        408 | 500..=599 => Class::Transient,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Error {
        answer_with(status, body, &[])
    }

    fn answer_with(status: u16, body: &str, secrets: &[&str]) -> Error {
        let refusal = Refusal {
            operation: "CreateTask",
            host: "oms.example.test",
            status,
            content_type: None,
            request_id: Some("req-1"),
            retry_after: None,
            body: body.as_bytes(),
            secrets,
        };
        Error::from_answer(&refusal)
    }

    #[test]
    fn a_refusal_as_the_live_service_sends_it_names_the_field() {
        let error = answer(
            400,
            r#"{"error_code":"OMS.0064","error_msg":"Invalid request parameters.","error_detail":"request parameter [description] invalid."}"#,
        );
        assert_eq!(error.class(), Class::Invalid);
        assert_eq!(error.code(), Some("OMS.0064"));
        assert_eq!(error.field(), Some("description"));
        assert_eq!(error.delivery(), Delivery::Answered);
        assert_eq!(error.request_id(), Some("req-1"));
        assert!(error.remedy().is_some());
        assert_eq!(
            error.to_string(),
            "OMS answered `OMS.0064`: Invalid request parameters (request parameter [description] invalid)"
        );
    }

    #[test]
    fn every_shape_of_error_body_is_understood() {
        for body in [
            r#"{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information","request_id":"r"}"#,
            r#"{"errorCode":"APIGW.0301","errorMsg":"Incorrect IAM authentication information"}"#,
            r#"{"code":"APIG.0301","message":"Incorrect IAM authentication information"}"#,
            r#"{"error":{"code":"APIGW.0301","message":"Incorrect IAM authentication information"}}"#,
        ] {
            let error = answer(401, body);
            assert_eq!(error.class(), Class::Credential, "{body}");
            assert_eq!(error.message(), "Incorrect IAM authentication information");
            assert!(error.code().unwrap().ends_with(".0301"));
        }
        let iam = answer(
            401,
            r#"{"error":{"code":401,"message":"The username is wrong.","title":"Unauthorized"}}"#,
        );
        assert_eq!((iam.class(), iam.code()), (Class::Credential, None));
        assert_eq!(iam.to_string(), "OMS answered with HTTP status 401: The username is wrong");
    }

    #[test]
    fn a_task_is_gone_only_when_oms_itself_says_so() {
        assert!(answer(400, r#"{"error_code":"OMS.1009","error_msg":"Resource not found."}"#).is_not_found());
        assert!(answer(404, r#"{"error_code":"OMS.1009","error_msg":"x"}"#).is_not_found());
        assert!(answer(404, r#"{"error_code":"OMS.4711","error_msg":"x"}"#).is_not_found());
        assert!(answer(404, r#"{"error_msg":"x"}"#).is_not_found());
        let bare = answer(404, "");
        assert!(bare.is_not_found());
        assert_eq!(bare.class(), Class::NotFound);
        for (status, body) in [
            (404, r#"{"error_code":"APIGW.0101","error_msg":"The API does not exist"}"#),
            (404, r#"{"error_code":"APIG.0101","error_msg":"The API does not exist"}"#),
            (404, r#"{"error_code":"S3M.0256","error_msg":"No such version"}"#),
            (404, r#"{"timestamp":1,"status":404,"error":"Not Found","path":"/v2"}"#),
            (404, "<html><body>404 Not Found</body></html>"),
            (404, "404 page not found"),
            (400, r#"{"error_code":"OMS.0095","error_msg":"x"}"#),
            (400, r#"{"error_code":"OMS.0054","error_msg":"x"}"#),
            (403, r#"{"error_code":"S3M.0054","error_msg":"x"}"#),
            (500, r#"{"error_code":"OMS.1001","error_msg":"x"}"#),
        ] {
            let error = answer(status, body);
            assert!(!error.is_not_found(), "{status} {body}");
            assert_ne!(error.class(), Class::NotFound, "{status} {body}");
        }
    }

    #[test]
    fn a_web_page_is_told_as_one() {
        let page = answer(200, "<!DOCTYPE html><html>login</html>");
        assert_eq!(
            page.to_string(),
            "`oms.example.test` answered with HTML instead of JSON: is `endpoint` really OMS?"
        );
        assert_eq!((page.class(), page.delivery()), (Class::Unknown, Delivery::Unknown));
        assert_eq!(answer(502, "<html>bad gateway</html>").class(), Class::Transient);
    }

    #[test]
    fn only_definitive_refusals_are_answered() {
        let delivery = |status, code: &str| {
            answer(status, &format!(r#"{{"error_code":"{code}","error_msg":"x"}}"#)).delivery()
        };
        assert_eq!(delivery(400, "OMS.0077"), Delivery::Answered);
        assert_eq!(delivery(429, "APIGW.0308"), Delivery::Answered);
        assert_eq!(delivery(401, "APIGW.0301"), Delivery::Answered);
        assert_eq!(delivery(400, "OMS.0184"), Delivery::Unknown);
        assert_eq!(delivery(403, "OMS.0208"), Delivery::Unknown);
        assert_eq!(delivery(500, "OMS.1001"), Delivery::Unknown);
        assert_eq!(delivery(503, "OMS.2004"), Delivery::Unknown);
        assert_eq!(delivery(408, "X"), Delivery::Unknown);
        assert_eq!(delivery(200, "OMS.0064"), Delivery::Unknown);
    }

    #[test]
    fn an_unknown_code_goes_by_its_status() {
        let class = |status| answer(status, r#"{"error_code":"NEW.1","error_msg":"x"}"#).class();
        assert_eq!(class(400), Class::Unknown);
        assert_eq!(class(401), Class::Credential);
        assert_eq!(class(403), Class::Permission);
        assert_eq!(class(413), Class::Invalid);
        assert_eq!(class(429), Class::Throttled);
        assert_eq!(class(503), Class::Transient);
    }

    #[test]
    fn a_refused_permission_is_not_told_as_wrong_keys() {
        assert_eq!(
            answer(401, r#"{"error_code":"S3M.0205","error_msg":"Read only"}"#).class(),
            Class::Permission
        );
        assert_eq!(answer(403, r#"{"error_code":"OMS.0095","error_msg":"x"}"#).class(), Class::Permission);
    }

    #[test]
    fn secrets_that_come_back_are_taken_out() {
        let error = answer_with(
            400,
            r#"{"error_code":"OMS.0064","error_msg":"bad planted-sk-1","error_detail":"ak planted-ak-1\nline planted-key-line"}"#,
            &["planted-ak-1", "planted-sk-1", "{\n  planted-key-line\n}"],
        );
        for text in [error.to_string(), format!("{error:?}"), error.message().to_owned()] {
            assert!(!text.contains("planted"), "{text}");
        }
        assert!(error.message().contains("***"));
    }

    #[test]
    fn texts_are_one_bounded_line() {
        let error = answer(
            400,
            &format!(r#"{{"error_code":"OMS.0064","error_msg":"a\n\tb\u0007 {}"}}"#, "x".repeat(9000)),
        );
        assert!(error.message().starts_with("a b x"));
        assert!(error.message().chars().count() <= 513);
        assert!(!error.message().contains(char::is_control));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_can_panic(status in 100_u16..1000, body: Vec<u8>, kind: Option<String>) {
            let refusal = Refusal {
                operation: "ShowTask", host: "h", status, content_type: kind.as_deref(), request_id: None, retry_after: None,
                body: &body, secrets: &["secret"],
            };
            let error = Error::from_answer(&refusal);
            let _ = (error.to_string(), error.field().map(str::len), error.is_not_found());
        }

        #[test]
        fn no_text_can_panic(text: String) {
            let error = answer(400, &serde_json::json!({"error_code": text, "error_msg": text, "error_detail": text}).to_string());
            let _ = (error.to_string(), error.field().map(str::len));
            proptest::prop_assert!(!error.to_string().contains(char::is_control));
        }
    }
}
