//! What starts when, and what a failure takes along: in memory, with paused time.

use std::sync::Mutex;

use super::*;
use crate::copy::memory::{Memory, ReadFault, WriteFault};
use crate::copy::{InstallerChoice, MemoryJournal, PlanOptions, Request, plan, plan_installers};
use crate::log::{Log, LogLevel};
use crate::operation::PROGRESS_LENGTH;

mod big;
mod group;

type Rows = Vec<Result<(String, &'static str), (ErrorKind, String)>>;

fn context() -> Context {
    Context::new(Log::new(LogLevel::None))
}

async fn copy(source: &Memory, destinations: &[Memory], ids: &[&str], options: &RunOptions) -> Rows {
    let request = |id: &&str| Request { package_id: (*id).into(), version_query: String::new() };
    let requests: Vec<_> = ids.iter().map(request).collect();
    let context = context();
    let planned = plan(&context, source, destinations, &requests, &PlanOptions::default()).await.unwrap();
    rows(&context, planned, options).await
}

async fn rows(context: &Context, plan: Plan<Memory, Memory>, options: &RunOptions) -> Rows {
    let rows = Mutex::new(Vec::new());
    let on_row = |row: Result<CopyResult, Error>| {
        let row = row.map(|row| (row.id, row.status.as_str()));
        rows.lock().unwrap().push(row.map_err(|error| (error.kind(), error.target().to_owned())));
    };
    run(context, plan, &MemoryJournal::default(), options, on_row).await.unwrap();
    rows.into_inner().unwrap()
}

/// `bundle` needs `left` and `right`, which need `base`; `other` stands alone.
fn source() -> Memory {
    let source = Memory::new("http://a");
    source.add("bundle", "1.0", "bundle", &["left", "right"]);
    source.add("left", "1.0", "left", &["base"]);
    source.add("right", "1.0", "right", &["base"]);
    source.add("base", "1.0", "base", &[]);
    source.add("other", "1.0", "other", &[]);
    source
}

#[tokio::test(start_paused = true)]
async fn a_dependent_starts_only_when_its_dependencies_are_there() {
    let (source, there) = (source(), Memory::new("http://b"));
    there.state().write_faults = vec![WriteFault::Slow(Duration::from_secs(1)); 5].into();
    let rows = copy(&source, std::slice::from_ref(&there), &["bundle", "other"], &RunOptions::default()).await;
    assert!(rows.iter().all(|row| matches!(row, Ok((_, "Copied")))), "{rows:?}");
    let state = there.state();
    let place = |id: &str| state.published.iter().position(|published| published.starts_with(id)).unwrap();
    assert!(place("base") < place("left").min(place("right")));
    assert_eq!((place("bundle"), state.published.len(), state.most_running), (4, 5, 2));
    drop(state);
    assert_eq!(there.existing(), source.existing());
}

#[tokio::test(start_paused = true)]
async fn a_failed_package_takes_its_dependents_along_and_nothing_else() {
    let (source, there) = (source(), Memory::new("http://b"));
    let full = Error::new(ErrorKind::InsufficientStorage, "full").with_http_status(507);
    there.state().write_faults = [WriteFault::None, WriteFault::Refused(full)].into();
    let one = RunOptions { throttle_limit: 1, ..RunOptions::default() };
    let rows = copy(&source, std::slice::from_ref(&there), &["bundle", "other"], &one).await;
    let expected = [
        Ok(("base".into(), "Copied")),
        Err((ErrorKind::InsufficientStorage, "left 1.0".into())),
        Ok(("right".into(), "Copied")),
        Err((ErrorKind::DependencyFailed, "bundle 1.0".into())),
        Ok(("other".into(), "Copied")),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test(start_paused = true)]
async fn a_dependent_of_a_dependent_names_what_failed_first() {
    let (source, there) = (source(), Memory::new("http://b"));
    source.state().read_faults = [ReadFault::Refused(Error::new(ErrorKind::PermissionDenied, "no"))].into();
    let context = context();
    let request = Request { package_id: "bundle".into(), version_query: String::new() };
    let planned = plan(&context, &source, &[there], &[request], &PlanOptions::default()).await.unwrap();
    let errors = Mutex::new(Vec::new());
    let on_row = |row: Result<CopyResult, Error>| errors.lock().unwrap().push(row.unwrap_err().message().to_owned());
    run(&context, planned, &MemoryJournal::default(), &RunOptions::default(), on_row).await.unwrap();
    let last = errors.lock().unwrap().pop().unwrap();
    assert_eq!(last, "bundle 1.0 was not sent to http://b: base 1.0, which it needs, failed.");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_reads_no_content() {
    let (source, there) = (source(), Memory::new("http://b"));
    copy(&source, std::slice::from_ref(&there), &["bundle"], &RunOptions::default()).await;
    source.state().opened.clear();
    let rows = copy(&source, std::slice::from_ref(&there), &["bundle"], &RunOptions::default()).await;
    assert!(rows.len() == 4 && rows.iter().all(|row| matches!(row, Ok((_, "Skipped")))), "{rows:?}");
    assert_eq!(source.state().opened.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_destination_gets_everything_and_fails_alone() {
    let (source, good, bad) = (source(), Memory::new("http://b"), Memory::new("http://c"));
    let full = Error::new(ErrorKind::InsufficientStorage, "full").with_http_status(507);
    bad.state().write_faults = [WriteFault::Refused(full)].into();
    let rows = copy(&source, &[good.clone(), bad.clone()], &["bundle"], &RunOptions::default()).await;
    assert_eq!((rows.len(), rows.iter().filter(|row| row.is_ok()).count()), (8, 4));
    assert_eq!((good.state().published.len(), bad.state().published.len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_run_at_once_and_a_refused_credential_is_not_tried_for_each() {
    let (source, there) = (Memory::new("http://a"), Memory::new("http://b"));
    let ids: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    ids.iter().for_each(|id| source.add(id, "1.0", id.clone(), &[]));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    there.state().write_faults = vec![WriteFault::Slow(Duration::from_secs(1)); 20].into();
    let three = RunOptions { throttle_limit: 3, ..RunOptions::default() };
    copy(&source, std::slice::from_ref(&there), &ids, &three).await;
    assert_eq!(there.state().most_running, 3);

    let there = Memory::new("http://b");
    let refused = Error::new(ErrorKind::AuthenticationFailed, "revoked").with_server("http://b");
    there.state().write_faults = vec![WriteFault::Refused(refused); 40].into();
    let rows = copy(&source, std::slice::from_ref(&there), &ids, &three).await;
    assert!(rows.iter().all(|row| matches!(row, Err((ErrorKind::AuthenticationFailed, _)))), "{rows:?}");
    assert_eq!((rows.len(), there.state().uploads), (20, 3));
}

#[tokio::test(start_paused = true)]
async fn progress_counts_packages_and_bytes() {
    let (source, there) = (source(), Memory::new("http://b"));
    let context = context();
    let request = Request { package_id: "bundle".into(), version_query: String::new() };
    let planned = plan(&context, &source, &[there], &[request], &PlanOptions::default()).await.unwrap();
    rows(&context, planned, &RunOptions::default()).await;
    let mut values = [0; PROGRESS_LENGTH];
    context.progress().read(&mut values);
    assert_eq!(values[..5], [2, 4, 4, 19, 19]);
    assert_eq!(values[6], 0, "no transfer is shown any more");
}

#[tokio::test(start_paused = true)]
async fn while_the_last_answer_is_awaited_the_progress_says_so() {
    let (source, there) = (source(), Memory::new("http://b"));
    there.state().write_faults = [WriteFault::Think(Duration::from_secs(10))].into();
    let context = context();
    let request = Request { package_id: "other".into(), version_query: String::new() };
    let planned = plan(&context, &source, &[there], &[request], &PlanOptions::default()).await.unwrap();
    let options = RunOptions::default();
    let journal = MemoryJournal::default();
    let copied = run(&context, planned, &journal, &options, |row| drop(row.unwrap()));
    let looks = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut phase = [0];
        context.progress().read(&mut phase);
        phase
    };
    let (copied, phase) = tokio::join!(copied, looks);
    assert_eq!((copied.is_ok(), phase), (true, [crate::operation::Phase::Verifying as u64]));
}

#[tokio::test(start_paused = true)]
async fn installers_go_the_same_way() {
    let (source, there) = (Memory::new("http://a"), Memory::new("http://b"));
    let guid = |n: u8| format!("00000000-0000-0000-0000-00000000000{n}");
    source.add_installer(&guid(1), "POS 14.0", "one");
    source.add_installer(&guid(2), "POS 15.0", "two");
    source.add_installer(&guid(3), "Hub", "three");
    let context = context();
    let names = InstallerChoice::Names(vec!["pos*".into(), "absent*".into()]);
    let destinations = std::slice::from_ref(&there);
    let planned = plan_installers(&context, &source, destinations, &names, false).await.unwrap();
    assert_eq!(planned.summaries()[0].target, "POS 14.0 and POS 15.0 (6 B) to http://b");
    let one = RunOptions { throttle_limit: 1, ..RunOptions::default() };
    let copied = rows(&context, planned, &one).await;
    assert_eq!(copied, [Ok((guid(1), "Copied")), Ok((guid(2), "Copied"))]);

    let ids = InstallerChoice::Ids(vec![guid(2).to_uppercase(), guid(9)]);
    let problems = plan_installers(&context, &source, destinations, &ids, false).await.unwrap_err();
    assert_eq!(problems.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::InstallerNotFound]);
}

#[tokio::test]
async fn limits_of_nothing_are_refused() {
    let plan = || Plan::<Memory, Memory> {
        source: Memory::new("http://a"),
        destinations: vec![],
        items: vec![],
        actions: vec![],
    };
    for options in [
        RunOptions { throttle_limit: 0, ..RunOptions::default() },
        RunOptions { max_bytes_per_second: Some(0), ..RunOptions::default() },
    ] {
        let refused = run(&context(), plan(), &MemoryJournal::default(), &options, |_| {}).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}
