//! Who calls: the bearer of a request, checked against its token's state every time.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::App;
use super::problem::Problem;
use crate::store::audit::Entry;
use crate::store::tokens::{self, Status, Token};
use crate::store::users::User;

/// The other end of the connection; the listener puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A signed-in caller.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// The token that the bearer came from.
    pub token: Token,
    /// For the audit table.
    pub entry: Entry,
}

impl Caller {
    /// Refuses whoever is no administrator.
    pub fn require_admin(&self) -> Result<(), Problem> {
        if self.user.admin {
            return Ok(());
        }
        Err(Problem::forbidden(format!("User '{}' may not change what this server holds.", self.user.name)))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let address = address(parts);
        let value = bearer(parts).ok_or_else(Problem::unauthenticated)?;
        let invalid = || Problem::invalid_token("The bearer token is not valid or has expired.");
        let claims = app.bearers.check(value).ok_or_else(invalid)?;
        #[cfg(feature = "faults")]
        if app.faults.expired(&claims.jti) {
            return Err(invalid());
        }
        let (token, user) = tokens::find(&app.store.database, &claims.tid).await?.ok_or_else(invalid)?;
        match token.status() {
            Status::Active if user.enabled && user.id == claims.sub => {}
            Status::Active => return Err(invalid()),
            Status::Expired => return Err(Problem::invalid_token("The personal access token has expired.")),
            Status::Revoked => return Err(Problem::invalid_token("The personal access token was revoked.")),
        }
        tokens::used(&app.store.database, &token, &address).await;
        let entry = Entry { actor: user.name.clone(), address: Some(address) };
        Ok(Self { user, token, entry })
    }
}

/// A caller of content: nobody needs to be signed in where client authentication is off.
pub struct ContentCaller;

impl FromRequestParts<App> for ContentCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if app.client_authentication {
            Caller::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

/// The caller's IP address as text.
pub fn address(parts: &Parts) -> String {
    parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical().to_string()).unwrap_or_default()
}

/// The scheme counts without case (RFC 9110, section 11.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, value) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(value.trim())
}
