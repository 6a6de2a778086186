//! `user add`.

use std::io::BufRead;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, SaltString};
use clap::{Args, Subcommand};

use crate::config::StoreArgs;
use crate::store::audit::Entry;
use crate::store::users::{self, Added, NewUser};

#[derive(Subcommand, Debug)]
pub enum User {
    /// Add a user; the first one is an administrator
    Add(Add),
}

#[derive(Args, Debug)]
pub struct Add {
    /// Name to sign in with
    name: String,
    /// E-mail address; it signs in too
    #[arg(long)]
    email: String,
    #[arg(long, default_value = "")]
    first_name: String,
    #[arg(long, default_value = "")]
    last_name: String,
    /// May publish and delete
    #[arg(long)]
    admin: bool,
    /// Read a password for the pages from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

/// Runs `user`.
pub async fn run(user: User, store: &StoreArgs) -> Result<(), String> {
    let User::Add(add) = user;
    let name = add.name.trim().to_owned();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("the user name is empty or holds control characters".into());
    }
    let email = add.email.trim().to_owned();
    if !email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) {
        return Err(format!("'{email}' is no e-mail address"));
    }
    let password_hash = if add.password_stdin { Some(hash(&read_line()?)?) } else { None };
    let user = NewUser {
        name: name.clone(),
        email,
        first_name: add.first_name,
        last_name: add.last_name,
        admin: add.admin,
        password_hash,
    };
    let store = super::open(store, true).await?;
    match users::add(&store, &user, &Entry::command_line()).await.map_err(|error| error.to_string())? {
        Added::First if !user.admin => {
            eprintln!("{name} is the first user, and so an administrator");
            Ok(())
        }
        Added::First | Added::Another => Ok(()),
        Added::Taken => Err(format!("'{name}' or '{}' is a user's name or address already", user.email)),
    }
}

fn read_line() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("reading the password: {error}"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err("the password is empty".into()) } else { Ok(password.to_owned()) }
}

/// argon2id with the crate's defaults, which are OWASP's.
fn hash(password: &str) -> Result<String, String> {
    let failed = |error: argon2::password_hash::Error| format!("hashing the password: {error}");
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(failed)?;
    Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string()).map_err(failed)
}
