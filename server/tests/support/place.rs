//! Where a test's server has its rows and blobs: in its folder or, where `cargo xtask test` says so, in PostgreSQL and S3.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::{files, sha256};

/// The variables of [`place`], where the stores are others than the folder's.
struct Large {
    /// `postgres://HOST:PORT`
    databases: String,
    /// `s3://BUCKET`
    blobs: String,
    /// The folder that has the bucket's objects as files.
    objects: PathBuf,
}

fn large() -> Option<Large> {
    let variable = |name: &str| std::env::var(name).ok();
    Some(Large {
        databases: variable("USS_TEST_DATABASES")?,
        blobs: variable("USS_TEST_BLOBS")?,
        objects: variable("USS_TEST_OBJECTS")?.into(),
    })
}

/// What a data folder's database and its objects are called, where they are not in it.
fn name(data: &Path) -> String {
    format!("t{}", &sha256(data.as_os_str().as_encoded_bytes())[..24])
}

/// Tells a command of the server where the rows and blobs of a data folder are, and makes the database before the first.
pub fn place(command: &mut Command, data: &Path) {
    static MADE: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let Some(large) = large() else { return };
    let name = name(data);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.get_or_insert_default().insert(name.clone()) {
        // Who it is to be asked as stands in PostgreSQL's own variables.
        assert!(Command::new("createdb").arg(&name).status().unwrap().success(), "{name}");
    }
    drop(made);
    command.env("USS_SERVER_DATABASE", format!("{}/{name}", large.databases));
    command.env("USS_SERVER_BLOBS", format!("{}/{name}", large.blobs));
}

/// The address that [`sqlx`] knows a data folder's database by.
pub fn database(data: &Path) -> String {
    match large() {
        Some(large) => format!("{}/{}", large.databases, name(data)),
        None => format!("sqlite://{}", data.join("uss.db").display()),
    }
}

/// The files that are a data folder's objects.
pub fn objects(data: &Path) -> Vec<PathBuf> {
    let found = match large() {
        Some(large) => files(&large.objects.join(name(data))),
        None => files(&data.join("blobs")),
    };
    // Beside each object, the store of the tests has what it was told of it.
    found.into_iter().filter(|file| file.extension().is_none_or(|extension| extension != "json")).collect()
}
