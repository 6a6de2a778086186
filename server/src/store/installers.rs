//! Installers: files with a GUID that is their address.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::audit::{self, Entry};
use super::blobs::{self, FreshBlob};
use super::database::Database;
use super::{Store, StoreError, new_id};
use crate::instant;

/// An installer.
#[derive(Clone, Debug)]
pub struct Installer {
    /// A GUID, lower case.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The package that it installs, where it is for one.
    pub package_id: Option<String>,
    /// That package's version.
    pub version: Option<String>,
    /// `Setup.exe`.
    pub file_name: String,
    /// Its content.
    pub blob_id: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hex digits.
    pub sha256: String,
    /// Microseconds since 1970.
    pub published_at: i64,
}

/// An installer to publish.
#[derive(Clone, Debug)]
pub struct NewInstaller {
    /// None: a fresh GUID.
    pub id: Option<String>,
    /// What people call it.
    pub name: String,
    /// The package that it installs.
    pub package_id: Option<String>,
    /// That package's version.
    pub version: Option<String>,
    /// `Setup.exe`.
    pub file_name: String,
}

/// What publishing came to.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is new.
    Created(Installer),
    /// The same bytes were there already under this id.
    AlreadyThere(Installer),
    /// Other bytes were there, and were replaced by force.
    Replaced(Installer),
    /// Other bytes are there under this id; nothing changed.
    Conflict(Installer),
}

const SELECT: &str = "SELECT i.id, i.name, i.package_id, i.version, i.file_name, i.blob_id, b.size, b.sha256, \
                      i.published_at FROM installers i JOIN blobs b ON b.id = i.blob_id";

fn from_row(row: &AnyRow) -> Result<Installer, StoreError> {
    Ok(Installer {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        package_id: row.try_get(2)?,
        version: row.try_get(3)?,
        file_name: row.try_get(4)?,
        blob_id: row.try_get(5)?,
        size: row.try_get::<i64, _>(6)?.unsigned_abs(),
        sha256: row.try_get(7)?,
        published_at: row.try_get(8)?,
    })
}

/// All installers, by name.
pub async fn list(database: &Database) -> Result<Vec<Installer>, StoreError> {
    let sql = AssertSqlSafe(format!("{SELECT} ORDER BY i.name, i.id"));
    sqlx::query(sql).fetch_all(database.pool()).await?.iter().map(from_row).collect()
}

/// The installer of this GUID.
pub async fn find(database: &Database, id: &str) -> Result<Option<Installer>, StoreError> {
    let sql = AssertSqlSafe(format!("{SELECT} WHERE i.id = $1"));
    let row = sqlx::query(sql).bind(id.to_lowercase()).fetch_optional(database.pool()).await?;
    row.as_ref().map(from_row).transpose()
}

/// Publishes a whole blob as an installer, in one transaction. Removes the blob's objects unless they were published.
pub async fn publish(
    store: &Store,
    blob: FreshBlob,
    new: NewInstaller,
    force: bool,
    by: &Entry,
) -> Result<Published, StoreError> {
    let (store, by) = (store.clone(), by.clone());
    // A task of its own: whoever asked may go away, but a commit that has begun must be followed to its end before
    // anybody decides whether the objects are needed.
    tokio::spawn(async move {
        let outcome = publish_in_transaction(&store, &blob, &new, force, &by).await;
        let takes_it = |published: &Published| matches!(published, Published::Created(_) | Published::Replaced(_));
        blobs::settle(&store.database, blob, outcome, takes_it).await
    })
    .await?
}

async fn publish_in_transaction(
    store: &Store,
    blob: &FreshBlob,
    new: &NewInstaller,
    force: bool,
    by: &Entry,
) -> Result<Published, StoreError> {
    let mut transaction = store.database.write().await?;
    let id = new.id.clone().unwrap_or_else(new_id).to_lowercase();
    let sql = AssertSqlSafe(format!("{SELECT} WHERE i.id = $1"));
    let existing = sqlx::query(sql).bind(id.clone()).fetch_optional(&mut *transaction).await?;
    let existing = existing.as_ref().map(from_row).transpose()?;
    if let Some(existing) = &existing {
        if existing.sha256 == blob.sha256 {
            return Ok(Published::AlreadyThere(existing.clone()));
        }
        if !force {
            return Ok(Published::Conflict(existing.clone()));
        }
        sqlx::query("DELETE FROM installers WHERE id = $1").bind(id.clone()).execute(&mut *transaction).await?;
        blobs::forget(&mut transaction, &existing.blob_id).await?;
    }
    blobs::record(&mut transaction, blob).await?;
    let published_at = instant::now();
    sqlx::query(
        "INSERT INTO installers (id, name, package_id, version, file_name, blob_id, published_at, published_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.clone())
    .bind(new.name.clone())
    .bind(new.package_id.clone())
    .bind(new.version.clone())
    .bind(new.file_name.clone())
    .bind(blob.id.clone())
    .bind(published_at)
    .bind(by.actor.clone())
    .execute(&mut *transaction)
    .await?;
    let outcome = if existing.is_some() { "replaced" } else { "created" };
    audit::write_in(&mut transaction, by, "installer.publish", &format!("{} ({id})", new.name), outcome).await?;
    transaction.commit().await?;
    let published = Installer {
        id,
        name: new.name.clone(),
        package_id: new.package_id.clone(),
        version: new.version.clone(),
        file_name: new.file_name.clone(),
        blob_id: blob.id.clone(),
        size: blob.size,
        sha256: blob.sha256.clone(),
        published_at,
    };
    Ok(if existing.is_some() { Published::Replaced(published) } else { Published::Created(published) })
}
