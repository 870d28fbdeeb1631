//! Reads bodies whole, in memory that is bounded however many come at once.

use std::{sync::Arc, time::Duration};

use axum::body::{Bytes, HttpBody as _};
use bytes::BytesMut;
use http::{HeaderMap, header};
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Bodies are counted in pieces of so many bytes.
const PIECE: usize = 4 * 1024;
/// So many bytes are read of all bodies under way, together. One piece of each body is free.
const ROOM: usize = 96 * 1024 * 1024;
/// What a refused body may still send, and for how long, before it is cut off: a client that writes and writes would
/// not see the refusal else.
const DISCARDED: usize = 32 * 1024 * 1024;
const DISCARDING: Duration = Duration::from_secs(10);

/// Room for the bodies under way.
#[derive(Debug)]
pub(super) struct BodyRoom {
    pieces: Arc<Semaphore>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than it may be.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The client went away, or sent no HTTP.
    Broken,
}

/// A body, and the room it takes until it is dropped.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self { pieces: Arc::new(Semaphore::new(ROOM / PIECE)) }
    }
}

impl BodyRoom {
    /// Reads a body of at most `longest` bytes until `deadline`. What is announced to be longer is not read at all.
    pub(super) async fn read(
        &self,
        body: &mut Incoming,
        longest: usize,
        deadline: Instant,
    ) -> Result<WholeBody, BodyError> {
        if body.size_hint().lower() > longest as u64 {
            return Err(BodyError::TooLarge);
        }
        let reading = async {
            let mut bytes = BytesMut::new();
            let mut room: Option<OwnedSemaphorePermit> = None;
            // Room is taken for what has come, not for what is announced: announcing costs nothing.
            while let Some(frame) = next_frame(body).await {
                let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
                if bytes.len() + data.len() > longest {
                    return Err(BodyError::TooLarge);
                }
                self.grow(&mut room, bytes.len() + data.len()).await?;
                bytes.extend_from_slice(&data);
            }
            Ok(WholeBody { bytes: bytes.freeze(), _room: room })
        };
        tokio::time::timeout_at(deadline, reading).await.unwrap_or(Err(BodyError::TooSlow))
    }

    /// Makes room for a body of so many bytes, of which one piece is free.
    async fn grow(&self, room: &mut Option<OwnedSemaphorePermit>, length: usize) -> Result<(), BodyError> {
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = (length.div_ceil(PIECE)).saturating_sub(1);
        if wanted <= held {
            return Ok(());
        }
        let more = u32::try_from(wanted - held).map_err(|_| BodyError::TooLarge)?;
        let more = Arc::clone(&self.pieces).acquire_many_owned(more).await.map_err(|_| BodyError::Broken)?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }
}

async fn next_frame(body: &mut Incoming) -> Option<Result<hyper::body::Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

/// Lets the rest of a refused body come and go, within bounds, so that the client gets to read its answer.
pub(super) fn discard(mut body: Incoming, headers: &HeaderMap) {
    // Who asks before it sends is not told to send.
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let discarding = async {
            let mut seen = 0;
            while let Some(Ok(frame)) = next_frame(&mut body).await {
                seen += frame.data_ref().map_or(0, Bytes::len);
                if seen > DISCARDED {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(DISCARDING, discarding).await;
    });
}
