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
    let hashing = Hashing::default();
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
            None => stored(&self.context, &self.destination, content).await?.and_then(|stored| stored.sha256),
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
mod tests {
    use std::collections::VecDeque;

    use tokio::time::Instant;

    use super::*;
    use crate::copy::memory::{Memory, ReadFault, WriteFault, broken};
    use crate::copy::{PlanOptions, Request, plan};
    use crate::log::{Log, LogLevel, LogRecord};

    const SIZE: u64 = 10_500;

    struct Ends {
        source: Memory,
        destination: Memory,
        context: Context,
        options: RunOptions,
        force: bool,
    }

    impl Ends {
        fn new() -> Self {
            let source = Memory::new("http://a");
            source.add("app", "1.0", content(), &[]);
            let context = Context::new(Log::new(LogLevel::Verbose));
            let (destination, options) = (Memory::new("http://b"), RunOptions::default());
            Self { source, destination, context, options, force: false }
        }

        fn reads(self, faults: impl Into<VecDeque<ReadFault>>) -> Self {
            self.source.state().read_faults = faults.into();
            self
        }

        fn writes(self, faults: impl Into<VecDeque<WriteFault>>) -> Self {
            self.destination.state().write_faults = faults.into();
            self
        }

        async fn copy(&self) -> Result<Delivered, Error> {
            let request = Request { package_id: "app".into(), version_query: String::new() };
            let options = PlanOptions { force: self.force, ..PlanOptions::default() };
            let destinations = std::slice::from_ref(&self.destination);
            let plan = plan(&self.context, &self.source, destinations, &[request], &options).await.unwrap();
            let job = Job {
                context: self.context.clone(),
                source: self.source.clone(),
                destination: self.destination.clone(),
                item: plan.items[0].clone(),
                action: plan.actions[0][0],
                limit: self.options.max_bytes_per_second.map(|limit| Arc::new(RateLimit::new(limit))),
                options: Arc::new(self.options.clone()),
                source_reached: Arc::default(),
                destination_reached: Arc::default(),
            };
            deliver(&job).await
        }

        /// Copies, expects it to be right, and gives the bytes sent.
        async fn arrives(&self) -> u64 {
            let delivered = self.copy().await.unwrap();
            assert_eq!(self.destination.bytes("app", "1.0").as_deref(), Some(&content()[..]));
            assert_eq!(delivered.sha256, Some(Digest::of(&content())));
            assert_eq!((delivered.status, delivered.size), (Status::Copied, Some(SIZE)));
            delivered.bytes_sent
        }

        /// Copies, expects it to fail, and nothing to be published.
        async fn fails(&self) -> ErrorKind {
            let error = self.copy().await.unwrap_err();
            assert_eq!(self.destination.state().published, Vec::<String>::new());
            error.kind()
        }

        fn opened(&self) -> Vec<u64> {
            self.source.state().opened.clone()
        }

        fn uploads(&self) -> usize {
            self.destination.state().uploads
        }

        fn log(&self) -> String {
            let lines = self.context.log().drain();
            lines
                .iter()
                .filter_map(|line| if let LogRecord::Verbose(line) = line { Some(&**line) } else { None })
                .collect()
        }
    }

    fn content() -> Vec<u8> {
        (0..SIZE).map(|n| (n * 7 % 251) as u8).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_content_arrives_whole_with_its_length_and_digest() {
        let ends = Ends::new();
        assert_eq!(ends.arrives().await, SIZE);
        assert_eq!((ends.opened(), ends.uploads()), (vec![0], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_breaks_anywhere_is_spliced_into_the_same_upload() {
        for at in [0, 1, 999, 1000, 5500, SIZE - 1] {
            let ends = Ends::new().reads([ReadFault::BreakAt(at), ReadFault::EndAt(at), ReadFault::BreakAt(SIZE - 1)]);
            assert_eq!(ends.arrives().await, SIZE, "broken at {at}");
            assert_eq!(ends.opened(), [0, at, at, SIZE - 1]);
            assert_eq!(ends.uploads(), 1);
            let log = ends.log();
            assert!(log.contains(&format!("app 1.0: reads on from byte {at}")), "{log}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_breaks_after_its_last_byte_has_not_broken() {
        let ends = Ends::new().reads([ReadFault::BreakAt(SIZE)]);
        ends.arrives().await;
        assert_eq!(ends.opened(), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_stalls_is_left_after_a_minute_and_spliced() {
        let ends = Ends::new().reads([ReadFault::StallAt(4000)]);
        let began = Instant::now();
        assert_eq!(ends.arrives().await, SIZE);
        assert!((60..62).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert_eq!((ends.opened(), ends.uploads()), (vec![0, 4000], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_does_not_heed_the_range_is_read_from_the_start_into_the_same_upload() {
        let ends = Ends::new().reads([ReadFault::BreakAt(4321), ReadFault::FromTheStart]);
        assert_eq!(ends.arrives().await, SIZE);
        assert_eq!(ends.uploads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_strong_entity_tag_the_package_starts_again() {
        let ends = Ends::new().reads([ReadFault::BreakAt(4000)]);
        ends.source.state().weak = true;
        ends.arrives().await;
        assert_eq!((ends.opened(), ends.uploads()), (vec![0, 0], 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_always_breaks_at_the_same_byte_is_given_up() {
        for weak in [false, true] {
            let ends = Ends::new().reads(vec![ReadFault::BreakAt(4000); 100]);
            ends.source.state().weak = weak;
            assert_eq!(ends.fails().await, ErrorKind::ConnectionFailed);
            assert_eq!(ends.opened().len(), 9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn content_that_changed_in_the_middle_is_never_published() {
        let other = ReadFault::Changed(vec![1; 10_500].into());
        let ends = Ends::new().reads([ReadFault::BreakAt(4000), other.clone()]);
        assert_eq!(ends.fails().await, ErrorKind::SourceChanged);
        let ends = Ends::new().reads([other]);
        assert_eq!(ends.fails().await, ErrorKind::SourceChanged);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_changed_on_the_way_are_never_published() {
        for at in [0, 5000, SIZE - 1] {
            let ends = Ends::new().reads([ReadFault::CorruptAt(at)]);
            assert_eq!(ends.fails().await, ErrorKind::ChecksumMismatch);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_breaks_gets_the_package_again() {
        for at in [0, 1, 5000] {
            let ends = Ends::new().writes([WriteFault::BreakAt(at), WriteFault::StallAt(at)]);
            let sent = ends.arrives().await;
            assert!(sent >= SIZE + 2 * at, "{sent} bytes, broken at {at}");
            assert_eq!(ends.uploads(), 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_a_success_when_the_digest_agrees() {
        let ends = Ends::new().writes([WriteFault::LoseAnswer]);
        assert_eq!(ends.arrives().await, SIZE);
        assert_eq!(ends.uploads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_destination_does_not_make_the_source_look_stalled() {
        let mut ends = Ends::new().writes([WriteFault::Slow(Duration::from_secs(50))]);
        ends.options.retries.tries = 0;
        assert_eq!(ends.arrives().await, SIZE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_limit_is_kept_and_is_no_stall() {
        let mut ends = Ends::new();
        ends.options = RunOptions { max_bytes_per_second: Some(10), ..ends.options };
        ends.options.retries.tries = 0;
        let began = Instant::now();
        assert_eq!(ends.arrives().await, SIZE);
        assert!(began.elapsed() >= Duration::from_secs(900), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_refusal_ends_the_transfer_at_once() {
        let full = Error::new(ErrorKind::InsufficientStorage, "full").with_http_status(507);
        let ends = Ends::new().writes([WriteFault::Refused(full)]);
        assert_eq!(ends.fails().await, ErrorKind::InsufficientStorage);
        assert_eq!(ends.uploads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_was_never_reached_is_not_tried_again() {
        let refused = || Error::new(ErrorKind::ConnectionFailed, "refused");
        let ends = Ends::new().reads([ReadFault::Refused(refused())]);
        assert_eq!(ends.fails().await, ErrorKind::ConnectionFailed);
        let ends = Ends::new().writes([WriteFault::Refused(refused())]);
        assert_eq!(ends.fails().await, ErrorKind::ConnectionFailed);
        assert_eq!((ends.opened().len(), ends.uploads()), (1, 1));
        let ends = Ends::new().writes([WriteFault::BreakAt(3000), WriteFault::Refused(refused())]);
        ends.arrives().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_busy_server_asks_for_is_waited() {
        let busy = Error::new(ErrorKind::ServerUnavailable, "busy").with_retry_after(Duration::from_secs(100));
        let ends = Ends::new().reads([ReadFault::Refused(busy.clone())]).writes([WriteFault::Refused(busy)]);
        let began = Instant::now();
        ends.arrives().await;
        assert!(began.elapsed().as_secs() >= 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_bearer_starts_the_package_again_once() {
        let bearer = Error::new(ErrorKind::AuthenticationFailed, "401").with_http_status(401);
        let refused = || WriteFault::Refused(bearer.clone().with_retry_after(Duration::ZERO));
        Ends::new().writes([refused()]).arrives().await;
        let ends = Ends::new().writes([refused(), refused(), refused()]);
        assert_eq!(ends.fails().await, ErrorKind::AuthenticationFailed);
        assert_eq!(ends.uploads(), 2);
        let ends = Ends::new().writes([WriteFault::Refused(bearer)]);
        assert_eq!(ends.fails().await, ErrorKind::AuthenticationFailed);
        assert_eq!(ends.uploads(), 1, "the token itself is refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_duplicate_is_skipped_when_it_is_the_same_and_an_error_when_it_is_not() {
        let exists = || Error::new(ErrorKind::PackageAlreadyExists, "409").with_http_status(409);
        // It appears between plan and publish, which a source that changes nothing but is slow gives time for.
        let same = Ends::new().reads([ReadFault::Refused(broken())]);
        let copy = async {
            let delivered = same.copy().await.unwrap();
            assert_eq!((delivered.status, delivered.sha256), (Status::Skipped, Some(Digest::of(&content()))));
        };
        let meanwhile = async {
            tokio::task::yield_now().await;
            same.destination.add("app", "1.0", content(), &[]);
            same.destination.state().write_faults.push_back(WriteFault::Refused(exists()));
        };
        tokio::join!(copy, meanwhile);
        let other = Ends::new().writes([WriteFault::Refused(exists())]);
        assert_eq!(other.fails().await, ErrorKind::PackageAlreadyExists);
    }

    #[tokio::test(start_paused = true)]
    async fn other_bytes_are_replaced_by_force() {
        let mut ends = Ends::new().writes([WriteFault::LoseAnswer]);
        ends.destination.add("app", "1.0", "other", &[]);
        ends.force = true;
        assert_eq!(ends.copy().await.unwrap().status, Status::Replaced);
        assert_eq!(ends.destination.bytes("app", "1.0").as_deref(), Some(&content()[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_stores_other_bytes_is_found_out() {
        let ends = Ends::new().writes([WriteFault::Corrupt]);
        let error = ends.copy().await.unwrap_err();
        assert_eq!((error.kind(), error.server()), (ErrorKind::ChecksumMismatch, "http://b"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_tells_neither_size_nor_digest_is_copied_and_compared_afterwards() {
        let ends = Ends::new();
        ends.source.state().silent = true;
        ends.arrives().await;
        let ends = Ends::new().writes([WriteFault::Corrupt]);
        ends.source.state().silent = true;
        assert_eq!(ends.copy().await.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_copy_publishes_nothing() {
        let ends = Ends::new().writes([WriteFault::Slow(Duration::from_secs(1))]);
        let copied = tokio::time::timeout(Duration::from_secs(5), ends.copy()).await;
        assert!(copied.is_err());
        assert_eq!(ends.destination.bytes("app", "1.0"), None);
    }
}
