//! Two servers, what stands between them and their clients, and copies from one to the other.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use uss::copy::{CopyResult, Journal, MemoryJournal, Plan, PlanOptions, Request, Retries, RunOptions, plan, run};
use uss::operation::Context;
use uss::update_service::UpdateService;
use uss::{Error, ErrorKind};

use super::between::Between;
use super::{Server, block_on, client, context};

pub const MEGABYTE: u64 = 1 << 20;

pub type Row = Result<CopyResult, Error>;

/// Two servers, each behind what counts its bytes, and their clients.
pub struct Pair {
    pub a: Server,
    pub b: Server,
    pub before_a: Between,
    pub before_b: Between,
    pub from: UpdateService,
    pub to: UpdateService,
    pub context: Context,
    pub journal: MemoryJournal,
}

impl Pair {
    pub fn start() -> Self {
        let (a, b) = (Server::start(), Server::start());
        let (before_a, before_b) = (Between::before(a.port()), Between::before(b.port()));
        let from = client(before_a.url(), "ada", &a.admin("ada"));
        let to = client(before_b.url(), "bob", &b.admin("bob"));
        Self { a, b, before_a, before_b, from, to, context: context(), journal: MemoryJournal::default() }
    }

    /// A package on the source, large enough for an upload of its own; gives its size.
    pub fn add_large(&self, id: &str, megabytes: u64) -> u64 {
        self.a.add_package(id, "1.0.0", &[], megabytes * MEGABYTE);
        block_on(self.from.versions(&self.context, id)).unwrap()[0].size.unwrap()
    }

    /// The plan for the newest version of a package.
    pub async fn plan(&self, id: &str, options: &PlanOptions) -> Result<Plan, Vec<Error>> {
        let request = Request { package_id: id.into(), version_query: String::new() };
        plan(&self.context, &self.from, std::slice::from_ref(&self.to), &[request], options).await
    }

    pub async fn run(&self, plan: Plan, options: &RunOptions) -> Vec<Row> {
        rows(&self.context, plan, &self.journal, options).await
    }

    pub fn copy(&self, id: &str, options: &RunOptions) -> Vec<Row> {
        block_on(async {
            let planned = self.plan(id, &PlanOptions::default()).await.unwrap();
            self.run(planned, options).await
        })
    }

    pub fn copy_one(&self, id: &str) -> Row {
        self.copy_one_with(id, &impatient())
    }

    pub fn copy_one_with(&self, id: &str, options: &RunOptions) -> Row {
        let mut rows = self.copy(id, options);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    /// The digests of a package's versions on both sides are the same, and the destination's blobs are whole.
    pub fn is_the_same(&self, id: &str) -> bool {
        let digests = |service: &UpdateService| {
            let versions = block_on(service.versions(&self.context, id)).unwrap();
            versions.into_iter().map(|version| (version.version, version.sha256)).collect::<HashMap<_, _>>()
        };
        self.b.run(&["check"]);
        digests(&self.from) == digests(&self.to)
    }

    pub fn is_absent(&self, id: &str) -> bool {
        let versions = block_on(self.to.versions(&self.context, id));
        versions.is_err_and(|error| error.kind() == ErrorKind::PackageNotFound)
    }

    /// How many requests to uploads of the destination there were: HEAD, PATCH, DELETE of one; POST begins one.
    pub fn uploads(&self, method: &str) -> u64 {
        self.b.requests_below(&format!("{method} /api/v1/Uploads"))
    }

    /// The addresses of all uploads that something was sent to.
    pub fn upload_addresses(&self) -> Vec<String> {
        let counts = self.b.counts();
        let paths = counts.keys().filter_map(|request| request.strip_prefix("PATCH "));
        paths.map(|path| format!("{}{path}", self.before_b.url())).collect()
    }

    /// Makes the next PATCH of the destination's uploads that nothing has befallen yet fail so.
    pub fn fault_patch(&self, on: &str, action: &Value) {
        self.b.fault(json!({ "method": "PATCH", "path": "/Uploads/", "on": on, "action": action }));
    }
}

/// Waits that fit servers of the same machine.
pub fn impatient() -> RunOptions {
    let (first_wait, longest_wait) = (Duration::from_millis(10), Duration::from_millis(200));
    RunOptions { retries: Retries { first_wait, longest_wait, ..Retries::default() }, ..RunOptions::default() }
}

/// The same, slowed down so that little is on its way at any time.
pub fn slow(megabytes_per_second: u64) -> RunOptions {
    RunOptions { max_bytes_per_second: Some(megabytes_per_second * MEGABYTE), ..impatient() }
}

/// The plan for the newest versions of these packages.
pub async fn planned(
    context: &Context,
    from: &UpdateService,
    to: &UpdateService,
    ids: &[&str],
) -> Result<Plan, Vec<Error>> {
    let request = |id: &&str| Request { package_id: (*id).into(), version_query: String::new() };
    let requests: Vec<Request> = ids.iter().map(request).collect();
    plan(context, from, std::slice::from_ref(to), &requests, &PlanOptions::default()).await
}

/// The rows of a run.
pub async fn rows<J: Journal>(context: &Context, plan: Plan, journal: &J, options: &RunOptions) -> Vec<Row> {
    let rows = Mutex::new(Vec::new());
    run(context, plan, journal, options, |row| rows.lock().unwrap().push(row)).await.unwrap();
    rows.into_inner().unwrap()
}
