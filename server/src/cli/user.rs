//! `user add`, `user list`, `user password`, `user disable`, `user enable`.

use std::io::BufRead;

use clap::{Args, Subcommand};

use uss::Secret;

use crate::config::StoreArgs;
use crate::people;
use crate::store::audit::Entry;
use crate::store::users::{self, Added, NewUser};

#[derive(Subcommand, Debug)]
pub enum User {
    /// Add a user; the first one is an administrator
    Add(Add),
    /// List users: name, e-mail address, administrator or user, enabled or disabled, full name
    List,
    /// Give a user another password, read from the first line of stdin; their sessions end
    Password {
        /// Name or e-mail address
        name: String,
        /// Read it from stdin: a password on a command line is everybody's to see
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Keep a user out: their tokens, bearers and sessions open nothing
    Disable {
        /// Name or e-mail address
        name: String,
    },
    /// Let a disabled user in again
    Enable {
        /// Name or e-mail address
        name: String,
    },
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
    match user {
        User::Add(user) => add(user, store).await,
        User::List => list(store).await,
        User::Password { name, .. } => {
            let password = read_line()?;
            let store = super::open(store, false).await?;
            let user = super::find_user(&store, &name).await?;
            let changed = people::set_password(&store, &user, &password, &Entry::command_line()).await;
            changed.map_err(|error| error.to_string())
        }
        User::Disable { name } => enable(&name, false, store).await,
        User::Enable { name } => enable(&name, true, store).await,
    }
}

async fn list(store: &StoreArgs) -> Result<(), String> {
    let store = super::open(store, false).await?;
    for user in users::list(&store.database).await.map_err(|error| error.to_string())? {
        let (role, state) =
            (if user.admin { "administrator" } else { "user" }, if user.enabled { "enabled" } else { "disabled" });
        super::print(&format!("{}\t{}\t{role}\t{state}\t{}", user.name, user.email, user.full_name()))?;
    }
    Ok(())
}

async fn enable(name: &str, enabled: bool, store: &StoreArgs) -> Result<(), String> {
    let store = super::open(store, false).await?;
    let user = super::find_user(&store, name).await?;
    let changed = users::set_enabled(&store, &user, enabled, &Entry::command_line()).await;
    changed.map_err(|error| error.to_string())
}

async fn add(add: Add, store: &StoreArgs) -> Result<(), String> {
    let name = add.name.trim().to_owned();
    users::check_name(&name)?;
    let email = add.email.trim().to_owned();
    users::check_email(&email)?;
    let password_hash = match add.password_stdin {
        true => Some(people::hash_password(&read_line()?).await.map_err(|error| error.to_string())?),
        false => None,
    };
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

fn read_line() -> Result<Secret, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("reading the password: {error}"))?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    if line.is_empty() { Err("the password is empty".into()) } else { Ok(Secret::new(line)) }
}
