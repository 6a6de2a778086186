//! A token's life: made, listed, edited, given a new value, copied, revoked, removed; by its owner alone.
//!
//! Each change and its line of the audit table are one transaction. What is wrong with a change is found before it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::{Any, Transaction};
use thiserror::Error;
use uss::Secret;

use super::hash;
use crate::instant;
use crate::store::audit::{self, Entry};
use crate::store::tokens::{self, Kind, Scope, Status, Token};
use crate::store::users::User;
use crate::store::{Store, StoreError, new_id};

/// Tokens an account has at most, of all kinds together, whatever their status.
pub const MOST: i64 = 100;

/// The kinds of the Update Service's side; access tokens are the platform's.
pub const UPDATE_SERVICE: [Kind; 2] = [Kind::Personal, Kind::ClientService];

/// Random bytes in a value; their base64 has 88 characters, among them `/`, `+` and `=`.
const VALUE_BYTES: usize = 64;

/// Characters of a name.
const NAME: usize = 100;

/// Characters of a description.
const DESCRIPTION: usize = 1000;

/// What a token is made with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For people to tell it from others: 1 to 100 characters, neither `<` nor `>`.
    pub name: String,
    /// At most 1,000 characters; of an access token, which has no other name to show, neither `<` nor `>`.
    pub description: String,
    /// Microseconds since 1970; none: never.
    pub expires_at: Option<i64>,
    /// Of an access token.
    pub scope: Scope,
}

/// What of a token changes; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Another end; the inner none: never.
    pub expires_at: Option<Option<i64>>,
    /// What else an access token may call.
    pub scope: Option<Scope>,
}

/// Why a token was not made or changed.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The owner has none of this id; another's is nobody's business.
    #[error("there is no token with the id '{id}'")]
    Unknown {
        /// As it was asked for.
        id: String,
    },
    /// The account has as many as it may.
    #[error("an account has at most {MOST} tokens; remove one that is no longer needed")]
    TooMany,
    /// A setting cannot be.
    #[error("{field}: {reason}")]
    Invalid {
        /// `name`, `description` or `expires`.
        field: &'static str,
        /// What is wrong, in words that follow the field's name.
        reason: String,
    },
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Settings {
    /// What a change leaves of these.
    fn with(self, changes: Changes) -> Self {
        Self {
            name: changes.name.unwrap_or(self.name),
            description: changes.description.unwrap_or(self.description),
            expires_at: changes.expires_at.unwrap_or(self.expires_at),
            scope: changes.scope.unwrap_or(self.scope),
        }
    }

    fn of(token: &Token) -> Self {
        let Token { name, description, expires_at, scope, .. } = token.clone();
        Self { name, description, expires_at, scope }
    }

    /// The same without space around the texts, if those can be shown in a line and are not too long.
    fn checked(mut self, kind: Kind) -> Result<Self, TokenError> {
        let invalid = |field, reason: String| Err(TokenError::Invalid { field, reason });
        (self.name, self.description) = (self.name.trim().to_owned(), self.description.trim().to_owned());
        if self.name.is_empty() {
            return invalid("name", "is empty; say what the token is for".into());
        }
        for (field, text, most) in [("name", &self.name, NAME), ("description", &self.description, DESCRIPTION)] {
            let length = text.chars().count();
            if length > most {
                return invalid(field, format!("has {length} characters; {most} are possible"));
            }
            let line_break = |character: char| field == "description" && matches!(character, '\n' | '\r' | '\t');
            if text.chars().any(|character| character.is_control() && !line_break(character)) {
                return invalid(field, "holds a control character".into());
            }
        }
        // All output escapes it. But what a token is called by is copied into mails, tickets and other people's pages,
        // which may not. An access token is called by its description, whose start is the name.
        let access = kind == Kind::Access;
        let (field, text) = if access { ("description", &self.description) } else { ("name", &self.name) };
        if text.contains(['<', '>']) {
            return invalid(field, "holds '<' or '>', which others could take for markup; leave them out".into());
        }
        Ok(self)
    }
}

fn check_expiry(expires_at: Option<i64>) -> Result<(), TokenError> {
    match expires_at {
        Some(at) if at <= instant::now() => {
            let reason = format!("{} is over; choose a time to come, or none", instant::round_trip(at));
            Err(TokenError::Invalid { field: "expires", reason })
        }
        _ => Ok(()),
    }
}

/// Makes a token of `owner`. The value is shown once and kept nowhere.
pub async fn create(
    store: &Store,
    owner: &User,
    kind: Kind,
    settings: Settings,
    by: &Entry,
) -> Result<(Token, Secret), TokenError> {
    check_expiry(settings.expires_at)?;
    issue(store, owner, kind, settings, by).await
}

/// [`create`] without a look at the expiry: an administrator at the command line may make a token that has ended, to
/// see what becomes of it.
pub async fn issue(
    store: &Store,
    owner: &User,
    kind: Kind,
    settings: Settings,
    by: &Entry,
) -> Result<(Token, Secret), TokenError> {
    let settings = settings.checked(kind)?;
    let mut transaction = store.database.write().await?;
    let made = add(store, &mut transaction, owner, kind, settings, "token.create", by).await?;
    transaction.commit().await?;
    Ok(made)
}

/// Changes a token of `owner`.
pub async fn edit(store: &Store, owner: &User, id: &str, changes: Changes, by: &Entry) -> Result<Token, TokenError> {
    check_expiry(changes.expires_at.flatten())?;
    let (mut transaction, token) = begin(store, owner, id).await?;
    let token = change(&mut transaction, owner, token, changes, by).await?;
    transaction.commit().await?;
    Ok(token)
}

/// Gives a token of `owner` another value, once, and changes it; the old value and every bearer that came from it are
/// void at once.
///
/// A revoked token stays so, and cannot have another value.
pub async fn regenerate(
    store: &Store,
    owner: &User,
    id: &str,
    changes: Changes,
    by: &Entry,
) -> Result<(Token, Secret), TokenError> {
    check_expiry(changes.expires_at.flatten())?;
    let (mut transaction, mut token) = begin(store, owner, id).await?;
    if token.status() == Status::Revoked {
        return Err(TokenError::Invalid { field: "status", reason: "the token was revoked; copy it instead".into() });
    }
    if changes != Changes::default() {
        token = change(&mut transaction, owner, token, changes, by).await?;
    }
    let value = value();
    tokens::replace_value(&mut transaction, &token.id, &hash(&store.keys, value.expose())).await?;
    token.generation += 1;
    tell(&mut transaction, owner, &token, "token.regenerate", "changed", by).await?;
    transaction.commit().await?;
    Ok((token, value))
}

/// Makes a token with the settings of another, but for the changes. An end that is over is none of them.
pub async fn copy(
    store: &Store,
    owner: &User,
    id: &str,
    changes: Changes,
    by: &Entry,
) -> Result<(Token, Secret), TokenError> {
    let (mut transaction, token) = begin(store, owner, id).await?;
    let settings = Settings::of(&token).with(changes).checked(token.kind)?;
    check_expiry(settings.expires_at)?;
    let made = add(store, &mut transaction, owner, token.kind, settings, "token.copy", by).await?;
    transaction.commit().await?;
    Ok(made)
}

/// Ends a token of `owner`, and every bearer that came from it, at once. Ending it twice changes nothing.
pub async fn revoke(store: &Store, owner: &User, id: &str, by: &Entry) -> Result<Token, TokenError> {
    let (mut transaction, mut token) = begin(store, owner, id).await?;
    if token.revoked_at.is_none() {
        token.revoked_at = Some(instant::now());
        tokens::update(&mut transaction, &token).await?;
        tell(&mut transaction, owner, &token, "token.revoke", "revoked", by).await?;
        transaction.commit().await?;
    }
    Ok(token)
}

/// Forgets tokens of `owner`: all of them, or none if one is unknown.
pub async fn remove(store: &Store, owner: &User, ids: &[String], by: &Entry) -> Result<(), TokenError> {
    let mut transaction = store.database.write().await?;
    for id in ids {
        let token = own(&mut transaction, owner, id).await?;
        tokens::delete(&mut transaction, &token.id).await?;
        tell(&mut transaction, owner, &token, "token.remove", "removed", by).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// When a client service's token ends where nobody says otherwise: in 12 months, as the product has it.
pub fn client_service_end() -> Option<i64> {
    instant::in_months(12)
}

/// The token of `owner` of this id, if it is of one of these kinds.
pub async fn find(store: &Store, owner: &User, kinds: &[Kind], id: &str) -> Result<Token, TokenError> {
    match tokens::find(&store.database, id).await? {
        Some((token, user)) if user.id == owner.id && kinds.contains(&token.kind) => Ok(token),
        _ => Err(TokenError::Unknown { id: id.to_owned() }),
    }
}

/// The tokens of `owner` of these kinds, oldest first.
pub async fn list(store: &Store, owner: &User, kinds: &[Kind]) -> Result<Vec<Token>, StoreError> {
    let all = tokens::list(&store.database, Some(&owner.id)).await?.into_iter().map(|(token, _)| token);
    Ok(all.filter(|token| kinds.contains(&token.kind)).collect())
}

/// Where every change of one token begins: the transaction that it will be, and the token as it is until then.
async fn begin(store: &Store, owner: &User, id: &str) -> Result<(Transaction<'static, Any>, Token), TokenError> {
    let mut transaction = store.database.write().await?;
    let token = own(&mut transaction, owner, id).await?;
    Ok((transaction, token))
}

async fn own(transaction: &mut Transaction<'_, Any>, owner: &User, id: &str) -> Result<Token, TokenError> {
    let found = tokens::find_own(transaction, owner, id).await?;
    found.ok_or_else(|| TokenError::Unknown { id: id.to_owned() })
}

async fn change(
    transaction: &mut Transaction<'_, Any>,
    owner: &User,
    token: Token,
    changes: Changes,
    by: &Entry,
) -> Result<Token, TokenError> {
    let Settings { name, description, expires_at, scope } = Settings::of(&token).with(changes).checked(token.kind)?;
    let token = Token { name, description, expires_at, scope, ..token };
    tokens::update(transaction, &token).await?;
    tell(transaction, owner, &token, "token.edit", "changed", by).await?;
    Ok(token)
}

async fn add(
    store: &Store,
    transaction: &mut Transaction<'_, Any>,
    owner: &User,
    kind: Kind,
    settings: Settings,
    action: &str,
    by: &Entry,
) -> Result<(Token, Secret), TokenError> {
    if tokens::count(transaction, owner).await? >= MOST {
        return Err(TokenError::TooMany);
    }
    let Settings { name, description, expires_at, scope } = settings;
    let token = Token {
        id: fresh_id(transaction, kind).await?,
        kind,
        generation: 0,
        scope,
        name,
        description,
        created_at: instant::now(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    };
    let value = value();
    tokens::insert(transaction, owner, &token, &hash(&store.keys, value.expose())).await?;
    tell(transaction, owner, &token, action, "created", by).await?;
    Ok((token, value))
}

/// The platform's ids are numbers of 32 bits, so few that a random one may be taken.
async fn fresh_id(transaction: &mut Transaction<'_, Any>, kind: Kind) -> Result<String, StoreError> {
    if kind != Kind::Access {
        return Ok(new_id());
    }
    loop {
        let id = rand::random_range(1..=i32::MAX).to_string();
        if !tokens::is_taken(transaction, &id).await? {
            return Ok(id);
        }
    }
}

fn value() -> Secret {
    Secret::new(STANDARD.encode(rand::random::<[u8; VALUE_BYTES]>()))
}

async fn tell(
    transaction: &mut Transaction<'_, Any>,
    owner: &User,
    token: &Token,
    action: &str,
    outcome: &str,
    by: &Entry,
) -> Result<(), StoreError> {
    let target = format!("{} of {} ({})", token.name, owner.name, token.id);
    audit::write_in(transaction, by, action, &target, outcome).await
}

#[cfg(test)]
mod tests;
