//! A body that is sent as it comes, watched: a server that takes nothing for too long has stalled; one that has
//! everything gets time to work before it must answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::transport::Extent;
use crate::error::{Error, ErrorKind};

/// How long a server may take nothing, and how long it may work after the last byte beside [`PER_SECOND`].
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that buy the server one more second after the last byte: it digests and stores them.
const PER_SECOND: u64 = 50 * 1024 * 1024;

/// The stream that hyper polls.
pub(super) struct Upload<S> {
    source: Pin<Box<S>>,
    extent: Extent,
    sent: u64,
    watch: Arc<Watch>,
}

/// What the sender sees of it.
pub(super) struct Watch {
    stage: Mutex<Stage>,
    stopped: AtomicBool,
    waker: AtomicWaker,
}

#[derive(Clone, Copy)]
enum Stage {
    /// We wait for our own source.
    Source,
    /// The server has not taken what it was given at this moment.
    Server(Instant),
    /// Everything is given; the server has so many bytes now.
    Done(Instant, u64),
}

impl<S> Upload<S> {
    pub(super) fn new(source: S, extent: Extent) -> (Self, Stop) {
        let empty = extent.length == Some(0);
        let stage = Mutex::new(if empty { Stage::Done(Instant::now(), extent.before) } else { Stage::Source });
        let watch = Arc::new(Watch { stage, stopped: AtomicBool::new(false), waker: AtomicWaker::new() });
        (Self { source: Box::pin(source), extent, sent: 0, watch: watch.clone() }, Stop(watch))
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Upload<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.watch.waker.register(context.waker());
        if self.watch.stopped.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::Cancelled, "The upload was stopped."))));
        }
        self.watch.set(Stage::Source);
        let Poll::Ready(item) = self.source.as_mut().poll_next(context) else { return Poll::Pending };
        let chunk = match item {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None if self.extent.length.is_some_and(|length| self.sent < length) => {
                let message = "The content is shorter than was announced.";
                return Poll::Ready(Some(Err(Error::new(ErrorKind::SourceChanged, message))));
            }
            None => {
                self.watch.set(Stage::Done(Instant::now(), self.extent.before + self.sent));
                return Poll::Ready(None);
            }
        };
        self.sent += chunk.len() as u64;
        if self.extent.length.is_some_and(|length| self.sent > length) {
            let message = "The content is longer than was announced.";
            return Poll::Ready(Some(Err(Error::new(ErrorKind::SourceChanged, message))));
        }
        let now = Instant::now();
        // hyper drops a body of known length without asking once more.
        let whole = self.extent.length == Some(self.sent);
        let there = self.extent.before + self.sent;
        self.watch.set(if whole { Stage::Done(now, there) } else { Stage::Server(now) });
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        *self.lock() = stage;
    }
}

/// The sender's end: stops the body when it is dropped, so that no answered request goes on sending.
pub(super) struct Stop(Arc<Watch>);

impl Stop {
    /// Comes back when the server has kept us waiting for too long.
    pub(super) async fn overdue(&self, server: &str) -> Error {
        loop {
            let now = Instant::now();
            let stage = *self.0.lock();
            let (kind, deadline, what) = match stage {
                Stage::Source => (ErrorKind::Internal, now + PATIENCE, ""),
                Stage::Server(since) => (ErrorKind::Stalled, since + PATIENCE, "takes nothing more"),
                Stage::Done(since, there) => {
                    let work = Duration::from_secs(there / PER_SECOND);
                    (ErrorKind::Timeout, since + PATIENCE + work, "has everything and does not answer")
                }
            };
            if deadline <= now {
                return Error::new(kind, format!("{server} {what}."))
                    .with_hint("Look at the server's log, then run the command again.")
                    .with_server(server)
                    .with_retry_after(Duration::ZERO);
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};

    fn chunks(parts: &'static [&'static str]) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))))
    }

    #[tokio::test]
    async fn a_source_of_another_length_than_announced_is_an_error_and_not_cut() {
        for announced in [3, 5] {
            let (mut upload, _stop) = Upload::new(chunks(&["abc", "d"]), Extent::whole(Some(announced)));
            assert_eq!(upload.next().await.unwrap().unwrap(), "abc");
            let error = loop {
                match upload.next().await.unwrap() {
                    Ok(_) => continue,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::SourceChanged, "{announced}");
        }
    }

    #[tokio::test]
    async fn a_stopped_upload_ends_with_an_error_so_that_nothing_half_looks_whole() {
        let (mut upload, stop) = Upload::new(chunks(&["abc", "d"]), Extent::default());
        assert!(upload.next().await.unwrap().is_ok());
        drop(stop);
        assert_eq!(upload.next().await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_work_on_what_it_had_before_as_well() {
        let gibibyte = 1 << 30;
        for (before, seconds) in [(0, 60), (50 * gibibyte, 60 + 1024)] {
            let (mut upload, stop) = Upload::new(chunks(&["abc"]), Extent { before, length: Some(3) });
            assert!(upload.next().await.unwrap().is_ok());
            let began = Instant::now();
            assert_eq!(stop.overdue("a").await.kind(), ErrorKind::Timeout);
            assert_eq!(began.elapsed().as_secs(), seconds, "{before}");
        }
    }
}
