//! Package files as a source: what their manifests say, and their bytes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt;

use super::reading::{Blocks, open};
use super::{blocking, failed, hashing};
use crate::copy::{Catalogue, ContentKey, Digest, Fetched, Request, Source};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};
use crate::package::{self, read_manifest};
use crate::update_service::model::{Dependency, Installer, PackageVersion};
use crate::version::Version;
use crate::version_query::VersionQuery;

/// Files that are hashed at once.
const AT_ONCE: usize = 2;

/// Package files, each read once: manifest, size and SHA-256. Clones are the same files.
#[derive(Clone, Debug)]
pub struct PackageFiles(Arc<Set>);

#[derive(Debug)]
struct Set {
    name: String,
    files: Vec<PackageFile>,
    /// What they need and have not among them: who needs it, and what.
    missing: Vec<(String, Dependency)>,
}

#[derive(Clone, Debug)]
pub(super) struct PackageFile {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) digest: Digest,
    id: String,
    version: Version,
    dependencies: Vec<Dependency>,
}

impl PackageFile {
    fn label(&self) -> String {
        format!("{} {}", self.id, self.version.as_str())
    }
}

impl PackageFiles {
    /// Reads all of them. A file that is named twice is read once.
    ///
    /// # Errors
    /// Every problem there is, in the order of the files: `InvalidPackage`, `PermissionDenied`, `InvalidArgument` for
    /// what cannot be read and for two files that say to be the same version and are not.
    pub async fn read(context: &Context, paths: &[PathBuf]) -> Result<Self, Vec<Error>> {
        context.progress().set_phase(Phase::Planning);
        let mut seen = HashSet::new();
        let paths: Vec<&PathBuf> = paths.iter().filter(|path| seen.insert(*path)).collect();
        let reads: Vec<_> = paths.iter().map(|path| read(context.clone(), (*path).clone())).collect();
        let read: Vec<_> = futures_util::stream::iter(reads).buffered(AT_ONCE).collect().await;

        let mut files: Vec<PackageFile> = Vec::new();
        let mut problems = Vec::new();
        let mut by_identity: HashMap<(String, String), usize> = HashMap::new();
        for file in read {
            match file {
                Ok(file) => match by_identity.get(&(file.id.clone(), file.version.identity())) {
                    Some(first) => {
                        let first = files.get(*first).filter(|first| first.digest != file.digest);
                        problems.extend(first.map(|first| twice(first, &file)));
                    }
                    None => {
                        by_identity.insert((file.id.clone(), file.version.identity()), files.len());
                        files.push(file);
                    }
                },
                Err(error) => problems.push(error),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let missing = set_missing_aside(&mut files);
        Ok(Self(Arc::new(Set { name: name(&paths), files, missing })))
    }

    /// Each of them, exactly.
    pub(super) fn requests(&self) -> Vec<Request> {
        let request = |file: &PackageFile| Request {
            package_id: file.id.clone(),
            version_query: file.version.as_str().to_owned(),
        };
        self.0.files.iter().map(request).collect()
    }

    /// What they need and have not among them: who needs it, and what.
    pub(super) fn missing(&self) -> &[(String, Dependency)] {
        &self.0.missing
    }

    fn find(&self, content: &ContentKey) -> Option<&PackageFile> {
        self.0.files.iter().find(|file| file.id == content.id() && file.version.as_str() == content.version())
    }
}

impl Catalogue for PackageFiles {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    /// With those dependencies alone that are among the files: the others are no matter of this side.
    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        let mut versions: HashMap<String, Vec<PackageVersion>> = HashMap::new();
        let ids: HashSet<&String> = ids.iter().collect();
        for file in self.0.files.iter().filter(|file| ids.contains(&file.id)) {
            versions.entry(file.id.clone()).or_default().push(PackageVersion {
                package_id: file.id.clone(),
                version: file.version.as_str().to_owned(),
                size: Some(file.size),
                sha256: Some(file.digest.to_string()),
                published: None,
                dependencies: file.dependencies.clone(),
            });
        }
        Ok(versions)
    }

    async fn installers(&self, _: &Context) -> Result<Vec<Installer>, Error> {
        Ok(Vec::new())
    }
}

impl Source for PackageFiles {
    type Body = Blocks;

    async fn content(
        &self,
        _: &Context,
        content: &ContentKey,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Fetched<Blocks>, Error> {
        let file = self.find(content).ok_or_else(|| {
            Error::new(
                ErrorKind::PackageNotFound,
                format!("There is no file of {content} among those that were given."),
            )
        })?;
        let etag = format!("\"{}\"", file.digest);
        if from > file.size || if_match.is_some_and(|wanted| wanted != etag) {
            return Err(changed(&file.path));
        }
        let body = open(file.clone(), from).await?;
        Ok(Fetched { start: from, total: Some(file.size), etag: Some(etag), sha256: Some(file.digest), body })
    }
}

async fn read(context: Context, path: PathBuf) -> Result<PackageFile, Error> {
    let opening = path.clone();
    let opened = blocking(move || -> Result<_, Error> {
        let broken = |error: std::io::Error| failed("read", &opening, &error);
        // Before it is opened: opening a pipe waits for a writer.
        if !fs::metadata(&opening).map_err(broken)?.is_file() {
            let shown = opening.display().to_string();
            return Err(Error::new(ErrorKind::InvalidArgument, format!("'{shown}' is no file."))
                .with_hint("Give package files; FOLDER/*.zip names those of a folder.")
                .with_target(shown));
        }
        let mut file = File::open(&opening).map_err(broken)?;
        let metadata = file.metadata().map_err(broken)?;
        let shown = opening.display().to_string();
        let manifest = read_manifest(&mut file)
            .map_err(|error| error.within(&format!("'{shown}'")).with_target(shown.as_str()))?;
        std::io::Seek::rewind(&mut file).map_err(broken)?;
        Ok((file, metadata, manifest))
    });
    let (file, metadata, manifest) = opened.await??;
    let version = Version::parse(&manifest.version)?;
    let transfer = context.progress().transfer(&manifest.to_string(), metadata.len());
    let hashed = hashing::digest_of(file, |count| transfer.advance(count)).await?;
    let (digest, size) = hashed.map_err(|error| failed("read", &path, &error))?;
    if size != metadata.len() {
        return Err(changed(&path));
    }
    let dependencies = manifest.dependencies.into_iter().map(dependency).collect();
    let modified = metadata.modified().ok();
    Ok(PackageFile { path, size, modified, digest, id: manifest.id, version, dependencies })
}

fn dependency(written: package::Dependency) -> Dependency {
    Dependency {
        package_id: written.package_id,
        version_query: written.version_query,
        optional: written.optional,
        only_restrict_version: written.only_restrict_version,
    }
}

/// Takes those dependencies out of the files that are not among them, and gives those that are needed.
fn set_missing_aside(files: &mut [PackageFile]) -> Vec<(String, Dependency)> {
    let mut versions: HashMap<String, Vec<Version>> = HashMap::new();
    for file in &*files {
        versions.entry(file.id.clone()).or_default().push(file.version.clone());
    }
    let among = |dependency: &Dependency| {
        let query = VersionQuery::parse(&dependency.version_query).ok();
        query.zip(versions.get(&dependency.package_id)).is_some_and(|(query, all)| query.select(all).is_some())
    };
    let mut missing = Vec::new();
    for file in files {
        let label = file.label();
        let (here, elsewhere): (Vec<_>, Vec<_>) = std::mem::take(&mut file.dependencies).into_iter().partition(among);
        file.dependencies = here;
        let needed = elsewhere.into_iter().filter(|other| !other.optional && !other.only_restrict_version);
        missing.extend(needed.map(|dependency| (label.clone(), dependency)));
    }
    missing
}

/// The folder that all are in, or how many they are.
fn name(paths: &[&PathBuf]) -> String {
    let mut folders = paths.iter().map(|path| path.parent());
    let first = folders.next().flatten();
    match (first, paths) {
        (_, [one]) => one.display().to_string(),
        (Some(folder), _) if folders.all(|other| other == Some(folder)) => folder.display().to_string(),
        _ => format!("{} files", paths.len()),
    }
}

fn twice(first: &PackageFile, second: &PackageFile) -> Error {
    let (label, one, other) = (first.label(), first.path.display(), second.path.display());
    Error::new(ErrorKind::InvalidArgument, format!("Both '{one}' and '{other}' say to be {label}, with other bytes."))
        .with_hint("Leave one of them out.")
        .with_target(other.to_string())
}

pub(super) fn changed(path: &Path) -> Error {
    let shown = path.display().to_string();
    let message = format!("'{shown}' changed while it was read. Nothing of it was published.");
    Error::new(ErrorKind::SourceChanged, message).with_hint("Run the command again.").with_target(shown)
}
