//! Bytes on their way: from a response to a request, at the task's bandwidth, stopped when the task stops.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest as Crc};
use reqwest::Response;
use tokio::sync::{mpsc, watch};

use super::Control;
use super::failure::{Kind, Side, Trouble};
use super::pace::{Bandwidth, PIECE};
use super::s3::{ANSWER, Endpoint};

/// Resolves when the owner wants the task to stop.
pub(super) async fn stopped(control: &mut watch::Receiver<Control>) {
    if control.wait_for(|wish| *wish == Control::Pause).await.is_err() {
        // Without an owner nobody can want it.
        std::future::pending::<()>().await;
    }
}

/// Gives up waiting for `work` when the task is to stop; only for work whose loss does no harm.
pub(super) async fn unless_stopped<T>(
    control: &watch::Receiver<Control>,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let mut control = control.clone();
    tokio::select! {
        biased;
        () = stopped(&mut control) => Err(Trouble::stopped()),
        result = work => result,
    }
}

/// Waits for time to pass, unless the task is to stop first.
pub(super) async fn rest(
    control: &watch::Receiver<Control>,
    time: impl Future<Output = ()>,
) -> Result<(), Trouble> {
    unless_stopped(control, async {
        time.await;
        Ok(())
    })
    .await
}

/// Bytes that one attempt has moved; taken back when the attempt is dropped before it is settled.
pub(super) struct Tally {
    under_way: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
    mine: u64,
}

impl Tally {
    pub(super) fn new(under_way: Arc<AtomicU64>, moved: Arc<AtomicU64>) -> Self {
        Self { under_way, moved, mine: 0 }
    }

    fn add(&mut self, bytes: u64) {
        self.mine += bytes;
        self.under_way.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How much has been counted.
    pub(super) fn mark(&self) -> u64 {
        self.mine
    }

    /// Takes back what was counted after `mark`: those bytes will be moved again.
    pub(super) fn back_to(&mut self, mark: u64) {
        self.under_way.fetch_sub(self.mine - mark, Ordering::Relaxed);
        self.mine = mark;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.under_way.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

/// A response being read, in pieces, at the task's bandwidth.
pub(super) struct Paced<'a> {
    response: Response,
    rest: Bytes,
    side: Side,
    bandwidth: &'a Bandwidth,
    control: watch::Receiver<Control>,
}

impl<'a> Paced<'a> {
    pub(super) fn new(
        response: Response,
        bandwidth: &'a Bandwidth,
        control: &watch::Receiver<Control>,
    ) -> Self {
        Self { response, rest: Bytes::new(), side: Side::Source, bandwidth, control: control.clone() }
    }

    /// The next piece, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        let Self { response, rest, side, bandwidth, control } = self;
        let piece = async {
            while rest.is_empty() {
                let lost = |message: String| Trouble::new(*side, Kind::Unavailable, message);
                match tokio::time::timeout(ANSWER, response.chunk()).await {
                    Ok(Ok(Some(chunk))) => *rest = chunk,
                    Ok(Ok(None)) => return Ok(None),
                    Ok(Err(error)) => return Err(lost(error.without_url().to_string())),
                    Err(_) => return Err(lost(format!("No bytes for {} s", ANSWER.as_secs()))),
                }
            }
            let piece = rest.split_to(rest.len().min(PIECE));
            bandwidth.take(piece.len()).await;
            Ok(Some(piece))
        };
        unless_stopped(control, piece).await
    }

    /// Reads until `limit` bytes are there or the end is reached.
    pub(super) async fn fill(&mut self, limit: usize, tally: &mut Tally) -> Result<Bytes, Trouble> {
        let mut buffer = BytesMut::new();
        while buffer.len() < limit {
            let Some(mut piece) = self.next().await? else { break };
            let surplus = piece.split_off(piece.len().min(limit - buffer.len()));
            tally.add(piece.len() as u64);
            buffer.extend_from_slice(&piece);
            if !surplus.is_empty() {
                // Paid for already; paying a second time errs on the slow side by less than a piece.
                let mut rest = BytesMut::from(&surplus[..]);
                rest.extend_from_slice(&self.rest);
                self.rest = rest.freeze();
            }
        }
        Ok(buffer.freeze())
    }
}

/// The CRC64 and the length of bytes that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) crc64: u64,
    pub(super) bytes: u64,
}

/// Pumps a response of `length` bytes into a request that `send` makes of the stream it is given.
///
/// When the task stops in the middle, or the source breaks off, the request is cut short of its announced length, so
/// that the destination throws it away. Once all bytes are out the answer is waited for: nothing is ever half known.
pub(super) async fn pump<T, F>(
    mut source: Paced<'_>,
    length: u64,
    tally: &mut Tally,
    send: impl FnOnce(futures::stream::BoxStream<'static, std::io::Result<Bytes>>) -> F,
) -> Result<(T, Passed), Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let (sender, mut receiver) = mpsc::channel::<std::io::Result<Bytes>>(2);
    let stream = Box::pin(futures::stream::poll_fn(move |context| receiver.poll_recv(context)));
    let request = send(stream);
    tokio::pin!(request);
    let feed = async {
        let mut crc = Crc::new(CrcAlgorithm::Crc64Nvme);
        let mut bytes = 0;
        while let Some(piece) = source.next().await? {
            crc.update(&piece);
            bytes += piece.len() as u64;
            tally.add(piece.len() as u64);
            let stalled =
                || Trouble::new(Side::Destination, Kind::Unavailable, "The destination takes no bytes");
            match tokio::time::timeout(ANSWER, sender.send(Ok(piece))).await {
                Ok(Ok(())) => {}
                // The request has ended already; its own result says why.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => return Err(stalled()),
            }
        }
        if bytes != length {
            let message = format!("The source sent {bytes} bytes instead of {length}");
            return Err(Trouble::new(Side::Source, Kind::Unavailable, message));
        }
        drop(sender);
        Ok(Passed { crc64: crc.finalize(), bytes })
    };
    let passed = tokio::select! {
        biased;
        result = &mut request => {
            // An answer before the end of the body is a refusal, except that an empty body has no end to wait for.
            let answer = result?;
            if length > 0 {
                let message = "The destination answered before it had all bytes";
                return Err(Trouble::new(Side::Destination, Kind::Unavailable, message));
            }
            return Ok((answer, Passed { crc64: Crc::new(CrcAlgorithm::Crc64Nvme).finalize(), bytes: 0 }));
        }
        passed = feed => passed?,
    };
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => Ok((answer?, passed)),
        Err(_) => Err(Trouble::new(Side::Destination, Kind::Unavailable, "The destination does not answer")),
    }
}

/// Aborts an upload that will not be completed, with bounded patience: it is only about tidiness.
pub(super) async fn tidy(endpoint: &Endpoint, key: &str, upload: &str) {
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), endpoint.abort_upload(key, upload)).await;
}
