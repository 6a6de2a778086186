//! People and client services.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor, Row};

use super::audit::{self, Entry};
use super::database::Database;
use super::{Store, StoreError, new_id};
use crate::instant;

/// Characters of a name or an address.
const LONGEST: usize = 200;

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: String,
    /// Signs in.
    pub name: String,
    /// Signs in too.
    pub email: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// May publish and delete.
    pub admin: bool,
    /// May do anything at all.
    pub enabled: bool,
}

impl User {
    /// First and last name, or the name that signs in.
    pub fn full_name(&self) -> String {
        let full = format!("{} {}", self.first_name, self.last_name);
        if full.trim().is_empty() { self.name.clone() } else { full.trim().to_owned() }
    }

    /// Whether this name or e-mail address, in any case, is this user's.
    pub fn answers_to(&self, name: &str) -> bool {
        let name = key(name);
        key(&self.name) == name || key(&self.email) == name
    }
}

/// A user to add.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Signs in.
    pub name: String,
    /// Signs in too.
    pub email: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// May publish and delete; the first user may, whatever this says.
    pub admin: bool,
    /// A PHC string; none: no sign-in to the pages.
    pub password_hash: Option<String>,
}

/// Refuses what cannot be a user's name; says why.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("the user name is empty or holds control characters".into());
    }
    if name.chars().count() > LONGEST {
        return Err(format!("a user name has at most {LONGEST} characters"));
    }
    Ok(())
}

/// Refuses what cannot be an e-mail address; says why.
pub fn check_email(email: &str) -> Result<(), String> {
    let parts = email.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if parts.is_none() || email.chars().any(|c| c.is_control() || c.is_whitespace()) || email.chars().count() > LONGEST
    {
        return Err(format!("'{email}' is no e-mail address"));
    }
    Ok(())
}

/// What names are compared by.
pub fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What [`from_row`] reads, of a table that is called `u`.
pub const COLUMNS: &str = "u.id, u.name, u.email, u.first_name, u.last_name, u.admin, u.enabled";

/// Which user a name or an e-mail address, as [`key`] makes it, is.
pub const BY_NAME: &str = "u.name_key = $1 OR u.email_key = $1";

/// Reads a user from [`COLUMNS`] that begin at `first`.
pub fn from_row(row: &AnyRow, first: usize) -> Result<User, StoreError> {
    Ok(User {
        id: row.try_get(first)?,
        name: row.try_get(first + 1)?,
        email: row.try_get(first + 2)?,
        first_name: row.try_get(first + 3)?,
        last_name: row.try_get(first + 4)?,
        admin: row.try_get::<i64, _>(first + 5)? != 0,
        enabled: row.try_get::<i64, _>(first + 6)? != 0,
    })
}

/// The user of this name or e-mail address.
pub async fn find(database: &Database, name: &str) -> Result<Option<User>, StoreError> {
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM users u WHERE {BY_NAME}"));
    let row = sqlx::query(sql).bind(key(name)).fetch_optional(database.pool()).await?;
    row.map(|row| from_row(&row, 0)).transpose()
}

/// What became of a user to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The first of all: an administrator, as somebody has to be.
    First,
    /// One more.
    Another,
    /// Not added: the name or the address is another user's.
    Taken,
}

/// All users, by name.
pub async fn list(database: &Database) -> Result<Vec<User>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM users u ORDER BY u.name_key")));
    rows.fetch_all(database.pool()).await?.iter().map(|row| from_row(row, 0)).collect()
}

/// Whether there is any user.
pub async fn any<'c>(executor: impl Executor<'c, Database = Any>) -> Result<bool, StoreError> {
    Ok(sqlx::query("SELECT id FROM users LIMIT 1").fetch_optional(executor).await?.is_some())
}

/// Lets a user in again, or keeps them out: tokens, bearers and sessions of a disabled user open nothing.
pub async fn set_enabled(store: &Store, user: &User, enabled: bool, by: &Entry) -> Result<(), StoreError> {
    let mut transaction = store.database.write().await?;
    sqlx::query("UPDATE users SET enabled = $1 WHERE id = $2")
        .bind(i64::from(enabled))
        .bind(user.id.clone())
        .execute(&mut *transaction)
        .await?;
    if !enabled {
        super::sessions::end_all_in(&mut transaction, user).await?;
    }
    let action = if enabled { "user.enable" } else { "user.disable" };
    audit::write_in(&mut transaction, by, action, &user.name, "changed").await?;
    Ok(transaction.commit().await?)
}

/// Adds a user.
pub async fn add(store: &Store, user: &NewUser, by: &Entry) -> Result<Added, StoreError> {
    add_where(store, user, by, false).await
}

/// Adds a user if there is none yet; else it is [`Added::Another`], and nothing was added.
pub async fn add_first(store: &Store, user: &NewUser, by: &Entry) -> Result<Added, StoreError> {
    add_where(store, user, by, true).await
}

async fn add_where(store: &Store, user: &NewUser, by: &Entry, only_first: bool) -> Result<Added, StoreError> {
    let mut transaction = store.database.write().await?;
    // Both columns for both: one user's name must not be another's address.
    let taken = sqlx::query("SELECT id FROM users WHERE name_key IN ($1, $2) OR email_key IN ($1, $2)")
        .bind(key(&user.name))
        .bind(key(&user.email))
        .fetch_optional(&mut *transaction)
        .await?;
    if taken.is_some() {
        return Ok(Added::Taken);
    }
    let first = !any(&mut *transaction).await?;
    if only_first && !first {
        return Ok(Added::Another);
    }
    sqlx::query(
        "INSERT INTO users (id, name, name_key, email, email_key, first_name, last_name, password_hash, admin, enabled, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10)",
    )
    .bind(new_id())
    .bind(user.name.clone())
    .bind(key(&user.name))
    .bind(user.email.clone())
    .bind(key(&user.email))
    .bind(user.first_name.clone())
    .bind(user.last_name.clone())
    .bind(user.password_hash.clone())
    .bind(i64::from(user.admin || first))
    .bind(instant::now())
    .execute(&mut *transaction)
    .await?;
    audit::write_in(&mut transaction, by, "user.add", &user.name, "created").await?;
    transaction.commit().await?;
    Ok(if first { Added::First } else { Added::Another })
}
