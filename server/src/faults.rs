//! Injected failures, for tests. Compiled only with the feature `faults`; never in a release.
//!
//! | call | does |
//! | --- | --- |
//! | `POST /faults` | adds a rule, or an array of rules; 204 |
//! | `DELETE /faults` | forgets all rules and counts; 204 |
//! | `GET /faults/counts` | `{"POST /api/v1/PersonalTokens/authenticate": 1, …}`: requests so far by method and path |
//!
//! They need no bearer and are not counted. A rule:
//!
//! ```json
//! { "method": "GET", "path": "/content", "query": "packageId=a", "after": 1, "count": 2, "on": "response",
//!   "action": { "reset": 1000 } }
//! ```
//!
//! `method` is a whole method; `path` and `query` are parts of the path and of the undecoded query; what is left out
//! matches everything. `after` lets so many matching requests pass first (0). `count` is how many are then hit (1; `null`:
//! all). The first rule that applies to a request is the only one that hits it. `on` says whose body is meant by stall,
//! reset and corrupt: `response` (the default) or `request` (what a client publishes). Actions:
//!
//! | action | does |
//! | --- | --- |
//! | `{"status": {"code": 503, "retryAfter": "1", "contentType": "text/html", "body": "…"}}` | answers this, does nothing; only `code` is needed |
//! | `{"delay": 500}` | waits so many milliseconds, then goes on |
//! | `{"stall": 1000}` | sends, or reads, so many bytes of the body and then nothing more |
//! | `{"reset": 1000}` | breaks the connection after so many bytes of the body; they get a tenth of a second to arrive |
//! | `{"corrupt": 1000}` | flips the byte at this place of the body, counted from 0 |
//! | `"change"` | answers as if the content were another now: each byte flipped, another ETag, no digest; `If-Match` is 412, `Range` with `If-Range` is answered whole |
//! | `"forget"` | does the work, then breaks the connection instead of answering |
//! | `"expireBearers"` | ends every bearer that was issued before, then goes on |

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Deserialize;

use crate::api::App;
use crate::api::problem::Problem;
use crate::listen::Unsent;

/// For the bytes before a reset to arrive.
const OUT: Duration = Duration::from_millis(100);

/// The rules and counts of one server.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

#[derive(Default)]
struct Rules {
    rules: Vec<Active>,
    counts: BTreeMap<String, u64>,
    /// Grows with each expiry; bearers of an earlier one are over.
    generation: u64,
    bearers: HashMap<String, u64>,
}

struct Active {
    rule: Rule,
    seen: u64,
    hit: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    #[serde(default)]
    after: u64,
    #[serde(default = "once")]
    count: Option<u64>,
    #[serde(default)]
    on: Side,
    action: Action,
}

fn once() -> Option<u64> {
    Some(1)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Side {
    #[default]
    Response,
    Request,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Status(Answer),
    Delay(u64),
    Stall(u64),
    Reset(u64),
    Corrupt(u64),
    Change,
    Forget,
    ExpireBearers,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    code: u16,
    retry_after: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Rule>),
    One(Rule),
}

/// Adds the calls above and puts the rules before every other call.
pub fn install(router: Router<App>, app: &App) -> Router<App> {
    let faults = app.faults.clone();
    let admin = Router::new().route("/faults", post(add).delete(clear)).route("/faults/counts", get(counts));
    router.layer(middleware::from_fn_with_state(faults.clone(), apply)).merge(admin.with_state(faults))
}

async fn add(State(faults): State<Faults>, body: Bytes) -> Result<StatusCode, Problem> {
    let rules = serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("No rule: {error}.")))?;
    let rules = match rules {
        OneOrMany::Many(rules) => rules,
        OneOrMany::One(rule) => vec![rule],
    };
    faults.lock().rules.extend(rules.into_iter().map(|rule| Active { rule, seen: 0, hit: 0 }));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(faults): State<Faults>) -> StatusCode {
    let mut state = faults.lock();
    state.rules.clear();
    state.counts.clear();
    StatusCode::NO_CONTENT
}

async fn counts(State(faults): State<Faults>) -> Json<BTreeMap<String, u64>> {
    Json(faults.lock().counts.clone())
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a bearer that was issued.
    pub fn issued(&self, jti: &str) {
        let mut state = self.lock();
        let generation = state.generation;
        state.bearers.insert(jti.to_owned(), generation);
    }

    /// Whether a bearer was ended by `expireBearers`.
    pub fn expired(&self, jti: &str) -> bool {
        let state = self.lock();
        state.bearers.get(jti).copied().unwrap_or(0) < state.generation
    }

    /// Counts a request, and finds what is to befall it.
    fn rule_for(&self, request: &Request) -> Option<Rule> {
        let (method, uri) = (request.method().as_str(), request.uri());
        let mut state = self.lock();
        *state.counts.entry(format!("{method} {}", uri.path())).or_default() += 1;
        let within = |part: &Option<String>, whole: &str| part.as_deref().is_none_or(|part| whole.contains(part));
        let hit = state.rules.iter_mut().find_map(|active| {
            let rule = &active.rule;
            let matches = rule.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && within(&rule.path, uri.path())
                && within(&rule.query, uri.query().unwrap_or_default());
            if !matches || rule.count.is_some_and(|count| active.hit >= count) {
                return None;
            }
            active.seen += 1;
            if active.seen <= rule.after {
                return None;
            }
            active.hit += 1;
            Some(rule.clone())
        });
        if hit.as_ref().is_some_and(|rule| matches!(rule.action, Action::ExpireBearers)) {
            state.generation += 1;
        }
        hit
    }
}

async fn apply(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let Some(rule) = faults.rule_for(&request) else { return next.run(request).await };
    let tamper = match rule.action {
        Action::Status(answer) => return answer.into_response(),
        Action::Delay(millis) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            return next.run(request).await;
        }
        Action::ExpireBearers => return next.run(request).await,
        Action::Forget => {
            next.run(request).await;
            return unsent();
        }
        Action::Change => return changed(request, next).await,
        Action::Stall(at) => Tamper::Stall(at),
        Action::Reset(at) => Tamper::Reset(at),
        Action::Corrupt(at) => Tamper::Corrupt(at),
    };
    let broken = Arc::new(AtomicBool::new(false));
    match rule.on {
        Side::Response => next.run(request).await.map(|body| tampered(body, tamper, &broken)),
        Side::Request => {
            let response = next.run(request.map(|body| tampered(body, tamper, &broken))).await;
            if broken.load(Ordering::SeqCst) { unsent() } else { response }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body).into_response();
        let headers = [(header::RETRY_AFTER, self.retry_after), (header::CONTENT_TYPE, self.content_type)];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn unsent() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Unsent);
    response
}

async fn changed(mut request: Request, next: Next) -> Response {
    if request.headers().get(header::IF_MATCH).is_some_and(|tags| tags != "*") {
        let detail = "The content is not the one that If-Match names.";
        return Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail).into_response();
    }
    if request.headers_mut().remove(header::IF_RANGE).is_some() {
        request.headers_mut().remove(header::RANGE);
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"changed\""));
    response.headers_mut().remove("repr-digest");
    response.map(|body| tampered(body, Tamper::Change, &Arc::default()))
}

#[derive(Clone, Copy)]
enum Tamper {
    Stall(u64),
    Reset(u64),
    Corrupt(u64),
    Change,
}

fn tampered(body: Body, tamper: Tamper, broken: &Arc<AtomicBool>) -> Body {
    Body::new(Tampered { body, at: 0, tamper, broken: broken.clone(), pause: None })
}

struct Tampered {
    body: Body,
    /// Bytes so far.
    at: u64,
    tamper: Tamper,
    broken: Arc<AtomicBool>,
    /// Before a reset.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl HttpBody for Tampered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.tamper {
            Tamper::Stall(at) if self.at >= at => return Poll::Pending,
            Tamper::Reset(at) if self.at >= at => {
                // hyper drops what it has not written yet when a body fails.
                let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(OUT)));
                std::task::ready!(pause.as_mut().poll(context));
                self.broken.store(true, Ordering::SeqCst);
                let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                return Poll::Ready(Some(Err(axum::Error::new(reset))));
            }
            _ => {}
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
        let Ok(bytes) = frame.into_data() else { return Poll::Ready(None) };
        let bytes = self.tamper(bytes);
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        // A body of so many bytes exactly must still stall or break.
        match self.tamper {
            Tamper::Stall(_) | Tamper::Reset(_) => false,
            Tamper::Corrupt(_) | Tamper::Change => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Tampered {
    fn tamper(&self, mut bytes: Bytes) -> Bytes {
        match self.tamper {
            Tamper::Stall(at) | Tamper::Reset(at) => {
                bytes.truncate(usize::try_from(at.saturating_sub(self.at)).unwrap_or(usize::MAX));
                bytes
            }
            Tamper::Corrupt(at) => {
                let place = at.checked_sub(self.at).and_then(|place| usize::try_from(place).ok());
                match place.filter(|place| *place < bytes.len()) {
                    None => bytes,
                    Some(place) => {
                        bytes.iter().enumerate().map(|(n, byte)| if n == place { !byte } else { *byte }).collect()
                    }
                }
            }
            Tamper::Change => bytes.iter().map(|byte| !byte).collect(),
        }
    }
}
