//! Everything that lasts: rows in a database, blobs in an object store.
//!
//! No state in the process: any number of servers and commands work on the same store at once. A change is one
//! database transaction, made after the blob that it publishes is whole and on disk; so a crash at any point leaves
//! the old state or the new one, and at worst objects that [`sweep`] removes.

pub mod audit;
pub mod blobs;
pub mod database;
pub mod failures;
pub mod installers;
pub mod key_file;
pub mod packages;
pub mod page;
pub mod people;
pub mod sessions;
pub mod sweep;
pub mod tokens;
pub mod uploads;
pub mod users;

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Places;
use crate::keys::Keys;
use blobs::Blobs;
use database::Database;

/// One store, shared by clones.
#[derive(Clone)]
pub struct Store {
    /// The rows.
    pub database: Database,
    /// The bytes.
    pub blobs: Blobs,
    /// The server's own keys.
    pub keys: Arc<Keys>,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database's quota is full.
    #[error("the store has no space left")]
    Full,
    /// Somebody else was writing for too long, or too many were waiting.
    #[error("the database is busy")]
    Busy,
    /// The database or the bucket of a large site does not answer. What was being changed may have been.
    #[error("the store cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A text holds U+0000, which PostgreSQL keeps in none.
    #[error("the text holds a character that cannot be kept")]
    Text,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The object store failed.
    #[error("the blob store failed: {0}")]
    Blobs(#[source] object_store::Error),
    /// Reading or writing a file failed.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// An upload was published or removed by somebody else meanwhile.
    #[error("the upload is gone")]
    UploadGone,
    /// A blob is not what the database says of it.
    #[error("a blob is damaged: {0}")]
    Damaged(String),
    /// The address of a database or blob store that this server does not speak to, or that cannot be read.
    #[error("{0}")]
    Address(String),
    /// The server's keys are gone, and with them every token that was issued.
    #[error(
        "{} is missing, and the tokens that were issued with it are void without it. Restore it from a backup; or run \
         'uss-server keys new', which removes every token and begins with new keys",
        .0.display()
    )]
    KeysLost(PathBuf),
    /// The key file is another store's, or was made anew.
    #[error(
        "{} holds other keys than those that this store's tokens were made with. Copy the file from the server that has \
         them; or move it away and run 'uss-server keys new', which removes every token and begins with new keys",
        .0.display()
    )]
    OtherKeys(PathBuf),
    /// A task of this process was lost.
    #[error("an internal task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        /// SQLITE_FULL (sqlite.org/rescode.html), and PostgreSQL's disk_full.
        const FULL: [&str; 2] = ["13", "53100"];
        /// SQLITE_BUSY, and those of its extended codes that a wait can bring; PostgreSQL's lock_not_available.
        const BUSY: [&str; 5] = ["5", "261", "517", "773", "55P03"];
        /// PostgreSQL's too_many_connections, admin_shutdown, crash_shutdown and cannot_connect_now
        /// (postgresql.org/docs/current/errcodes-appendix.html).
        const UNREACHABLE: [&str; 4] = ["53300", "57P01", "57P02", "57P03"];
        /// character_not_in_repertoire
        const TEXT: &str = "22021";
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        match code.as_deref() {
            Some(code) if FULL.contains(&code) => Self::Full,
            Some(code) if BUSY.contains(&code) => Self::Busy,
            Some(code) if UNREACHABLE.contains(&code) => Self::Unreachable(error.into()),
            Some(TEXT) => Self::Text,
            None if matches!(error, sqlx::Error::PoolTimedOut) => Self::Busy,
            None if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => {
                Self::Unreachable(error.into())
            }
            _ => Self::Database(error),
        }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.downcast_ref::<io::Error>().is_some_and(is_full) {
                return Self::Full;
            }
            cause = inner.source();
        }
        match error {
            // A folder's errors have a kind, or the system's own within; a bucket's that have none are the network's.
            object_store::Error::Generic { store: "S3", .. } => Self::Unreachable(error.into()),
            other => Self::Blobs(other),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Io(error) }
    }
}

/// A disk, a quota, or the size that a file may have here.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl Store {
    /// Opens the store, and makes it where `create` says so.
    pub async fn open(places: &Places, create: bool) -> Result<Self, StoreError> {
        if create {
            create_private(&places.data)?;
        }
        let database = Database::open(&places.data, &places.database, create).await?;
        let blobs = Blobs::open(&places.blobs)?;
        if !places.keys.exists() && tokens::any(&database).await? {
            return Err(StoreError::KeysLost(places.keys.clone()));
        }
        let keys = Keys::read_or_create(&places.keys)?;
        if !key_file::claim(&database, &keys.kid).await? {
            return Err(StoreError::OtherKeys(places.keys.clone()));
        }
        Ok(Self { database, blobs, keys: Arc::new(keys) })
    }
}

impl Store {
    /// Makes new keys where the old ones are lost, and removes what nobody can check any more: tokens, sessions,
    /// invitations. Gives how many tokens there were.
    pub async fn begin_with_new_keys(places: &Places) -> Result<u64, StoreError> {
        let database = Database::open(&places.data, &places.database, false).await?;
        let mut transaction = database.write().await?;
        for sql in ["DELETE FROM forms", "DELETE FROM sessions", "DELETE FROM invitations"] {
            sqlx::query(sql).execute(&mut *transaction).await?;
        }
        key_file::forget(&mut transaction).await?;
        let removed = sqlx::query("DELETE FROM tokens").execute(&mut *transaction).await?.rows_affected();
        let by = audit::Entry::command_line();
        audit::write_in(&mut transaction, &by, "keys.new", &format!("{removed} tokens"), "removed").await?;
        transaction.commit().await?;
        Keys::read_or_create(&places.keys)?;
        Ok(removed)
    }
}

/// Makes a folder, and those above it, for its owner alone: the database holds addresses and hashes.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// A fresh id: a version 4 UUID (RFC 9562, section 5.4) from the system's random source, lower case.
pub fn new_id() -> String {
    let bits = (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A store of its own.
    pub async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let address = |scheme: &str, path: &str| format!("{scheme}://{}/{path}", folder.path().display());
        let places = Places {
            data: folder.path().to_owned(),
            database: address("sqlite", "uss.db").parse().unwrap(),
            blobs: address("file", "blobs").parse().unwrap(),
            keys: folder.path().join("keys.json"),
        };
        let store = Store::open(&places, true).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_full_database_and_a_busy_one_are_told_apart_from_a_broken_one() {
        let (_folder, store) = store().await;
        let write = "INSERT INTO failures (subject, at) VALUES (hex(zeroblob(1000000)), 1)";
        let mut full = store.database.pool().acquire().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *full).await.unwrap();
        let error = sqlx::query(write).execute(&mut *full).await.unwrap_err();
        assert!(matches!(StoreError::from(error), StoreError::Full));

        let _writer = store.database.write().await.unwrap();
        let mut other = store.database.pool().acquire().await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *other).await.unwrap();
        let error = sqlx::query(write).execute(&mut *other).await.unwrap_err();
        assert!(matches!(StoreError::from(error), StoreError::Busy));
        let error = sqlx::query("SELECT nothing").execute(&mut *other).await.unwrap_err();
        assert!(matches!(StoreError::from(error), StoreError::Database(_)));
    }

    #[test]
    fn ids_are_version_4_uuids() {
        let id = new_id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_ne!(id, new_id());
    }

    #[test]
    fn a_full_disk_is_told_apart_however_deep_it_is_said() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = object_store::Error::Generic { store: "x", source: Box::new(full) };
        assert!(matches!(StoreError::from(error), StoreError::Full));
        assert!(matches!(StoreError::from(io::Error::from(io::ErrorKind::NotFound)), StoreError::Io(_)));
    }
}
