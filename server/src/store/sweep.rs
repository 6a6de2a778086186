//! Removing what nothing needs: objects of deleted versions, once the downloads that had begun are over, those of uploads
//! that a crash cut off, and old lines of the audit table. Several servers may sweep one store at once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use futures_util::TryStreamExt;
use sqlx::Row;

use super::blobs::blob_of;
use super::uploads as begun;
use super::{Store, StoreError, audit};
use crate::instant::{self, HOUR};

/// How old what is removed must be, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// Since a version was deleted, for its objects.
    pub discarded: i64,
    /// Since anything was added to an upload that no transaction published. A living one adds a part every ten minutes;
    /// the rest is for clocks that differ.
    pub abandoned: i64,
    /// Of a line of the audit table.
    pub audit: i64,
}

impl Ages {
    /// What `serve` sweeps by; the audit table is kept for so many days.
    pub fn serving(audit_days: i64) -> Self {
        Self { discarded: HOUR, abandoned: 24 * HOUR, audit: audit_days * 24 * HOUR }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects, and files of objects that were never whole.
    pub objects: usize,
    /// Lines of the audit table.
    pub audit: u64,
}

/// Sweeps once. It may be dropped at any point.
pub async fn sweep(store: &Store, ages: &Ages) -> Result<Swept, StoreError> {
    for id in begun::expired(&store.database).await? {
        begun::remove(store, &id).await?;
    }
    let objects = discarded(store, ages.discarded).await? + abandoned(store, ages.abandoned).await?;
    Ok(Swept { objects, audit: audit::prune(&store.database, instant::now() - ages.audit).await? })
}

async fn discarded(store: &Store, age: i64) -> Result<usize, StoreError> {
    let rows = sqlx::query("SELECT object_key FROM discarded WHERE discarded_at <= $1")
        .bind(instant::now() - age)
        .fetch_all(store.database.pool())
        .await?;
    for row in &rows {
        let key: String = row.try_get(0)?;
        store.blobs.remove([key.clone()]).await?;
        sqlx::query("DELETE FROM discarded WHERE object_key = $1").bind(key).execute(store.database.pool()).await?;
    }
    Ok(rows.len())
}

async fn abandoned(store: &Store, age: i64) -> Result<usize, StoreError> {
    // Objects of one upload go together.
    let mut uploads: HashMap<String, (i64, Vec<String>)> = HashMap::new();
    let mut objects = store.blobs.objects().list(None);
    while let Some(object) = objects.try_next().await? {
        let key = object.location.to_string();
        let upload = blob_of(&key).to_owned();
        let (newest, keys) = uploads.entry(upload).or_insert((i64::MIN, Vec::new()));
        *newest = (*newest).max(object.last_modified.timestamp_micros());
        keys.push(key);
    }
    let limit = instant::now() - age;
    uploads.retain(|_, (newest, _)| *newest <= limit);
    // An upload that can be gone on with expires by its own rule, and has parts that do not count yet.
    for id in begun::all(&store.database).await? {
        uploads.remove(&id);
    }
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
        let age = Duration::from_micros(age.unsigned_abs());
        removed += tokio::task::spawn_blocking(move || unfinished(&folder, age)).await??;
    }
    Ok(removed)
}

/// Files that object_store was writing when a crash came; it names them `name#number` and never lists them.
fn unfinished(folder: &Path, age: Duration) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let old = |modified: SystemTime| modified.elapsed().is_ok_and(|elapsed| elapsed >= age);
        // Gone in the meantime: an upload that ended well, or another server sweeps.
        let Some(metadata) = unless_gone(entry.metadata())? else { continue };
        if entry.file_name().to_string_lossy().contains('#') && metadata.modified().is_ok_and(old) {
            removed += usize::from(unless_gone(fs::remove_file(entry.path()))?.is_some());
        }
    }
    Ok(removed)
}

fn unless_gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::store::audit::Entry;
    use crate::store::blobs::BlobWriter;
    use crate::store::packages;
    use crate::store::tests::store;
    use bytes::Bytes;
    use std::path::PathBuf;

    const NEVER: i64 = 1_000 * 24 * HOUR;
    const OLD: Ages = Ages { discarded: NEVER, abandoned: NEVER, audit: NEVER };

    async fn publish(store: &Store, id: &str) {
        let mut writer = BlobWriter::new(&store.blobs);
        writer.write(Bytes::from(id.to_owned())).await.unwrap();
        let archive = Archive {
            id: id.into(),
            version: uss::Version::parse("1.0").unwrap(),
            name: None,
            display_name: None,
            description: None,
            dependencies: Vec::new(),
        };
        let fresh = writer.finish().await.unwrap();
        packages::publish(store, fresh, archive, false, &Entry::command_line()).await.unwrap();
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[tokio::test]
    async fn objects_of_a_deleted_version_stay_for_a_while_and_those_of_others_for_good() {
        let (_folder, store) = store().await;
        publish(&store, "kept").await;
        publish(&store, "gone").await;
        let version = uss::Version::parse("1.0").unwrap();
        assert!(packages::delete(&store, "gone", &version, &Entry::command_line()).await.unwrap());
        let blobs = store.blobs.folder().unwrap();
        assert_eq!(sweep(&store, &OLD).await.unwrap(), Swept { objects: 0, audit: 0 });
        assert_eq!(files(blobs).len(), 2);
        // However old: what is discarded is no orphan before its time.
        assert_eq!(sweep(&store, &Ages { abandoned: 0, ..OLD }).await.unwrap().objects, 0);
        assert_eq!(sweep(&store, &Ages { discarded: 0, ..OLD }).await.unwrap().objects, 1);
        assert_eq!(fs::read_to_string(&files(blobs)[0]).unwrap(), "kept");
        assert_eq!(sweep(&store, &Ages { discarded: 0, abandoned: 0, audit: NEVER }).await.unwrap().objects, 0);
    }

    #[tokio::test]
    async fn what_a_crash_left_of_uploads_goes_once_it_is_old() {
        let (_folder, store) = store().await;
        publish(&store, "kept").await;
        let blobs = store.blobs.folder().unwrap();
        for name in ["upload.000000", "upload.000001", "upload.000002#1"] {
            fs::write(blobs.join(name), b"x").unwrap();
        }
        assert_eq!(sweep(&store, &OLD).await.unwrap().objects, 0);
        assert_eq!(files(blobs).len(), 4);
        assert_eq!(sweep(&store, &Ages { abandoned: 0, ..OLD }).await.unwrap().objects, 3);
        assert_eq!(fs::read_dir(blobs).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(&files(blobs)[0]).unwrap(), "kept");
    }

    #[tokio::test]
    async fn servers_that_sweep_at_once_do_not_fail_for_each_other() {
        let (_folder, store) = store().await;
        let blobs = store.blobs.folder().unwrap();
        for upload in 0..100 {
            fs::write(blobs.join(format!("{upload}.000000#1")), b"x").unwrap();
        }
        let sweep = || {
            let store = store.clone();
            tokio::spawn(async move { super::sweep(&store, &Ages { abandoned: 0, ..OLD }).await })
        };
        let (first, second, third) = (sweep(), sweep(), sweep());
        for swept in [first, second, third] {
            swept.await.unwrap().unwrap();
        }
        assert_eq!(fs::read_dir(blobs).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn lines_of_the_audit_table_go_once_they_are_old() {
        let (_folder, store) = store().await;
        publish(&store, "a").await;
        for _ in 0..3 {
            audit::write(&store.database, &Entry::command_line(), "test", "", "old").await.unwrap();
        }
        let day = 24 * HOUR;
        sqlx::query("UPDATE audit SET at = at - $1 WHERE outcome = 'old'")
            .bind(31 * day)
            .execute(store.database.pool())
            .await
            .unwrap();
        assert_eq!(sweep(&store, &Ages::serving(32)).await.unwrap().audit, 0);
        assert_eq!(sweep(&store, &Ages::serving(30)).await.unwrap().audit, 3);
        let left = sqlx::query("SELECT id FROM audit").fetch_all(store.database.pool()).await.unwrap();
        assert_eq!(left.len(), 1);
    }
}
