//! Who calls: the bearer of a request, checked every time against the state of the token or session that it came from.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::request::Parts;

use super::App;
use super::problem::Problem;
use crate::sessions::{self, Session};
use crate::store::audit::Entry;
use crate::store::tokens::{self, Kind, Status, Token};
use crate::store::users::User;

/// The other end of the connection; the listener puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What a bearer came from.
#[derive(Debug)]
pub enum Origin {
    /// A personal or a client service's token.
    Token(Token),
    /// A person's sign-in with a password.
    Session(Session),
}

/// A signed-in caller.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// By what.
    pub origin: Origin,
    /// For the audit table.
    pub entry: Entry,
}

impl Caller {
    /// Whether it is an administrator's call; a client service's token does nothing in an administrator's name.
    pub fn is_admin(&self) -> bool {
        !self.is_client_service() && self.user.admin
    }

    fn is_client_service(&self) -> bool {
        matches!(&self.origin, Origin::Token(token) if token.kind == Kind::ClientService)
    }

    /// Refuses whoever is no administrator.
    pub fn require_admin(&self) -> Result<(), Problem> {
        if self.is_client_service() {
            return Err(Problem::forbidden("A client service's token may only read; use a personal access token."));
        }
        if self.is_admin() {
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
        // A JWT has dots (RFC 7515, section 7.1), a session's value has none.
        if !value.contains('.') {
            let found = sessions::find(&app.store, sessions::Kind::Person, value).await?;
            let (session, user) = found.ok_or_else(invalid)?;
            let entry = Entry { actor: user.name.clone(), address: Some(address) };
            return Ok(Self { user, origin: Origin::Session(session), entry });
        }
        let claims = app.bearers.check(value).ok_or_else(invalid)?;
        #[cfg(feature = "faults")]
        if app.faults.expired(&claims.jti) {
            return Err(invalid());
        }
        let (token, user) = tokens::find(&app.store.database, &claims.tid).await?.ok_or_else(invalid)?;
        match token.status() {
            Status::Active if user.enabled && user.id == claims.sub && token.generation == claims.generation => {}
            Status::Active => return Err(invalid()),
            Status::Expired => return Err(Problem::invalid_token("The personal access token has expired.")),
            Status::Revoked => return Err(Problem::invalid_token("The personal access token was revoked.")),
        }
        tokens::used(&app.store.database, &token, &address).await;
        let entry = Entry { actor: user.name.clone(), address: Some(address) };
        Ok(Self { user, origin: Origin::Token(token), entry })
    }
}

/// A caller who has signed in with a password: what only a person may do, no token can, so that a token cannot make
/// others that outlive it.
#[derive(Debug)]
pub struct Person {
    /// Who.
    pub user: User,
    /// What they signed in to.
    pub session: Session,
    /// For the audit table.
    pub entry: Entry,
}

impl FromRequestParts<App> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller { user, origin, entry } = Caller::from_request_parts(parts, app).await?;
        match origin {
            Origin::Session(session) => Ok(Self { user, session, entry }),
            Origin::Token(_) => {
                let detail = "This call is for a person who has signed in with a password, not for a token.";
                Err(Problem::new(StatusCode::FORBIDDEN, "person-required", detail))
            }
        }
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

/// What the caller's program calls itself, in at most 200 characters; nothing where that is no plain text.
pub fn agent(parts: &Parts) -> String {
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.chars().take(200).collect()
}

/// The scheme counts without case (RFC 9110, section 11.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, value) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(value.trim())
}
