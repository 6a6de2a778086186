//! What a person who has signed in with a password goes on with: a random value, whose hash the database keeps.
//!
//! A session is ended by signing out, by a new password, or by its time; it opens nothing else than its kind.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uss::Secret;

use crate::instant::{self, HOUR, MINUTE};
use crate::keys::Keys;
use crate::store::audit::Entry;
use crate::store::sessions as rows;
use crate::store::users::User;
use crate::store::{Store, StoreError};
use crate::tokens::hash;

pub use crate::store::sessions::{Kind, Session};

/// Random bytes in a value.
const VALUE_BYTES: usize = 32;

impl Kind {
    /// How long a session lives, in microseconds.
    fn life(self) -> i64 {
        match self {
            // A working day.
            Self::Page => 12 * HOUR,
            // A script's few calls.
            Self::Person => 15 * MINUTE,
            Self::Platform => 24 * HOUR,
        }
    }
}

/// Begins a session, from this address and program; gives the value that the person's side keeps.
pub async fn begin(
    store: &Store,
    user: &User,
    kind: Kind,
    address: &str,
    agent: &str,
) -> Result<(Session, Secret), StoreError> {
    let value = URL_SAFE_NO_PAD.encode(rand::random::<[u8; VALUE_BYTES]>());
    let now = instant::now();
    let session = Session {
        id_hash: hash(&store.keys, &value),
        kind,
        created_at: now,
        expires_at: now + kind.life(),
        last_seen_at: now,
        address: address.to_owned(),
        agent: agent.to_owned(),
    };
    let by = Entry { actor: user.name.clone(), address: Some(address.to_owned()) };
    rows::add(store, user, &session, &by).await?;
    Ok((session, Secret::new(value)))
}

/// The living session of this kind and value, and its user, unless that one was disabled.
pub async fn find(store: &Store, kind: Kind, value: &str) -> Result<Option<(Session, User)>, StoreError> {
    let found = rows::find(&store.database, &hash(&store.keys, value)).await?;
    let living =
        found.filter(|(session, user)| session.kind == kind && session.expires_at > instant::now() && user.enabled);
    if let Some((session, _)) = &living {
        rows::seen(&store.database, session).await;
    }
    Ok(living)
}

/// A user's living sessions of this kind, the oldest first.
pub async fn list(store: &Store, user: &User, kind: Kind) -> Result<Vec<Session>, StoreError> {
    rows::list(&store.database, user, kind).await
}

/// Ends sessions, all of these or none.
pub async fn end(store: &Store, sessions: &[Session], by: &Entry) -> Result<(), StoreError> {
    rows::end(store, sessions, by).await
}

/// Ends every session of a user, of every kind.
pub async fn end_all(store: &Store, user: &User, by: &Entry) -> Result<(), StoreError> {
    rows::end_all(store, user, by).await
}

/// The secret that every form of a session carries, so that no other site can send one.
pub fn csrf(keys: &Keys, session: &Session) -> String {
    hash(keys, &format!("csrf {}", session.id_hash))
}

/// Notes that a form was sent. False: it was before, and must not count twice.
pub async fn use_form(store: &Store, session: &Session, nonce: &str) -> Result<bool, StoreError> {
    rows::use_form(&store.database, session, nonce).await
}
