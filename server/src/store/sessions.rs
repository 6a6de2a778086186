//! Rows of sessions, and of the forms that were sent in them.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::audit::{self, Entry};
use super::database::Database;
use super::users::{self, User};
use super::{Store, StoreError};
use crate::instant::{self, MINUTE};

/// What a session opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The pages, by a cookie.
    Page,
    /// The Update Service's calls that only a person may make.
    Person,
    /// The platform's calls.
    Platform,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Person => "person",
            Self::Platform => "platform",
        }
    }
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Of its value; names it.
    pub id_hash: String,
    /// What it opens.
    pub kind: Kind,
    /// Microseconds since 1970, as all times here.
    pub created_at: i64,
    /// It opens nothing from then on.
    pub expires_at: i64,
    /// To the minute.
    pub last_seen_at: i64,
    /// Where the person signed in from.
    pub address: String,
    /// With which program, as that calls itself; may be empty.
    pub agent: String,
}

const SELECT: &str = "SELECT s.id_hash, s.kind, s.created_at, s.expires_at, s.last_seen_at, s.address, s.agent";

/// Columns of `SELECT`.
const COLUMNS: usize = 7;

/// Records a session, and that somebody has signed in.
pub async fn add(store: &Store, user: &User, session: &Session, by: &Entry) -> Result<(), StoreError> {
    let mut transaction = store.database.write().await?;
    sqlx::query("DELETE FROM sessions WHERE expires_at <= $1").bind(instant::now()).execute(&mut *transaction).await?;
    sqlx::query(
        "INSERT INTO sessions (id_hash, user_id, kind, created_at, expires_at, last_seen_at, address, agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(session.id_hash.clone())
    .bind(user.id.clone())
    .bind(session.kind.as_str().to_owned())
    .bind(session.created_at)
    .bind(session.expires_at)
    .bind(session.last_seen_at)
    .bind(session.address.clone())
    .bind(session.agent.clone())
    .execute(&mut *transaction)
    .await?;
    audit::write_in(&mut transaction, by, "session.begin", session.kind.as_str(), "signed in").await?;
    Ok(transaction.commit().await?)
}

/// The session whose value has this hash, living or not, and its user.
pub async fn find(database: &Database, id_hash: &str) -> Result<Option<(Session, User)>, StoreError> {
    let sql =
        format!("{SELECT}, {} FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1", users::COLUMNS);
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id_hash.to_owned()).fetch_optional(database.pool()).await?;
    row.map(|row| Ok((from_row(&row)?, users::from_row(&row, COLUMNS)?))).transpose()
}

/// A user's living sessions of a kind, the oldest first.
pub async fn list(database: &Database, user: &User, kind: Kind) -> Result<Vec<Session>, StoreError> {
    let sql = format!(
        "{SELECT} FROM sessions s WHERE s.user_id = $1 AND s.kind = $2 AND s.expires_at > $3 \
         ORDER BY s.created_at, s.id_hash"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user.id.clone()).bind(kind.as_str().to_owned());
    query.bind(instant::now()).fetch_all(database.pool()).await?.iter().map(from_row).collect()
}

fn from_row(row: &AnyRow) -> Result<Session, StoreError> {
    let kind: String = row.try_get(1)?;
    let kind = [Kind::Page, Kind::Person, Kind::Platform].into_iter().find(|known| known.as_str() == kind);
    Ok(Session {
        id_hash: row.try_get(0)?,
        kind: kind.ok_or_else(|| StoreError::Damaged("a session's kind cannot be read".into()))?,
        created_at: row.try_get(2)?,
        expires_at: row.try_get(3)?,
        last_seen_at: row.try_get(4)?,
        address: row.try_get(5)?,
        agent: row.try_get(6)?,
    })
}

/// Notes that a session was used, once a minute at most; whoever only reads is served where that cannot be written.
pub async fn seen(database: &Database, session: &Session) {
    let minute = instant::now() / MINUTE * MINUTE;
    if session.last_seen_at >= minute {
        return;
    }
    let sql = "UPDATE sessions SET last_seen_at = $1 WHERE id_hash = $2 AND last_seen_at < $1";
    let query = sqlx::query(sql).bind(minute).bind(session.id_hash.clone());
    if let Err(error) = query.execute(database.pool()).await {
        tracing::warn!(%error, "the use of a session could not be noted");
    }
}

/// Ends sessions, all of these or none.
pub async fn end(store: &Store, sessions: &[Session], by: &Entry) -> Result<(), StoreError> {
    let mut transaction = store.database.write().await?;
    for session in sessions {
        let query = sqlx::query("DELETE FROM sessions WHERE id_hash = $1").bind(session.id_hash.clone());
        query.execute(&mut *transaction).await?;
        audit::write_in(&mut transaction, by, "session.end", session.kind.as_str(), "signed out").await?;
    }
    Ok(transaction.commit().await?)
}

/// Ends all sessions of a user.
pub async fn end_all(store: &Store, user: &User, by: &Entry) -> Result<(), StoreError> {
    let mut transaction = store.database.write().await?;
    end_all_in(&mut transaction, user).await?;
    audit::write_in(&mut transaction, by, "session.end", &format!("all of {}", user.name), "signed out").await?;
    Ok(transaction.commit().await?)
}

/// The same, as part of another change.
pub async fn end_all_in(transaction: &mut sqlx::Transaction<'_, sqlx::Any>, user: &User) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(user.id.clone()).execute(&mut **transaction).await?;
    Ok(())
}

/// Notes a form of a session. False: it was there.
pub async fn use_form(database: &Database, session: &Session, nonce: &str) -> Result<bool, StoreError> {
    let sql = "INSERT INTO forms (session, nonce, used_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql).bind(session.id_hash.clone()).bind(nonce.to_owned()).bind(instant::now());
    Ok(query.execute(database.pool()).await?.rows_affected() > 0)
}
