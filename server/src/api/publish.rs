//! Publishing a package version.
//!
//! What can be refused without the body is refused before it is read. The version appears by one transaction, once its
//! blob is whole, on disk, digested, and its manifest read.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use uss::Version;

use super::App;
use super::auth::Caller;
use super::packages::VersionAnswer;
use super::params::Params;
use super::problem::Problem;
use super::receive::{announced, receive};
use crate::archive::{self, Archive};
use crate::store::blobs::{Blob, BlobReader, FreshBlob};
use crate::store::packages::{self, PackageVersion, Published};
use crate::store::{Store, StoreError};

/// `POST /api/v1/Packages?force=&packageId=&version=`
pub async fn publish(
    State(app): State<App>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    let force = params.flag("force")?;
    let id = params.get("packageId");
    let version = params.version("version")?;
    let digest = announced(&headers)?;
    if let (Some(id), Some(version), Some(digest)) = (id, &version, &digest)
        && let Some(existing) = packages::find(&app.store.database, id, version).await?
    {
        if existing.sha256 == *digest {
            return Ok(answer(StatusCode::OK, existing));
        }
        if !force {
            return Err(conflict(&existing));
        }
    }

    let blob = receive(&app.store, body, digest.as_deref()).await?;
    let (blob, archive) = read_archive(&app.store, blob).await?;
    if let Some(problem) = disagreement(&archive, id, version.as_ref()) {
        blob.discard().await;
        return Err(problem);
    }
    Ok(match packages::publish(&app.store, blob, archive, force, &caller.entry).await? {
        Published::Created(version) => answer(StatusCode::CREATED, version),
        Published::AlreadyThere(version) => answer(StatusCode::OK, version),
        Published::Replaced(version) => {
            let mut response = answer(StatusCode::OK, version);
            response.headers_mut().insert("uss-replaced", axum::http::HeaderValue::from_static("true"));
            response
        }
        Published::Conflict(existing) => return Err(conflict(&existing)),
    })
}

/// Why an archive's manifest could not be read.
pub enum Unread {
    /// The store failed; nothing is known of the archive.
    Store(StoreError),
    /// It is no package.
    Archive(Problem),
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Store(error) => error.into(),
            Unread::Archive(problem) => problem,
        }
    }
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads the manifest of a blob that was just received; one that cannot be used is removed.
pub async fn read_archive(store: &Store, fresh: FreshBlob) -> Result<(FreshBlob, Archive), Unread> {
    let blob = Blob {
        id: fresh.id.clone(),
        size: fresh.size,
        sha256: fresh.sha256.clone(),
        parts: fresh.parts.clone().into(),
    };
    let mut reader = BlobReader::new(store.blobs.clone(), blob, Handle::current());
    let read = tokio::task::spawn_blocking(move || (archive::read(&mut reader), reader.into_failure()));
    match read.await.map_err(StoreError::from)? {
        // The store failed, and the archive may be a good one.
        (_, Some(failure)) => Err(Unread::Store(failure)),
        (Ok(archive), None) => Ok((fresh, archive)),
        (Err(error), None) => {
            fresh.discard().await;
            Err(Unread::Archive(Problem::invalid_package(error.to_string())))
        }
    }
}

pub fn disagreement(archive: &Archive, id: Option<&str>, version: Option<&Version>) -> Option<Problem> {
    let differs = |what: &str, inside: &str, asked: &str| {
        let detail = format!("The manifest's {what} is '{inside}', and the query says '{asked}'.");
        Some(Problem::invalid_package(detail))
    };
    match (id, version) {
        (Some(id), _) if id != archive.id => differs("Id", &archive.id, id),
        (_, Some(version)) if *version != archive.version => {
            differs("Version", archive.version.as_str(), version.as_str())
        }
        _ => None,
    }
}

fn answer(status: StatusCode, version: PackageVersion) -> Response {
    (status, Json(VersionAnswer::from(version))).into_response()
}

pub fn conflict(existing: &PackageVersion) -> Problem {
    let detail = format!("Package already exists: {} {}", existing.package_id, existing.version);
    Problem::new(StatusCode::CONFLICT, "package-already-exists", detail)
}
