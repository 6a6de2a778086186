//! What a copy leaves behind in its process, and what it spends while it waits: counted, from outside.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use support::{Server, block_on, context};
use uss::copy::{FolderJournal, PlanOptions, Request, RunOptions, Status, plan, run};
use uss::update_service::UpdateService;

/// Both tests count what the whole process does.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Open sockets, other open files, and living tasks of the library's runtime.
fn held() -> (usize, usize, usize) {
    let targets = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let (sockets, files): (Vec<_>, Vec<_>) =
        targets.partition(|target| target.to_string_lossy().starts_with("socket:"));
    (sockets.len(), files.len(), uss::runtime::runtime().unwrap().metrics().num_alive_tasks())
}

/// Processor time of this process so far, in hundredths of a second.
fn spent() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn copy(from: &UpdateService, to: &UpdateService, ids: &[String], journal: &FolderJournal) -> usize {
    let request = |id: &String| Request { package_id: id.clone(), version_query: String::new() };
    let requests: Vec<Request> = ids.iter().map(request).collect();
    block_on(async {
        let context = context();
        let to = std::slice::from_ref(to);
        let planned = plan(&context, from, to, &requests, &PlanOptions::default()).await.unwrap();
        let copied = Mutex::new(0);
        let count = |row: Result<uss::copy::CopyResult, uss::Error>| {
            *copied.lock().unwrap() += usize::from(row.unwrap().status == Status::Copied);
        };
        run(&context, planned, journal, &RunOptions::default(), count).await.unwrap();
        copied.into_inner().unwrap()
    })
}

#[test]
fn a_thousand_copies_leave_no_socket_file_or_task() {
    let _alone = alone();
    let (a, b) = (Server::start(), Server::start());
    let (from, to) = (a.client("ada", &a.admin("ada")), b.client("bob", &b.admin("bob")));
    let ids: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    let files: Vec<_> = ids.iter().map(|id| a.make_package(id, "1.0.0", &[], 20_000)).collect();
    let add: Vec<&str> =
        ["package", "add"].into_iter().chain(files.iter().map(|file| file.to_str().unwrap())).collect();
    a.run(&add);
    let state = tempfile::tempdir().unwrap();
    let journal = FolderJournal::at(state.path());
    let round = || {
        assert_eq!(copy(&from, &to, &ids, &journal), ids.len());
        for id in &ids {
            block_on(to.delete(&context(), id, "1.0.0")).unwrap();
        }
    };
    round();
    let before = held();
    (0..10).for_each(|_| round());
    let after = held();
    // Connections wait in the pool for the next request, as many as ran at once.
    assert!(after.0 <= before.0 + 4, "sockets: {before:?}, then {after:?}");
    assert!(after.1 <= before.1, "files: {before:?}, then {after:?}");
    assert!(after.2 <= before.2 + 8, "tasks: {before:?}, then {after:?}");
}

#[test]
fn while_a_side_is_silent_hardly_any_processor_time_is_spent() {
    let _alone = alone();
    let (a, b) = (Server::start(), Server::start());
    let (from, to) = (a.client("ada", &a.admin("ada")), b.client("bob", &b.admin("bob")));
    a.add_package("p", "1.0.0", &[], 40 << 20);
    a.fault(json!({ "path": "/content", "action": { "stall": 30 << 20 } }));
    let state = tempfile::tempdir().unwrap();
    let journal = FolderJournal::at(state.path());
    let copying = std::thread::spawn(move || {
        let cancelled = uss::runtime::runtime().unwrap().spawn(async move {
            let context = context();
            let request = Request { package_id: "p".into(), version_query: String::new() };
            let planned = plan(&context, &from, std::slice::from_ref(&to), &[request], &PlanOptions::default()).await;
            run(&context, planned.unwrap(), &journal, &RunOptions::default(), |_| {}).await
        });
        std::thread::sleep(Duration::from_secs(8));
        cancelled.abort();
    });
    // By then the bytes before the silence have gone; what is spent after is spent on waiting.
    std::thread::sleep(Duration::from_secs(5));
    let before = spent();
    std::thread::sleep(Duration::from_secs(2));
    let spent = spent() - before;
    copying.join().unwrap();
    assert!(spent <= 10, "{spent} hundredths of a second of processor time in two seconds");
}
