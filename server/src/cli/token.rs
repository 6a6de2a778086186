//! `token create`, `token list`, `token revoke`.

use clap::{Args, Subcommand};

use crate::config::StoreArgs;
use crate::instant;
use crate::store::audit::Entry;
use crate::store::tokens::{self, Status};
use crate::store::users::User;
use crate::store::{Store, users};

#[derive(Subcommand, Debug)]
pub enum Token {
    /// Create a token and print its value, once, alone on stdout
    Create(Create),
    /// List tokens: id, status, user, name, created, expires, last used
    List {
        /// Only this user's (name or e-mail address)
        #[arg(long)]
        user: Option<String>,
    },
    /// Revoke a token; its bearers end at once
    Revoke {
        /// The id that `token list` shows
        id: String,
    },
}

#[derive(Args, Debug)]
pub struct Create {
    /// Whose (name or e-mail address)
    #[arg(long)]
    user: String,
    /// What the token is called
    #[arg(long)]
    name: String,
    /// When it ends: 2026-12-31 (its start, UTC) or 2026-12-31T18:00:00Z [default: never]
    #[arg(long, value_name = "DATE", value_parser = instant::parse)]
    expires: Option<i64>,
    #[arg(long, default_value = "")]
    description: String,
}

/// Runs `token`.
pub async fn run(token: Token, store: &StoreArgs) -> Result<(), String> {
    let store = super::open(store, false).await?;
    match token {
        Token::Create(create) => {
            let user = user(&store, &create.user).await?;
            let (name, by) = (create.name.trim(), Entry::command_line());
            if name.is_empty() {
                return Err("the token's name is empty".into());
            }
            if create.expires.is_some_and(|at| at <= instant::now()) {
                eprintln!("warning: the token has expired already");
            }
            let (id, value) = crate::tokens::create(&store, &user, name, &create.description, create.expires, &by)
                .await
                .map_err(|error| error.to_string())?;
            // The one place where a value is shown.
            if let Err(error) = super::print(value.expose()) {
                let revoked = tokens::revoke(&store, &id, &by).await.map_err(|error| error.to_string());
                let outcome = revoked.map_or_else(|why| format!("revoking it failed: {why}"), |_| "revoked".to_owned());
                return Err(format!("{error}; nobody saw the value of token {id}: {outcome}"));
            }
            Ok(())
        }
        Token::List { user: name } => {
            let user = match &name {
                Some(name) => Some(user(&store, name).await?.id),
                None => None,
            };
            let found = tokens::list(&store.database, user.as_deref()).await.map_err(|error| error.to_string())?;
            for (token, user) in found {
                let date = |at: Option<i64>, none: &str| at.map_or(none.to_owned(), instant::round_trip);
                let status = match token.status() {
                    Status::Active => "Active",
                    Status::Expired => "Expired",
                    Status::Revoked => "Revoked",
                };
                let used = match (token.last_used_at, &token.last_used_from) {
                    (Some(at), Some(from)) => format!("{} from {from}", instant::round_trip(at)),
                    _ => "never".to_owned(),
                };
                let created = instant::round_trip(token.created_at);
                let expires = date(token.expires_at, "never");
                let line = format!(
                    "{}\t{status}\t{}\t{}\t{created}\t{expires}\t{used}\t{}",
                    token.id, user.name, token.name, token.description
                );
                super::print(&line)?;
            }
            Ok(())
        }
        Token::Revoke { id } => {
            let known = tokens::revoke(&store, &id, &Entry::command_line()).await.map_err(|error| error.to_string())?;
            if known { Ok(()) } else { Err(format!("there is no token with the id '{id}'")) }
        }
    }
}

async fn user(store: &Store, name: &str) -> Result<User, String> {
    let found = users::find(&store.database, name).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| format!("there is no user '{name}'"))
}
