//! A server and a credential: signs requests with a bearer, and signs in anew, once, when a bearer is refused.
//!
//! Three kinds of secrets sign in: a personal access token, the token that the keyring keeps for the server, and a
//! person's password, which only the calls about tokens want, and whose session is ended when it is done with.

mod stay;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::bearer::{self, Bearer, Exchanged, Key, Slot, User};
use crate::error::{Error, ErrorKind};
use crate::http::{
    Answer, Body, Extent, Fetched, HeaderMap, HeaderValue, Method, Request, Signature, Transport, TransportOptions,
    UriTemplate,
};
use crate::instant;
use crate::log::Log;
use crate::secret::Secret;
use crate::server_url::ServerUrl;
use crate::vault::{self, Kept};
use stay::Stay;

/// Bytes of an exchange's answer at most.
const MAX_EXCHANGE: usize = 1024 * 1024;

/// Who signs in, and with which secret.
#[derive(Clone, Debug)]
pub struct Credential {
    /// A name or an e-mail address.
    pub user_name: String,
    /// A personal access token; of a person, the password.
    pub token: Secret,
}

/// As whom a connection asks.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Nobody.
    Nobody,
    /// A user, with a personal access token.
    Token(Credential),
    /// A user with the token that the keyring keeps for the server; nobody, if it keeps none. It is asked before the
    /// first request.
    Keyring,
    /// A user, with the password.
    Person(Credential),
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `username` and `personalToken` fill the exchange's template.
    Token,
    /// `userName` and `password` are the exchange's JSON.
    Password,
}

impl SecretKind {
    /// What no message may hold: the secret, and as JSON has it, where it is sent so.
    fn secrets(self, secret: &Secret) -> Vec<Secret> {
        let mut secrets = vec![secret.clone()];
        if self == Self::Password
            && let Ok(quoted) = serde_json::to_string(secret.expose()).map(Secret::new)
        {
            let escaped = quoted.expose().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            secrets.extend(escaped.map(|escaped| Secret::new(escaped.to_owned())));
        }
        secrets
    }
}

/// How a secret is exchanged for a bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Which secret.
    pub kind: SecretKind,
    /// POST, unless a route file says otherwise.
    pub method: Method,
    /// The path and query.
    pub uri: UriTemplate,
    /// What ends the session that it begins, where it begins one.
    pub end: Option<(Method, UriTemplate)>,
}

/// One server as one user, or as nobody. Clones are the same connection; equal connections share their bearer.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerUrl,
    transport: Transport,
    signing: Signing,
}

#[derive(Debug)]
enum Signing {
    Nobody,
    As(Signer),
    Keyring(Box<Keyring>),
}

/// One who is asked of the keyring.
#[derive(Debug)]
struct Keyring {
    found: OnceCell<Found>,
    options: TransportOptions,
    exchange: Exchange,
}

/// What the keyring said.
#[derive(Debug)]
enum Found {
    Signer(Signer),
    Nothing,
    /// There is no keyring; or there is one, and it cannot be asked.
    Unavailable {
        missing: bool,
        error: Error,
    },
}

struct Signer {
    credential: Credential,
    exchange: Exchange,
    slot: Arc<Slot>,
    /// Of one who begins a session.
    stay: Option<Stay>,
}

impl Connection {
    /// Prepares a connection; no network, and no keyring yet. `exchange` is for the identity's kind of secret.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty user name or secret.
    pub fn open(
        server: ServerUrl,
        identity: Identity,
        options: &TransportOptions,
        exchange: Exchange,
    ) -> Result<Self, Error> {
        let transport = Transport::new(options, &server);
        let signing = match identity {
            Identity::Nobody => Signing::Nobody,
            Identity::Token(credential) | Identity::Person(credential) => {
                let empty = match (credential.user_name.trim().is_empty(), credential.token.is_empty()) {
                    (true, _) => Some("user name"),
                    (_, true) if exchange.kind == SecretKind::Password => Some("password"),
                    (_, true) => Some("token"),
                    _ => None,
                };
                if let Some(empty) = empty {
                    let message = format!("The credential for {server} has an empty {empty}. Nothing was sent.");
                    return Err(Error::new(ErrorKind::InvalidArgument, message)
                        .with_hint("Give the user name and a personal access token, made under Personal Tokens.")
                        .with_target("credential")
                        .with_server(server.to_string()));
                }
                Signing::As(Signer::new(&server, &transport, credential, options, exchange))
            }
            Identity::Keyring => {
                Signing::Keyring(Box::new(Keyring { found: OnceCell::new(), options: options.clone(), exchange }))
            }
        };
        Ok(Self(Arc::new(Inner { server, transport, signing })))
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.0.server
    }

    /// Who signs in; none: nobody, or one whom the keyring has not told yet.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        let signer = match &self.0.signing {
            Signing::As(signer) => Some(signer),
            Signing::Keyring(keyring) => keyring.found.get().and_then(Found::signer),
            Signing::Nobody => None,
        };
        signer.map(|signer| signer.credential.user_name.as_str())
    }

    /// Keeps the token in the keyring, for this server's origin.
    ///
    /// # Errors
    /// `CredentialMissing` without a credential; `InvalidArgument` for a password, which is never kept; else as
    /// [`vault::keep`].
    pub async fn remember(&self, log: &Log) -> Result<(), Error> {
        let signer = self.signer(log).await.ok_or_else(|| self.credential_missing())?;
        if signer.exchange.kind == SecretKind::Password {
            return Err(Error::new(ErrorKind::InvalidArgument, "A password is not kept in the keyring.")
                .with_hint("Sign in with a personal access token; New-UssPersonalToken makes one.")
                .with_target("remember"));
        }
        let Credential { user_name, token } = signer.credential.clone();
        vault::keep(&self.0.server, &Kept { user_name, token }).await?;
        log.verbose(|| format!("The keyring keeps the token for {}.", self.0.server.origin()));
        Ok(())
    }

    /// Exchanges the token, unless a good bearer is at hand.
    ///
    /// # Errors
    /// `CredentialMissing` without a credential; `AuthenticationFailed` when the server refuses it; else as the
    /// request fails.
    pub async fn sign_in(&self, log: &Log) -> Result<Arc<Bearer>, Error> {
        match self.signer(log).await {
            Some(signer) => self.bearer(signer, log, None).await,
            None => Err(self.credential_missing()),
        }
    }

    /// Ends the session that a password began, unless another connection of the same person still uses it: then the
    /// last of them does. Comes back when the server has answered, or after 5 s; the next request signs in anew.
    ///
    /// A connection that is dropped does the same, and nobody waits for it. What fails is a verbose line: a session
    /// ends by itself, too.
    pub async fn sign_out(&self, log: &Log) {
        if let Signing::As(Signer { stay: Some(stay), .. }) = &self.0.signing {
            stay.end(log).await;
        }
    }

    /// Sends, and reads the whole answer, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Transport::fetch`], `CredentialMissing` for a 401 without a credential, and as the sign-in fails.
    pub async fn fetch(&self, log: &Log, request: &Request, limit: usize) -> Result<Fetched, Error> {
        let (signature, generation) = self.sign(log, None).await?;
        match self.0.transport.fetch(log, request, &signature, limit).await {
            Err(error) if refused(&error) => {
                let (signature, _) = self.sign_anew(log, generation, error).await?;
                self.0.transport.fetch(log, request, &signature, limit).await
            }
            answered => answered,
        }
    }

    /// Sends, and gives the answer with its body to come.
    ///
    /// # Errors
    /// As [`Transport::open`], `CredentialMissing` for a 401 without a credential, and as the sign-in fails.
    pub async fn stream(&self, log: &Log, request: &Request) -> Result<Answer, Error> {
        let (signature, generation) = self.sign(log, None).await?;
        match self.0.transport.open(log, request, &signature).await {
            Err(error) if refused(&error) => {
                let (signature, _) = self.sign_anew(log, generation, error).await?;
                self.0.transport.open(log, request, &signature).await
            }
            answered => answered,
        }
    }

    /// Sends `body` as it comes, once.
    ///
    /// # Errors
    /// As [`Transport::upload`] and as the sign-in fails. When the bearer was refused in the middle, a new one has
    /// been fetched, and the error is `AuthenticationFailed` with a [`retry_after`](Error::retry_after): send what the
    /// server lacks. Without it, the credential itself is refused.
    pub async fn upload<S>(
        &self,
        log: &Log,
        request: &Request,
        extent: Extent,
        body: S,
        limit: usize,
    ) -> Result<Fetched, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let (signature, generation) = self.sign(log, None).await?;
        match self.0.transport.upload(log, request, &signature, extent, body, limit).await {
            Err(error) if refused(&error) => {
                self.sign_anew(log, generation, error.clone()).await?;
                Err(error
                    .within("The sign-in ended during an upload, and was renewed")
                    .with_retry_after(Duration::ZERO))
            }
            answered => answered,
        }
    }

    async fn sign_anew(
        &self,
        log: &Log,
        generation: Option<u64>,
        refused: Error,
    ) -> Result<(Signature, Option<u64>), Error> {
        if generation.is_none() {
            return Err(self.credential_missing().with_http_status(401));
        }
        log.verbose(|| format!("Signing in again: {}", refused.message()));
        self.sign(log, generation).await
    }

    async fn sign(&self, log: &Log, refused: Option<u64>) -> Result<(Signature, Option<u64>), Error> {
        let Some(signer) = self.signer(log).await else { return Ok((Signature::default(), None)) };
        let bearer = self.bearer(signer, log, refused).await?;
        let mut secrets = signer.exchange.kind.secrets(&signer.credential.token);
        secrets.push(bearer.exchanged.token.clone());
        let signature = Signature { authorization: Some(bearer.exchanged.authorization.clone()), secrets };
        Ok((signature, Some(bearer.generation)))
    }

    async fn bearer(&self, signer: &Signer, log: &Log, refused: Option<u64>) -> Result<Arc<Bearer>, Error> {
        let bearer = signer.bearer(&self.0, log, refused).await;
        bearer.map_err(|error| match (&self.0.signing, error.kind()) {
            (Signing::Keyring(_), ErrorKind::AuthenticationFailed) => error.with_hint(
                "The token is the one that the keyring keeps. Connect with -Credential and -Remember to replace it, or \
                 remove it with Disconnect-UssServer -Forget.",
            ),
            _ => error,
        })
    }

    /// Who signs in. The keyring is asked once; without it the request goes unauthenticated.
    async fn signer(&self, log: &Log) -> Option<&Signer> {
        match &self.0.signing {
            Signing::Nobody => None,
            Signing::As(signer) => Some(signer),
            Signing::Keyring(keyring) => {
                let Keyring { found, options, exchange } = &**keyring;
                let server = &self.0.server;
                let ask = || async {
                    let unavailable = |missing, error: Error| {
                        log.verbose(|| error.message().to_owned());
                        Found::Unavailable { missing, error }
                    };
                    match vault::find(server).await {
                        Ok(vault::Found::Token(Kept { user_name, token })) => {
                            log.verbose(|| format!("Signing in as '{user_name}', whose token the keyring has."));
                            let credential = Credential { user_name, token };
                            let transport = &self.0.transport;
                            Found::Signer(Signer::new(server, transport, credential, options, exchange.clone()))
                        }
                        Ok(vault::Found::Nothing) => Found::Nothing,
                        Ok(vault::Found::NoKeyring(error)) => unavailable(true, error),
                        Err(error) => unavailable(false, error),
                    }
                };
                found.get_or_init(ask).await.signer()
            }
        }
    }

    fn credential_missing(&self) -> Error {
        let server = &self.0.server;
        let asks = format!("{server} asks for a credential, and none was given");
        let found = match &self.0.signing {
            Signing::Keyring(keyring) => keyring.found.get(),
            Signing::Nobody | Signing::As(_) => None,
        };
        let hint = "Give -Credential with your user name and a personal access token, or run Connect-UssServer.";
        let hint = match found {
            Some(Found::Unavailable { missing: false, error }) => return error.clone().within(&asks),
            Some(Found::Unavailable { missing: true, error }) => format!("{hint} {}", error.message()),
            _ => hint.to_owned(),
        };
        Error::new(ErrorKind::CredentialMissing, format!("{asks}.")).with_hint(hint).with_server(server.to_string())
    }
}

fn refused(error: &Error) -> bool {
    error.http_status() == Some(401)
}

impl Found {
    fn signer(&self) -> Option<&Signer> {
        match self {
            Self::Signer(signer) => Some(signer),
            Self::Nothing | Self::Unavailable { .. } => None,
        }
    }
}

impl Signer {
    fn new(
        server: &ServerUrl,
        transport: &Transport,
        credential: Credential,
        options: &TransportOptions,
        exchange: Exchange,
    ) -> Self {
        // A password and a token never share a bearer, even where a route file sends both to one address.
        let route = format!("{:?} {} {server}{}", exchange.kind, exchange.method, exchange.uri);
        let key = Key::new(server.origin(), &credential.user_name, &credential.token, options.clone(), route);
        let slot = bearer::slot(key);
        let stay = exchange.end.clone().map(|end| {
            let secrets = exchange.kind.secrets(&credential.token);
            Stay::new(slot.clone(), server.clone(), transport.clone(), end, secrets)
        });
        Self { credential, exchange, slot, stay }
    }

    async fn bearer(&self, inner: &Inner, log: &Log, refused: Option<u64>) -> Result<Arc<Bearer>, Error> {
        if let Some(stay) = &self.stay {
            stay.begin();
        }
        let start = || {
            let (server, transport) = (inner.server.clone(), inner.transport.clone());
            exchange(server, transport, self.credential.clone(), self.exchange.clone(), log.clone())
        };
        self.slot.bearer(refused, start).await
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// `{token, user, tokenExpires}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    token: String,
    #[serde(default)]
    user: User,
    #[serde(deserialize_with = "instant::required")]
    token_expires: Timestamp,
}

/// `{token, expires}`, of a password.
#[derive(Deserialize)]
struct SignedIn {
    token: String,
    #[serde(deserialize_with = "instant::required")]
    expires: Timestamp,
}

/// What a password is sent in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person<'a> {
    user_name: &'a str,
    password: &'a str,
}

/// The one request in which a secret leaves the process. Never redirected, never tried twice.
async fn exchange(
    server: ServerUrl,
    transport: Transport,
    credential: Credential,
    exchange: Exchange,
    log: Log,
) -> Result<Exchanged, Error> {
    let (user_name, secret) = (credential.user_name.as_str(), &credential.token);
    let values = match exchange.kind {
        SecretKind::Token => vec![("username", user_name), ("personalToken", secret.expose())],
        SecretKind::Password => Vec::new(),
    };
    let mut request = Request::new(exchange.method, server.join(&exchange.uri.expand(&values))?);
    request.once = true;
    request.headers.insert("accept", HeaderValue::from_static("application/json"));
    // An idle connection would keep the buffer that the secret was written from.
    request.headers.insert("connection", HeaderValue::from_static("close"));
    if exchange.kind == SecretKind::Password {
        request.headers.insert("content-type", HeaderValue::from_static("application/json"));
        request.body = Body::Bytes(Bytes::from_owner(person(user_name, secret)?));
    }
    let signature = Signature { authorization: None, secrets: exchange.kind.secrets(secret) };
    let fetched = transport.fetch(&log, &request, &signature, MAX_EXCHANGE).await;
    let answer = fetched.map_err(|error| match (exchange.kind, error.kind()) {
        (SecretKind::Password, ErrorKind::AuthenticationFailed) => error.with_hint(
            "Check the user name and the password: this call wants those that a person signs in with in the browser, \
             not a token.",
        ),
        _ => error,
    })?;
    let answered = match exchange.kind {
        SecretKind::Token => answer.json::<Answered>()?,
        SecretKind::Password => {
            let SignedIn { token, expires } = answer.json()?;
            Answered { token, user: User::default(), token_expires: expires }
        }
    };
    let life = answered.token_expires.duration_since(server_now(&answer.headers));
    let token = Secret::new(answered.token);
    let unusable = || {
        let message = format!("{server} answered the sign-in with a token that cannot travel in a header.");
        Error::new(ErrorKind::ProtocolViolation, message).with_server(server.to_string())
    };
    if token.is_empty() {
        return Err(unusable());
    }
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| unusable())?;
    authorization.set_sensitive(true);
    // `Date` counts whole seconds: it may be almost one older than it says.
    let life = Duration::try_from(life).unwrap_or_default().saturating_sub(Duration::from_secs(1));
    Ok(Exchanged { authorization, token, user: answered.user, token_expires: answered.token_expires, life })
}

/// The JSON that a password is sent in.
fn person(user_name: &str, password: &Secret) -> Result<Zeroizing<Vec<u8>>, Error> {
    let password = password.expose();
    // Six bytes for a character that is escaped; a vector that grows leaves copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(6 * (user_name.len() + password.len()) + 64));
    serde_json::to_writer(&mut *json, &Person { user_name, password })
        .map_err(|error| Error::new(ErrorKind::Internal, format!("The sign-in cannot be written: {error}.")))?;
    Ok(json)
}

/// The server's clock, else ours.
fn server_now(headers: &HeaderMap) -> Timestamp {
    let date = headers.get("date").and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    date.and_then(|date| Timestamp::try_from(date).ok()).unwrap_or_else(Timestamp::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(user: &str, token: &str) -> Result<Connection, Error> {
        let uri = UriTemplate::parse("/x", &[]).unwrap();
        let exchange = Exchange { kind: SecretKind::Token, method: Method::POST, uri, end: None };
        let credential = Credential { user_name: user.into(), token: Secret::new(token.into()) };
        let server = ServerUrl::parse("https://a.example", false)?;
        Connection::open(server, Identity::Token(credential), &TransportOptions::default(), exchange)
    }

    #[test]
    fn an_empty_user_or_token_is_refused_before_the_network() {
        for (user, token) in [("", "t"), ("u", ""), ("", ""), (" ", "t")] {
            assert_eq!(open(user, token).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        assert_eq!(open("u", "t").unwrap().user_name(), Some("u"));
    }

    #[test]
    fn a_connection_never_shows_its_token() {
        assert!(!format!("{:?}", open("u", "canary").unwrap()).contains("canary"));
    }
}
