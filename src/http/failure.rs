//! The one place where reqwest's error becomes an [`Error`].
//!
//! reqwest's own text may hold the whole URL, and the reason lies deep in the chain of sources: the chain is walked
//! for what went wrong, and none of its texts is shown but those of TLS and of the operating system.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::error::{Error, ErrorKind};

/// What went wrong on the way to `server`, where the first step leads to `proxy`.
pub(super) fn on_the_way(error: &reqwest::Error, server: &str, proxy: Option<&str>) -> Error {
    let failed = from_reqwest(error, server);
    let Some(proxy) = proxy else { return failed };
    let refused = error.is_connect() && failed.kind() == ErrorKind::ConnectionFailed;
    if !(refused || failed.kind() == ErrorKind::NameNotResolved || error.is_timeout() && error.is_connect()) {
        return failed;
    }
    // Names are looked up and connections made by the proxy, once it is reached.
    let message = format!("{} The way there is through the proxy {proxy}.", failed.message());
    let told = Error::new(failed.kind(), message)
        .with_server(server)
        .with_hint("Check the proxy's address and port, and that it runs; -NoProxy goes without one.");
    match failed.retry_after() {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    }
}

/// What went wrong on the way to `server`.
pub(super) fn from_reqwest(error: &reqwest::Error, server: &str) -> Error {
    let chain = Chain::of(error);
    if let Some(ours) = chain.find::<Error>() {
        // The body that we sent failed by itself.
        return ours.clone();
    }
    let made = |kind, message: String| Error::new(kind, message).with_server(server);
    if let Some(tls) = chain.find::<rustls::Error>() {
        return made(ErrorKind::TlsFailed, format!("No secure connection to {server}: {}.", tls_reason(tls)))
            .with_hint(tls_hint(tls));
    }
    if chain.says("proxy authorization required") {
        let message = format!("The proxy on the way to {server} wants a credential.");
        return made(ErrorKind::ProxyAuthenticationRequired, message)
            .with_http_status(407)
            .with_hint("Give one with -ProxyCredential.");
    }
    if error.is_dns() {
        return made(ErrorKind::NameNotResolved, format!("The name in {server} has no address."))
            .with_hint("Check the spelling, and that this machine can look up names (DNS, VPN).");
    }
    if error.is_timeout() {
        return timeout(server, if error.is_connect() { "connect" } else { "answer" });
    }
    let io = chain.find::<io::Error>();
    if error.is_connect() {
        let reason = match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => "nothing listens there (connection refused)".to_owned(),
            Some(_) if chain.says("error establishing tunnel") || chain.says("unexpected end of file") => {
                "the proxy broke the connection".to_owned()
            }
            Some(_) => io.map(io_text).unwrap_or_default(),
            None => "the proxy on the way refused to connect".to_owned(),
        };
        return made(ErrorKind::ConnectionFailed, format!("No connection to {server}: {reason}."))
            .with_hint("Check the address and port, that the server runs, and the firewall in between.");
    }
    let hyper = chain.find::<hyper::Error>();
    if hyper.is_some_and(|error| error.is_parse()) {
        return made(ErrorKind::ProtocolViolation, format!("{server} answered with something that is not HTTP."))
            .with_hint("Check the port, and whether the address should start with https instead of http.");
    }
    if error.is_builder() {
        return made(ErrorKind::Internal, format!("A request to {server} could not be made."));
    }
    let reason = match io {
        Some(io) => io_text(io),
        None => "it closed the connection before its answer was whole".to_owned(),
    };
    broken(server, &reason)
}

/// A connection that was there and broke: the same may succeed at once.
pub(crate) fn broken(server: &str, reason: &str) -> Error {
    Error::new(ErrorKind::ConnectionFailed, format!("The connection to {server} broke: {reason}."))
        .with_hint("Run the command again; if it stays, look at the server's log.")
        .with_server(server)
        .with_retry_after(Duration::ZERO)
}

/// Silence for longer than the options allow.
pub(super) fn timeout(server: &str, waited_for: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{server} did not {waited_for} in time."))
        .with_hint("Check that the server is up; raise -TimeoutSec where it is slow.")
        .with_server(server)
        .with_retry_after(Duration::ZERO)
}

fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "it was reset".into(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => "the other side closed it".into(),
        io::ErrorKind::UnexpectedEof => "it ended too early".into(),
        // The operating system's text alone; a custom error's text may be anything.
        _ if error.raw_os_error().is_some() => error.to_string(),
        kind => kind.to_string(),
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            C::NotValidForName | C::NotValidForNameContext { .. } => "its certificate is for another name".into(),
            C::Expired | C::ExpiredContext { .. } => "its certificate has expired".into(),
            C::NotValidYet | C::NotValidYetContext { .. } => "its certificate is not valid yet".into(),
            C::UnknownIssuer => "its certificate comes from an issuer that this machine does not know".into(),
            C::Revoked => "its certificate is revoked".into(),
            other => format!("its certificate cannot be trusted ({other})"),
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".into(),
        rustls::Error::AlertReceived(alert) => format!("it refused ({alert:?})"),
        other => other.to_string(),
    }
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "Use the name that the certificate is for."
        }
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "Renew the server's certificate, and check this machine's clock."
        }
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "Check this machine's clock."
        }
        rustls::Error::InvalidCertificate(_) => {
            "Install the issuer's root certificate, or name its file with -CertificateAuthority."
        }
        rustls::Error::InvalidMessage(_) => "Check the port, and whether the address should start with http.",
        _ => "Check the server's TLS settings.",
    }
}

/// An error and all its sources. `io::Error` hides what it wraps from `source`, so it is opened.
struct Chain<'a>(Vec<&'a (dyn StdError + 'static)>);

impl<'a> Chain<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        let mut links = Vec::new();
        let mut next = Some(error);
        while let Some(link) = next.filter(|_| links.len() < 32) {
            links.push(link);
            let wrapped = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| link.source());
        }
        Self(links)
    }

    fn find<T: StdError + 'static>(&self) -> Option<&'a T> {
        // The innermost: an outer io::Error only wraps the one with the operating system's number.
        self.0.iter().rev().find_map(|link| link.downcast_ref())
    }

    fn says(&self, text: &str) -> bool {
        self.0.iter().any(|link| link.to_string().contains(text))
    }
}
