//! Several destinations from one reading.

use super::*;
use crate::copy::memory::broken;

const SECOND: Duration = Duration::from_secs(1);

fn three() -> [Memory; 3] {
    ["http://b", "http://c", "http://d"].map(Memory::new)
}

/// More than a lane's buffer holds.
fn large() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n % 251) as u8).collect()
}

async fn durations(source: &Memory, destinations: &[Memory], journal: &MemoryJournal) -> HashMap<String, Duration> {
    let context = context();
    let request = Request { package_id: "app".into(), version_query: String::new() };
    let planned = plan(&context, source, destinations, &[request], &PlanOptions::default()).await.unwrap();
    let rows = Mutex::new(HashMap::new());
    let on_row = |row: Result<CopyResult, Error>| {
        let row = row.unwrap();
        assert_eq!(row.status, Status::Copied);
        rows.lock().unwrap().insert(row.destination, row.duration);
    };
    run(&context, planned, journal, &RunOptions::default(), on_row).await.unwrap();
    destinations.iter().for_each(|there| assert_eq!(there.existing(), source.existing()));
    rows.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_content_is_read_once_for_all_destinations() {
    let (source, destinations) = (source(), three());
    // They end at different times, and what needs it starts for all of them together.
    destinations[1].state().write_faults = vec![WriteFault::Slow(SECOND); 5].into();
    destinations[2].state().write_faults = vec![WriteFault::Think(SECOND * 10); 5].into();
    let rows = copy(&source, &destinations, &["bundle", "other"], &RunOptions::default()).await;
    assert!(rows.len() == 15 && rows.iter().all(|row| matches!(row, Ok((_, "Copied")))), "{rows:?}");
    assert_eq!(source.state().opened, [0; 5]);
    destinations.iter().for_each(|there| assert_eq!(there.existing(), source.existing()));
}

#[tokio::test(start_paused = true)]
async fn a_limit_counts_readings_and_the_progress_counts_the_bytes_of_each_destination() {
    let (source, destinations) = (source(), three());
    let context = context();
    let request = Request { package_id: "bundle".into(), version_query: String::new() };
    let planned = plan(&context, &source, &destinations, &[request], &PlanOptions::default()).await.unwrap();
    let one = RunOptions { throttle_limit: 1, ..RunOptions::default() };
    rows(&context, planned, &one).await;
    assert_eq!(source.state().opened.len(), 4);
    let mut values = [0; PROGRESS_LENGTH];
    context.progress().read(&mut values);
    assert_eq!(values[1..5], [12, 12, 3 * 19, 3 * 19]);
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_is_finished_on_its_own_and_the_others_are_not_held_back() {
    for resumes in [false, true] {
        let (source, destinations) = (Memory::new("http://a"), three());
        source.add("app", "1.0", large(), &[]);
        destinations[1].state().write_faults = [WriteFault::BreakAt(500_000)].into();
        destinations[1].state().resumes = resumes;
        durations(&source, &destinations, &MemoryJournal::default()).await;
        let from = if resumes { 500_000 } else { 0 };
        assert_eq!(source.state().opened, [0, from]);
        assert_eq!(destinations[1].state().appended.as_slice(), if resumes { &[0, 500_000][..] } else { &[] });
        assert_eq!(destinations.map(|there| there.state().uploads), [1, 2, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_left_with_a_part_of_a_content_that_is_no_more_begins_anew() {
    for weak in [false, true] {
        let (source, destinations) = (Memory::new("http://a"), three());
        source.add("app", "1.0", large(), &[]);
        let other = vec![1; large().len()];
        // Nothing but its entity tag tells one from the other, or not even that.
        (source.state().untold, source.state().weak) = (true, weak);
        source.state().read_faults = [ReadFault::None, ReadFault::Changed(other.clone().into())].into();
        destinations[1].state().resumes = true;
        destinations[1].state().write_faults = [WriteFault::BreakAt(500_000)].into();
        let rows = copy(&source, &destinations, &["app"], &RunOptions::default()).await;
        assert!(rows.len() == 3 && rows.iter().all(Result::is_ok), "{rows:?}");
        assert_eq!(destinations[0].bytes("app", "1.0").as_deref(), Some(&large()[..]));
        assert_eq!(destinations[1].bytes("app", "1.0").as_deref(), Some(&other[..]));
        let state = destinations[1].state();
        assert_eq!((state.begun, state.abandoned), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_holds_the_others_up_is_finished_afterwards_from_where_it_was() {
    let (source, destinations) = (Memory::new("http://a"), three());
    source.add("app", "1.0", large(), &[]);
    destinations[2].state().write_faults = vec![WriteFault::Slow(SECOND); 2].into();
    destinations[2].state().resumes = true;
    let durations = durations(&source, &destinations, &MemoryJournal::default()).await;
    assert!(durations["http://b"] < SECOND * 60 && durations["http://c"] < SECOND * 60, "{durations:?}");
    assert!(durations["http://d"] > SECOND * 2900);
    let (opened, appended) = (source.state().opened.clone(), destinations[2].state().appended.clone());
    assert!(appended.len() == 2 && opened == appended && appended[1] > 0, "{opened:?} {appended:?}");
}

#[tokio::test(start_paused = true)]
async fn all_that_are_slow_alike_stay_together() {
    let (source, destinations) = (Memory::new("http://a"), three());
    source.add("app", "1.0", large(), &[]);
    destinations.iter().for_each(|there| there.state().write_faults = [WriteFault::Slow(SECOND)].into());
    durations(&source, &destinations, &MemoryJournal::default()).await;
    assert_eq!(source.state().opened, [0]);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_a_part_already_gets_only_the_rest() {
    let (source, destinations) = (Memory::new("http://a"), three());
    source.add("app", "1.0", large(), &[]);
    let journal = MemoryJournal::default();
    destinations[0].state().resumes = true;
    destinations[0].state().write_faults = vec![WriteFault::BreakAt(2_000_000); 10].into();
    let (context, options) = (context(), RunOptions::default());
    let request = Request { package_id: "app".into(), version_query: String::new() };
    let first = std::slice::from_ref(&destinations[0]);
    let planned = plan(&context, &source, first, &[request], &PlanOptions::default()).await.unwrap();
    run(&context, planned, &journal, &options, |row| assert!(row.is_err())).await.unwrap();
    destinations[0].state().appended.clear();
    source.state().opened.clear();
    durations(&source, &destinations, &journal).await;
    assert_eq!(
        (source.state().opened.as_slice(), destinations[0].state().appended.as_slice()),
        (&[0][..], &[2_000_000][..])
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_source_does_concerns_all_and_what_a_destination_refuses_only_itself() {
    let (source, destinations) = (Memory::new("http://a"), three());
    source.add("app", "1.0", large(), &[]);
    source.state().read_faults = [ReadFault::BreakAt(700_000), ReadFault::Refused(broken())].into();
    let full = Error::new(ErrorKind::InsufficientStorage, "full").with_http_status(507);
    destinations[1].state().write_faults = [WriteFault::Refused(full)].into();
    let rows = copy(&source, &destinations, &["app"], &RunOptions::default()).await;
    let expected = [
        Ok(("app".into(), "Copied")),
        Err((ErrorKind::InsufficientStorage, "app 1.0".into())),
        Ok(("app".into(), "Copied")),
    ];
    assert_eq!(rows, expected);
    assert_eq!(source.state().opened, [0, 700_000, 700_000]);

    let destinations = three();
    source.state().read_faults = [ReadFault::CorruptAt(9)].into();
    let rows = copy(&source, &destinations, &["app"], &RunOptions::default()).await;
    assert!(rows.len() == 3 && rows.iter().all(|row| matches!(row, Err((ErrorKind::ChecksumMismatch, _)))), "{rows:?}");
    assert!(destinations.iter().all(|there| there.state().published.is_empty()));
}
