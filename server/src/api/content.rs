//! Serving a blob: ranges and preconditions (RFC 9110, sections 13 and 14), and the whole file's digest (RFC 9530).

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

use super::problem::Problem;
use crate::store::blobs::{self, from_hex};
use crate::store::{Store, StoreError};

/// What is served.
pub struct Served<'a> {
    /// Its blob.
    pub blob_id: &'a str,
    /// Its type.
    pub content_type: &'static str,
    /// The name that a browser saves it by.
    pub file_name: &'a str,
    /// Microseconds since 1970.
    pub published_at: i64,
}

/// Answers GET and HEAD.
pub async fn serve(
    store: &Store,
    method: &Method,
    headers: &HeaderMap,
    served: &Served<'_>,
) -> Result<axum::response::Response, Problem> {
    let blob = blobs::find(&store.database, served.blob_id).await?;
    // Deleted or replaced between the two queries.
    let blob = blob.ok_or_else(|| Problem::package_not_found("The content has just been removed."))?;
    let etag = format!("\"{}\"", blob.sha256);
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default());

    if let Some(wanted) = text(header::IF_MATCH)
        && !lists(wanted, &etag)
    {
        let detail = "The content is not the one that If-Match names.";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail)
            .with_header(header::ETAG, etag));
    }
    let response = Response::builder().header(header::ETAG, &etag).header(header::CACHE_CONTROL, "private, no-cache");
    if let Some(known) = text(header::IF_NONE_MATCH)
        && lists(&known.replace("W/", ""), &etag)
    {
        return response.status(StatusCode::NOT_MODIFIED).body(Body::empty()).map_err(|error| unsent(&error));
    }

    // A range counts only for GET (section 14.2), and only when If-Range names this content.
    let wanted = text(header::RANGE).filter(|_| method == Method::GET);
    let wanted = wanted.filter(|_| text(header::IF_RANGE).is_none_or(|tag| tag.trim() == etag));
    let range = match wanted.map_or(Wanted::Whole, |wanted| requested(wanted, blob.size)) {
        Wanted::Whole => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            let detail = format!("The range lies outside the content's {} bytes.", blob.size);
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", detail)
                .with_header(header::CONTENT_RANGE, format!("bytes */{}", blob.size))
                .with_header(header::ACCEPT_RANGES, "bytes")
                .with_header(header::ETAG, etag));
        }
    };

    let mut response = response
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, served.content_type)
        .header(header::CONTENT_DISPOSITION, disposition(served.file_name))
        .header(header::LAST_MODIFIED, last_modified(served.published_at))
        .header("repr-digest", repr_digest(&blob.id, &blob.sha256)?);
    if let Some(range) = &range {
        let value = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, value);
    }
    let range = range.unwrap_or(0..blob.size);
    response = response.header(header::CONTENT_LENGTH, range.end - range.start);
    let body =
        if method == Method::HEAD { Body::empty() } else { Body::from_stream(logged(store.blobs.read(&blob, range))) };
    response.body(body).map_err(|error| unsent(&error))
}

/// What keeps them from being read breaks the connection, and only the log can say why.
fn logged(bytes: impl Stream<Item = Result<Bytes, StoreError>>) -> impl Stream<Item = Result<Bytes, StoreError>> {
    bytes.inspect_err(|error| tracing::error!(%error, "a download broke"))
}

fn unsent(error: &axum::http::Error) -> Problem {
    StoreError::Damaged(format!("an answer could not be made: {error}")).into()
}

/// Whether a list of entity tags holds this one by strong comparison, or is `*`.
fn lists(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim() == etag)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// One range of bytes. Several at once, other units and what cannot be read are ignored, as section 14.2 allows.
fn requested(value: &str, size: u64) -> Wanted {
    let Some((unit, set)) = value.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| {
        let text = text.trim();
        // A number too large for u64 lies behind every end.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    match (first.trim().is_empty(), number(first), last.trim().is_empty(), number(last)) {
        (true, _, _, Some(0)) => Wanted::Nothing,
        (true, _, _, Some(count)) if size > 0 => Wanted::Part(size.saturating_sub(count)..size),
        (_, Some(first), true, _) if first < size => Wanted::Part(first..size),
        (_, Some(first), _, Some(last)) if first > last => Wanted::Whole,
        (_, Some(first), _, Some(last)) if first < size => Wanted::Part(first..last.saturating_add(1).min(size)),
        (_, Some(_), true, _) | (_, Some(_), _, Some(_)) | (true, _, _, Some(_)) => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

/// `sha-256=:base64:` over the whole file, whatever part is sent (RFC 9530, section 3).
pub fn repr_digest(blob_id: &str, sha256: &str) -> Result<String, Problem> {
    let bytes = from_hex(sha256).ok_or_else(|| StoreError::Damaged(format!("the digest of blob {blob_id}")))?;
    Ok(format!("sha-256=:{}:", STANDARD.encode(bytes)))
}

/// A name for saving; other than plain characters travel percent-encoded (RFC 6266, RFC 8187).
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ' ') { c } else { '_' })
        .collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn last_modified(micros: i64) -> String {
    let since = std::time::Duration::from_micros(micros.max(0).unsigned_abs());
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (value, expected) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=99-200", Wanted::Part(99..100)),
            ("Bytes = 5-5", Wanted::Part(5..6)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=0-5", Wanted::Whole),
            ("bytes", Wanted::Whole),
        ] {
            assert_eq!(requested(value, 100), expected, "{value}");
        }
        assert_eq!(requested("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(requested("bytes=-5", 0), Wanted::Nothing);
    }

    #[test]
    fn a_file_name_never_breaks_its_header() {
        assert_eq!(disposition("a-1.0+b.zip"), "attachment; filename=\"a-1.0+b.zip\"");
        assert_eq!(disposition("ä\".exe"), "attachment; filename=\"__.exe\"; filename*=UTF-8''%C3%A4%22.exe");
    }
}
