//! HTTP by hand: requests that no client library would send, and signatures over whatever headers one likes.

use std::{fmt::Write as _, net::SocketAddr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{DEADLINE, PROJECT_SECRET, World};

/// A request, byte by byte.
#[derive(Clone, Debug)]
pub struct Raw {
    pub method: &'static str,
    pub path: String,
    pub query: String,
    pub version: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,

    pub body: Value,
}

impl Reply {
    #[track_caller]
    pub fn expect(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.body["error_code"].as_str().unwrap_or_default()),
            (status, code),
            "{self:?}"
        );
    }
}

/// The time in the form of `X-Sdk-Date`.
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

pub fn address(world: &World) -> SocketAddr {
    world.oms.strip_prefix("http://").unwrap().parse().unwrap()
}

pub async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(address(world)).await.unwrap()
}

impl Raw {
    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: String::new(),
            version: "HTTP/1.1",
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With `host` and a date of now, both signed.
    pub fn signed(self, world: &World) -> Self {
        self.header("host", address(world).to_string()).signed_over(
            "PROJECTKEY",
            PROJECT_SECRET,
            &["host", "x-sdk-date"],
        )
    }

    /// Signed over these headers, `x-sdk-date` of now where there is none yet. Names that are not there are signed as if
    /// they were empty.
    pub fn signed_over(mut self, access: &str, secret: &str, names: &[&str]) -> Self {
        if !self.headers.iter().any(|(name, _)| name == "x-sdk-date") {
            self = self.header("x-sdk-date", date(Timestamp::now()));
        }
        let date = self.headers.iter().find(|(name, _)| name == "x-sdk-date").unwrap().1.clone();
        let hash = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
        let mut lines = String::new();
        for name in names {
            let found = self.headers.iter().find(|(header, _)| header == name);
            let value = found.map_or("", |(_, value)| value.as_str());
            writeln!(lines, "{name}:{value}").unwrap();
        }
        let slash = if self.path.ends_with('/') { "" } else { "/" };
        let canonical = format!(
            "{}\n{}{slash}\n{}\n{lines}\n{}\n{}",
            self.method,
            self.path,
            self.query,
            names.join(";"),
            hash(&self.body),
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("SDK-HMAC-SHA256\n{date}\n{}", hash(canonical.as_bytes())).as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let value = format!(
            "SDK-HMAC-SHA256 Access={access}, SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        self.header("authorization", value)
    }

    /// The head, whose content length is that of the body unless a header says how it comes.
    pub fn head(&self) -> Vec<u8> {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut head = format!("{} {}{query} {}\r\n", self.method, self.path, self.version);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let told = |name: &str| self.headers.iter().any(|(header, _)| header == name);
        if !told("content-length") && !told("transfer-encoding") && !self.body.is_empty() {
            write!(head, "content-length: {}\r\n", self.body.len()).unwrap();
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// Sends it over a connection of its own.
    pub async fn send(&self, world: &World) -> Reply {
        let mut stream = connect(world).await;
        stream.write_all(&self.bytes()).await.unwrap();
        reply(&mut stream).await.unwrap()
    }
}

/// Reads one answer; `None` where the connection ends without one.
pub async fn reply(stream: &mut TcpStream) -> Option<Reply> {
    tokio::time::timeout(DEADLINE, read(stream)).await.expect("an answer in time")
}

async fn read(stream: &mut TcpStream) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return None,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Reply { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}
