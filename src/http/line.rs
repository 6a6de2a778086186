//! The log line of a request, and the headers that a debug line shows.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::redact::redact;
use super::transport::{Request, Signature};
use crate::error::ErrorKind;
use crate::log::Log;
use crate::secret::Secret;

/// The log line of a request, written when its answer is read or given up.
pub(super) struct Line {
    log: Log,
    request: String,
    /// Redacted only where a line is written.
    secrets: Vec<Secret>,
    started: Instant,
    status: Option<StatusCode>,
    failure: Option<ErrorKind>,
    bytes: u64,
    retries: u32,
}

impl Line {
    pub(super) fn new(log: &Log, request: &Request, signature: &Signature, retries: u32) -> Self {
        let (request, log, secrets) = (request.name(), log.clone(), signature.secrets.clone());
        Self { log, request, secrets, started: Instant::now(), status: None, failure: None, bytes: 0, retries }
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.failure = Some(kind);
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub(super) fn headers(&self, direction: &str, headers: &HeaderMap) {
        self.log.debug(|| {
            let mut text = format!("{direction} {}", self.request);
            for (name, value) in headers {
                let name = name.as_str();
                let shown = match value.to_str() {
                    Ok(value) if is_harmless(name) && !value_is_sensitive(headers, name) => value,
                    _ => "[redacted]",
                };
                text.push_str(&format!("\n{name}: {shown}"));
            }
            redact(&text, &self.secrets)
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.log.verbose(|| {
            let status = match (self.status, self.failure) {
                (Some(status), None) => status.as_u16().to_string(),
                (Some(status), Some(failure)) => format!("{} {}", status.as_u16(), failure.code()),
                (None, Some(failure)) => failure.code().to_owned(),
                (None, None) => "Cancelled".to_owned(),
            };
            let (request, took, bytes) = (&self.request, self.started.elapsed().as_millis(), self.bytes);
            redact(&format!("{request} {status} {took} ms {bytes} B {} retries", self.retries), &self.secrets)
        });
    }
}

/// Headers that are shown; the list names what may be seen, so that an unknown one is not.
fn is_harmless(name: &str) -> bool {
    const SHOWN: &[&str] = &[
        "accept",
        "accept-encoding",
        "accept-ranges",
        "age",
        "allow",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "if-match",
        "if-range",
        "last-modified",
        "range",
        "repr-digest",
        "retry-after",
        "server",
        "transfer-encoding",
        "tus-extension",
        "tus-max-size",
        "tus-resumable",
        "tus-version",
        "upload-expires",
        "upload-length",
        "upload-offset",
        "user-agent",
        "uss-outcome",
        "uss-replaced",
        "vary",
        "via",
        "www-authenticate",
    ];
    SHOWN.contains(&name)
}

fn value_is_sensitive(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(HeaderValue::is_sensitive)
}
