//! The one place where an answer other than 2xx becomes an [`Error`].
//!
//! Servers answer problem+json (RFC 9457), JSON of their own, plain text or HTML. HTML is a proxy's or a login page:
//! its title is told, never its body.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;
use url::Url;

use super::redact::{foreign_text, without_cut_secret};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// Bytes of a refusal's body that are looked at.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// An answer that says no.
pub(super) struct Refusal<'a> {
    pub(super) server: &'a str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// What a 404 means for this call.
    pub(super) missing: ErrorKind,
    /// What a 409 means for this call.
    pub(super) conflict: ErrorKind,
    pub(super) secrets: &'a [Secret],
}

impl Refusal<'_> {
    pub(super) fn into_error(self) -> Error {
        let mut text = String::from_utf8_lossy(self.body);
        if self.body.len() >= MAX_BODY {
            text = without_cut_secret(&text, self.secrets).to_owned().into();
        }
        if is_html(self.headers, &text) {
            return self.page(&text);
        }
        let problem = serde_json::from_str::<Value>(&text).ok();
        let reason = problem.as_ref().map_or(Some(text.as_ref()), reason);
        let reason = reason.map(|text| foreign_text(text, self.secrets)).filter(|text| !text.is_empty());
        let kind = problem.as_ref().and_then(kind_of_type).unwrap_or_else(|| self.kind());
        let error = self.error(kind, reason.as_deref());
        let field = problem.as_ref().and_then(|problem| problem.get("field")?.as_str());
        match field.map(|field| foreign_text(field, self.secrets)).filter(|field| !field.is_empty()) {
            Some(field) if kind == ErrorKind::InvalidArgument => error.with_target(field),
            _ => error,
        }
    }

    /// A page for people: a login, a proxy's block, a gateway's excuse.
    fn page(&self, html: &str) -> Error {
        let title = title(html).map(|title| foreign_text(title, self.secrets)).filter(|title| !title.is_empty());
        match self.status.as_u16() {
            // What these say does not depend on how it is dressed.
            401 | 407 | 429 | 503 => self.error(self.kind(), title.as_deref()),
            status => {
                let error = web_page(self.server, title.as_deref()).with_http_status(status);
                match self.wait() {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                }
            }
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.status.as_u16() {
            400 | 413 | 414 => ErrorKind::InvalidArgument,
            401 => ErrorKind::AuthenticationFailed,
            403 => ErrorKind::PermissionDenied,
            404 | 410 => self.missing,
            407 => ErrorKind::ProxyAuthenticationRequired,
            408 => ErrorKind::Timeout,
            409 => self.conflict,
            412 => ErrorKind::SourceChanged,
            422 => ErrorKind::InvalidPackage,
            423 => ErrorKind::CopyInProgress,
            429 => ErrorKind::RateLimited,
            507 => ErrorKind::InsufficientStorage,
            500..=599 => ErrorKind::ServerUnavailable,
            _ => ErrorKind::ProtocolViolation,
        }
    }

    /// How long to wait before the same may succeed; none where it will not.
    fn wait(&self) -> Option<Duration> {
        match self.status.as_u16() {
            408 | 423 | 429 | 500 | 502 | 503 | 504 => Some(retry_after(self.headers).unwrap_or_default()),
            _ => None,
        }
    }

    fn error(&self, kind: ErrorKind, reason: Option<&str>) -> Error {
        let server = self.server;
        let status = self.status.as_u16();
        let reason = reason.unwrap_or_else(|| self.status.canonical_reason().unwrap_or("no reason given"));
        let reason = reason.trim_end_matches('.');
        let wait = self.wait();
        let (message, hint) = match kind {
            ErrorKind::AuthenticationFailed => (
                format!("{server} refused the sign-in: {reason}."),
                "Check the user name and the token: it may be mistyped, expired or revoked. Make a new one under \
                 Personal Tokens."
                    .to_owned(),
            ),
            ErrorKind::PermissionDenied => (
                format!("{server} does not allow this: {reason}."),
                "Ask an administrator of the server for the right, or use another account.".to_owned(),
            ),
            ErrorKind::ProxyAuthenticationRequired => (
                format!("The proxy on the way to {server} wants a credential: {reason}."),
                "Give one with -ProxyCredential.".to_owned(),
            ),
            ErrorKind::RateLimited | ErrorKind::ServerUnavailable => {
                let said = match kind {
                    ErrorKind::RateLimited => "has had too many requests",
                    _ => "cannot serve the request now",
                };
                let hint = match wait.filter(|wait| !wait.is_zero()) {
                    Some(wait) => format!("Try again in {} s.", wait.as_secs().max(1)),
                    None => "Try again later; if it stays, look at the server's log.".to_owned(),
                };
                (format!("{server} {said}: {reason} ({status})."), hint)
            }
            ErrorKind::InsufficientStorage => (
                format!("{server} has no room left: {reason}."),
                "Free space on the server, then run the command again.".to_owned(),
            ),
            ErrorKind::InvalidPackage => (
                format!("{server} refused the package: {reason} ({status})."),
                "Make the archive again; New-UssPackage makes one.".to_owned(),
            ),
            ErrorKind::PackageAlreadyExists => (
                format!("{server} already has it with other content: {reason}."),
                "Publish under a new version, or replace it with -Force.".to_owned(),
            ),
            ErrorKind::ProtocolViolation if self.status.is_redirection() => match self.redirects_to() {
                Some(origin) => (
                    format!("{server} sends this request on to {origin}, where a credential must not follow."),
                    format!("Use the server address {origin}, if it is yours."),
                ),
                None => (
                    format!("{server} redirects without saying where ({status})."),
                    "Check the server address.".to_owned(),
                ),
            },
            ErrorKind::ProtocolViolation => (
                format!("{server} answered {status}: {reason}."),
                "Check the server address, and whether it is an Update Service.".to_owned(),
            ),
            _ => (format!("{server} refused: {reason} ({status})."), String::new()),
        };
        let error = Error::new(kind, message).with_hint(hint).with_http_status(status).with_server(server);
        match wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }

    fn redirects_to(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        let url = Url::parse(self.server).ok()?.join(location).ok()?;
        Some(url.origin().ascii_serialization()).filter(|origin| origin != "null")
    }
}

/// What a web page in place of an answer means.
pub(super) fn web_page(server: &str, title: Option<&str>) -> Error {
    let title = title.map_or_else(String::new, |title| format!(", titled '{title}'"));
    let message = format!("A web page{title} came in place of {server}'s answer.");
    Error::new(ErrorKind::ProtocolViolation, message)
        .with_hint("Check the server address, and whether a proxy or a login page stands in between.")
        .with_server(server)
}

/// Whether an answer is a page for people.
pub(super) fn is_html(headers: &HeaderMap, text: &str) -> bool {
    let declared = text_of(headers, &CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.trim_start().to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml")
    });
    // As bytes: what comes after may be any character, and a part of one at that place.
    let start = text.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).as_bytes();
    let starts = |with: &str| start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    declared || starts("<!doctype html") || starts("<html")
}

/// What stands in `<title>`.
pub(super) fn title(html: &str) -> Option<&str> {
    // ASCII lower case keeps every character's length, so that positions hold in both.
    let lower = html.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    html.get(start..end)
}

/// Seconds or a date (RFC 9110, section 10.2.3); a date is compared with the answer's own, where it has one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_of(headers, &RETRY_AFTER)?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = text_of(headers, &DATE).and_then(|now| httpdate::parse_http_date(now).ok());
    Some(date.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The sentence that a JSON body says.
fn reason(problem: &Value) -> Option<&str> {
    let said = ["detail", "title", "message", "Message", "error_description", "error"];
    match problem {
        Value::String(text) => Some(text),
        Value::Object(fields) => {
            said.iter().filter_map(|name| fields.get(*name)?.as_str()).find(|text| !text.is_empty())
        }
        _ => None,
    }
}

/// A problem's type ends with the kind in any spelling: `/problems/invalid-package`, `urn:uss:InvalidPackage`.
fn kind_of_type(problem: &Value) -> Option<ErrorKind> {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let name = plain(problem.get("type")?.as_str()?.rsplit(['/', ':', '#']).next()?);
    match name.as_str() {
        "installeralreadyexists" => return Some(ErrorKind::PackageAlreadyExists),
        "invalidtokensettings" => return Some(ErrorKind::InvalidArgument),
        _ => {}
    }
    let kinds = [
        ErrorKind::InvalidArgument,
        ErrorKind::AuthenticationFailed,
        ErrorKind::PermissionDenied,
        ErrorKind::PackageNotFound,
        ErrorKind::InstallerNotFound,
        ErrorKind::TokenNotFound,
        ErrorKind::TooManyTokens,
        ErrorKind::NoPackageInRange,
        ErrorKind::PackageAlreadyExists,
        ErrorKind::SourceChanged,
        ErrorKind::ChecksumMismatch,
        ErrorKind::InvalidPackage,
        ErrorKind::InsufficientStorage,
        ErrorKind::RateLimited,
        ErrorKind::ServerUnavailable,
    ];
    kinds.into_iter().find(|kind| plain(kind.code()) == name)
}

/// The `error` of a Bearer challenge (RFC 6750, section 3).
pub(super) fn challenge_error(headers: &HeaderMap) -> Option<&str> {
    let challenge = text_of(headers, &WWW_AUTHENTICATE)?;
    challenge.split("error=\"").nth(1)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn refuse(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Refusal {
            server: "https://a.example",
            status: StatusCode::from_u16(status).unwrap(),
            headers: &map,
            body: body.as_bytes(),
            missing: ErrorKind::PackageNotFound,
            conflict: ErrorKind::CopyInProgress,
            secrets: &[],
        }
        .into_error()
    }

    #[test]
    fn the_problem_type_says_more_than_the_status() {
        let digest = refuse(422, &[], r#"{"type":"/problems/checksum-mismatch","detail":"digest differs."}"#);
        assert_eq!(digest.kind(), ErrorKind::ChecksumMismatch);
        assert_eq!(digest.http_status(), Some(422));
        assert!(digest.message().contains("digest differs"));
        assert_eq!(refuse(422, &[], "not a zip").kind(), ErrorKind::InvalidPackage);
        assert_eq!(refuse(404, &[], r#"{"type":"urn:uss:InstallerNotFound"}"#).kind(), ErrorKind::InstallerNotFound);
        assert_eq!(refuse(404, &[], r#"{"type":"about:blank"}"#).kind(), ErrorKind::PackageNotFound);
        for name in ["package-already-exists", "installer-already-exists"] {
            let problem = format!(r#"{{"type":"urn:uss:problem:{name}"}}"#);
            assert_eq!(refuse(409, &[], &problem).kind(), ErrorKind::PackageAlreadyExists, "{name}");
        }
    }

    #[test]
    fn settings_of_a_token_that_are_refused_name_the_field() {
        let problem = r#"{"type":"urn:uss:problem:invalid-token-settings","detail":"It is past.","field":"expires"}"#;
        let error = refuse(422, &[], problem);
        assert_eq!((error.kind(), error.target()), (ErrorKind::InvalidArgument, "expires"));
        assert_eq!(error.message(), "https://a.example refused: It is past (422).");
        let full = refuse(409, &[], r#"{"type":"urn:uss:problem:too-many-tokens"}"#);
        assert_eq!(full.kind(), ErrorKind::TooManyTokens);
    }

    #[test]
    fn each_status_has_its_kind() {
        for (status, kind) in [
            (401, "AuthenticationFailed"),
            (403, "PermissionDenied"),
            (407, "ProxyAuthenticationRequired"),
            (409, "CopyInProgress"),
            (412, "SourceChanged"),
            (429, "RateLimited"),
            (500, "ServerUnavailable"),
            (503, "ServerUnavailable"),
            (507, "InsufficientStorage"),
            (418, "ProtocolViolation"),
        ] {
            assert_eq!(refuse(status, &[], "").kind().code(), kind, "{status}");
        }
    }

    #[test]
    fn a_proxys_page_is_told_by_its_title() {
        let html = "<!DOCTYPE html><html><head><TITLE>Blocked &amp; logged</TITLE></head><body>hunter2</body></html>";
        for status in [200, 302, 403, 404, 502] {
            let error = refuse(status, &[], html);
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
            assert!(error.message().contains("'Blocked &amp; logged'"), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        for undeclared in
            ["<html>", "<html><title>Überwacht</title>hunter2", "<HTML\u{e9}><title>Überwacht</title>hunter2"]
        {
            let error = refuse(403, &[], undeclared);
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{undeclared}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(refuse(401, &[("content-type", "text/html")], html).kind(), ErrorKind::AuthenticationFailed);
        assert_eq!(refuse(407, &[("content-type", "text/html")], html).kind(), ErrorKind::ProxyAuthenticationRequired);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let wait = |headers: &[(&'static str, &str)]| refuse(503, headers, "").retry_after();
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        let dates = [("date", "Tue, 15 Nov 1994 08:12:31 GMT"), ("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")];
        assert_eq!(wait(&dates), Some(Duration::from_secs(10)));
        assert_eq!(wait(&[("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("retry-after", "soon")]), Some(Duration::ZERO));
        assert_eq!(refuse(409, &[], "").retry_after(), None);
    }

    #[test]
    fn a_redirect_names_where_it_leads_without_its_query() {
        let error = refuse(307, &[("location", "https://b.example/x?token=hunter2")], "");
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
        assert!(error.message().contains("https://b.example,"), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_challenge_tells_why_a_bearer_was_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"x\", error=\"invalid_token\""));
        assert_eq!(challenge_error(&headers), Some("invalid_token"));
    }
}
