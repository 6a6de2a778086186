//! The token core: exchanging a value for a bearer; [`life`] makes, changes and ends tokens. Both dialects and the pages
//! stand on it.

mod life;

use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::keys::Keys;
use crate::store::audit::{self, Entry};
use crate::store::blobs::hex;
use crate::store::failures::{self, Counted};
use crate::store::tokens::{self, Status, Token};
use crate::store::users::User;
use crate::store::{Store, StoreError};

pub use crate::store::tokens::{Kind, Scope};
pub use life::{
    Changes, MOST, Settings, TokenError, UPDATE_SERVICE, client_service_end, copy, create, edit, find, issue, list,
    regenerate, remove, revoke,
};

/// How many refused exchanges within five minutes are answered before 429.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one user name, from wherever.
    pub per_user: i64,
    /// From one address, for whichever names.
    pub per_address: i64,
}

/// What an exchange comes to.
#[derive(Debug)]
pub enum Exchange {
    /// The value is right, and it is this user's.
    Accepted(Box<(Token, User)>),
    /// Some part is wrong; never which.
    Refused,
    /// The value is right, but no longer opens anything.
    Ended(Status),
    /// The value is right, but the user was disabled.
    Disabled,
    /// Too many were refused; how many seconds to wait.
    Limited(u64),
}

/// What the database keeps instead of a value.
pub fn hash(keys: &Keys, value: &str) -> String {
    // HMAC takes keys of any length (RFC 2104), so there is no error to tell.
    match Hmac::<Sha256>::new_from_slice(&keys.tokens()) {
        Ok(mut mac) => {
            mac.update(value.as_bytes());
            hex(&mac.finalize().into_bytes())
        }
        Err(_) => String::new(),
    }
}

/// Checks a name and a value.
///
/// The same work for whatever is wrong: one keyed hash, one indexed lookup by it, one count of the failure. Whoever
/// holds a right value is never limited by the failures of others.
pub async fn exchange(
    store: &Store,
    limits: Limits,
    name: &str,
    value: &str,
    address: &str,
) -> Result<Exchange, StoreError> {
    let found = tokens::find_by_hash(&store.database, &hash(&store.keys, value)).await?;
    let by = Entry { actor: name.to_owned(), address: Some(address.to_owned()) };
    let refused = |outcome: &'static str| audit::write(&store.database, &by, "token.exchange", "", outcome);
    match found {
        Some((token, user)) if user.answers_to(name) && token.kind != Kind::Access => match token.status() {
            Status::Active if !user.enabled => {
                refused("user disabled").await?;
                Ok(Exchange::Disabled)
            }
            Status::Active => {
                tokens::used(&store.database, &token, address).await;
                Ok(Exchange::Accepted(Box::new((token, user))))
            }
            Status::Expired => {
                refused("expired").await?;
                Ok(Exchange::Ended(Status::Expired))
            }
            Status::Revoked => {
                refused("revoked").await?;
                Ok(Exchange::Ended(Status::Revoked))
            }
        },
        _ => {
            let user: String = crate::store::users::key(name).chars().take(200).collect();
            let subjects = [
                (format!("user:{user}"), limits.per_user),
                (format!("address:{}", network(address)), limits.per_address),
            ];
            match failures::count(&store.database, &subjects).await? {
                Counted::Yes => {
                    refused("refused").await?;
                    Ok(Exchange::Refused)
                }
                Counted::Limited { wait, first } => {
                    // One line for all of them: strangers must not fill the disk.
                    if first {
                        refused("limited").await?;
                    }
                    Ok(Exchange::Limited(wait))
                }
            }
        }
    }
}

/// Checks a value that is given at every call, as the platform's access tokens are; a value of 512 random bits needs no
/// limit on guesses.
pub async fn authenticate(store: &Store, value: &str, kind: Kind, address: &str) -> Result<Exchange, StoreError> {
    let Some((token, user)) = tokens::find_by_hash(&store.database, &hash(&store.keys, value)).await? else {
        return Ok(Exchange::Refused);
    };
    if token.kind != kind {
        return Ok(Exchange::Refused);
    }
    Ok(match token.status() {
        Status::Active if !user.enabled => Exchange::Disabled,
        Status::Active => {
            tokens::used(&store.database, &token, address).await;
            Exchange::Accepted(Box::new((token, user)))
        }
        ended => Exchange::Ended(ended),
    })
}

/// What an address counts as: of IPv6, the 64 bits that one customer has at least (RFC 6177), all of them one.
pub fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_many_addresses_of_ipv6_counts_as_one() {
        assert_eq!(network("2001:db8:1:2::1"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::9"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }
}
