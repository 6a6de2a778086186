//! A page instead of the one that was asked for: what happened, and where to go on.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::html;

use super::layout;
use crate::store::StoreError;

/// Why there is no page.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    title: String,
    text: String,
    /// Where to go on: address and words.
    back: (&'static str, &'static str),
}

impl Refusal {
    /// A page of this status.
    pub fn new(status: StatusCode, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { status, title: title.into(), text: text.into(), back: ("/", "Go to the start") }
    }

    /// What was asked for is not there.
    pub fn not_found(title: &str, text: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, title, text)
    }

    /// The visitor may not see or do this.
    pub fn forbidden(text: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", text)
    }

    /// Goes on there.
    pub fn back(mut self, path: &'static str, words: &'static str) -> Self {
        self.back = (path, words);
        self
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "The server has no space left",
                "Nothing was changed. Somebody has to make room on the server first.",
            ),
            StoreError::Busy => {
                tracing::warn!("a page was turned away: the database was busy for too long");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is busy", "Nothing was changed. Try again.")
            }
            error @ StoreError::Unreachable(_) => {
                tracing::error!(%error, "a page failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server cannot reach its store", "Try again.")
            }
            StoreError::Text => Self::new(
                StatusCode::BAD_REQUEST,
                "That cannot be kept",
                "What was sent holds a character that no name has. Nothing was changed.",
            ),
            error => {
                tracing::error!(%error, "a page failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The server could not do this", "Its log says why.")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (path, words) = self.back;
        let content = html! {
            div.alone {
                section.card {
                    p.eyebrow { (self.status.as_u16()) }
                    h1 tabindex="-1" data-result { (self.title) }
                    p { (self.text) }
                    p.actions { a.button href=(path) { (words) } }
                }
            }
        };
        let mut response = (self.status, Html(layout::bare(&self.title, &content).into_string())).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}
