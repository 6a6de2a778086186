//! One content's way from source to destination.
//!
//! An attempt opens the source, then the upload, and pumps chunks from one to the other. The chunk that came last is
//! always withheld: it goes out when the digest of the whole is known and right, so that what is wrong is never
//! published. When one side cannot go on, the upload is dropped and a new attempt begins; the reading splices by itself.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::body::{self, Chunk, Feed, Flow};
use super::digest::Hashing;
use super::patience::{Break, Patience, may_retry};
use super::plan::{Action, Item, Stored, stored};
use super::rate_limit::RateLimit;
use super::reading::Reading;
use super::run::RunOptions;
use super::{Destination, Digest, Outcome, Receipt, Source, Status, Upload};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Transfer};

/// The destination may think for a second longer about each of these bytes.
const BYTES_PER_SECOND_OF_THOUGHT: u64 = 50 << 20;

/// One content to be brought to one destination.
pub(super) struct Job<S, D> {
    pub(super) context: Context,
    pub(super) source: S,
    pub(super) destination: D,
    pub(super) item: Item,
    pub(super) action: Action,
    pub(super) options: Arc<RunOptions>,
    pub(super) limit: Option<Arc<RateLimit>>,
    /// Whether this run has had an answer from the source.
    pub(super) source_reached: Arc<AtomicBool>,
    /// Whether this run has had an answer from the destination.
    pub(super) destination_reached: Arc<AtomicBool>,
}

/// What is at the destination now, proven.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) status: Status,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<Digest>,
    pub(super) bytes_sent: u64,
}

/// What lasts over the attempts.
struct Way {
    patience: Patience,
    transfer: Arc<Transfer>,
    sent: Arc<AtomicU64>,
    /// An upload went out whole and its answer was lost: the content may be there by our own doing.
    answer_lost: bool,
    /// The bearer was refused once, and a new one was asked for.
    signed_in_again: bool,
}

/// Brings the content over.
///
/// # Errors
/// What it finally failed with. Nothing is published then, unless the message says otherwise.
pub(super) async fn deliver<S: Source, D: Destination>(job: &Job<S, D>) -> Result<Delivered, Error> {
    let label = job.item.content.to_string();
    let progress = job.context.progress();
    let mut way = Way {
        patience: Patience::new(label.clone(), job.context.log().clone(), job.options.retries.clone()),
        transfer: Arc::new(progress.transfer(&label, job.item.size.unwrap_or_default())),
        sent: Arc::default(),
        answer_lost: false,
        signed_in_again: false,
    };
    loop {
        match attempt(job, &mut way).await {
            Ok(delivered) => return Ok(delivered),
            Err(Break::Fatal(error)) => return Err(error),
            Err(Break::Restart(error)) => way.patience.pause(&error, "starts again").await?,
        }
        way.transfer.rewind(0);
    }
}

async fn attempt<S: Source, D: Destination>(job: &Job<S, D>, way: &mut Way) -> Result<Delivered, Break> {
    let reading = Reading::open(job, &mut way.patience).await?;
    let (expected, total) = (reading.expected, reading.total);
    if total == Some(0) {
        // There is no block to withhold; a whole upload of nothing is whole at once.
        job.check(Digest::of(b""), expected)?;
    }
    let upload = Upload {
        content: job.item.content.clone(),
        sha256: expected,
        length: total,
        force: job.action == Action::Replace,
    };
    let (feed, body, flow) = body::channel(way.transfer.clone(), way.sent.clone());
    let mut answer = pin!(job.destination.publish(&job.context, &upload, body));

    let pumped = {
        let mut pump = pin!(pump(job, reading, feed, &flow, &mut way.patience));
        tokio::select! {
            biased;
            early = &mut answer => Err(early),
            // A failed pump drops the upload, whose body ends in an error then.
            pumped = &mut pump => Ok(pumped?),
        }
    };
    let (digest, size, answer) = match pumped {
        Err(early) => (None, None, early),
        Ok((digest, size)) => {
            way.transfer.sent();
            let patience = || {
                let thought = if flow.taken() == size { size / BYTES_PER_SECOND_OF_THOUGHT } else { 0 };
                job.options.stall + Duration::from_secs(thought)
            };
            let late = flow.watch(answer, patience).await.unwrap_or_else(|| Err(job.destination_stalled()));
            (Some(digest), Some(size), late)
        }
    };
    if flow.taken() > 0 || answer.as_ref().map_or_else(|error| error.http_status().is_some(), |_| true) {
        job.destination_reached.store(true, Ordering::Relaxed);
    }
    match answer {
        Ok(receipt) => job.prove(way, receipt, digest, size, expected).await.map_err(Break::Fatal),
        Err(error) => job.publish_failed(way, error, digest, size, expected).await,
    }
}

/// Moves all bytes. Gives their digest and number once they are proven and the upload may end well.
async fn pump<S: Source, D: Destination>(
    job: &Job<S, D>,
    mut reading: Reading<'_, S, D>,
    feed: Feed,
    flow: &Flow,
    patience: &mut Patience,
) -> Result<(Digest, u64), Break> {
    let hashing = Hashing::new(job.options.hash_inline);
    let mut withheld: Option<Chunk> = None;
    let mut size = 0;
    while let Some(bytes) = reading.next(patience).await? {
        // The one before goes first: it may hold the room that this one waits for.
        if let Some(before) = withheld.take() {
            hand_on(job, &feed, flow, before).await?;
        }
        size += bytes.len() as u64;
        let admitted = flow.watch(feed.admit(bytes), || job.options.stall).await;
        let chunk = admitted.ok_or_else(|| Break::Restart(job.destination_stalled()))?;
        hashing.push(chunk.clone());
        withheld = Some(chunk);
    }
    let digest = hashing.finish().await.map_err(Break::Fatal)?;
    job.check(digest, reading.expected)?;
    if let Some(last) = withheld {
        hand_on(job, &feed, flow, last).await?;
    }
    feed.end();
    Ok((digest, size))
}

/// Hands a chunk to the upload, in the pace that the limit allows.
async fn hand_on<S: Source, D: Destination>(
    job: &Job<S, D>,
    feed: &Feed,
    flow: &Flow,
    mut chunk: Chunk,
) -> Result<(), Break> {
    if let Some(limit) = &job.limit {
        while chunk.bytes.len() > limit.piece() {
            let mut piece = chunk.clone();
            piece.bytes = chunk.bytes.split_to(limit.piece());
            limit.turn(piece.bytes.len()).await;
            if !feed.send(piece) {
                return gone(job, flow).await;
            }
        }
        limit.turn(chunk.bytes.len()).await;
    }
    if feed.send(chunk) { Ok(()) } else { gone(job, flow).await }
}

/// The destination no longer reads: its answer tells why, and the attempt ends with it. An answer that does not come
/// is a stall.
async fn gone<S: Source, D: Destination>(job: &Job<S, D>, flow: &Flow) -> Result<(), Break> {
    flow.watch(std::future::pending::<()>(), || job.options.stall).await;
    Err(Break::Restart(job.destination_stalled()))
}

impl<S: Source, D: Destination> Job<S, D> {
    /// Compares what came with what should have come.
    fn check(&self, digest: Digest, expected: Option<Digest>) -> Result<(), Break> {
        match expected {
            Some(expected) if expected != digest => {
                let (source, content) = (self.source.name(), &self.item.content);
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

    /// Accepts a receipt once the destination's digest is the one that passed here.
    async fn prove(
        &self,
        way: &Way,
        receipt: Receipt,
        digest: Option<Digest>,
        size: Option<u64>,
        expected: Option<Digest>,
    ) -> Result<Delivered, Error> {
        let destination = self.destination.name();
        let content = &self.item.content;
        let ours = digest.or(expected);
        let theirs = match receipt.sha256 {
            Some(theirs) => Some(theirs),
            None => {
                let there = stored(&self.context, &self.destination, content).await;
                let unproven = format!("{destination} took {content}, but could not be asked for its digest");
                there.map_err(|error| error.within(&unproven))?.and_then(|stored| stored.sha256)
            }
        };
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                let message = format!("{destination} says that {content} has the SHA-256 {theirs} there, not {ours}.");
                return Err(Error::new(ErrorKind::ChecksumMismatch, message)
                    .with_hint("Remove it there and copy again; have the destination's storage checked.")
                    .with_server(destination));
            }
            (Some(_), Some(_)) => {}
            // A server that never read it all can only know by a digest.
            _ if digest.is_none() => {
                let message =
                    format!("{destination} answered for {content} before it had all bytes, without a digest.");
                return Err(Error::new(ErrorKind::ProtocolViolation, message).with_server(destination));
            }
            _ => self.context.log().warning(format!("{destination} tells no SHA-256 of {content} to compare.")),
        }
        let status = match receipt.outcome {
            Outcome::Created => Status::Copied,
            Outcome::Replaced => Status::Replaced,
            Outcome::AlreadyThere if way.answer_lost => self.done(),
            Outcome::AlreadyThere => Status::Skipped,
        };
        Ok(self.delivered(way, status, size.or(receipt.size), ours.or(theirs)))
    }

    /// Decides what a failed publish means.
    async fn publish_failed(
        &self,
        way: &mut Way,
        error: Error,
        digest: Option<Digest>,
        size: Option<u64>,
        expected: Option<Digest>,
    ) -> Result<Delivered, Break> {
        let ours = digest.or(expected);
        let same = |there: &Stored| ours.is_some() && there.sha256 == ours;
        if error.kind() == ErrorKind::AuthenticationFailed {
            // A body that was sent cannot be sent again by the connection. It has a new bearer, or says that it has none.
            let again = error.retry_after().is_some() && !std::mem::replace(&mut way.signed_in_again, true);
            return Err(if again { Break::Restart(error) } else { Break::Fatal(error) });
        }
        let reached = self.destination_reached.load(Ordering::Relaxed);
        let retry = may_retry(&error, reached);
        // No answer says whether it was published: the connection broke after the last byte, or a gateway lost it.
        let unknown = retry && size.is_some();
        if unknown || error.kind() == ErrorKind::PackageAlreadyExists {
            let there = stored(&self.context, &self.destination, &self.item.content).await;
            if let Some(there) = there.ok().flatten().filter(same) {
                let status = if unknown || way.answer_lost { self.done() } else { Status::Skipped };
                let (label, destination) = (&self.item.content, self.destination.name());
                self.context.log().verbose(|| format!("{label}: {destination} has it, with the same SHA-256."));
                return Ok(self.delivered(way, status, size.or(there.size).or(self.item.size), ours));
            }
        }
        way.answer_lost |= unknown;
        Err(if retry { Break::Restart(error) } else { Break::Fatal(error) })
    }

    /// What our own upload is called.
    fn done(&self) -> Status {
        if self.action == Action::Replace { Status::Replaced } else { Status::Copied }
    }

    fn delivered(&self, way: &Way, status: Status, size: Option<u64>, sha256: Option<Digest>) -> Delivered {
        let size = size.or(self.item.size);
        Delivered { status, size, sha256, bytes_sent: way.sent.load(Ordering::Relaxed) }
    }

    fn destination_stalled(&self) -> Error {
        let (destination, seconds) = (self.destination.name(), self.options.stall.as_secs());
        let message = format!("{destination} took nothing and said nothing for {seconds} s.");
        Error::new(ErrorKind::Stalled, message).with_server(destination)
    }
}

#[cfg(test)]
mod tests;
