//! Who sees everything: the trace that makes two runs comparable, what must never be, and what has been met.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use uss::copy::Digest;

/// How often what was met, by name.
pub(crate) type Met = BTreeMap<&'static str, u64>;

#[derive(Clone)]
pub(crate) struct Observer(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    trace: DefaultHasher,
    /// None: not kept.
    lines: Option<Vec<String>>,
    violations: Vec<String>,
    met: Met,
    /// Every content that the source has had, by package.
    contents: HashMap<String, Vec<Digest>>,
    /// What destinations got, in time: which one, its package and the content.
    stored: Vec<(String, String, Digest)>,
    /// How much of that was there when a run began.
    began: HashMap<u32, usize>,
    /// What a run was told of its destinations' contents, by destination and package.
    told: HashMap<(u32, String, String), String>,
    /// Successful uploads, by destination, package and run.
    uploads: HashMap<(String, String, u32), Vec<u64>>,
}

impl Observer {
    pub(crate) fn new(keep_lines: bool) -> Self {
        Self(Arc::new(Mutex::new(Seen { lines: keep_lines.then(Vec::new), ..Seen::default() })))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// An event of the trace.
    pub(crate) fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        let at = now();
        let line = format!("{:>6} ms {who}: {what}", at.as_millis());
        let mut seen = self.seen();
        line.hash(&mut seen.trace);
        if let Some(lines) = &mut seen.lines {
            lines.push(line);
        }
    }

    /// Something that must never be.
    pub(crate) fn violated(&self, what: impl Into<String>) {
        let what = what.into();
        self.note("VIOLATED", format_args!("{what}"));
        self.seen().violations.push(what);
    }

    pub(crate) fn met(&self, what: &'static str) {
        *self.seen().met.entry(what).or_default() += 1;
    }

    pub(crate) fn source_has(&self, package: &str, digest: Digest) {
        self.seen().contents.entry(package.to_owned()).or_default().push(digest);
    }

    /// Whether the source has, or had, this content.
    pub(crate) fn is_right(&self, package: &str, digest: Digest) -> bool {
        self.seen().contents.get(package).is_some_and(|all| all.contains(&digest))
    }

    pub(crate) fn stores(&self, destination: &str, package: &str, digest: Digest) {
        self.seen().stored.push((destination.to_owned(), package.to_owned(), digest));
    }

    pub(crate) fn begins(&self, run: u32) {
        let mut seen = self.seen();
        let now = seen.stored.len();
        seen.began.insert(run, now);
    }

    /// Whether a destination had this content at any time since the run began: another run may have replaced it.
    pub(crate) fn had(&self, run: u32, destination: &str, package: &str, digest: Digest) -> bool {
        let seen = self.seen();
        let began = seen.began.get(&run).copied().unwrap_or_default();
        let (before, since) = seen.stored.split_at(began);
        let is_it = |(there, id, _): &&(String, String, Digest)| there == destination && id == package;
        before.iter().rfind(is_it).into_iter().chain(since.iter().filter(is_it)).any(|(.., had)| *had == digest)
    }

    /// A destination told a run of a content's digest.
    pub(crate) fn told(&self, run: u32, destination: &str, package: &str, digest: &str) {
        self.seen().told.insert((run, destination.to_owned(), package.to_owned()), digest.to_owned());
    }

    /// What planned a run knows nothing of the contents' own digests.
    pub(crate) fn plan_ends(&self, run: u32) {
        self.seen().told.retain(|(other, ..), _| *other != run);
    }

    /// A run sends a content: a waste where it was told that these bytes are there.
    pub(crate) fn sends(&self, run: u32, destination: &str, package: &str, digest: Option<&str>) {
        let told = self.seen().told.get(&(run, destination.to_owned(), package.to_owned())).cloned();
        if digest.is_some() && told.as_deref() == digest {
            self.violated(format!("run {run} sent {package} to {destination}, which had told that it is there"));
        }
    }

    /// Notes an upload that ended well; false: there was another one, of the same run.
    pub(crate) fn uploaded_once(&self, destination: &str, package: &str, run: u32, request: u64) -> bool {
        let mut seen = self.seen();
        let all = seen.uploads.entry((destination.to_owned(), package.to_owned(), run)).or_default();
        all.push(request);
        all.iter().all(|other| *other == request)
    }

    pub(crate) fn is_violated(&self) -> bool {
        !self.seen().violations.is_empty()
    }

    pub(crate) fn end(&self) -> End {
        let mut seen = self.seen();
        End {
            trace: seen.trace.finish(),
            violations: std::mem::take(&mut seen.violations),
            met: std::mem::take(&mut seen.met),
            lines: seen.lines.take().unwrap_or_default(),
        }
    }
}

/// How a schedule ended.
pub(crate) struct End {
    pub(crate) trace: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) met: Met,
    pub(crate) lines: Vec<String>,
}

/// Simulated time; nothing while no host runs.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
