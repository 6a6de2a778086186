//! What a destination's answer means: that the content is there, or that it is worth another try.

use std::sync::atomic::Ordering;

use super::{Delivered, Lane, Whole};
use crate::copy::journal::Journal;
use crate::copy::patience::Break;
use crate::copy::plan::{Action, stored};
use crate::copy::reading::Known;
use crate::copy::{Destination, Digest, Outcome, Receipt, Source, Status};
use crate::error::{Error, ErrorKind};

impl<S: Source, D: Destination, J: Journal> Lane<S, D, J> {
    /// Accepts a receipt once the destination's digest is the one that passed here.
    pub(super) async fn prove(
        &self,
        receipt: Receipt,
        whole: Option<Whole>,
        known: &Known,
    ) -> Result<Delivered, Error> {
        let (destination, content) = (self.destination.name(), &self.job.item.content);
        let context = &self.job.run.context;
        let digest = whole.and_then(|whole| whole.digest);
        let ours = digest.or(known.sha256);
        let theirs = match receipt.sha256 {
            Some(theirs) => Some(theirs),
            None => {
                let there = stored(context, &self.destination, content).await;
                let unproven = format!("{destination} took {content}, but could not be asked for its digest");
                let there = there.map_err(|error| error.within(&unproven))?;
                there.ok_or_else(|| self.not_there())?.sha256
            }
        };
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                let message = format!("{destination} says that {content} has the SHA-256 {theirs} there, not {ours}.");
                return Err(Error::new(ErrorKind::ChecksumMismatch, message)
                    .with_hint("Remove it there and copy again; have the destination's storage checked.")
                    .with_server(destination));
            }
            (Some(_), Some(_)) => {}
            // A server that never read it all can only know by a digest.
            _ if whole.is_none() => {
                let message =
                    format!("{destination} answered for {content} before it had all bytes, without a digest.");
                return Err(Error::new(ErrorKind::ProtocolViolation, message).with_server(destination));
            }
            _ => context.log().warning(format!("{destination} tells no SHA-256 of {content} to compare.")),
        }
        let status = match receipt.outcome {
            Outcome::Created => Status::Copied,
            Outcome::Replaced => Status::Replaced,
            Outcome::AlreadyThere if self.answer_lost => self.done(),
            Outcome::AlreadyThere => Status::Skipped,
        };
        Ok(self.delivered(status, whole.map(|whole| whole.size).or(receipt.size).or(known.size), ours.or(theirs)))
    }

    /// The destination answered that all is well, and does not list what it was sent.
    fn not_there(&self) -> Error {
        let (destination, content) = (self.destination.name(), &self.job.item.content);
        let message = format!("{destination} took every byte of {content}, but does not list it.");
        Error::new(ErrorKind::ProtocolViolation, message)
            .with_hint(
                "If that server publishes an upload only when told to, name that call as 'uploadComplete' in the route file.",
            )
            .with_server(destination)
    }

    /// Decides what a failed publish means.
    pub(super) async fn publish_failed(
        &mut self,
        error: Error,
        from: u64,
        whole: Option<Whole>,
        known: &Known,
    ) -> Result<Delivered, Break> {
        if error.kind() == ErrorKind::AuthenticationFailed {
            // A body that was sent cannot be sent again by the connection. It has a new bearer, or says that it has none.
            // One that is refused again where it stood is no bearer that ended meanwhile.
            let before = self.signed_in_at.replace(from);
            let again = error.retry_after().is_some() && before.is_none_or(|before| from > before);
            return Err(if again { Break::Restart(error) } else { Break::Fatal(error) });
        }
        let retry = self.may_retry(&error);
        // No answer says whether it was published: the connection broke after the last byte, or a gateway lost it.
        let unknown = retry && whole.is_some();
        if unknown || error.kind() == ErrorKind::PackageAlreadyExists {
            let ours = whole.and_then(|whole| whole.digest).or(known.sha256);
            let status = if unknown || self.answer_lost { self.done() } else { Status::Skipped };
            if let Some(delivered) = self.already_there(ours, known, status).await {
                return Ok(delivered);
            }
        }
        self.answer_lost |= unknown;
        if error.kind() == ErrorKind::ChecksumMismatch && from > 0 && self.begun.is_some() {
            // What an earlier attempt left there was damaged: by a crash of the destination, say.
            self.abandon().await;
            return Err(Break::Restart(error));
        }
        Err(if retry { Break::Restart(error) } else { Break::Fatal(error) })
    }

    /// What is delivered if the destination has these bytes; its failure to say so is none.
    pub(super) async fn already_there(&self, ours: Option<Digest>, known: &Known, status: Status) -> Option<Delivered> {
        let (context, content) = (&self.job.run.context, &self.job.item.content);
        let ours = ours?;
        let there = stored(context, &self.destination, content).await.ok().flatten()?;
        if there.sha256 != Some(ours) {
            return None;
        }
        let destination = self.destination.name();
        context.log().verbose(|| format!("{content}: {destination} has it, with the same SHA-256."));
        Some(self.delivered(status, known.size.or(there.size), Some(ours)))
    }

    /// What our own upload is called.
    pub(super) fn done(&self) -> Status {
        if self.action == Action::Replace { Status::Replaced } else { Status::Copied }
    }

    fn delivered(&self, status: Status, size: Option<u64>, sha256: Option<Digest>) -> Delivered {
        Delivered { status, size, sha256, bytes_sent: self.sent.load(Ordering::Relaxed) }
    }
}
