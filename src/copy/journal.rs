//! What a copy remembers of its begun uploads, so that one that died is gone on with.
//!
//! One record and one lock a transfer. The record is a hint: the destination says how far the upload really is. The
//! lock keeps two runs from sending the same content to the same place at once.

mod folder;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use folder::{FolderJournal, FolderLock};
use url::Url;

use super::plan::identity;
use super::{ContentKey, Digest, UploadLocation};
use crate::error::Error;

/// Where begun uploads are remembered. Clones are the same journal.
pub trait Journal: Clone + Send + Sync + 'static {
    /// A taken lock; dropping it gives it back.
    type Lock: Send + Sync;

    /// Takes a transfer's lock. None: another run has it.
    ///
    /// # Errors
    /// What the journal's place cannot be used for.
    fn try_lock(&self, key: &TransferKey) -> impl Future<Output = Result<Option<Self::Lock>, Error>> + Send;

    /// What is remembered of a transfer whose lock is held. What cannot be read is not remembered.
    fn load(&self, key: &TransferKey) -> impl Future<Output = Option<Record>> + Send;

    /// Remembers, in one step: whoever reads finds the old record or the new one.
    ///
    /// # Errors
    /// What the journal's place cannot be used for.
    fn save(&self, key: &TransferKey, record: &Record) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets.
    fn remove(&self, key: &TransferKey) -> impl Future<Output = ()> + Send;
}

/// Names one content on its way to one place as one user, the same in each process. Displays as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransferKey(Digest);

impl TransferKey {
    /// `mark` tells contents of the same name apart.
    pub(super) fn new(destination: &str, user: &str, content: &ContentKey, mark: &str) -> Self {
        let (id, version) = identity(content);
        let parts = [destination, user, &id, &version, mark];
        // With their lengths, so that no two lists of parts are written alike.
        let text: String = parts.iter().map(|part| format!("{}:{part}\n", part.len())).collect();
        Self(Digest::of(text.as_bytes()))
    }
}

impl fmt::Display for TransferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A begun upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub location: UploadLocation,
    /// Bytes that were there when the record was written.
    pub offset: u64,
    /// The source's strong entity tag of the content.
    pub etag: Option<String>,
    /// Bytes of the content.
    pub size: Option<u64>,
}

impl Record {
    /// Whether it may be written down: an address with a query or a user in it may hold a secret.
    pub(super) fn is_harmless(&self) -> bool {
        let location = &self.location.0;
        let user = Url::parse(location).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
        !location.contains('?') && !user
    }
}

/// A journal that lasts as long as the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    locked: HashSet<TransferKey>,
    records: HashMap<TransferKey, Record>,
}

impl MemoryJournal {
    /// How many uploads are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    type Lock = MemoryLock;

    async fn try_lock(&self, key: &TransferKey) -> Result<Option<MemoryLock>, Error> {
        let free = self.lock().locked.insert(*key);
        Ok(free.then(|| MemoryLock { journal: self.clone(), key: *key }))
    }

    async fn load(&self, key: &TransferKey) -> Option<Record> {
        self.lock().records.get(key).cloned()
    }

    async fn save(&self, key: &TransferKey, record: &Record) -> Result<(), Error> {
        self.lock().records.insert(*key, record.clone());
        Ok(())
    }

    async fn remove(&self, key: &TransferKey) {
        self.lock().records.remove(key);
    }
}

/// A lock of a [`MemoryJournal`].
#[derive(Debug)]
pub struct MemoryLock {
    journal: MemoryJournal,
    key: TransferKey,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.journal.lock().locked.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_its_destination_user_content_and_bytes() {
        let package = |id: &str, version: &str| ContentKey::Package { id: id.into(), version: version.into() };
        let key = TransferKey::new("http://b", "ada", &package("app", "1.0"), "x");
        assert_eq!(TransferKey::new("http://b", "ada", &package("app", "1.0.0+build"), "x"), key, "one version");
        for other in [
            TransferKey::new("http://c", "ada", &package("app", "1.0"), "x"),
            TransferKey::new("http://b", "bob", &package("app", "1.0"), "x"),
            TransferKey::new("http://b", "ada", &package("apps", "1.0"), "x"),
            TransferKey::new("http://b", "ada", &package("app", "1.1"), "x"),
            TransferKey::new("http://b", "ada", &package("app", "1.0"), "y"),
            TransferKey::new("http://ba", "da", &package("app", "1.0"), "x"),
        ] {
            assert_ne!(other, key);
        }
    }

    #[test]
    fn an_address_that_may_hold_a_secret_is_not_written_down() {
        let harmless = |location: &str| {
            Record { location: UploadLocation(location.into()), offset: 0, etag: None, size: None }.is_harmless()
        };
        assert!(harmless("http://b:8060/uploads/1") && harmless("/uploads/1") && harmless("/srv/app.partial"));
        assert!(harmless(r"C:\packages\app.partial"));
        assert!(!harmless("http://b/uploads/1?sig=x") && !harmless("/uploads/1?sig=x"));
        assert!(!harmless("http://ada:x@b/uploads/1") && !harmless("http://ada@b/uploads/1"));
    }

    #[tokio::test]
    async fn a_lock_is_given_back_when_it_is_dropped() {
        let journal = MemoryJournal::default();
        let key = TransferKey(Digest::of(b"a"));
        let lock = journal.try_lock(&key).await.unwrap();
        assert!(lock.is_some() && journal.try_lock(&key).await.unwrap().is_none());
        assert!(journal.try_lock(&TransferKey(Digest::of(b"b"))).await.unwrap().is_some());
        drop(lock);
        assert!(journal.try_lock(&key).await.unwrap().is_some());
    }
}
