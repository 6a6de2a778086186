//! Client of the Update Service web API: one server as one user, a method a call.
//!
//! - [`routes`]: every path, once.
//! - [`model`]: what the answers say.
//! - `packages`, `installers`: catalogues; `select`: version queries on them. `content`: bytes out, resumable.
//! - `publish`: bytes in, at once; `uploads`: bytes in, resumable.
//! - `personal_tokens`: the life of a person's tokens.
//! - `invoke`: any other call, by its path.

mod content;
mod digest;
mod installers;
mod invoke;
pub mod model;
mod packages;
mod personal_tokens;
mod publish;
pub mod routes;
mod select;
mod uploads;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub use content::{Content, ContentBody};
pub use invoke::{Invocation, InvokeBody, Invoked};
pub use model::User;
pub use personal_tokens::{NewToken, Shown, TokenChanges};
pub use publish::{Publish, PublishInstaller, Published, Publishing, Stored};
pub use routes::Routes;
pub use select::{Selected, Wanted};

use crate::connection::{Connection, Credential, Identity, SecretKind};
use crate::error::{Error, ErrorKind};
use crate::http::{HeaderMap, HeaderValue, MAX_JSON, Request, TransportOptions};
use crate::operation::Context;
use crate::server_url::ServerUrl;
use model::Account;
use routes::Route;
use uploads::Uploads;

/// One server as one user. Clones are the same.
#[derive(Clone, Debug)]
pub struct UpdateService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    routes: Routes,
    /// The server has no call for the versions of many packages: learnt once.
    asks_singly: AtomicBool,
    uploads: Uploads,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who signed in.
    pub user: User,
    /// When the bearer ends; it is renewed before.
    pub token_expires: Timestamp,
    /// When the personal token ends; none: never, or the server does not tell.
    pub personal_token_expires: Option<Timestamp>,
    /// Whether the server tells when the personal token ends.
    pub tells_end: bool,
}

impl UpdateService {
    /// Prepares a client that signs in with a token, or is nobody; no network.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty user name or token.
    pub fn open(
        server: ServerUrl,
        credential: Option<Credential>,
        options: TransportOptions,
        routes: Routes,
    ) -> Result<Self, Error> {
        Self::open_as(server, credential.map_or(Identity::Nobody, Identity::Token), options, routes)
    }

    /// Prepares a client; no network.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty user name or secret.
    pub fn open_as(
        server: ServerUrl,
        identity: Identity,
        options: TransportOptions,
        routes: Routes,
    ) -> Result<Self, Error> {
        let kind = match identity {
            Identity::Person(_) => SecretKind::Password,
            Identity::Nobody | Identity::Token(_) | Identity::Keyring => SecretKind::Token,
        };
        let connection = Connection::open(server, identity, &options, routes.exchange_of(kind))?;
        Ok(Self(Arc::new(Inner {
            connection,
            routes,
            asks_singly: AtomicBool::new(false),
            uploads: Uploads::default(),
        })))
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        self.0.connection.server()
    }

    /// Who signs in; none: nobody.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.0.connection.user_name()
    }

    /// Signs in, and asks who that is: a bearer from the cache is proven, too.
    ///
    /// # Errors
    /// `CredentialMissing` without a credential, `AuthenticationFailed` when the server refuses it.
    pub async fn connect(&self, context: &Context) -> Result<Session, Error> {
        let connection = &self.0.connection;
        let signing_in = |error: Error| {
            let user = self.user_name().unwrap_or_default();
            error.within(&format!("Signing in as '{user}'")).with_target(user)
        };
        connection.sign_in(context.log()).await.map_err(signing_in)?;
        let told_end = match self.account(context).await {
            Ok(account) => account.personal_token_expires,
            // A server without this call signs in all the same.
            Err(error) if matches!(error.http_status(), Some(404 | 405)) => None,
            Err(error) => return Err(signing_in(error)),
        };
        // Asked again: the account call may have found the bearer refused and renewed it.
        let bearer = connection.sign_in(context.log()).await?;
        let (user, token_expires) = (bearer.exchanged.user.clone(), bearer.exchanged.token_expires);
        let (personal_token_expires, tells_end) = (told_end.flatten(), told_end.is_some());
        Ok(Session { user, token_expires, personal_token_expires, tells_end })
    }

    /// Ends the session that a password began; of others there is none.
    ///
    /// As [`Connection::sign_out`].
    pub async fn sign_out(&self, context: &Context) {
        self.0.connection.sign_out(context.log()).await;
    }

    /// Keeps the token that signs in in the keyring, for this server's origin.
    ///
    /// # Errors
    /// As [`Connection::remember`].
    pub async fn remember(&self, context: &Context) -> Result<(), Error> {
        self.0.connection.remember(context.log()).await
    }

    /// The signed-in user.
    ///
    /// # Errors
    /// As the request fails.
    pub async fn account(&self, context: &Context) -> Result<Account, Error> {
        self.json(context, &self.request(&self.routes().account, &[])?).await
    }

    fn routes(&self) -> &Routes {
        &self.0.routes
    }

    fn name(&self) -> String {
        self.server().to_string()
    }

    /// The request of a route with these values.
    fn request(&self, route: &Route, values: &[(&str, &str)]) -> Result<Request, Error> {
        let url = self.server().join(&route.uri.expand(values))?;
        let mut request = Request::new(route.method.clone(), url);
        request.headers.insert("accept", HeaderValue::from_static("application/json"));
        Ok(request)
    }

    async fn json<T: DeserializeOwned>(&self, context: &Context, request: &Request) -> Result<T, Error> {
        Ok(self.json_and_headers(context, request).await?.0)
    }

    async fn json_and_headers<T: DeserializeOwned>(
        &self,
        context: &Context,
        request: &Request,
    ) -> Result<(T, HeaderMap), Error> {
        let answer = self.0.connection.fetch(context.log(), request, MAX_JSON).await?;
        Ok((answer.json()?, answer.headers))
    }

    fn package_not_found(&self, id: &str, version: Option<&str>, status: Option<u16>) -> Error {
        let server = self.name();
        let (message, target) = match version {
            Some(version) => {
                (format!("{server} has no version {version} of the package '{id}'."), { format!("{id} {version}") })
            }
            None => (format!("{server} has no package '{id}'."), id.to_owned()),
        };
        let error = Error::new(ErrorKind::PackageNotFound, message)
            .with_hint("Check the spelling; Get-UssPackage lists what the server has.")
            .with_target(target)
            .with_server(server);
        match status {
            Some(status) => error.with_http_status(status),
            None => error,
        }
    }
}
