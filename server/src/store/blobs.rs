//! Blobs: lists of parts, each an object of its own under a random key.
//!
//! A writer stores a part as soon as it is full, hashes off the receiving task, and has the last part on disk while the
//! next one arrives. What it wrote is removed again unless a transaction publishes it.

mod bucket;
mod read;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use sqlx::{Any, Row, Transaction};
use url::Url;

pub use read::BlobReader;
pub use write::{BlobWriter, FreshBlob, finished, from_hex, hex};

use super::StoreError;
use super::database::Database;
use super::uploads;
use crate::instant;

/// Bytes in a part at most. Four of them at a time are in memory while a blob arrives.
pub const PART_BYTES: usize = 8 << 20;

/// How long a store may take to answer at all.
const REACH: Duration = Duration::from_secs(30);

/// Where objects lie.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// The folder, where it is one: it is read in large blocks past `store`.
    folder: Option<Arc<LocalFileSystem>>,
    root: Option<PathBuf>,
}

/// A blob that the database knows.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its id.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hex digits.
    pub sha256: String,
    /// In their order.
    pub parts: Arc<[Part]>,
}

/// One object of a blob.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// The key of a part of a blob. All keys are side by side: a folder of its own for each blob would have to be brought to
/// the disk as well, which costs a small package as much as its bytes do.
pub fn key(blob_id: &str, part: impl std::fmt::Display) -> String {
    format!("{blob_id}.{part}")
}

/// The id of the blob that a key is of.
pub fn blob_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(blob_id, _)| blob_id)
}

impl Blobs {
    /// Opens the object store at `url`. A folder is made; a bucket has to be there, which [`Self::reach`] tells.
    pub fn open(url: &Url) -> Result<Self, StoreError> {
        let path = match url.scheme() {
            "file" => url.to_file_path().map_err(|()| StoreError::Address(format!("'{url}' is no folder")))?,
            "s3" => return Ok(Self { store: bucket::open(url)?, folder: None, root: None }),
            other => {
                return Err(StoreError::Address(format!(
                    "the blob address has the scheme '{other}'; this server stores in file:PATH and s3://BUCKET/FOLDER"
                )));
            }
        };
        std::fs::create_dir_all(&path)?;
        let folder = Arc::new(LocalFileSystem::new_with_prefix(&path)?.with_fsync(true).with_automatic_cleanup(true));
        Ok(Self { store: folder.clone(), folder: Some(folder), root: Some(path) })
    }

    /// Asks for the names of its objects, so that whoever serves it knows that it is there and may be read.
    pub async fn reach(&self) -> Result<(), StoreError> {
        let unreachable = |why: String| StoreError::Address(format!("the blob store cannot be used: {why}"));
        match tokio::time::timeout(REACH, self.store.list(None).next()).await {
            Ok(Some(Err(error))) => Err(unreachable(error.to_string())),
            Ok(_) => Ok(()),
            Err(_) => Err(unreachable(format!("it did not answer within {} s", REACH.as_secs()))),
        }
    }

    /// Removes objects; those that are gone already are no error.
    pub async fn remove(&self, keys: impl IntoIterator<Item = String>) -> Result<(), StoreError> {
        for key in keys {
            match self.store.delete(&Key::from(key)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The object store itself, for sweeping.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The folder that it is, if it is one.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.root.as_ref()
    }
}

/// Records a fresh blob, and forgets the upload that it was, if it was one; part of the transaction that publishes it.
/// Fails with [`StoreError::UploadGone`] when somebody else has published or removed that upload, and its objects too.
pub async fn record(transaction: &mut Transaction<'_, Any>, blob: &FreshBlob) -> Result<(), StoreError> {
    if blob.is_of_upload() && !uploads::forget(transaction, &blob.id).await? {
        return Err(StoreError::UploadGone);
    }
    sqlx::query("INSERT INTO blobs (id, size, sha256, created_at) VALUES ($1, $2, $3, $4)")
        .bind(blob.id.clone())
        .bind(i64::try_from(blob.size).unwrap_or(i64::MAX))
        .bind(blob.sha256.clone())
        .bind(instant::now())
        .execute(&mut **transaction)
        .await?;
    for (number, part) in (0_i64..).zip(blob.parts.iter()) {
        sqlx::query("INSERT INTO parts (blob_id, number, object_key, size) VALUES ($1, $2, $3, $4)")
            .bind(blob.id.clone())
            .bind(number)
            .bind(part.key.clone())
            .bind(i64::try_from(part.size).unwrap_or(i64::MAX))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Keeps a fresh blob's objects if the transaction that ended with `outcome` published it, as `takes_it` reads from what
/// the transaction gave, and discards it if not.
pub async fn settle<T>(
    database: &Database,
    blob: FreshBlob,
    outcome: Result<T, StoreError>,
    takes_it: impl FnOnce(&T) -> bool,
) -> Result<T, StoreError> {
    let needed = match outcome.as_ref().map(takes_it) {
        Ok(needed) => needed,
        // A commit whose answer was lost may have held.
        Err(_) => !matches!(find(database, &blob.id).await, Ok(None)),
    };
    if needed {
        blob.keep();
    } else {
        blob.discard().await;
    }
    outcome
}

/// Forgets a blob; its objects stay for a while, for downloads that have begun. Part of a transaction.
pub async fn forget(transaction: &mut Transaction<'_, Any>, id: &str) -> Result<(), StoreError> {
    let discard =
        "INSERT INTO discarded (object_key, discarded_at) SELECT object_key, $1 FROM parts WHERE blob_id = $2";
    sqlx::query(discard).bind(instant::now()).bind(id.to_owned()).execute(&mut **transaction).await?;
    for statement in ["DELETE FROM parts WHERE blob_id = $1", "DELETE FROM blobs WHERE id = $1"] {
        sqlx::query(statement).bind(id.to_owned()).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The blob of this id.
pub async fn find(database: &Database, id: &str) -> Result<Option<Blob>, StoreError> {
    let rows = sqlx::query(
        "SELECT b.size, b.sha256, p.object_key, p.size FROM blobs b LEFT JOIN parts p ON p.blob_id = b.id \
         WHERE b.id = $1 ORDER BY p.number",
    )
    .bind(id.to_owned())
    .fetch_all(database.pool())
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (size, sha256) = (first.try_get::<i64, _>(0)?, first.try_get::<String, _>(1)?);
    let mut parts = Vec::with_capacity(rows.len());
    for row in &rows {
        if let (Some(key), Some(size)) = (row.try_get::<Option<String>, _>(2)?, row.try_get::<Option<i64>, _>(3)?) {
            parts.push(Part { key, size: size.unsigned_abs() });
        }
    }
    Ok(Some(Blob { id: id.to_owned(), size: size.unsigned_abs(), sha256, parts: parts.into() }))
}

/// The ids of all blobs.
pub async fn ids(database: &Database) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("SELECT id FROM blobs ORDER BY created_at, id").fetch_all(database.pool()).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
