//! A server with the Update Service web API, and the commands that manage it.
//!
//! ```text
//! cli       the commands; serve is one of them
//! listen    connections
//! api       the web API, one file a group of calls
//! tokens    the token core; bearer signs what it gives out
//! store     rows in a database, blobs in an object store
//! faults    injected failures, for tests only
//! ```
//!
//! Token pages, resumable uploads (tus), people's sessions and the second dialect join `api` as modules of their own.
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
