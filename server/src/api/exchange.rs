//! The exchange: a user name and a personal access token against a bearer, as the product's guide describes it.

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use super::App;
use super::auth;
use super::params::Params;
use super::problem::Problem;
use crate::instant;
use crate::store::tokens::Status;
use crate::store::users::User;
use crate::tokens::{self, Exchange};

/// The guide's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    token: String,
    user: UserAnswer,
    token_expires: String,
}

/// A user as the web API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAnswer {
    user_id: String,
    email: String,
    first_name: String,
    last_name: String,
    full_name: String,
    enabled: bool,
}

impl From<&User> for UserAnswer {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.id.clone(),
            email: user.email.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            full_name: user.full_name(),
            enabled: user.enabled,
        }
    }
}

/// `POST /api/v1/PersonalTokens/authenticate?username=&personalToken=`
pub async fn authenticate(State(app): State<App>, params: Params, parts: Parts) -> Result<impl IntoResponse, Problem> {
    let name = params.get("username").unwrap_or_default();
    let value = params.get("personalToken").unwrap_or_default();
    let exchanged = tokens::exchange(&app.store, app.limits, name, value, &auth::address(&parts)).await?;
    let (token, user) = match exchanged {
        Exchange::Accepted(found) => *found,
        Exchange::Refused => {
            return Err(Problem::invalid_token("The user name or the personal access token is wrong."));
        }
        Exchange::Ended(Status::Revoked) => {
            return Err(Problem::invalid_token("The personal access token was revoked."));
        }
        Exchange::Ended(_) => return Err(Problem::invalid_token("The personal access token has expired.")),
        Exchange::Disabled => return Err(Problem::invalid_token("The user is disabled.")),
        Exchange::Limited(seconds) => {
            let detail = "Too many wrong user names or tokens; wait before trying again.";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail)
                .with_header(header::RETRY_AFTER, seconds.to_string()));
        }
    };
    let issued = app.bearers.issue(&user.id, &token).map_err(|error| {
        tracing::error!(error, "a bearer could not be signed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server could not sign a bearer token.")
    })?;
    #[cfg(feature = "faults")]
    app.faults.issued(&issued.jti);
    let answer = Answer {
        token: issued.value,
        user: UserAnswer::from(&user),
        token_expires: instant::round_trip(issued.expires_at),
    };
    const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
    Ok((NO_STORE, Json(answer)))
}
