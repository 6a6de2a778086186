//! The pool, one type for every database, and the schema's migrations.
//!
//! SQL is plain enough for SQLite and PostgreSQL: TEXT, BIGINT, `$1`, ON CONFLICT, RETURNING.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, AssertSqlSafe, Connection, Executor, SqlStr, Transaction};
use url::Url;

use super::StoreError;

/// Connections a process holds at most; each of SQLite's is a thread.
const CONNECTIONS: u32 = 8;

/// Migrations of SQLite, in their order. Never change one that was released: add one.
const SQLITE: [(i64, &str, &str); 6] = [
    (1, "begin", include_str!("../../migrations/sqlite/0001_begin.sql")),
    (2, "uploads", include_str!("../../migrations/sqlite/0002_uploads.sql")),
    (3, "people", include_str!("../../migrations/sqlite/0003_people.sql")),
    (4, "environments", include_str!("../../migrations/sqlite/0004_environments.sql")),
    (5, "agents", include_str!("../../migrations/sqlite/0005_agents.sql")),
    (6, "tags", include_str!("../../migrations/sqlite/0006_tags.sql")),
];

/// Connections of those for [`Database::write_lazily`].
const LAZY: u32 = 2;

/// The pools, shared by clones.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    lazy: AnyPool,
}

impl Database {
    /// Opens the database at `url`, makes it where `create` says so, and brings its schema up to date.
    pub async fn open(data: &Path, url: &Url, create: bool) -> Result<Self, StoreError> {
        if url.scheme() != "sqlite" {
            return Err(StoreError::Address(format!(
                "the database address has the scheme '{}'; this server speaks to sqlite:PATH only",
                url.scheme()
            )));
        }
        sqlx::any::install_default_drivers();
        let mut url = url.clone();
        url.query_pairs_mut().clear().append_pair("mode", if create { "rwc" } else { "rw" });
        let options: AnyConnectOptions = url.as_str().parse()?;
        // FULL: a commit that was answered is on disk. NORMAL: it is not before the next one that is.
        let pool = pool_of(CONNECTIONS, "FULL").connect_lazy_with(options.clone());
        let lazy = pool_of(LAZY, "NORMAL").connect_lazy_with(options);
        let database = Self { pool, lazy };
        database.prepare(data).await.map_err(|error| match error {
            StoreError::Database(sqlx::Error::Database(inner)) if inner.code().as_deref() == Some("14") => {
                StoreError::Address(format!("there is no database in {}", data.display()))
            }
            other => other,
        })?;
        Ok(database)
    }

    /// Turns WAL on and migrates, one process at a time: SQLite has no lock that spans both.
    async fn prepare(&self, data: &Path) -> Result<(), StoreError> {
        if !data.is_dir() {
            return Err(StoreError::Address(format!("there is no data in {}", data.display())));
        }
        let path = data.join("migrate.lock");
        let lock = tokio::task::spawn_blocking(move || -> std::io::Result<File> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.lock()?;
            Ok(file)
        })
        .await??;
        self.pool.execute("PRAGMA journal_mode = WAL").await?;
        let migrations = SQLITE.map(|(version, description, sql)| {
            Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
        });
        Migrator::with_migrations(migrations.into()).run(&self.pool).await?;
        drop(lock);
        Ok(())
    }

    /// For single statements.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// A transaction that begins as a write, so that it never fails half-way for another writer.
    pub async fn write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// The same for what may be done again: a commit does not wait for the disk, and a power cut may take it back, unless
    /// one of [`Self::write`] came after it.
    pub async fn write_lazily(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(self.lazy.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        self.lazy.close().await;
        self.pool.close().await;
    }
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

#[cfg(test)]
mod tests {
    use crate::store::StoreError;
    use crate::store::tests::store;

    #[tokio::test]
    async fn writing_goes_on_after_a_transaction_that_found_no_room() {
        let (_folder, store) = store().await;
        let mut transaction = store.database.write().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *transaction).await.unwrap();
        let write = "INSERT INTO failures (subject, at) VALUES (hex(zeroblob(1000000)), 1)";
        let error = sqlx::query(write).execute(&mut *transaction).await.unwrap_err();
        assert!(matches!(StoreError::from(error), StoreError::Full));
        drop(transaction);
        for _ in 0..10 {
            store.database.write().await.unwrap().commit().await.unwrap();
        }
    }
}
