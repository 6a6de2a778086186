//! How a server is reached: time-outs, proxy, certificates.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// Transport options. Equal options share clients, their connections, and bearers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransportOptions {
    /// How long a connection may take, and how long the other side may say nothing. Never of a whole transfer.
    pub timeout: Duration,
    /// Through which proxy. This machine is never reached through one.
    pub proxy: ProxyChoice,
    /// Roots that are trusted beside the operating system's.
    pub certificate_authority: Option<CertificateAuthority>,
    /// Trusts whatever certificate the server shows.
    pub skip_certificate_check: bool,
}

impl Default for TransportOptions {
    /// 30 seconds, the system's proxy, the operating system's roots.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            proxy: ProxyChoice::default(),
            certificate_authority: None,
            skip_certificate_check: false,
        }
    }
}

/// Through which proxy a server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyChoice {
    /// HTTPS_PROXY, HTTP_PROXY and NO_PROXY, else the operating system's settings.
    #[default]
    System,
    /// Directly.
    None,
    /// Through this one.
    Through(Proxy),
}

/// A proxy's address, and who signs in there.
#[derive(Clone, Debug)]
pub struct Proxy {
    url: Url,
    credential: Option<(String, Secret)>,
}

impl Proxy {
    /// Reads what a person types; without a scheme it means http.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no http or https address of a proxy, or holds a user name.
    pub fn new(address: &str, credential: Option<(String, Secret)>) -> Result<Self, Error> {
        let address = address.trim();
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let url = Url::parse(&full)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
            .filter(|url| url.password().is_none() && url.has_host());
        let url = url.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "The proxy is no http or https address, or holds a user name.")
                .with_hint("Write it like http://proxy.example.com:3128, and give its credential beside it.")
                .with_target("proxy")
        })?;
        Ok(Self { url, credential })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn credential(&self) -> Option<&(String, Secret)> {
        self.credential.as_ref()
    }

    fn parts(&self) -> (&str, Option<(&str, &str)>) {
        // Exposed for comparing alone: two connections through one proxy as two users must not share clients.
        (self.url.as_str(), self.credential.as_ref().map(|(user, token)| (user.as_str(), token.expose())))
    }
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Proxy {}

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// PEM certificates of one file. Read once, so that a file that changes later is another value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CertificateAuthority {
    path: PathBuf,
    pem: Arc<[u8]>,
}

impl CertificateAuthority {
    /// Reads a file of PEM certificates.
    ///
    /// # Errors
    /// `InvalidArgument` when it cannot be read or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let invalid = |what: String| {
            Error::new(ErrorKind::InvalidArgument, format!("The certificate file '{}' {what}.", path.display()))
                .with_hint("Give a text file with one or more BEGIN CERTIFICATE blocks (PEM).")
                .with_target(path.display().to_string())
        };
        let pem = std::fs::read(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
        let authority = Self { path: path.to_owned(), pem: pem.into() };
        match reqwest::Certificate::from_pem_bundle(&authority.pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(authority),
            _ => Err(invalid("holds no PEM certificate".into())),
        }
    }

    pub(super) fn pem(&self) -> &[u8] {
        &self.pem
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateAuthority").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_differ_by_their_proxy_credential_and_never_show_it() {
        let through = |token: &str| {
            let proxy = Proxy::new("proxy:3128", Some(("u".into(), Secret::new(token.into())))).unwrap();
            TransportOptions { proxy: ProxyChoice::Through(proxy), ..TransportOptions::default() }
        };
        assert_eq!(through("hunter2"), through("hunter2"));
        assert_ne!(through("hunter2"), through("hunter3"));
        assert!(!format!("{:?}", through("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_proxy_address_with_a_password_in_it_is_refused_without_showing_it() {
        for bad in ["http://u:hunter2@proxy", "socks5://proxy", "", "http://"] {
            let error = Proxy::new(bad, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_certificate_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        for path in [file.path(), Path::new("/does/not/exist.pem")] {
            assert_eq!(CertificateAuthority::read(path).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }
}
