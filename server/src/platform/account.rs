//! Who is signed in.

use super::answer::Answer;
use super::authentication::described;
use super::caller::Caller;

/// `users/account/getuserinfo`
pub fn user_info(caller: &Caller) -> Answer {
    described(&caller.user)
}

/// `billing/account/getaccount`: nothing costs anything here, and nothing is owed.
pub fn account(caller: &Caller) -> Answer {
    let user = &caller.user;
    Answer::ok()
        .with("uid", number(&user.id))
        .with("email", user.email.clone())
        .with("status", if user.enabled { "ACTIVE" } else { "INACTIVE" })
        .with("isEnabled", user.enabled)
        .with("isRegistered", true)
        .with("isCommerial", false)
        .with("balance", 0.0)
        .with("bonus", 0.0)
        .with("group", if user.admin { "administrators" } else { "users" })
}

/// A number of 31 bits for an id of this server's: the platform's ids are numbers. Two ids may come to one.
pub fn number(id: &str) -> i64 {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    i64::from(u32::from_str_radix(&digits, 16).unwrap_or_default() & 0x7fff_ffff)
}
