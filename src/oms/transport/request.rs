//! The request of a call: address, headers, signature or token, body; and how long an answer asks to wait with the next.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Call, Transport};
use crate::oms::codes::Class;
use crate::oms::error::{Delivery, Error};
use crate::oms::identity::{Held, Keys, Proof};
use crate::oms::model::Body;
use crate::oms::sign::{self, Signable};

/// Longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

impl Transport {
    /// The request, signed with the time of now, or with a token.
    pub(super) fn request(&self, call: &Call<'_>, held: &Held) -> Result<reqwest::Request, Error> {
        let refuse = |what: &str| Error::ours(call.operation, what, Class::Invalid, Delivery::NotSent, None);
        let mut url = self.base.clone();
        // The base address may have a path of its own.
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        let query = sign::query(call.query.iter().map(|(name, value)| (*name, value.as_str())));
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        let body = call.body.as_ref().map(|body| body.as_slice()).unwrap_or_default();
        let content_type =
            if body.is_empty() { "application/json" } else { "application/json;charset=UTF-8" };
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();

        let mut named = vec![("content-type", content_type)];
        if !self.project_id.is_empty() {
            named.push(("x-project-id", &self.project_id));
        }
        let authorization = match &held.proof {
            Proof::Token(token) => {
                named.push(("x-auth-token", token.expose_secret()));
                None
            }
            Proof::Keys(Keys { access_key, secret_key, security_token }) => {
                named.push((sign::DATE_HEADER, &date));
                if let Some(token) = security_token {
                    named.push(("x-security-token", token.expose_secret()));
                }
                // The HTTP library sets the host, in the form that is signed here.
                let signed: Vec<_> = named.iter().copied().chain([("host", self.host.as_str())]).collect();
                let signable = Signable {
                    method: call.method.as_str(),
                    path: url.path(),
                    query: url.query().unwrap_or_default(),
                    headers: &signed,
                    body,
                };
                Some(sign::authorization(&signable, access_key, secret_key, &date))
            }
        };

        let mut headers = HeaderMap::new();
        for (name, value) in named {
            let value = header_value(value, name.ends_with("-token"))
                .ok_or_else(|| refuse("The project ID or a token has characters no header can carry"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(authorization) = authorization {
            let authorization = header_value(&authorization, true)
                .ok_or_else(|| refuse("The access key has characters no header can carry"))?;
            headers.insert(header::AUTHORIZATION, authorization);
        }

        let mut request = reqwest::Request::new(call.method.clone(), url);
        *request.headers_mut() = headers;
        if !body.is_empty() {
            // Copied into memory that is wiped as well.
            *request.body_mut() = Some(Bytes::from_owner(Body::new(body.to_vec())).into());
        }
        Ok(request)
    }
}

/// Everything of a call that must stay out of errors.
pub(super) fn secrets<'a>(call: &'a Call<'_>, held: &'a Held) -> Vec<&'a str> {
    let exposed = |secret: &'a SecretString| secret.expose_secret();
    let mut secrets: Vec<&str> = match &held.proof {
        Proof::Token(token) => vec![exposed(token)],
        Proof::Keys(keys) => {
            let mut own = vec![exposed(&keys.secret_key)];
            own.extend(keys.security_token.as_ref().map(exposed));
            own
        }
    };
    secrets.extend(call.secrets.iter().map(|secret| secret.expose_secret()));
    if let Proof::Keys(keys) = &held.proof {
        secrets.push(&keys.access_key);
    }
    secrets
}

fn header_value(text: &str, sensitive: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(sensitive);
    Some(value)
}

/// Seconds or an HTTP date.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    let wait = if let Ok(seconds) = text.trim().parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Duration::try_from(at.timestamp().duration_since(jiff::Timestamp::now())).ok()?
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::oms::budget::{Budget, Urgency};
    use crate::oms::identity::Credentials;
    use crate::oms::settings::Settings;
    use crate::oms::transport::Effect;

    #[tokio::test]
    async fn host_and_base_path_are_signed_as_sent() {
        let settings = Settings::new("http://127.0.0.1:8080/oms/", "p");
        let transport = Transport::new(
            settings,
            Credentials::keys("AK", "SK".into(), Some("TOKEN".into())),
            Budget::new(1.0),
        )
        .unwrap();
        assert_eq!(transport.host, "127.0.0.1:8080");
        assert_eq!(transport.endpoint(), "http://127.0.0.1:8080/oms");
        let call = Call {
            operation: "ListTasks",
            method: Method::GET,
            path: "/v2/p/tasks".into(),
            query: vec![("task_name", "a b".into()), ("limit", "10".into())],
            body: None,
            urgency: Urgency::Poll,
            secrets: Vec::new(),
            effect: Effect::Look,
        };
        let held = transport.credentials.current().await.unwrap();
        let request = transport.request(&call, &held).unwrap();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:8080/oms/v2/p/tasks?limit=10&task_name=a%20b");
        let names = "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token,";
        assert!(request.headers()[header::AUTHORIZATION].to_str().unwrap().contains(names));
        assert_eq!(request.headers()["x-security-token"], "TOKEN");
        assert_eq!(request.headers()["x-project-id"], "p");
        // The address without the scheme's own port is what travels as host.
        let own = Transport::new(
            Settings::new("https://oms.example.test:443", "p"),
            Credentials::keys("AK", "SK".into(), None),
            Budget::new(1.0),
        );
        assert_eq!(own.unwrap().host, "oms.example.test");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("99999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("Fri, 01 Jan 2100 00:00:00 GMT"), Some(LONGEST_RETRY_AFTER));
    }
}
