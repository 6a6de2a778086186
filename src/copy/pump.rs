//! Gives what one reading brings to every lane of a group.
//!
//! The chunk that came last is always withheld: it goes out when the digest of the whole is known and right, so that
//! what is wrong is never published.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::body::{Chunk, Feed, Flow};
use super::digest::Hashing;
use super::lane::{Told, Whole, stalled};
use super::patience::{Break, Patience};
use super::reading::Reading;
use super::relay::{Job, Shared};
use super::{Digest, Source};
use crate::error::{Error, ErrorKind};

/// The pump's end of a lane.
pub(super) struct Line {
    destination: String,
    feed: Feed,
    flow: Arc<Flow>,
    /// The first byte that it lacks.
    next: u64,
    /// None: it gets nothing any more.
    told: Option<oneshot::Sender<Told>>,
    /// Since when it, and not another one, holds the pump up.
    behind: Option<Instant>,
}

impl Line {
    /// A line that lacks the bytes from `next` on, and where its lane is told how it ends.
    pub(super) fn new(destination: String, feed: Feed, flow: Arc<Flow>, next: u64) -> (Self, oneshot::Receiver<Told>) {
        let (told, receiver) = oneshot::channel();
        (Self { destination, feed, flow, next, told: Some(told), behind: None }, receiver)
    }

    /// What of `bytes`, which are at `at`, it lacks.
    fn lacks(&self, at: u64, bytes: &Bytes) -> Bytes {
        let has = usize::try_from(self.next.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        bytes.slice(has..)
    }

    /// Gives it nothing more, and says why.
    fn leave(&mut self, why: Error) {
        if let Some(told) = self.told.take() {
            told.send(Err(why)).ok();
        }
    }

    /// Hands a chunk on, in the pace that the limit allows.
    async fn hand_on(&mut self, mut chunk: Chunk, run: &Shared<impl Sized, impl Sized>) {
        self.next += chunk.bytes.len() as u64;
        if let Some(limit) = &run.limit {
            while chunk.bytes.len() > limit.piece() {
                let mut piece = chunk.clone();
                piece.bytes = chunk.bytes.split_to(limit.piece());
                limit.turn(piece.bytes.len()).await;
                if !self.feed.send(piece) {
                    break;
                }
            }
            limit.turn(chunk.bytes.len()).await;
        }
        if !self.feed.send(chunk) {
            // The destination no longer reads. Its answer tells why, and the lane waits for that.
            self.told = None;
        }
    }

    /// It has all bytes, and the upload may end well.
    fn end(&mut self, whole: Whole) {
        if let Some(told) = self.told.take() {
            told.send(Ok(whole)).ok();
            self.feed.end();
        }
    }
}

/// Moves all bytes, until each line has them or gets nothing any more.
pub(super) async fn pump<S: Source, J>(
    job: &Job<S, J>,
    reading: &mut Reading<S, J>,
    hashing: &mut Option<Hashing>,
    mut lines: Vec<Line>,
    patience: &mut Patience,
) -> Result<(), Break> {
    let mut withheld: Option<(u64, Bytes)> = None;
    let mut size = reading.known().size.unwrap_or_default();
    while let Some((at, bytes)) = reading.next(patience).await? {
        if let Some((at, before)) = withheld.take() {
            give(&job.run, &mut lines, at, &before, None).await;
        }
        if lines.iter().all(|line| line.told.is_none()) {
            return Ok(());
        }
        size = at + bytes.len() as u64;
        if let Some(hashing) = hashing {
            // They may come again after a break.
            if !hashing.push(bytes.clone()).await {
                return Err(Break::Fatal(job.changed("Bytes that were sent are others now")));
            }
        }
        withheld = Some((at, bytes));
    }
    let digest = match hashing {
        Some(hashing) if hashing.is_behind() => {
            return Err(Break::Fatal(job.changed("It ended before what was sent of it")));
        }
        Some(hashing) => Some(hashing.digest().await.map_err(Break::Fatal)?),
        None => None,
    };
    job.check(digest, reading.known().sha256)?;
    let whole = Whole { digest, size };
    if let Some((at, last)) = withheld {
        give(&job.run, &mut lines, at, &last, Some(whole)).await;
    }
    lines.iter_mut().for_each(|line| line.end(whole));
    Ok(())
}

/// Gives a chunk to all lines that lack something of it. With `whole` it is the last one.
async fn give<S, J>(run: &Shared<S, J>, lines: &mut [Line], at: u64, bytes: &Bytes, whole: Option<Whole>) {
    let chunks = admit(run, lines, at, bytes).await;
    for (line, chunk) in lines.iter_mut().zip(chunks) {
        if let Some(chunk) = chunk {
            line.hand_on(chunk, run).await;
            // Told at once: its answer may come before the next one has the chunk.
            if let Some(whole) = whole {
                line.end(whole);
            }
        }
    }
}

/// Waits until each line has room for what it lacks. One that stalls leaves, and one that holds the others up for too
/// long.
async fn admit<S, J>(run: &Shared<S, J>, lines: &mut [Line], at: u64, bytes: &Bytes) -> Vec<Option<Chunk>> {
    let (stall, lag) = (run.options.stall, run.options.lag);
    let mut chunks: Vec<Option<Chunk>> = lines.iter().map(|_| None).collect();
    let mut behind: Vec<Option<Instant>> = Vec::with_capacity(lines.len());
    let mut leaving = Vec::new();
    {
        let mut full = FuturesUnordered::new();
        let mut waiting = Vec::new();
        let mut others_go_on = false;
        for (place, (line, chunk)) in lines.iter().zip(&mut chunks).enumerate() {
            behind.push(line.behind);
            let part = line.lacks(at, bytes);
            if part.is_empty() || line.told.is_none() {
                continue;
            }
            *chunk = line.feed.room.try_admit(&part);
            if chunk.is_some() {
                others_go_on = true;
            } else {
                waiting.push(place);
                let room = line.feed.room.clone();
                full.push(async move { (place, line.flow.watch(room.admit(part), || stall).await) });
            }
        }
        // A line that never has to wait holds nobody up.
        behind
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| !waiting.contains(place))
            .for_each(|(_, since)| *since = None);
        while !waiting.is_empty() {
            let now = Instant::now();
            let mut deadline = None::<Instant>;
            for place in waiting.iter().filter(|_| others_go_on) {
                let since = behind.get_mut(*place).map(|since| *since.get_or_insert(now)).unwrap_or(now);
                deadline = Some(deadline.unwrap_or(since + lag).min(since + lag));
            }
            let admitted = match deadline {
                Some(deadline) => timeout_at(deadline, full.next()).await.ok(),
                None => Some(full.next().await),
            };
            match admitted {
                Some(Some((place, admitted))) => {
                    waiting.retain(|waits| *waits != place);
                    match (admitted, chunks.get_mut(place)) {
                        (Some(admitted), Some(chunk)) => (*chunk, others_go_on) = (Some(admitted), true),
                        _ => leaving.push((place, None)),
                    }
                }
                Some(None) => break,
                None => {
                    let now = Instant::now();
                    let late =
                        |place: &usize| behind.get(*place).is_some_and(|since| since.is_some_and(|s| s + lag <= now));
                    leaving.extend(waiting.iter().filter(|place| late(place)).map(|place| (*place, Some(lag))));
                    waiting.retain(|place| !late(place));
                }
            }
        }
    }
    for (line, since) in lines.iter_mut().zip(behind) {
        line.behind = since;
    }
    for (place, lagged) in leaving {
        if let Some(line) = lines.get_mut(place) {
            let why = lagged.map_or_else(|| stalled(&line.destination, stall), |lag| lagging(&line.destination, lag));
            line.leave(why);
        }
    }
    chunks
}

fn lagging(destination: &str, lag: Duration) -> Error {
    let message = format!("{destination} held up the others for {} s.", lag.as_secs());
    Error::new(ErrorKind::Stalled, message).with_server(destination)
}

impl<S: Source, J> Job<S, J> {
    /// Compares what came with what should have come.
    fn check(&self, digest: Option<Digest>, expected: Option<Digest>) -> Result<(), Break> {
        match digest.zip(expected) {
            Some((digest, expected)) if expected != digest => {
                let (source, content) = (self.run.source.name(), &self.item.content);
                let message = format!(
                    "{content} came from {source} with other bytes than it says: SHA-256 {digest} instead of {expected}. Nothing was published."
                );
                Err(Break::Fatal(
                    Error::new(ErrorKind::ChecksumMismatch, message)
                        .with_hint("Have the source's storage checked; something on the way may also change bytes.")
                        .with_server(source),
                ))
            }
            _ => Ok(()),
        }
    }
}
