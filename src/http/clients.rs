//! One pair of clients an options value, in the whole process: connections and TLS sessions are shared by all.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError};
use std::time::Duration;

use once_cell::sync::OnceCell;
use reqwest::Client;

use super::options::{ProxyChoice, TransportOptions};
use crate::error::{Error, ErrorKind};
use crate::server_url::ServerUrl;

/// Pairs kept; a process that uses more options than this is trying them out, not working with them.
const MAX_PAIRS: usize = 64;

/// An idle connection that is older may already be closed by the server (Kestrel: 130 s, nginx: 75 s).
const IDLE: Duration = Duration::from_secs(60);

static PAIRS: LazyLock<Mutex<HashMap<Key, Arc<Clients>>>> = LazyLock::new(Mutex::default);

/// Two clients with their own connections, so that a small call never waits behind a transfer.
#[derive(Debug)]
pub(super) struct Clients {
    key: Key,
    api: OnceCell<Client>,
    bulk: OnceCell<Client>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    options: TransportOptions,
    /// Plain http needs no certificates; reading the operating system's costs time and needs some to be there.
    plain: bool,
}

impl Clients {
    /// The pair for `server`; this machine is never reached through a proxy.
    pub(super) fn of(options: &TransportOptions, server: &ServerUrl) -> Arc<Self> {
        let mut options = options.clone();
        if server.is_loopback() {
            options.proxy = ProxyChoice::None;
        }
        let key = Key { options, plain: server.origin().starts_with("http:") };
        let mut pairs = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= MAX_PAIRS && !pairs.contains_key(&key) {
            pairs.retain(|_, pair| Arc::strong_count(pair) > 1);
        }
        let make = || Arc::new(Self { key: key.clone(), api: OnceCell::new(), bulk: OnceCell::new() });
        pairs.entry(key.clone()).or_insert_with(make).clone()
    }

    /// The proxy's address, where one was named for these.
    pub(super) fn proxy(&self) -> Option<&str> {
        match &self.key.options.proxy {
            ProxyChoice::Through(proxy) => Some(proxy.url().as_str().trim_end_matches('/')),
            ProxyChoice::System | ProxyChoice::None => None,
        }
    }

    /// For calls.
    pub(super) fn api(&self) -> Result<&Client, Error> {
        self.api.get_or_try_init(|| self.key.build())
    }

    /// For contents.
    pub(super) fn bulk(&self) -> Result<&Client, Error> {
        self.bulk.get_or_try_init(|| self.key.build())
    }
}

impl Key {
    /// Never a total time-out: a transfer takes as long as it moves. Silence is watched by whoever waits for it,
    /// because reqwest's read time-out also runs while a body is sent.
    fn build(&self) -> Result<Client, Error> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Refused only when the process has chosen a provider already: then that one is used.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = Client::builder()
            .user_agent(concat!("uss/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(IDLE)
            .connect_timeout(self.options.timeout)
            .resolve_to_addrs(
                "localhost",
                &[SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))],
            );
        builder = match &self.options.proxy {
            ProxyChoice::System => builder,
            ProxyChoice::None => builder.no_proxy(),
            ProxyChoice::Through(proxy) => {
                let through = reqwest::Proxy::all(proxy.url().clone()).map_err(|error| unusable(&error))?;
                builder.no_proxy().proxy(match proxy.credential() {
                    Some((user, token)) => through.basic_auth(user, token.expose()),
                    None => through,
                })
            }
        };
        if self.plain {
            builder = builder.tls_certs_only([]);
        } else if self.options.skip_certificate_check {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(authority) = &self.options.certificate_authority {
            let roots = reqwest::Certificate::from_pem_bundle(authority.pem()).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge(roots);
        }
        builder.build().map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &reqwest::Error) -> Error {
        match &self.options.certificate_authority {
            Some(authority) => Error::new(
                ErrorKind::InvalidArgument,
                format!("A certificate in '{}' cannot be used.", authority.path().display()),
            )
            .with_hint("Check that each of its blocks is an X.509 certificate."),
            None => unusable(error),
        }
    }
}

/// The source's text alone: reqwest's own may hold a URL.
fn unusable(error: &reqwest::Error) -> Error {
    let reason = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Error::new(ErrorKind::TlsFailed, format!("No secure connection can be made from this machine{reason}."))
        .with_hint("Install the operating system's certificates (package ca-certificates), or name a file of them.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(options: &TransportOptions, server: &str) -> Arc<Clients> {
        Clients::of(options, &ServerUrl::parse(server, true).unwrap())
    }

    #[test]
    fn equal_options_share_their_clients_and_others_do_not() {
        let options = TransportOptions::default();
        let patient = TransportOptions { timeout: Duration::from_secs(99), ..options.clone() };
        assert!(Arc::ptr_eq(&pair(&options, "https://a.example"), &pair(&options, "https://b.example")));
        assert!(!Arc::ptr_eq(&pair(&options, "https://a.example"), &pair(&patient, "https://a.example")));
        assert!(!Arc::ptr_eq(&pair(&options, "https://a.example"), &pair(&options, "http://a.example")));
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        assert_eq!(pair(&TransportOptions::default(), "http://localhost").key.options.proxy, ProxyChoice::None);
        assert_eq!(pair(&TransportOptions::default(), "https://a.example").key.options.proxy, ProxyChoice::System);
    }
}
