//! A server's address: parsed, normalised, and decided whether a secret may travel to it.

use std::fmt;

use url::{Host, Url};

use crate::error::{Error, ErrorKind};

/// `scheme://host[:port][/prefix]`, without user info, query or fragment.
///
/// Plain http is only for this machine, unless the caller allows it: a token on an open network is a lost token.
/// This machine is literally `localhost`, 127.0.0.0/8 or ::1, decided without DNS.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    url: Url,
}

impl ServerUrl {
    /// Reads what a person types; without a scheme it means https.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no http address, or holds a user name, a query or a fragment;
    /// `InsecureTransport` for plain http to another machine without `allow_unencrypted`.
    pub fn parse(text: &str, allow_unencrypted: bool) -> Result<Self, Error> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let invalid = |what: &str| {
            Error::new(ErrorKind::InvalidArgument, format!("The server address {what}."))
                .with_hint("Write it like https://updates.example.com or http://localhost:8060.")
        };
        if text.is_empty() {
            return Err(invalid("is empty"));
        }
        let mut url = Url::parse(&full).map_err(|error| invalid(&format!("cannot be read ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(&format!("has the scheme '{}' instead of http or https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("holds a user name or password; give a credential instead"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("holds a query or fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let server = Self { url };
        if server.url.scheme() == "http" && !server.is_loopback() && !allow_unencrypted {
            return Err(Error::new(
                ErrorKind::InsecureTransport,
                format!("{server} is plain http: a token would cross the network unencrypted. Nothing was sent."),
            )
            .with_hint("Use https, or -AllowUnencryptedAuthentication where the network itself is trusted.")
            .with_server(server.to_string()));
        }
        Ok(server)
    }

    /// Whether it is this machine, decided by the text alone.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Scheme, host and port: what a secret is bound to (RFC 6454).
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// This server's address followed by `path_and_query`, which starts with a slash and is percent-encoded already.
    ///
    /// # Errors
    /// `InvalidArgument` when that is no address, leads to another origin, or climbs by `.` or `..`: an id that is one
    /// would make another call of the route that it is put into.
    pub fn join(&self, path_and_query: &str) -> Result<Url, Error> {
        let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
        let url = Url::parse(&format!("{self}{path_and_query}")).ok().filter(|url| url.origin() == self.url.origin());
        url.filter(|_| !path.split(['/', '\\']).any(climbs)).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("'{path}' is no path on {self}.")).with_hint(
                "Give a path that starts with a slash and does not climb; another server needs its own connection.",
            )
        })
    }
}

/// Whether URLs take a segment for a step and not for a name; an encoded dot is one (WHATWG URL, 4.1).
fn climbs(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, ErrorKind> {
        ServerUrl::parse(text, false).map(|url| url.to_string()).map_err(|error| error.kind())
    }

    #[test]
    fn addresses_are_normalised_and_keep_their_prefix() {
        assert_eq!(parse("Updates.Example.COM"), Ok("https://updates.example.com".into()));
        assert_eq!(parse(" https://a.example:443/uss/ "), Ok("https://a.example/uss".into()));
        assert_eq!(parse("http://LOCALHOST:8060/"), Ok("http://localhost:8060".into()));
        assert_eq!(parse("localhost:8060"), Ok("https://localhost:8060".into()));
    }

    #[test]
    fn plain_http_is_only_for_this_machine() {
        for near in ["http://127.9.9.9:1", "http://[::1]:1", "http://localhost"] {
            assert!(parse(near).is_ok(), "{near}");
        }
        for far in ["http://example.com", "http://localhost.example.com", "http://10.0.0.1", "http://127.0.0.1.nip.io"]
        {
            assert_eq!(parse(far), Err(ErrorKind::InsecureTransport), "{far}");
        }
        assert!(ServerUrl::parse("http://example.com", true).is_ok());
    }

    #[test]
    fn what_is_no_server_address_is_refused() {
        for bad in
            ["", "ftp://a", "https://u:p@a", "https://a?x=1", "https://a#f", "https://", "file:///etc", "https://a b"]
        {
            assert_eq!(parse(bad), Err(ErrorKind::InvalidArgument), "{bad}");
        }
    }

    #[test]
    fn a_joined_path_stays_on_the_server() {
        let server = ServerUrl::parse("https://a.example/uss", false).unwrap();
        assert_eq!(server.join("/api?x=1").unwrap().as_str(), "https://a.example/uss/api?x=1");
        for far in ["@b.example/x", ".b.example/x"] {
            let root = ServerUrl::parse("https://a.example", false).unwrap();
            assert!(root.join(far).is_err(), "{far}");
        }
        for climbing in ["/..", "/api/../x", "/api/./x", "/api/%2e%2E/x", "/api/.%2e", "/api\\..\\x", "/api/.?x=1"] {
            let error = server.join(climbing).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{climbing}");
        }
        for name in ["/api/..x", "/api/...", "/api?x=/../y", "/a.b/"] {
            assert_eq!(server.join(name).unwrap().as_str(), format!("https://a.example/uss{name}"));
        }
    }
}
