//! Package files on this machine as an end of a copy: a [`Folder`] keeps packages (Save-UssPackage), [`PackageFiles`]
//! gives them (Import-UssPackage).
//!
//! A file appears under its name only when it is whole, proven by its SHA-256 and on disk. All work on files is done on
//! blocking threads, in pieces, so that neither the runtime nor a cancellation waits for it.

mod destination;
mod files;
mod hashing;
mod import;
mod listing;
mod partial;
mod reading;

use std::io;
use std::path::Path;

pub use destination::Folder;
pub use files::PackageFiles;
pub use import::{ImportOptions, plan_import};
pub use reading::Blocks;

use crate::error::{Error, ErrorKind};

/// Does `work` on a thread that may wait for a disk.
///
/// # Errors
/// `Internal` when it died.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(ErrorKind::Internal, "Work on a file hit a defect of the uss library."))
}

/// What an input or output error of a file means.
fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let (kind, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::PermissionDenied, "Give this user the right to it, or use another folder.")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (ErrorKind::InsufficientStorage, "Make room, or use another folder.")
        }
        _ => (ErrorKind::InvalidArgument, ""),
    };
    Error::new(kind, format!("Cannot {verb} '{shown}': {error}.")).with_hint(hint).with_target(shown.to_string())
}

#[cfg(test)]
mod tests;
