//! The pool, one type for every database, and the schema's migrations.
//!
//! SQL is plain enough for SQLite and PostgreSQL: TEXT, BIGINT, `$1`, ON CONFLICT, RETURNING.

mod postgres;
mod sqlite;

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, SqlStr, Transaction};
use url::Url;

use super::StoreError;

/// Connections a process holds at most; each of SQLite's is a thread, each of PostgreSQL's a process.
const CONNECTIONS: u32 = 8;

/// Connections of those for [`Database::write_lazily`].
const LAZY: u32 = 2;

/// The pools, shared by clones.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    lazy: AnyPool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    /// Opens the database at `url`, and brings its schema up to date. One in a file is made where `create` says so.
    pub async fn open(data: &Path, url: &Url, create: bool) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match url.scheme() {
            "sqlite" => sqlite::open(data, url, create).await,
            "postgres" | "postgresql" => postgres::open(url).await,
            other => Err(StoreError::Address(format!(
                "the database address has the scheme '{other}'; this server speaks to sqlite:PATH and postgres://HOST/NAME"
            ))),
        }
    }

    /// For single statements.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// A transaction that begins as a write, so that it never fails half-way for another writer: one after the other,
    /// whichever process they are of.
    pub async fn write(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.begin(&self.pool).await
    }

    /// The same for what may be done again: a commit does not wait for the disk, and a power cut may take it back, unless
    /// one of [`Self::write`] came after it.
    pub async fn write_lazily(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.begin(&self.lazy).await
    }

    async fn begin(&self, pool: &AnyPool) -> Result<Transaction<'static, Any>, StoreError> {
        match self.kind {
            Kind::Sqlite => Ok(pool.begin_with("BEGIN IMMEDIATE").await?),
            Kind::Postgres => {
                let mut transaction = pool.begin().await?;
                postgres::lock(&mut transaction).await?;
                Ok(transaction)
            }
        }
    }

    /// Waits until every connection is closed.
    pub async fn close(&self) {
        self.lazy.close().await;
        self.pool.close().await;
    }
}

/// Migrations in their order, each with its number and name. Never change one that was released: add one.
type Migrations = &'static [(i64, &'static str, &'static str)];

async fn migrate(pool: &AnyPool, migrations: Migrations) -> Result<(), StoreError> {
    let migrations = migrations.iter().map(|(version, description, sql)| {
        Migration::new(*version, (*description).into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Ok(Migrator::with_migrations(migrations.collect()).run(pool).await?)
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
