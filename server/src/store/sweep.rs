//! Removing objects that nothing needs: of deleted versions, once the downloads that had begun are over, and of uploads
//! that a crash cut off.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use sqlx::Row;

use super::{Store, StoreError};
use crate::instant::{self, HOUR};

/// How long the objects of a deleted version stay, in microseconds.
const DISCARDED: i64 = HOUR;

/// How long nothing must have been added to an upload that no transaction published. A living one adds a part every
/// ten minutes; the rest is for clocks that differ.
const ABANDONED: i64 = 24 * HOUR;

/// Sweeps once. Gives how many objects were removed.
pub async fn sweep(store: &Store) -> Result<usize, StoreError> {
    Ok(discarded(store).await? + abandoned(store).await?)
}

async fn discarded(store: &Store) -> Result<usize, StoreError> {
    let rows = sqlx::query("SELECT object_key FROM discarded WHERE discarded_at <= $1")
        .bind(instant::now() - DISCARDED)
        .fetch_all(store.database.pool())
        .await?;
    for row in &rows {
        let key: String = row.try_get(0)?;
        store.blobs.remove([key.clone()]).await?;
        sqlx::query("DELETE FROM discarded WHERE object_key = $1").bind(key).execute(store.database.pool()).await?;
    }
    Ok(rows.len())
}

async fn abandoned(store: &Store) -> Result<usize, StoreError> {
    // An upload's objects share the first segment of their keys.
    let mut uploads: HashMap<String, (i64, Vec<String>)> = HashMap::new();
    let mut objects = store.blobs.objects().list(None);
    while let Some(object) = objects.try_next().await? {
        let key = object.location.to_string();
        let upload = key.split('/').next().unwrap_or_default().to_owned();
        let (newest, keys) = uploads.entry(upload).or_insert((i64::MIN, Vec::new()));
        *newest = (*newest).max(object.last_modified.timestamp_micros());
        keys.push(key);
    }
    let limit = instant::now() - ABANDONED;
    uploads.retain(|_, (newest, _)| *newest <= limit);
    let mut removed = 0;
    if !uploads.is_empty() {
        let rows = sqlx::query("SELECT object_key FROM parts UNION SELECT object_key FROM discarded")
            .fetch_all(store.database.pool())
            .await?;
        let known = rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<HashSet<_>, _>>()?;
        for (_, keys) in uploads.into_values() {
            let orphans: Vec<_> = keys.into_iter().filter(|key| !known.contains(key)).collect();
            removed += orphans.len();
            store.blobs.remove(orphans).await?;
        }
    }
    if let Some(folder) = store.blobs.folder().cloned() {
        let age = Duration::from_micros(ABANDONED.unsigned_abs());
        removed += tokio::task::spawn_blocking(move || unfinished(&folder, age)).await??;
    }
    Ok(removed)
}

/// Files that object_store was writing when a crash came; it names them `name#number` and never lists them.
fn unfinished(folder: &Path, age: Duration) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let old = |modified: SystemTime| modified.elapsed().is_ok_and(|elapsed| elapsed >= age);
        // Gone in the meantime: an upload that ended well.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            removed += unfinished(&entry.path(), age)?;
            if metadata.modified().is_ok_and(old) && std::fs::read_dir(entry.path())?.next().is_none() {
                std::fs::remove_dir(entry.path())?;
            }
        } else if entry.file_name().to_string_lossy().contains('#') && metadata.modified().is_ok_and(old) {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
