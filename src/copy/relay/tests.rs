//! The relay between ends that break, stall, change, lose answers: in memory, with paused time.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::*;
use crate::copy::memory::{Memory, ReadFault, WriteFault, broken};
use crate::copy::{Digest, MemoryJournal, PlanOptions, Request, Status, plan};
use crate::error::ErrorKind;
use crate::log::{Log, LogLevel, LogRecord};

const SIZE: u64 = 10_500;

mod resume;

struct Ends {
    source: Memory,
    destination: Memory,
    context: Context,
    journal: MemoryJournal,
    options: RunOptions,
    force: bool,
}

impl Ends {
    fn new() -> Self {
        let source = Memory::new("http://a");
        source.add("app", "1.0", content(), &[]);
        let context = Context::new(Log::new(LogLevel::Verbose));
        let (destination, options) = (Memory::new("http://b"), RunOptions::default());
        Self { source, destination, context, journal: MemoryJournal::default(), options, force: false }
    }

    fn reads(self, faults: impl Into<VecDeque<ReadFault>>) -> Self {
        self.source.state().read_faults = faults.into();
        self
    }

    fn writes(self, faults: impl Into<VecDeque<WriteFault>>) -> Self {
        self.destination.state().write_faults = faults.into();
        self
    }

    /// With uploads that can be gone on with.
    fn resumes(self) -> Self {
        self.destination.state().resumes = true;
        self
    }

    async fn copy(&self) -> Result<Delivered, Error> {
        let request = Request { package_id: "app".into(), version_query: String::new() };
        let options = PlanOptions { force: self.force, ..PlanOptions::default() };
        let destinations = std::slice::from_ref(&self.destination);
        let plan = plan(&self.context, &self.source, destinations, &[request], &options).await.unwrap();
        let shared = Shared {
            context: self.context.clone(),
            source: self.source.clone(),
            journal: self.journal.clone(),
            limit: self.options.max_bytes_per_second.map(RateLimit::new),
            options: self.options.clone(),
            source_reached: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        };
        let job = Arc::new(Job { run: Arc::new(shared), item: plan.items[0].clone() });
        let lane = Lane::new(0, job.clone(), self.destination.clone(), plan.actions[0][0], Arc::default());
        match deliver(job, vec![lane]).await.pop() {
            Some(Ended::Row { result, .. }) => result,
            _ => panic!("a lane that is alone leaves nobody"),
        }
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
        lines.iter().filter_map(|line| if let LogRecord::Verbose(line) = line { Some(&**line) } else { None }).collect()
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
async fn what_is_sent_again_is_proven_again() {
    let ends = Ends::new().reads([ReadFault::None, ReadFault::CorruptAt(5000)]).writes([WriteFault::BreakAt(SIZE)]);
    assert_eq!(ends.fails().await, ErrorKind::ChecksumMismatch);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_all_is_done_counts_only_where_the_content_is_there() {
    let ends = Ends::new().writes([WriteFault::Forget]);
    assert_eq!(ends.fails().await, ErrorKind::ProtocolViolation);
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
async fn a_destination_that_breaks_while_the_source_is_asked_again_gets_the_package_again() {
    let mut ends = Ends::new().reads([ReadFault::BreakAt(0)]).writes([WriteFault::Late(Duration::from_millis(1))]);
    ends.source.state().silent = true;
    ends.options.retries.seed = Some(1);
    ends.arrives().await;
    assert_eq!((ends.opened(), ends.uploads()), (vec![0, 0], 2));
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
async fn an_error_of_the_application_is_not_answered_with_all_bytes_again_and_again() {
    let defect = Error::new(ErrorKind::ServerUnavailable, "500").with_http_status(500).with_retry_after(Duration::ZERO);
    let ends = Ends::new().writes(vec![WriteFault::Refused(defect); 9]);
    assert_eq!(ends.fails().await, ErrorKind::ServerUnavailable);
    assert_eq!(ends.uploads(), 3);
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
