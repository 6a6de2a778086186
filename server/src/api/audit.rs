//! Who did what, when, from where: what the page of it shows, for scripts.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::form_urlencoded::Serializer;

use super::App;
use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::sign_in::NO_STORE;
use crate::instant;
use crate::store::audit::{self, Line, Search};

/// Lines in a page, where the caller does not say.
const PAGE: i64 = 100;
/// Lines in a page at most.
const LARGEST_PAGE: i64 = 1_000;

/// A line as the web API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineAnswer {
    at: String,
    actor: String,
    action: String,
    target: String,
    outcome: String,
    /// Null: the command line.
    address: Option<String>,
}

impl From<Line> for LineAnswer {
    fn from(line: Line) -> Self {
        let Line { at, actor, action, target, outcome, address, .. } = line;
        Self { at: instant::round_trip(at), actor, action, target, outcome, address }
    }
}

/// `GET /api/v1/Audit?actor=&action=&limit=&before=`, newest first; the next page's address is in `Link` (RFC 8288).
pub async fn list(State(app): State<App>, caller: Caller, params: Params) -> Result<Response, Problem> {
    if !caller.is_admin() {
        return Err(Problem::forbidden(
            "The audit is for administrators, signed in or by a personal access token of theirs.",
        ));
    }
    let limit = params.limit(PAGE, LARGEST_PAGE)?;
    let (actor, action) = (params.search("actor")?, params.search("action")?);
    let before = params.get("before").map(|text| {
        audit::place(text).ok_or_else(|| {
            Problem::bad_request("'before' in the query is no place in the audit; take the address in 'Link'.")
        })
    });
    let search = Search {
        actor: actor.unwrap_or_default().to_owned(),
        action: action.unwrap_or_default().to_owned(),
        before: before.transpose()?,
        limit,
    };
    let found = audit::list(&app.store.database, &search).await?;
    let next = found.end().map(|last| {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string()).append_pair("before", &last.place());
        for (name, value) in [("actor", actor), ("action", action)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        // Relative to the request's address, so that it holds behind a proxy with a prefix too.
        format!("<?{}>; rel=\"next\"", query.finish())
    });
    let mut response =
        (NO_STORE, Json(found.rows.into_iter().map(LineAnswer::from).collect::<Vec<_>>())).into_response();
    if let Some(next) = next.and_then(|link| link.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
