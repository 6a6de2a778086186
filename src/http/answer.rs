//! An answer: its head, and its body whole and bounded, or as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use super::failure::{from_reqwest, timeout};
use super::line::Line;
use super::redact::{foreign_text, redact};
use super::refusal::{is_html, title, web_page};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// Bytes of a JSON answer at most.
pub const MAX_JSON: usize = 64 * 1024 * 1024;

/// An answer whose body has not been read.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: BodyStream,
}

impl Answer {
    pub(super) fn new(response: reqwest::Response, server: &str, timeout: Duration, line: Line) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let chunks = Box::pin(response.bytes_stream());
        let body = BodyStream { chunks, server: server.into(), timeout, deadline: None, line };
        Self { status, headers, body }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it comes.
    #[must_use]
    pub fn into_body(self) -> BodyStream {
        self.body
    }

    /// The whole body, at most `limit` bytes; `secrets` are kept out of what is said about it.
    pub(super) async fn whole(mut self, limit: usize, secrets: &[Secret]) -> Result<Fetched, Error> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > limit {
                let server = &self.body.server;
                let message = format!("{server} answered with more than {limit} bytes where a short answer belongs.");
                return Err(Error::new(ErrorKind::ProtocolViolation, message).with_server(server.clone()));
            }
            whole.extend_from_slice(&chunk);
        }
        let (server, secrets) = (self.body.server.as_str().into(), secrets.to_vec());
        Ok(Fetched { status: self.status, headers: self.headers, body: whole.freeze(), server, secrets })
    }

    /// The first `limit` bytes, and what came when the connection breaks before: for refusals, where the status
    /// already says enough.
    pub(super) async fn start(mut self, limit: usize) -> (StatusCode, HeaderMap, Bytes) {
        let mut start = BytesMut::new();
        while let Some(Ok(chunk)) = self.body.next().await {
            let room = limit.saturating_sub(start.len()).min(chunk.len());
            start.extend_from_slice(chunk.get(..room).unwrap_or_default());
            if start.len() >= limit {
                break;
            }
        }
        (self.status, self.headers, start.freeze())
    }
}

/// A body as it comes. Silence for longer than the options allow is `Stalled`; time in which nobody asks for the
/// next bytes does not count.
pub struct BodyStream {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    server: String,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    line: Line,
}

impl BodyStream {
    fn silent(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = Instant::now() + self.timeout;
        let sleep = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().poll(context).is_ready()
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match self.chunks.as_mut().poll_next(context) {
            Poll::Ready(item) => item,
            Poll::Pending if self.silent(context) => {
                self.deadline = None;
                self.line.fail(ErrorKind::Stalled);
                let silent = timeout(&self.server, "send anything more");
                let stalled = Error::new(ErrorKind::Stalled, silent.message()).with_hint(silent.hint());
                let stalled = stalled.with_server(self.server.clone()).with_retry_after(Duration::ZERO);
                return Poll::Ready(Some(Err(stalled)));
            }
            Poll::Pending => return Poll::Pending,
        };
        self.deadline = None;
        Poll::Ready(item.map(|chunk| match chunk {
            Ok(chunk) => {
                self.line.add(chunk.len());
                Ok(chunk)
            }
            Err(error) => {
                let error = from_reqwest(&error, &self.server);
                self.line.fail(error.kind());
                Err(error)
            }
        }))
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A whole, short answer with a 2xx status.
#[derive(Debug)]
pub struct Fetched {
    /// 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    pub(super) server: Arc<str>,
    pub(super) secrets: Vec<Secret>,
}

impl Fetched {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// `ProtocolViolation` for a web page, broken JSON and missing fields. The message says where, never what is
    /// there: an answer may hold a bearer.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.is_not_json(&error))
    }

    /// The body as text, what is no UTF-8 replaced. The secrets that went with the request are redacted: a page that
    /// a proxy puts in the server's place may repeat the request.
    #[must_use]
    pub fn text(&self) -> String {
        redact(&String::from_utf8_lossy(&self.body), &self.secrets)
    }

    /// The server, as messages name it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A text of this answer as a message may hold it: one line, of at most 500 characters, with the secrets that went
    /// with the request redacted.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        foreign_text(text, &self.secrets)
    }

    /// Makes sure that it is no page for people, which a proxy or a login may put in an answer's place.
    ///
    /// # Errors
    /// `ProtocolViolation` with the page's title.
    pub fn no_page(&self) -> Result<(), Error> {
        let start = String::from_utf8_lossy(self.body.get(..self.body.len().min(16 * 1024)).unwrap_or_default());
        if is_html(&self.headers, &start) {
            let title = title(&start).map(|title| foreign_text(title, &self.secrets));
            return Err(web_page(&self.server, title.as_deref()));
        }
        Ok(())
    }

    fn is_not_json(&self, error: &serde_json::Error) -> Error {
        let server = &*self.server;
        if let Err(page) = self.no_page() {
            return page;
        }
        let text = error.to_string();
        let what = match error.classify() {
            serde_json::error::Category::Eof => "ends too early".to_owned(),
            serde_json::error::Category::Data if text.starts_with("missing field") => {
                format!("lacks a field ({})", text.split(" at line").next().unwrap_or_default())
            }
            serde_json::error::Category::Data => "does not have the form that the web API says".to_owned(),
            _ => "is no JSON".to_owned(),
        };
        let (line, column) = (error.line(), error.column());
        let message = format!("{server}'s answer {what}, at line {line}, column {column}.");
        Error::new(ErrorKind::ProtocolViolation, message)
            .with_hint("Check that the address is an Update Service, and that no proxy changes its answers.")
            .with_server(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update_service::model::PackageVersion;

    fn read(body: &str) -> Error {
        let fetched = Fetched {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            server: "https://a.example".into(),
            secrets: vec![Secret::new("hunter2".into())],
        };
        fetched.json::<Vec<PackageVersion>>().unwrap_err()
    }

    #[test]
    fn broken_json_is_told_by_its_place_and_never_by_its_text() {
        for (body, what) in [
            (r#"[{"packageId":"a"}]"#, "missing field `version`"),
            (r#"[{"packageId":"a","version""#, "ends too early"),
            (r#"{"token":"hunter2"}"#, "does not have the form"),
            (r#"["hunter2"]"#, "does not have the form"),
            ("hunter2", "is no JSON"),
            ("<html><title>Sign in, hunter2</title>hunter2", "'Sign in, [redacted]'"),
        ] {
            let error = read(body);
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
            assert!(error.message().contains(what), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
