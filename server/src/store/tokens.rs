//! Personal tokens: rows of what was issued; the values themselves are kept nowhere.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::audit::{self, Entry};
use super::database::Database;
use super::users::{self, User};
use super::{Store, StoreError, new_id};
use crate::instant::{self, MINUTE};

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// For people to tell it from others.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Microseconds since 1970, as all times here.
    pub created_at: i64,
    /// None: never.
    pub expires_at: Option<i64>,
    /// None: not revoked.
    pub revoked_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
    /// From which address.
    pub last_used_from: Option<String>,
}

/// Whether a token opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl Token {
    /// Its status now. A token that is both expired and revoked is revoked.
    pub fn status(&self) -> Status {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Status::Revoked,
            (None, Some(at)) if at <= instant::now() => Status::Expired,
            (None, _) => Status::Active,
        }
    }
}

const SELECT: &str = "SELECT t.id, t.name, t.description, t.created_at, t.expires_at, t.revoked_at, t.last_used_at, \
                      t.last_used_from, u.id, u.name, u.email, u.first_name, u.last_name, u.admin, u.enabled \
                      FROM tokens t JOIN users u ON u.id = t.user_id";

fn from_row(row: &AnyRow) -> Result<(Token, User), StoreError> {
    let token = Token {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        created_at: row.try_get(3)?,
        expires_at: row.try_get(4)?,
        revoked_at: row.try_get(5)?,
        last_used_at: row.try_get(6)?,
        last_used_from: row.try_get(7)?,
    };
    Ok((token, users::from_row(row, 8)?))
}

/// The token of this id and its user.
pub async fn find(database: &Database, id: &str) -> Result<Option<(Token, User)>, StoreError> {
    one(database, "t.id = $1", id).await
}

/// The token whose value has this hash, and its user.
pub async fn find_by_hash(database: &Database, hash: &str) -> Result<Option<(Token, User)>, StoreError> {
    one(database, "t.value_hash = $1", hash).await
}

async fn one(database: &Database, condition: &str, value: &str) -> Result<Option<(Token, User)>, StoreError> {
    let sql = AssertSqlSafe(format!("{SELECT} WHERE {condition}"));
    let row = sqlx::query(sql).bind(value.to_owned()).fetch_optional(database.pool()).await?;
    row.as_ref().map(from_row).transpose()
}

/// All tokens, or those of one user, oldest first.
pub async fn list(database: &Database, user_id: Option<&str>) -> Result<Vec<(Token, User)>, StoreError> {
    let sql = format!("{SELECT} WHERE $1 = '' OR t.user_id = $1 ORDER BY t.created_at, t.id");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user_id.unwrap_or_default().to_owned());
    query.fetch_all(database.pool()).await?.iter().map(from_row).collect()
}

/// A token to record.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// For people to tell it from others.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// None: never.
    pub expires_at: Option<i64>,
    /// Of the value.
    pub hash: String,
}

/// Records a token of `user`; gives its id.
pub async fn add(store: &Store, user: &User, token: &NewToken, by: &Entry) -> Result<String, StoreError> {
    let mut transaction = store.database.write().await?;
    let id = new_id();
    sqlx::query(
        "INSERT INTO tokens (id, user_id, name, description, value_hash, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.clone())
    .bind(user.id.clone())
    .bind(token.name.clone())
    .bind(token.description.clone())
    .bind(token.hash.clone())
    .bind(instant::now())
    .bind(token.expires_at)
    .execute(&mut *transaction)
    .await?;
    audit::write_in(
        &mut transaction,
        by,
        "token.create",
        &format!("{} of {} ({id})", token.name, user.name),
        "created",
    )
    .await?;
    transaction.commit().await?;
    Ok(id)
}

/// Revokes a token. False: there is none of this id. Revoking twice changes nothing.
pub async fn revoke(store: &Store, id: &str, by: &Entry) -> Result<bool, StoreError> {
    let mut transaction = store.database.write().await?;
    let known = sqlx::query("SELECT id FROM tokens WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(&mut *transaction)
        .await?
        .is_some();
    let changed = sqlx::query("UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
        .bind(instant::now())
        .bind(id.to_owned())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if changed > 0 {
        audit::write_in(&mut transaction, by, "token.revoke", id, "revoked").await?;
    }
    transaction.commit().await?;
    Ok(known)
}

/// Notes that a token was used, once a minute at most. Where that cannot be written, on a full disk for one, whoever
/// only reads must be served all the same.
pub async fn used(database: &Database, token: &Token, address: &str) {
    let minute = instant::now() / MINUTE * MINUTE;
    if token.last_used_at == Some(minute) {
        return;
    }
    // Of many requests that come at once, one writes.
    let sql = "UPDATE tokens SET last_used_at = $1, last_used_from = $2 \
               WHERE id = $3 AND (last_used_at IS NULL OR last_used_at <> $1)";
    let query = sqlx::query(sql).bind(minute).bind(address.to_owned()).bind(token.id.clone());
    if let Err(error) = query.execute(database.pool()).await {
        tracing::warn!(%error, token = token.id, "the use of a token could not be noted");
    }
}
