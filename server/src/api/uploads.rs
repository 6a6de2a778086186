//! Uploads that can be gone on with after a break: tus 1.0.0 with creation, creation-with-upload, checksum, expiration
//! and termination (tus.io/protocols/resumable-upload).
//!
//! The bytes that complete an upload publish it: the answer to them comes when that has ended, one way or the other.

mod metadata;
mod receive;
mod running;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use super::auth::Caller;
use super::installers::InstallerAnswer;
use super::packages::VersionAnswer;
use super::problem::Problem;
use crate::instant::{self, SECOND};
use crate::store::uploads::{self, Content, Upload};
use crate::store::{installers, packages};

pub use running::Running;

/// Bytes of an upload at most: 4 TiB.
const MAX_SIZE: u64 = 4 << 40;

const EXTENSIONS: &str = "creation,creation-with-upload,checksum,expiration,termination";

/// `OPTIONS /api/v1/Uploads`
pub async fn options(_: Caller) -> Response {
    let headers = [
        ("tus-version", "1.0.0".to_owned()),
        ("tus-extension", EXTENSIONS.to_owned()),
        ("tus-checksum-algorithm", "sha1,sha256".to_owned()),
        ("tus-max-size", MAX_SIZE.to_string()),
    ];
    tus(StatusCode::NO_CONTENT, headers)
}

/// `POST /api/v1/Uploads`: begins an upload. Content that is there already is told at once, with 200 and what it is.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    version(&headers)?;
    let length = number(&headers, "upload-length")?
        .ok_or_else(|| Problem::bad_request("The request lacks Upload-Length; a length is needed beforehand."))?;
    if length > MAX_SIZE {
        let detail = format!("An upload has {MAX_SIZE} bytes at most.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", detail));
    }
    let metadata = metadata::read(&headers)?;
    if let Some(there) = there(&app, &metadata).await? {
        return Ok(there);
    }
    let metadata::Metadata { content, sha256, force, text } = metadata;
    let begun = uploads::Begun { content, sha256, force, length, metadata: text };
    let upload = uploads::create(&app.store.database, &caller.user.id, begun).await?;
    // Relative to this call, so that it holds behind a proxy that puts a prefix before the path (RFC 3986, section 4.2).
    let location = format!("Uploads/{}", upload.id);
    let mut response = if carries_bytes(&headers) || length == 0 {
        receive::receive(app, caller, upload.id, 0, headers, body).await?
    } else {
        offset(StatusCode::CREATED, &upload)
    };
    *response.status_mut() = StatusCode::CREATED;
    put(&mut response, header::LOCATION, location);
    Ok(response)
}

/// `HEAD /api/v1/Uploads/{id}`
pub async fn head(State(app): State<App>, caller: Caller, id: Id, headers: HeaderMap) -> Result<Response, Problem> {
    version(&headers)?;
    let upload = find(&app, &caller, &text(id)?).await?;
    let mut response = offset(StatusCode::OK, &upload);
    put(&mut response, HeaderName::from_static("upload-length"), upload.length.to_string());
    put(&mut response, HeaderName::from_static("upload-metadata"), upload.metadata);
    put(&mut response, header::CACHE_CONTROL, "no-store".to_owned());
    Ok(response)
}

/// `PATCH /api/v1/Uploads/{id}`: adds bytes. Those that complete it publish it.
pub async fn append(
    State(app): State<App>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    version(&headers)?;
    if !carries_bytes(&headers) {
        let detail = "The body of a PATCH is application/offset+octet-stream.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    let at =
        number(&headers, "upload-offset")?.ok_or_else(|| Problem::bad_request("The request lacks Upload-Offset."))?;
    let upload = find(&app, &caller, &text(id)?).await?;
    receive::receive(app, caller, upload.id, at, headers, body).await
}

/// `DELETE /api/v1/Uploads/{id}`: gives an upload up.
pub async fn terminate(
    State(app): State<App>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    version(&headers)?;
    let upload = find(&app, &caller, &text(id)?).await?;
    let _turn = app.uploads.take(&upload.id).await?;
    if uploads::remove(&app.store, &upload.id).await? { Ok(tus(StatusCode::NO_CONTENT, [])) } else { Err(gone()) }
}

/// Puts the protocol's version on each answer, refusals among them.
pub async fn speak(mut response: Response) -> Response {
    put(&mut response, HeaderName::from_static("tus-resumable"), "1.0.0".to_owned());
    response
}

/// The last part of the path, or why it is no text.
type Id = Result<Path<String>, PathRejection>;

fn text(id: Id) -> Result<String, Problem> {
    id.map(|Path(id)| id).map_err(|_| Problem::bad_request("The path is not UTF-8."))
}

/// The caller's own upload; there is no other for anybody.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<Upload, Problem> {
    let upload = uploads::find(&app.store.database, id, &caller.user.id).await?.ok_or_else(gone)?;
    if upload.expires_at <= instant::now() {
        let detail = "The upload has expired; begin it again.";
        return Err(Problem::new(StatusCode::GONE, "upload-expired", detail));
    }
    Ok(upload)
}

fn gone() -> Problem {
    Problem::upload_not_found()
}

/// What is there under this name already, where that decides.
async fn there(app: &App, metadata: &metadata::Metadata) -> Result<Option<Response>, Problem> {
    let Some(sha256) = &metadata.sha256 else { return Ok(None) };
    match &metadata.content {
        Content::Package { package_id, version } => {
            let version = metadata::version(version)?;
            match packages::find(&app.store.database, package_id, &version).await? {
                Some(existing) if existing.sha256 == *sha256 => {
                    Ok(Some((StatusCode::OK, Json(VersionAnswer::from(existing))).into_response()))
                }
                Some(existing) if !metadata.force => Err(super::publish::conflict(&existing)),
                _ => Ok(None),
            }
        }
        Content::Installer { id, .. } => {
            let Some(id) = id else { return Ok(None) };
            match installers::find(&app.store.database, id).await? {
                Some(existing) if existing.sha256 == *sha256 => {
                    Ok(Some((StatusCode::OK, Json(InstallerAnswer::from(existing))).into_response()))
                }
                Some(existing) if !metadata.force => Err(super::installers::conflict(&existing)),
                _ => Ok(None),
            }
        }
    }
}

/// Refuses other versions of the protocol, as it demands.
fn version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get("tus-resumable").is_some_and(|value| value == "1.0.0") {
        return Ok(());
    }
    let detail = "This call speaks tus 1.0.0: the request needs Tus-Resumable: 1.0.0.";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "tus-version", detail)
        .with_header(HeaderName::from_static("tus-version"), "1.0.0"))
}

fn carries_bytes(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/offset+octet-stream")
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Problem::bad_request(format!("The header {name} is no number."))),
    }
}

/// An answer that tells how far an upload is, and how long it is kept.
fn offset(status: StatusCode, upload: &Upload) -> Response {
    let expires = std::time::Duration::from_secs(u64::try_from(upload.expires_at / SECOND).unwrap_or_default());
    let expires = httpdate::fmt_http_date(std::time::UNIX_EPOCH + expires);
    tus(status, [("upload-offset", upload.received.to_string()), ("upload-expires", expires)])
}

fn tus<const N: usize>(status: StatusCode, headers: [(&'static str, String); N]) -> Response {
    let mut response = status.into_response();
    for (name, value) in headers {
        put(&mut response, HeaderName::from_static(name), value);
    }
    response
}

fn put(response: &mut Response, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}
