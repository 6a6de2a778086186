//! A person's own tokens, for scripts. Only somebody who has signed in with a password may call these.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use uss::Secret;

use super::App;
use super::auth::Person;
use super::problem::Problem;
use super::sign_in::NO_STORE;
use crate::instant;
use crate::store::tokens::Token;
use crate::tokens::{self, Changes, Kind, MOST, Settings, TokenError, UPDATE_SERVICE};

/// A token as the web API tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    id: String,
    name: String,
    description: String,
    kind: &'static str,
    status: &'static str,
    created: String,
    expires: Option<String>,
    last_used: Option<String>,
    last_used_from: Option<String>,
    /// Only where it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl TokenAnswer {
    fn new(token: Token, value: Option<&Secret>) -> Self {
        Self {
            status: token.status().as_str(),
            kind: token.kind.as_str(),
            created: instant::round_trip(token.created_at),
            expires: token.expires_at.map(instant::round_trip),
            last_used: token.last_used_at.map(instant::round_trip),
            last_used_from: token.last_used_from,
            id: token.id,
            name: token.name,
            description: token.description,
            value: value.map(|value| value.expose().to_owned()),
        }
    }
}

/// What may be sent of a token. Unknown fields are refused: a misspelt `expires` must not make one that never ends.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Sent {
    name: Option<String>,
    description: Option<String>,
    /// Null: never. Absent: as it is.
    #[serde(deserialize_with = "given")]
    expires: Option<Option<String>>,
    kind: Option<String>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Sent {
    fn expires_at(&self) -> Result<Option<Option<i64>>, Problem> {
        let Some(expires) = &self.expires else { return Ok(None) };
        let at = expires.as_deref().map(instant::parse).transpose();
        at.map(Some).map_err(|why| invalid("expires", &why))
    }

    fn changes(self) -> Result<Changes, Problem> {
        if self.kind.is_some() {
            return Err(invalid("kind", "what a token is for does not change"));
        }
        let expires_at = self.expires_at()?;
        Ok(Changes { name: self.name, description: self.description, expires_at, scope: None })
    }
}

/// `GET /api/v1/PersonalTokens`
pub async fn list(State(app): State<App>, person: Person) -> Result<impl IntoResponse, Problem> {
    let tokens = tokens::list(&app.store, &person.user, &UPDATE_SERVICE).await?.into_iter();
    Ok((NO_STORE, Json(tokens.map(|token| TokenAnswer::new(token, None)).collect::<Vec<_>>())))
}

/// `POST /api/v1/PersonalTokens`
pub async fn create(State(app): State<App>, person: Person, body: Bytes) -> Result<impl IntoResponse, Problem> {
    let sent: Sent = read(&body)?;
    let kind = match sent.kind.as_deref() {
        None => Kind::Personal,
        Some(text) => UPDATE_SERVICE
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| invalid("kind", &format!("'{text}' is neither 'personal' nor 'client-service'")))?,
    };
    let expires_at = match (sent.expires_at()?, kind) {
        (Some(at), _) => at,
        (None, Kind::ClientService) => tokens::client_service_end(),
        (None, _) => None,
    };
    let (name, description) = (sent.name.unwrap_or_default(), sent.description.unwrap_or_default());
    let settings = Settings { name, description, expires_at, ..Settings::default() };
    let made = tokens::create(&app.store, &person.user, kind, settings, &person.entry).await?;
    Ok((StatusCode::CREATED, NO_STORE, shown(made)))
}

/// `PATCH /api/v1/PersonalTokens/{id}`
pub async fn edit(State(app): State<App>, person: Person, id: Id, body: Bytes) -> Result<impl IntoResponse, Problem> {
    let (id, changes) = (own(&app, &person, id).await?, read::<Sent>(&body)?.changes()?);
    let token = tokens::edit(&app.store, &person.user, &id, changes, &person.entry).await?;
    Ok(Json(TokenAnswer::new(token, None)))
}

/// `POST /api/v1/PersonalTokens/{id}/revoke`
pub async fn revoke(State(app): State<App>, person: Person, id: Id) -> Result<impl IntoResponse, Problem> {
    let id = own(&app, &person, id).await?;
    let token = tokens::revoke(&app.store, &person.user, &id, &person.entry).await?;
    Ok(Json(TokenAnswer::new(token, None)))
}

/// `POST /api/v1/PersonalTokens/{id}/regenerate`
pub async fn regenerate(State(app): State<App>, person: Person, id: Id) -> Result<impl IntoResponse, Problem> {
    let id = own(&app, &person, id).await?;
    let made = tokens::regenerate(&app.store, &person.user, &id, Changes::default(), &person.entry).await?;
    Ok((NO_STORE, shown(made)))
}

/// `POST /api/v1/PersonalTokens/{id}/copy`: another with the same settings, but for those that are sent.
pub async fn copy(State(app): State<App>, person: Person, id: Id, body: Bytes) -> Result<impl IntoResponse, Problem> {
    let sent = if body.is_empty() { Sent::default() } else { read(&body)? };
    let (id, changes) = (own(&app, &person, id).await?, sent.changes()?);
    let made = tokens::copy(&app.store, &person.user, &id, changes, &person.entry).await?;
    Ok((StatusCode::CREATED, NO_STORE, shown(made)))
}

/// `DELETE /api/v1/PersonalTokens/{id}`
pub async fn remove(State(app): State<App>, person: Person, id: Id) -> Result<StatusCode, Problem> {
    let id = own(&app, &person, id).await?;
    tokens::remove(&app.store, &person.user, &[id], &person.entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

type Id = Result<Path<String>, PathRejection>;

/// The id, if it is one of the person's tokens of these kinds.
async fn own(app: &App, person: &Person, id: Id) -> Result<String, Problem> {
    let Path(id) = id.map_err(|_| Problem::bad_request("The path is not UTF-8."))?;
    Ok(tokens::find(&app.store, &person.user, &UPDATE_SERVICE, &id).await?.id)
}

fn shown((token, value): (Token, Secret)) -> Json<TokenAnswer> {
    Json(TokenAnswer::new(token, Some(&value)))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("The body cannot be read: {error}.")))
}

fn invalid(field: &'static str, reason: &str) -> Problem {
    TokenError::Invalid { field, reason: reason.to_owned() }.into()
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let detail = format!("{error}.");
        match error {
            TokenError::Store(error) => error.into(),
            TokenError::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, "token-not-found", detail),
            TokenError::TooMany => {
                Self::new(StatusCode::CONFLICT, "too-many-tokens", format!("An account has at most {MOST} tokens."))
            }
            TokenError::Invalid { field, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-token-settings", detail).of_field(field)
            }
        }
    }
}
