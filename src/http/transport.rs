//! Sends requests: signs, follows safe redirects, tries reads again, logs a line a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use rand::RngExt;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::answer::{Answer, Fetched};
use super::clients::Clients;
use super::failure::{on_the_way, timeout};
use super::line::Line;
use super::options::{ProxyChoice, TransportOptions};
use super::refusal::{MAX_BODY, Refusal, challenge_error};
use super::upload::Upload;
use crate::error::{Error, ErrorKind};
use crate::log::Log;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// Tries of a read beside the first.
const RETRIES: u32 = 2;

/// The longest wait that a call takes upon itself; a server that asks for more is reported.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Redirects in a row.
const MAX_REDIRECTS: usize = 5;

/// What to ask.
#[derive(Clone)]
pub struct Request {
    /// The method; GET and HEAD are tried again when they fail in passing, and follow redirects.
    pub method: Method,
    /// Sent once, to this address alone, whatever the method.
    pub once: bool,
    /// It only asks, whatever the method: tried again as GET is.
    pub asks: bool,
    /// The whole address; its query is never logged.
    pub url: Url,
    /// Headers beside Authorization.
    pub headers: HeaderMap,
    /// What is sent with it.
    pub body: Body,
    /// What a 404 means here.
    pub missing: ErrorKind,
    /// What a 409 means here, where its problem's type does not say.
    pub conflict: ErrorKind,
}

/// Which part of a content the body of an upload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes that the server has already: it may have to work on them, too, before it answers.
    pub before: u64,
    /// Bytes of the body, where they are known.
    pub length: Option<u64>,
}

impl Extent {
    /// A whole content.
    #[must_use]
    pub fn whole(length: Option<u64>) -> Self {
        Self { before: 0, length }
    }
}

/// A body that can be sent again.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
}

impl Request {
    /// A request without body; a 404 means that the server does not know the route.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            once: false,
            asks: false,
            url,
            headers: HeaderMap::new(),
            body: Body::Empty,
            missing: ErrorKind::ProtocolViolation,
            conflict: ErrorKind::PackageAlreadyExists,
        }
    }

    fn is_read(&self) -> bool {
        !self.once && matches!(self.method, Method::GET | Method::HEAD)
    }

    fn may_be_repeated(&self) -> bool {
        self.is_read() || self.asks
    }

    /// Method and address, without the query: it may hold a token.
    pub(super) fn name(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        format!("{} {url}", self.method)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.name()).finish()
    }
}

/// Who asks: the Authorization header, and the secrets that no message may hold, whoever says them.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// A sensitive header; none: unauthenticated.
    pub authorization: Option<HeaderValue>,
    /// The token and the bearer.
    pub secrets: Vec<Secret>,
}

/// Sends requests to one server with one set of options.
#[derive(Clone)]
pub struct Transport {
    clients: Arc<Clients>,
    server: Arc<str>,
    timeout: Duration,
    /// What signs in at the proxy, which may repeat it as a server may.
    proxy_secret: Option<Secret>,
}

impl Transport {
    /// Reaches `server` as the options say. No network yet.
    #[must_use]
    pub fn new(options: &TransportOptions, server: &ServerUrl) -> Self {
        let clients = Clients::of(options, server);
        let proxy_secret = match &options.proxy {
            ProxyChoice::Through(proxy) => proxy.credential().map(|(_, secret)| secret.clone()),
            ProxyChoice::System | ProxyChoice::None => None,
        };
        Self { clients, server: server.to_string().into(), timeout: options.timeout, proxy_secret }
    }

    /// The same signature with everything that no message may hold.
    fn guarded(&self, signature: &Signature) -> Signature {
        let mut signature = signature.clone();
        signature.secrets.extend(self.proxy_secret.clone());
        signature
    }

    /// Sends, and reads the whole answer, at most `limit` bytes. GET, HEAD and what only asks are tried twice more on a
    /// broken connection, 429 and 503.
    ///
    /// # Errors
    /// Any answer but 2xx, and every failure on the way, with its kind.
    pub async fn fetch(
        &self,
        log: &Log,
        request: &Request,
        signature: &Signature,
        limit: usize,
    ) -> Result<Fetched, Error> {
        let signature = &self.guarded(signature);
        let mut retries = 0;
        loop {
            let attempt = async {
                let answer = self.attempt(log, request, signature, retries, self.clients.api()?).await?;
                answer.whole(limit, &signature.secrets).await
            };
            match attempt.await {
                Err(error) => self.wait_to_try_again(log, request, error, &mut retries).await?,
                answered => return answered,
            }
        }
    }

    /// Sends, and gives the answer with its body to come. Tried again like [`Self::fetch`], until the head is there.
    ///
    /// # Errors
    /// Any answer but 2xx, and every failure on the way, with its kind.
    pub async fn open(&self, log: &Log, request: &Request, signature: &Signature) -> Result<Answer, Error> {
        let signature = &self.guarded(signature);
        let mut retries = 0;
        loop {
            match self.attempt(log, request, signature, retries, self.clients.bulk()?).await {
                Err(error) => self.wait_to_try_again(log, request, error, &mut retries).await?,
                answered => return answered,
            }
        }
    }

    /// Sends `body` as it comes, once, with its length as Content-Length where it is known, and reads the whole
    /// answer. An answer that comes before the body was sent ends the sending.
    ///
    /// # Errors
    /// Any answer but 2xx, every failure on the way, and what `body` itself fails with. `Stalled` when the server
    /// takes nothing for 60 s; `Timeout` when it has everything and does not answer.
    pub async fn upload<S>(
        &self,
        log: &Log,
        request: &Request,
        signature: &Signature,
        extent: Extent,
        body: S,
        limit: usize,
    ) -> Result<Fetched, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let signature = &self.guarded(signature);
        let (upload, stop) = Upload::new(body, extent);
        let mut built = self.build(&request.method, &request.url, &request.headers, signature.authorization.as_ref());
        if let Some(length) = extent.length {
            built.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *built.body_mut() = Some(reqwest::Body::wrap_stream(upload));
        let line = Line::new(log, request, signature, 0);
        line.headers(">", built.headers());
        let sent = tokio::select! {
            biased;
            answered = self.clients.bulk()?.execute(built) => answered.map_err(|error| self.failed(&error)),
            error = stop.overdue(&self.server) => Err(error),
        };
        self.judge(sent, request, signature, line).await?.whole(limit, &signature.secrets).await
    }

    /// The server, as messages name it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        on_the_way(error, &self.server, self.clients.proxy())
    }

    fn build(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> reqwest::Request {
        let mut built = reqwest::Request::new(method.clone(), url.clone());
        *built.headers_mut() = headers.clone();
        if let Some(authorization) = authorization {
            built.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        built
    }

    /// One try, redirects included.
    async fn attempt(
        &self,
        log: &Log,
        request: &Request,
        signature: &Signature,
        retries: u32,
        client: &reqwest::Client,
    ) -> Result<Answer, Error> {
        let line = Line::new(log, request, signature, retries);
        let mut url = request.url.clone();
        let mut redirects = 0;
        let deadline = Instant::now() + self.timeout;
        let sent = loop {
            // Another origin gets the question, never the credential.
            let same_origin = url.origin() == request.url.origin();
            let authorization = signature.authorization.as_ref().filter(|_| same_origin);
            let mut built = self.build(&request.method, &url, &request.headers, authorization);
            if let Body::Bytes(bytes) = &request.body {
                *built.body_mut() = Some(bytes.clone().into());
            }
            line.headers(">", built.headers());
            let response = match tokio::time::timeout_at(deadline, client.execute(built)).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => break Err(self.failed(&error)),
                Err(_) => break Err(timeout(&self.server, "answer")),
            };
            match next_hop(&url, &response).filter(|_| request.is_read() && redirects < MAX_REDIRECTS) {
                Some(next) => url = next,
                None => break Ok(response),
            }
            redirects += 1;
        };
        self.judge(sent, request, signature, line).await
    }

    /// Makes an answer of a 2xx, and an error of everything else.
    async fn judge(
        &self,
        sent: Result<reqwest::Response, Error>,
        request: &Request,
        signature: &Signature,
        mut line: Line,
    ) -> Result<Answer, Error> {
        let response = sent.inspect_err(|error| line.fail(error.kind()))?;
        line.status(response.status());
        line.headers("<", response.headers());
        let answer = Answer::new(response, &self.server, self.timeout, line);
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, headers, body) = answer.start(MAX_BODY).await;
        let refusal = Refusal {
            server: &self.server,
            status,
            headers: &headers,
            body: &body,
            missing: request.missing,
            conflict: request.conflict,
            secrets: &signature.secrets,
        };
        let error = refusal.into_error();
        Err(match challenge_error(&headers) {
            Some("insufficient_scope") if status == StatusCode::UNAUTHORIZED => {
                Error::new(ErrorKind::PermissionDenied, error.message())
                    .with_http_status(403)
                    .with_server(&*self.server)
            }
            _ => error,
        })
    }

    /// Waits before the next try of a read that failed in passing; gives the error back when there is none.
    async fn wait_to_try_again(
        &self,
        log: &Log,
        request: &Request,
        error: Error,
        retries: &mut u32,
    ) -> Result<(), Error> {
        let passing = match error.kind() {
            ErrorKind::ConnectionFailed => error.retry_after(),
            ErrorKind::RateLimited | ErrorKind::ServerUnavailable if matches!(error.http_status(), Some(429 | 503)) => {
                error.retry_after()
            }
            _ => None,
        };
        let Some(asked) =
            passing.filter(|asked| request.may_be_repeated() && *retries < RETRIES && *asked <= LONGEST_WAIT)
        else {
            return Err(error);
        };
        *retries += 1;
        // Full jitter, on top of what the server asked for.
        let backoff = Duration::from_millis(200) * 2_u32.pow(*retries);
        let wait = asked + backoff.mul_f64(rand::rng().random_range(0.0..1.0));
        log.verbose(|| format!("Trying again in {} ms: {}", wait.as_millis(), error.message()));
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("server", &self.server).field("timeout", &self.timeout).finish()
    }
}

/// Where a redirect leads, if it may be followed: never to another scheme, so that nobody is moved to plain http.
fn next_hop(from: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    from.join(location).ok().filter(|next| next.scheme() == from.scheme())
}
