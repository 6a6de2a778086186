//! A person's sign-in for scripts: a name and a password against a bearer of 15 minutes that no cookie carries.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use uss::Secret;

use super::App;
use super::auth::{self, Person};
use super::params::Params;
use super::problem::Problem;
use crate::instant;
use crate::people::{self, SignIn};
use crate::sessions::{self, Kind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    user_name: String,
    password: String,
}

/// The person's bearer.
#[derive(Serialize)]
struct Answer {
    token: String,
    expires: String,
}

/// What answers with a secret is kept by nobody on its way.
pub(super) const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// `POST /api/v1/Account/signin`
pub async fn sign_in(State(app): State<App>, parts: Parts, body: Bytes) -> Result<impl IntoResponse, Problem> {
    // The parser's own words would quote the password.
    let credential: Credential = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("The body is not JSON of the form {\"userName\": …, \"password\": …}."))?;
    let (address, password) = (auth::address(&parts), Secret::new(credential.password));
    let user = match people::sign_in(&app.store, &credential.user_name, &password, &address).await? {
        SignIn::Accepted(user) => user,
        SignIn::Refused => return Err(Problem::invalid_token("The user name or the password is wrong.")),
        SignIn::Limited(seconds) => return Err(limited(seconds)),
    };
    let (session, value) = sessions::begin(&app.store, &user, Kind::Person, &address, &auth::agent(&parts)).await?;
    let answer = Answer { token: value.expose().to_owned(), expires: instant::round_trip(session.expires_at) };
    Ok((NO_STORE, Json(answer)))
}

/// `POST /api/v1/Account/signout`, with `everywhere=true` every session of the person.
pub async fn sign_out(State(app): State<App>, person: Person, params: Params) -> Result<StatusCode, Problem> {
    if params.flag("everywhere")? {
        sessions::end_all(&app.store, &person.user, &person.entry).await?;
    } else {
        sessions::end(&app.store, std::slice::from_ref(&person.session), &person.entry).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Too many wrong passwords.
pub fn limited(seconds: u64) -> Problem {
    let detail = "Too many wrong user names or passwords; wait before trying again.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", detail)
        .with_header(header::RETRY_AFTER, seconds.to_string())
}
