//! The client: one method per operation of the API, named after it.

mod buckets;
mod catalogue;
mod groups;
mod legacy;
mod sync;
mod tasks;

use std::fmt;
use std::sync::Arc;

use http::Method;
use secrecy::SecretString;

use super::budget::{Budget, Urgency};
use super::error::Error;
use super::identity::Credentials;
use super::model::{Body, Checked, Reply};
use super::settings::Settings;
use super::sign;
use super::transport::{Call, Effect, Transport};

/// A client of OMS for one endpoint, project and identity. Cloning it is cheap and shares connections and budget.
///
/// Every operation of the API is a method, named after it. A request that OMS would take for something else than was meant
/// is not sent: the error is [`super::Class::Invalid`] and [`Error::field`] names the member.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A client; nothing is sent yet. Fails when the endpoint is no address or the CA bundle holds no certificate.
    pub fn new(settings: Settings, credentials: Credentials, budget: Budget) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(settings, credentials, budget)?) })
    }

    /// Project in the paths of this client.
    pub fn project_id(&self) -> &str {
        self.transport.project_id()
    }

    /// Base address, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        self.transport.endpoint()
    }

    /// A path below the project.
    fn below_project(&self, segments: &[&str]) -> String {
        path(&[&["v2", self.project_id()], segments].concat())
    }

    /// Makes a call and reads its answer.
    async fn fetch<T: Reply>(&self, call: Call<'_>) -> Result<T, Error> {
        self.transport.fetch(call, T::from_wire).await
    }
}

/// A path from the root of the endpoint, every segment encoded.
fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| path + "/" + &sign::encode(segment))
}

/// A call without parameters and body.
fn call(operation: &'static str, method: Method, path: String, urgency: Urgency) -> Call<'static> {
    Call {
        operation,
        method,
        path,
        query: Vec::new(),
        body: None,
        urgency,
        secrets: Vec::new(),
        effect: Effect::Look,
    }
}

impl<'a> Call<'a> {
    /// With parameters.
    fn with_query(self, query: Vec<(&'static str, String)>) -> Self {
        Self { query, ..self }
    }

    /// That is meant to change what has this ID.
    fn changing(self, id: impl Into<String>) -> Self {
        Self { effect: Effect::Change(Some(id.into())), ..self }
    }

    /// That is meant to make something; its ID is this member of the answer.
    fn making(self, member: &'static str) -> Self {
        Self { effect: Effect::Make(member), ..self }
    }

    /// With a body that holds no keys.
    fn with_body(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With a body and the keys in it.
    fn with_keys(self, body: Body, secrets: Vec<&'a SecretString>) -> Self {
        Self { body: Some(body), secrets, ..self }
    }
}

/// An error for a request that must not be sent.
fn checked(operation: &'static str, checked: Checked) -> Result<(), Error> {
    checked.map_err(|fault| Error::unsent(operation, &fault))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint())
            .field("project_id", &self.project_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
