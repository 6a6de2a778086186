//! The copy engine: packages and installers from one server to others, proven, without touching a disk.
//!
//! [`plan`] looks at both sides, resolves dependencies and tells every problem before the first byte moves. [`run`]
//! then does exactly what the plan says: `run` decides what goes when, `relay` carries one content to all destinations
//! that are to have it (`reading` keeps the source's end alive, `pump` gives what comes to a `lane` for each of them,
//! `body` feeds the destination's end, `digest` hashes beside them, `patience` decides about retries, `journal`
//! remembers what broke off). The engine knows its ends only as a [`Source`] and a [`Destination`]; `ends` makes an
//! [`UpdateService`](crate::update_service::UpdateService) both. Whatever is added is another implementation of these
//! traits, not another engine.
//!
//! Nothing half-sent is ever published: the last block is withheld until the digest agrees, and a [`Body`] whose
//! sender goes away ends in an error, which breaks the upload.

mod body;
mod closure;
mod digest;
mod ends;
mod installers;
mod journal;
mod lane;
#[cfg(test)]
mod memory;
mod order;
mod patience;
mod plan;
mod pump;
mod rate_limit;
mod reading;
mod relay;
mod run;
mod summary;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

pub use body::Body;
pub use digest::Digest;
pub use installers::{InstallerChoice, plan_installers};
pub use journal::{FolderJournal, FolderLock, Journal, MemoryJournal, MemoryLock, Record, TransferKey};
pub use patience::Retries;
pub use plan::{Plan, PlanOptions, Request, plan, resolve};
pub use run::{RunOptions, run};
pub use summary::Summary;

use crate::error::Error;
use crate::operation::Context;
use crate::update_service::model::{Installer, PackageVersion};

/// What a side has. Clones are the same side.
pub trait Catalogue: Clone + Send + Sync + 'static {
    /// The side as people know it: `http://a:8060`.
    fn name(&self) -> String;

    /// As whom it is used; empty: as nobody in particular.
    fn user(&self) -> String {
        String::new()
    }

    /// The versions of many packages at once; unknown ids are absent.
    ///
    /// # Errors
    /// What the side or the way to it failed with.
    fn versions_of(
        &self,
        context: &Context,
        ids: &[String],
    ) -> impl Future<Output = Result<HashMap<String, Vec<PackageVersion>>, Error>> + Send;

    /// The digest of a content that [`Self::versions_of`] told without one, for a side that has to compute it and so
    /// does it for those alone that are asked for. None: not told.
    ///
    /// # Errors
    /// What reading the content failed with.
    fn digest(
        &self,
        _context: &Context,
        _content: &ContentKey,
    ) -> impl Future<Output = Result<Option<Digest>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// All installers.
    ///
    /// # Errors
    /// What the side or the way to it failed with.
    fn installers(&self, context: &Context) -> impl Future<Output = Result<Vec<Installer>, Error>> + Send;
}

/// Where content is read.
pub trait Source: Catalogue {
    /// The bytes, as they arrive.
    type Body: Stream<Item = Result<Bytes, Error>> + Send + Unpin;

    /// Opens a content at byte `from`; with `if_match`, only if it still has that strong entity tag (RFC 9110, 13.1.1).
    ///
    /// A side that cannot start at `from` starts at 0 and says so.
    ///
    /// # Errors
    /// `SourceChanged` when the entity tag differs (412) or `from` is beyond the end (416); else what the side or the
    /// way to it failed with.
    fn content(
        &self,
        context: &Context,
        content: &ContentKey,
        from: u64,
        if_match: Option<&str>,
    ) -> impl Future<Output = Result<Fetched<Self::Body>, Error>> + Send;
}

/// Where content is published.
///
/// A side may have uploads that can be gone on with after a break: they are begun, asked for how far they are, and
/// appended to until they are whole, which publishes them.
pub trait Destination: Catalogue {
    /// Publishes a content whole or not at all. A body that ends in an error must leave nothing published.
    ///
    /// The answer may come before the body is read.
    ///
    /// # Errors
    /// `PackageAlreadyExists` for other bytes without `force`; else what the side or the way to it failed with.
    fn publish(
        &self,
        context: &Context,
        upload: &Upload,
        body: Body,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send;

    /// Begins an upload that can be gone on with. None: the side has none for this content, so [`Self::publish`] it.
    ///
    /// # Errors
    /// As [`Self::publish`], for what can be told before the first byte.
    fn begin(
        &self,
        context: &Context,
        upload: &Upload,
    ) -> impl Future<Output = Result<Option<UploadLocation>, Error>> + Send;

    /// How many bytes an upload has. None: it is finished, has expired, or was never there.
    ///
    /// # Errors
    /// What the side or the way to it failed with.
    fn offset(
        &self,
        context: &Context,
        location: &UploadLocation,
    ) -> impl Future<Output = Result<Option<u64>, Error>> + Send;

    /// Adds all that an upload still lacks, from byte `from` on; the whole is then published, or not at all. What was
    /// taken of a body that ends in an error stays, for another `append`.
    ///
    /// # Errors
    /// As [`Self::publish`]. With a [`retry_after`](Error::retry_after) when the upload is elsewhere than at `from`, or
    /// something else is appending: [`Self::offset`] tells more.
    fn append(
        &self,
        context: &Context,
        upload: &Upload,
        location: &UploadLocation,
        from: u64,
        body: Body,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send;

    /// Removes what an upload has. One that is gone already is no error.
    ///
    /// # Errors
    /// What the side or the way to it failed with.
    fn abandon(&self, context: &Context, location: &UploadLocation) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Names a begun upload at its side, across processes: an address or a path without a secret and without a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadLocation(pub String);

/// Names one content on any side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentKey {
    /// One version of a package.
    Package {
        /// `bundle/my-pos`.
        id: String,
        /// As published on the source.
        version: String,
    },
    /// An installer, with what its destination has to know of it.
    Installer(Box<Installer>),
}

impl ContentKey {
    /// The package's or installer's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Package { id, .. } => id,
            Self::Installer(installer) => &installer.id,
        }
    }

    /// The version; empty for an installer that has none.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Package { version, .. } => version,
            Self::Installer(installer) => installer.version.as_deref().unwrap_or_default(),
        }
    }
}

/// `example-package 1.2.3`, or the installer's name.
impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { id, version } => write!(f, "{id} {version}"),
            Self::Installer(installer) => match installer.version.as_deref() {
                Some(version) if !installer.name.ends_with(version) => write!(f, "{} {version}", installer.name),
                _ => f.write_str(&installer.name),
            },
        }
    }
}

/// An opened content.
#[derive(Debug)]
pub struct Fetched<B> {
    /// The byte that `body` starts with.
    pub start: u64,
    /// Bytes of the whole content, where the side tells.
    pub total: Option<u64>,
    /// The strong entity tag, where there is one.
    pub etag: Option<String>,
    /// The whole content's digest, where the side tells (RFC 9530).
    pub sha256: Option<Digest>,
    /// The bytes.
    pub body: B,
}

/// What is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Under which name.
    pub content: ContentKey,
    /// The digest that the bytes must have, where it is known beforehand.
    pub sha256: Option<Digest>,
    /// How many bytes, where it is known beforehand.
    pub length: Option<u64>,
    /// Whether other bytes of the same name are replaced.
    pub force: bool,
}

/// How a publish ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// The same bytes were there.
    AlreadyThere,
    /// Other bytes were there, and are gone.
    Replaced,
}

/// What the destination says of what it has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes stored, where the side tells.
    pub size: Option<u64>,
    /// Their digest, where the side tells.
    pub sha256: Option<Digest>,
}

/// What happened to one content at one destination, or would happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyResult {
    /// The package's or installer's id.
    pub id: String,
    /// As published on the source; empty for an installer without one.
    pub version: String,
    /// Where it comes from.
    pub source: String,
    /// Where it goes.
    pub destination: String,
    /// What happened.
    pub status: Status,
    /// Bytes of the content; none: not known before it is read.
    pub size: Option<u64>,
    /// Bytes that went to the destination, those sent again included.
    pub bytes_sent: u64,
    /// From its first request to its proof.
    pub duration: Duration,
    /// 64 lower-case hex digits; none: not known before it is read.
    pub sha256: Option<String>,
}

/// A row's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is there now, and was not before.
    Copied,
    /// The same bytes were there already.
    Skipped,
    /// Other bytes were there and are replaced.
    Replaced,
    /// The plan copies it.
    WouldCopy,
    /// The plan leaves it, the same bytes are there.
    WouldSkip,
    /// The plan replaces other bytes.
    WouldReplace,
}

impl Status {
    /// The word that PowerShell shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "Copied",
            Self::Skipped => "Skipped",
            Self::Replaced => "Replaced",
            Self::WouldCopy => "WouldCopy",
            Self::WouldSkip => "WouldSkip",
            Self::WouldReplace => "WouldReplace",
        }
    }
}
