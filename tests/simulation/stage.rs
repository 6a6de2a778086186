//! Plays a schedule: the servers, the client that people start again until all is done, and what goes wrong meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;
use turmoil::Sim;
use uss::copy::{CopyResult, Digest, MemoryJournal, PlanOptions, Request, Retries, RunOptions, Status, plan, run};
use uss::log::{Log, LogLevel, LogRecord};
use uss::operation::Context;
use uss::{Error, ErrorKind};

use super::ends::{End, Way};
use super::observer::{self, Observer};
use super::schedule::{CLIENT, Event, Habits, SOURCE, Schedule};
use super::server::serve;
use super::store::Store;

/// One step of the network. Within it each host's time still goes on by milliseconds.
const TICK: Duration = Duration::from_millis(20);

/// No run may take longer once all is well, and none before for longer than the faults and this.
const LONGEST: Duration = Duration::from_secs(60);

/// Plays the schedule. `keep_lines`: all that happens is kept as text.
pub(crate) fn play(schedule: Schedule, keep_lines: bool) -> observer::End {
    let observer = Observer::new(keep_lines);
    let mut network = turmoil::Builder::new();
    network
        .rng_seed(schedule.seed)
        .tick_duration(TICK)
        .simulation_duration(LONGEST * 10)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(schedule.latency)
        .tcp_capacity(64);
    let mut stage = Stage::new(network.build(), schedule, observer.clone());
    if let Err(why) = stage.play() {
        observer.violated(why);
    }
    drop(stage);
    observer.end()
}

struct Stage<'a> {
    sim: Sim<'a>,
    schedule: Arc<Schedule>,
    observer: Observer,
    source: Store,
    stores: BTreeMap<String, Store>,
    client: Arc<Client>,
}

impl Stage<'_> {
    fn new(mut sim: Sim<'_>, schedule: Schedule, observer: Observer) -> Stage<'_> {
        let graph = Arc::new(schedule.packages.clone());
        let mut stores = BTreeMap::new();
        for (number, side) in std::iter::once(&schedule.source).chain(&schedule.destinations).enumerate() {
            let store = Store::new(schedule.seed ^ number as u64, side, graph.clone(), observer.clone());
            let (software, chunk) = (store.clone(), schedule.chunk);
            sim.host(side.host.as_str(), move || serve(software.clone(), chunk));
            stores.insert(side.host.clone(), store);
        }
        let schedule = Arc::new(schedule);
        let client = Arc::new(Client::new(schedule.clone(), stores.clone(), observer.clone()));
        let mut stage = Stage { sim, source: stores[SOURCE].clone(), stores, client, observer, schedule };
        stage.fill();
        let client = stage.client.clone();
        stage.sim.host(CLIENT, move || client.clone().live());
        stage.client.start();
        stage
    }

    /// What is there before anyone copies.
    fn fill(&mut self) {
        let schedule = self.schedule.clone();
        for place in 0..schedule.packages.len() {
            let content = self.source.renew(&schedule.packages[place].id);
            for side in &schedule.destinations {
                if side.has_other.contains(&place) {
                    let other = Bytes::from(format!("other than {}", schedule.packages[place].id));
                    self.stores[&side.host].put(&schedule.packages[place].id, other);
                } else if side.has.contains(&place) {
                    self.stores[&side.host].put(&schedule.packages[place].id, content.clone());
                }
            }
        }
    }

    fn play(&mut self) -> Result<(), String> {
        for (at, event) in self.schedule.events.clone() {
            // Where all is copied, nobody is there to whom waiting would make a difference.
            self.until(|stage| stage.sim.elapsed() >= at || !stage.client.is_working())?;
            self.happens(&event);
        }
        let healed = self.schedule.healed;
        self.until(|stage| stage.sim.elapsed() >= healed || !stage.client.is_working())?;
        self.heal();
        if self.schedule.killed_when_healed {
            self.kill_client();
        } else {
            self.client.is_last.store(true, Ordering::Relaxed);
            self.until(|stage| !stage.client.is_working())?;
        }
        // Whatever happened before: started again, it copies everything.
        self.client.is_last.store(true, Ordering::Relaxed);
        self.client.must_succeed.store(true, Ordering::Relaxed);
        self.client.start();
        self.until(|stage| !stage.client.is_working())?;
        self.is_all_there();
        Ok(())
    }

    /// Lets time go on until `done`, for a bounded time.
    fn until(&mut self, done: impl Fn(&mut Self) -> bool) -> Result<(), String> {
        let end = self.sim.elapsed() + LONGEST;
        while !done(self) {
            if self.observer.is_violated() {
                return Err("the schedule ended there".into());
            }
            if self.sim.elapsed() > end {
                return Err(format!("after {} s the client still works", LONGEST.as_secs()));
            }
            self.sim.step().map_err(|error| format!("a host failed: {error}"))?;
        }
        Ok(())
    }

    fn happens(&mut self, event: &Event) {
        self.observer.note("network", format_args!("{:?} {event:?}", self.sim.elapsed()));
        match event {
            Event::Hold { host } => self.sim.hold(CLIENT, host.as_str()),
            Event::Release { host } => self.sim.release(CLIENT, host.as_str()),
            Event::Partition { host } => self.sim.partition(CLIENT, host.as_str()),
            Event::PartitionOneWay { from, to } => self.sim.partition_oneway(from.as_str(), to.as_str()),
            Event::Repair { host } => self.repair(host),
            Event::Lossy { host } => self.sim.set_link_fail_rate(CLIENT, host.as_str(), 0.05),
            Event::Crash { host } => {
                self.sim.crash(host.as_str());
                self.stores[host].crash();
            }
            Event::Restart { host } => self.restart(host),
            Event::KillClient => {
                self.kill_client();
                self.client.start();
            }
            Event::Change { package } => drop(self.source.renew(&self.schedule.packages[*package].id)),
            Event::Expire { host } => self.stores[host].expire(),
        }
        let name = match event {
            Event::Hold { .. } => "messages were held",
            Event::Release { .. } => "messages were released",
            Event::Partition { .. } => "a network was cut",
            Event::PartitionOneWay { .. } => "a network was cut in one direction",
            Event::Repair { .. } => "a network was repaired",
            Event::Lossy { .. } => "a network lost messages",
            Event::Crash { .. } => "a server crashed",
            Event::Restart { .. } => "a server was restarted",
            Event::KillClient => "the client died",
            Event::Change { .. } => "the source changed",
            Event::Expire { .. } => "uploads were to expire",
        };
        self.observer.met(name);
    }

    fn repair(&self, host: &str) {
        self.sim.repair(CLIENT, host);
    }

    fn restart(&mut self, host: &str) {
        if !self.sim.is_host_running(host) {
            self.sim.bounce(host);
        }
    }

    fn kill_client(&mut self) {
        if self.client.is_working() {
            self.observer.met("the client died in its work");
        }
        self.client.kill();
    }

    /// From now on nothing goes wrong any more.
    fn heal(&mut self) {
        self.observer.note("network", format_args!("{:?} is well", self.sim.elapsed()));
        for host in self.stores.keys().cloned().collect::<Vec<_>>() {
            self.sim.set_link_fail_rate(CLIENT, host.as_str(), 0.0);
            self.sim.release(CLIENT, host.as_str());
            self.repair(&host);
            self.restart(&host);
            self.stores[&host].heal();
        }
        self.client.ways.values().for_each(|way| way.doubles.lock().unwrap().clear());
    }

    fn is_all_there(&self) {
        let packages = &self.schedule.packages;
        let mut needed: Vec<usize> = self.schedule.requested.clone();
        let mut next = 0;
        while let Some(place) = needed.get(next) {
            needed.extend(&packages[*place].needs);
            next += 1;
        }
        for side in &self.schedule.destinations {
            for place in &needed {
                let id = &packages[*place].id;
                if self.stores[&side.host].package(id) != self.source.package(id) {
                    self.observer.violated(format!("{id} is not on {} at the end", side.host));
                }
            }
        }
    }
}

/// The client's process, and who starts it again when it failed.
struct Client {
    schedule: Arc<Schedule>,
    stores: BTreeMap<String, Store>,
    ways: BTreeMap<String, Arc<Way>>,
    observer: Observer,
    /// What lasts when a process dies.
    journal: MemoryJournal,
    runs: AtomicU32,
    /// Which of its processes is to run; none: it is dead, or has ended.
    process: watch::Sender<Option<u32>>,
    /// It is not started again.
    is_last: AtomicBool,
    must_succeed: AtomicBool,
}

impl Client {
    fn new(schedule: Arc<Schedule>, stores: BTreeMap<String, Store>, observer: Observer) -> Self {
        let way = |side: &Habits| {
            let doubles = Mutex::new(side.doubles.iter().copied().collect());
            (side.host.clone(), Arc::new(Way { doubles, ..Way::default() }))
        };
        let ways = std::iter::once(&schedule.source).chain(&schedule.destinations).map(way).collect();
        let (is_last, must_succeed) = Default::default();
        let (process, journal) = (watch::Sender::new(None), MemoryJournal::default());
        Self { schedule, stores, ways, observer, journal, process, runs: AtomicU32::new(0), is_last, must_succeed }
    }

    fn is_working(&self) -> bool {
        self.process.borrow().is_some()
    }

    /// Starts a new process, once the one before is dead.
    fn start(&self) {
        self.process.send_replace(Some(self.runs.load(Ordering::Relaxed)));
    }

    /// Drops all that the process does, wherever it is.
    fn kill(&self) {
        self.process.send_replace(None);
    }

    /// The machine that the processes run on. It is not the host that dies: its tasks would be dropped in an order
    /// that depends on what else this test runs.
    async fn live(self: Arc<Self>) -> turmoil::Result {
        let mut process = self.process.subscribe();
        loop {
            let now = *process.borrow_and_update();
            tokio::select! {
                biased;
                changed = process.changed() => changed?,
                () = self.work(), if now.is_some() => drop(self.process.send_replace(None)),
            }
        }
    }

    async fn work(&self) {
        if self.schedule.twins {
            self.observer.met("two copied the same at once");
            tokio::join!(biased; self.copy_until_it_succeeds(), self.copy_until_it_succeeds());
        } else {
            self.copy_until_it_succeeds().await;
        }
    }

    async fn copy_until_it_succeeds(&self) {
        loop {
            let number = self.runs.fetch_add(1, Ordering::Relaxed);
            let failed = self.copy(number).await;
            if failed.is_empty() || self.is_last.load(Ordering::Relaxed) {
                if self.must_succeed.load(Ordering::Relaxed) {
                    failed.iter().for_each(|error| self.observer.violated(format!("run {number} failed: {error:?}")));
                }
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    fn end(&self, side: &Habits, run: u32) -> End {
        let way = self.ways[&side.host].clone();
        End { host: side.host.clone(), run, observer: self.observer.clone(), way }
    }

    /// One copy, as `Copy-UssPackageFromServer` makes it. Gives what failed.
    async fn copy(&self, number: u32) -> Vec<Error> {
        self.observer.begins(number);
        let schedule = &self.schedule;
        let context = Context::new(Log::new(LogLevel::Verbose));
        let source = self.end(&schedule.source, number);
        let destinations: Vec<End> = schedule.destinations.iter().map(|side| self.end(side, number)).collect();
        let request =
            |place: &usize| Request { package_id: schedule.packages[*place].id.clone(), version_query: String::new() };
        let requests: Vec<Request> = schedule.requested.iter().map(request).collect();
        let options = PlanOptions { force: schedule.force, ..PlanOptions::default() };
        let planned = match plan(&context, &source, &destinations, &requests, &options).await {
            Ok(planned) => planned,
            Err(problems) => {
                self.observer.note(CLIENT, format_args!("run {number} has no plan: {problems:?}"));
                return problems;
            }
        };
        self.observer.plan_ends(number);
        let expected = planned.rows().len();
        let options = RunOptions {
            throttle_limit: schedule.throttle_limit,
            max_bytes_per_second: schedule.max_bytes_per_second,
            buffer: schedule.buffer,
            stall: Duration::from_secs(1),
            retries: Retries {
                tries: 8,
                first_wait: Duration::from_millis(20),
                longest_wait: Duration::from_millis(500),
                seed: Some(schedule.seed),
            },
            lag: Duration::from_millis(300),
            clean_up: false,
            hash_inline: true,
        };
        let rows = Mutex::new((0, Vec::new()));
        let ran = run(&context, planned, &self.journal, &options, |row| {
            let failed = self.row(number, row);
            let mut rows = rows.lock().unwrap();
            rows.0 += 1;
            rows.1.extend(failed);
        });
        let ran = ran.await;
        for record in context.log().drain() {
            let line = match record {
                LogRecord::Verbose(line) | LogRecord::Warning(line) => line,
                _ => continue,
            };
            if line.ends_with("This one waits for it.") {
                self.observer.met("another run was waited for");
            }
            if line.contains("is served on its own from now on") {
                self.observer.met("a destination left its group");
            }
            self.observer.note(CLIENT, format_args!("run {number} told: {line}"));
        }
        let (told, mut failed) = rows.into_inner().unwrap();
        if let Err(error) = ran {
            failed.push(error);
        } else if told != expected {
            self.observer.violated(format!("run {number} told {told} rows of {expected}"));
        }
        failed
    }

    /// What a row says must be so.
    fn row(&self, run: u32, row: Result<CopyResult, Error>) -> Option<Error> {
        match row {
            Err(error) => {
                self.observer.note(CLIENT, format_args!("run {run} failed: {error:?}"));
                if error.kind() == ErrorKind::Internal {
                    self.observer.violated(format!("run {run} met a defect: {error:?}"));
                }
                Some(error)
            }
            Ok(row) => {
                let CopyResult { id, destination, status, size, sha256, .. } = &row;
                self.observer.note(CLIENT, format_args!("run {run}: {id} {status:?} on {destination}, {size:?} B"));
                self.observer.met(match status {
                    Status::Copied => "a package was copied",
                    Status::Skipped => "a package was skipped",
                    Status::Replaced => "a package was replaced",
                    _ => "a row of a plan",
                });
                // What it proved, or what is there: another run may have replaced it meanwhile.
                let there = self.stores[destination].package(id).map(|(_, digest)| digest);
                let told = sha256.as_deref().and_then(Digest::parse);
                let right = told.or(there).is_some_and(|content| self.observer.is_right(id, content));
                if !right || told.is_some_and(|told| !self.observer.had(run, destination, id, told)) {
                    self.observer.violated(format!("run {run} told that {id} was {status:?}: {told:?}, not {there:?}"));
                }
                None
            }
        }
    }
}
