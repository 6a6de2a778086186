//! The second dialect: `/1.0/<group>/<service>/rest/<method>`, as the Virtuozzo Application Platform answers it.
//!
//! ```text
//! call            a request's method and parameters, checked by the platform's API description
//! answer          what comes back: always HTTP 200 and {result, error, source, …}
//! caller          whose session or token it is, and whether the token's API set holds the method
//! dispatch        the calls that this server has, each with its function
//! authentication  sign in, sign out        tokens        access tokens        account   who is signed in
//! environments    environments and their nodes, whose states take time
//! methods         what a token can be made for: methods and sets of them
//! ```
//!
//! POST with form fields and GET with a query are the same call, as on the product: the guide's URL in a browser works.

pub mod account;
pub mod answer;
pub mod authentication;
pub mod call;
pub mod caller;
mod dispatch;
pub mod environments;
pub mod methods;
pub mod tokens;

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::api::App;
use crate::api::problem::Problem;
use call::Call;

/// What `serve` says of the platform's side.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an environment takes to start, to stop, and so on.
    pub state_time: Duration,
}

/// The route of all calls.
pub fn router() -> Router<App> {
    // HEAD is refused: it would do what GET does, and tell nobody how it went.
    let methods = get(answer).post(answer).head(async || {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This call does not take HEAD.")
    });
    Router::new().route("/1.0/{group}/{service}/rest/{method}", methods)
}

async fn answer(State(app): State<App>, Path(path): Path<(String, String, String)>, request: Request) -> Response {
    let (group, service, method) = path;
    let outcome = match Call::read(&format!("{group}/{service}/{method}"), request).await {
        Ok(call) => dispatch::dispatch(&app, &call).await,
        Err(refusal) => Err(refusal),
    };
    answer::respond(outcome).into_response()
}
