//! A server with the Update Service web API, and the commands that manage it.
//!
//! ```text
//! cli       the commands, one file each; serve is one of them
//! listen    connections: how many at once, how long each may be silent, how they end; tls: certificate and key
//! api       the web API: one table of routes, one file a group of calls; auth says who calls, problem how it fails
//! platform  the second dialect, of the Virtuozzo Application Platform: its calls, and environments
//! tokens    the token core: makes values, exchanges them; bearer signs what they are exchanged for, with keys
//! people    passwords and sign-ins; sessions are what those who have signed in go on with
//! archive   what a package says of itself
//! store     rows in a database, blobs in an object store, and the sweep of what nothing needs
//! config    where all that lies; instant: times as they are kept and told
//! faults    injected failures, for tests only
//! ```
//!
//! Who may call whom: `cli -> listen, api, platform -> tokens, people, sessions, archive -> store`; nothing calls upward.
//! The commands change the store itself, with no server between, so they work whether one runs or not. A request goes through `listen`, `api`'s
//! router and [`api::auth`], which reads the token's state from the store every time. What a request changes, and the
//! line of the audit table that tells it, is one transaction of `store`.
//!
//! The pages join `api` as a module of their own.
// A binary: pub says what a module offers to the others.
#![allow(unreachable_pub)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod api;
mod archive;
mod bearer;
mod cli;
mod config;
#[cfg(feature = "faults")]
mod faults;
mod instant;
mod keys;
mod listen;
mod pages;
mod people;
mod platform;
mod sessions;
mod store;
mod tls;
mod tokens;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// 0 done, 1 failed (one line on stderr), 2 usage (clap's own).
fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the system gave no thread to work in: {error}")),
    };
    let outcome = runtime.block_on(cli::run(arguments));
    // Blocking tasks that still read or write are not waited for without end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(&message),
    }
}

fn failed(message: &str) -> ExitCode {
    // Where stderr is closed or full, the exit code still tells.
    let _ = writeln!(std::io::stderr(), "error: {}", message.replace('\n', " "));
    ExitCode::FAILURE
}
