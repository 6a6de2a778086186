//! Refused exchanges, counted a user name and an address, in the database: every server of a site counts the same.

use sqlx::Row;

use super::StoreError;
use super::database::Database;
use crate::instant::{self, MINUTE, SECOND};

/// How long a failure counts, in microseconds.
pub const WINDOW: i64 = 5 * MINUTE;

/// Counts a failure of each subject, unless one of them has reached its limit already: then the seconds to wait.
pub async fn count(database: &Database, subjects: &[(String, i64)]) -> Result<Option<u64>, StoreError> {
    let mut transaction = database.write().await?;
    let now = instant::now();
    sqlx::query("DELETE FROM failures WHERE at <= $1").bind(now - WINDOW).execute(&mut *transaction).await?;
    let mut wait = None;
    for (subject, limit) in subjects {
        // The failure that must grow old before there is room for another.
        let row = sqlx::query("SELECT at FROM failures WHERE subject = $1 ORDER BY at DESC LIMIT 1 OFFSET $2")
            .bind(subject.clone())
            .bind(limit - 1)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = row {
            let free_at = row.try_get::<i64, _>(0)? + WINDOW;
            wait = wait.max(Some((free_at - now).max(0).unsigned_abs().div_ceil(SECOND.unsigned_abs()).max(1)));
        }
    }
    if wait.is_none() {
        for (subject, _) in subjects {
            sqlx::query("INSERT INTO failures (subject, at) VALUES ($1, $2)")
                .bind(subject.clone())
                .bind(now)
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(wait)
}
