//! Adding to an upload as bytes arrive: a part is stored when it is full or when they end.
//!
//! Receiving, hashing, storing and counting go on at once. Parts come to count in their order, and those that are stored
//! by then in one transaction: its wait for the disk holds up no other part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Part, Upload, add};
use crate::store::blobs::{PART_BYTES, key};
use crate::store::{Store, StoreError, new_id};

/// Parts that do not count yet while the next one fills: what a crash takes, and what memory holds at most.
const UNCOUNTED: usize = 3;

/// Something else added to the upload, or it is gone: what came here meanwhile is not part of it.
#[derive(Debug)]
pub struct Late;

/// One run of bytes that is added to an upload.
///
/// Dropped, it keeps what counts already, and the parts on their way still come to count.
pub struct Appending {
    store: Store,
    id: String,
    began: u64,
    /// Whether nothing counts before the end.
    withheld: bool,
    filling: Vec<Bytes>,
    filled: usize,
    room: Arc<Semaphore>,
    /// The hash up to the newest part.
    hashing: JoinHandle<Sha256>,
    parts: UnboundedSender<OnItsWay>,
    counting: JoinHandle<Result<Counted, Stopped>>,
    /// Whether a part has failed to be stored or to count: what comes after it cannot count either.
    stopped: Arc<AtomicBool>,
}

/// A part on its way to the store.
struct OnItsWay {
    part: Part,
    put: JoinHandle<Result<(), object_store::Error>>,
    /// The hash up to its end.
    hash: oneshot::Receiver<Sha256>,
    /// Until it counts.
    _room: Option<OwnedSemaphorePermit>,
}

/// What counts, but for the parts that are withheld.
struct Counted {
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
        let (parts, arriving) = mpsc::unbounded_channel();
        let stopped = Arc::<AtomicBool>::default();
        let counter = Counter {
            store: store.clone(),
            id: upload.id.clone(),
            from: upload.received,
            withheld,
            counted: Counted { hash: upload.hash.clone(), withheld: Vec::new() },
            arriving,
            stopped: stopped.clone(),
        };
        Self {
            store: store.clone(),
            id: upload.id.clone(),
            began: upload.received,
            withheld,
            filling: Vec::new(),
            filled: 0,
            room: Arc::new(Semaphore::new(UNCOUNTED)),
            hashing: tokio::spawn(std::future::ready(upload.hash.clone())),
            parts,
            counting: tokio::spawn(counter.run()),
            stopped,
        }
    }

    /// Takes the next bytes. False: no more can count, and [`Self::finish`] tells why.
    pub async fn write(&mut self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() && !self.stopped.load(Ordering::Relaxed) {
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
        if self.filled > 0 {
            self.store_part().await;
        }
        let Self { store, id, began, withheld, counting, parts, .. } = self;
        drop(parts);
        match ended(counting).await {
            Ok(Counted { hash, withheld: parts }) if withheld => {
                if add(&store.database, &id, began, &parts, &hash).await? {
                    return Ok(Ok(()));
                }
                remove(&store, parts).await?;
                Ok(Err(Late))
            }
            Ok(_) => Ok(Ok(())),
            Err(Stopped::Late) => Ok(Err(Late)),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    /// Removes what was withheld.
    pub async fn reject(self) -> Result<(), StoreError> {
        let Self { store, counting, parts, .. } = self;
        drop(parts);
        match ended(counting).await {
            Ok(counted) => remove(&store, counted.withheld).await,
            Err(Stopped::Late) => Ok(()),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    async fn store_part(&mut self) {
        // The semaphore is never closed; were it, the part would go unbounded.
        let room = self.room.clone().acquire_owned().await.ok();
        let pieces = std::mem::take(&mut self.filling);
        let part = Part { key: key(&self.id, new_id()), size: std::mem::take(&mut self.filled) as u64 };
        let Ok(mut hash) = (&mut self.hashing).await else {
            // The runtime ends: what is here does not come to count.
            self.stopped.store(true, Ordering::Relaxed);
            return;
        };
        let (object, payload) = (Key::from(part.key.clone()), pieces.iter().cloned().collect::<PutPayload>());
        let store = self.store.blobs.clone();
        let put = tokio::spawn(async move { store.objects().put(&object, payload).await.map(drop) });
        let (told, hashed) = oneshot::channel();
        self.hashing = spawn_blocking(move || {
            pieces.iter().for_each(|piece| hash.update(piece));
            // Nobody asks any more after a failure.
            told.send(hash.clone()).ok();
            hash
        });
        if let Err(late) = self.parts.send(OnItsWay { part, put, hash: hashed, _room: room }) {
            late.0.give_up(&self.store).await;
        }
    }
}

impl OnItsWay {
    /// Waits until it is stored and hashed.
    async fn stored(&mut self) -> Result<Sha256, Stopped> {
        match (&mut self.put).await {
            Err(died) => Err(Stopped::Failed(died.into())),
            Ok(Err(error)) => Err(Stopped::Failed(error.into())),
            Ok(Ok(())) => {
                let lost = || StoreError::Damaged("the hash of an upload was lost".into());
                (&mut self.hash).await.map_err(|_| Stopped::Failed(lost()))
            }
        }
    }

    /// Removes it, which cannot count.
    async fn give_up(self, store: &Store) {
        if !self.put.is_finished() {
            drop(self.put.await);
        }
        if let Err(error) = store.blobs.remove([self.part.key]).await {
            tracing::warn!(%error, "a part that came too late stays until the sweep");
        }
    }
}

/// Lets parts count in their order.
struct Counter {
    store: Store,
    id: String,
    /// Where the next part begins.
    from: u64,
    /// Whether parts wait for the end instead.
    withheld: bool,
    counted: Counted,
    arriving: UnboundedReceiver<OnItsWay>,
    stopped: Arc<AtomicBool>,
}

impl Counter {
    async fn run(mut self) -> Result<Counted, Stopped> {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(waiting) => waiting,
                None => match self.arriving.recv().await {
                    Some(arrived) => arrived,
                    None => return Ok(self.counted),
                },
            };
            let (group, failed) = self.group(first, &mut next).await;
            let counted = self.count(group).await;
            let (lost, why) = match (counted, failed) {
                (Ok(()), None) => continue,
                (Ok(()), Some((part, why))) => (Some(part), why),
                (Err(why), failed) => (failed.map(|(part, _)| part), why),
            };
            self.stopped.store(true, Ordering::Relaxed);
            self.arriving.close();
            for late in lost.into_iter().chain(next.take()) {
                late.give_up(&self.store).await;
            }
            while let Some(late) = self.arriving.recv().await {
                late.give_up(&self.store).await;
            }
            return Err(why);
        }
    }

    /// The part and those after it that are stored when it is, and the one that failed; `next` is the first that is
    /// still on its way.
    async fn group(
        &mut self,
        first: OnItsWay,
        next: &mut Option<OnItsWay>,
    ) -> (Vec<OnItsWay>, Option<(OnItsWay, Stopped)>) {
        let (mut group, mut part) = (Vec::new(), first);
        loop {
            match part.stored().await {
                Ok(hash) => self.counted.hash = hash,
                Err(why) => return (group, Some((part, why))),
            }
            group.push(part);
            match self.arriving.try_recv() {
                Ok(stored) if stored.put.is_finished() => part = stored,
                Ok(on_its_way) => {
                    *next = Some(on_its_way);
                    return (group, None);
                }
                Err(_) => return (group, None),
            }
        }
    }

    async fn count(&mut self, group: Vec<OnItsWay>) -> Result<(), Stopped> {
        let parts: Vec<Part> = group.iter().map(|stored| stored.part.clone()).collect();
        if self.withheld {
            self.counted.withheld.extend(parts);
            return Ok(());
        }
        if parts.is_empty() {
            return Ok(());
        }
        match add(&self.store.database, &self.id, self.from, &parts, &self.counted.hash).await {
            Ok(true) => {
                self.from += parts.iter().map(|part| part.size).sum::<u64>();
                Ok(())
            }
            Ok(false) => {
                for late in group {
                    late.give_up(&self.store).await;
                }
                Err(Stopped::Late)
            }
            // The commit may have held: then the parts count, and the sweep knows it.
            Err(error) => Err(Stopped::Failed(error)),
        }
    }
}

async fn ended(counting: JoinHandle<Result<Counted, Stopped>>) -> Result<Counted, Stopped> {
    counting.await.map_err(|died| Stopped::Failed(died.into()))?
}

async fn remove(store: &Store, parts: Vec<Part>) -> Result<(), StoreError> {
    store.blobs.remove(parts.into_iter().map(|part| part.key)).await
}
