//! Bytes in: a package or an installer, whole or not at all.

use bytes::Bytes;
use futures_util::Stream;
use serde_json::Value;

use super::UpdateService;
use super::digest;
use crate::error::{Error, ErrorKind};
use crate::hex::from_hex;
use crate::http::{Extent, Fetched, HeaderValue, MAX_JSON, Request};
use crate::operation::Context;

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The package.
    pub id: String,
    /// Its version; the server compares both with the manifest.
    pub version: String,
    /// The digest that the bytes must have, where it is known beforehand.
    pub sha256: Option<[u8; 32]>,
    /// Replaces other bytes of the same version.
    pub force: bool,
    /// How many bytes, where it is known beforehand.
    pub length: Option<u64>,
}

/// An installer that is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishInstaller {
    /// A GUID to publish it under; none: the server makes one.
    pub id: Option<String>,
    /// What people call it.
    pub name: String,
    /// The package that it installs, where it is for one.
    pub package_id: Option<String>,
    /// That package's version.
    pub version: Option<String>,
    /// `Setup.exe`.
    pub file_name: Option<String>,
    /// The digest that the bytes must have, where it is known beforehand.
    pub sha256: Option<[u8; 32]>,
    /// Replaces other bytes of the same GUID.
    pub force: bool,
    /// How many bytes, where it is known beforehand.
    pub length: Option<u64>,
}

/// A package or an installer that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// A package.
    Package(Publish),
    /// An installer.
    Installer(PublishInstaller),
}

impl Publishing {
    /// How many bytes, where it is known beforehand.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Package(publish) => publish.length,
            Self::Installer(publish) => publish.length,
        }
    }

    /// The error, saying what was to be published.
    pub(super) fn failed(&self, error: Error) -> Error {
        match self {
            Self::Package(Publish { id, version, .. }) => {
                error.within(&format!("Publishing {id} {version}")).with_target(format!("{id} {version}"))
            }
            Self::Installer(PublishInstaller { name, .. }) => {
                error.within(&format!("Publishing the installer '{name}'")).with_target(name)
            }
        }
    }
}

/// How a publish ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is new.
    Created(Stored),
    /// The same bytes were there.
    AlreadyThere(Stored),
    /// Other bytes were there, and are gone.
    Replaced(Stored),
}

/// What the server says that it has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes, where it tells.
    pub size: Option<u64>,
    /// Their digest, where it tells.
    pub sha256: Option<[u8; 32]>,
}

impl Published {
    /// What the server says that it has now.
    #[must_use]
    pub fn stored(&self) -> Stored {
        match self {
            Self::Created(stored) | Self::AlreadyThere(stored) | Self::Replaced(stored) => *stored,
        }
    }
}

impl UpdateService {
    /// Publishes a package: it appears when it is whole and verified. The answer may come before `body` is read.
    ///
    /// An error with a [`retry_after`](Error::retry_after) may be tried again from the start of the body. When the
    /// answer was lost, [`Self::versions`] tells whether the package is there.
    ///
    /// # Errors
    /// `PackageAlreadyExists` for other bytes without force, `InvalidPackage`, `ChecksumMismatch`,
    /// `InsufficientStorage`, `PermissionDenied`; what `body` fails with; `Stalled` when the server takes nothing;
    /// else as the request fails.
    pub async fn publish<S>(&self, context: &Context, publish: Publish, body: S) -> Result<Published, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let Publish { id, version, sha256, force, length } = &publish;
        let mut values = vec![("packageId", id.as_str()), ("version", version.as_str())];
        values.extend(force.then_some(("force", "true")));
        let mut request = self.request(&self.routes().publish, &values)?;
        request.headers.insert("content-type", HeaderValue::from_static("application/zip"));
        let sent = self.send_content(context, request, *sha256, *length, body).await;
        sent.map_err(|error| Publishing::Package(publish).failed(error))
    }

    /// Publishes an installer, as [`Self::publish`] does a package.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_installer<S>(
        &self,
        context: &Context,
        publish: PublishInstaller,
        body: S,
    ) -> Result<Published, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let PublishInstaller { id, name, package_id, version, file_name, sha256, force, length } = &publish;
        let mut values = vec![("name", name.as_str())];
        let optional = [("id", id), ("packageId", package_id), ("version", version), ("fileName", file_name)];
        values.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))));
        values.extend(force.then_some(("force", "true")));
        let mut request = self.request(&self.routes().publish_installer, &values)?;
        request.headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
        let sent = self.send_content(context, request, *sha256, *length, body).await;
        sent.map_err(|error| Publishing::Installer(publish).failed(error))
    }

    async fn send_content<S>(
        &self,
        context: &Context,
        mut request: Request,
        sha256: Option<[u8; 32]>,
        length: Option<u64>,
        body: S,
    ) -> Result<Published, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        if let Some(value) = sha256.as_ref().and_then(digest::repr_digest) {
            request.headers.insert("repr-digest", value);
        }
        let answer = self.0.connection.upload(context.log(), &request, Extent::whole(length), body, MAX_JSON).await?;
        let stored = self.stored(&answer)?;
        let replaced = answer.headers.get("uss-replaced").is_some_and(|value| value == "true");
        Ok(match answer.status.as_u16() {
            _ if replaced => Published::Replaced(stored),
            200 => Published::AlreadyThere(stored),
            _ => Published::Created(stored),
        })
    }

    /// What the answer says of the bytes. A web page with status 200 is no proof that anything was published.
    pub(super) fn stored(&self, answer: &Fetched) -> Result<Stored, Error> {
        if answer.body.is_empty() {
            return Ok(Stored::default());
        }
        let Value::Object(fields) = answer.json()? else {
            let message = format!("{} answered with something else than what it has published.", self.name());
            return Err(Error::new(ErrorKind::ProtocolViolation, message).with_server(self.name()));
        };
        Ok(Stored {
            size: fields.get("size").and_then(Value::as_u64),
            sha256: fields.get("sha256").and_then(Value::as_str).and_then(from_hex),
        })
    }
}
