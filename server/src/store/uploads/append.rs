//! Adding to an upload as bytes arrive: a part is stored when it is full or when they end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Part, Upload, add};
use crate::store::blobs::{PART_BYTES, key};
use crate::store::{Store, StoreError, new_id};

/// Parts on their way to the store while the next one fills.
const IN_FLIGHT: usize = 2;

/// Something else added to the upload, or it is gone: what came here meanwhile is not part of it.
#[derive(Debug)]
pub struct Late;

/// One run of bytes that is added to an upload.
///
/// Dropped, it keeps what counts already, and the parts on their way still come to count.
pub struct Appending {
    store: Store,
    id: String,
    /// Where the next part begins.
    from: u64,
    filling: Vec<Bytes>,
    filled: usize,
    /// The newest part; each waits for the one before it.
    newest: Newest,
    /// How many parts are on their way.
    storing: VecDeque<tokio::sync::oneshot::Receiver<()>>,
    /// Whether nothing counts before the end.
    withheld: bool,
    /// Whether a part has failed to be stored or to count: what comes after it cannot count either.
    stopped: Arc<AtomicBool>,
}

enum Newest {
    At(Progress),
    OnItsWay(JoinHandle<Result<Progress, Stopped>>),
}

/// What counts, or is withheld, once a part is stored.
struct Progress {
    hash: Sha256,
    withheld: Vec<Part>,
}

enum Stopped {
    Late,
    Failed(StoreError),
}

impl Appending {
    /// Goes on with an upload from where it is. With `withheld` nothing counts until all of it is accepted.
    pub fn new(store: &Store, upload: &Upload, withheld: bool) -> Self {
        let newest = Newest::At(Progress { hash: upload.hash.clone(), withheld: Vec::new() });
        let (id, from) = (upload.id.clone(), upload.received);
        let (filling, storing) = (Vec::new(), VecDeque::new());
        Self { store: store.clone(), id, from, filling, filled: 0, newest, storing, withheld, stopped: Arc::default() }
    }

    /// Takes the next bytes. False: no more can count, and [`Self::finish`] tells why.
    pub async fn write(&mut self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            let room = PART_BYTES - self.filled;
            let piece = if bytes.len() > room { bytes.split_to(room) } else { std::mem::take(&mut bytes) };
            self.filled += piece.len();
            self.filling.push(piece);
            if self.filled == PART_BYTES {
                self.store_part().await;
            }
        }
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Stores what is left and waits until everything counts.
    pub async fn finish(mut self) -> Result<Result<(), Late>, StoreError> {
        let withheld = self.withheld;
        let from = self.from + self.filled as u64;
        match self.end().await {
            Ok(progress) if withheld => {
                let began = from - progress.withheld.iter().map(|part| part.size).sum::<u64>();
                if add(&self.store.database, &self.id, began, &progress.withheld, &progress.hash).await? {
                    return Ok(Ok(()));
                }
                self.drop_parts(progress.withheld).await?;
                Ok(Err(Late))
            }
            Ok(_) => Ok(Ok(())),
            Err(Stopped::Late) => Ok(Err(Late)),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    /// Removes what was withheld.
    pub async fn reject(mut self) -> Result<(), StoreError> {
        (self.filling, self.filled) = (Vec::new(), 0);
        match self.end().await {
            Ok(progress) => self.drop_parts(progress.withheld).await,
            Err(Stopped::Late) => Ok(()),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    async fn drop_parts(&self, parts: Vec<Part>) -> Result<(), StoreError> {
        self.store.blobs.remove(parts.into_iter().map(|part| part.key)).await
    }

    async fn end(&mut self) -> Result<Progress, Stopped> {
        if self.filled > 0 {
            self.store_part().await;
        }
        let nothing = Newest::At(Progress { hash: Sha256::new(), withheld: Vec::new() });
        match std::mem::replace(&mut self.newest, nothing) {
            Newest::At(progress) => Ok(progress),
            Newest::OnItsWay(task) => task.await.map_err(|died| Stopped::Failed(died.into()))?,
        }
    }

    async fn store_part(&mut self) {
        let pieces = std::mem::take(&mut self.filling);
        let size = std::mem::take(&mut self.filled) as u64;
        let from = self.from;
        self.from += size;
        let nothing = Newest::At(Progress { hash: Sha256::new(), withheld: Vec::new() });
        let before = std::mem::replace(&mut self.newest, nothing);
        while self.storing.len() >= IN_FLIGHT {
            if let Some(oldest) = self.storing.pop_front() {
                // It ends either way, by being sent or by its task's end.
                oldest.await.ok();
            }
        }
        let (done, stored) = tokio::sync::oneshot::channel();
        self.storing.push_back(stored);
        let part = Part { key: key(&self.id, new_id()), size };
        let (store, id, withheld) = (self.store.clone(), self.id.clone(), self.withheld);
        let stopped = self.stopped.clone();
        self.newest = Newest::OnItsWay(tokio::spawn(async move {
            let stored = store_one(&store, &id, from, part, pieces, before, withheld).await;
            if stored.is_err() {
                stopped.store(true, Ordering::Relaxed);
            }
            // Nobody waits any more for one whose upload was given up.
            done.send(()).ok();
            stored
        }));
    }
}

/// Stores one part while those before it come to count, and hashes it; then it counts itself.
async fn store_one(
    store: &Store,
    id: &str,
    from: u64,
    part: Part,
    pieces: Vec<Bytes>,
    before: Newest,
    withheld: bool,
) -> Result<Progress, Stopped> {
    let object = Key::from(part.key.clone());
    let payload = pieces.iter().cloned().collect::<PutPayload>();
    let put = store.blobs.objects().put(&object, payload);
    let hashed = async {
        let Progress { mut hash, withheld } = match before {
            Newest::At(progress) => progress,
            Newest::OnItsWay(task) => task.await.map_err(|died| Stopped::Failed(died.into()))??,
        };
        let hash = spawn_blocking(move || {
            pieces.iter().for_each(|piece| hash.update(piece));
            hash
        });
        let hash = hash.await.map_err(|died| Stopped::Failed(died.into()))?;
        Ok::<_, Stopped>(Progress { hash, withheld })
    };
    let (put, hashed) = tokio::join!(put, hashed);
    let counted = match (put, hashed) {
        (Ok(_), Ok(mut progress)) if withheld => {
            progress.withheld.push(part);
            return Ok(progress);
        }
        (Ok(_), Ok(progress)) => {
            match add(&store.database, id, from, std::slice::from_ref(&part), &progress.hash).await {
                Ok(true) => return Ok(progress),
                Ok(false) => Err(Stopped::Late),
                // The commit may have held: then the part counts, and the sweep knows it.
                Err(error) => return Err(Stopped::Failed(error)),
            }
        }
        (Err(error), _) => Err(Stopped::Failed(error.into())),
        (_, Err(stopped)) => Err(stopped),
    };
    if let Err(error) = store.blobs.remove([part.key]).await {
        tracing::warn!(%error, "a part that came too late stays until the sweep");
    }
    counted
}
