//! Who did what, when, from where: each change and each refused exchange.

use sqlx::{Any, Transaction};

use super::database::Database;
use super::{StoreError, new_id};
use crate::instant;

/// Who, and from where.
#[derive(Clone, Debug)]
pub struct Entry {
    /// A user's name, or the name that was tried.
    pub actor: String,
    /// None: the command line.
    pub address: Option<String>,
}

impl Entry {
    /// Somebody at this machine's command line.
    pub fn command_line() -> Self {
        Self { actor: "command line".into(), address: None }
    }
}

/// Longest text of a column: what strangers send is kept, but not without end.
const LONGEST: usize = 200;

/// Writes a line as part of the change that it tells.
pub async fn write_in(
    transaction: &mut Transaction<'_, Any>,
    by: &Entry,
    action: &str,
    target: &str,
    outcome: &str,
) -> Result<(), StoreError> {
    insert(by, action, target, outcome).execute(&mut **transaction).await?;
    Ok(())
}

/// Writes a line of its own.
pub async fn write(
    database: &Database,
    by: &Entry,
    action: &str,
    target: &str,
    outcome: &str,
) -> Result<(), StoreError> {
    insert(by, action, target, outcome).execute(database.pool()).await?;
    Ok(())
}

/// Removes the lines from before `before`; gives how many. A few at a time, so that others can write in between.
pub async fn prune(database: &Database, before: i64) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        let sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT 1000)";
        let some = sqlx::query(sql).bind(before).execute(database.pool()).await?.rows_affected();
        if some == 0 {
            return Ok(removed);
        }
        removed += some;
    }
}

fn insert<'q>(
    by: &Entry,
    action: &str,
    target: &str,
    outcome: &str,
) -> sqlx::query::Query<'q, Any, sqlx::any::AnyArguments> {
    let short = |text: &str| text.chars().take(LONGEST).collect::<String>();
    sqlx::query(
        "INSERT INTO audit (id, at, actor, action, target, outcome, address) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new_id())
    .bind(instant::now())
    .bind(short(&by.actor))
    .bind(action.to_owned())
    .bind(short(target))
    .bind(outcome.to_owned())
    .bind(by.address.clone())
}
