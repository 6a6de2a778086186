//! Runs a plan: what starts when, a row as each content ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::patience::Retries;
use super::plan::{Action, Item, Plan};
use super::rate_limit::RateLimit;
use super::relay::{Job, deliver};
use super::{CopyResult, Destination, Source, Status};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};

/// How a plan is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Transfers at once, over all destinations.
    pub throttle_limit: usize,
    /// Over all transfers; none: as fast as it goes.
    pub max_bytes_per_second: Option<u64>,
    /// How long a side that we wait for may move nothing.
    pub stall: Duration,
    /// How often and how soon transfers try again.
    pub retries: Retries,
    /// Hash on the forwarding task, and not beside it: slower, but with no thread whose pace differs from run to run.
    pub hash_inline: bool,
}

impl Default for RunOptions {
    /// 4 at once, no limit, 60 s, 8 tries.
    fn default() -> Self {
        let stall = Duration::from_secs(60);
        let retries = Retries::default();
        Self { throttle_limit: 4, max_bytes_per_second: None, stall, retries, hash_inline: false }
    }
}

/// Does what the plan says. `on_row` gets a row as each content ends: its result, or the error that it failed with.
///
/// A content starts when all that it needs is at that destination. Where something failed, what needs it is not sent
/// and fails with `DependencyFailed`; the rest goes on. Dropping the future stops everything.
///
/// # Errors
/// `InvalidArgument` for limits of 0. A failed content is a row.
pub async fn run<S: Source, D: Destination>(
    context: &Context,
    plan: Plan<S, D>,
    options: &RunOptions,
    on_row: impl Fn(Result<CopyResult, Error>) + Send + Sync,
) -> Result<(), Error> {
    if options.throttle_limit == 0 || options.max_bytes_per_second == Some(0) {
        return Err(Error::new(ErrorKind::InvalidArgument, "A copy's limits cannot be 0.")
            .with_hint("Give -ThrottleLimit and -MaxBytesPerSecond at least 1, or leave them out."));
    }
    let mut run = Run::new(context, plan, options);
    let mut transfers = JoinSet::new();
    let mut began = HashMap::new();
    loop {
        while transfers.len() < options.throttle_limit {
            let Some(step) = run.ready.pop_first() else { break };
            if let Some(ended) = run.without_transfer(step) {
                on_row(run.end(step, ended));
                continue;
            }
            let Some(job) = run.job(step) else { continue };
            let task = transfers.spawn(async move {
                let started = Instant::now();
                let delivered = deliver(&job).await;
                (step, delivered, started.elapsed())
            });
            began.insert(task.id(), step);
        }
        let Some(ended) = transfers.join_next_with_id().await else { return Ok(()) };
        let (step, ended) = match ended {
            Ok((id, (step, delivered, duration))) => {
                began.remove(&id);
                let result = delivered.map(|delivered| {
                    let mut row = run.row(step, delivered.status);
                    row.size = delivered.size.or(row.size);
                    row.sha256 = delivered.sha256.map(|digest| digest.to_string()).or(row.sha256);
                    (row.bytes_sent, row.duration) = (delivered.bytes_sent, duration);
                    row
                });
                (step, result)
            }
            Err(died) => {
                let Some(step) = began.remove(&died.id()) else { continue };
                (step, Err(Error::new(ErrorKind::Internal, "A transfer hit a defect of the uss library.")))
            }
        };
        on_row(run.end(step, ended));
    }
}

/// One item at one destination, by number: all items of the first destination, then those of the next.
type Step = usize;

struct Run<S, D> {
    context: Context,
    plan: Plan<S, D>,
    options: Arc<RunOptions>,
    limit: Option<Arc<RateLimit>>,
    source_reached: Arc<AtomicBool>,
    destinations_reached: Vec<Arc<AtomicBool>>,
    /// Those that may start, in copy order.
    ready: BTreeSet<Step>,
    /// How many steps each still waits for.
    waits: Vec<usize>,
    /// The items that need an item.
    needed_by: Vec<Vec<usize>>,
    /// For each step, the item whose failure stops it; its own for a step that failed by itself.
    failed: Vec<Option<usize>>,
    /// Servers that refused the credential: asking again for each package could lock the account.
    refused: HashMap<String, Error>,
}

impl<S: Source, D: Destination> Run<S, D> {
    fn new(context: &Context, plan: Plan<S, D>, options: &RunOptions) -> Self {
        let items = plan.items.len();
        let steps = items * plan.destinations.len();
        let mut needed_by = vec![Vec::new(); items];
        for (item, needs) in plan.items.iter().map(|item| &item.needs).enumerate() {
            needs.iter().filter_map(|need| needed_by.get_mut(*need).map(|by: &mut Vec<usize>| by.push(item))).count();
        }
        let waits: Vec<usize> =
            plan.destinations.iter().flat_map(|_| plan.items.iter().map(|item| item.needs.len())).collect();
        let ready = waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(step, _)| step).collect();
        let sent = plan.actions.iter().flat_map(|actions| plan.items.iter().zip(actions));
        let sizes = sent.filter(|(_, action)| **action != Action::Skip).filter_map(|(item, _)| item.size);
        let bytes = sizes.fold(0, u64::saturating_add); // servers may say anything
        context.progress().set_phase(Phase::Transferring);
        context.progress().set_total(steps as u64, bytes);
        Self {
            context: context.clone(),
            limit: options.max_bytes_per_second.map(|limit| Arc::new(RateLimit::new(limit))),
            options: Arc::new(options.clone()),
            source_reached: Arc::default(),
            destinations_reached: plan.destinations.iter().map(|_| Arc::default()).collect(),
            ready,
            waits,
            needed_by,
            failed: vec![None; steps],
            refused: HashMap::new(),
            plan,
        }
    }

    fn place(&self, step: Step) -> (usize, usize) {
        let items = self.plan.items.len().max(1);
        (step / items, step % items)
    }

    fn at(&self, step: Step) -> Option<(&D, &Item, Action)> {
        let (destination, item) = self.place(step);
        let action = *self.plan.actions.get(destination)?.get(item)?;
        Some((self.plan.destinations.get(destination)?, self.plan.items.get(item)?, action))
    }

    /// A step that ends without a transfer: there already, or not to be sent.
    fn without_transfer(&self, step: Step) -> Option<Result<CopyResult, Error>> {
        let (destination, item, action) = self.at(step)?;
        if let Some(Some(culprit)) = self.failed.get(step) {
            let culprit = self.plan.items.get(*culprit)?;
            let (name, needed) = (destination.name(), &culprit.content);
            let message = format!("{} was not sent to {name}: {needed}, which it needs, failed.", item.content);
            return Some(Err(Error::new(ErrorKind::DependencyFailed, message)
                .with_hint(format!("See the error of {needed}, and run the copy again."))
                .with_server(name)));
        }
        if action == Action::Skip {
            return Some(Ok(self.row(step, Status::Skipped)));
        }
        let sides = [self.plan.source.name(), destination.name()];
        sides.iter().find_map(|side| self.refused.get(side)).cloned().map(Err)
    }

    fn job(&self, step: Step) -> Option<Job<S, D>> {
        let (destination, item, action) = self.at(step)?;
        Some(Job {
            context: self.context.clone(),
            source: self.plan.source.clone(),
            destination: destination.clone(),
            item: item.clone(),
            action,
            options: self.options.clone(),
            limit: self.limit.clone(),
            source_reached: self.source_reached.clone(),
            destination_reached: self.destinations_reached.get(self.place(step).0)?.clone(),
        })
    }

    fn row(&self, step: Step, status: Status) -> CopyResult {
        let at = self.at(step);
        let item = at.map(|(_, item, _)| item);
        CopyResult {
            id: item.map(|item| item.content.id().to_owned()).unwrap_or_default(),
            version: item.map(|item| item.content.version().to_owned()).unwrap_or_default(),
            source: self.plan.source.name(),
            destination: at.map(|(destination, ..)| destination.name()).unwrap_or_default(),
            status,
            size: item.and_then(|item| item.size),
            bytes_sent: 0,
            duration: Duration::ZERO,
            sha256: item.and_then(|item| item.sha256).map(|digest| digest.to_string()),
        }
    }

    /// Notes how a step ended, and lets those start that waited for it.
    fn end(&mut self, step: Step, ended: Result<CopyResult, Error>) -> Result<CopyResult, Error> {
        self.context.progress().item_done();
        let (destination, item) = self.place(step);
        let culprit = match &ended {
            Ok(_) => None,
            // What failed first is named, not what failed with it.
            Err(_) => self.failed.get(step).copied().flatten().or(Some(item)),
        };
        for dependent in self.needed_by.get(item).into_iter().flatten() {
            let dependent = destination * self.plan.items.len() + dependent;
            if let Some(failed) = self.failed.get_mut(dependent) {
                *failed = failed.or(culprit);
            }
            if let Some(waits) = self.waits.get_mut(dependent) {
                *waits -= 1;
                if *waits == 0 {
                    self.ready.insert(dependent);
                }
            }
        }
        ended.map_err(|error| {
            let refused = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::CredentialMissing);
            if refused && !error.server().is_empty() {
                self.refused.entry(error.server().to_owned()).or_insert_with(|| error.clone());
            }
            let label = self.at(step).map(|(_, item, _)| item.content.to_string()).unwrap_or_default();
            error.with_target(label)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::copy::memory::{Memory, ReadFault, WriteFault};
    use crate::copy::{InstallerChoice, PlanOptions, Request, plan, plan_installers};
    use crate::log::{Log, LogLevel};
    use crate::operation::PROGRESS_LENGTH;

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
        run(context, plan, options, on_row).await.unwrap();
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
        let on_row =
            |row: Result<CopyResult, Error>| errors.lock().unwrap().push(row.unwrap_err().message().to_owned());
        run(&context, planned, &RunOptions::default(), on_row).await.unwrap();
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
        let copied = run(&context, planned, &options, |row| drop(row.unwrap()));
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
            let refused = run(&context(), plan(), &options, |_| {}).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        }
    }
}
