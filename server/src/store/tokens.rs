//! Personal tokens: rows of what was issued; the values themselves are kept nowhere.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor, Row, Transaction};

use super::StoreError;
use super::database::Database;
use super::users::{self, User};
use crate::instant::{self, MINUTE};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person's scripts, at the Update Service.
    Personal,
    /// A client service: it may only read.
    ClientService,
    /// The platform's calls, as far as its [`Scope`] goes.
    Access,
}

impl Kind {
    /// As rows and answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::ClientService => "client-service",
            Self::Access => "access",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Personal, Self::ClientService, Self::Access].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which of the platform's methods an access token may call. Neither: everything that its user may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// A set, by its name.
    pub template: Option<String>,
    /// A list of its own.
    pub methods: Option<Vec<String>>,
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id: a UUID, of an access token a positive 32-bit number, as the platform has them.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// How many values it had before this one.
    pub generation: i64,
    /// What an access token may call.
    pub scope: Scope,
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

impl Status {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
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

/// Reads tokens and their users; what follows the joined tables is the caller's.
fn select(rest: &str) -> AssertSqlSafe<String> {
    let user = users::COLUMNS;
    AssertSqlSafe(format!(
        "SELECT t.id, t.name, t.description, t.created_at, t.expires_at, t.revoked_at, t.last_used_at, t.last_used_from, \
         t.kind, t.generation, t.template, t.methods, {user} FROM tokens t JOIN users u ON u.id = t.user_id {rest}"
    ))
}

fn from_row(row: &AnyRow) -> Result<(Token, User), StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("a token's {what} cannot be read"));
    let methods = row.try_get::<Option<String>, _>(11)?.map(|text| serde_json::from_str(&text)).transpose();
    let token = Token {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        created_at: row.try_get(3)?,
        expires_at: row.try_get(4)?,
        revoked_at: row.try_get(5)?,
        last_used_at: row.try_get(6)?,
        last_used_from: row.try_get(7)?,
        kind: Kind::parse(row.try_get::<String, _>(8)?.as_str()).ok_or_else(|| damaged("kind"))?,
        generation: row.try_get(9)?,
        scope: Scope { template: row.try_get(10)?, methods: methods.map_err(|_| damaged("methods"))? },
    };
    Ok((token, users::from_row(row, 12)?))
}

/// The token of this id and its user.
pub async fn find(database: &Database, id: &str) -> Result<Option<(Token, User)>, StoreError> {
    one(database.pool(), "t.id = $1", id).await
}

/// The token whose value has this hash, and its user.
pub async fn find_by_hash(database: &Database, hash: &str) -> Result<Option<(Token, User)>, StoreError> {
    one(database.pool(), "t.value_hash = $1", hash).await
}

/// The token of this id, if it is this user's; part of a transaction that changes it.
pub async fn find_own(
    transaction: &mut Transaction<'_, Any>,
    owner: &User,
    id: &str,
) -> Result<Option<Token>, StoreError> {
    let found = one(&mut **transaction, "t.id = $1", id).await?;
    Ok(found.filter(|(_, user)| user.id == owner.id).map(|(token, _)| token))
}

async fn one<'c>(
    executor: impl Executor<'c, Database = Any>,
    condition: &str,
    value: &str,
) -> Result<Option<(Token, User)>, StoreError> {
    let row =
        sqlx::query(select(&format!("WHERE {condition}"))).bind(value.to_owned()).fetch_optional(executor).await?;
    row.as_ref().map(from_row).transpose()
}

/// All tokens, or those of one user, oldest first.
pub async fn list(database: &Database, user_id: Option<&str>) -> Result<Vec<(Token, User)>, StoreError> {
    let query = sqlx::query(select("WHERE $1 = '' OR t.user_id = $1 ORDER BY t.created_at, t.id"))
        .bind(user_id.unwrap_or_default().to_owned());
    query.fetch_all(database.pool()).await?.iter().map(from_row).collect()
}

/// Whether any user has a token of this id.
pub async fn is_taken(transaction: &mut Transaction<'_, Any>, id: &str) -> Result<bool, StoreError> {
    Ok(one(&mut **transaction, "t.id = $1", id).await?.is_some())
}

/// Whether any token was issued.
pub async fn any(database: &Database) -> Result<bool, StoreError> {
    Ok(sqlx::query("SELECT id FROM tokens LIMIT 1").fetch_optional(database.pool()).await?.is_some())
}

/// How many tokens a user has, whatever their status; part of the transaction that adds one.
pub async fn count(transaction: &mut Transaction<'_, Any>, owner: &User) -> Result<i64, StoreError> {
    let sql = sqlx::query("SELECT COUNT(*) FROM tokens WHERE user_id = $1").bind(owner.id.clone());
    Ok(sql.fetch_one(&mut **transaction).await?.try_get(0)?)
}

/// Records a token of `owner` whose value has the hash.
pub async fn insert(
    transaction: &mut Transaction<'_, Any>,
    owner: &User,
    token: &Token,
    hash: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens (id, user_id, name, description, value_hash, created_at, expires_at, kind, template, methods) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(token.id.clone())
    .bind(owner.id.clone())
    .bind(token.name.clone())
    .bind(token.description.clone())
    .bind(hash.to_owned())
    .bind(token.created_at)
    .bind(token.expires_at)
    .bind(token.kind.as_str().to_owned())
    .bind(token.scope.template.clone())
    .bind(json(token.scope.methods.as_ref()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Records what of a token may change: name, description, expiry, scope, revocation.
pub async fn update(transaction: &mut Transaction<'_, Any>, token: &Token) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tokens SET name = $1, description = $2, expires_at = $3, template = $4, methods = $5, revoked_at = $6 \
         WHERE id = $7",
    )
    .bind(token.name.clone())
    .bind(token.description.clone())
    .bind(token.expires_at)
    .bind(token.scope.template.clone())
    .bind(json(token.scope.methods.as_ref()))
    .bind(token.revoked_at)
    .bind(token.id.clone())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Gives a token another value; whatever came from the one before opens nothing from now on.
pub async fn replace_value(transaction: &mut Transaction<'_, Any>, id: &str, hash: &str) -> Result<(), StoreError> {
    let sql = "UPDATE tokens SET value_hash = $1, generation = generation + 1 WHERE id = $2";
    sqlx::query(sql).bind(hash.to_owned()).bind(id.to_owned()).execute(&mut **transaction).await?;
    Ok(())
}

/// Forgets a token.
pub async fn delete(transaction: &mut Transaction<'_, Any>, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id.to_owned()).execute(&mut **transaction).await?;
    Ok(())
}

fn json(methods: Option<&Vec<String>>) -> Option<String> {
    methods.map(|methods| serde_json::Value::from(methods.clone()).to_string())
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
