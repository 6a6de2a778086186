//! People's passwords: sign-in, confirmation before a change, a new password, and the first administrator.
//!
//! Passwords are kept as argon2id (RFC 9106) with the crate's defaults, which are OWASP's. Whether a name is unknown, has
//! no password, or the password is wrong: the same work is done, and the same is answered.

use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Argon2, PasswordHash, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use uss::Secret;

use crate::instant::HOUR;
use crate::store::audit::{self, Entry};
use crate::store::failures::{self, Counted};
use crate::store::users::{self, Added, NewUser, User};
use crate::store::{Store, StoreError, people as rows};
use crate::tokens::{hash, network};

/// Wrong passwords within five minutes before nobody may try for that name any more, right or wrong.
const PER_PERSON: i64 = 8;

/// The same from one address, for whichever names.
const PER_ADDRESS: i64 = 40;

/// Hashes at once: each takes 19 MiB and a core for a while, and the server has other work.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Characters of a password at least (NIST SP 800-63B, section 5.1.1.2), and at most.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=200;

/// How long the link for the first administrator opens, in microseconds.
const INVITATION: i64 = 24 * HOUR;

/// What a sign-in comes to.
#[derive(Debug)]
pub enum SignIn {
    /// The name and the password are right.
    Accepted(User),
    /// Some part is wrong; never which.
    Refused,
    /// Too many were wrong; how many seconds to wait.
    Limited(u64),
}

/// Why a password was not taken.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be one.
    #[error("a password has {} to {} characters", LENGTH.start(), LENGTH.end())]
    Length,
    /// argon2 failed.
    #[error("the password could not be hashed: {0}")]
    Hashing(argon2::password_hash::Error),
}

/// What became of an invitation.
#[derive(Debug)]
pub enum Invited {
    /// The user is there, and an administrator.
    Accepted,
    /// The link was used, is too old, or never was; or somebody is there already.
    Void,
}

/// Checks a name or e-mail address and a password.
pub async fn sign_in(store: &Store, name: &str, password: &Secret, address: &str) -> Result<SignIn, StoreError> {
    let found = rows::find_with_password(&store.database, name).await?;
    let by = Entry { actor: name.to_owned(), address: Some(address.to_owned()) };
    check(store, found, name, password, &by, "session.begin").await
}

/// Checks the password of somebody who is signed in, before a change. It counts towards the same limits.
pub async fn confirm(store: &Store, user: &User, password: &Secret, by: &Entry) -> Result<SignIn, StoreError> {
    let found = rows::find_with_password(&store.database, &user.name).await?;
    check(store, found, &user.name, password, by, "password.confirm").await
}

async fn check(
    store: &Store,
    found: Option<(User, Option<String>)>,
    name: &str,
    password: &Secret,
    by: &Entry,
    action: &str,
) -> Result<SignIn, StoreError> {
    let key: String = users::key(name).chars().take(200).collect();
    let address = by.address.as_deref().unwrap_or_default();
    let subjects =
        [(format!("person:{key}"), PER_PERSON), (format!("person-address:{}", network(address)), PER_ADDRESS)];
    // Counted before it is tried, so that many at once are no way around the limit; a right one is taken back.
    let count = failures::count(&store.database, &subjects).await?;
    if let Counted::Limited { wait, first } = count {
        if first {
            audit::write(&store.database, by, action, "", "limited").await?;
        }
        return Ok(SignIn::Limited(wait));
    }
    let (user, phc) = found.map_or((None, None), |(user, phc)| (Some(user), phc));
    let right = verify(phc, password).await?;
    match user.filter(|user| right && user.enabled) {
        Some(user) => {
            failures::forgive(&store.database, &subjects).await?;
            Ok(SignIn::Accepted(user))
        }
        None => {
            audit::write(&store.database, by, action, "", "refused").await?;
            Ok(SignIn::Refused)
        }
    }
}

/// Whether a password is the hashed one. Without a hash the same work is done on one that nothing fits.
async fn verify(phc: Option<String>, password: &Secret) -> Result<bool, StoreError> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let password = password.clone();
    let _turn = HASHING.acquire().await;
    let verified = spawn_blocking(move || {
        let known = phc.is_some();
        // Made with the first sign-in, whoever's it is: nobody's would be told by its taking longer.
        let nobody = NOBODY.get_or_init(|| hash_now(&Secret::new(crate::store::new_id())).unwrap_or_default());
        let phc = phc.as_deref().unwrap_or(nobody);
        let fits = PasswordHash::new(phc)
            .is_ok_and(|phc| Argon2::default().verify_password(password.expose().as_bytes(), &phc).is_ok());
        fits && known
    });
    Ok(verified.await?)
}

/// Makes the hash that is kept of a password: a PHC string.
pub async fn hash_password(password: &Secret) -> Result<String, PasswordError> {
    if !LENGTH.contains(&password.expose().chars().count()) {
        return Err(PasswordError::Length);
    }
    let password = password.clone();
    let _turn = HASHING.acquire().await;
    spawn_blocking(move || hash_now(&password)).await.map_err(StoreError::from)?.map_err(PasswordError::Hashing)
}

fn hash_now(password: &Secret) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(Argon2::default().hash_password(password.expose().as_bytes(), &salt)?.to_string())
}

/// Gives a user another password, and ends every session of theirs.
pub async fn set_password(store: &Store, user: &User, password: &Secret, by: &Entry) -> Result<(), PasswordError> {
    let phc = hash_password(password).await?;
    Ok(rows::set_password(store, user, &phc, by).await?)
}

/// A key for the link by which the first administrator is made; none where there are users already.
///
/// Each start of the server makes one more, and every one of them opens until somebody is there.
pub async fn invite_first(store: &Store) -> Result<Option<Secret>, StoreError> {
    let key = Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let made = rows::invite(store, &hash(&store.keys, key.expose()), INVITATION).await?;
    Ok(made.then_some(key))
}

/// Whether a key opens, so that a page need not ask for what leads nowhere.
pub async fn is_invited(store: &Store, key: &str) -> Result<bool, StoreError> {
    rows::is_invited(&store.database, &hash(&store.keys, key)).await
}

/// Makes the first administrator. The key opens once, and only while there is no user.
pub async fn accept_invitation(
    store: &Store,
    key: &str,
    user: NewUser,
    password: &Secret,
    address: &str,
) -> Result<Invited, PasswordError> {
    let hash_of_key = hash(&store.keys, key);
    if !rows::is_invited(&store.database, &hash_of_key).await? {
        return Ok(Invited::Void);
    }
    let user = NewUser { admin: true, password_hash: Some(hash_password(password).await?), ..user };
    let by = Entry { actor: user.name.clone(), address: Some(address.to_owned()) };
    match users::add_first(store, &user, &by).await? {
        Added::First => Ok(Invited::Accepted),
        Added::Another | Added::Taken => Ok(Invited::Void),
    }
}
