//! Rows behind people's sign-ins: password hashes and invitations.

use sqlx::{AssertSqlSafe, Row};

use super::audit::{self, Entry};
use super::database::Database;
use super::sessions::end_all_in;
use super::users::{self, User};
use super::{Store, StoreError};
use crate::instant;

/// The user of this name or e-mail address, and the hash of their password, if they have one.
pub async fn find_with_password(database: &Database, name: &str) -> Result<Option<(User, Option<String>)>, StoreError> {
    let sql = format!("SELECT {}, u.password_hash FROM users u WHERE {}", users::COLUMNS, users::BY_NAME);
    let row = sqlx::query(AssertSqlSafe(sql)).bind(users::key(name)).fetch_optional(database.pool()).await?;
    row.map(|row| Ok((users::from_row(&row, 0)?, row.try_get(7)?))).transpose()
}

/// Records the hash of another password, and ends the user's sessions.
pub async fn set_password(store: &Store, user: &User, phc: &str, by: &Entry) -> Result<(), StoreError> {
    let mut transaction = store.database.write().await?;
    sqlx::query("UPDATE users SET password_hash = $1 WHERE id = $2")
        .bind(phc.to_owned())
        .bind(user.id.clone())
        .execute(&mut *transaction)
        .await?;
    end_all_in(&mut transaction, user).await?;
    audit::write_in(&mut transaction, by, "password.set", &user.name, "changed").await?;
    Ok(transaction.commit().await?)
}

/// Records an invitation that opens for so many microseconds. False: there are users, so nobody is invited.
pub async fn invite(store: &Store, hash: &str, life: i64) -> Result<bool, StoreError> {
    // Read first: a server that starts, which has users nearly always, must not wait for whoever writes.
    if users::any(store.database.pool()).await? {
        return Ok(false);
    }
    let mut transaction = store.database.write().await?;
    if users::any(&mut *transaction).await? {
        return Ok(false);
    }
    let now = instant::now();
    sqlx::query("DELETE FROM invitations WHERE expires_at <= $1").bind(now).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO invitations (hash, created_at, expires_at) VALUES ($1, $2, $3)")
        .bind(hash.to_owned())
        .bind(now)
        .bind(now + life)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whether an invitation opens now.
pub async fn is_invited(database: &Database, hash: &str) -> Result<bool, StoreError> {
    let sql = "SELECT hash FROM invitations WHERE hash = $1 AND expires_at > $2 AND NOT EXISTS (SELECT id FROM users)";
    let query = sqlx::query(sql).bind(hash.to_owned()).bind(instant::now());
    Ok(query.fetch_optional(database.pool()).await?.is_some())
}
