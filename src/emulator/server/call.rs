//! One call on its way through the gateway: faults, the check of who calls, the answer, the journal.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes, HttpBody as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;

use super::{
    Exchange, body,
    gateway::{Cut, Gateway},
};
use crate::emulator::{
    faults::{Fault, FaultKind, Struck, one_earlier},
    journal::Entry,
    operations::{self, Done},
    route::{Access, Route},
    service::{Service, random},
    signature::Signed,
    wire::refusal::{HEADERS_TOO_LARGE, NO_SUCH_API, Refusal, Shape},
};

/// A signed body may be as long as this (OMS API reference 3.2).
const LONGEST_BODY: usize = 12 * 1024 * 1024;
/// A body of a call that everybody may make is no longer than this, as Keystone has it.
const LONGEST_OPEN_BODY: usize = 112 * 1024;
/// The names and values of all headers together. A token may have 16384 characters of it.
const LONGEST_HEADERS: usize = 32 * 1024;

/// A call on its way through the gateway.
pub(super) struct Call<'a> {
    gateway: &'a Gateway,
    method: Method,
    uri: Uri,
    body: Bytes,
    request_id: String,
    begun: Instant,
    at: jiff::Timestamp,
    route: Option<Route>,
    fault: Option<Fault>,
    struck: Option<Struck>,
}

/// What is about to be answered.
struct Answer {
    status: u16,
    content_type: Option<&'static str>,
    body: Bytes,
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    fn json(status: u16, body: String) -> Self {
        Self { content_type: Some("application/json"), body: Bytes::from(body), ..Self::empty(status) }
    }

    fn text(status: u16, text: &str) -> Self {
        Self { content_type: Some("text/plain"), body: Bytes::from(text.to_owned()), ..Self::empty(status) }
    }

    /// What a call that was carried out says.
    fn done(done: &Done) -> Self {
        let status = done.status.unwrap_or(200);
        let answer = match (&done.body, &done.text) {
            (Some(body), _) => Self::json(status, body.clone()),
            (None, Some(text)) => Self::text(status, text),
            (None, None) => Self::empty(status),
        };
        Self { headers: done.headers.clone(), ..answer }
    }

    /// The actions return nothing at all.
    fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Bytes::new(), retry_after: None, headers: Vec::new() }
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(gateway: &'a Gateway, request: &Request<Incoming>) -> Self {
        Self {
            gateway,
            method: request.method().clone(),
            uri: request.uri().clone(),
            body: Bytes::new(),
            request_id: format!("{:016x}{:016x}", random(), random()),
            begun: Instant::now(),
            at: gateway.service.clock.now(),
            route: Route::of(gateway.door, request.method(), request.uri().path()),
            fault: None,
            struck: None,
        }
    }

    pub(super) async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        if let Some(route) = &self.route {
            self.struck = self.service().faults.strike(
                route.operation.name(),
                route.project.as_deref(),
                route.target.as_deref(),
            );
            self.fault = self.struck.as_ref().map(|struck| struck.fault.clone());
        }
        if let Some(fault) = self.fault.clone().filter(|fault| !strikes_after(fault))
            && let Some(result) = self.strike(&fault).await
        {
            return result;
        }
        let result = self.carry_out(request).await.map(|done| self.rewritten(done));
        if let Some(fault) = self.fault.clone().filter(strikes_after) {
            return self.strike_after(&fault, result).await;
        }
        let answer = match &result {
            Ok(done) => Answer::done(done),
            Err(refusal) => self.refusal(refusal),
        };
        let outcome = result.as_ref().map_or_else(|refusal| refusal.code.to_string(), |_| "ok".to_owned());
        self.note(Some(answer.status), outcome, result.ok().as_ref());
        Ok(self.respond(answer, self.fault.is_some()))
    }

    /// What a fault makes of a good answer.
    fn rewritten(&self, mut done: Done) -> Done {
        if let Some(struck) = self.struck.as_ref().filter(|struck| struck.fault.rewrites()) {
            let call = self.uri.to_string();
            done.body = done.body.map(|body| match serde_json::from_str(&body) {
                Ok(read) => self.service().faults.rewrite(struck, &call, read).to_string(),
                Err(_) => body,
            });
        }
        done
    }

    /// Reads the request, lets the gateway check it and OMS carry it out.
    async fn carry_out(&mut self, request: Request<Incoming>) -> Result<Done, Refusal> {
        let Some(route) = &self.route else {
            let (parts, body) = request.into_parts();
            body::discard(body, &parts.headers);
            return Err(NO_SUCH_API);
        };
        let (parts, mut body) = request.into_parts();
        let longest = match route.operation.access() {
            Access::Signed => LONGEST_BODY,
            Access::Open | Access::Node => LONGEST_OPEN_BODY,
        };
        let read = match self.check_head(route, &parts.headers, body.is_end_stream()) {
            Ok(()) => self.gateway.read_body(&mut body, longest).await,
            Err(refusal) => Err(refusal),
        };
        // The room that the body takes is kept until the call is carried out.
        let whole = match read {
            Ok(whole) => whole,
            Err(refusal) => {
                body::discard(body, &parts.headers);
                return Err(refusal);
            }
        };
        self.body = whole.bytes.clone();
        let (query, body) = (parts.uri.query().unwrap_or_default(), &*self.body);
        let signed =
            Signed { method: &parts.method, path: parts.uri.path(), query, headers: &parts.headers, body };
        let caller = match route.operation.access() {
            Access::Signed => {
                Some(self.service().authenticate(route.operation, signed, route.project.as_deref())?)
            }
            Access::Open | Access::Node => None,
        };
        let (caller, headers) = (caller.as_ref(), &parts.headers);
        let overlaps = self.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::OverlappingPages);
        let earlier = overlaps.then(|| one_earlier(query));
        let query = earlier.as_deref().unwrap_or(query);
        self.service().carry_out(operations::Request { route, caller, headers, query, body }).await
    }

    /// What can be checked before the body is read.
    fn check_head(&self, route: &Route, headers: &HeaderMap, is_bodyless: bool) -> Result<(), Refusal> {
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length > LONGEST_HEADERS {
            return Err(HEADERS_TOO_LARGE);
        }
        if route.operation.access() == Access::Signed && !is_bodyless {
            self.service().check_head(headers)?;
        }
        Ok(())
    }

    fn service(&self) -> &'a Arc<Service> {
        &self.gateway.service
    }

    /// A fault before the call is carried out. `None`: go on.
    async fn strike(&self, fault: &Fault) -> Option<Result<Response<Body>, Cut>> {
        match fault.kind {
            FaultKind::TaskStatus
            | FaultKind::TaskMembers
            | FaultKind::StaleList
            | FaultKind::OverlappingPages
            | FaultKind::FailTask => None,
            FaultKind::Delay => {
                self.wait(fault).await;
                None
            }
            FaultKind::Hang => {
                self.note(None, "hang".to_owned(), None);
                self.service().stopping.cancelled().await;
                Some(Err(Cut))
            }
            FaultKind::CutBefore | FaultKind::LostReply => {
                self.note(None, "cut".to_owned(), None);
                Some(Err(Cut))
            }
            FaultKind::Status | FaultKind::Html | FaultKind::Throttle => {
                let (answer, outcome) = self.faulty_answer(fault);
                self.note(Some(answer.status), outcome, None);
                Some(Ok(self.respond(answer, true)))
            }
        }
    }

    /// A fault after the call was carried out.
    async fn strike_after(
        &self,
        fault: &Fault,
        result: Result<Done, Refusal>,
    ) -> Result<Response<Body>, Cut> {
        let code = result.as_ref().map_or_else(|refusal| refusal.code.to_string(), |_| "ok".to_owned());
        let done = result.as_ref().ok();
        match fault.kind {
            FaultKind::LostReply | FaultKind::CutBefore => {
                self.note(None, code, done);
                Err(Cut)
            }
            FaultKind::Hang => {
                self.note(None, code, done);
                self.service().stopping.cancelled().await;
                Err(Cut)
            }
            FaultKind::Delay
            | FaultKind::TaskStatus
            | FaultKind::TaskMembers
            | FaultKind::StaleList
            | FaultKind::OverlappingPages
            | FaultKind::FailTask => {
                self.wait(fault).await;
                let answer = match &result {
                    Ok(done) => Answer::done(done),
                    Err(refusal) => self.refusal(refusal),
                };
                self.note(Some(answer.status), code, done);
                Ok(self.respond(answer, false))
            }
            FaultKind::Status | FaultKind::Html | FaultKind::Throttle => {
                let (answer, outcome) = self.faulty_answer(fault);
                self.note(Some(answer.status), outcome, done);
                Ok(self.respond(answer, true))
            }
        }
    }

    async fn wait(&self, fault: &Fault) {
        let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.service().stopping.cancelled() => {}
        }
    }

    fn faulty_answer(&self, fault: &Fault) -> (Answer, String) {
        match fault.kind {
            FaultKind::Throttle => {
                let (requests, minutes) = self
                    .service()
                    .config
                    .limits
                    .gateway
                    .map_or((200, 5), |limit| (limit.requests, limit.minutes));
                let mut answer = self.refusal(&Refusal::throttled(requests, minutes));
                answer.retry_after = fault.retry_after;
                (answer, "APIGW.0308".to_owned())
            }
            FaultKind::Html => {
                let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
                let answer = Answer {
                    status: fault.status.unwrap_or(502),
                    content_type: Some("text/html"),
                    body: Bytes::from_static(page.as_bytes()),
                    retry_after: fault.retry_after,
                    headers: Vec::new(),
                };
                (answer, "html".to_owned())
            }
            _ => {
                let status = fault.status.unwrap_or(500);
                let mut answer = match &fault.code {
                    None => Answer::empty(status),
                    Some(code) => self.refusal(&Refusal::new(
                        status,
                        code.clone(),
                        fault.message.clone().unwrap_or_else(|| "Injected fault.".to_owned()),
                    )),
                };
                answer.retry_after = fault.retry_after;
                (answer, fault.code.clone().unwrap_or_else(|| status.to_string()))
            }
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Answer {
        match refusal.shape {
            Shape::Page => Answer::text(refusal.status, &refusal.message),
            Shape::Service | Shape::Keystone => {
                let mut body = refusal.body(&self.request_id);
                if let Some(members) =
                    body.as_object_mut().filter(|_| !self.service().config.behaviour.error_detail)
                {
                    members.remove("error_detail");
                }
                Answer::json(refusal.status, body.to_string())
            }
        }
    }

    fn note(&self, status: Option<u16>, outcome: String, done: Option<&Done>) {
        let route = self.route.as_ref();
        let created = done.and_then(|done| done.target.clone());
        self.service().journal.add(Entry {
            seq: 0,
            at: self.at,
            operation: self.operation(),
            project: route.and_then(|route| route.project.clone()),
            status,
            outcome,
            task: created.or_else(|| route.and_then(|route| route.target.clone())),
            effect: done.is_some_and(|done| done.effect),
            request_id: self.request_id.clone(),
            duration_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            fault: self.fault.as_ref().map(|fault| fault.kind),
        });
    }

    fn operation(&self) -> &'static str {
        self.route.as_ref().map_or("Unknown", |route| route.operation.name())
    }

    fn respond(&self, answer: Answer, by_fault: bool) -> Response<Body> {
        if let Some(observer) = &self.gateway.observer {
            observer(&Exchange {
                operation: self.operation(),
                method: self.method.to_string(),
                path: self.uri.path().to_owned(),
                query: self.uri.query().unwrap_or_default().to_owned(),
                request_body: self.body.clone(),
                status: answer.status,
                response_body: answer.body.clone(),
                content_type: answer.content_type.map(str::to_owned),
                by_fault,
            });
        }
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(content_type) = answer.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(seconds) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.extend(answer.headers);
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert("x-request-id", id);
        }
        response
    }
}

/// Whether a fault lets the call be carried out first.
fn strikes_after(fault: &Fault) -> bool {
    match fault.kind {
        FaultKind::LostReply => true,
        FaultKind::CutBefore
        | FaultKind::Throttle
        | FaultKind::TaskStatus
        | FaultKind::TaskMembers
        | FaultKind::StaleList
        | FaultKind::OverlappingPages
        | FaultKind::FailTask => false,
        FaultKind::Status | FaultKind::Html | FaultKind::Delay | FaultKind::Hang => fault.after_effect,
    }
}
