//! Runs a plan: what starts when, a row as each content ends.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinSet;

use super::journal::Journal;
use super::lane::{Delivered, Lane};
use super::patience::Retries;
use super::plan::{Action, Item, Plan};
use super::rate_limit::RateLimit;
use super::relay::{Ended, Job, Shared, deliver};
use super::{CopyResult, Destination, Source, Status};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};

/// How a plan is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Contents at once; one that goes to several destinations is read once, and is one.
    pub throttle_limit: usize,
    /// Over all transfers; none: as fast as it goes.
    pub max_bytes_per_second: Option<u64>,
    /// Bytes that wait for each destination of a transfer at most.
    pub buffer: u32,
    /// How long a side that we wait for may move nothing.
    pub stall: Duration,
    /// How often and how soon transfers try again.
    pub retries: Retries,
    /// How long a destination may hold up the others of its group before it is served on its own.
    pub lag: Duration,
    /// Remove what has arrived of a content that fails, or is cancelled, instead of keeping it for a later copy.
    pub clean_up: bool,
    /// Hash on the forwarding task, and not beside it: slower, but with no thread whose pace differs from run to run.
    pub hash_inline: bool,
}

impl Default for RunOptions {
    /// 4 at once, no limit, 1 MiB, 60 s, 8 tries, 30 s; what arrived is kept.
    fn default() -> Self {
        Self {
            throttle_limit: 4,
            max_bytes_per_second: None,
            buffer: 1 << 20,
            stall: Duration::from_secs(60),
            retries: Retries::default(),
            lag: Duration::from_secs(30),
            clean_up: false,
            hash_inline: false,
        }
    }
}

/// Does what the plan says. `on_row` gets a row as each content ends: its result, or the error that it failed with.
///
/// A content starts when all that it needs is at that destination, and goes at once to all destinations where that is
/// so. `journal` remembers what breaks off, for the next copy of it. Where something failed, what needs it is not sent
/// and fails with `DependencyFailed`; the rest goes on. Dropping the future stops everything.
///
/// # Errors
/// `InvalidArgument` for limits of 0. A failed content is a row.
pub async fn run<S: Source, D: Destination, J: Journal>(
    context: &Context,
    plan: Plan<S, D>,
    journal: &J,
    options: &RunOptions,
    on_row: impl Fn(Result<CopyResult, Error>) + Send + Sync,
) -> Result<(), Error> {
    if options.throttle_limit == 0 || options.max_bytes_per_second == Some(0) {
        return Err(Error::new(ErrorKind::InvalidArgument, "A copy's limits cannot be 0.")
            .with_hint("Give -ThrottleLimit and -MaxBytesPerSecond at least 1, or leave them out."));
    }
    let mut run = Run::new(context, plan, journal, options);
    let mut transfers = JoinSet::new();
    let mut began: HashMap<_, Vec<Step>> = HashMap::new();
    loop {
        while transfers.len() < options.throttle_limit {
            // A lane that left its group may hold what others wait for: it goes first.
            let lanes = match run.left.pop_front() {
                Some(lane) => vec![lane],
                None => match run.next_group(&on_row) {
                    Some(lanes) => lanes,
                    None => break,
                },
            };
            let Some(job) = lanes.first().map(|lane| lane.job().clone()) else { continue };
            let steps = lanes.iter().map(|lane| lane.step).collect();
            began.insert(transfers.spawn(deliver(job, lanes)).id(), steps);
        }
        let Some(ended) = transfers.join_next_with_id().await else { return Ok(()) };
        match ended {
            Ok((id, ended)) => {
                began.remove(&id);
                // All before anything new starts: what waited for them starts as one group again.
                for ended in ended {
                    match ended {
                        Ended::Row { step, result, duration } => on_row(run.delivered(step, result, duration)),
                        Ended::Left(lane) => run.left.push_back(*lane),
                    }
                }
            }
            Err(died) => {
                for step in began.remove(&died.id()).unwrap_or_default() {
                    let defect = Error::new(ErrorKind::Internal, "A transfer hit a defect of the uss library.");
                    on_row(run.end(step, Err(defect)));
                }
            }
        }
    }
}

/// One item at one destination, by number: the first item at all destinations, then the next.
type Step = usize;

struct Run<S: Source, D: Destination, J: Journal> {
    shared: Arc<Shared<S, J>>,
    plan: Plan<S, D>,
    destinations_reached: Vec<Arc<AtomicBool>>,
    /// Lanes that left their group and are to be finished.
    left: VecDeque<Lane<S, D, J>>,
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

impl<S: Source, D: Destination, J: Journal> Run<S, D, J> {
    fn new(context: &Context, plan: Plan<S, D>, journal: &J, options: &RunOptions) -> Self {
        let items = plan.items.len();
        let steps = items * plan.destinations.len();
        let mut needed_by = vec![Vec::new(); items];
        for (item, needs) in plan.items.iter().map(|item| &item.needs).enumerate() {
            needs.iter().filter_map(|need| needed_by.get_mut(*need).map(|by: &mut Vec<usize>| by.push(item))).count();
        }
        let waits: Vec<usize> =
            plan.items.iter().flat_map(|item| plan.destinations.iter().map(|_| item.needs.len())).collect();
        let ready = waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(step, _)| step).collect();
        let sent = plan.actions.iter().flat_map(|actions| plan.items.iter().zip(actions));
        let sizes = sent.filter(|(_, action)| **action != Action::Skip).filter_map(|(item, _)| item.size);
        let bytes = sizes.fold(0, u64::saturating_add); // servers may say anything
        context.progress().set_phase(Phase::Transferring);
        context.progress().set_total(steps as u64, bytes);
        let shared = Shared {
            context: context.clone(),
            source: plan.source.clone(),
            journal: journal.clone(),
            options: options.clone(),
            limit: options.max_bytes_per_second.map(RateLimit::new),
            source_reached: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            left: VecDeque::new(),
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
        let destinations = self.plan.destinations.len().max(1);
        (step % destinations, step / destinations)
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

    /// The next item that may start, for all destinations for which it may. Those that need no transfer end at once.
    fn next_group(&mut self, on_row: &impl Fn(Result<CopyResult, Error>)) -> Option<Vec<Lane<S, D, J>>> {
        loop {
            let (_, item) = self.place(*self.ready.first()?);
            let job = Arc::new(Job { run: self.shared.clone(), item: self.plan.items.get(item)?.clone() });
            let mut lanes = Vec::new();
            let destinations = self.plan.destinations.len();
            for step in item * destinations..(item + 1) * destinations {
                if !self.ready.remove(&step) {
                    continue;
                }
                match self.without_transfer(step) {
                    Some(ended) => on_row(self.end(step, ended)),
                    None => lanes.extend(self.lane(step, &job)),
                }
            }
            if !lanes.is_empty() {
                return Some(lanes);
            }
        }
    }

    fn lane(&self, step: Step, job: &Arc<Job<S, J>>) -> Option<Lane<S, D, J>> {
        let (destination, _, action) = self.at(step)?;
        let reached = self.destinations_reached.get(self.place(step).0)?.clone();
        Some(Lane::new(step, job.clone(), destination.clone(), action, reached))
    }

    /// The row of a step that had a transfer.
    fn delivered(
        &mut self,
        step: Step,
        result: Result<Delivered, Error>,
        duration: Duration,
    ) -> Result<CopyResult, Error> {
        let result = result.map(|delivered| {
            let row = self.row(step, delivered.status);
            CopyResult {
                size: delivered.size.or(row.size),
                sha256: delivered.sha256.map(|digest| digest.to_string()).or(row.sha256),
                bytes_sent: delivered.bytes_sent,
                duration,
                ..row
            }
        });
        self.end(step, result)
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
        self.shared.context.progress().item_done();
        let (destination, item) = self.place(step);
        let culprit = match &ended {
            Ok(_) => None,
            // What failed first is named, not what failed with it.
            Err(_) => self.failed.get(step).copied().flatten().or(Some(item)),
        };
        for dependent in self.needed_by.get(item).into_iter().flatten() {
            let dependent = dependent * self.plan.destinations.len() + destination;
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
mod tests;
