//! Client for token-secured package servers and platforms: the library behind the PowerShell modules Uss and Vap.
//!
//! The rooms, and who may call whom (nothing calls upward):
//!
//! ```text
//! ffi -> folder -> copy | package
//! ffi -> virtuozzo -> http
//! ffi -> update_service | copy -> connection -> bearer | http | vault -> secret | server_url | error | log
//! version, version_query, package, selection, wildcard, instant, hex: pure, callable from anywhere
//! operation, runtime: where everything runs
//! ```
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

/// Every program that links the library has it, unless it leaves out the feature.
#[cfg(feature = "wiping-allocator")]
#[global_allocator]
static ALLOCATOR: secret::Wiping = secret::Wiping;

pub mod bearer;
pub mod connection;
pub mod copy;
pub mod error;
pub mod ffi;
pub mod folder;
mod hex;
pub mod http;
mod instant;
pub mod log;
pub mod operation;
pub mod package;
pub mod runtime;
pub mod secret;
pub mod selection;
pub mod server_url;
pub mod update_service;
pub mod vault;
pub mod version;
pub mod version_query;
pub mod virtuozzo;
pub mod wildcard;

pub use error::{Error, ErrorKind};
pub use secret::Secret;
pub use server_url::ServerUrl;
pub use version::Version;
pub use version_query::VersionQuery;
