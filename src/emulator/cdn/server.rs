//! A CDN of its own: an HTTP server over a bucket of a store, which lets in what is signed as its vendor demands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::sign::Scheme;
use super::verify::Guard;

/// How long a request to the origin may be under way before it is signed anew.
const VALIDITY: Duration = Duration::from_mins(5);

/// Headers of a request that its origin has to know.
const PASSED_ON: [header::HeaderName; 4] =
    [header::RANGE, header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What an embedded CDN is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Domain that it answers for.
    pub domain: String,
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How requests must be signed.
    pub scheme: Scheme,
    /// The key they are signed with, for schemes that have one of their own.
    pub key: Option<SecretString>,
    /// S3 endpoint of the origin.
    pub origin: String,
    /// Region that requests to the origin are signed for.
    pub region: String,
    /// Bucket of the origin.
    pub bucket: String,
    /// Key pairs of the origin: the first opens it, all may sign where a scheme uses them.
    pub keys: Vec<(String, SecretString)>,
}

/// A running CDN; ends when dropped.
#[derive(Debug)]
pub struct EmbeddedCdn {
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Shared {
    setup: Setup,
    bucket: Bucket,
    http: reqwest::Client,
}

impl EmbeddedCdn {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be bound, or the origin is no URL.
    pub async fn start(setup: Setup) -> std::io::Result<Self> {
        let origin = setup.origin.parse().map_err(std::io::Error::other)?;
        let bucket = Bucket::new(origin, UrlStyle::Path, setup.bucket.clone(), setup.region.clone())
            .map_err(std::io::Error::other)?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_proxy()
            .build()
            .map_err(std::io::Error::other)?;
        let listener = TcpListener::bind(setup.listen).await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(serve).with_state(Arc::new(Shared { setup, bucket, http }));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "a CDN has ended");
            }
        });
        Ok(Self { address, server })
    }

    /// Base URL, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for EmbeddedCdn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let setup = &shared.setup;
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let domain = host.rsplit_once(':').map_or(host, |(domain, _)| domain);
    if !domain.eq_ignore_ascii_case(&setup.domain) {
        return (StatusCode::MISDIRECTED_REQUEST, "This CDN serves another domain").into_response();
    }
    let pairs: Vec<(String, String)> = setup
        .keys
        .iter()
        .map(|(access, secret)| (access.clone(), secret.expose_secret().to_owned()))
        .collect();
    let guard = Guard {
        scheme: setup.scheme,
        key: setup.key.as_ref().map_or("", |key| key.expose_secret()),
        pairs: &pairs,
        domain: &setup.domain,
        bucket: &setup.bucket,
    };
    let uri = request.uri();
    let admitted = guard.admit(uri.path(), uri.query().unwrap_or_default(), Timestamp::now());
    let Some(path) = admitted else {
        return (StatusCode::FORBIDDEN, "The signature is missing, wrong or too old").into_response();
    };
    if request.method() != http::Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let key = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8_lossy().into_owned();
    if key.is_empty() {
        return (StatusCode::NOT_FOUND, "The root of a CDN is no object").into_response();
    }
    match fetch(&shared, &key, request.headers()).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, "the origin of a CDN does not answer");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

async fn fetch(shared: &Shared, key: &str, asked: &HeaderMap) -> Result<Response, reqwest::Error> {
    let credentials =
        shared.setup.keys.first().map(|(access, secret)| Credentials::new(access, secret.expose_secret()));
    let url = shared.bucket.get_object(credentials.as_ref(), key).sign(VALIDITY);
    let mut request = shared.http.get(url);
    for name in PASSED_ON {
        if let Some(value) = asked.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // Hop by hop; the server of this side makes its own.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    Ok(response)
}
