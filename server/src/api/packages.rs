//! What the server holds: packages, versions, their content; and deleting a version.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use uss::Version;
use uss::update_service::model::Dependency;

use super::App;
use super::auth::{Caller, ContentCaller};
use super::content::{self, Served};
use super::params::Params;
use super::problem::Problem;
use super::receive::small;
use crate::instant;
use crate::store::packages::{self, PackageVersion};

/// Packages in a page, where the caller does not say.
const PAGE: i64 = 500;
/// Packages in a page at most.
const LARGEST_PAGE: i64 = 1_000;
/// Ids in one query of versions at most.
const MOST_IDS: usize = 500;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PackageAnswer {
    id: String,
    name: Option<String>,
    display_name: Option<String>,
    description: Option<String>,
    version: String,
    size: u64,
    sha256: String,
    published: String,
}

/// A version as the web API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionAnswer {
    package_id: String,
    version: String,
    size: u64,
    sha256: String,
    published: String,
    dependencies: Vec<Dependency>,
}

impl From<PackageVersion> for VersionAnswer {
    fn from(version: PackageVersion) -> Self {
        Self {
            package_id: version.package_id,
            version: version.version,
            size: version.size,
            sha256: version.sha256,
            published: instant::round_trip(version.published_at),
            dependencies: version.dependencies,
        }
    }
}

/// `GET /api/v1/Packages?limit=&after=&search=`; the next page's address is in `Link` (RFC 8288).
pub async fn list(State(app): State<App>, _: Caller, params: Params) -> Result<Response, Problem> {
    let (limit, search) = (params.limit(PAGE, LARGEST_PAGE)?, params.search("search")?);
    let found = packages::list(&app.store.database, search, params.get("after"), limit).await?;
    let next = found.end().map(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string()).append_pair("after", &last.package_id);
        if let Some(search) = search {
            query.append_pair("search", search);
        }
        // Relative to the request's address, so that it holds behind a proxy with a prefix too.
        format!("<?{}>; rel=\"next\"", query.finish())
    });
    let answers: Vec<_> = found.rows.into_iter().map(package_answer).collect();
    let mut response = Json(answers).into_response();
    if let Some(next) = next.and_then(|link| link.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

fn package_answer(newest: PackageVersion) -> PackageAnswer {
    let [name, display_name, description] = newest.titles;
    PackageAnswer {
        id: newest.package_id,
        name,
        display_name,
        description,
        version: newest.version,
        size: newest.size,
        sha256: newest.sha256,
        published: instant::round_trip(newest.published_at),
    }
}

/// `GET /api/v1/Packages/versions?packageId=`, newest first.
pub async fn versions(State(app): State<App>, _: Caller, params: Params) -> Result<Json<Vec<VersionAnswer>>, Problem> {
    let id = params.required("packageId")?;
    let found = packages::versions(&app.store.database, &[id.to_owned()]).await?;
    if found.is_empty() {
        return Err(Problem::package_not_found(format!("There is no package '{id}'.")));
    }
    Ok(Json(found.into_iter().map(VersionAnswer::from).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Many {
    package_ids: Vec<String>,
}

/// `POST /api/v1/Packages/versions/query`; unknown ids are absent from the answer.
pub async fn versions_of_many(
    State(app): State<App>,
    _: Caller,
    request: Request,
) -> Result<Json<Vec<VersionAnswer>>, Problem> {
    let body = small(request).await?;
    let asked: Many = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("The body is not JSON like {\"packageIds\":[\"a\"]}."))?;
    if asked.package_ids.len() > MOST_IDS {
        return Err(Problem::bad_request(format!("At most {MOST_IDS} package ids may be asked for at once.")));
    }
    if asked.package_ids.is_empty() {
        return Ok(Json(Vec::new()));
    }
    let found = packages::versions(&app.store.database, &asked.package_ids).await?;
    Ok(Json(found.into_iter().map(VersionAnswer::from).collect()))
}

async fn find(app: &App, params: &Params) -> Result<PackageVersion, Problem> {
    let id = params.required("packageId")?;
    let text = params.required("version")?;
    let version = Version::parse(text).map_err(|error| Problem::bad_request(error.message()))?;
    let found = packages::find(&app.store.database, id, &version).await?;
    found.ok_or_else(|| Problem::package_not_found(format!("There is no package '{id}' of version {version}.")))
}

/// `GET` and `HEAD /api/v1/Packages/content?packageId=&version=`
pub async fn content(
    State(app): State<App>,
    method: Method,
    _: ContentCaller,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = find(&app, &params).await?;
    let file_name = format!("{}-{}.zip", found.package_id.replace('/', "-"), found.version);
    let served = Served {
        blob_id: &found.blob_id,
        content_type: "application/zip",
        file_name: &file_name,
        published_at: found.published_at,
    };
    content::serve(&app.store, &method, &headers, &served).await
}

/// `DELETE /api/v1/Packages?packageId=&version=`
pub async fn remove(State(app): State<App>, caller: Caller, params: Params) -> Result<StatusCode, Problem> {
    caller.require_admin()?;
    let found = find(&app, &params).await?;
    let version = Version::parse(&found.version).map_err(|error| Problem::bad_request(error.message()))?;
    if packages::delete(&app.store, &found.package_id, &version, &caller.entry).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::package_not_found(format!("There is no package '{}' of version {version}.", found.package_id)))
    }
}
