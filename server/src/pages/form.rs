//! What a form sent. It counts only if it came from a page of this server, with the session's token, for the first
//! time: the browser's own word for where it came from (`Sec-Fetch-Site`, `Origin`), a token in each form that no other
//! site can know, and a number that is used up with the first sending.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Refusal;
use super::visitor::{Stranger, Visitor, is_nonce, same};
use crate::api::App;
use crate::sessions;
use uss::Secret;

/// Bytes of a form at most: a token for each of the platform's methods fits.
const LARGEST: usize = 128 << 10;

/// Names and values, in their order.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of this name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str())
    }

    /// All values of this name.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// What must not be shown again.
    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.get(name).to_owned())
    }

    async fn read(request: Request) -> Result<Self, Response> {
        let form = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = form.and_then(|value| value.split(';').next()).map(str::trim);
        if !form.is_some_and(|form| form.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            let text = "What was sent is no form of this server's. Nothing was changed.";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not understood", text).into_response());
        }
        let limited = axum::body::to_bytes(request.into_body(), LARGEST).await;
        let bytes: Bytes = limited.map_err(|_| {
            let text = "The form is larger than this server reads. Nothing was changed.";
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "Too much", text).into_response()
        })?;
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

/// A form of somebody who is signed in.
pub struct Sent {
    /// Who.
    pub visitor: Visitor,
    /// What.
    pub fields: Fields,
}

impl FromRequest<App> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        from_here(request.headers()).map_err(IntoResponse::into_response)?;
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let fields = Fields::read(Request::from_parts(parts, body)).await?;
        if !same(&visitor.csrf, fields.get("csrf")) {
            return Err(foreign().into_response());
        }
        let nonce = fields.get("form");
        let first = is_nonce(nonce)
            && sessions::use_form(&app.store, &visitor.session, nonce)
                .await
                .map_err(|error| Refusal::from(error).into_response())?;
        if !first {
            let text = "This form was sent before, and counted then. Nothing was changed now.";
            return Err(Refusal::new(StatusCode::CONFLICT, "Sent already", text).into_response());
        }
        Ok(Self { visitor, fields })
    }
}

/// A form of somebody without a session.
pub struct SentByStranger {
    /// Who.
    pub stranger: Stranger,
    /// What.
    pub fields: Fields,
    /// The request's headers and address.
    pub parts: axum::http::request::Parts,
}

impl FromRequest<App> for SentByStranger {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        from_here(request.headers()).map_err(IntoResponse::into_response)?;
        let stranger = Stranger::of(request.headers(), app);
        let (parts, body) = request.into_parts();
        let fields = Fields::read(Request::from_parts(parts.clone(), body)).await?;
        if !stranger.sealed(fields.get("csrf")) {
            return Err(foreign().back("/sign-in", "Go to the sign-in page").into_response());
        }
        Ok(Self { stranger, fields, parts })
    }
}

fn foreign() -> Refusal {
    let text = "The form does not belong to your session, so nothing was changed. Open the page again and send it from \
                there; cookies have to be allowed.";
    Refusal::new(StatusCode::FORBIDDEN, "Not from your session", text)
}

/// Refuses what another site's page sent. Browsers say so by `Sec-Fetch-Site` (Fetch Metadata) where the address is
/// https or this machine's own, and by `Origin` elsewhere. This server's own pages send `Origin: null`, as they are
/// served with `no-referrer` (Fetch, section 3.2); what then remains is the form's token.
fn from_here(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = || Err(foreign());
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return refused();
    }
    match (text("origin"), text("host")) {
        (None | Some("null"), _) => Ok(()),
        (Some(origin), Some(host)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) { Ok(()) } else { refused() }
        }
        (Some(_), None) => refused(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn judge(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter();
        let headers = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        from_here(&headers.collect()).is_ok()
    }

    #[test]
    fn only_this_servers_own_pages_may_send_a_form() {
        assert!(judge(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(judge(&[("host", "a:1"), ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!judge(&[("host", "a:1"), ("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!judge(&[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "same-site")]));
        assert!(!judge(&[("host", "a:1"), ("origin", "http://a:2")]));
        assert!(!judge(&[("host", "a:1"), ("origin", "http://evil.example")]));
        assert!(!judge(&[("origin", "http://a:1")]));
    }
}
