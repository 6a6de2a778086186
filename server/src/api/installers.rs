//! Installers: list, one, download, publish.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::auth::{Caller, ContentCaller};
use super::content::{self, Served};
use super::params::Params;
use super::problem::Problem;
use super::receive::{announced, receive};
use crate::instant;
use crate::store::installers::{self, Installer, NewInstaller, Published};

/// An installer as the web API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallerAnswer {
    id: String,
    name: String,
    package_id: Option<String>,
    version: Option<String>,
    size: u64,
    sha256: String,
    file_name: String,
    published: String,
}

impl From<Installer> for InstallerAnswer {
    fn from(installer: Installer) -> Self {
        Self {
            id: installer.id,
            name: installer.name,
            package_id: installer.package_id,
            version: installer.version,
            size: installer.size,
            sha256: installer.sha256,
            file_name: installer.file_name,
            published: instant::round_trip(installer.published_at),
        }
    }
}

/// `GET /api/v1/installers`
pub async fn list(State(app): State<App>, _: Caller) -> Result<Json<Vec<InstallerAnswer>>, Problem> {
    let found = installers::list(&app.store.database).await?;
    Ok(Json(found.into_iter().map(InstallerAnswer::from).collect()))
}

/// `GET /api/v1/installers/{id}`
pub async fn one(State(app): State<App>, _: Caller, id: Id) -> Result<Json<InstallerAnswer>, Problem> {
    find(&app, &text(id)?).await.map(InstallerAnswer::from).map(Json)
}

/// `GET` and `HEAD /api/v1/installers/{id}/download`
pub async fn download(
    State(app): State<App>,
    method: Method,
    _: ContentCaller,
    id: Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = find(&app, &text(id)?).await?;
    let served = Served {
        blob_id: &found.blob_id,
        content_type: "application/octet-stream",
        file_name: &found.file_name,
        published_at: found.published_at,
    };
    content::serve(&app.store, &method, &headers, &served).await
}

/// The last part of the path but one, or why it is no text.
type Id = Result<Path<String>, PathRejection>;

fn text(id: Id) -> Result<String, Problem> {
    id.map(|Path(id)| id).map_err(|_| Problem::bad_request("The path is not UTF-8."))
}

async fn find(app: &App, id: &str) -> Result<Installer, Problem> {
    let found = installers::find(&app.store.database, id).await?;
    found.ok_or_else(|| Problem::installer_not_found(id))
}

/// `POST /api/v1/installers?name=&fileName=&id=&packageId=&version=&force=`
pub async fn publish(
    State(app): State<App>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_admin()?;
    let force = params.flag("force")?;
    let name = params.required("name")?.to_owned();
    let id = params.get("id").map(guid).transpose()?;
    let package_id = params.get("packageId").map(str::to_owned);
    let version = params.version("version")?.map(|version| version.as_str().to_owned());
    let file_name = file_name(params.get("fileName").unwrap_or(&name))?;
    let digest = announced(&headers)?;
    if let (Some(id), Some(digest)) = (&id, &digest)
        && let Some(existing) = installers::find(&app.store.database, id).await?
    {
        if existing.sha256 == *digest {
            return Ok(answer(StatusCode::OK, existing));
        }
        if !force {
            return Err(conflict(&existing));
        }
    }
    let blob = receive(&app.store, body, digest.as_deref()).await?;
    if blob.size == 0 {
        return Err(Problem::bad_request("An installer of no bytes is none."));
    }
    let new = NewInstaller { id, name, package_id, version, file_name };
    Ok(match installers::publish(&app.store, blob, new, force, &caller.entry).await? {
        Published::Created(installer) => answer(StatusCode::CREATED, installer),
        Published::AlreadyThere(installer) => answer(StatusCode::OK, installer),
        Published::Replaced(installer) => {
            let mut response = answer(StatusCode::OK, installer);
            response.headers_mut().insert("uss-replaced", HeaderValue::from_static("true"));
            response
        }
        Published::Conflict(existing) => return Err(conflict(&existing)),
    })
}

/// A GUID with its hyphens, as lower case.
pub fn guid(text: &str) -> Result<String, Problem> {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let digits = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if digits && lengths == [8, 4, 4, 4, 12] {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Problem::bad_request("'id' in the query is no GUID."))
}

/// A name without a folder.
pub fn file_name(text: &str) -> Result<String, Problem> {
    if matches!(text, "." | "..") || text.contains(['/', '\\']) || text.chars().any(char::is_control) {
        return Err(Problem::bad_request("'fileName' in the query is no plain file name."));
    }
    Ok(text.to_owned())
}

fn answer(status: StatusCode, installer: Installer) -> Response {
    (status, Json(InstallerAnswer::from(installer))).into_response()
}

pub fn conflict(existing: &Installer) -> Problem {
    let detail = format!("Installer already exists: {} ({})", existing.name, existing.id);
    Problem::new(StatusCode::CONFLICT, "installer-already-exists", detail)
}
