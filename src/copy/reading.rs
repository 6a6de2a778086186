//! The source's end of a transfer: bytes in order, whatever the connection does.
//!
//! A source that breaks in the middle is asked again for what is missing, on condition that the content is the same
//! (RFC 9110, 13.1.1 and 14.2), and its bytes are spliced into the same upload.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::patience::{Break, Patience, may_retry};
use super::relay::Job;
use super::{Destination, Digest, Fetched, Source};
use crate::error::{Error, ErrorKind};

/// An opened source.
pub(super) struct Reading<'a, S: Source, D: Destination> {
    job: &'a Job<S, D>,
    body: S::Body,
    /// Bytes to let pass, because the source started before them.
    skip: u64,
    /// Bytes handed out.
    offset: u64,
    /// Bytes of the whole content, where it is known.
    pub(super) total: Option<u64>,
    /// The digest that the content should have, where it is known.
    pub(super) expected: Option<Digest>,
    etag: Option<String>,
}

impl<'a, S: Source, D: Destination> Reading<'a, S, D> {
    /// Opens the content from its start.
    pub(super) async fn open(job: &'a Job<S, D>, patience: &mut Patience) -> Result<Self, Break> {
        let opened = loop {
            match fetch(job, 0, None).await {
                Ok(opened) => break opened,
                Err(error) if may_retry(&error, job.source_reached.load(Ordering::Relaxed)) => {
                    patience.pause(&error, "asks the source again").await.map_err(Break::Fatal)?;
                }
                Err(error) => return Err(Break::Fatal(error)),
            }
        };
        let planned = (job.item.size, job.item.sha256);
        let differs = differ(planned.0, opened.total) || differ(planned.1, opened.sha256);
        if opened.start != 0 {
            return Err(Break::Fatal(job.violation(format!("starts at byte {} and not at 0", opened.start))));
        }
        if differs {
            return Err(Break::Fatal(job.changed("It is not what the plan was made for")));
        }
        Ok(Self {
            job,
            body: opened.body,
            skip: 0,
            offset: 0,
            total: opened.total.or(planned.0),
            expected: planned.1.or(opened.sha256),
            etag: opened.etag,
        })
    }

    /// The next bytes; none: all have come.
    pub(super) async fn next(&mut self, patience: &mut Patience) -> Result<Option<Bytes>, Break> {
        loop {
            // Not asked for what comes after the last byte: an end that breaks then is no break.
            if self.total == Some(self.offset) {
                return Ok(None);
            }
            let broken = match timeout(self.job.options.stall, self.body.next()).await {
                Ok(Some(Ok(chunk))) => match self.take(chunk)? {
                    Some(chunk) => {
                        patience.reached(self.offset);
                        return Ok(Some(chunk));
                    }
                    None => continue,
                },
                Ok(Some(Err(error))) => error,
                Ok(None) if self.total.is_none() => return Ok(None),
                Ok(None) => self.job.broken(self.offset, self.total),
                Err(_) => self.job.source_stalled(self.offset),
            };
            self.splice(broken, patience).await?;
        }
    }

    /// What of a chunk is new.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Break> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(skipped);
        self.skip -= skipped as u64;
        self.offset += chunk.len() as u64;
        if self.total.is_some_and(|total| self.offset > total) {
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
            let Some(etag) = self.etag.clone() else {
                // Without a strong entity tag nothing tells whether it would be the same content.
                return Err(Break::Restart(broken));
            };
            let next = format!("reads on from byte {}", self.offset);
            patience.pause(&broken, &next).await.map_err(Break::Fatal)?;
            let opened = match fetch(self.job, self.offset, Some(&etag)).await {
                Ok(opened) => opened,
                Err(error) => {
                    broken = error;
                    continue;
                }
            };
            if differ(self.total, opened.total) || differ(self.expected, opened.sha256) {
                return Err(Break::Fatal(self.job.changed("It is not the one of which the first bytes were sent")));
            }
            match opened.start {
                start if start == self.offset && differ(Some(&etag), opened.etag.as_ref()) => {
                    return Err(Break::Fatal(self.job.changed("Its entity tag is another one now")));
                }
                start if start == self.offset => self.skip = 0,
                0 if opened.etag.as_ref() == Some(&etag) => self.skip = self.offset,
                0 => return Err(Break::Restart(broken)),
                start => {
                    let what = format!("starts at byte {start} where byte {} was asked for", self.offset);
                    return Err(Break::Fatal(self.job.violation(what)));
                }
            }
            self.body = opened.body;
            self.total = self.total.or(opened.total);
            return Ok(());
        }
    }
}

/// Asks the source, and gives up on an answer that does not come.
async fn fetch<S: Source, D: Destination>(
    job: &Job<S, D>,
    from: u64,
    if_match: Option<&str>,
) -> Result<Fetched<S::Body>, Error> {
    let asked = job.source.content(&job.context, &job.item.content, from, if_match);
    let stall: Duration = job.options.stall;
    let answer = timeout(stall, asked).await.unwrap_or_else(|_| Err(job.source_stalled(from)))?;
    job.source_reached.store(true, Ordering::Relaxed);
    Ok(answer)
}

/// Whether both are told and are not the same.
fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

impl<S: Source, D: Destination> Job<S, D> {
    fn changed(&self, what: &str) -> Error {
        let (source, content) = (self.source.name(), &self.item.content);
        let message = format!("{content} changed on {source} while it was copied. {what}. Nothing was published.");
        Error::new(ErrorKind::SourceChanged, message).with_hint("Run the copy again.").with_server(source)
    }

    fn violation(&self, what: String) -> Error {
        let (source, content) = (self.source.name(), &self.item.content);
        Error::new(ErrorKind::ProtocolViolation, format!("The content of {content} from {source} {what}."))
            .with_hint("Something between this machine and the server may cache or rewrite ranges.")
            .with_server(source)
    }

    fn broken(&self, offset: u64, total: Option<u64>) -> Error {
        let (source, total) = (self.source.name(), total.unwrap_or_default());
        let message = format!("{source} ended the content after {offset} of {total} bytes.");
        Error::new(ErrorKind::ConnectionFailed, message).with_server(source)
    }

    fn source_stalled(&self, offset: u64) -> Error {
        let (source, seconds) = (self.source.name(), self.options.stall.as_secs());
        let message = format!("{source} sent nothing for {seconds} s after byte {offset}.");
        Error::new(ErrorKind::Stalled, message).with_server(source)
    }
}
