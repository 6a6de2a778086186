//! The destination's end of a transfer: one bounded buffer between the relay and the upload that it feeds.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::operation::Transfer;

/// The bytes of an upload, in the chunks in which the source sent them.
///
/// It ends well only when the relay said so. A relay that gives up or is cancelled makes it end in an error, so that
/// a chunked upload is never taken for whole.
#[derive(Debug)]
pub struct Body {
    pieces: UnboundedReceiver<Piece>,
    /// The one that [`Self::filled`] waited for.
    first: Option<Piece>,
    flow: Arc<Flow>,
    ended: bool,
}

impl Body {
    /// Waits until there is something to read, or the end.
    pub(super) async fn filled(&mut self) {
        if self.first.is_none() {
            self.first = self.pieces.recv().await;
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.pieces.poll_recv(poller)),
        };
        Poll::Ready(match next {
            Some(Piece::Chunk(chunk)) => {
                self.flow.took(chunk.bytes.len());
                Some(Ok(chunk.bytes))
            }
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(Error::new(ErrorKind::Cancelled, "The upload was given up before its end.")))
            }
        })
    }
}

#[derive(Debug)]
enum Piece {
    Chunk(Chunk),
    End,
}

/// A chunk and the room that it takes in the buffer, until its last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

/// How much may wait at once. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    size: u32,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(size: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(size as usize)), size }
    }

    /// Waits until there is room for `bytes`. A chunk larger than the buffer takes all of it.
    pub(super) async fn admit(&self, bytes: Bytes) -> Chunk {
        // The semaphore is never closed; were it, the chunk would go unbounded.
        let room = self.free.clone().acquire_many_owned(self.taken_by(&bytes)).await.ok();
        Chunk { bytes, _room: room.map(Arc::new) }
    }

    /// None: there is no room now.
    pub(super) fn try_admit(&self, bytes: &Bytes) -> Option<Chunk> {
        let room = self.free.clone().try_acquire_many_owned(self.taken_by(bytes)).ok()?;
        Some(Chunk { bytes: bytes.clone(), _room: Some(Arc::new(room)) })
    }

    fn taken_by(&self, bytes: &Bytes) -> u32 {
        u32::try_from(bytes.len()).unwrap_or(self.size).min(self.size)
    }
}

/// The relay's end of a [`Body`].
#[derive(Debug)]
pub(super) struct Feed {
    pieces: UnboundedSender<Piece>,
    pub(super) room: Room,
}

/// A feed and the body that it fills, with `buffer` bytes between them at most, besides the chunk that waits for room.
/// `transfer` shows what the destination takes.
pub(super) fn channel(buffer: u32, transfer: Arc<Transfer>, sent: Arc<AtomicU64>) -> (Feed, Body, Arc<Flow>) {
    let (sender, pieces) = mpsc::unbounded_channel();
    let moved = Mutex::new(Instant::now());
    let flow = Arc::new(Flow { taken: AtomicU64::new(0), moved, transfer, sent });
    let body = Body { pieces, first: None, flow: flow.clone(), ended: false };
    (Feed { pieces: sender, room: Room::new(buffer) }, body, flow)
}

impl Feed {
    /// Hands a chunk on. False: the destination no longer reads.
    pub(super) fn send(&self, chunk: Chunk) -> bool {
        self.pieces.send(Piece::Chunk(chunk)).is_ok()
    }

    /// Lets the upload end well. A body of known length may be gone already, with its last byte.
    pub(super) fn end(&self) {
        self.pieces.send(Piece::End).ok();
    }
}

/// What moves at the destination's end.
#[derive(Debug)]
pub(super) struct Flow {
    taken: AtomicU64,
    moved: Mutex<Instant>,
    transfer: Arc<Transfer>,
    sent: Arc<AtomicU64>,
}

impl Flow {
    /// Bytes that the destination has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits for `wait`. None: meanwhile the destination took nothing for as long as `limit` says, counted from when
    /// the wait began: what we ourselves held back before is not its fault.
    pub(super) async fn watch<T>(&self, wait: impl Future<Output = T>, limit: impl Fn() -> Duration) -> Option<T> {
        let began = Instant::now();
        let mut wait = pin!(wait);
        loop {
            let deadline = self.moved().max(began) + limit();
            if let Ok(value) = timeout_at(deadline, &mut wait).await {
                return Some(value);
            }
            if self.moved().max(began) + limit() <= Instant::now() {
                return None;
            }
        }
    }

    fn took(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.transfer.advance(bytes);
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn moved(&self) -> Instant {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::log::{Log, LogLevel};
    use crate::operation::Context;

    const BUFFER: u32 = 1 << 20;

    fn pair() -> (Feed, Body, Arc<Flow>) {
        let transfer = Context::new(Log::new(LogLevel::None)).progress().transfer("a 1.0", 0);
        channel(BUFFER, Arc::new(transfer), Arc::default())
    }

    fn send(feed: &Feed, bytes: &'static str) {
        assert!(feed.send(feed.room.try_admit(&bytes.into()).unwrap()));
    }

    #[tokio::test]
    async fn a_body_whose_relay_goes_away_ends_in_an_error() {
        let (feed, mut body, _) = pair();
        send(&feed, "a");
        drop(feed);
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        assert_eq!(body.next().await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn the_buffer_is_bounded_until_the_destination_has_taken_what_is_in_it() {
        let (feed, mut body, flow) = pair();
        let chunk = feed.room.admit(vec![0; BUFFER as usize].into()).await;
        assert!(feed.send(chunk));
        assert!(feed.room.try_admit(&"b".into()).is_none());
        assert!(feed.room.admit("b".into()).now_or_never().is_none());
        assert_eq!(body.next().await.unwrap().unwrap().len(), BUFFER as usize);
        assert!(feed.room.admit("b".into()).now_or_never().is_some());
        assert_eq!(flow.taken(), u64::from(BUFFER));
        feed.end();
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn waiting_for_the_first_byte_takes_nothing_away() {
        let (feed, mut body, flow) = pair();
        assert!(body.filled().now_or_never().is_none());
        send(&feed, "a");
        feed.end();
        body.filled().await;
        body.filled().await;
        assert_eq!(flow.taken(), 0);
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        assert!(body.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_takes_something_now_and_then_has_not_stalled() {
        let (feed, mut body, flow) = pair();
        for _ in 0..5 {
            send(&feed, "a");
        }
        let reader = tokio::spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                body.next().await.unwrap().unwrap();
            }
            body
        });
        let began = Instant::now();
        let stalled = flow.watch(std::future::pending::<()>(), || Duration::from_secs(60)).await;
        assert!(stalled.is_none());
        assert_eq!(began.elapsed().as_secs(), 310, "60 s after the last byte was taken");
        assert!(reader.is_finished());
    }
}
