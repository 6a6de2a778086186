//! A file's bytes, as long as it stays what it was.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::files::{PackageFile, changed};
use super::{blocking, failed};
use crate::error::Error;

/// Bytes of a block: a quarter of a transfer's buffer.
const BLOCK: u64 = 256 << 10;

/// Blocks of a file. Each comes only if the file is still what was hashed.
pub type Blocks = BoxStream<'static, Result<Bytes, Error>>;

/// Opens a file at byte `from`.
///
/// # Errors
/// `SourceChanged` when it is gone or not what was hashed any more; `PermissionDenied`.
pub(super) async fn open(what: PackageFile, from: u64) -> Result<Blocks, Error> {
    let open = move || {
        let opened = File::open(&what.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            Ok(file)
        });
        match opened {
            Ok(file) if unchanged(&file, &what) => Ok(Open { file, what, at: from }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("read", &what.path, &error)),
            _ => Err(changed(&what.path)),
        }
    };
    let opened = blocking(open).await??;
    let next = |opened: Option<Open>| async move {
        let opened = opened?;
        match blocking(move || opened.block()).await {
            Ok(Ok((_, block))) if block.is_empty() => None,
            Ok(Ok((opened, block))) => Some((Ok(block), Some(opened))),
            Ok(Err(error)) | Err(error) => Some((Err(error), None)),
        }
    };
    Ok(stream::unfold(Some(opened), next).boxed())
}

struct Open {
    file: File,
    what: PackageFile,
    at: u64,
}

impl Open {
    /// The next block; an empty one is the end.
    fn block(mut self) -> Result<(Self, Bytes), Error> {
        let size = (self.what.size - self.at).min(BLOCK);
        let mut block = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let read = self.file.by_ref().take(size).read_to_end(&mut block);
        read.map_err(|error| failed("read", &self.what.path, &error))?;
        if block.len() as u64 != size || !unchanged(&self.file, &self.what) {
            return Err(changed(&self.what.path));
        }
        self.at += size;
        Ok((self, block.into()))
    }
}

fn unchanged(file: &File, what: &PackageFile) -> bool {
    file.metadata().is_ok_and(|now| now.len() == what.size && now.modified().ok() == what.modified)
}
