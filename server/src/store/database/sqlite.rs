//! SQLite: a file beside the server, for one machine.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use url::Url;

use super::{CONNECTIONS, Database, Kind, LAZY, Migrations};
use crate::store::StoreError;

const MIGRATIONS: Migrations = &[
    (1, "begin", include_str!("../../../migrations/sqlite/0001_begin.sql")),
    (2, "uploads", include_str!("../../../migrations/sqlite/0002_uploads.sql")),
    (3, "people", include_str!("../../../migrations/sqlite/0003_people.sql")),
    (4, "environments", include_str!("../../../migrations/sqlite/0004_environments.sql")),
    (5, "agents", include_str!("../../../migrations/sqlite/0005_agents.sql")),
    (6, "tags", include_str!("../../../migrations/sqlite/0006_tags.sql")),
    (7, "key file", include_str!("../../../migrations/sqlite/0007_key_file.sql")),
];

/// Opens the file, and makes it where `create` says so.
pub(super) async fn open(data: &Path, url: &Url, create: bool) -> Result<Database, StoreError> {
    if !data.is_dir() {
        return Err(StoreError::Address(format!("there is no data in {}", data.display())));
    }
    let mut url = url.clone();
    url.query_pairs_mut().clear().append_pair("mode", if create { "rwc" } else { "rw" });
    let options: AnyConnectOptions = url.as_str().parse()?;
    // FULL: a commit that was answered is on disk. NORMAL: it is not before the next one that is.
    let pool = pool_of(CONNECTIONS, "FULL").connect_lazy_with(options.clone());
    let lazy = pool_of(LAZY, "NORMAL").connect_lazy_with(options);
    let database = Database { pool, lazy, kind: Kind::Sqlite };
    prepare(&database, data).await.map_err(|error| match error {
        StoreError::Database(sqlx::Error::Database(inner)) if inner.code().as_deref() == Some("14") => {
            StoreError::Address(format!("there is no database in {}", data.display()))
        }
        other => other,
    })?;
    Ok(database)
}

/// Turns WAL on and migrates, one process at a time: SQLite has no lock that spans both.
async fn prepare(database: &Database, data: &Path) -> Result<(), StoreError> {
    let path = data.join("migrate.lock");
    let lock = tokio::task::spawn_blocking(move || -> std::io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    })
    .await??;
    database.pool.execute("PRAGMA journal_mode = WAL").await?;
    super::migrate(&database.pool, MIGRATIONS).await?;
    drop(lock);
    Ok(())
}

fn pool_of(connections: u32, synchronous: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            // SQLite itself rolls back what a full disk stopped; sqlx then counts a transaction that never ends, and
            // begins no other on this connection.
            let fresh = !connection.is_in_transaction();
            Box::pin(async move { Ok(fresh) })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let settings = format!(
                    "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA synchronous = {synchronous};"
                );
                connection.execute(AssertSqlSafe(settings)).await.map(|_| ())
            })
        })
}
