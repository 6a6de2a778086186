//! The one error type that leaves the core.
//!
//! An [`Error`] says what was tried on what, what happened and what to do next. Its [`ErrorKind`] gives the stable
//! code that becomes PowerShell's ErrorId, and the ErrorCategory. A message never holds a secret, a query string or
//! more than 500 characters of a foreign body.

use std::fmt;
use std::time::Duration;

/// What went wrong, as a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is missing, empty, ill-typed or contradicts another.
    InvalidArgument,
    /// A version query does not parse or can select nothing; the column counts characters from 1.
    InvalidVersionQuery {
        /// Where in the query, in characters from 1.
        column: usize,
    },
    /// Plain http to a host that is not this machine.
    InsecureTransport,
    /// No server was named and there is no connection.
    NotConnected,
    /// The server asks for a credential and none was given.
    CredentialMissing,
    /// The server refused the user name or token.
    AuthenticationFailed,
    /// The server knows the user and refuses the action (403).
    PermissionDenied,
    /// No such package.
    PackageNotFound,
    /// The package exists; the query selects none of its versions.
    NoPackageInRange,
    /// The destination holds other bytes under the same id and version.
    PackageAlreadyExists,
    /// A dependency is missing on the source, or no version of it fits.
    DependencyUnresolved,
    /// Packages depend on each other in a circle.
    DependencyCycle,
    /// A copy would be of more packages than one takes.
    PlanTooLarge,
    /// The source's content changed during the copy.
    SourceChanged,
    /// Bytes do not have the digest that they should have.
    ChecksumMismatch,
    /// Too many requests (429).
    RateLimited,
    /// The server answers that it cannot serve now (5xx).
    ServerUnavailable,
    /// The host's name has no address.
    NameNotResolved,
    /// No connection, or it broke.
    ConnectionFailed,
    /// The proxy wants a credential (407).
    ProxyAuthenticationRequired,
    /// TLS failed: certificate, name, protocol.
    TlsFailed,
    /// No answer in time.
    Timeout,
    /// A transfer moved nothing for too long.
    Stalled,
    /// A package archive or its manifest cannot be used.
    InvalidPackage,
    /// No such installer.
    InstallerNotFound,
    /// The person has no such token.
    TokenNotFound,
    /// The person has as many tokens as the server allows.
    TooManyTokens,
    /// The server has no room left (507).
    InsufficientStorage,
    /// Not sent, because a package that it needs failed.
    DependencyFailed,
    /// Another process copies the same package now.
    CopyInProgress,
    /// The answer is not what the protocol says: HTML from a proxy, broken JSON, missing fields.
    ProtocolViolation,
    /// Virtuozzo answered with a result other than 0.
    PlatformError {
        /// The platform's `result`.
        code: i64,
    },
    /// The operating system's keyring is locked, missing or slow.
    KeyringUnavailable,
    /// A handle is foreign, stale, of another kind or was freed.
    InvalidHandle,
    /// The caller cancelled.
    Cancelled,
    /// A defect of this library.
    Internal,
}

impl ErrorKind {
    /// The stable code, in PascalCase.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::InvalidVersionQuery { .. } => "InvalidVersionQuery",
            Self::InsecureTransport => "InsecureTransport",
            Self::NotConnected => "NotConnected",
            Self::CredentialMissing => "CredentialMissing",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::PermissionDenied => "PermissionDenied",
            Self::PackageNotFound => "PackageNotFound",
            Self::NoPackageInRange => "NoPackageInRange",
            Self::PackageAlreadyExists => "PackageAlreadyExists",
            Self::DependencyUnresolved => "DependencyUnresolved",
            Self::DependencyCycle => "DependencyCycle",
            Self::PlanTooLarge => "PlanTooLarge",
            Self::SourceChanged => "SourceChanged",
            Self::ChecksumMismatch => "ChecksumMismatch",
            Self::RateLimited => "RateLimited",
            Self::ServerUnavailable => "ServerUnavailable",
            Self::NameNotResolved => "NameNotResolved",
            Self::ConnectionFailed => "ConnectionFailed",
            Self::ProxyAuthenticationRequired => "ProxyAuthenticationRequired",
            Self::TlsFailed => "TlsFailed",
            Self::Timeout => "Timeout",
            Self::Stalled => "Stalled",
            Self::InvalidPackage => "InvalidPackage",
            Self::InstallerNotFound => "InstallerNotFound",
            Self::TokenNotFound => "TokenNotFound",
            Self::TooManyTokens => "TooManyTokens",
            Self::InsufficientStorage => "InsufficientStorage",
            Self::DependencyFailed => "DependencyFailed",
            Self::CopyInProgress => "CopyInProgress",
            Self::ProtocolViolation => "ProtocolViolation",
            Self::PlatformError { .. } => "PlatformError",
            Self::KeyringUnavailable => "KeyringUnavailable",
            Self::InvalidHandle => "InvalidHandle",
            Self::Cancelled => "Cancelled",
            Self::Internal => "Internal",
        }
    }

    /// The name of PowerShell's ErrorCategory that fits
    /// (System.Management.Automation.ErrorCategory).
    #[must_use]
    pub fn category(self) -> &'static str {
        match self {
            Self::InvalidArgument | Self::InvalidVersionQuery { .. } | Self::InvalidHandle => "InvalidArgument",
            Self::InsecureTransport => "SecurityError",
            Self::NotConnected | Self::ConnectionFailed | Self::NameNotResolved | Self::TlsFailed => "ConnectionError",
            Self::CredentialMissing | Self::AuthenticationFailed | Self::ProxyAuthenticationRequired => {
                "AuthenticationError"
            }
            Self::PermissionDenied => "PermissionDenied",
            Self::PackageNotFound | Self::NoPackageInRange | Self::InstallerNotFound | Self::TokenNotFound => {
                "ObjectNotFound"
            }
            Self::PackageAlreadyExists => "ResourceExists",
            Self::DependencyUnresolved | Self::DependencyCycle | Self::DependencyFailed => "InvalidOperation",
            Self::SourceChanged | Self::ChecksumMismatch | Self::InvalidPackage => "InvalidData",
            Self::RateLimited | Self::TooManyTokens | Self::PlanTooLarge => "LimitsExceeded",
            Self::ServerUnavailable | Self::KeyringUnavailable | Self::InsufficientStorage => "ResourceUnavailable",
            Self::Timeout | Self::Stalled => "OperationTimeout",
            Self::CopyInProgress => "ResourceBusy",
            Self::ProtocolViolation => "ProtocolError",
            // The platform's common results; see `virtuozzo::results`.
            Self::PlatformError { code: 3 } => "InvalidArgument",
            Self::PlatformError { code: 5 | 11 } => "ObjectNotFound",
            Self::PlatformError { code: 8 | 8202 } => "PermissionDenied",
            Self::PlatformError { code: 701 | 702 } => "AuthenticationError",
            Self::PlatformError { code: 2330 } => "ResourceExists",
            Self::PlatformError { .. } => "InvalidResult",
            Self::Cancelled => "OperationStopped",
            Self::Internal => "NotSpecified",
        }
    }
}

/// What was tried on what, what happened, and what to do next.
#[derive(Clone)]
pub struct Error(Box<Details>);

#[derive(Clone)]
struct Details {
    kind: ErrorKind,
    message: String,
    hint: String,
    http_status: Option<u16>,
    target: String,
    server: String,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of this kind; the message names what was tried on what and what happened.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            hint: String::new(),
            http_status: None,
            target: String::new(),
            server: String::new(),
            retry_after: None,
        }))
    }

    /// What the reader should do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = hint.into();
        self
    }

    /// The HTTP status of the answer that said so.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// What it is about: a package id and version, a file, an argument's name.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.0.target = target.into();
        self
    }

    /// The server that it happened on, as [`crate::ServerUrl`] displays it.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.0.server = server.into();
        self
    }

    /// Trying the same again may succeed, but not before this time has passed.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same error with `context` before its message: `copying a 1.0: …`.
    #[must_use]
    pub fn within(mut self, context: &str) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried on what, and what happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next; may be empty.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// What it is about; may be empty.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// The server that it happened on; may be empty.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.server
    }

    /// Whether trying the same again, from its start, may succeed: none when it cannot, else how long to wait at
    /// least. Zero: the server named no time, so the caller backs off as it sees fit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if !self.0.hint.is_empty() {
            write!(f, " {}", self.0.hint)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("http_status", &self.0.http_status)
            .field("target", &self.0.target)
            .field("server", &self.0.server)
            .field("retry_after", &self.0.retry_after)
            .finish()
    }
}

impl std::error::Error for Error {}
