//! Client of the Virtuozzo Application Platform: one platform as one account.
//!
//! - [`methods`]: what the platform's 310 methods are called and take, from its API description.
//! - [`call`]: one generic call; everything else is made of it.
//! - [`tokens`]: the life of access tokens.
//! - [`environments`]: environments, and changes whose end is awaited.
//!
//! A call is a POST with form fields, the session among them, so that no token ever stands in a URL. The platform
//! answers HTTP 200 with a `result`; anything but 0 becomes [`PlatformError`](crate::ErrorKind::PlatformError).

pub mod call;
pub mod environments;
pub mod methods;
mod results;
pub mod tokens;

use std::sync::Arc;

use tokio::sync::Mutex;

pub use call::{Answer, Call, Value};
pub use environments::{Action, Environment, Node, Status};
pub use tokens::{AccessToken, TokenChanges, TokenScope, TokenSet};

use crate::error::{Error, ErrorKind};
use crate::http::{Transport, TransportOptions};
use crate::operation::Context;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// What shows the platform who calls.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// An access token, which stands for a session in every call.
    Token(Secret),
    /// Login and password, which a session is begun with: tokens are managed so.
    Password {
        /// A name or an e-mail address.
        login: String,
        /// The account's password.
        password: Secret,
    },
}

/// Who is signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The platform's number of the account.
    pub uid: Option<i64>,
    /// Its address.
    pub email: String,
    /// Its name; may be empty.
    pub name: String,
}

/// One platform as one account. Clones are the same, and share its session.
#[derive(Clone, Debug)]
pub struct Platform(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerUrl,
    transport: Transport,
    sign_in: Option<SignIn>,
    /// Of login and password. Held while it begins, so that many calls begin one.
    session: Mutex<Option<Secret>>,
}

impl Platform {
    /// Prepares a client; no network.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty token, login or password.
    pub fn open(server: ServerUrl, sign_in: Option<SignIn>, options: &TransportOptions) -> Result<Self, Error> {
        let empty = match &sign_in {
            Some(SignIn::Token(token)) if token.is_empty() => Some("token"),
            Some(SignIn::Password { login, .. }) if login.trim().is_empty() => Some("login"),
            Some(SignIn::Password { password, .. }) if password.is_empty() => Some("password"),
            _ => None,
        };
        if let Some(empty) = empty {
            let message = format!("The credential for {server} has an empty {empty}. Nothing was sent.");
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("Give an access token as the password, or login and password with -SignIn.")
                .with_target("credential")
                .with_server(server.to_string()));
        }
        let transport = Transport::new(options, &server);
        Ok(Self(Arc::new(Inner { server, transport, sign_in, session: Mutex::default() })))
    }

    /// The platform's address.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.0.server
    }

    /// Whether calls go with login and password, which tokens are managed by.
    #[must_use]
    pub fn has_password(&self) -> bool {
        matches!(self.0.sign_in, Some(SignIn::Password { .. }))
    }

    /// Signs in where that is by password, and asks who that is.
    ///
    /// A token whose API set does not hold `getuserinfo` is good all the same: the account is unknown then.
    ///
    /// # Errors
    /// `CredentialMissing` without a credential, `PlatformError` 701 or 702 when the platform refuses it.
    pub async fn connect(&self, context: &Context) -> Result<Option<Account>, Error> {
        let asked = self.call(context, &Call::new("users/account/getuserinfo")).await;
        match asked {
            Ok(answer) => Ok(Some(Account {
                uid: answer.number("uid"),
                email: answer.text("email").unwrap_or_default().to_owned(),
                name: answer.text("name").unwrap_or_default().to_owned(),
            })),
            Err(error) if error.kind() == (ErrorKind::PlatformError { code: results::NOT_IN_API_SET }) => Ok(None),
            Err(error) => Err(error.within("Signing in")),
        }
    }

    /// Ends the session, if one was begun. A token stays good.
    ///
    /// # Errors
    /// As the call fails; the session is forgotten all the same.
    pub async fn disconnect(&self, context: &Context) -> Result<(), Error> {
        let Some(session) = self.0.session.lock().await.take() else { return Ok(()) };
        match self.send_with(context, &Call::new("users/authentication/signout"), Some(session)).await {
            Ok(_) => Ok(()),
            // It was over already.
            Err(failure) if failure.is_not_authenticated() => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    /// The same after a call that has its own answer: a failure is a verbose line, as a session ends by itself, too.
    pub async fn disconnect_quietly(&self, context: &Context) {
        if let Err(error) = self.disconnect(context).await {
            context.log().session_left(&self.0.server, error.message());
        }
    }

    /// What goes with a call that needs a session.
    async fn session(&self, context: &Context) -> Result<Secret, Error> {
        let server = &self.0.server;
        match &self.0.sign_in {
            Some(SignIn::Token(token)) => Ok(token.clone()),
            Some(SignIn::Password { login, password }) => {
                let mut kept = self.0.session.lock().await;
                if let Some(session) = &*kept {
                    return Ok(session.clone());
                }
                let call = Call::new("users/authentication/signin").with("login", login.as_str());
                let call = call.with("password", password.clone());
                let signing_in = |error: Error| error.within(&format!("Signing in as '{login}'")).with_target(login);
                let answer = self.send_with(context, &call, None).await.map_err(|failure| signing_in(failure.error))?;
                let session = answer.secret("session").ok_or_else(|| {
                    Error::new(
                        ErrorKind::ProtocolViolation,
                        format!("{server} accepted the sign-in without a session."),
                    )
                    .with_hint(results::WRONG_ADDRESS)
                    .with_server(server.to_string())
                })?;
                *kept = Some(session.clone());
                Ok(session)
            }
            None => Err(Error::new(
                ErrorKind::CredentialMissing,
                format!("{server} asks for a session or an access token, and none was given."),
            )
            .with_hint("Give -Credential with an access token as its password, or run Connect-VapPlatform.")
            .with_server(server.to_string())),
        }
    }

    /// Forgets a session that the platform ended, unless another one has begun meanwhile.
    async fn forget(&self, session: &Secret) {
        let mut kept = self.0.session.lock().await;
        if kept.as_ref().is_some_and(|other| other.expose() == session.expose()) {
            *kept = None;
        }
    }
}
