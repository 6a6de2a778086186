//! Who is signed in.

use axum::Json;
use serde::Serialize;

use super::auth::Caller;
use super::exchange::UserAnswer;
use crate::instant;

/// The signed-in user and the token in use.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    user: UserAnswer,
    /// Null: never.
    personal_token_expires: Option<String>,
}

/// `GET /api/v1/Account`
pub async fn account(caller: Caller) -> Json<Account> {
    Json(Account {
        user: UserAnswer::from(&caller.user),
        personal_token_expires: caller.token.expires_at.map(instant::round_trip),
    })
}
