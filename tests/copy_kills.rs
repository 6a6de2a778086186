//! Processes that are killed at random bytes of a copy, hundreds of times: the client, the destination, the source.
//!
//! The seed is printed; `USS_TEST_SEED` takes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use support::between::Between;
use support::pair::{MEGABYTE, Row, planned, rows, slow};
use support::{Server, block_on, client, context};
use uss::copy::{FolderJournal, MemoryJournal, Retries, RunOptions, Status};
use uss::update_service::UpdateService;

/// `app` needs the others, and must never be seen without them.
const IDS: [&str; 3] = ["app", "base", "tools"];

/// What a client process is told.
#[derive(Serialize, Deserialize)]
struct Order {
    source: (String, String),
    destination: (String, String),
    journal: String,
    megabytes_per_second: u64,
}

/// The variable that holds it.
const ORDER: &str = "USS_TEST_COPY_ORDER";

/// What the client process does: `start` runs a test of this file anew, which then comes here.
fn be_the_client(order: &str) {
    let order: Order = serde_json::from_str(order).unwrap();
    let open = |(url, token): &(String, String)| client(url, "ada", token);
    let (from, to) = (open(&order.source), open(&order.destination));
    let context = context();
    let ended = block_on(async {
        let planned = planned(&context, &from, &to, &["app"]).await.unwrap();
        rows(&context, planned, &FolderJournal::at(&order.journal), &slow(order.megabytes_per_second)).await
    });
    assert_eq!(ended.len(), IDS.len());
    for row in ended {
        row.unwrap();
    }
}

/// Two servers, the source with three packages.
struct Site {
    source: Server,
    destination: Server,
    tokens: (String, String),
    /// What of the source is at the destination in the end.
    digests: HashMap<String, String>,
    /// Bytes of all.
    size: u64,
    random: StdRng,
}

impl Site {
    fn start(megabytes: u64) -> Self {
        let (source, destination) = (Server::start(), Server::start());
        let tokens = (source.admin("ada"), destination.admin("ada"));
        source.add_package("base", "1.0.0", &[], megabytes * MEGABYTE);
        source.add_package("tools", "1.0.0", &[], megabytes * MEGABYTE);
        source.add_package("app", "1.0.0", &["base=", "tools="], megabytes * MEGABYTE);
        let from = source.client("ada", &tokens.0);
        let (mut digests, mut size) = (HashMap::new(), 0);
        for id in IDS {
            let version = block_on(from.versions(&context(), id)).unwrap().remove(0);
            size += version.size.unwrap();
            digests.insert(id.to_owned(), version.sha256.unwrap());
        }
        let seed = std::env::var("USS_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        println!("USS_TEST_SEED={seed}");
        Self { source, destination, tokens, digests, size, random: StdRng::seed_from_u64(seed) }
    }

    fn at_destination(&self) -> UpdateService {
        self.destination.client("ada", &self.tokens.1)
    }

    /// What is there is whole, and never without what it needs. Gives how many packages are there.
    fn watch(&self) -> usize {
        let ids = IDS.map(str::to_owned);
        let found = block_on(self.at_destination().versions_of(&context(), &ids)).unwrap();
        for (id, versions) in &found {
            assert_eq!(versions.len(), 1);
            assert_eq!(versions[0].sha256.as_ref(), Some(&self.digests[id]), "{id}");
        }
        assert!(!found.contains_key("app") || found.len() == IDS.len(), "app is there without what it needs");
        found.len()
    }

    /// All is there and right.
    fn is_done(&self) {
        assert_eq!(self.watch(), IDS.len());
        self.destination.run(&["check"]);
    }

    /// Removes all from the destination, so that it is copied again.
    fn begin_anew(&self) {
        for id in IDS {
            block_on(self.at_destination().delete(&context(), id, "1.0.0")).unwrap();
        }
    }

    /// Copies again and again until a server was killed so often; gives how many copies that took.
    fn kill(&mut self, kills: u64, server: &KillAfter<'_>) -> u64 {
        let (mut killed, mut rounds) = (0, 0);
        while killed < kills {
            let copy = (server.start)(self);
            loop {
                let at = (server.passed)() + self.random.random_range(0..server.bytes);
                if killed == kills || !copy.wait_for(|| (server.passed)() >= at) {
                    break;
                }
                (server.restart)(self);
                killed += 1;
                self.watch();
            }
            copy.end();
            self.is_done();
            rounds += 1;
            if killed < kills {
                self.begin_anew();
            }
        }
        rounds
    }
}

/// When a server is killed: after at most so many more bytes.
struct KillAfter<'a> {
    bytes: u64,
    /// Bytes so far.
    passed: &'a dyn Fn() -> u64,
    start: &'a dyn Fn(&Site) -> Copy,
    restart: &'a dyn Fn(&mut Site),
}

#[test]
fn a_client_that_is_killed_at_any_byte_goes_on_where_it_was() {
    const KILLS: u64 = 200;
    if let Ok(order) = std::env::var(ORDER) {
        return be_the_client(&order);
    }
    let mut site = Site::start(32);
    let before_destination = Between::before(site.destination.port());
    let folder = tempfile::tempdir().unwrap();
    let order = Order {
        source: (site.source.url().into(), site.tokens.0.clone()),
        destination: (before_destination.url().into(), site.tokens.1.clone()),
        journal: folder.path().join("journal").to_str().unwrap().into(),
        megabytes_per_second: 32,
    };
    let (mut kills, mut rounds) = (0, 0);
    let began = Instant::now();
    while kills < KILLS {
        let mut process = start(&order, folder.path());
        let from = before_destination.up();
        // Some die before the first byte, some anywhere, so many that one copy takes about all of them.
        let (bytes, time) = match site.random.random_range(0..8) {
            0 => (u64::MAX, Duration::from_millis(site.random.random_range(0..100))),
            _ => (site.random.random_range(0..2 * site.size / KILLS), Duration::from_secs(60)),
        };
        let started = Instant::now();
        let killed = loop {
            if before_destination.up() - from >= bytes || started.elapsed() >= time {
                process.kill().unwrap();
                let status = process.wait().unwrap();
                break !status.success();
            }
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "{}", log(folder.path()));
                break false;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "nothing moves: {}", log(folder.path()));
            sleep(Duration::from_millis(1));
        };
        kills += u64::from(killed);
        site.watch();
        if !killed {
            site.is_done();
            site.begin_anew();
            rounds += 1;
        }
    }
    let status = start(&Order { megabytes_per_second: 4096, ..order }, folder.path()).wait().unwrap();
    assert!(status.success(), "{}", log(folder.path()));
    site.is_done();
    let (sent, needed) = (before_destination.up(), (rounds + 1) * site.size);
    let again = sent - needed;
    let (seconds, percent) = (began.elapsed().as_secs_f64(), again as f64 * 100.0 / needed as f64);
    println!("{kills} kills in {seconds:.1} s; {again} bytes of {needed} sent again ({percent:.2} %)");
    assert!(again <= needed / 50, "more than 2 % were sent again");
    let left = std::fs::read_dir(folder.path().join("journal")).unwrap().count();
    assert_eq!(left, 0, "the journal still has something of what is done");
}

fn start(order: &Order, folder: &Path) -> Child {
    let log = File::create(folder.join("client.log")).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["a_client_that_is_killed_at_any_byte_goes_on_where_it_was", "--exact", "--nocapture"])
        .env(ORDER, serde_json::to_string(order).unwrap())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("client.log")).unwrap()
}

/// A server that comes back in a moment is waited for.
fn patient() -> RunOptions {
    let (first_wait, longest_wait) = (Duration::from_millis(5), Duration::from_millis(100));
    RunOptions {
        retries: Retries { tries: 200, first_wait, longest_wait, ..Retries::default() },
        ..RunOptions::default()
    }
}

/// A copy of all in this process.
struct Copy {
    ended: tokio::task::JoinHandle<()>,
    rows: Arc<Mutex<Vec<Row>>>,
}

impl Copy {
    fn start(from: UpdateService, to: UpdateService) -> Self {
        let kept: Arc<Mutex<Vec<Row>>> = Arc::default();
        let rows = kept.clone();
        let copy = async move {
            let context = context();
            let planned = planned(&context, &from, &to, &["app"]).await.unwrap();
            let ended = self::rows(&context, planned, &MemoryJournal::default(), &patient()).await;
            *rows.lock().unwrap() = ended;
        };
        Self { ended: uss::runtime::runtime().unwrap().spawn(copy), rows: kept }
    }

    /// All was copied.
    fn end(self) {
        block_on(self.ended).unwrap();
        let rows = self.rows.lock().unwrap();
        let statuses: Vec<_> = rows.iter().map(|row| row.as_ref().unwrap().status).collect();
        assert_eq!(statuses, [Status::Copied; IDS.len()]);
    }

    /// Waits until it has ended or `moved` says so; whether it has not ended.
    fn wait_for(&self, moved: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while !self.ended.is_finished() {
            if moved() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "nothing moves");
            sleep(Duration::from_millis(1));
        }
        false
    }
}

#[test]
fn a_destination_that_is_killed_at_any_byte_is_gone_on_with() {
    const KILLS: u64 = 100;
    let mut site = Site::start(32);
    let before_source = Between::before(site.source.port());
    let began = Instant::now();
    // A part counts when it is stored, and most are 16 MiB: a server that never lives for one gets nowhere.
    let rounds = site.kill(
        KILLS,
        &KillAfter {
            bytes: 32 * MEGABYTE,
            passed: &|| before_source.down(),
            start: &|site| Copy::start(client(before_source.url(), "ada", &site.tokens.0), site.at_destination()),
            restart: &|site| site.destination.restart(),
        },
    );
    let (seconds, read) = (began.elapsed().as_secs_f64(), before_source.down());
    println!("{KILLS} kills of the destination, {rounds} copies in {seconds:.1} s; {read} bytes read");
}

#[test]
fn a_source_that_is_killed_at_any_byte_is_read_on() {
    const KILLS: u64 = 100;
    let mut site = Site::start(24);
    let before_destination = Between::before(site.destination.port());
    let began = Instant::now();
    let rounds = site.kill(
        KILLS,
        &KillAfter {
            bytes: 2 * site.size / KILLS,
            passed: &|| before_destination.up(),
            start: &|site| {
                let to = client(before_destination.url(), "ada", &site.tokens.1);
                Copy::start(site.source.client("ada", &site.tokens.0), to)
            },
            restart: &|site| site.source.restart(),
        },
    );
    let (seconds, again) = (began.elapsed().as_secs_f64(), before_destination.up() - rounds * site.size);
    println!("{KILLS} kills of the source, {rounds} copies in {seconds:.1} s; {again} bytes sent again");
    assert!(again < rounds * MEGABYTE / 4, "more than the heads of requests was sent");
}
