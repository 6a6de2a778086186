//! One destination's end of a transfer: how its bytes go there, over however many breaks.
//!
//! A lane is [prepared](Lane::prepare), which tells from which byte on it needs the content, and then
//! [carries](Lane::carry) what the pump gives it. After a break it is prepared again, in the same group or as one of
//! its own: what lasts over the attempts is here.

mod proof;
mod resume;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::{Body, Flow};
use super::journal::Journal;
use super::patience::{Break, Patience, may_retry};
use super::plan::Action;
use super::reading::Known;
use super::relay::{Ended, Job};
use super::{Destination, Digest, Source, Status, Upload};
use crate::error::{Error, ErrorKind};
use crate::operation::Transfer;
use resume::{Begun, Entry};

/// The destination may think for a second longer about each of these bytes.
const BYTES_PER_SECOND_OF_THOUGHT: u64 = 50 << 20;

/// What is at the destination now, proven.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) status: Status,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<Digest>,
    pub(super) bytes_sent: u64,
}

/// All bytes: what the pump tells when it has given the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    /// None: some of them did not pass here.
    pub(super) digest: Option<Digest>,
    pub(super) size: u64,
}

/// What the pump tells a lane: that it has all bytes, or why it gets no more.
pub(super) type Told = Result<Whole, Error>;

/// Where a lane goes on.
#[derive(Debug)]
pub(super) enum Ready {
    /// It needs the bytes from this one on.
    From(u64),
    /// It needs none.
    Done(Delivered),
}

/// One content on its way to one destination.
pub(super) struct Lane<S: Source, D: Destination, J: Journal> {
    /// The run's number for it.
    pub(super) step: usize,
    job: Arc<Job<S, J>>,
    destination: D,
    action: Action,
    /// Whether this run has had an answer from the destination.
    reached: Arc<AtomicBool>,
    began: Instant,
    patience: Patience,
    transfer: Arc<Transfer>,
    sent: Arc<AtomicU64>,
    /// An upload went out whole and its answer was lost: the content may be there by our own doing.
    answer_lost: bool,
    /// From which byte on it was sent when the bearer was refused last, and a new one was asked for.
    signed_in_at: Option<u64>,
    /// Its place in the journal, held.
    entry: Option<Entry<J>>,
    /// Another run had that place.
    waited: bool,
    /// The upload that can be gone on with.
    begun: Option<Begun>,
    /// Why it left its group.
    left: Option<Error>,
}

impl<S: Source, D: Destination, J: Journal> Lane<S, D, J> {
    /// Nothing is asked of the destination yet.
    pub(super) fn new(
        step: usize,
        job: Arc<Job<S, J>>,
        destination: D,
        action: Action,
        reached: Arc<AtomicBool>,
    ) -> Self {
        let run = &job.run;
        let label = job.item.content.to_string();
        let transfer = run.context.progress().transfer(&label, job.item.size.unwrap_or_default());
        Self {
            step,
            patience: Patience::new(label, run.context.log().clone(), run.options.retries.clone()),
            transfer: Arc::new(transfer),
            job,
            destination,
            action,
            reached,
            began: Instant::now(),
            sent: Arc::default(),
            answer_lost: false,
            signed_in_at: None,
            entry: None,
            waited: false,
            begun: None,
            left: None,
        }
    }

    pub(super) fn job(&self) -> &Arc<Job<S, J>> {
        &self.job
    }

    /// What counts the bytes that this lane's body takes.
    pub(super) fn counters(&self) -> (Arc<Transfer>, Arc<AtomicU64>) {
        (self.transfer.clone(), self.sent.clone())
    }

    pub(super) fn destination_name(&self) -> String {
        self.destination.name()
    }

    /// Whether its bytes go to an upload that was told their digest, so that the destination proves them itself.
    pub(super) fn is_proven_there(&self, known: &Known) -> bool {
        known.sha256.is_some() && self.begun.is_some()
    }

    /// Sends what the pump gives, from byte `from` on. With `later` only when the first of it has come.
    pub(super) async fn carry(
        &mut self,
        known: &Known,
        from: u64,
        later: bool,
        (mut body, flow): (Body, Arc<Flow>),
        told: oneshot::Receiver<Told>,
    ) -> Result<Delivered, Break> {
        if later {
            body.filled().await;
        }
        let (job, upload) = (self.job.clone(), self.upload(known));
        let (context, stall) = (&job.run.context, job.run.options.stall);
        let destination = self.destination.clone();
        let location = self.begun.as_mut().map(|begun| begun.use_it());
        let answer = async {
            match &location {
                Some(location) => destination.append(context, &upload, location, from, body).await,
                None => destination.publish(context, &upload, body).await,
            }
        };
        let mut answer = pin!(answer);
        let told = tokio::select! {
            biased;
            told = told => Ok(told.ok()),
            early = &mut answer => Err(early),
        };
        let (whole, answer) = match told {
            Err(early) => (None, early),
            // Dropping the upload ends its body in an error.
            Ok(Some(Err(left))) => return Err(Break::Restart(left)),
            Ok(Some(Ok(whole))) => {
                self.transfer.sent();
                let patience = || {
                    let all = from + flow.taken() == whole.size;
                    stall + Duration::from_secs(if all { whole.size / BYTES_PER_SECOND_OF_THOUGHT } else { 0 })
                };
                (Some(whole), flow.watch(answer, patience).await.unwrap_or_else(|| Err(self.stalled())))
            }
            // It no longer reads: its answer tells why.
            Ok(None) => (None, flow.watch(answer, || stall).await.unwrap_or_else(|| Err(self.stalled()))),
        };
        self.answered(&answer, flow.taken() > 0);
        if location.is_none() {
            // How much of an upload arrived, its destination tells when it is gone on with.
            self.patience.reached(flow.taken());
        }
        match answer {
            Ok(receipt) => self.prove(receipt, whole, known).await.map_err(Break::Fatal),
            Err(error) => self.publish_failed(error, from, whole, known).await,
        }
    }

    fn upload(&self, known: &Known) -> Upload {
        Upload {
            content: self.job.item.content.clone(),
            sha256: known.sha256,
            length: known.size,
            force: self.action == Action::Replace,
        }
    }

    /// Notes whether there was an answer at all.
    fn answered<T>(&self, answer: &Result<T, Error>, took: bool) {
        if took || answer.as_ref().map_or_else(|error| error.http_status().is_some(), |_| true) {
            self.reached.store(true, Ordering::Relaxed);
        }
    }

    fn may_retry(&self, error: &Error) -> bool {
        may_retry(error, self.reached.load(Ordering::Relaxed))
    }

    /// Waits before it is tried again, or gives up.
    pub(super) async fn pause(&mut self, why: &Error) -> Result<(), Error> {
        let next = if self.begun.is_some() { "goes on" } else { "starts again" };
        self.patience.pause(why, next).await?;
        self.transfer.rewind(0);
        Ok(())
    }

    /// Begins anew, with a content that may be another one.
    pub(super) async fn start_anew(&mut self) {
        self.abandon().await;
        self.transfer.rewind(0);
    }

    /// Leaves its group.
    pub(super) fn leave(mut self, why: Error) -> Ended<S, D, J> {
        let (label, destination) = (&self.job.item.content, self.destination.name());
        let line = || format!("{label}: {destination} is served on its own from now on, because: {}", why.message());
        self.job.run.context.log().verbose(line);
        self.left = Some(why);
        Ended::Left(Box::new(self))
    }

    /// Waits for what it left its group for, if it did.
    pub(super) async fn come_back(&mut self) -> Result<(), Error> {
        match self.left.take() {
            Some(why) => self.pause(&why).await,
            None => Ok(()),
        }
    }

    /// Its row.
    pub(super) async fn end(mut self, result: Result<Delivered, Error>) -> Ended<S, D, J> {
        match &result {
            Ok(_) => self.forget().await,
            Err(error) if self.job.run.options.clean_up || !may_be_gone_on_with(error) => self.abandon().await,
            Err(_) => {}
        }
        Ended::Row { step: self.step, result, duration: self.began.elapsed() }
    }

    fn stalled(&self) -> Error {
        stalled(&self.destination.name(), self.job.run.options.stall)
    }
}

/// Whether a later copy can use what is there of the upload.
fn may_be_gone_on_with(error: &Error) -> bool {
    may_retry(error, true) || matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::CredentialMissing)
}

pub(super) fn stalled(destination: &str, stall: Duration) -> Error {
    let message = format!("{destination} took nothing and said nothing for {} s.", stall.as_secs());
    Error::new(ErrorKind::Stalled, message).with_server(destination)
}
