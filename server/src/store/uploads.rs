//! Uploads that can be gone on with: what they are for, how far they are, and the parts that they have.
//!
//! A part counts when the transaction that moves the upload's offset over it has ended. That transaction takes only what
//! begins where the upload is, so of two that append at once one goes on and the other learns that it is late; whichever
//! process they run in. The running hash is stored with the offset: whoever goes on reads nothing back.

mod append;

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::common::hazmat::SerializableState;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::blobs::{FreshBlob, Part, finished, from_hex, hex};
use super::database::Database;
use super::{Store, StoreError, new_id};
use crate::instant::{self, HOUR};

pub use append::{Appending, Late};

/// How long an upload is kept after its last byte.
const KEPT: i64 = 7 * 24 * HOUR;

/// What is uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Content {
    /// One version of a package.
    #[serde(rename_all = "camelCase")]
    Package {
        /// The package.
        package_id: String,
        /// As it will be published.
        version: String,
    },
    /// An installer.
    #[serde(rename_all = "camelCase")]
    Installer {
        /// A GUID, lower case; none: a fresh one.
        id: Option<String>,
        /// What people call it.
        name: String,
        /// The package that it installs.
        package_id: Option<String>,
        /// That package's version.
        version: Option<String>,
        /// `Setup.exe`.
        file_name: String,
    },
}

/// An upload that was begun.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its id, and that of the blob that it becomes.
    pub id: String,
    /// What it is for.
    pub content: Content,
    /// The digest that the whole must have.
    pub sha256: Option<String>,
    /// Whether other bytes of the same name are replaced.
    pub force: bool,
    /// Bytes of the whole.
    pub length: u64,
    /// Bytes so far.
    pub received: u64,
    /// `Upload-Metadata` as the client wrote it.
    pub metadata: String,
    /// Microseconds since 1970.
    pub expires_at: i64,
    hash: Sha256,
}

/// What an upload begins with.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What it is for.
    pub content: Content,
    /// The digest that the whole must have.
    pub sha256: Option<String>,
    /// Whether other bytes of the same name are replaced.
    pub force: bool,
    /// Bytes of the whole.
    pub length: u64,
    /// `Upload-Metadata` as the client wrote it.
    pub metadata: String,
}

/// Begins an upload of a user.
pub async fn create(database: &Database, user_id: &str, begun: Begun) -> Result<Upload, StoreError> {
    let Begun { content, sha256, force, length, metadata } = begun;
    let (id, expires_at, hash) = (new_id(), instant::now() + KEPT, Sha256::default());
    let upload = Upload { id, content, sha256, force, length, received: 0, metadata, expires_at, hash };
    let text = serde_json::to_string(&upload.content).map_err(|error| StoreError::Damaged(error.to_string()))?;
    // What a power cut takes back of it is begun again.
    let mut transaction = database.write_lazily().await?;
    sqlx::query(
        "INSERT INTO uploads (id, user_id, content, sha256, force, length, received, hash_state, metadata, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9)",
    )
    .bind(upload.id.clone())
    .bind(user_id.to_owned())
    .bind(text)
    .bind(upload.sha256.clone())
    .bind(i64::from(force))
    .bind(i64::try_from(length).unwrap_or(i64::MAX))
    .bind(hex(&upload.hash.serialize()))
    .bind(upload.metadata.clone())
    .bind(expires_at)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(upload)
}

/// A user's upload, expired or not. One whose row this version cannot read, as another one wrote its hash, is gone: its
/// client begins anew, and the sweep removes it when its time is over.
pub async fn find(database: &Database, id: &str, user_id: &str) -> Result<Option<Upload>, StoreError> {
    let row = sqlx::query(
        "SELECT id, content, sha256, force, length, received, hash_state, expires_at, metadata FROM uploads \
         WHERE id = $1 AND user_id = $2",
    )
    .bind(id.to_owned())
    .bind(user_id.to_owned())
    .fetch_optional(database.pool())
    .await?;
    match row.as_ref().map(upload).transpose() {
        Err(StoreError::Damaged(why)) => {
            tracing::warn!(id, why, "an upload cannot be gone on with");
            Ok(None)
        }
        found => found,
    }
}

/// The whole upload as a blob that no transaction has published yet. Its objects stay whatever becomes of the value:
/// the upload is there until it is published or removed.
///
/// Fails with [`StoreError::UploadGone`] when another server has just done either.
pub async fn whole(store: &Store, upload: &Upload) -> Result<FreshBlob, StoreError> {
    let parts = parts(&store.database, &upload.id).await?;
    if parts.iter().map(|part| part.size).sum::<u64>() != upload.length {
        return Err(StoreError::UploadGone);
    }
    Ok(FreshBlob::of_upload(&store.blobs, upload.id.clone(), parts, finished(upload.hash.clone())))
}

/// Removes an upload and what it has. False: somebody else has, or it was published.
pub async fn remove(store: &Store, id: &str) -> Result<bool, StoreError> {
    let mut transaction = store.database.write().await?;
    let parts = rows_of_parts(id).fetch_all(&mut *transaction).await?;
    let gone = forget(&mut transaction, id).await?;
    transaction.commit().await?;
    if gone {
        let keys = parts.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
        store.blobs.remove(keys).await?;
    }
    Ok(gone)
}

/// Forgets an upload, and not its objects. Part of the transaction that publishes them.
pub async fn forget(transaction: &mut Transaction<'_, Any>, id: &str) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM upload_parts WHERE upload_id = $1")
        .bind(id.to_owned())
        .execute(&mut **transaction)
        .await?;
    let gone = sqlx::query("DELETE FROM uploads WHERE id = $1").bind(id.to_owned()).execute(&mut **transaction).await?;
    Ok(gone.rows_affected() > 0)
}

/// The ids of uploads that nothing was added to for too long.
pub async fn expired(database: &Database) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("SELECT id FROM uploads WHERE expires_at <= $1").bind(instant::now());
    let rows = rows.fetch_all(database.pool()).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// The ids of all uploads.
pub async fn all(database: &Database) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("SELECT id FROM uploads").fetch_all(database.pool()).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

async fn parts(database: &Database, id: &str) -> Result<Vec<Part>, StoreError> {
    let rows = rows_of_parts(id).fetch_all(database.pool()).await?;
    rows.iter().map(|row| Ok(Part { key: row.try_get(0)?, size: row.try_get::<i64, _>(1)?.unsigned_abs() })).collect()
}

fn rows_of_parts<'q>(id: &str) -> sqlx::query::Query<'q, Any, sqlx::any::AnyArguments> {
    sqlx::query("SELECT object_key, size FROM upload_parts WHERE upload_id = $1 ORDER BY number").bind(id.to_owned())
}

/// Adds stored parts to an upload that is at `from`. False: it is elsewhere, or gone.
async fn add(database: &Database, id: &str, from: u64, parts: &[Part], hash: &Sha256) -> Result<bool, StoreError> {
    let added: u64 = parts.iter().map(|part| part.size).sum();
    // What a power cut takes back of it is sent again; publishing waits for the disk.
    let mut transaction = database.write_lazily().await?;
    let moved = sqlx::query(
        "UPDATE uploads SET received = $1, hash_state = $2, expires_at = $3 WHERE id = $4 AND received = $5",
    )
    .bind(i64::try_from(from + added).unwrap_or(i64::MAX))
    .bind(hex(&hash.serialize()))
    .bind(instant::now() + KEPT)
    .bind(id.to_owned())
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .execute(&mut *transaction)
    .await?;
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    for part in parts {
        sqlx::query(
            "INSERT INTO upload_parts (upload_id, number, object_key, size) \
             SELECT $1, COUNT(*), $2, $3 FROM upload_parts WHERE upload_id = $1",
        )
        .bind(id.to_owned())
        .bind(part.key.clone())
        .bind(i64::try_from(part.size).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

fn upload(row: &AnyRow) -> Result<Upload, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("an upload's {what} cannot be read"));
    let state: String = row.try_get(6)?;
    let state = from_hex(&state).ok_or_else(|| damaged("hash"))?;
    let state = state.as_slice().try_into().map_err(|_| damaged("hash"))?;
    Ok(Upload {
        id: row.try_get(0)?,
        content: serde_json::from_str(row.try_get::<String, _>(1)?.as_str()).map_err(|_| damaged("content"))?,
        sha256: row.try_get(2)?,
        force: row.try_get::<i64, _>(3)? != 0,
        length: row.try_get::<i64, _>(4)?.unsigned_abs(),
        received: row.try_get::<i64, _>(5)?.unsigned_abs(),
        hash: Sha256::deserialize(state).map_err(|_| damaged("hash"))?,
        expires_at: row.try_get(7)?,
        metadata: row.try_get(8)?,
    })
}

#[cfg(test)]
mod tests;
