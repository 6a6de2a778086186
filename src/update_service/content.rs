//! Bytes out: a content from any byte on, and the proof that it is still the same one.

use std::pin::Pin;
use std::task::{Context as Task, Poll};

use bytes::{Buf, Bytes};
use futures_util::Stream;

use super::UpdateService;
use super::digest;
use crate::error::{Error, ErrorKind};
use crate::http::{Answer, BodyStream, HeaderMap, HeaderValue, Request, StatusCode, broken};
use crate::operation::Context;

/// An opened content.
#[derive(Debug)]
pub struct Content {
    /// The byte that `body` starts with: what was asked for, or 0 when the server cannot go on from there.
    pub status_from: u64,
    /// Bytes of the whole content, where the server tells.
    pub total: Option<u64>,
    /// The strong entity tag, where there is one (RFC 9110, section 8.8.3).
    pub etag: Option<String>,
    /// The whole content's digest, where the server tells (RFC 9530).
    pub sha256: Option<[u8; 32]>,
    /// The bytes. It ends with an error if fewer come than the server announced.
    pub body: ContentBody,
}

impl UpdateService {
    /// Opens a package's archive at byte `from`; with `if_match`, only if it still has that strong entity tag.
    ///
    /// # Errors
    /// `PackageNotFound`; `SourceChanged` when the entity tag differs or `from` lies beyond the end;
    /// `ProtocolViolation` when the answer is not the range that was asked for; else as the request fails.
    pub async fn content(
        &self,
        context: &Context,
        id: &str,
        version: &str,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Content, Error> {
        let mut request = self.request(&self.routes().content, &[("packageId", id), ("version", version)])?;
        request.missing = ErrorKind::PackageNotFound;
        self.open_content(context, request, from, if_match).await.map_err(|error| match error.kind() {
            ErrorKind::PackageNotFound => self.package_not_found(id, Some(version), error.http_status()),
            _ => error.within(&format!("Reading {id} {version}")).with_target(format!("{id} {version}")),
        })
    }

    /// Opens an installer's file, as [`Self::content`] does.
    ///
    /// # Errors
    /// `InstallerNotFound`; else as [`Self::content`].
    pub async fn installer_content(
        &self,
        context: &Context,
        id: &str,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Content, Error> {
        let request = self.request(&self.routes().installer_content, &[("id", id)]);
        let mut request = request.map_err(|_| self.installer_not_found(id, None))?;
        request.missing = ErrorKind::InstallerNotFound;
        self.open_content(context, request, from, if_match).await.map_err(|error| match error.kind() {
            ErrorKind::InstallerNotFound => self.installer_not_found(id, error.http_status()),
            _ => error.within(&format!("Reading the installer {id}")).with_target(id),
        })
    }

    async fn open_content(
        &self,
        context: &Context,
        mut request: Request,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Content, Error> {
        let headers = &mut request.headers;
        headers.insert("accept", HeaderValue::from_static("*/*"));
        // A compressed representation has other bytes, another length and another digest.
        headers.insert("accept-encoding", HeaderValue::from_static("identity"));
        if from > 0 {
            headers.insert("range", HeaderValue::try_from(format!("bytes={from}-")).map_err(|_| no_header())?);
        }
        if let Some(tag) = if_match {
            headers.insert("if-match", HeaderValue::try_from(tag).map_err(|_| no_header())?);
        }
        match self.0.connection.stream(context.log(), &request).await {
            Ok(answer) => self.check(answer, from, if_match),
            Err(error) if error.http_status() == Some(416) => {
                let message = format!("{} has fewer than {from} bytes of it now.", self.name());
                Err(self.changed(&message).with_http_status(416))
            }
            Err(error) if error.http_status() == Some(412) => {
                let message = format!("{} has other content under this name now.", self.name());
                Err(self.changed(&message).with_http_status(412))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the answer is what was asked for, and where its body starts.
    fn check(&self, answer: Answer, from: u64, if_match: Option<&str>) -> Result<Content, Error> {
        let headers = answer.headers().clone();
        if header(&headers, "content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(self.violated("sent compressed content where the bytes themselves were asked for"));
        }
        let etag = header(&headers, "etag").filter(|tag| tag.len() > 2 && tag.starts_with('"')).map(str::to_owned);
        let length = header(&headers, "content-length").and_then(|length| length.parse::<u64>().ok());
        let sha256 = digest::of_headers(&headers);
        let (status_from, skip, total, left) = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(&headers, "content-range").and_then(content_range);
                let Some((first, total)) = range else {
                    return Err(self.violated("sent a part of the content without saying which (Content-Range)"));
                };
                if first != from {
                    return Err(self.violated(&format!("sent the bytes from {first} where {from} was asked for")));
                }
                if if_match.is_some() && etag.is_some() && etag.as_deref() != if_match {
                    return Err(self.changed(&format!("{} has other content under this name now.", self.name())));
                }
                (from, 0, total, total.map(|total| total.saturating_sub(from)).or(length))
            }
            // The whole content. It can be joined to what is there only if it is the same for certain.
            _ if from > 0 && if_match.is_some() && etag.as_deref() == if_match => (from, from, length, length),
            _ => (0, 0, length, length),
        };
        // An installer may be a page, but then the server names it; a proxy names none of its pages.
        let named = etag.is_some() || sha256.is_some();
        if !named && answer.status() == StatusCode::OK && is_web_page(&headers) {
            return Err(self.violated("sent a web page where content was asked for"));
        }
        let server = self.name();
        let body = ContentBody { bytes: answer.into_body(), skip, left, server, ended: false };
        Ok(Content { status_from, total, etag, sha256, body })
    }

    fn changed(&self, message: &str) -> Error {
        Error::new(ErrorKind::SourceChanged, message)
            .with_hint("Run the command again: it starts from the new content.")
            .with_server(self.name())
    }

    fn violated(&self, what: &str) -> Error {
        let server = self.name();
        Error::new(ErrorKind::ProtocolViolation, format!("{server} {what}."))
            .with_hint("Check whether a proxy in between changes the server's answers.")
            .with_server(server)
    }
}

fn no_header() -> Error {
    Error::new(ErrorKind::InvalidArgument, "The entity tag cannot travel in a header.")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_web_page(headers: &HeaderMap) -> bool {
    header(headers, "content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// `bytes 5-9/10`: first byte and total (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    // A range that ends before the content does would look like a break after it.
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

/// A content's bytes from where [`Content`] says.
#[derive(Debug)]
pub struct ContentBody {
    bytes: BodyStream,
    skip: u64,
    /// Bytes that must still come, those to skip included.
    left: Option<u64>,
    server: String,
    ended: bool,
}

impl Stream for ContentBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            let item = match Pin::new(&mut self.bytes).poll_next(task) {
                Poll::Ready(item) => item,
                Poll::Pending => return Poll::Pending,
            };
            let mut chunk = match item {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.ended = true;
                    return Poll::Ready(match self.left {
                        Some(left) if left > 0 => {
                            Some(Err(broken(&self.server, &format!("it ended {left} bytes before the content did"))))
                        }
                        _ => None,
                    });
                }
            };
            let length = chunk.len() as u64;
            match self.left.map(|left| left.checked_sub(length)) {
                Some(None) => {
                    self.ended = true;
                    let message = format!("{} sent more content than it announced.", self.server);
                    let error = Error::new(ErrorKind::ProtocolViolation, message).with_server(self.server.clone());
                    return Poll::Ready(Some(Err(error)));
                }
                left => self.left = left.flatten(),
            }
            let skipped = self.skip.min(length);
            self.skip -= skipped;
            chunk.advance(usize::try_from(skipped).unwrap_or(chunk.len()));
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_whole_or_not_at_all() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["bytes */10", "bytes 9-5/10", "bytes 5-10/10", "items 5-9/10", "bytes 5-9", "bytes -9/10", ""] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
