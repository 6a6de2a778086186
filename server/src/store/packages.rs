//! Packages and their versions.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use uss::Version;
use uss::update_service::model::Dependency;

use super::audit::{self, Entry};
use super::blobs::{self, FreshBlob};
use super::database::Database;
use super::page::{self, Page};
use super::{Store, StoreError};
use crate::archive::Archive;
use crate::instant;

/// A published version.
#[derive(Clone, Debug)]
pub struct PackageVersion {
    /// The package.
    pub package_id: String,
    /// As published.
    pub version: String,
    /// Name, DisplayName and Description of its manifest.
    pub titles: [Option<String>; 3],
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// Its content.
    pub blob_id: String,
    /// Bytes of the content.
    pub size: u64,
    /// 64 lower-case hex digits.
    pub sha256: String,
    /// Microseconds since 1970.
    pub published_at: i64,
    /// The name of who published it.
    pub published_by: String,
}

/// What publishing came to.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is new.
    Created(PackageVersion),
    /// The same bytes were there already.
    AlreadyThere(PackageVersion),
    /// Other bytes were there, and were replaced by force.
    Replaced(PackageVersion),
    /// Other bytes are there; nothing changed.
    Conflict(PackageVersion),
}

const COLUMNS: &str = "v.package_id, v.version, v.name, v.display_name, v.description, v.dependencies, v.blob_id, \
                       b.size, b.sha256, v.published_at, v.published_by";

/// One page of packages, their newest version each, in the order of their ids.
pub async fn list(
    database: &Database,
    search: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Result<Page<PackageVersion>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM versions v JOIN blobs b ON b.id = v.blob_id \
         WHERE v.sort_key = (SELECT MAX(n.sort_key) FROM versions n WHERE n.package_id = v.package_id) \
         AND v.package_id > $1 AND ($2 = '%%' OR lower(v.package_id) LIKE $2 ESCAPE '\\' \
         OR lower(v.name) LIKE $2 ESCAPE '\\' \
         OR lower(v.display_name) LIKE $2 ESCAPE '\\' OR lower(v.description) LIKE $2 ESCAPE '\\') \
         ORDER BY v.package_id LIMIT $3"
    );
    // Letters of ASCII alone, as lower() does in SQLite and for PostgreSQL's COLLATE "C": with more, a capital of another
    // script finds nothing.
    let search = search.unwrap_or_default().to_ascii_lowercase();
    let escaped = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(after.unwrap_or_default().to_owned())
        .bind(format!("%{escaped}%"))
        .bind(page::with_next(limit))
        .fetch_all(database.pool())
        .await?;
    Ok(Page::of(rows.iter().map(version).collect::<Result<_, _>>()?, limit))
}

/// All versions of these packages, newest first; unknown ids are absent.
pub async fn versions(database: &Database, ids: &[String]) -> Result<Vec<PackageVersion>, StoreError> {
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM versions v JOIN blobs b ON b.id = v.blob_id WHERE v.package_id IN ({}) \
         ORDER BY v.package_id, v.sort_key DESC",
        places.join(", ")
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.clone()));
    let rows = query.fetch_all(database.pool()).await?;
    rows.iter().map(version).collect()
}

/// The version of this precedence.
pub async fn find(database: &Database, id: &str, version: &Version) -> Result<Option<PackageVersion>, StoreError> {
    let row = find_query(id, version).fetch_optional(database.pool()).await?;
    row.as_ref().map(self::version).transpose()
}

/// Publishes a whole blob as the version that its archive says, in one transaction. Removes the blob's objects unless
/// they were published.
pub async fn publish(
    store: &Store,
    blob: FreshBlob,
    archive: Archive,
    force: bool,
    by: &Entry,
) -> Result<Published, StoreError> {
    let (store, by) = (store.clone(), by.clone());
    // A task of its own: whoever asked may go away, but a commit that has begun must be followed to its end before
    // anybody decides whether the objects are needed.
    tokio::spawn(async move {
        let outcome = publish_in_transaction(&store, &blob, &archive, force, &by).await;
        let takes_it = |published: &Published| matches!(published, Published::Created(_) | Published::Replaced(_));
        blobs::settle(&store.database, blob, outcome, takes_it).await
    })
    .await?
}

async fn publish_in_transaction(
    store: &Store,
    blob: &FreshBlob,
    archive: &Archive,
    force: bool,
    by: &Entry,
) -> Result<Published, StoreError> {
    let mut transaction = store.database.write().await?;
    let existing = find_query(&archive.id, &archive.version).fetch_optional(&mut *transaction).await?;
    let existing = existing.as_ref().map(version).transpose()?;
    if let Some(existing) = &existing {
        if existing.sha256 == blob.sha256 {
            return Ok(Published::AlreadyThere(existing.clone()));
        }
        if !force {
            return Ok(Published::Conflict(existing.clone()));
        }
        remove(&mut transaction, &archive.id, &archive.version, &existing.blob_id).await?;
    }
    blobs::record(&mut transaction, blob).await?;
    let published_at = instant::now();
    let dependencies = serde_json::to_string(&archive.dependencies).map_err(|error| damaged(&error))?;
    sqlx::query(
        "INSERT INTO versions (package_id, identity, sort_key, version, name, display_name, description, dependencies, \
         blob_id, published_at, published_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(archive.id.clone())
    .bind(archive.version.identity())
    .bind(archive.version.sort_key())
    .bind(archive.version.as_str().to_owned())
    .bind(archive.name.clone())
    .bind(archive.display_name.clone())
    .bind(archive.description.clone())
    .bind(dependencies)
    .bind(blob.id.clone())
    .bind(published_at)
    .bind(by.actor.clone())
    .execute(&mut *transaction)
    .await?;
    let outcome = if existing.is_some() { "replaced" } else { "created" };
    let target = format!("{} {}", archive.id, archive.version);
    audit::write_in(&mut transaction, by, "package.publish", &target, outcome).await?;
    transaction.commit().await?;
    let published = PackageVersion {
        package_id: archive.id.clone(),
        version: archive.version.as_str().to_owned(),
        titles: [archive.name.clone(), archive.display_name.clone(), archive.description.clone()],
        dependencies: archive.dependencies.clone(),
        blob_id: blob.id.clone(),
        size: blob.size,
        sha256: blob.sha256.clone(),
        published_at,
        published_by: by.actor.clone(),
    };
    Ok(if existing.is_some() { Published::Replaced(published) } else { Published::Created(published) })
}

/// Deletes a version. False: there was none.
pub async fn delete(store: &Store, id: &str, version: &Version, by: &Entry) -> Result<bool, StoreError> {
    let mut transaction = store.database.write().await?;
    let Some(row) = find_query(id, version).fetch_optional(&mut *transaction).await? else { return Ok(false) };
    let existing = self::version(&row)?;
    remove(&mut transaction, id, version, &existing.blob_id).await?;
    let target = format!("{id} {}", existing.version);
    audit::write_in(&mut transaction, by, "package.delete", &target, "deleted").await?;
    transaction.commit().await?;
    Ok(true)
}

async fn remove(
    transaction: &mut Transaction<'_, Any>,
    id: &str,
    version: &Version,
    blob_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM versions WHERE package_id = $1 AND identity = $2")
        .bind(id.to_owned())
        .bind(version.identity())
        .execute(&mut **transaction)
        .await?;
    blobs::forget(transaction, blob_id).await
}

fn find_query<'q>(id: &str, version: &Version) -> sqlx::query::Query<'q, Any, sqlx::any::AnyArguments> {
    let sql = format!(
        "SELECT {COLUMNS} FROM versions v JOIN blobs b ON b.id = v.blob_id WHERE v.package_id = $1 AND v.identity = $2"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).bind(version.identity())
}

fn version(row: &AnyRow) -> Result<PackageVersion, StoreError> {
    let dependencies: String = row.try_get(5)?;
    Ok(PackageVersion {
        package_id: row.try_get(0)?,
        version: row.try_get(1)?,
        titles: [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?],
        dependencies: serde_json::from_str(&dependencies).map_err(|error| damaged(&error))?,
        blob_id: row.try_get(6)?,
        size: row.try_get::<i64, _>(7)?.unsigned_abs(),
        sha256: row.try_get(8)?,
        published_at: row.try_get(9)?,
        published_by: row.try_get(10)?,
    })
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("a version's dependencies cannot be read: {error}"))
}
