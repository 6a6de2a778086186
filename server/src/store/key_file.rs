//! Which key file a store goes with. A server that had another would refuse every token without a word, which shows once
//! several machines serve one store.

use sqlx::{Any, Row, Transaction};

use super::StoreError;
use super::database::Database;

/// Whether the keys of this name are the store's; a store that has none yet takes them.
pub async fn claim(database: &Database, kid: &str) -> Result<bool, StoreError> {
    if let Some(found) = find(database).await? {
        return Ok(found == kid);
    }
    // Of two that come first one is the first.
    let take = "INSERT INTO key_file (place, kid) VALUES (1, $1) ON CONFLICT DO NOTHING";
    sqlx::query(take).bind(kid.to_owned()).execute(database.pool()).await?;
    Ok(find(database).await?.is_some_and(|found| found == kid))
}

/// Lets the store take others.
pub async fn forget(transaction: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM key_file").execute(&mut **transaction).await?;
    Ok(())
}

async fn find(database: &Database) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT kid FROM key_file").fetch_optional(database.pool()).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
