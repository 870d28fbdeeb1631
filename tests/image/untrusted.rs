//! A server over TLS whose certificate comes from an authority that nobody knows, and what became of each handshake.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::tls::acceptor;

pub(crate) struct Server {
    pub(crate) url: String,
    /// The first line of each request, or why there was none.
    pub(crate) seen: mpsc::UnboundedReceiver<Result<String, String>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let acceptor = acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heard = match acceptor.accept(stream).await {
                    Err(error) => Err(error.to_string()),
                    Ok(mut stream) => {
                        let mut request = [0; 4096];
                        let length = stream.read(&mut request).await.unwrap_or_default();
                        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        let _ = stream.write_all(answer).await;
                        let _ = stream.shutdown().await;
                        let text = String::from_utf8_lossy(&request[..length]).into_owned();
                        Ok(text.lines().next().unwrap_or_default().to_owned())
                    }
                };
                if tell.send(heard).is_err() {
                    return;
                }
            }
        });
        Self { url, seen }
    }
}
