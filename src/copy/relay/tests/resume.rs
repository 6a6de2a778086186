//! Uploads that are gone on with.

use super::*;
use crate::copy::memory::OffsetFault;

impl Ends {
    fn offsets(self, faults: impl Into<VecDeque<OffsetFault>>) -> Self {
        self.destination.state().offset_faults = faults.into();
        self
    }

    fn appended(&self) -> Vec<u64> {
        self.destination.state().appended.clone()
    }

    fn begun(&self) -> (usize, usize) {
        let state = self.destination.state();
        (state.begun, state.abandoned)
    }

    /// Copies for a while, and dies.
    async fn dies(&self, after: Duration) {
        assert!(tokio::time::timeout(after, self.copy()).await.is_err());
        // Whoever cleans up behind its back has the time to.
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.destination.state().write_faults.clear();
    }

    /// One that a slow destination takes in pieces of 1000 bytes a second, and that dies with 4000 of them there.
    async fn died_at_4000() -> Self {
        let ends = Self::new().resumes().writes([WriteFault::Slow(Duration::from_secs(1))]);
        ends.dies(Duration::from_millis(4500)).await;
        assert_eq!((ends.destination.partials(), ends.journal.len()), ((1, 4000), 1));
        ends
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_goes_on_from_what_is_there() {
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(3000), WriteFault::BreakAt(7500)]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!((ends.appended(), ends.opened()), (vec![0, 3000, 8000], vec![0, 3000, 8000]));
    assert_eq!((ends.begun(), ends.journal.len()), ((1, 0), 0));
    let log = ends.log();
    assert!(log.contains("app 1.0: goes on at byte 3000 (28 %) of the upload at http://b"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn progress_of_an_upload_gives_new_patience() {
    let breaks: Vec<_> = (1..=10).map(|n| WriteFault::BreakAt(n * 1000)).collect();
    let mut ends = Ends::new().resumes().writes(breaks);
    ends.options.retries.tries = 2;
    assert_eq!(ends.arrives().await, SIZE);
    let ends = Ends::new().resumes().writes(vec![WriteFault::BreakAt(3000); 100]);
    assert_eq!(ends.fails().await, ErrorKind::ConnectionFailed);
    assert_eq!(ends.appended().len(), 10, "the first one was progress");
    assert_eq!((ends.destination.partials(), ends.journal.len()), ((1, 3000), 1), "a later copy goes on");
    ends.destination.state().write_faults.clear();
    assert_eq!(ends.arrives().await, SIZE - 3000);
}

#[tokio::test(start_paused = true)]
async fn only_what_the_destination_has_of_an_upload_is_progress() {
    let breaks = (1..=8).map(|n| WriteFault::BreakAt(n * 1000));
    let mut ends =
        Ends::new().resumes().writes(VecDeque::from_iter(std::iter::once(WriteFault::CrashAt(9000, 0)).chain(breaks)));
    ends.options.retries.tries = 2;
    assert_eq!(ends.arrives().await, 9000 + SIZE);
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_break_in_one_upload() {
    let ends = Ends::new()
        .resumes()
        .reads([ReadFault::BreakAt(2000), ReadFault::BreakAt(6000), ReadFault::None, ReadFault::FromTheStart])
        .writes([WriteFault::BreakAt(5000), WriteFault::StallAt(9000)]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!((ends.appended(), ends.begun()), (vec![0, 5000, 9000], (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_offset_is_asked_for_again_and_an_upload_that_is_gone_begins_anew() {
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(3000)]).offsets(vec![OffsetFault::Lost; 3]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!(ends.appended(), [0, 3000]);
    let ends = Ends::new().resumes().writes([WriteFault::GoneAt(3000)]);
    assert_eq!(ends.arrives().await, SIZE + 3000);
    assert_eq!((ends.appended(), ends.begun().0), (vec![0, 0], 2));
    let no = Error::new(ErrorKind::PermissionDenied, "no").with_http_status(403);
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(3000)]).offsets([OffsetFault::Refused(no)]);
    assert_eq!(ends.fails().await, ErrorKind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_after_the_last_byte_is_a_success_without_another_byte() {
    let ends = Ends::new().resumes().writes([WriteFault::LoseAnswer]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!((ends.appended(), ends.begun(), ends.journal.len()), (vec![0], (1, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_has_all_bytes_and_is_not_published_is_finished_without_another_byte() {
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(SIZE)]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!((ends.appended(), ends.opened()), (vec![0, SIZE], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_busy_with_the_upload_is_waited_for() {
    let busy = Error::new(ErrorKind::ServerUnavailable, "423").with_http_status(423).with_retry_after(Duration::ZERO);
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(3000), WriteFault::Refused(busy)]);
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!(ends.appended(), [0, 3000, 3000]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_abandoned_and_never_published() {
    let ends = Ends::new().resumes().reads([ReadFault::CorruptAt(5000)]);
    assert_eq!(ends.fails().await, ErrorKind::ChecksumMismatch);
    assert_eq!((ends.begun(), ends.journal.len(), ends.destination.partials().0), ((1, 1), 0, 0));
    let ends = Ends::new().resumes().reads([ReadFault::BreakAt(4000), ReadFault::Changed(vec![1; 10_500].into())]);
    assert_eq!(ends.fails().await, ErrorKind::SourceChanged);
    assert_eq!((ends.begun(), ends.journal.len(), ends.destination.partials().0), ((1, 1), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_begins_anew_abandons_the_upload() {
    let ends = Ends::new().resumes().reads([ReadFault::BreakAt(4000)]);
    ends.source.state().weak = true;
    ends.arrives().await;
    assert_eq!((ends.begun(), ends.appended()), ((2, 1), vec![0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_on_where_one_that_died_was() {
    let ends = Ends::died_at_4000().await;
    assert_eq!(ends.arrives().await, SIZE - 4000);
    assert_eq!((ends.opened(), ends.appended()), (vec![0, 4000], vec![0, 4000]));
    assert_eq!((ends.begun(), ends.journal.len()), ((1, 0), 0));
    let log = ends.log();
    assert!(log.contains("app 1.0: goes on at byte 4000 (38 %) of the upload that an earlier run began"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn without_a_digest_an_upload_goes_on_in_its_own_run_alone() {
    let ends = Ends::new().resumes().writes([WriteFault::BreakAt(3500), WriteFault::Slow(Duration::from_secs(1))]);
    ends.source.state().untold = true;
    ends.dies(Duration::from_secs(6)).await;
    assert_eq!((ends.appended(), ends.opened(), ends.journal.len()), (vec![0, 4000], vec![0, 4000], 0));
    assert_eq!(ends.arrives().await, SIZE, "nothing proves what the other run has sent");
    assert_eq!((ends.appended(), ends.begun().0), (vec![0, 4000, 0], 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_is_hashed_again() {
    for resumes in [false, true] {
        let ends = Ends::new().reads([ReadFault::None, ReadFault::CorruptAt(5000)]).writes([WriteFault::BreakAt(4500)]);
        ends.destination.state().resumes = resumes;
        assert_eq!(ends.fails().await, ErrorKind::ChecksumMismatch);
        assert_eq!(ends.opened(), if resumes { [0, 5000] } else { [0, 0] });
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_damaged_at_the_destination_is_sent_anew() {
    let ends = Ends::died_at_4000().await;
    ends.destination.damage_partials();
    ends.arrives().await;
    assert_eq!((ends.appended(), ends.begun().0), (vec![0, 4000, 0], 2));
}

#[tokio::test(start_paused = true)]
async fn a_remembered_upload_that_cannot_be_used_is_begun_anew() {
    let ends = Ends::died_at_4000().await;
    let foreign = Error::new(ErrorKind::ProtocolViolation, "what?").with_http_status(400);
    ends.destination.state().offset_faults = [OffsetFault::Refused(foreign)].into();
    assert_eq!(ends.arrives().await, SIZE);
    assert_eq!((ends.begun().0, ends.journal.len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn with_clean_up_nothing_of_a_cancelled_or_failed_copy_stays() {
    let mut ends = Ends::new().resumes().writes([WriteFault::Slow(Duration::from_secs(1))]);
    ends.options.clean_up = true;
    ends.dies(Duration::from_millis(4500)).await;
    assert_eq!((ends.begun(), ends.destination.partials().0, ends.journal.len()), ((1, 1), 0, 0));
    ends.destination.state().write_faults = vec![WriteFault::BreakAt(3000); 100].into();
    assert_eq!(ends.fails().await, ErrorKind::ConnectionFailed);
    assert_eq!((ends.begun(), ends.destination.partials().0, ends.journal.len()), ((2, 2), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn of_two_copies_at_once_the_second_waits_and_finds_it_there() {
    let ends = Ends::new().resumes().writes([WriteFault::Slow(Duration::from_secs(1))]);
    let second = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        ends.copy().await.unwrap()
    };
    let (first, second) = tokio::join!(ends.copy(), second);
    assert_eq!((first.unwrap().status, second.status, second.bytes_sent), (Status::Copied, Status::Skipped, 0));
    assert_eq!((ends.opened(), ends.begun()), (vec![0], (1, 0)));
    let mut lines = ends.context.log().drain();
    lines.retain(|line| matches!(line, LogRecord::Warning(_)));
    let expected = "Another run copies app 1.0 to http://b now. This one waits for it.";
    assert_eq!(lines, [LogRecord::Warning(expected.into())]);
}
