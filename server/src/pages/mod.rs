//! The pages: HTML from the server, for people with a browser.
//!
//! ```text
//! assets    one stylesheet, one script, an icon; named by their content
//! visitor   who looks: the session behind a cookie, or somebody who has none yet
//! form      what was sent: from this site, with this session's token, once
//! layout    the frame of every page; field: a labelled input with its hint and error; when: times for people
//! sign_in, setup, account, personal_tokens, access_tokens, packages, environments, audit: one group of pages each
//! ```
//!
//! Every page works with plain forms and links; the script adds copying, filtering while one types, and selecting with
//! Shift and Ctrl. GET changes nothing. No page asks any other origin for anything: the policy below forbids it, and
//! has no exception for inline style or script.

mod access_tokens;
mod account;
mod assets;
mod audit;
mod environments;
mod field;
mod form;
mod layout;
mod packages;
mod personal_tokens;
mod refusal;
mod setup;
mod shown;
mod sign_in;
mod visitor;
mod when;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::api::App;
use crate::api::problem::Problem;
use refusal::Refusal;

/// How pages are served.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Over TLS: cookies are for it alone.
    pub secure: bool,
}

/// Everything is from here, and nothing is inline (Content Security Policy Level 3).
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// All pages, to be merged into the server's router.
pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::to("/packages")))
        .route("/sign-in", get(sign_in::show).post(sign_in::send))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/setup", get(setup::show).post(setup::send))
        .route("/account", get(account::show))
        .route("/account/password", post(account::set_password))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route("/tokens", get(personal_tokens::list))
        .route("/tokens/new", get(personal_tokens::new).post(personal_tokens::create))
        .route("/tokens/{id}/edit", get(personal_tokens::edit).post(personal_tokens::save))
        .route("/tokens/{id}/copy", get(personal_tokens::copy).post(personal_tokens::create_copy))
        .route("/tokens/{id}/regenerate", get(personal_tokens::ask_regenerate).post(personal_tokens::regenerate))
        .route("/tokens/{id}/revoke", get(personal_tokens::ask_revoke).post(personal_tokens::revoke))
        .route("/tokens/{id}/remove", get(personal_tokens::ask_remove).post(personal_tokens::remove))
        .route("/settings/tokens", get(access_tokens::list))
        .route("/settings/tokens/generate", get(access_tokens::new).post(access_tokens::create))
        .route("/settings/tokens/edit", get(access_tokens::edit).post(access_tokens::save))
        .route("/settings/tokens/copy", get(access_tokens::copy).post(access_tokens::create_copy))
        .route("/settings/tokens/regenerate", get(access_tokens::ask_regenerate).post(access_tokens::regenerate))
        .route("/settings/tokens/remove", get(access_tokens::ask_remove).post(access_tokens::remove))
        .route("/settings/methods/{group}/{service}/{name}", get(access_tokens::document))
        .route("/environments", get(environments::list))
        .route("/packages", get(packages::list))
        .route("/packages/{id}", get(packages::one))
        .route("/packages/{id}/{version}/download", get(packages::download))
        .route("/audit", get(audit::list))
        .layer(middleware::from_fn(headers))
        .merge(assets::router())
}

/// What no route answers: a page for browsers, a problem for programs.
pub async fn not_found(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return Problem::no_such_call().into_response();
    }
    let mut response =
        Refusal::not_found("There is no such page", "The address is wrong, or what it named is gone.").into_response();
    guard(response.headers_mut());
    response
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    guard(response.headers_mut());
    response
}

/// What every page is answered with. All of them are somebody's own, and some show a value that is shown only once.
fn guard(headers: &mut HeaderMap) {
    const SAME: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in SAME {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A package's content may stay with the browser that has just saved it.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
