//! PostgreSQL: a server of its own, for many machines before one store.

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Executor, Row, Transaction};
use url::Url;

use super::{CONNECTIONS, Database, Kind, LAZY, Migrations};
use crate::store::StoreError;

const MIGRATIONS: Migrations = &[(1, "begin", include_str!("../../../migrations/postgres/0001_begin.sql"))];

/// Whoever writes holds this advisory lock; the number is ours: "uss-serv", as bytes.
const WRITING: i64 = 0x7573_732d_7365_7276;

/// How long one waits for a connection, for one that has to be made anew in between too.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one waits for those who write before it. SQLite's busy_timeout is the same.
const LOCK_TIMEOUT: &str = "10s";

/// Opens the database, which has to be there.
///
/// Who signs in, how and with which certificates is said as for all of PostgreSQL's programs: `PGUSER`, `PGPASSWORD`,
/// `PGPASSFILE`, `PGSSLMODE`, `PGSSLROOTCERT` (postgresql.org/docs/current/libpq-envars.html).
pub(super) async fn open(url: &Url) -> Result<Database, StoreError> {
    if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
        return Err(StoreError::Address(
            "the database address holds a password, which every list of processes shows; leave it out, and give it in \
             PGPASSWORD or in the file that PGPASSFILE names"
                .into(),
        ));
    }
    let options: AnyConnectOptions = url.as_str().parse()?;
    let unusable =
        |why: &dyn std::fmt::Display| StoreError::Address(format!("the database {url} cannot be used: {why}"));
    // A pool would try again for as long as a request may wait, and not say why.
    let encoding = encoding(&options).await.map_err(|error| unusable(&error))?;
    if encoding != "UTF8" {
        return Err(unusable(&format_args!("its encoding is {encoding}; make one with createdb --encoding UTF8")));
    }
    // on: a commit that was answered is on disk. off: it is not before the next one that is.
    let pool = pool_of(CONNECTIONS, "on").connect_lazy_with(options.clone());
    let lazy = pool_of(LAZY, "off").connect_lazy_with(options);
    // sqlx holds a lock of its own meanwhile: several servers may start at once.
    super::migrate(&pool, MIGRATIONS).await?;
    Ok(Database { pool, lazy, kind: Kind::Postgres })
}

/// How the database writes text.
async fn encoding(options: &AnyConnectOptions) -> Result<String, sqlx::Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    let row = sqlx::query("SELECT current_setting('server_encoding')").fetch_one(&mut connection).await?;
    connection.close().await?;
    row.try_get(0)
}

/// Waits for those who write, and keeps others from it until the transaction ends. Each statement then sees all that
/// was committed before it, as PostgreSQL isolates by statements: what is looked at and what is written fit together, as
/// in SQLite.
pub(super) async fn lock(transaction: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(WRITING).execute(&mut **transaction).await?;
    Ok(())
}

fn pool_of(connections: u32, synchronous: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).after_connect(
        move |connection, _| {
            Box::pin(async move {
                let settings = format!(
                    "SET lock_timeout = '{LOCK_TIMEOUT}'; SET synchronous_commit = {synchronous}; \
                     SET idle_in_transaction_session_timeout = '60s'"
                );
                connection.execute(AssertSqlSafe(settings)).await.map(|_| ())
            })
        },
    )
}
