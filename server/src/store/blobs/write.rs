//! Writing a blob as it arrives.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Blobs, PART_BYTES, Part};
use crate::store::{StoreError, new_id};

/// Frames below this are copied together: a frame that is kept costs more than a few bytes.
const SMALL: usize = 4 << 10;

/// A part this old is stored though it isn't full, so that sweeping can tell a slow upload from an abandoned one.
const PART_AGE: Duration = Duration::from_secs(600);

/// Parts on their way to the store while the next one fills.
const IN_FLIGHT: usize = 3;

/// Takes bytes; dropped, it removes what it stored.
pub struct BlobWriter {
    fresh: FreshBlob,
    filling: Vec<Bytes>,
    filled: usize,
    small: BytesMut,
    since: Instant,
    hashing: Option<JoinHandle<Sha256>>,
}

/// A whole blob that no transaction has published yet. Dropped, it removes its objects, unless it was kept.
pub struct FreshBlob {
    /// Its id.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hex digits, once the writer has finished.
    pub sha256: String,
    /// In their order.
    pub parts: Vec<Part>,
    blobs: Blobs,
    storing: VecDeque<JoinHandle<Result<(), object_store::Error>>>,
    kept: bool,
    /// Its objects belong to the upload of the same id, whose rows alone decide whether they stay.
    of_upload: bool,
}

impl BlobWriter {
    /// A writer of a new blob.
    pub fn new(blobs: &Blobs) -> Self {
        let fresh = FreshBlob {
            id: new_id(),
            size: 0,
            sha256: String::new(),
            parts: Vec::new(),
            blobs: blobs.clone(),
            storing: VecDeque::new(),
            kept: false,
            of_upload: false,
        };
        Self { fresh, filling: Vec::new(), filled: 0, small: BytesMut::new(), since: Instant::now(), hashing: None }
    }

    /// Takes the next bytes, without copying them when they are many.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let room = PART_BYTES - self.filled;
            let piece = if bytes.len() > room { bytes.split_to(room) } else { std::mem::take(&mut bytes) };
            self.filled += piece.len();
            if piece.len() < SMALL {
                self.small.extend_from_slice(&piece);
            } else {
                self.take_small();
                self.filling.push(piece);
            }
            if self.small.len() >= SMALL {
                self.take_small();
            }
            if self.filled == PART_BYTES || self.since.elapsed() >= PART_AGE {
                self.store_part().await?;
            }
        }
        Ok(())
    }

    /// Stores what is left and waits until every part is on disk and hashed. When that fails, everything is removed.
    pub async fn finish(mut self) -> Result<FreshBlob, StoreError> {
        match self.finish_parts().await {
            Ok(digest) => {
                self.fresh.sha256 = digest;
                Ok(self.fresh)
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    /// Removes what was stored and waits until it is gone.
    pub async fn discard(self) {
        self.fresh.discard().await;
    }

    async fn finish_parts(&mut self) -> Result<String, StoreError> {
        if self.filled > 0 {
            self.store_part().await?;
        }
        self.fresh.wait(0).await?;
        let hasher = match self.hashing.take() {
            Some(hashing) => hashing.await?,
            None => Sha256::new(),
        };
        Ok(finished(hasher))
    }

    fn take_small(&mut self) {
        if !self.small.is_empty() {
            self.filling.push(self.small.split().freeze());
        }
    }

    async fn store_part(&mut self) -> Result<(), StoreError> {
        self.take_small();
        let pieces = std::mem::take(&mut self.filling);
        let size = std::mem::take(&mut self.filled);
        self.since = Instant::now();

        let mut hasher = match self.hashing.take() {
            Some(hashing) => hashing.await?,
            None => Sha256::new(),
        };
        let hashed = pieces.clone();
        self.hashing = Some(spawn_blocking(move || {
            hashed.iter().for_each(|piece| hasher.update(piece));
            hasher
        }));

        self.fresh.wait(IN_FLIGHT - 1).await?;
        let key = super::key(&self.fresh.id, format_args!("{:06}", self.fresh.parts.len()));
        self.fresh.parts.push(Part { key: key.clone(), size: size as u64 });
        self.fresh.size += size as u64;
        let store = self.fresh.blobs.store.clone();
        self.fresh.storing.push_back(tokio::spawn(async move {
            store.put(&Key::from(key), pieces.into_iter().collect::<PutPayload>()).await.map(|_| ())
        }));
        Ok(())
    }
}

impl FreshBlob {
    /// The blob that a whole upload has become. Neither dropping nor discarding it removes anything: another server may
    /// be publishing the same upload, and one whose publishing failed is still there to be tried again.
    pub fn of_upload(blobs: &Blobs, id: String, parts: Vec<Part>, sha256: String) -> Self {
        let size = parts.iter().map(|part| part.size).sum();
        Self { id, size, sha256, parts, blobs: blobs.clone(), storing: VecDeque::new(), kept: true, of_upload: true }
    }

    /// Waits until at most `left` parts are on their way. A cancelled wait forgets none, so that none stays behind.
    async fn wait(&mut self, left: usize) -> Result<(), StoreError> {
        while self.storing.len() > left {
            if let Some(oldest) = self.storing.front_mut() {
                let stored = oldest.await;
                self.storing.pop_front();
                stored??;
            }
        }
        Ok(())
    }

    /// Whether it was an upload that can be gone on with.
    pub fn is_of_upload(&self) -> bool {
        self.of_upload
    }

    /// Its objects stay: a transaction has published them, or may have.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Removes its objects and waits until they are gone; those of an upload stay with it.
    pub async fn discard(mut self) {
        self.kept = true;
        if self.of_upload {
            return;
        }
        remove(self.blobs.clone(), std::mem::take(&mut self.storing), std::mem::take(&mut self.parts)).await;
    }
}

impl Drop for FreshBlob {
    fn drop(&mut self) {
        if self.kept || self.parts.is_empty() {
            return;
        }
        // Without a runtime the process ends, and the sweep of a later one removes them.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (storing, parts) = (std::mem::take(&mut self.storing), std::mem::take(&mut self.parts));
            runtime.spawn(remove(self.blobs.clone(), storing, parts));
        }
    }
}

async fn remove(blobs: Blobs, storing: VecDeque<JoinHandle<Result<(), object_store::Error>>>, parts: Vec<Part>) {
    for task in storing {
        // Whether it came to lie there or not: it is removed below.
        drop(task.await);
    }
    if let Err(error) = blobs.remove(parts.into_iter().map(|part| part.key)).await {
        tracing::warn!(%error, "parts of an abandoned upload stay until the sweep");
    }
}

/// The digest of what was hashed, as 64 lower-case hex digits.
pub fn finished(hasher: Sha256) -> String {
    hex(&hasher.finalize())
}

/// What [`hex`] wrote; none where something else did.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
