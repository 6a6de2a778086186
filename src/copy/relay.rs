//! One content's way from its source to all destinations that are to have it.
//!
//! An attempt asks each destination from where on it needs the content, opens the source there, and pumps what comes
//! to a lane for each. A lane that breaks leaves the group and is brought to its end on its own; what the source does
//! concerns them all.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::body;
use super::digest::Hashing;
use super::journal::Journal;
use super::lane::{Delivered, Lane, Ready};
use super::patience::{Break, Patience};
use super::plan::Item;
use super::pump::{Line, pump};
use super::rate_limit::RateLimit;
use super::reading::Reading;
use super::run::RunOptions;
use super::{Destination, Source};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;

/// What all transfers of a run share.
pub(super) struct Shared<S, J> {
    pub(super) context: Context,
    pub(super) source: S,
    pub(super) journal: J,
    pub(super) options: RunOptions,
    pub(super) limit: Option<RateLimit>,
    /// Whether this run has had an answer from the source.
    pub(super) source_reached: AtomicBool,
    /// Whether the reader knows that the journal cannot be used.
    pub(super) warned: AtomicBool,
}

impl<S, J> Shared<S, J> {
    /// Warns of the journal, whose place is the same for all transfers.
    pub(super) fn warn_once(&self, warning: impl FnOnce() -> String) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            self.context.log().warning(warning());
        }
    }
}

/// One content of a run.
pub(super) struct Job<S, J> {
    pub(super) run: Arc<Shared<S, J>>,
    pub(super) item: Item,
}

impl<S: Source, J> Job<S, J> {
    fn unproven(&self) -> Error {
        let message = format!("Nothing proves what was sent of {} before.", self.item.content);
        Error::new(ErrorKind::ConnectionFailed, message)
    }
}

/// How a lane ended.
pub(super) enum Ended<S: Source, D: Destination, J: Journal> {
    /// For good. Nothing is published where it failed, unless the message says otherwise.
    Row { step: usize, result: Result<Delivered, Error>, duration: Duration },
    /// Its group did not wait for it.
    Left(Box<Lane<S, D, J>>),
}

/// The lanes of one content that are fed by one reading.
struct Group<S: Source, D: Destination, J: Journal> {
    job: Arc<Job<S, J>>,
    lanes: Vec<Lane<S, D, J>>,
    patience: Patience,
    reading: Reading<S, J>,
    /// Of the bytes that the lanes have; none: some of them did not pass here.
    hashing: Option<Hashing>,
}

/// How an attempt ended for one lane; none: it ended with the source.
type Attempted = Option<Result<Delivered, Break>>;

/// Brings a content to its destinations. `lanes` are all of this job.
pub(super) async fn deliver<S: Source, D: Destination, J: Journal>(
    job: Arc<Job<S, J>>,
    lanes: Vec<Lane<S, D, J>>,
) -> Vec<Ended<S, D, J>> {
    let (context, retries) = (&job.run.context, job.run.options.retries.clone());
    let patience = Patience::new(job.item.content.to_string(), context.log().clone(), retries);
    let (mut ended, mut staying) = (Vec::new(), Vec::new());
    for mut lane in lanes {
        match lane.come_back().await {
            Ok(()) => staying.push(lane),
            Err(error) => ended.push(lane.end(Err(error)).await),
        }
    }
    let reading = Reading::new(job.clone());
    let mut group = Group { job, lanes: staying, patience, reading, hashing: None };
    while !group.lanes.is_empty() {
        let (attempted, source) = group.attempt().await;
        let alone = attempted.len() == 1;
        let mut staying = Vec::new();
        for (mut lane, attempted) in group.lanes.drain(..).zip(attempted) {
            match attempted {
                None => staying.push(lane),
                Some(Ok(delivered)) => ended.push(lane.end(Ok(delivered)).await),
                Some(Err(Break::Fatal(error))) => ended.push(lane.end(Err(error)).await),
                Some(Err(Break::Restart(error))) if !alone => ended.push(lane.leave(error)),
                Some(Err(Break::Restart(error))) => match lane.pause(&error).await {
                    Ok(()) => staying.push(lane),
                    Err(error) => ended.push(lane.end(Err(error)).await),
                },
            }
        }
        group.lanes = staying;
        let failed = match source {
            Ok(()) => None,
            Err(Break::Fatal(error)) => Some(error),
            Err(Break::Restart(error)) => group.restart(&error).await.err(),
        };
        if let Some(error) = failed {
            ended.extend(join_all(group.lanes.drain(..).map(|lane| lane.end(Err(error.clone())))).await);
        }
    }
    ended
}

impl<S: Source, D: Destination, J: Journal> Group<S, D, J> {
    async fn attempt(&mut self) -> (Vec<Attempted>, Result<(), Break>) {
        let mut attempted = self.lanes.iter().map(|_| None).collect::<Vec<_>>();
        let source = self.carry(&mut attempted).await;
        (attempted, source)
    }

    /// Brings the content to all lanes, and notes how each ended.
    ///
    /// # Errors
    /// What the source broke with; lanes that have not ended yet end with it.
    async fn carry(&mut self, attempted: &mut [Attempted]) -> Result<(), Break> {
        self.forget_what_may_differ().await;
        let starts = self.prepare(attempted).await?;
        let Self { job, lanes, patience, reading, hashing } = self;
        let Some(first) = starts.iter().flatten().min().copied() else { return Ok(()) };

        let hashed = match hashing {
            Some(hashing) => hashing.rewind(first).await,
            None => (first == 0).then_some(0),
        };
        if hashed.is_some() {
            hashing.get_or_insert_with(|| Hashing::new(job.run.options.hash_inline, job.run.options.buffer));
        } else {
            // What is there did not pass here, so that only the destination can prove it.
            *hashing = None;
            let mut resumed = lanes.iter().zip(&starts).filter(|(_, from)| from.is_some());
            if !resumed.all(|(lane, _)| lane.is_proven_there(reading.known())) {
                return Err(Break::Restart(job.unproven()));
            }
        }
        let start = hashed.unwrap_or(first);
        reading.open(start, patience).await?;

        let lets_pass = reading.lets_pass();
        let known = reading.known().clone();
        let (mut lines, mut running) = (Vec::new(), FuturesUnordered::new());
        for ((place, lane), from) in lanes.iter_mut().enumerate().zip(starts) {
            let Some(from) = from else { continue };
            let (transfer, sent) = lane.counters();
            let (feed, body, flow) = body::channel(job.run.options.buffer, transfer, sent);
            let (line, told) = Line::new(lane.destination_name(), feed, flow.clone(), from);
            lines.push(line);
            // Where nothing is left to be withheld, it begins when the whole is proven; and where what it has comes again,
            // when that has passed: a destination gives up on a request of which nothing comes.
            let later = from > start || lets_pass || known.size == Some(from);
            let known = &known;
            running.push(async move { (place, lane.carry(known, from, later, (body, flow), told).await) });
        }
        let mut pump = pin!(pump(job, reading, hashing, lines, patience));
        let mut pumped = false;
        while !running.is_empty() {
            tokio::select! {
                biased;
                Some((place, ended)) = running.next() => {
                    attempted.get_mut(place).map(|attempted| attempted.replace(ended));
                }
                result = &mut pump, if !pumped => {
                    // Uploads that are dropped then have a body that ends in an error.
                    result?;
                    pumped = true;
                }
            }
        }
        Ok(())
    }

    /// Asks each destination from where on it needs the content. None: it ended.
    async fn prepare(&mut self, attempted: &mut [Attempted]) -> Result<Vec<Option<u64>>, Break> {
        let known = self.reading.known();
        if !self.reading.is_told() && (known.size.is_none() || known.sha256.is_none()) {
            self.reading.open(0, &mut self.patience).await?;
        }
        let (known, alone) = (self.reading.known(), self.lanes.len() == 1);
        let ready = join_all(self.lanes.iter_mut().map(|lane| lane.prepare(known, alone))).await;
        let starts = ready.into_iter().zip(attempted).map(|(ready, attempted)| {
            let ended = match ready {
                Ok(Ready::From(from)) => return Some(from),
                Ok(Ready::Done(delivered)) => Ok(delivered),
                Err(error) => Err(error),
            };
            *attempted = Some(ended);
            None
        });
        Ok(starts.collect())
    }

    /// Before another attempt at a source without a strong entity tag: it may have other bytes now.
    async fn forget_what_may_differ(&mut self) {
        if !self.reading.is_told() || self.reading.known().etag.is_some() {
            return;
        }
        if self.reading.known().sha256.is_none() {
            join_all(self.lanes.iter_mut().map(Lane::abandon)).await;
        }
        self.reading = Reading::new(self.job.clone());
        self.hashing = None;
    }

    /// Begins anew, as the source does.
    async fn restart(&mut self, why: &Error) -> Result<(), Error> {
        self.patience.pause(why, "starts again").await?;
        join_all(self.lanes.iter_mut().map(Lane::start_anew)).await;
        self.reading = Reading::new(self.job.clone());
        self.hashing = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
