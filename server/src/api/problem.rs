//! Errors as the web API tells them: RFC 9457 `application/problem+json`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::StoreError;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<&'static str>,
    headers: Vec<(HeaderName, String)>,
}

impl Problem {
    /// An answer of this status. `code` tells problems of one status apart; `detail` is for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, headers: Vec::new() }
    }

    /// The request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// There is no such call.
    pub fn no_such_call() -> Self {
        let detail = "There is no such call; docs/openapi.yaml lists those that are.";
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// There is no such package or version.
    pub fn package_not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "package-not-found", detail)
    }

    /// There is no such installer.
    pub fn installer_not_found(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "installer-not-found", format!("There is no installer '{id}'."))
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// No bearer was given (RFC 6750, section 3: then without an error code).
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "This call needs a bearer token.")
            .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"Update Service\"")
    }

    /// The bearer or the credential is no good (RFC 6750, section 3.1).
    pub fn invalid_token(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid-token", detail).with_header(
            header::WWW_AUTHENTICATE,
            format!("Bearer error=\"invalid_token\", error_description=\"{detail}\""),
        )
    }

    /// An archive or a manifest cannot be used.
    pub fn invalid_package(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-package", detail)
    }

    /// An upload that the caller cannot go on with.
    pub fn upload_not_found() -> Self {
        let detail = "There is no such upload: it was published or given up, or it is somebody else's.";
        Self::new(StatusCode::NOT_FOUND, "upload-not-found", detail)
    }

    /// The same, of one field of what was sent.
    pub fn of_field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// The same with a header.
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => {
                let detail = "The server has no space left. Nothing was changed.";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "insufficient-storage", detail)
            }
            StoreError::Busy => {
                tracing::warn!("a request was turned away: the database was busy for too long");
                let detail = "The server is busy; try again. Nothing was changed.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).with_header(header::RETRY_AFTER, "5")
            }
            StoreError::Text => {
                let detail = "What was sent holds the character U+0000, which no name has. Nothing was changed.";
                Self::new(StatusCode::BAD_REQUEST, "invalid-text", detail)
            }
            StoreError::UploadGone => Self::upload_not_found(),
            error @ StoreError::Unreachable(_) => {
                tracing::error!(%error, "a request failed");
                let detail = "The server cannot reach its store; try again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).with_header(header::RETRY_AFTER, "5")
            }
            error => {
                tracing::error!(%error, "a request failed");
                let detail = "The server could not do this; its log says why.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:uss:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if let (Some(field), Some(body)) = (self.field, body.as_object_mut()) {
            body.insert("field".into(), field.into());
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
