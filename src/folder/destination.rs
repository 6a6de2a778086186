//! A folder as a destination: each package a file, named by [`file_name`].
//!
//! What is on its way is beside it, in `NAME.zip.DIGEST.partial`, and is gone on with after a break. The digest in the
//! name keeps the beginnings of different contents apart.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::Digest as _;

use super::listing::{Listed, list};
use super::partial::{Temporary, Writing, beside, put, remove_file, sync_folder};
use super::{blocking, failed, hashing};
use crate::copy::{Body, Catalogue, ContentKey, Destination, Digest, Outcome, Receipt, Upload, UploadLocation};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::package::{check_id, file_name};
use crate::update_service::model::{Installer, PackageVersion};
use crate::version::Version;

/// What is smaller is sooner sent again than gone on with.
const WORTH_RESUMING: u64 = 16 << 20;

/// Chunks that one turn on a blocking thread writes at most; the transfer's buffer bounds their bytes.
const CHUNKS: usize = 64;

/// A folder that keeps packages. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: Arc<Path>,
}

impl Folder {
    /// The folder of this path, which must exist.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no folder, `PermissionDenied`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let absolute = std::path::absolute(path).map_err(|error| failed("use", path, &error))?;
        match fs::metadata(&absolute) {
            Ok(found) if found.is_dir() => Ok(Self { path: absolute.into() }),
            Ok(_) => Err(no_folder(&absolute, "is a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_folder(&absolute, "does not exist")),
            Err(error) => Err(failed("use the folder", &absolute, &error)),
        }
    }

    /// Where a version is saved.
    #[must_use]
    pub fn place_of(&self, id: &str, version: &str) -> PathBuf {
        self.path.join(file_name(id, version))
    }

    /// The file that holds a version now, by whichever spelling of it; else where it would be. It waits for the disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn file_of(&self, id: &str, version: &str) -> Result<PathBuf, Error> {
        let usual = self.place_of(id, version);
        let Ok(identity) = Version::parse(version).map(|version| version.identity()) else { return Ok(usual) };
        if usual.symlink_metadata().is_ok() {
            return Ok(usual);
        }
        let all = list(&self.path, |listed| listed == id);
        let all = all.map_err(|error| failed("read the folder", &self.path, &error))?;
        let other = all.into_iter().find(|listed| listed.version.identity() == identity);
        Ok(other.map_or(usual, |listed| listed.path))
    }

    async fn found(&self, content: &ContentKey) -> Result<PathBuf, Error> {
        self.check_name(content.id(), content.version())?;
        let (folder, id, version) = (self.clone(), content.id().to_owned(), content.version().to_owned());
        blocking(move || folder.file_of(&id, &version)).await?
    }

    /// A digest of a file that may not be there.
    async fn digest_at(&self, path: &Path) -> Result<Option<(Digest, u64)>, Error> {
        match hashing::digest_at(path).await? {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", path, &error)),
        }
    }

    /// Ids and versions are a source's word. What is none could lead out of the folder, as a backslash does on Windows.
    fn check_name(&self, id: &str, version: &str) -> Result<(), Error> {
        check_id(id).and_then(|()| Version::parse(version).map(drop)).map_err(|error| {
            let message = format!("A package of the source cannot be saved: {}", error.message());
            Error::new(ErrorKind::InvalidPackage, message)
                .with_hint("Have it removed from the source, or save the others by their names.")
                .with_target(error.target())
                .with_server(self.name())
        })
    }

    fn target(&self, upload: &Upload) -> Result<PathBuf, Error> {
        match &upload.content {
            ContentKey::Package { id, version } => {
                self.check_name(id, version)?;
                Ok(self.place_of(id, version))
            }
            ContentKey::Installer(_) => {
                Err(Error::new(ErrorKind::InvalidArgument, "A folder keeps packages, not installers."))
            }
        }
    }

    /// The partial file that a location names, if it is one of this folder: journals may be stale or foreign.
    fn partial(&self, location: &UploadLocation) -> Option<PathBuf> {
        let path = PathBuf::from(&location.0);
        let here = path.parent() == Some(&*self.path) && path.extension().is_some_and(|end| end == "partial");
        here.then_some(path)
    }

    /// What is there already: the same bytes, which is well, or others, which is not without force.
    async fn there(&self, upload: &Upload, target: &Path) -> Result<Option<Receipt>, Error> {
        if upload.force {
            return Ok(None);
        }
        let Some((digest, size)) = self.digest_at(target).await? else { return Ok(None) };
        match upload.sha256 {
            Some(expected) if expected == digest => {
                Ok(Some(Receipt { outcome: Outcome::AlreadyThere, size: Some(size), sha256: Some(digest) }))
            }
            Some(_) => Err(self.exists(upload, target)),
            // Told by the content, once it is here.
            None => Ok(None),
        }
    }

    fn exists(&self, upload: &Upload, target: &Path) -> Error {
        let message = format!("{} was not saved: '{}' has other bytes.", upload.content, target.display());
        Error::new(ErrorKind::PackageAlreadyExists, message)
            .with_hint("Use another folder, or -Force to replace the file.")
            .with_server(self.name())
    }

    /// Takes the bytes of `body`, and keeps nothing of them for another time.
    pub(super) async fn take_at_once(
        &self,
        upload: &Upload,
        body: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<Receipt, Error> {
        let target = self.target(upload)?;
        if let Some(receipt) = self.there(upload, &target).await? {
            return Ok(receipt);
        }
        let partial = Arc::new(Temporary(beside(&target, &format!("{:016x}", rand::random::<u64>()))));
        let (path, made) = (partial.0.clone(), partial.clone());
        // Whoever gives this up may do it before the file is there: the last of the two removes it.
        let opened = blocking(move || (Writing::open(&made.0, 0), made)).await?.0;
        self.take_into(upload, &target, &path, opened, body).await
    }

    /// Takes the bytes of `body` from byte `from` on into a partial file, and moves that to its place.
    pub(super) async fn take(
        &self,
        upload: &Upload,
        partial: &Path,
        from: u64,
        body: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<Receipt, Error> {
        let target = self.target(upload)?;
        let path = partial.to_owned();
        let opened = blocking(move || Writing::open(&path, from)).await?;
        self.take_into(upload, &target, partial, opened, body).await
    }

    /// Takes the bytes of `body` into an opened partial file, and moves that to its place, `target`.
    async fn take_into(
        &self,
        upload: &Upload,
        target: &Path,
        partial: &Path,
        opened: io::Result<Result<Writing, String>>,
        body: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<Receipt, Error> {
        let broken = |error: io::Error| failed("write", partial, &error).with_server(self.name());
        let mut writing = opened.map_err(broken)?.map_err(|what| self.elsewhere(upload, what))?;
        let mut body = body.ready_chunks(CHUNKS);
        while let Some(chunks) = body.next().await {
            let mut end = None;
            let chunks: Vec<Bytes> =
                chunks.into_iter().map_while(|chunk| chunk.map_err(|error| end = Some(error)).ok()).collect();
            let written;
            (writing, written) = blocking(move || {
                let written = writing.write(&chunks);
                (writing, written)
            })
            .await?;
            written.map_err(broken)?;
            if let Some(error) = end {
                return Err(error);
            }
        }
        let size = writing.size;
        if upload.length.is_some_and(|length| length != size) {
            let message =
                format!("{} ended after {size} bytes of {}.", upload.content, upload.length.unwrap_or_default());
            return Err(Error::new(ErrorKind::ProtocolViolation, message).with_server(self.name()));
        }
        let (file, hasher) = blocking(move || writing.end()).await?.map_err(broken)?;
        let digest = match hasher {
            Some(hasher) => <[u8; 32]>::from(hasher.finalize()).into(),
            // What came before this process is read again from the disk: its bytes were seen by nobody here.
            None => hashing::digest_of(file.try_clone().map_err(broken)?, |_| {}).await?.map_err(broken)?.0,
        };
        if let Some(expected) = upload.sha256.filter(|expected| *expected != digest) {
            self.remove(partial).await?;
            let message =
                format!("{} was not saved: it has the SHA-256 {digest} instead of {expected}.", upload.content);
            return Err(Error::new(ErrorKind::ChecksumMismatch, message)
                .with_hint("Save it again; if that fails too, have the source's storage and this disk checked.")
                .with_server(self.name()));
        }
        let outcome = self.place(upload, partial, target, digest).await?;
        // Locked until here, so that nobody begins anew with what is being moved.
        drop(file);
        Ok(Receipt { outcome, size: Some(size), sha256: Some(digest) })
    }

    /// Moves a whole file to its place.
    async fn place(&self, upload: &Upload, partial: &Path, target: &Path, digest: Digest) -> Result<Outcome, Error> {
        let force = upload.force;
        // Another spelling of the version, `1.0` for `1.0.0`, is replaced with it.
        let old = if force { Some(self.found(&upload.content).await?) } else { None };
        let (from, to) = (partial.to_owned(), target.to_owned());
        let moved = blocking(move || {
            let replaced = force && old.as_ref().is_some_and(|old| old.symlink_metadata().is_ok());
            put(&from, &to, force)?;
            if let Some(old) = old.filter(|old| *old != to && replaced) {
                fs::remove_file(old)?;
            }
            sync_folder(&to)?;
            Ok::<_, io::Error>(if replaced { Outcome::Replaced } else { Outcome::Created })
        });
        match moved.await? {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = self.digest_at(target).await?;
                self.remove(partial).await?;
                let same = there.is_some_and(|(there, _)| there == digest);
                if same { Ok(Outcome::AlreadyThere) } else { Err(self.exists(upload, target)) }
            }
            Err(error) => Err(failed("write", target, &error).with_server(self.name())),
        }
    }

    async fn remove(&self, partial: &Path) -> Result<(), Error> {
        let path = partial.to_owned();
        match blocking(move || remove_file(&path)).await? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", partial, &error).with_server(self.name()))
            }
            _ => Ok(()),
        }
    }

    fn elsewhere(&self, upload: &Upload, what: String) -> Error {
        let message = format!("{} cannot be gone on with in {}: {what}.", upload.content, self.name());
        Error::new(ErrorKind::CopyInProgress, message)
            .with_hint("Something else may be saving it; try again when that has ended.")
            .with_server(self.name())
            .with_retry_after(Duration::ZERO)
    }
}

impl Catalogue for Folder {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Without digests: [`Self::digest`] reads those files that matter.
    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        ids.iter().try_for_each(|id| self.check_name(id, "0.0"))?;
        let (folder, ids) = (self.path.clone(), std::collections::HashSet::<String>::from_iter(ids.iter().cloned()));
        let listed = blocking(move || list(&folder, |id| ids.contains(id))).await?;
        let mut versions: HashMap<String, Vec<PackageVersion>> = HashMap::new();
        for Listed { id, version, size, .. } in listed.map_err(|error| failed("read the folder", &self.path, &error))? {
            versions.entry(id.clone()).or_default().push(PackageVersion {
                package_id: id,
                version: version.as_str().to_owned(),
                size: Some(size),
                sha256: None,
                published: None,
                dependencies: Vec::new(),
            });
        }
        Ok(versions)
    }

    async fn installers(&self, _: &Context) -> Result<Vec<Installer>, Error> {
        Ok(Vec::new())
    }

    async fn digest(&self, _: &Context, content: &ContentKey) -> Result<Option<Digest>, Error> {
        let path = self.found(content).await?;
        Ok(self.digest_at(&path).await?.map(|(digest, _)| digest))
    }
}

impl Destination for Folder {
    async fn publish(&self, _: &Context, upload: &Upload, body: Body) -> Result<Receipt, Error> {
        self.take_at_once(upload, body).await
    }

    async fn begin(&self, _: &Context, upload: &Upload) -> Result<Option<UploadLocation>, Error> {
        let target = self.target(upload)?;
        if upload.length.is_none_or(|length| length < WORTH_RESUMING) || self.there(upload, &target).await?.is_some() {
            return Ok(None);
        }
        let digest = upload.sha256.map(|digest| digest.to_string()).unwrap_or_default();
        let partial = beside(&target, digest.get(..8).unwrap_or("unknown"));
        // A location is text.
        let Some(location) = partial.to_str().map(str::to_owned) else { return Ok(None) };
        let begun = {
            let partial = partial.clone();
            blocking(move || Writing::begin(&partial)).await?
        };
        let begun = begun.map_err(|error| failed("write", &partial, &error).with_server(self.name()))?;
        begun.map_err(|what| self.elsewhere(upload, what))?;
        Ok(Some(UploadLocation(location)))
    }

    async fn offset(&self, _: &Context, location: &UploadLocation) -> Result<Option<u64>, Error> {
        let Some(path) = self.partial(location) else { return Ok(None) };
        let partial = path.clone();
        match blocking(move || fs::metadata(path)).await? {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &partial, &error).with_server(self.name())),
        }
    }

    async fn append(
        &self,
        _: &Context,
        upload: &Upload,
        location: &UploadLocation,
        from: u64,
        body: Body,
    ) -> Result<Receipt, Error> {
        let what = || format!("'{}' is no partial file of this folder", location.0);
        let partial = self.partial(location).ok_or_else(|| self.elsewhere(upload, what()))?;
        self.take(upload, &partial, from, body).await
    }

    async fn abandon(&self, _: &Context, location: &UploadLocation) -> Result<(), Error> {
        match self.partial(location) {
            Some(partial) => self.remove(&partial).await,
            None => Ok(()),
        }
    }
}

fn no_folder(path: &Path, what: &str) -> Error {
    let shown = path.display().to_string();
    Error::new(ErrorKind::InvalidArgument, format!("'{shown}' {what}; packages are saved in a folder."))
        .with_hint("Give a folder that exists.")
        .with_target(shown)
}
