//! A server and a credential: signs requests with a bearer, and signs in anew, once, when a bearer is refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;
use serde::Deserialize;

use crate::bearer::{self, Bearer, Exchanged, Key, Slot, User};
use crate::error::{Error, ErrorKind};
use crate::http::{
    Answer, Extent, Fetched, HeaderMap, HeaderValue, Method, Request, Signature, Transport, TransportOptions,
    UriTemplate,
};
use crate::instant;
use crate::log::Log;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// Bytes of an exchange's answer at most.
const MAX_EXCHANGE: usize = 1024 * 1024;

/// Who signs in, and with which token.
#[derive(Clone, Debug)]
pub struct Credential {
    /// A name or an e-mail address.
    pub user_name: String,
    /// A personal access token.
    pub token: Secret,
}

/// How a token is exchanged for a bearer: `username` and `personalToken` fill the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// POST, unless a route file says otherwise.
    pub method: Method,
    /// The path and query.
    pub uri: UriTemplate,
}

/// One server as one user, or as nobody. Clones are the same connection; equal connections share their bearer.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: ServerUrl,
    transport: Transport,
    signer: Option<Signer>,
}

struct Signer {
    credential: Credential,
    exchange: Exchange,
    slot: Arc<Slot>,
}

impl Connection {
    /// Prepares a connection; no network.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty user name or token.
    pub fn open(
        server: ServerUrl,
        credential: Option<Credential>,
        options: &TransportOptions,
        exchange: Exchange,
    ) -> Result<Self, Error> {
        let transport = Transport::new(options, &server);
        let signer = match credential {
            None => None,
            Some(credential) => {
                let empty = match (credential.user_name.trim().is_empty(), credential.token.is_empty()) {
                    (true, _) => Some("user name"),
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
                let route = format!("{} {server}{}", exchange.method, exchange.uri);
                let (user, token) = (&credential.user_name, &credential.token);
                let slot = bearer::slot(Key::new(server.origin(), user, token, options.clone(), route));
                Some(Signer { credential, exchange, slot })
            }
        };
        Ok(Self(Arc::new(Inner { server, transport, signer })))
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.0.server
    }

    /// Who signs in; none: nobody.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.0.signer.as_ref().map(|signer| signer.credential.user_name.as_str())
    }

    /// Exchanges the token, unless a good bearer is at hand.
    ///
    /// # Errors
    /// `CredentialMissing` without a credential; `AuthenticationFailed` when the server refuses it; else as the
    /// request fails.
    pub async fn sign_in(&self, log: &Log) -> Result<Arc<Bearer>, Error> {
        match &self.0.signer {
            Some(signer) => signer.bearer(&self.0, log, None).await,
            None => Err(self.credential_missing()),
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
        let Some(signer) = &self.0.signer else { return Ok((Signature::default(), None)) };
        let bearer = signer.bearer(&self.0, log, refused).await?;
        let signature = Signature {
            authorization: Some(bearer.exchanged.authorization.clone()),
            secrets: vec![signer.credential.token.clone(), bearer.exchanged.token.clone()],
        };
        Ok((signature, Some(bearer.generation)))
    }

    fn credential_missing(&self) -> Error {
        let server = &self.0.server;
        Error::new(ErrorKind::CredentialMissing, format!("{server} asks for a credential, and none was given."))
            .with_hint("Give -Credential with your user name and a personal access token, or run Connect-UssServer.")
            .with_server(server.to_string())
    }
}

fn refused(error: &Error) -> bool {
    error.http_status() == Some(401)
}

impl Signer {
    async fn bearer(&self, inner: &Inner, log: &Log, refused: Option<u64>) -> Result<Arc<Bearer>, Error> {
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

/// The one request in which a token leaves the process. Never redirected, never tried twice.
async fn exchange(
    server: ServerUrl,
    transport: Transport,
    credential: Credential,
    exchange: Exchange,
    log: Log,
) -> Result<Exchanged, Error> {
    let values = [("username", credential.user_name.as_str()), ("personalToken", credential.token.expose())];
    let mut request = Request::new(exchange.method, server.join(&exchange.uri.expand(&values))?);
    request.once = true;
    request.headers.insert("accept", HeaderValue::from_static("application/json"));
    // An idle connection would keep the buffer that the token was written from.
    request.headers.insert("connection", HeaderValue::from_static("close"));
    let signature = Signature { authorization: None, secrets: vec![credential.token] };
    let answer = transport.fetch(&log, &request, &signature, MAX_EXCHANGE).await?;
    let answered: Answered = answer.json()?;
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
        let exchange = Exchange { method: Method::POST, uri: UriTemplate::parse("/x", &[]).unwrap() };
        let credential = Credential { user_name: user.into(), token: Secret::new(token.into()) };
        let server = ServerUrl::parse("https://a.example", false)?;
        Connection::open(server, Some(credential), &TransportOptions::default(), exchange)
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
