//! The command line: one file a command. A command that fails gives one line, without `error: `.

mod check;
mod installer;
mod keys;
mod package;
mod serve;
mod token;
mod user;

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::config::StoreArgs;
use crate::store::Store;
use crate::store::users::{self, User};

/// A server with the Update Service web API: for demo, tests and small sites.
#[derive(Parser, Debug)]
#[command(name = "uss-server", version, about)]
pub struct Cli {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the web API until SIGTERM or Ctrl-C
    Serve(serve::Serve),
    /// Manage users
    #[command(subcommand)]
    User(user::User),
    /// Manage personal access tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Manage the server's own keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Manage installers
    #[command(subcommand)]
    Installer(installer::Installer),
    /// Add packages, or make one
    #[command(subcommand)]
    Package(package::Package),
    /// Verify every blob against its digest
    Check,
}

/// Runs the command that was asked for.
pub async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Command::Serve(serve) => serve::run(serve, &cli.store).await,
        Command::User(user) => user::run(user, &cli.store).await,
        Command::Token(token) => token::run(token, &cli.store).await,
        Command::Keys(keys) => keys::run(keys, &cli.store).await,
        Command::Installer(installer) => installer::run(installer, &cli.store).await,
        Command::Package(package) => package::run(package, &cli.store).await,
        Command::Check => check::run(&cli.store).await,
    }
}

/// Opens the store; `create` for commands that may come first.
async fn open(store: &StoreArgs, create: bool) -> Result<Store, String> {
    Store::open(&store.places()?, create).await.map_err(|error| error.to_string())
}

/// The user of this name or e-mail address.
async fn find_user(store: &Store, name: &str) -> Result<User, String> {
    let found = users::find(&store.database, name).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| format!("there is no user '{name}'"))
}

/// A line on stdout; a pipe that nobody reads any more or a full disk is an error as any other.
fn print(line: &str) -> Result<(), String> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(|error| format!("writing to stdout: {error}"))
}
