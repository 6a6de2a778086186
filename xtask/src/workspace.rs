//! Where the workspace is, and building it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, process::Running};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// The checkout that this command was started in.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map(Path::to_owned).unwrap_or(here)
}

/// Where the commands keep what they make: the build folder's `xtask`, which `cargo clean` removes.
pub(crate) fn scratch() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let scratch = std::path::absolute(target)?.join("xtask");
    std::fs::create_dir_all(&scratch).map_err(|error| format!("cannot make {}: {error}", scratch.display()))?;
    Ok(scratch)
}

/// A folder that is removed when it goes out of scope; on the build folder's disk, as /tmp may be memory.
pub(crate) fn temporary_folder(purpose: &str) -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix(&format!("{purpose}-")).tempdir_in(scratch()?)?)
}

/// Cargo, in the workspace, as a person would have started it.
///
/// `cargo run` tells this program about its own package by variables; build scripts that watch those would build
/// their crates anew at each turn between a person's cargo and ours.
pub(crate) fn cargo() -> Command {
    cargo_at(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The same with a cargo of another toolchain.
pub(crate) fn cargo_at(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut cargo = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix));
        if ours || ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&&*name) {
            cargo.env_remove(&*name);
        }
    }
    // A build that nobody repeats keeps nothing for its repetition: half of what a clean checkout takes on the disk.
    if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
        cargo.env("CARGO_INCREMENTAL", "0");
    }
    cargo.current_dir(root());
    cargo
}

/// What a build made: the files that cargo named.
pub(crate) struct Built {
    files: Vec<PathBuf>,
}

/// Builds and answers with the files, wherever the user's settings put them.
pub(crate) fn build(profile: Profile, what: &[&str]) -> Result<Built> {
    build_by(command(profile, what))
}

/// What [`build`] runs.
pub(crate) fn command(profile: Profile, what: &[&str]) -> Command {
    let mut command = cargo();
    command.arg("build").args(what);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command
}

/// The same by a `cargo build` that is set up already.
pub(crate) fn build_by(mut command: Command) -> Result<Built> {
    command.arg("--message-format=json-render-diagnostics");
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut files = Vec::new();
    if let Some(messages) = running.stdout() {
        for message in BufReader::new(messages).lines() {
            let message: serde_json::Value = serde_json::from_str(&message?)?;
            // A test binary of the same name is another file.
            if message.pointer("/profile/test").is_some_and(|test| test == false) {
                let names = message.get("filenames").and_then(|names| names.as_array()).into_iter().flatten();
                files.extend(names.filter_map(|name| name.as_str()).map(PathBuf::from));
            }
        }
    }
    let status = running.wait()?;
    if status.success() { Ok(Built { files }) } else { Err(format!("cargo build failed ({status})").into()) }
}

impl Built {
    /// The shared library.
    pub(crate) fn library(&self) -> Result<PathBuf> {
        self.file(&format!("{}uss{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
    }

    /// A program by its name.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        self.file(&format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// A file by its name.
    pub(crate) fn file(&self, name: &str) -> Result<PathBuf> {
        let found = self.files.iter().find(|file| file.file_name().is_some_and(|found| found == name));
        found.cloned().ok_or_else(|| format!("cargo built no {name}").into())
    }
}
