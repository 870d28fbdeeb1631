//! An address that can be down, be a web page, or lead to OMS.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::tls::acceptor;

const PAGE: &str = "<!DOCTYPE html><html><body><h1>Please sign in to the corporate proxy</h1></body></html>";

/// An address of this test; nobody listens until it is told what to be.
pub(super) struct Front {
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Front {
    /// Finds an address at which nobody listens.
    pub(super) async fn reserve() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self { address, serving: None }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nobody listens any more.
    pub(super) async fn down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Every request is answered with a web page.
    pub(super) async fn html(&mut self) {
        let listener = self.listen().await;
        self.serving = Some(tokio::spawn(async move {
            let mut callers = tokio::task::JoinSet::new();
            while let Ok((mut caller, _)) = listener.accept().await {
                callers.spawn(async move {
                    let mut request = vec![0; 64 * 1024];
                    let _ = caller.read(&mut request).await;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        PAGE.len()
                    );
                    let _ = caller.write_all(format!("{head}{PAGE}").as_bytes()).await;
                    let _ = caller.shutdown().await;
                });
            }
        }));
    }

    /// Every byte goes to another address and back.
    pub(super) async fn lead_to(&mut self, url: &str) {
        self.lead(url, None).await;
    }

    /// The same over TLS, with a certificate from an authority that nobody knows.
    pub(super) async fn lead_encrypted_to(&mut self, url: &str) {
        self.lead(url, Some(acceptor())).await;
    }

    async fn lead(&mut self, url: &str, acceptor: Option<TlsAcceptor>) {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = self.listen().await;
        self.serving = Some(tokio::spawn(async move {
            let mut callers = tokio::task::JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                let (target, acceptor) = (target.clone(), acceptor.clone());
                callers.spawn(async move {
                    match acceptor {
                        None => forward(caller, target).await,
                        Some(acceptor) => {
                            // Who does not trust us ends the handshake.
                            if let Ok(caller) = acceptor.accept(caller).await {
                                forward(caller, target).await;
                            }
                        }
                    }
                });
            }
        }));
    }

    async fn listen(&mut self) -> TcpListener {
        self.down().await;
        TcpListener::bind(self.address).await.unwrap()
    }
}

async fn forward(mut caller: impl AsyncRead + AsyncWrite + Unpin, target: String) {
    if let Ok(mut service) = TcpStream::connect(target).await {
        let _ = tokio::io::copy_bidirectional(&mut caller, &mut service).await;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}
