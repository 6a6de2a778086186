//! Who looks at a page: somebody with a session behind a cookie, or a stranger who has to sign in first.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use url::form_urlencoded::byte_serialize;

use super::{Refusal, Settings};
use crate::api::{App, auth};
use crate::keys::Keys;
use crate::sessions::{self, Session};
use crate::store::audit::Entry;
use crate::store::users::User;

/// The session's cookie.
pub const SESSION: Cookie = Cookie { name: "uss-session" };
/// Of somebody who has not signed in: ties the sign-in form to the browser that asked for it.
pub const VISIT: Cookie = Cookie { name: "uss-visit" };

/// A cookie of this server's: for HTTP alone, and not sent with what other sites post (RFC 6265bis).
pub struct Cookie {
    name: &'static str,
}

impl Cookie {
    /// With TLS the prefix holds it to this very host; browsers refuse one that was set in any other way.
    fn name(&self, settings: Settings) -> String {
        format!("{}{}", if settings.secure { "__Host-" } else { "" }, self.name)
    }

    /// Its value in a request.
    pub fn get<'h>(&self, headers: &'h HeaderMap, settings: Settings) -> Option<&'h str> {
        let name = self.name(settings);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(other, _)| *other == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// Sets it, until the browser is closed.
    pub fn set(&self, response: &mut Response, settings: Settings, value: &str) {
        self.write(response, settings, value, "");
    }

    /// Removes it.
    pub fn clear(&self, response: &mut Response, settings: Settings) {
        self.write(response, settings, "", "; Max-Age=0");
    }

    fn write(&self, response: &mut Response, settings: Settings, value: &str, more: &str) {
        let secure = if settings.secure { "; Secure" } else { "" };
        let line = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}", self.name(settings));
        // Values are random bytes as text: nothing in them can end the line.
        if let Ok(line) = HeaderValue::from_str(&line) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
}

/// Somebody who is signed in.
pub struct Visitor {
    /// Behind the cookie.
    pub session: Session,
    /// Who.
    pub user: User,
    /// For the audit table.
    pub entry: Entry,
    /// What every form of this session carries.
    pub csrf: String,
    /// How they name this server: `https://packages.example`.
    pub origin: String,
}

impl Visitor {
    /// Refuses whoever is no administrator.
    pub fn require_admin(&self) -> Result<(), Refusal> {
        if self.user.admin { Ok(()) } else { Err(Refusal::forbidden("This page is for administrators.")) }
    }

    /// The hidden part of a form: the session's token, and a number that is good for one sending.
    pub fn seal(&self) -> Markup {
        html! {
            input type="hidden" name="csrf" value=(self.csrf);
            input type="hidden" name="form" value=(nonce());
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let found = match SESSION.get(&parts.headers, app.pages) {
            Some(value) => sessions::find(&app.store, sessions::Kind::Page, value)
                .await
                .map_err(|error| Refusal::from(error).into_response())?,
            None => None,
        };
        let Some((session, user)) = found.filter(|(_, user)| user.enabled) else {
            return Err(stranger(parts));
        };
        let csrf = sessions::csrf(&app.store.keys, &session);
        let entry = Entry { actor: user.name.clone(), address: Some(auth::address(parts)) };
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let origin = format!("{}://{host}", if app.pages.secure { "https" } else { "http" });
        Ok(Self { session, user, entry, csrf, origin })
    }
}

/// To the sign-in page, and from there to where they wanted to go. What they sent is not kept.
fn stranger(parts: &Parts) -> Response {
    if parts.method != Method::GET {
        let text = "Your session is over, so nothing was changed. Sign in and try again.";
        return Refusal::new(StatusCode::UNAUTHORIZED, "You are signed out", text)
            .back("/sign-in", "Sign in")
            .into_response();
    }
    let wanted = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if matches!(wanted, "/" | "/packages") {
        return Redirect::to("/sign-in").into_response();
    }
    let next: String = byte_serialize(wanted.as_bytes()).collect();
    Redirect::to(&format!("/sign-in?next={next}")).into_response()
}

/// A path of this server's own, which a redirect may follow.
pub fn own_path(path: &str) -> Option<&str> {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && path.len() <= 2_000;
    own.then_some(path)
}

/// Whoever has no session: their forms carry a token too, made from a cookie that only their browser has.
pub struct Stranger {
    value: String,
    fresh: bool,
    settings: Settings,
    csrf: String,
}

impl Stranger {
    /// The one who asks, or a new one.
    pub fn of(headers: &HeaderMap, app: &App) -> Self {
        let known = VISIT.get(headers, app.pages).filter(|value| is_nonce(value));
        let value = known.map_or_else(nonce, str::to_owned);
        let csrf = csrf(&app.store.keys, &value);
        Self { fresh: known.is_none(), value, csrf, settings: app.pages }
    }

    /// The hidden part of a form.
    pub fn seal(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }

    /// Whether a form's token is theirs.
    pub fn sealed(&self, token: &str) -> bool {
        !self.fresh && same(&self.csrf, token)
    }

    /// The page with the cookie that its form needs.
    pub fn answer(&self, mut response: Response) -> Response {
        if self.fresh {
            VISIT.set(&mut response, self.settings, &self.value);
        }
        response
    }
}

/// The keyed hash that makes token values unreadable at rest, over a text that no token value can be.
fn csrf(keys: &Keys, visit: &str) -> String {
    crate::tokens::hash(keys, &format!("page-visit:{visit}"))
}

/// 128 random bits as hex.
pub fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Whether a text looks like one.
pub fn is_nonce(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Compares secrets in a time that does not tell where they differ.
pub fn same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left.bytes().zip(right.bytes()).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_after_sign_in_stays_on_this_server() {
        for path in ["/tokens", "/packages?search=a%20b", "/"] {
            assert_eq!(own_path(path), Some(path));
        }
        for path in ["", "tokens", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/a b"] {
            assert_eq!(own_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_cookie_is_read_from_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; uss-session=x=y; __Host-uss-session=z"));
        assert_eq!(SESSION.get(&headers, Settings { secure: false }), Some("x=y"));
        assert_eq!(SESSION.get(&headers, Settings { secure: true }), Some("z"));
        assert_eq!(VISIT.get(&headers, Settings { secure: false }), None);
    }

    #[test]
    fn secrets_are_compared_as_a_whole() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
    }
}
