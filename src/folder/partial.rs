//! A file on its way: open, locked, beside the place that it will have; and moving it there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

const PARTIAL: &str = ".partial";
/// How long a removed file's name may stay, see [`remove_file`].
const HANDLES_CLOSE: Duration = Duration::from_secs(1);

const BUSY: &str = "something else writes to it";

/// A partial file that is open, and locked against other processes.
pub(super) struct Writing {
    file: File,
    pub(super) size: u64,
    /// None: what came before was not hashed here.
    hasher: Option<Sha256>,
}

impl Writing {
    /// Makes a partial file, in place of one that nobody writes to. The inner error says why it cannot be had.
    ///
    /// The old one is not emptied: the process that it was of may have moved it to its place meanwhile.
    pub(super) fn begin(path: &Path) -> io::Result<Result<Self, String>> {
        if let Ok(old) = OpenOptions::new().read(true).write(true).open(path) {
            if let Err(what) = lock(&old)? {
                return Ok(Err(what));
            }
            match remove_open_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Err(BUSY.into())),
            opened => opened?,
        };
        let hasher = Some(Sha256::new());
        Ok(lock(&file)?.map(|()| Self { file, size: 0, hasher }))
    }

    /// Opens a partial file that has `from` bytes. The inner error says why it cannot be gone on with.
    pub(super) fn open(path: &Path, from: u64) -> io::Result<Result<Self, String>> {
        if from == 0 {
            return Self::begin(path);
        }
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err("it is gone".into())),
            Err(error) => return Err(error),
        };
        if let Err(what) = lock(&file)? {
            return Ok(Err(what));
        }
        let size = file.seek(SeekFrom::End(0))?;
        if size != from {
            return Ok(Err(format!("it has {size} bytes, not {from}")));
        }
        Ok(Ok(Self { file, size, hasher: None }))
    }

    pub(super) fn write(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for chunk in chunks {
            self.file.write_all(chunk)?;
            self.size += chunk.len() as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(chunk);
            }
        }
        Ok(())
    }

    /// Brings all to the disk. The file is at its start then, and still locked.
    pub(super) fn end(mut self) -> io::Result<(File, Option<Sha256>)> {
        self.file.sync_all()?;
        self.file.rewind()?;
        Ok((self.file, self.hasher))
    }
}

fn lock(file: &File) -> io::Result<Result<(), String>> {
    match file.try_lock() {
        Ok(()) => Ok(Ok(())),
        Err(TryLockError::WouldBlock) => Ok(Err(BUSY.into())),
        // Not every file system has locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Ok(())),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Moves `from` to `to`; without `force`, only where nothing is.
pub(super) fn put(from: &Path, to: &Path, force: bool) -> io::Result<()> {
    if force {
        return fs::rename(from, to);
    }
    // A link fails if something has appeared meanwhile, which a rename would replace.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        // Not every file system has links.
        Err(_) => fs::rename(from, to),
    }
}

/// Removes a file that this process has open. Afterwards its name is free.
fn remove_open_file(path: &Path) -> io::Result<()> {
    if !cfg!(windows) {
        return fs::remove_file(path);
    }
    let aside = beside(path, &format!("{:016x}", rand::random::<u64>()));
    fs::rename(path, &aside)?;
    fs::remove_file(aside)
}

/// Removes a file. Afterwards its name is free, except where somebody else keeps it open.
///
/// Not every file system of Windows gives a name free before the last handle is closed, and a write that was given up
/// a moment ago still has one.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    if cfg!(windows) {
        let begun = Instant::now();
        let gone = || path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        while !gone() && begun.elapsed() < HANDLES_CLOSE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Brings a new name in a folder to the disk, where the system can.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// `NAME.zip.MARK.partial`.
pub(super) fn beside(target: &Path, mark: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{mark}{PARTIAL}"));
    target.with_file_name(name)
}

/// A file that nobody goes on with: it is removed if it is still there at the end.
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It was moved to its place, or its name says what it is.
        drop(remove_file(&self.0));
    }
}
