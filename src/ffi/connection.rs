//! Connections: a server, who signs in there, and how it is reached, named by an id.

use std::env::VarError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::commands::{Fieldset, fieldset};
use super::handles::{self, Kind, Object};
use super::{Fields, Out, USS_OK, copied, guard, guard_quietly};
use crate::connection::{Credential, Identity};
use crate::error::{Error, ErrorKind};
use crate::http::{CertificateAuthority, Proxy, ProxyChoice, TransportOptions};
use crate::secret::Secret;
use crate::server_url::ServerUrl;
use crate::update_service::UpdateService;
use crate::update_service::routes::Routes;
use crate::virtuozzo::{Platform, SignIn};

/// Makes a connection; `out->id` is its id, for the commands. Nothing goes over the network yet.
///
/// `fields` are described below. `secret` is the personal access token as UTF-16 code units, copied at once; wiping
/// the caller's copy is the caller's duty. A connection without a user and a secret is not authenticated, unless the
/// keyring has something for it.
///
/// The connection is the caller's until uss_connection_close.
///
/// Returns USS_OK, or USS_FAILED: a field is not right; a user without a secret or a secret without a user; plain http
/// to another machine (`InsecureTransport`); a file that a field names cannot be used.
///
/// # Safety
/// `fields` is NULL or readable for `len` bytes, `secret` for `secret_len` units; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_connection_open(
    fields: *const u8,
    len: u32,
    secret: *const u16,
    secret_len: u32,
    out: *mut Out,
) -> i32 {
    let work = || {
        // SAFETY: `secret` is NULL or readable for `secret_len` units.
        let secret = Zeroizing::new(unsafe { copied(secret, secret_len, "secret") }?);
        // SAFETY: `fields` is NULL or readable for `len` bytes.
        let mut fields = Fields::parse(unsafe { copied(fields, len, "fields") }?, "the connection")?;
        let opening = Opening::read(&mut fields)?;
        fields.end(&Opening::names())?;
        Ok((USS_OK, Out::id(handles::insert(Connection::open(opening, Secret::from_utf16(&secret)?)?)?)))
    };
    // SAFETY: `out` is NULL or writable.
    unsafe { guard(out, work) }
}

/// Closes a connection. Operations that use it go on.
///
/// Returns USS_OK, or USS_FAILED for an id that is no connection.
#[unsafe(no_mangle)]
pub extern "C" fn uss_connection_close(connection: u64) -> i32 {
    guard_quietly(|| handles::remove::<Connection>(connection).map(drop))
}

fieldset! {
    /// Fields of uss_connection_open:
    pub(super) struct Opening as "" {
        /// The server's address; https if it has no scheme. Plain http is for this machine alone: localhost,
        /// 127.0.0.0/8, ::1.
        server: String,
        /// Who signs in; the secret stands beside the fields.
        user: Option<String>,
        /// An environment variable that holds the secret, read here instead of given beside the fields.
        token_variable: Option<String>,
        /// Without a user: signs in with what the operating system's keyring keeps for the server's scheme, host and
        /// port. It is asked before the first request, for at most 3 s; without it the requests go unauthenticated.
        keyring: bool,
        /// The server is a Virtuozzo Application Platform, for the platform's commands; the secret is an access token, and
        /// the user name is for display. With `person` they are login and password.
        platform: bool,
        /// The secret is the user's password, not a token: for the commands of tokens.
        person: bool,
        /// To connect, and between two bytes; never of a whole transfer. 30 if not given.
        timeout: Option<Duration>,
        /// The proxy's address. If not given: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, else the system's. This machine is
        /// never reached through one.
        proxy: Option<String>,
        /// A connection whose user and secret sign in at the proxy; its server is not used.
        proxy_credential: Option<Arc<Connection>>,
        /// No proxy at all.
        no_proxy: bool,
        /// A PEM file with roots that are trusted beside the system's.
        certificate_authority: Option<PathBuf>,
        /// Trusts any certificate.
        skip_certificate_check: bool,
        /// Lets a secret travel over plain http to another machine.
        allow_unencrypted_authentication: bool,
        /// A JSON file that overrides routes of the web API.
        route_file: Option<PathBuf>,
    }
}

/// A server as one user.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) service: UpdateService,
    /// Of one that was opened with `platform`.
    platform: Option<Platform>,
    /// Kept for connections that sign in at a proxy.
    credential: Option<Credential>,
}

impl Object for Connection {
    fn kind() -> Kind {
        Kind::Connection
    }

    fn lease_left(&self) -> Option<Duration> {
        None
    }
}

impl Connection {
    fn open(opening: Opening, secret: Secret) -> Result<Self, Error> {
        let server = ServerUrl::parse(&opening.server, opening.allow_unencrypted_authentication)?;
        let secret = match &opening.token_variable {
            Some(_) if !secret.is_empty() => {
                return Err(invalid(
                    "A secret and a variable that holds one are given; give one of them.",
                    "tokenVariable",
                ));
            }
            Some(name) => secret_of(name)?,
            None => secret,
        };
        let credential = match (opening.user.clone(), secret) {
            (None, secret) if secret.is_empty() => None,
            (None, _) => return Err(invalid("A secret is given and no user name.", "user")),
            (Some(user), secret) if secret.is_empty() => {
                let secret = if opening.person { "password" } else { "personal access token" };
                let message = format!("The {secret} of '{user}' for {server} is empty. Nothing was sent.");
                return Err(invalid(&message, "secret").with_server(server.to_string()));
            }
            (Some(user_name), token) => Some(Credential { user_name, token }),
        };
        let identity = match (&credential, opening.person, opening.keyring) {
            (Some(_), _, true) => {
                return Err(invalid("A user is given, and the keyring is to tell one.", "keyring"));
            }
            (None, true, _) => return Err(invalid("A person signs in, and no user is given.", "user")),
            (Some(credential), true, false) => Identity::Person(credential.clone()),
            (Some(credential), false, false) => Identity::Token(credential.clone()),
            (None, false, true) => Identity::Keyring,
            (None, false, false) => Identity::Nobody,
        };
        let routes = opening.route_file.as_deref().map_or_else(|| Ok(Routes::default()), Routes::read)?;
        let transport = opening.transport()?;
        let platform = match opening.platform {
            true => Some(Platform::open(server.clone(), opening.sign_in(credential.as_ref()), &transport)?),
            false => None,
        };
        let service = UpdateService::open_as(server, identity, transport, routes)?;
        Ok(Self { service, platform, credential })
    }

    /// The platform that it was opened for.
    ///
    /// # Errors
    /// `InvalidArgument` for a connection to an Update Service.
    pub(super) fn platform(&self) -> Result<&Platform, Error> {
        self.platform.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "This connection is not to a Virtuozzo Application Platform.")
                .with_hint("Use a connection that Connect-VapPlatform returned.")
                .with_target("connection")
        })
    }

    /// The user name that it was opened with.
    pub(super) fn user_name(&self) -> Option<&str> {
        self.credential.as_ref().map(|credential| credential.user_name.as_str())
    }

    /// The secret that it was opened with, for a command that takes another's.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.credential.as_ref().map(|credential| credential.token.clone())
    }
}

impl Opening {
    /// What shows a platform who calls.
    fn sign_in(&self, credential: Option<&Credential>) -> Option<SignIn> {
        let Credential { user_name, token } = credential?.clone();
        Some(match self.person {
            true => SignIn::Password { login: user_name, password: token },
            false => SignIn::Token(token),
        })
    }

    fn transport(&self) -> Result<TransportOptions, Error> {
        let proxy = match (&self.proxy, self.no_proxy, &self.proxy_credential) {
            (Some(_), true, _) => return Err(no_way("A proxy and no proxy are asked for at once.", "noProxy")),
            (None, _, Some(_)) => return Err(no_way("A credential for a proxy is given and no proxy.", "proxy")),
            (None, true, None) => ProxyChoice::None,
            (None, false, None) => ProxyChoice::System,
            (Some(address), false, by) => {
                let credential = by.as_ref().and_then(|connection| connection.credential.clone());
                if by.is_some() && credential.is_none() {
                    return Err(no_way("The connection for the proxy has no user and secret.", "proxyCredential"));
                }
                let credential = credential.map(|credential| (credential.user_name, credential.token));
                ProxyChoice::Through(Proxy::new(address, credential)?)
            }
        };
        let standard = TransportOptions::default();
        Ok(TransportOptions {
            timeout: self.timeout.unwrap_or(standard.timeout),
            proxy,
            certificate_authority: self.certificate_authority.as_deref().map(CertificateAuthority::read).transpose()?,
            skip_certificate_check: self.skip_certificate_check,
        })
    }
}

fn secret_of(variable: &str) -> Result<Secret, Error> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        // Half of a surrogate pair on Windows, bytes that are no UTF-8 elsewhere. The target is the variable, so that a
        // caller does not take it for one that is missing.
        Err(VarError::NotUnicode(_)) => {
            let message = format!("The environment variable '{variable}' holds no Unicode text, and so no token.");
            Err(invalid(&message, variable).with_hint("Set it again, to the token as the server showed it."))
        }
        Ok(_) | Err(VarError::NotPresent) => Err(invalid(
            &format!("The process's environment has no variable '{variable}' with a token."),
            "tokenVariable",
        )
        .with_hint("Set it before PowerShell starts; on Unix $env:… in a running PowerShell stays inside .NET.")),
    }
}

fn no_way(message: &str, field: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
        .with_hint("Give a proxy, with a credential where it wants one, or no proxy.")
        .with_target(field)
}

fn invalid(message: &str, field: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
        .with_hint("Give a user name and a personal access token, or neither.")
        .with_target(field)
}
