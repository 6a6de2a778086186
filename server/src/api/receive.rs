//! Receiving a body into a blob.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;

use super::problem::Problem;
use crate::store::Store;
use crate::store::blobs::{BlobWriter, FreshBlob, hex};

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(120);

/// How long a small body may take.
const SMALL: Duration = Duration::from_secs(30);

/// A body of a few arguments: 2 MiB at most, axum's own limit.
pub async fn small(request: Request) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(SMALL, Bytes::from_request(request, &())).await.map_err(|_| {
        let detail = format!("The body was not whole after {} seconds.", SMALL.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
    })?;
    read.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", "The body is too large.")
        }
        _ => Problem::bad_request("The body broke off."),
    })
}

/// The digest that a client announces in `Repr-Digest`, as hex (RFC 9530). Other algorithms are not looked at.
pub fn announced(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let invalid = || Problem::bad_request("The Repr-Digest header holds no sha-256=:base64 of 32 bytes:.");
    for value in headers.get_all("repr-digest") {
        for member in value.to_str().map_err(|_| invalid())?.split(',') {
            let Some((name, value)) = member.trim().split_once('=') else { continue };
            if name == "sha-256" {
                let inner = value.strip_prefix(':').and_then(|value| value.strip_suffix(':')).ok_or_else(invalid)?;
                let bytes = STANDARD.decode(inner).map_err(|_| invalid())?;
                return if bytes.len() == 32 { Ok(Some(hex(&bytes))) } else { Err(invalid()) };
            }
        }
    }
    Ok(None)
}

/// Stores the body as it comes, and checks it against `announced`. What was stored of a body that breaks off, or that
/// is another one, is removed.
pub async fn receive(store: &Store, body: Body, announced: Option<&str>) -> Result<FreshBlob, Problem> {
    let mut writer = BlobWriter::new(&store.blobs);
    if let Err(problem) = fill(&mut writer, body).await {
        writer.discard().await;
        return Err(problem);
    }
    let blob = writer.finish().await?;
    match announced {
        Some(announced) if announced != blob.sha256 => {
            let detail = format!(
                "The body's SHA-256 is {}, not {announced} as Repr-Digest says. Nothing was changed.",
                blob.sha256
            );
            blob.discard().await;
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "checksum-mismatch", detail))
        }
        _ => Ok(blob),
    }
}

async fn fill(writer: &mut BlobWriter, body: Body) -> Result<(), Problem> {
    let mut frames = body.into_data_stream();
    loop {
        let frame = tokio::time::timeout(SILENCE, frames.next()).await.map_err(|_| {
            let detail = format!("Nothing came for {} seconds. Nothing was changed.", SILENCE.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
        })?;
        let Some(frame) = frame else { return Ok(()) };
        let bytes = frame.map_err(|_| Problem::bad_request("The body broke off. Nothing was changed."))?;
        writer.write(bytes).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use futures_util::stream;

    #[tokio::test(start_paused = true)]
    async fn a_small_body_that_trickles_is_given_up() {
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let problem = small(Request::new(Body::from_stream(trickle))).await.unwrap_err();
        assert_eq!(problem.into_response().status(), StatusCode::REQUEST_TIMEOUT);
    }
}
