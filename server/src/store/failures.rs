//! Refused exchanges, counted a user name and an address, in the database: every server of a site counts the same.

use sqlx::{AnyConnection, Row};

use super::StoreError;
use super::database::Database;
use crate::instant::{self, MINUTE, SECOND};

/// How long a failure counts, in microseconds.
pub const WINDOW: i64 = 5 * MINUTE;

/// What a failure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts.
    Yes,
    /// A limit had been reached already.
    Limited {
        /// Seconds to wait.
        wait: u64,
        /// Nobody was told so within the window: it is news.
        first: bool,
    },
}

/// Counts a failure of each subject, unless one of them has reached its limit already.
pub async fn count(database: &Database, subjects: &[(String, i64)]) -> Result<Counted, StoreError> {
    let now = instant::now();
    // Read first: whoever is limited must neither fill the disk nor keep others from writing.
    let reached = reached(&mut *database.pool().acquire().await?, subjects, now).await?;
    if let Some((subject, wait)) = reached {
        return limited(database, &subject, wait, now).await;
    }
    let mut transaction = database.write().await?;
    // Those of the future were counted before the clock was set back.
    sqlx::query("DELETE FROM failures WHERE at <= $1 OR at > $2")
        .bind(now - WINDOW)
        .bind(now + WINDOW)
        .execute(&mut *transaction)
        .await?;
    let reached = self::reached(&mut transaction, subjects, now).await?;
    if let Some((subject, wait)) = reached {
        drop(transaction);
        return limited(database, &subject, wait, now).await;
    }
    for (subject, _) in subjects {
        insert(subject, now).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Counted::Yes)
}

/// Takes back the newest failure of each subject: what was counted beforehand was none.
pub async fn forgive(database: &Database, subjects: &[(String, i64)]) -> Result<(), StoreError> {
    let mut transaction = database.write().await?;
    for (subject, _) in subjects {
        let newest = sqlx::query("SELECT MAX(at) FROM failures WHERE subject = $1").bind(subject.clone());
        let Some(newest) = newest.fetch_one(&mut *transaction).await?.try_get::<Option<i64>, _>(0)? else { continue };
        // Of two in the same microsecond both go.
        let sql = sqlx::query("DELETE FROM failures WHERE subject = $1 AND at = $2").bind(subject.clone());
        sql.bind(newest).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The subject that has to wait longest for room, and how many seconds.
async fn reached(
    connection: &mut AnyConnection,
    subjects: &[(String, i64)],
    now: i64,
) -> Result<Option<(String, u64)>, StoreError> {
    let mut longest: Option<(String, u64)> = None;
    for (subject, limit) in subjects {
        // The failure that must grow old before there is room for another.
        let row = sqlx::query(
            "SELECT at FROM failures WHERE subject = $1 AND at > $2 AND at <= $3 ORDER BY at DESC LIMIT 1 OFFSET $4",
        )
        .bind(subject.clone())
        .bind(now - WINDOW)
        .bind(now + WINDOW)
        .bind(limit - 1)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            let free_at = row.try_get::<i64, _>(0)? + WINDOW;
            let wait = (free_at - now).max(0).unsigned_abs().div_ceil(SECOND.unsigned_abs()).max(1);
            if longest.as_ref().is_none_or(|(_, other)| wait > *other) {
                longest = Some((subject.clone(), wait));
            }
        }
    }
    Ok(longest)
}

async fn limited(database: &Database, subject: &str, wait: u64, now: i64) -> Result<Counted, StoreError> {
    let note = format!("limited:{subject}");
    let told = sqlx::query("SELECT at FROM failures WHERE subject = $1 AND at > $2 AND at <= $3 LIMIT 1")
        .bind(note.clone())
        .bind(now - WINDOW)
        .bind(now + WINDOW)
        .fetch_optional(database.pool())
        .await?
        .is_some();
    if !told {
        insert(&note, now).execute(database.pool()).await?;
    }
    Ok(Counted::Limited { wait, first: !told })
}

fn insert(subject: &str, now: i64) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query("INSERT INTO failures (subject, at) VALUES ($1, $2)").bind(subject.to_owned()).bind(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_limit_is_told_once_and_the_other_subjects_have_room() {
        let (_folder, store) = store().await;
        let (ada, eve) = (("user:ada".to_owned(), 2), ("user:eve".to_owned(), 2));
        let count =
            async |subject: &(String, i64)| count(&store.database, std::slice::from_ref(subject)).await.unwrap();
        assert_eq!((count(&ada).await, count(&ada).await), (Counted::Yes, Counted::Yes));
        assert!(matches!(count(&ada).await, Counted::Limited { wait: 1..=300, first: true }));
        assert!(matches!(count(&ada).await, Counted::Limited { wait: 1..=300, first: false }));
        assert_eq!(count(&eve).await, Counted::Yes);
    }

    #[tokio::test]
    async fn failures_counted_before_the_clock_was_set_back_limit_nobody() {
        let (_folder, store) = store().await;
        for _ in 0..5 {
            insert("user:ada", instant::now() + 1_000_000 * MINUTE).execute(store.database.pool()).await.unwrap();
        }
        assert_eq!(count(&store.database, &[("user:ada".to_owned(), 5)]).await.unwrap(), Counted::Yes);
        let left = sqlx::query("SELECT at FROM failures").fetch_all(store.database.pool()).await.unwrap();
        assert_eq!(left.len(), 1);
    }
}
