//! Copies of what is large enough to be gone on with, with everything that goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::between::Between;
use support::pair::{MEGABYTE, Pair, impatient, planned, rows, slow};
use support::{block_on, client, context, verbose_lines};
use uss::ErrorKind;
use uss::copy::{InstallerChoice, MemoryJournal, RunOptions, Status, plan_installers};

/// What is on its way when a slowed copy breaks some times, heads of requests and answers included: a fault takes a
/// tenth of a second, and more on a busy machine. To start again would take twice as much at least.
const LITTLE: u64 = 8 * MEGABYTE;

const CONTENT: &str = "GET /api/v1/Packages/content";

fn faults(server: &support::Server, rules: Value) {
    server.fault(rules);
}

#[test]
fn a_source_that_breaks_is_spliced_into_the_same_upload_and_nothing_is_sent_twice() {
    let pair = Pair::start();
    let size = pair.add_large("app", 24);
    faults(
        &pair.a,
        json!([
            { "path": "/content", "action": { "reset": 10_000_001 } },
            { "path": "/content", "action": { "reset": 7 } },
            { "path": "/content", "action": { "reset": 5_000_000 } },
        ]),
    );
    let (down, up) = (pair.before_a.down(), pair.before_b.up());
    let row = pair.copy_one("app").unwrap();
    assert_eq!((row.status, row.bytes_sent), (Status::Copied, size));
    assert!(pair.before_a.down() - down < size + MEGABYTE / 4, "the source was read anew");
    assert!(pair.before_b.up() - up < size + MEGABYTE / 4, "the destination was sent something twice");
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH")), (1, 1));
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_source_that_stalls_is_left_and_spliced_into_the_same_upload() {
    let pair = Pair::start();
    let size = pair.add_large("app", 24);
    faults(&pair.a, json!({ "path": "/content", "action": { "stall": 12_000_000 } }));
    let row = pair.copy_one_with("app", &RunOptions { stall: Duration::from_millis(500), ..impatient() }).unwrap();
    assert_eq!((row.status, row.bytes_sent, pair.uploads("PATCH")), (Status::Copied, size, 1));
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_destination_that_breaks_is_sent_only_what_it_lacks() {
    let pair = Pair::start();
    let size = pair.add_large("app", 24);
    for place in [9_000_000, 7_654_321, 100] {
        pair.fault_patch("request", &json!({ "reset": place }));
    }
    let up = pair.before_b.up();
    let row = pair.copy_one_with("app", &slow(8)).unwrap();
    assert_eq!(row.status, Status::Copied);
    let again = (row.bytes_sent - size, pair.before_b.up() - up - size);
    assert!(again.0 < LITTLE && again.1 < LITTLE, "again: {again:?}");
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH"), pair.a.requests(CONTENT)), (1, 4, 4));
    let lines = verbose_lines(&pair.context);
    assert!(lines.iter().any(|line| line.starts_with("app 1.0.0: goes on at byte 9000000 ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("app 1.0.0: goes on at byte 16654321 ")), "{lines:#?}");
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_destination_that_takes_nothing_more_is_left_and_gone_on_with() {
    let pair = Pair::start();
    let size = pair.add_large("app", 32);
    pair.fault_patch("request", &json!({ "stall": 5_000_000 }));
    let options = RunOptions { stall: Duration::from_millis(700), ..slow(64) };
    let row = pair.copy_one_with("app", &options).unwrap();
    assert_eq!((row.status, pair.uploads("POST")), (Status::Copied, 1));
    assert!(row.bytes_sent < 2 * size, "it went on");
    assert!(pair.is_the_same("app"));
}

#[test]
fn an_answer_that_is_lost_after_the_last_byte_is_a_success() {
    let pair = Pair::start();
    let size = pair.add_large("app", 20);
    pair.fault_patch("response", &json!("forget"));
    let row = pair.copy_one("app").unwrap();
    assert_eq!((row.status, row.bytes_sent), (Status::Copied, size));
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH")), (1, 1));
    assert!(pair.is_the_same("app"));
}

#[test]
fn a_gateway_that_answers_in_the_destinations_place_is_waited_for() {
    let pair = Pair::start();
    pair.add_large("app", 20);
    let page = json!({ "status": { "code": 502, "contentType": "text/html", "body": "<title>Bad gateway</title>" } });
    pair.fault_patch("response", &page);
    pair.fault_patch("response", &json!({ "status": { "code": 503, "retryAfter": "1" } }));
    pair.fault_patch("response", &json!({ "status": { "code": 423 } }));
    pair.fault_patch("response", &json!({ "status": { "code": 409 } }));
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH")), (1, 5));
    assert!(pair.is_the_same("app"));
}

#[test]
fn an_upload_that_is_gone_is_begun_anew() {
    let pair = Pair::start();
    pair.add_large("app", 24);
    pair.fault_patch("request", &json!({ "reset": 9_000_000 }));
    faults(&pair.b, json!({ "method": "HEAD", "path": "/Uploads/", "action": { "status": { "code": 410 } } }));
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH")), (2, 2));
    assert!(pair.is_the_same("app"));
}

#[test]
fn bearers_that_end_during_a_transfer_are_renewed_and_nothing_is_sent_again() {
    let pair = Pair::start();
    let size = pair.add_large("app", 28);
    for place in [9_000_000, 8_000_000, 7_000_000] {
        pair.fault_patch("request", &json!({ "reset": place }));
        pair.fault_patch("response", &json!("expireBearers"));
    }
    faults(
        &pair.a,
        json!([
            { "path": "/content", "action": { "reset": 20_000_000 } },
            { "path": "/content", "action": "expireBearers" },
        ]),
    );
    let (of_a, of_b) = (pair.a.exchanges(), pair.b.exchanges());
    let row = pair.copy_one_with("app", &slow(8)).unwrap();
    assert_eq!(row.status, Status::Copied);
    // A buffer each was on its way when its bearer was refused; to start again would take nine times as much.
    assert!(row.bytes_sent - size < LITTLE, "{} bytes were sent again", row.bytes_sent - size);
    assert_eq!(pair.uploads("POST"), 1);
    // One sign-in for the plan, and one for each bearer that ended.
    assert_eq!((pair.a.exchanges() - of_a, pair.b.exchanges() - of_b), (1, 4));
    assert!(pair.is_the_same("app"));
}

#[test]
fn content_that_changed_in_the_middle_is_never_published_and_its_upload_is_removed() {
    let pair = Pair::start();
    pair.add_large("app", 24);
    faults(
        &pair.a,
        json!([
            { "path": "/content", "action": { "reset": 10_000_000 } },
            { "path": "/content", "action": "change" },
        ]),
    );
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::SourceChanged);
    assert!(pair.is_absent("app"));
    let addresses = pair.upload_addresses();
    assert_eq!((addresses.len(), pair.journal.len()), (1, 0));
    assert_eq!(block_on(pair.to.upload_offset(&pair.context, &addresses[0])).unwrap(), None);
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
}

#[test]
fn bytes_that_changed_on_the_way_are_never_published() {
    let pair = Pair::start();
    pair.add_large("app", 20);
    faults(&pair.a, json!({ "path": "/content", "action": { "corrupt": 12_345_678 } }));
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert!(pair.is_absent("app"));
    pair.fault_patch("request", &json!({ "corrupt": 12_345_678 }));
    assert_eq!(pair.copy_one("app").unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert!(pair.is_absent("app"));
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert!(pair.is_the_same("app"));
}

#[test]
fn what_was_damaged_before_a_break_is_found_out_and_sent_anew() {
    let pair = Pair::start();
    pair.add_large("app", 24);
    // The destination has the damaged bytes when the second PATCH goes on after them.
    pair.fault_patch("request", &json!({ "corrupt": 1_000_000 }));
    faults(&pair.a, json!({ "path": "/content", "action": { "reset": 10_000_000 } }));
    let context = pair.context.clone();
    let cut = RunOptions { retries: uss::copy::Retries { tries: 0, ..impatient().retries }, ..slow(64) };
    assert_eq!(pair.copy_one_with("app", &cut).unwrap_err().kind(), ErrorKind::ConnectionFailed);
    assert_eq!(pair.journal.len(), 1);
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!((pair.uploads("POST"), pair.journal.len()), (2, 0));
    assert!(pair.is_the_same("app"));
    let lines = verbose_lines(&context);
    assert!(lines.iter().any(|line| line.contains("of the upload that an earlier run began")), "{lines:#?}");
}

#[test]
fn a_server_whose_clock_is_years_off_is_signed_in_to_once_and_gone_on_with() {
    // The weekdays are the same again after 28 years.
    for years in [-28, 28] {
        let pair = Pair::start();
        let size = pair.add_large("app", 24);
        let (before_a, before_b) = (Between::skewed(pair.a.port(), years), Between::skewed(pair.b.port(), -years));
        let from = client(before_a.url(), "eve", &pair.a.admin("eve"));
        let to = client(before_b.url(), "eve", &pair.b.admin("eve"));
        let session = block_on(to.connect(&pair.context)).unwrap();
        let off = (session.token_expires - jiff::Timestamp::now()).as_secs() / (365 * 24 * 3600);
        assert!((off + i64::from(years)).abs() <= 1, "the clock is not off: {}", session.token_expires);
        pair.fault_patch("request", &json!({ "reset": 9_000_000 }));
        faults(&pair.a, json!({ "path": "/content", "action": { "reset": 15_000_000 } }));
        let (of_a, of_b) = (pair.a.exchanges(), pair.b.exchanges());
        let rows = block_on(async {
            let planned = planned(&pair.context, &from, &to, &["app"]).await.unwrap();
            rows(&pair.context, planned, &pair.journal, &slow(64)).await
        });
        let row = rows[0].as_ref().unwrap();
        assert_eq!((row.status, row.size), (Status::Copied, Some(size)));
        assert_eq!((pair.a.exchanges() - of_a, pair.b.exchanges() - of_b), (1, 0));
        assert!(pair.is_the_same("app"));
    }
}

#[test]
fn two_machines_that_copy_the_same_at_once_both_end_well() {
    let pair = Pair::start();
    let size = pair.add_large("app", 24);
    let (one, other) = (context(), context());
    let ends = block_on(async {
        let plans = [&one, &other].map(|context| planned(context, &pair.from, &pair.to, &["app"]));
        let [one_plan, other_plan] = futures_util::future::join_all(plans).await.try_into().unwrap();
        let journals = (MemoryJournal::default(), MemoryJournal::default());
        let options = slow(64);
        let ours = rows(&one, one_plan.unwrap(), &journals.0, &options);
        let theirs = rows(&other, other_plan.unwrap(), &journals.1, &options);
        let (ours, theirs) = tokio::join!(ours, theirs);
        [ours, theirs].map(|mut rows| rows.remove(0).unwrap())
    });
    let mut statuses = ends.map(|row| (row.status, row.size));
    statuses.sort_by_key(|(status, _)| *status != Status::Copied);
    assert_eq!(statuses, [(Status::Copied, Some(size)), (Status::Skipped, Some(size))]);
    assert!(pair.is_the_same("app"));
}

#[test]
fn an_installer_is_gone_on_with_as_a_package_is() {
    let pair = Pair::start();
    let file = pair.a.data().join("Setup.exe");
    let bytes: Vec<u8> = (0..20 * MEGABYTE).map(|n| (n * 31 % 251) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    pair.a.run(&[
        "installer",
        "add",
        file.to_str().unwrap(),
        "--name",
        "POS ä",
        "--package-id",
        "pos",
        "--version",
        "1.0",
    ]);
    pair.fault_patch("request", &json!({ "reset": 9_000_000 }));
    let rows = block_on(async {
        let choice = InstallerChoice::Names(vec!["POS ä".into()]);
        let to = std::slice::from_ref(&pair.to);
        let planned = plan_installers(&pair.context, &pair.from, to, &choice, false).await.unwrap();
        rows(&pair.context, planned, &pair.journal, &slow(64)).await
    });
    assert_eq!(rows[0].as_ref().unwrap().status, Status::Copied);
    assert_eq!((pair.uploads("POST"), pair.uploads("PATCH")), (1, 2));
    let listed = |service: &uss::update_service::UpdateService| {
        let found = block_on(service.installers(&pair.context)).unwrap().remove(0);
        (found.id, found.name, found.package_id, found.version, found.file_name, found.size, found.sha256)
    };
    assert_eq!(listed(&pair.to), listed(&pair.from));
    pair.b.run(&["check"]);
}

#[test]
fn what_is_small_is_published_in_one_request() {
    let pair = Pair::start();
    pair.add_large("app", 15);
    assert_eq!(pair.copy_one("app").unwrap().status, Status::Copied);
    assert_eq!(["OPTIONS", "POST", "PATCH"].map(|method| pair.uploads(method)), [0, 0, 0]);
    assert!(pair.is_the_same("app"));
}
