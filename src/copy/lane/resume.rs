//! Uploads that are gone on with: found, begun, remembered, and removed again.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Lane, Ready, stalled};
use crate::copy::journal::{Journal, Record, TransferKey};
use crate::copy::patience::Break;
use crate::copy::reading::Known;
use crate::copy::{Destination, Source, Status, UploadLocation};
use crate::error::{Error, ErrorKind};

/// How often a lock that another run holds is tried.
const POLL: Duration = Duration::from_millis(200);

/// How long the removal of an upload may take; one that stays expires at its destination.
const REMOVAL: Duration = Duration::from_secs(10);

/// A begun upload.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    location: UploadLocation,
    /// The content whose bytes it has; none: any content of that name.
    key: Option<TransferKey>,
    /// By another run.
    earlier: bool,
    /// Nothing was sent to it.
    fresh: bool,
}

impl Begun {
    /// Where it is; from now on it may have something.
    pub(super) fn use_it(&mut self) -> UploadLocation {
        self.fresh = false;
        self.location.clone()
    }
}

/// A place in the journal.
pub(super) struct Entry<J: Journal> {
    key: TransferKey,
    _lock: J::Lock,
    /// Whether there may be a record.
    kept: bool,
}

impl<S: Source, D: Destination, J: Journal> Lane<S, D, J> {
    /// Finds out from which byte on the destination needs the content. Only a lane that is `alone` waits for another
    /// run that copies the same.
    pub(in crate::copy) async fn prepare(&mut self, known: &Known, alone: bool) -> Result<Ready, Break> {
        let key = self.key(known);
        self.leave_what_is_of_another_content(key).await;
        self.enter(key, known, alone).await?;
        if std::mem::take(&mut self.waited)
            && let Some(delivered) = self.already_there(known.sha256, known, Status::Skipped).await
        {
            return Ok(Ready::Done(delivered));
        }
        if let Some(begun) = self.begun.clone().filter(|begun| !begun.fresh) {
            let run = &self.job.run;
            let told = self.in_time(self.destination.offset(&run.context, &begun.location)).await;
            match told {
                Ok(Some(at)) if known.size.is_none_or(|size| at <= size) => {
                    self.go_on(&begun, at, known).await;
                    return Ok(Ready::From(at));
                }
                Ok(Some(_)) => self.abandon().await,
                Ok(None) => {
                    self.forget().await;
                    // It may be gone because it is finished.
                    if let Some(delivered) = self.already_there(known.sha256, known, self.done()).await {
                        return Ok(Ready::Done(delivered));
                    }
                }
                Err(error) if self.may_retry(&error) => return Err(Break::Restart(error)),
                Err(error) if begun.earlier && error.kind() != ErrorKind::AuthenticationFailed => {
                    let label = &self.job.item.content;
                    let line = || format!("{label}: begins anew, because: {}", error.message());
                    self.job.run.context.log().verbose(line);
                    self.forget().await;
                }
                Err(error) => return self.publish_failed(error, 0, None, known).await.map(Ready::Done),
            }
        }
        if self.begun.is_none() {
            let (context, upload) = (&self.job.run.context, self.upload(known));
            match self.in_time(self.destination.begin(context, &upload)).await {
                Ok(Some(location)) => {
                    self.answered(&Ok(()), true);
                    self.begun = Some(Begun { location, key, earlier: false, fresh: true });
                    self.remember(0, known).await;
                }
                Ok(None) => {}
                Err(error) => return self.publish_failed(error, 0, None, known).await.map(Ready::Done),
            }
        }
        Ok(Ready::From(0))
    }

    /// Gives up an upload that may have bytes of another content of this name: a new reading may find one.
    async fn leave_what_is_of_another_content(&mut self, key: Option<TransferKey>) {
        if self.begun.as_ref().is_some_and(|begun| begun.key.is_none() || begun.key != key) {
            self.abandon().await;
        }
        self.entry.take_if(|entry| Some(entry.key) != key);
    }

    /// Takes the transfer's place in the journal, and what is remembered there.
    async fn enter(&mut self, key: Option<TransferKey>, known: &Known, alone: bool) -> Result<(), Break> {
        let (Some(key), None) = (key, &self.entry) else { return Ok(()) };
        let job = self.job.clone();
        let lock = loop {
            match job.run.journal.try_lock(&key).await {
                Ok(Some(lock)) => break lock,
                Ok(None) => {}
                Err(error) => {
                    job.run.warn_once(|| format!("{error} Copies that break off cannot be gone on with."));
                    return Ok(());
                }
            }
            let (label, destination) = (&job.item.content, self.destination.name());
            let message = format!("Another run copies {label} to {destination} now.");
            let first = !std::mem::replace(&mut self.waited, true);
            if !alone {
                return Err(Break::Restart(Error::new(ErrorKind::CopyInProgress, message).with_server(destination)));
            }
            if first {
                job.run.context.log().warning(format!("{message} This one waits for it."));
            }
            sleep(POLL).await;
        };
        // Without a digest nothing would prove what another run has sent.
        let record = if known.sha256.is_some() { job.run.journal.load(&key).await } else { None };
        self.entry = Some(Entry { key, _lock: lock, kept: record.is_some() });
        if let Some(record) = record.filter(|record| record.size == known.size) {
            self.begun = Some(Begun { location: record.location, key: Some(key), earlier: true, fresh: false });
        }
        Ok(())
    }

    /// None: nothing tells this content from another one of its name.
    fn key(&self, known: &Known) -> Option<TransferKey> {
        let mark = match (known.sha256, &known.etag) {
            (Some(sha256), _) => format!("sha-256 {sha256}"),
            (None, Some(etag)) => format!("{etag} {}", self.job.run.source.name()),
            (None, None) => return None,
        };
        Some(TransferKey::new(&self.destination.name(), &self.destination.user(), &self.job.item.content, &mark))
    }

    async fn go_on(&mut self, begun: &Begun, at: u64, known: &Known) {
        let (label, destination) = (&self.job.item.content, self.destination.name());
        let line = || {
            let part =
                known.size.filter(|size| *size > 0).map(|size| format!(" ({} %)", at.saturating_mul(100) / size));
            let whose = if begun.earlier { "the upload that an earlier run began" } else { "the upload" };
            format!("{label}: goes on at byte {at}{} of {whose} at {destination}", part.unwrap_or_default())
        };
        self.job.run.context.log().verbose(line);
        self.answered(&Ok(()), true);
        self.patience.reached(at);
        self.transfer.start_at(at);
        self.remember(at, known).await;
    }

    async fn remember(&mut self, offset: u64, known: &Known) {
        let (Some(entry), Some(begun)) = (&mut self.entry, &self.begun) else { return };
        let record = Record { location: begun.location.clone(), offset, etag: known.etag.clone(), size: known.size };
        if known.sha256.is_some() && record.is_harmless() {
            entry.kept = true;
            if let Err(error) = self.job.run.journal.save(&entry.key, &record).await {
                self.job.run.warn_once(|| format!("{error} Copies that break off cannot be gone on with."));
            }
        }
    }

    /// There is no such upload any more.
    pub(super) async fn forget(&mut self) {
        self.begun = None;
        if let Some(entry) = self.entry.as_mut().filter(|entry| entry.kept) {
            self.job.run.journal.remove(&entry.key).await;
            entry.kept = false;
        }
    }

    /// Removes what the destination has of the upload.
    pub(in crate::copy) async fn abandon(&mut self) {
        if let Some(Begun { location, .. }) = &self.begun {
            let context = &self.job.run.context;
            let removed = timeout(REMOVAL, self.destination.abandon(context, location)).await;
            if !matches!(removed, Ok(Ok(()))) {
                let (label, destination) = (&self.job.item.content, self.destination.name());
                context.log().verbose(|| format!("{label}: what {destination} has of it stays there until it expires"));
            }
        }
        self.forget().await;
    }

    /// An answer that does not come is a stall.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let stall = self.job.run.options.stall;
        let answer = timeout(stall, answer).await;
        answer.unwrap_or_else(|_| Err(stalled(&self.destination.name(), stall)))
    }
}

/// A lane that is dropped was cancelled. With `clean_up` its upload is removed, behind the back of whoever cancelled.
impl<S: Source, D: Destination, J: Journal> Drop for Lane<S, D, J> {
    fn drop(&mut self) {
        let (Some(begun), true) = (self.begun.take(), self.job.run.options.clean_up) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (job, destination, entry) = (self.job.clone(), self.destination.clone(), self.entry.take());
        runtime.spawn(async move {
            let removed = timeout(REMOVAL, destination.abandon(&job.run.context, &begun.location)).await;
            if let (Ok(Ok(())), Some(entry)) = (removed, &entry) {
                job.run.journal.remove(&entry.key).await;
            }
        });
    }
}
