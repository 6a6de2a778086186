//! The SHA-256 of a file, in pieces.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::blocking;
use crate::copy::Digest;
use crate::error::Error;

/// What one turn on a blocking thread reads at most: some milliseconds of work.
const TURN: u64 = 16 << 20;

/// What one read takes at most.
const CHUNK: usize = 256 << 10;

/// The digest of a file from where it stands to its end, and the number of its bytes. `on_read` hears of each piece.
///
/// # Errors
/// The outer one when the work died, the inner one when the file could not be read.
pub(super) async fn digest_of(
    mut file: File,
    mut on_read: impl FnMut(u64) + Send,
) -> Result<io::Result<(Digest, u64)>, Error> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    loop {
        let read;
        (file, hasher, read) = blocking(move || {
            let read = turn(&mut file, &mut hasher);
            (file, hasher, read)
        })
        .await?;
        match read {
            Ok(0) => {
                let digest: [u8; 32] = hasher.finalize().into();
                return Ok(Ok((digest.into(), size)));
            }
            Ok(count) => {
                size += count;
                on_read(count);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// [`digest_of`] the file of this path.
///
/// # Errors
/// As there.
pub(super) async fn digest_at(path: &Path) -> Result<io::Result<(Digest, u64)>, Error> {
    let path = path.to_owned();
    match blocking(move || File::open(path)).await? {
        Ok(file) => digest_of(file, |_| {}).await,
        Err(error) => Ok(Err(error)),
    }
}

fn turn(file: &mut File, hasher: &mut Sha256) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut left = file.by_ref().take(TURN);
    let mut read = 0;
    loop {
        match left.read(&mut chunk) {
            Ok(0) => return Ok(read),
            Ok(count) => {
                hasher.update(chunk.get(..count).unwrap_or_default());
                read += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
