//! `token create`, `token list`, `token revoke`.

use clap::{Args, Subcommand};

use crate::config::StoreArgs;
use crate::instant;
use crate::store::audit::Entry;
use crate::store::tokens;
use crate::tokens::{self as core, Kind, Settings};

#[derive(Subcommand, Debug)]
pub enum Token {
    /// Create a token and print its value, once, alone on stdout
    Create(Create),
    /// List tokens: id, status, user, name, created, expires, last used, description, kind
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
    /// For a client service: it may only read, and ends after 12 months unless --expires says otherwise
    #[arg(long)]
    client_service: bool,
}

/// Runs `token`.
pub async fn run(token: Token, store: &StoreArgs) -> Result<(), String> {
    let store = super::open(store, false).await?;
    match token {
        Token::Create(create) => {
            let user = super::find_user(&store, &create.user).await?;
            let by = Entry::command_line();
            if create.expires.is_some_and(|at| at <= instant::now()) {
                eprintln!("warning: the token has expired already");
            }
            let (kind, expires_at) = match (create.client_service, create.expires) {
                (true, None) => (Kind::ClientService, core::client_service_end()),
                (true, expires) => (Kind::ClientService, expires),
                (false, expires) => (Kind::Personal, expires),
            };
            let (name, description) = (create.name, create.description);
            let settings = Settings { name, description, expires_at, ..Settings::default() };
            let made = core::issue(&store, &user, kind, settings, &by).await;
            let (token, value) = made.map_err(|error| error.to_string())?;
            // The one place where a value is shown.
            if let Err(error) = super::print(value.expose()) {
                let revoked = core::revoke(&store, &user, &token.id, &by).await;
                let outcome = revoked.map_or_else(|why| format!("revoking it failed: {why}"), |_| "revoked".to_owned());
                return Err(format!("{error}; nobody saw the value of token {}: {outcome}", token.id));
            }
            Ok(())
        }
        Token::List { user: name } => {
            let user = match &name {
                Some(name) => Some(super::find_user(&store, name).await?.id),
                None => None,
            };
            let found = tokens::list(&store.database, user.as_deref()).await.map_err(|error| error.to_string())?;
            for (token, user) in found {
                let date = |at: Option<i64>, none: &str| at.map_or(none.to_owned(), instant::round_trip);
                let used = match (token.last_used_at, &token.last_used_from) {
                    (Some(at), Some(from)) => format!("{} from {from}", instant::round_trip(at)),
                    _ => "never".to_owned(),
                };
                let created = instant::round_trip(token.created_at);
                // Of several lines, it would look like other tokens.
                let description = token.description.split_whitespace().collect::<Vec<_>>().join(" ");
                let expires = date(token.expires_at, "never");
                let line = format!(
                    "{}\t{}\t{}\t{}\t{created}\t{expires}\t{used}\t{description}\t{}",
                    token.id,
                    token.status().as_str(),
                    user.name,
                    token.name,
                    token.kind.as_str()
                );
                super::print(&line)?;
            }
            Ok(())
        }
        Token::Revoke { id } => {
            let found = tokens::find(&store.database, &id).await.map_err(|error| error.to_string())?;
            let (_, owner) = found.ok_or_else(|| format!("there is no token with the id '{id}'"))?;
            core::revoke(&store, &owner, &id, &Entry::command_line()).await.map_err(|error| error.to_string())?;
            Ok(())
        }
    }
}
