//! Copies between two real servers, with everything that goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use support::pair::{MEGABYTE, Pair, Row, impatient};
use support::{block_on, verbose_lines};
use uss::copy::{
    InstallerChoice, MemoryJournal, PlanOptions, Request, RunOptions, Status, plan_installers, resolve, run,
};
use uss::log::{Log, LogLevel};
use uss::operation::{Delivery, Operation, PROGRESS_LENGTH};
use uss::{Error, ErrorKind};

const CONTENT: &str = "GET /api/v1/Packages/content";
const PUBLISH: &str = "POST /api/v1/Packages";

/// Waits until so many bytes have gone over.
fn wait_for_bytes(pair: &Pair, bytes: u64) {
    for _ in 0..3000 {
        let mut values = [0; PROGRESS_LENGTH];
        pair.context.progress().read(&mut values);
        if values[3] >= bytes {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{bytes} bytes did not go over in 30 s");
}

fn statuses(rows: &[Row]) -> Vec<(&str, Status)> {
    rows.iter().map(|row| row.as_ref().unwrap()).map(|row| (row.id.as_str(), row.status)).collect()
}

fn kinds(rows: &[Row]) -> Vec<Option<ErrorKind>> {
    rows.iter().map(|row| row.as_ref().err().map(Error::kind)).collect()
}

#[test]
fn a_bundle_arrives_with_its_dependencies_and_a_repeat_reads_no_content() {
    let pair = Pair::start();
    pair.a.add_package("base", "1.0.0", &[], 3 * MEGABYTE);
    pair.a.add_package("base", "2.0.0", &[], 1000);
    pair.a.add_package("app", "1.0.0", &["base=<2.0"], 1000);
    pair.a.add_package("printer", "14.0.35916.0", &["base=>=1.0"], 1000);
    pair.a.add_package("tools", "1.0.0-rc.1", &[], 1000);
    pair.a.add_package("bundle/my-pos", "1.0.0", &["app=", "printer=14.0.35916.0", "tools=*"], 0);

    let planned = block_on(pair.plan("bundle/my-pos", &PlanOptions::default())).unwrap();
    let summary = planned.summaries().remove(0);
    assert!(summary.target.starts_with("bundle/my-pos 1.0.0 and 4 dependencies (3.1"), "{summary:?}");
    assert!(summary.target.ends_with(&format!(" to {}", pair.before_b.url())), "{summary:?}");
    assert_eq!(summary.action, format!("Copy from {}", pair.before_a.url()));
    assert!(planned.rows().iter().all(|row| row.status == Status::WouldCopy && row.bytes_sent == 0));

    let rows = block_on(pair.run(planned, &RunOptions::default()));
    let copied = statuses(&rows);
    assert_eq!(copied.len(), 5, "{copied:?}");
    assert!(copied.iter().all(|(_, status)| *status == Status::Copied), "{copied:?}");
    assert_eq!(copied[4].0, "bundle/my-pos");
    for row in rows.iter().flatten() {
        assert_eq!(row.size, Some(row.bytes_sent));
        assert_eq!(row.sha256.as_deref().map(str::len), Some(64));
        assert_eq!((row.source.as_str(), row.destination.as_str()), (pair.before_a.url(), pair.before_b.url()));
    }
    for id in ["app", "printer", "tools", "bundle/my-pos"] {
        assert!(pair.is_the_same(id), "{id}");
    }
    assert_eq!(block_on(pair.to.versions(&pair.context, "base")).unwrap()[0].version, "1.0.0");

    let read = pair.a.requests(CONTENT);
    let again = pair.copy("bundle/my-pos", &impatient());
    assert!(statuses(&again).iter().all(|(_, status)| *status == Status::Skipped), "{again:?}");
    assert_eq!((again.len(), pair.a.requests(CONTENT)), (5, read));

    let request = Request { package_id: "bundle/my-pos".into(), version_query: String::new() };
    let resolved = block_on(resolve(&pair.context, &pair.from, &[request], false)).unwrap();
    let order: Vec<_> = resolved.iter().map(|version| version.package_id.as_str()).collect();
    assert_eq!(order, ["base", "app", "printer", "tools", "bundle/my-pos"]);
}

#[test]
fn other_bytes_of_the_same_name_stop_the_plan_unless_forced() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 1000);
    pair.b.add_package("app", "1.0.0", &[], 1001);
    let problems = block_on(pair.plan("app", &PlanOptions::default())).unwrap_err();
    assert_eq!(problems[0].kind(), ErrorKind::PackageAlreadyExists);
    assert!(!pair.is_the_same("app"));

    let force = PlanOptions { force: true, ..PlanOptions::default() };
    let rows = block_on(async {
        let planned = pair.plan("app", &force).await.unwrap();
        assert_eq!(planned.rows()[0].status, Status::WouldReplace);
        pair.run(planned, &RunOptions::default()).await
    });
    assert_eq!(statuses(&rows), [("app", Status::Replaced)]);
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_package_that_appears_after_the_plan_is_compared_when_it_is_sent() {
    let pair = Pair::start();
    let same = pair.a.add_package("same", "1.0.0", &[], 1000);
    pair.a.add_package("other", "1.0.0", &[], 1000);
    let plan = |id| block_on(pair.plan(id, &PlanOptions::default())).unwrap();
    let (plan_same, plan_other) = (plan("same"), plan("other"));
    pair.b.run(&["package", "add", same.to_str().unwrap()]);
    pair.b.add_package("other", "1.0.0", &[], 1001);
    let rows = block_on(pair.run(plan_same, &RunOptions::default()));
    assert_eq!(statuses(&rows), [("same", Status::Skipped)]);
    let rows = block_on(pair.run(plan_other, &RunOptions::default()));
    assert_eq!(kinds(&rows), [Some(ErrorKind::PackageAlreadyExists)]);
    assert!(!pair.is_the_same("other"));
}

#[test]
fn a_plan_tells_cycles_and_missing_dependencies_together() {
    let pair = Pair::start();
    pair.a.add_package("a", "1.0.0", &["b=", "gone=>=2.0"], 0);
    pair.a.add_package("b", "1.0.0", &["a="], 0);
    let problems = block_on(pair.plan("a", &PlanOptions::default())).unwrap_err();
    let kinds: Vec<_> = problems.iter().map(Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::DependencyUnresolved, ErrorKind::DependencyCycle], "{problems:?}");
    assert!(problems[1].message().contains("a 1.0.0 -> b 1.0.0 -> a 1.0.0"), "{problems:?}");
    assert!(problems[0].message().contains("a 1.0.0 needs gone '>=2.0'"), "{problems:?}");
    assert_eq!(pair.a.requests(CONTENT), 0);
}

#[test]
fn a_source_that_breaks_is_spliced_into_the_same_upload() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 8 * MEGABYTE);
    pair.a.fault(json!([
        { "path": "/content", "action": { "reset": 3_000_001 } },
        { "path": "/content", "action": { "reset": 7 } },
        { "path": "/content", "action": { "reset": 2_000_000 } },
    ]));
    let row = pair.copy_one("app").unwrap();
    assert_eq!((row.status, Some(row.bytes_sent)), (Status::Copied, row.size));
    assert!(pair.is_the_same("app"));
    assert_eq!(pair.b.requests(PUBLISH), 1);
    let lines = verbose_lines(&pair.context);
    assert!(lines.iter().any(|line| line.contains("app 1.0.0: reads on from byte ")), "{lines:#?}");
}

#[test]
fn a_source_that_is_killed_in_the_middle_and_comes_back_is_spliced() {
    let mut pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 15 * MEGABYTE);
    pair.a.fault(json!({ "path": "/content", "action": { "stall": 5_000_000 } }));
    let planned = block_on(pair.plan("app", &PlanOptions::default())).unwrap();
    let (context, rows) = (pair.context.clone(), Arc::new(Mutex::new(Vec::new())));
    let kept = rows.clone();
    let copy = uss::runtime::runtime().unwrap().spawn(async move {
        run(&context, planned, &MemoryJournal::default(), &RunOptions::default(), |row| kept.lock().unwrap().push(row))
            .await
    });
    wait_for_bytes(&pair, 3_000_000);
    pair.a.restart();
    block_on(copy).unwrap().unwrap();
    assert_eq!(statuses(&rows.lock().unwrap()), [("app", Status::Copied)]);
    assert!(pair.is_the_same("app"));
    assert_eq!(pair.b.requests(PUBLISH), 1);
}

#[test]
fn a_source_that_stalls_is_left_and_spliced() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 4 * MEGABYTE);
    pair.a.fault(json!({ "path": "/content", "action": { "stall": 2_000_000 } }));
    let options = RunOptions { stall: Duration::from_millis(500), ..RunOptions::default() };
    let rows = block_on(async {
        let planned = pair.plan("app", &PlanOptions::default()).await.unwrap();
        pair.run(planned, &options).await
    });
    assert_eq!(statuses(&rows), [("app", Status::Copied)]);
    assert!(pair.is_the_same("app"));
}

#[test]
fn bytes_that_changed_on_the_way_are_never_published() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 2 * MEGABYTE);
    pair.a.fault(json!({ "path": "/content", "action": { "corrupt": 1_234_567 } }));
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert!(pair.is_absent("app"));
    pair.b.fault(json!({ "method": "POST", "path": "/Packages", "query": "packageId=app", "on": "request", "action": { "corrupt": 1_234_567 } }),
    );
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert!(pair.is_absent("app"));
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
}

#[test]
fn content_that_changed_in_the_middle_is_never_published() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 2 * MEGABYTE);
    pair.a.fault(json!([
        { "path": "/content", "action": { "reset": 1_000_000 } },
        { "path": "/content", "action": "change" },
    ]));
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::SourceChanged);
    assert!(pair.is_absent("app"));
}

#[test]
fn a_destination_that_breaks_gets_the_package_again() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 4 * MEGABYTE);
    pair.b.fault(json!({ "method": "POST", "query": "packageId=app", "on": "request", "count": 2, "action": { "reset": 2_000_000 } }),
    );
    let row = pair.copy_one("app").unwrap();
    assert_eq!(row.status, Status::Copied);
    assert!(Some(row.bytes_sent) > row.size);
    assert!(pair.is_the_same("app"));
    assert_eq!(pair.b.requests(PUBLISH), 3);
}

#[test]
fn a_lost_answer_is_a_success_when_the_digest_agrees() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], MEGABYTE);
    pair.b.fault(json!({ "method": "POST", "query": "packageId=app", "action": "forget" }));
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!(pair.b.requests(PUBLISH), 1);
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_busy_destination_is_waited_for() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], MEGABYTE);
    pair.b.fault(json!({ "method": "POST", "query": "packageId=app", "count": 2, "action": { "status": { "code": 503, "retryAfter": "0" } } }),
    );
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!(pair.b.requests(PUBLISH), 3);
}

#[test]
fn a_full_destination_fails_what_it_refused_and_what_needs_it() {
    let pair = Pair::start();
    pair.a.add_package("base", "1.0.0", &[], MEGABYTE);
    pair.a.add_package("app", "1.0.0", &["base="], 0);
    pair.b.fault(
        json!({ "method": "POST", "query": "packageId=base", "count": null, "action": { "status": { "code": 507 } } }),
    );
    let rows = pair.copy("app", &impatient());
    assert_eq!(kinds(&rows), [Some(ErrorKind::InsufficientStorage), Some(ErrorKind::DependencyFailed)]);
    let dependent = rows[1].as_ref().unwrap_err();
    assert_eq!(dependent.target(), "app 1.0.0");
    assert!(dependent.message().contains("base 1.0.0"), "{dependent}");
    assert!(pair.is_absent("base") && pair.is_absent("app"));
}

#[test]
fn a_proxys_page_is_neither_content_nor_an_answer() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], MEGABYTE);
    let page = |code: u16| {
        let body = "<html><head><title>Blocked by policy</title></head><body>secret details</body></html>";
        json!({ "status": { "code": code, "contentType": "text/html", "body": body } })
    };
    pair.a.fault(json!({ "path": "/content", "action": page(200) }));
    let error = pair.copy_one("app").unwrap_err();
    assert_eq!((error.kind(), error.server()), (ErrorKind::ProtocolViolation, pair.before_a.url()), "{error}");
    for code in [200, 403] {
        pair.b.fault(json!({ "method": "POST", "query": "packageId=app", "action": page(code) }));
        let error = pair.copy_one("app").unwrap_err();
        assert_eq!((error.kind(), error.server()), (ErrorKind::ProtocolViolation, pair.before_b.url()), "{error}");
        assert!(error.message().contains("Blocked by policy") && !error.message().contains("secret"), "{error}");
    }
    assert!(pair.is_absent("app"));
}

#[test]
fn a_bearer_that_ends_in_the_middle_is_renewed_and_a_revoked_token_ends_the_copy() {
    let pair = Pair::start();
    pair.a.add_package("base", "1.0.0", &[], 2 * MEGABYTE);
    pair.a.add_package("app", "1.0.0", &["base="], 1000);
    pair.a.add_package("bundle", "1.0.0", &["app="], 0);
    pair.a.fault(json!([
        { "path": "/content", "action": { "reset": 1_000_000 } },
        { "path": "/content", "action": "expireBearers" },
    ]));
    pair.b.fault(json!({ "method": "POST", "query": "packageId=base", "action": "expireBearers" }));
    let rows = Mutex::new(Vec::new());
    block_on(async {
        let planned = pair.plan("bundle", &PlanOptions::default()).await.unwrap();
        let on_row = |row: Row| {
            // The first package is there; from now on the token is worth nothing.
            if rows.lock().unwrap().is_empty() {
                pair.b.revoke_tokens("bob");
            }
            rows.lock().unwrap().push(row);
        };
        run(&pair.context, planned, &MemoryJournal::default(), &RunOptions::default(), on_row).await.unwrap();
    });
    let rows = rows.into_inner().unwrap();
    let expected = [None, Some(ErrorKind::AuthenticationFailed), Some(ErrorKind::DependencyFailed)];
    assert_eq!(kinds(&rows), expected, "{rows:?}");
    assert_eq!(rows[1].as_ref().unwrap_err().server(), pair.before_b.url());
}

#[test]
fn a_cancelled_copy_ends_and_publishes_nothing() {
    let pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 8 * MEGABYTE);
    pair.a.fault(json!({ "path": "/content", "action": { "stall": 4_000_000 } }));
    let planned = block_on(pair.plan("app", &PlanOptions::default())).unwrap();
    let operation = Operation::start(Log::new(LogLevel::None), Delivery::Streaming, |context, output| async move {
        run(&context, planned, &MemoryJournal::default(), &RunOptions::default(), |row| output.push(row)).await
    })
    .unwrap();
    let moving = |values: &mut [u64; PROGRESS_LENGTH]| {
        operation.progress().read(values);
        values[3] < 2_000_000
    };
    let mut values = [0; PROGRESS_LENGTH];
    while moving(&mut values) {
        assert!(!operation.wait(Duration::from_millis(10)), "it ended by itself");
    }
    operation.cancel();
    assert!(operation.wait(Duration::from_secs(10)));
    assert_eq!(operation.take().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(pair.is_absent("app"));
    pair.b.run(&["check"]);
}

#[test]
fn a_server_that_is_not_there_is_told_at_once() {
    let mut pair = Pair::start();
    pair.a.add_package("app", "1.0.0", &[], 1000);
    // Nothing before it, which would take the connection.
    pair.to = pair.b.client("eve", &pair.b.admin("eve"));
    pair.b.kill();
    let problems = block_on(pair.plan("app", &PlanOptions::default())).unwrap_err();
    assert_eq!(problems.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::ConnectionFailed]);
    assert_eq!(problems[0].server(), pair.b.url());
}

#[test]
fn installers_are_copied_by_name_and_skipped_when_they_are_there() {
    let pair = Pair::start();
    let file = pair.a.data().join("Setup.exe");
    std::fs::write(&file, vec![7; 300_000]).unwrap();
    pair.a.run(&["installer", "add", file.to_str().unwrap(), "--name", "POS 14.0"]);
    let copy = |names: &str, status: Status| {
        let choice = InstallerChoice::Names(vec![names.into()]);
        let rows = block_on(async {
            let to = std::slice::from_ref(&pair.to);
            let planned = plan_installers(&pair.context, &pair.from, to, &choice, false).await.unwrap();
            pair.run(planned, &RunOptions::default()).await
        });
        let row = rows.into_iter().next().unwrap().unwrap();
        assert_eq!((row.status, row.size), (status, Some(300_000)));
    };
    copy("pos*", Status::Copied);
    copy("POS 14.0", Status::Skipped);
    let there = block_on(pair.to.installers(&pair.context)).unwrap();
    assert_eq!(
        there,
        block_on(pair.from.installers(&pair.context))
            .unwrap()
            .into_iter()
            .map(|mut installer| {
                installer.published = there[0].published;
                installer
            })
            .collect::<Vec<_>>()
    );
}
