//! What a client of tus 1.0.0 does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use reqwest::{Body, Method, RequestBuilder, Response};

use super::{Session, header};

pub const UPLOADS: &str = "/api/v1/Uploads";
pub const PART: usize = 8 << 20;

pub fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect();
    pairs.join(",")
}

pub fn of_package(id: &str, version: &str, sha256: &str) -> String {
    metadata(&[("packageId", id), ("version", version), ("sha256", sha256)])
}

pub async fn begin(session: &Session<'_>, length: usize, metadata: &str) -> Response {
    let request = session.request(Method::POST, UPLOADS).header("tus-resumable", "1.0.0");
    request.header("upload-length", length).header("upload-metadata", metadata).send().await.unwrap()
}

/// Begins an upload and gives its path.
pub async fn begun(session: &Session<'_>, length: usize, metadata: &str) -> String {
    let response = begin(session, length, metadata).await;
    assert_eq!(response.status(), 201);
    assert_eq!(header(response.headers(), "upload-offset"), "0");
    // Relative to the call that began it.
    format!("/api/v1/{}", header(response.headers(), "location"))
}

pub fn patch(session: &Session<'_>, upload: &str, at: usize) -> RequestBuilder {
    let request = session.request(Method::PATCH, upload).header("tus-resumable", "1.0.0");
    request.header("content-type", "application/offset+octet-stream").header("upload-offset", at)
}

pub async fn append(
    session: &Session<'_>,
    upload: &str,
    at: usize,
    body: impl Into<Body>,
) -> Result<Response, reqwest::Error> {
    patch(session, upload, at).body(body).send().await
}

pub async fn look(session: &Session<'_>, upload: &str) -> Response {
    session.request(Method::HEAD, upload).header("tus-resumable", "1.0.0").send().await.unwrap()
}

pub async fn offset(session: &Session<'_>, upload: &str) -> usize {
    let response = look(session, upload).await;
    assert_eq!(response.status(), 200);
    header(response.headers(), "upload-offset").parse().unwrap()
}

/// A body that breaks off after these bytes.
pub fn broken(bytes: &[u8]) -> Body {
    let chunks: Vec<_> = bytes.chunks(100_000).map(|chunk| Ok(chunk.to_vec())).collect();
    let end = [Err(std::io::Error::other("gone"))];
    Body::wrap_stream(stream::iter(chunks.into_iter().chain(end)))
}

/// Waits until the server has noticed that a client is gone, and has stored what it sent.
pub async fn settled(session: &Session<'_>, upload: &str, at_least: usize) -> usize {
    for _ in 0..200 {
        let at = offset(session, upload).await;
        if at >= at_least {
            return at;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the upload stays below {at_least}")
}
