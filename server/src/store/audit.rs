//! Who did what, when, from where: each change and each refused exchange.

use sqlx::{Any, Row, Transaction};

use super::database::Database;
use super::page::{self, Page};
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

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// Microseconds since 1970.
    pub at: i64,
    /// A user's name, the name that was tried, or `command line`.
    pub actor: String,
    /// `token.create`
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// `created`
    pub outcome: String,
    /// None: the command line.
    pub address: Option<String>,
}

impl Line {
    /// Its place among the lines, as an address has it; [`place`] reads it.
    pub fn place(&self) -> String {
        format!("{}.{}", self.at, self.id)
    }
}

/// The time and id of a line, from its place.
pub fn place(text: &str) -> Option<(i64, String)> {
    let (at, id) = text.split_once('.')?;
    Some((at.parse().ok()?, id.to_owned()))
}

/// Which lines are to be seen.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A part of the actor's name; empty: anybody.
    pub actor: String,
    /// A part of the action, or of what it was done to; empty: anything.
    pub action: String,
    /// Only lines before this one, by its time and id.
    pub before: Option<(i64, String)>,
    /// How many at most.
    pub limit: i64,
}

/// The lines that a search finds, newest first.
pub async fn list(database: &Database, search: &Search) -> Result<Page<Line>, StoreError> {
    let sql = "SELECT id, at, actor, action, target, outcome, address FROM audit \
               WHERE (at < $1 OR (at = $1 AND id < $2)) AND ($3 = '%%' OR lower(actor) LIKE $3 ESCAPE '\\') \
               AND ($4 = '%%' OR lower(action) LIKE $4 ESCAPE '\\' OR lower(target) LIKE $4 ESCAPE '\\') \
               ORDER BY at DESC, id DESC LIMIT $5";
    let (at, id) = search.before.clone().unwrap_or((i64::MAX, String::new()));
    let rows = sqlx::query(sql)
        .bind(at)
        .bind(id)
        .bind(pattern(&search.actor))
        .bind(pattern(&search.action))
        .bind(page::with_next(search.limit))
        .fetch_all(database.pool())
        .await?;
    let line = |row: &sqlx::any::AnyRow| -> Result<Line, StoreError> {
        Ok(Line {
            id: row.try_get(0)?,
            at: row.try_get(1)?,
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            target: row.try_get(4)?,
            outcome: row.try_get(5)?,
            address: row.try_get(6)?,
        })
    };
    Ok(Page::of(rows.iter().map(line).collect::<Result<_, _>>()?, search.limit))
}

/// Letters of ASCII alone lose their case, as SQLite's lower() and LIKE have it.
fn pattern(text: &str) -> String {
    let escaped = text.to_ascii_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
