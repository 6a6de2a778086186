//! The journal in the user's state folder: `KEY.json` and, while it is held, `KEY.lock`.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Journal, Record, TransferKey};
use crate::copy::UploadLocation;
use crate::error::{Error, ErrorKind};

/// The format of a record's file. Another one is of another version of this library, and not read.
const FORMAT: u32 = 1;

/// No destination keeps an unfinished upload for longer.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A record is small; what is larger is none.
const LONGEST: u64 = 64 << 10;

/// A journal in a folder, shared by all processes of a user.
#[derive(Clone, Debug)]
pub struct FolderJournal(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    /// None: the system names no place for it.
    path: Option<PathBuf>,
    /// What is stale was removed.
    swept: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    location: String,
    offset: u64,
    etag: Option<String>,
    size: Option<u64>,
}

/// Enough of any version's file to know it.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl FolderJournal {
    /// The user's: `uss` in `$XDG_STATE_HOME` or `~/.local/state`, on Windows in `%LOCALAPPDATA%`.
    #[must_use]
    pub fn new() -> Self {
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = if cfg!(windows) {
            absolute("LOCALAPPDATA")
        } else {
            absolute("XDG_STATE_HOME").or_else(|| env::home_dir().map(|home| home.join(".local").join("state")))
        };
        Self::of(state.map(|state| state.join("uss")))
    }

    /// In a folder of the caller's; it is made when it is first needed.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::of(Some(path.into()))
    }

    fn of(path: Option<PathBuf>) -> Self {
        Self(Arc::new(Folder { path, swept: AtomicBool::new(false) }))
    }

    /// Does `work` in the folder, where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = self.0.clone();
        let died = |_| Error::new(ErrorKind::Internal, "The journal's work ended without a result.");
        let task = tokio::task::spawn_blocking(move || {
            let Some(path) = &folder.path else {
                return Err(Error::new(ErrorKind::Internal, "The system names no folder for the state of copies.")
                    .with_hint("Set XDG_STATE_HOME or HOME (LOCALAPPDATA on Windows)."));
            };
            let ready = make(path).map(|()| {
                if !folder.swept.swap(true, Ordering::Relaxed) {
                    sweep(path);
                }
            });
            ready.and_then(|()| work(path)).map_err(|error| {
                let message = format!("The state of copies cannot be kept in {}: {error}.", path.display());
                Error::new(ErrorKind::Internal, message).with_hint("Have the folder made writable for you.")
            })
        });
        task.await.map_err(died)?
    }
}

impl Default for FolderJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal for FolderJournal {
    type Lock = FolderLock;

    async fn try_lock(&self, key: &TransferKey) -> Result<Option<FolderLock>, Error> {
        let key = *key;
        self.blocking(move |folder| FolderLock::take(folder, &key.to_string())).await
    }

    async fn load(&self, key: &TransferKey) -> Option<Record> {
        let key = *key;
        self.blocking(move |folder| Ok(load(&record(folder, &key.to_string())))).await.ok().flatten()
    }

    async fn save(&self, key: &TransferKey, record: &Record) -> Result<(), Error> {
        let (key, record) = (key.to_string(), record.clone());
        self.blocking(move |folder| save(folder, &key, record)).await
    }

    async fn remove(&self, key: &TransferKey) {
        let key = *key;
        // One that stays is found out when it is used, and becomes stale.
        self.blocking(move |folder| fs::remove_file(record(folder, &key.to_string()))).await.ok();
    }
}

/// A lock of a [`FolderJournal`]; the system gives it back when the process dies.
#[derive(Debug)]
pub struct FolderLock {
    #[cfg(unix)]
    path: PathBuf,
    _file: File,
}

#[cfg(unix)]
impl FolderLock {
    fn take(folder: &Path, key: &str) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        let path = folder.join(format!("{key}.lock"));
        loop {
            let file = private().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            // Whoever held it before has removed the file, perhaps after we opened it: then ours is not the one that
            // others see.
            let ours = file.metadata()?;
            let seen = fs::metadata(&path);
            if seen.is_ok_and(|seen| (seen.dev(), seen.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Some(Self { path, _file: file }));
            }
        }
    }
}

#[cfg(unix)]
impl Drop for FolderLock {
    fn drop(&mut self) {
        // The lock is held still: nobody else removes the file, or takes it for the one to hold.
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(windows)]
impl FolderLock {
    /// A file that nobody else can open, and that the system removes with its last handle.
    fn take(folder: &Path, key: &str) -> io::Result<Option<Self>> {
        use std::os::windows::fs::OpenOptionsExt;
        const DELETE_ON_CLOSE: u32 = 0x0400_0000;
        const ACCESS_DENIED: i32 = 5;
        const SHARING_VIOLATION: i32 = 32;
        let mut options = private();
        options.read(true).write(true).create(true).truncate(false);
        options.share_mode(0).custom_flags(DELETE_ON_CLOSE);
        match options.open(folder.join(format!("{key}.lock"))) {
            Ok(file) => Ok(Some(Self { _file: file })),
            // Access is denied while the file is being removed.
            Err(error) if matches!(error.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn record(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.json"))
}

fn load(path: &Path) -> Option<Record> {
    let metadata = fs::metadata(path).ok()?;
    let text = if metadata.len() > LONGEST || is_stale(&metadata) { Vec::new() } else { fs::read(path).ok()? };
    match serde_json::from_slice::<Version>(&text) {
        Ok(Version { version: FORMAT }) => {}
        Ok(_) => return None,
        Err(_) => {
            fs::remove_file(path).ok();
            return None;
        }
    }
    let stored = serde_json::from_slice::<Stored>(&text);
    if stored.is_err() {
        fs::remove_file(path).ok();
    }
    let Stored { location, offset, etag, size, .. } = stored.ok()?;
    Some(Record { location: UploadLocation(location), offset, etag, size })
}

fn save(folder: &Path, key: &str, record: Record) -> io::Result<()> {
    let Record { location, offset, etag, size } = record;
    let text = serde_json::to_vec(&Stored { version: FORMAT, location: location.0, offset, etag, size })?;
    // The lock is held: nobody else writes this file.
    let written = folder.join(format!("{key}.new"));
    let mut file = private().write(true).create(true).truncate(true).open(&written)?;
    file.write_all(&text)?;
    drop(file);
    fs::rename(written, self::record(folder, key))
}

/// Removes what no destination can go on with any more, if nobody is at it. Files of others stay.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = matches!(path.extension().and_then(|end| end.to_str()), Some("json" | "lock" | "new"));
        let key = path.file_stem().and_then(|stem| stem.to_str()).filter(|key| super::Digest::parse(key).is_some());
        let (Some(key), true) = (key, ours && entry.metadata().is_ok_and(|metadata| is_stale(&metadata))) else {
            continue;
        };
        if let Ok(Some(_lock)) = FolderLock::take(folder, key) {
            // The lock's own file goes with the lock, and may be another's after that.
            if path.extension().is_some_and(|end| end != "lock") {
                fs::remove_file(&path).ok();
            }
        }
    }
}

fn is_stale(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
    age.is_ok_and(|age| age > STALE)
}

/// Makes the folder, for its user alone.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Options for a file of its user alone.
fn private() -> OpenOptions {
    #[allow(unused_mut)] // where there is no mode
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests;
