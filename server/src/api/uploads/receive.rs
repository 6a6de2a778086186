//! Bytes of an upload, and its end.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::running::Turn;
use super::{gone, offset, put, tus};
use crate::api::App;
use crate::api::auth::Caller;
use crate::api::content::repr_digest;
use crate::api::problem::Problem;
use crate::api::publish::{Unread, disagreement, read_archive};
use crate::store::StoreError;
use crate::store::installers::{self, NewInstaller};
use crate::store::packages;
use crate::store::uploads::{self, Appending, Content, Upload};

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(120);

/// Adds a request's bytes to an upload that is at `at`; a whole upload is published then.
pub(super) async fn receive(
    app: App,
    caller: Caller,
    id: String,
    at: u64,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let checksum = Checksum::read(&headers)?;
    // A task of its own: a client that goes away must not take along what it has sent.
    tokio::spawn(async move {
        let turn = app.uploads.take(&id).await?;
        let upload = uploads::find(&app.store.database, &id, &caller.user.id).await?.ok_or_else(gone)?;
        if upload.received != at {
            return Err(elsewhere(&upload));
        }
        let ended = fill(&app, &turn, &upload, checksum, body).await?;
        let upload = uploads::find(&app.store.database, &id, &caller.user.id).await?.ok_or_else(gone)?;
        ended?;
        if upload.received < upload.length {
            return Ok(offset(StatusCode::NO_CONTENT, &upload));
        }
        turn.publishing();
        publish(&app, &caller, &upload).await
    })
    .await
    .map_err(StoreError::from)?
}

/// Stores what comes. The inner failure is one of the request: what came before it counts.
async fn fill(
    app: &App,
    turn: &Turn,
    upload: &Upload,
    mut checksum: Option<Checksum>,
    body: Body,
) -> Result<Result<(), Problem>, Problem> {
    let mut appending = Appending::new(&app.store, upload, checksum.is_some());
    let mut room = upload.length - upload.received;
    let mut frames = body.into_data_stream();
    let ended = loop {
        let frame = tokio::select! {
            frame = tokio::time::timeout(SILENCE, frames.next()) => frame,
            () = turn.wanted() => break Err(broke_off("Another request goes on with this upload.")),
        };
        let bytes: Bytes = match frame {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(_))) => break Err(broke_off("The body broke off.")),
            Ok(None) => break Ok(()),
            Err(_) => break Err(broke_off(&format!("Nothing came for {} seconds.", SILENCE.as_secs()))),
        };
        turn.heard();
        if bytes.len() as u64 > room {
            break Err(Problem::bad_request("The body goes beyond the upload's length."));
        }
        room -= bytes.len() as u64;
        if let Some(checksum) = &mut checksum {
            checksum.update(&bytes);
        }
        if !appending.write(bytes).await {
            break Ok(());
        }
    };
    let refused = match checksum {
        // A checksum of a body that is not whole proves nothing, and none of it counts.
        Some(checksum) => ended.and_then(|()| checksum.verify()),
        None => {
            return match appending.finish().await? {
                Ok(()) => Ok(ended),
                Err(uploads::Late) => Err(broke_off("Another request has gone on with this upload.")),
            };
        }
    };
    match refused {
        Ok(()) => match appending.finish().await? {
            Ok(()) => Ok(Ok(())),
            Err(uploads::Late) => Err(broke_off("Another request has gone on with this upload.")),
        },
        Err(problem) => {
            appending.reject().await?;
            Ok(Err(problem))
        }
    }
}

/// Publishes a whole upload. Whatever comes of it, the upload is gone then; only when the server itself fails it stays.
async fn publish(app: &App, caller: &Caller, upload: &Upload) -> Result<Response, Problem> {
    let blob = uploads::whole(&app.store, upload).await?;
    let sha256 = blob.sha256.clone();
    let repr_digest = repr_digest(&blob.id, &sha256)?;
    if let Some(wanted) = upload.sha256.as_ref().filter(|wanted| **wanted != sha256) {
        uploads::remove(&app.store, &upload.id).await?;
        let detail = format!("The upload's SHA-256 is {sha256}, not {wanted} as was said. Nothing was changed.");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "checksum-mismatch", detail));
    }
    let outcome = match &upload.content {
        Content::Package { package_id, version } => {
            let version = super::metadata::version(version)?;
            let (blob, archive) = match read_archive(&app.store, blob).await {
                Ok(read) => read,
                Err(Unread::Store(error)) => {
                    // Bytes that are lost come back by a new upload alone.
                    if matches!(error, StoreError::Damaged(_)) {
                        uploads::remove(&app.store, &upload.id).await?;
                    }
                    return Err(error.into());
                }
                Err(Unread::Archive(problem)) => return refuse(app, upload, problem).await,
            };
            if let Some(problem) = disagreement(&archive, Some(package_id), Some(&version)) {
                return refuse(app, upload, problem).await;
            }
            match packages::publish(&app.store, blob, archive, upload.force, &caller.entry).await? {
                packages::Published::Created(_) => "created",
                packages::Published::AlreadyThere(_) => "already-there",
                packages::Published::Replaced(_) => "replaced",
                packages::Published::Conflict(existing) => {
                    return refuse(app, upload, crate::api::publish::conflict(&existing)).await;
                }
            }
        }
        Content::Installer { .. } if upload.length == 0 => {
            return refuse(app, upload, Problem::bad_request("An installer of no bytes is none.")).await;
        }
        Content::Installer { id, name, package_id, version, file_name } => {
            let new = NewInstaller {
                id: id.clone(),
                name: name.clone(),
                package_id: package_id.clone(),
                version: version.clone(),
                file_name: file_name.clone(),
            };
            match installers::publish(&app.store, blob, new, upload.force, &caller.entry).await? {
                installers::Published::Created(_) => "created",
                installers::Published::AlreadyThere(_) => "already-there",
                installers::Published::Replaced(_) => "replaced",
                installers::Published::Conflict(existing) => {
                    return refuse(app, upload, crate::api::installers::conflict(&existing)).await;
                }
            }
        }
    };
    if outcome == "already-there" {
        uploads::remove(&app.store, &upload.id).await?;
    }
    let mut response = tus(StatusCode::NO_CONTENT, [("upload-offset", upload.length.to_string())]);
    put(&mut response, HeaderName::from_static("uss-outcome"), outcome.to_owned());
    put(&mut response, HeaderName::from_static("repr-digest"), repr_digest);
    Ok(response)
}

async fn refuse(app: &App, upload: &Upload, problem: Problem) -> Result<Response, Problem> {
    uploads::remove(&app.store, &upload.id).await?;
    Err(problem)
}

fn broke_off(why: &str) -> Problem {
    let detail = format!("{why} What came before counts; HEAD tells how much.");
    Problem::new(StatusCode::CONFLICT, "upload-broke-off", detail).with_header(header::RETRY_AFTER, "0")
}

fn elsewhere(upload: &Upload) -> Problem {
    let detail = format!("The upload is at byte {}.", upload.received);
    Problem::new(StatusCode::CONFLICT, "upload-offset", detail)
        .with_header(HeaderName::from_static("upload-offset"), upload.received.to_string())
}

/// `Upload-Checksum: sha256 BASE64`, of one request's bytes.
struct Checksum {
    algorithm: Algorithm,
    wanted: Vec<u8>,
}

enum Algorithm {
    Sha1(Sha1),
    Sha256(Box<Sha256>),
}

impl Checksum {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get("upload-checksum") else { return Ok(None) };
        let (name, digest) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
        let algorithm = match name {
            "sha1" => Algorithm::Sha1(Sha1::new()),
            "sha256" => Algorithm::Sha256(Box::default()),
            _ => return Err(Problem::bad_request("Upload-Checksum is made with sha1 or sha256.")),
        };
        let wanted = STANDARD.decode(digest).map_err(|_| Problem::bad_request("Upload-Checksum is not base64."))?;
        Ok(Some(Self { algorithm, wanted }))
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.algorithm {
            Algorithm::Sha1(hasher) => hasher.update(bytes),
            Algorithm::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn verify(self) -> Result<(), Problem> {
        let found = match self.algorithm {
            Algorithm::Sha1(hasher) => hasher.finalize().to_vec(),
            Algorithm::Sha256(hasher) => hasher.finalize().to_vec(),
        };
        if found == self.wanted {
            return Ok(());
        }
        let status = StatusCode::from_u16(460).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        let detail = "The bytes of this request do not have its Upload-Checksum; none of them counts.";
        Err(Problem::new(status, "checksum-mismatch", detail))
    }
}
