//! The source's end of a transfer: bytes in order, whatever the connection does.
//!
//! A source that breaks in the middle is asked again for what is missing, on condition that the content is the same
//! (RFC 9110, 13.1.1 and 14.2), and its bytes are spliced into the same uploads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::patience::{Break, Patience, may_retry};
use super::relay::Job;
use super::{Digest, Fetched, Source};
use crate::error::{Error, ErrorKind};

/// What is known of a content before all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its bytes.
    pub(super) size: Option<u64>,
    /// The digest that it should have.
    pub(super) sha256: Option<Digest>,
    /// The source's strong entity tag.
    pub(super) etag: Option<String>,
}

/// A content at its source.
pub(super) struct Reading<S: Source, J> {
    job: Arc<Job<S, J>>,
    body: Option<S::Body>,
    /// Bytes to let pass, because the source started before them.
    skip: u64,
    /// The byte that comes next.
    offset: u64,
    /// Whether the source has told what it has.
    told: bool,
    known: Known,
}

impl<S: Source, J> Reading<S, J> {
    /// Not opened yet.
    pub(super) fn new(job: Arc<Job<S, J>>) -> Self {
        let known = Known { size: job.item.size, sha256: job.item.sha256, etag: None };
        Self { job, body: None, skip: 0, offset: 0, told: false, known }
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the source has told what it has.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Whether the source began before the byte that it was asked for, so that the first new one may take long.
    pub(super) fn lets_pass(&self) -> bool {
        self.skip > 0
    }

    /// Goes to byte `from`: on condition that the content is the one that was opened before, if it was.
    pub(super) async fn open(&mut self, from: u64, patience: &mut Patience) -> Result<(), Break> {
        if self.body.is_some() && self.offset == from {
            return Ok(());
        }
        (self.body, self.offset) = (None, from);
        // There is no range that starts at the end.
        if self.is_at_the_end(from) && (self.told || from > 0) {
            return Ok(());
        }
        let opened = loop {
            match self.fetch(from).await {
                Ok(opened) => break opened,
                Err(error) if may_retry(&error, self.job.run.source_reached.load(Ordering::Relaxed)) => {
                    patience.pause(&error, "asks the source again").await.map_err(Break::Fatal)?;
                }
                Err(error) => return Err(Break::Fatal(error)),
            }
        };
        self.accept(opened)
    }

    /// The next bytes, and where they are; none: all have come.
    pub(super) async fn next(&mut self, patience: &mut Patience) -> Result<Option<(u64, Bytes)>, Break> {
        loop {
            // Not asked for what comes after the last byte: an end that breaks then is no break.
            if self.is_at_the_end(self.offset) {
                return Ok(None);
            }
            // Left behind by an attempt that ended while it was asked for again.
            let Some(body) = &mut self.body else {
                return Err(Break::Restart(self.job.broken(self.offset, self.known.size)));
            };
            let broken = match timeout(self.job.run.options.stall, body.next()).await {
                Ok(Some(Ok(chunk))) => match self.take(chunk)? {
                    Some(chunk) => {
                        patience.reached(self.offset);
                        return Ok(Some((self.offset - chunk.len() as u64, chunk)));
                    }
                    None => continue,
                },
                Ok(Some(Err(error))) => error,
                Ok(None) if self.known.size.is_none() => {
                    (self.body, self.known.size) = (None, Some(self.offset));
                    return Ok(None);
                }
                Ok(None) => self.job.broken(self.offset, self.known.size),
                Err(_) => self.job.source_stalled(self.offset),
            };
            // An attempt that ends meanwhile must not leave a body behind that looks as if it ended here.
            self.body = None;
            self.splice(broken, patience).await?;
        }
    }

    fn is_at_the_end(&self, offset: u64) -> bool {
        self.known.size == Some(offset)
    }

    /// What of a chunk is new.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Break> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(skipped);
        self.skip -= skipped as u64;
        self.offset += chunk.len() as u64;
        if self.known.size.is_some_and(|size| self.offset > size) {
            return Err(Break::Fatal(self.job.changed("It has more bytes than it said")));
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Goes on from where the source broke.
    async fn splice(&mut self, mut broken: Error, patience: &mut Patience) -> Result<(), Break> {
        loop {
            // The source was reached, or nothing could have broken.
            if !may_retry(&broken, true) {
                return Err(Break::Fatal(broken));
            }
            if self.known.etag.is_none() {
                // Without a strong entity tag nothing tells whether it would be the same content.
                return Err(Break::Restart(broken));
            }
            let next = format!("reads on from byte {}", self.offset);
            patience.pause(&broken, &next).await.map_err(Break::Fatal)?;
            match self.fetch(self.offset).await {
                Ok(opened) => return self.accept(opened),
                Err(error) => broken = error,
            }
        }
    }

    /// Asks the source, and gives up on an answer that does not come.
    async fn fetch(&mut self, from: u64) -> Result<Fetched<S::Body>, Error> {
        let run = &self.job.run;
        let asked = run.source.content(&run.context, &self.job.item.content, from, self.known.etag.as_deref());
        let answer = timeout(run.options.stall, asked).await.unwrap_or_else(|_| Err(self.job.source_stalled(from)))?;
        run.source_reached.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// Takes an answer to be read from `offset` on, if it is of the content that it has to be.
    fn accept(&mut self, opened: Fetched<S::Body>) -> Result<(), Break> {
        let (job, known) = (&self.job, &mut self.known);
        let fatal = |error| Err(Break::Fatal(error));
        if differ(known.size, opened.total) || differ(known.sha256, opened.sha256) {
            let why = if self.told {
                "It is not the one of which the first bytes were sent"
            } else {
                "It is not what the plan was made for"
            };
            return fatal(job.changed(why));
        }
        match opened.start {
            start if start == self.offset && differ(known.etag.as_ref(), opened.etag.as_ref()) => {
                return fatal(job.changed("Its entity tag is another one now"));
            }
            start if start == self.offset => self.skip = 0,
            0 if known.etag.is_none() || known.etag == opened.etag => self.skip = self.offset,
            0 => return Err(Break::Restart(job.begun_anew())),
            start => {
                let what = format!("starts at byte {start} where byte {} was asked for", self.offset);
                return fatal(job.violation(what));
            }
        }
        self.told = true;
        known.size = known.size.or(opened.total);
        known.sha256 = known.sha256.or(opened.sha256);
        known.etag = known.etag.take().or(opened.etag);
        self.body = Some(opened.body);
        Ok(())
    }
}

/// Whether both are told and are not the same.
fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

impl<S: Source, J> Job<S, J> {
    pub(super) fn changed(&self, what: &str) -> Error {
        let (source, content) = (self.run.source.name(), &self.item.content);
        let message = format!("{content} changed on {source} while it was copied. {what}. Nothing was published.");
        Error::new(ErrorKind::SourceChanged, message).with_hint("Run the copy again.").with_server(source)
    }

    fn violation(&self, what: String) -> Error {
        let (source, content) = (self.run.source.name(), &self.item.content);
        Error::new(ErrorKind::ProtocolViolation, format!("The content of {content} from {source} {what}."))
            .with_hint("Something between this machine and the server may cache or rewrite ranges.")
            .with_server(source)
    }

    fn broken(&self, offset: u64, total: Option<u64>) -> Error {
        let (source, total) = (self.run.source.name(), total.unwrap_or_default());
        let message = format!("{source} ended the content after {offset} of {total} bytes.");
        Error::new(ErrorKind::ConnectionFailed, message).with_server(source)
    }

    fn begun_anew(&self) -> Error {
        let source = self.run.source.name();
        let message = format!("{source} began the content anew, and does not say that it is the same.");
        Error::new(ErrorKind::ConnectionFailed, message).with_server(source)
    }

    fn source_stalled(&self, offset: u64) -> Error {
        let (source, seconds) = (self.run.source.name(), self.run.options.stall.as_secs());
        let message = format!("{source} sent nothing for {seconds} s after byte {offset}.");
        Error::new(ErrorKind::Stalled, message).with_server(source)
    }
}
