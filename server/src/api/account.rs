//! Who is signed in.

use axum::Json;
use serde::Serialize;

use super::auth::{Caller, Origin};
use super::exchange::UserAnswer;
use crate::instant;

/// The signed-in user and the token in use.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    user: UserAnswer,
    /// Null: never, or the caller has signed in without one.
    personal_token_expires: Option<String>,
}

/// `GET /api/v1/Account`
pub async fn account(caller: Caller) -> Json<Account> {
    let expires = match &caller.origin {
        Origin::Token(token) => token.expires_at,
        Origin::Session(_) => None,
    };
    Json(Account { user: UserAnswer::from(&caller.user), personal_token_expires: expires.map(instant::round_trip) })
}
