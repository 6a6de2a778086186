//! Debian packages that tests and benchmarks need.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::{Result, process, workspace};

/// Installs what is missing when this is root on Debian; answers with what is missing still.
pub(crate) fn install(packages: &[&'static str]) -> Vec<&'static str> {
    let missing = |packages: &[&'static str]| packages.iter().copied().filter(|name| !installed(name)).collect();
    let wanted: Vec<&'static str> = missing(packages);
    if wanted.is_empty() || !can_install() {
        return wanted;
    }
    println!("Installing {}", wanted.join(" "));
    static UPDATED: OnceLock<bool> = OnceLock::new();
    // A failed update may still leave a list that is good enough; what is missing in the end is told by the caller.
    let updated = *UPDATED.get_or_init(|| apt_get(&["update", "-q"]));
    if !apt_get(&[&["install", "-q", "-y", "--no-install-recommends"], wanted.as_slice()].concat()) && !updated {
        eprintln!("apt-get could not update its lists");
    }
    missing(&wanted)
}

/// Installs what is missing when that is possible; else an error that says what to install, and what it is for.
pub(crate) fn require(packages: &[&'static str], purpose: &str) -> Result<()> {
    let missing = install(packages);
    if missing.is_empty() { Ok(()) } else { Err(format!("to {purpose}, install {}", missing.join(" ")).into()) }
}

/// A package's files in a folder of their own, for what is read and not run: nothing is installed, and nobody has to be
/// root.
pub(crate) fn unpack(package: &str) -> Result<PathBuf> {
    let kept = workspace::scratch()?.join("debian").join(package);
    if kept.is_dir() {
        return Ok(kept);
    }
    let fresh = workspace::temporary_folder("debian")?;
    let mut download = Command::new("apt-get");
    process::output(download.args(["download", package]).current_dir(fresh.path()))
        .map_err(|error| format!("cannot get Debian's {package}, whose lists apt-get update renews: {error}"))?;
    let archive = std::fs::read_dir(fresh.path())?.filter_map(std::result::Result::ok).map(|entry| entry.path());
    let archive = archive.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "deb"));
    let archive = archive.ok_or_else(|| format!("apt-get downloaded no {package}"))?;
    let files = fresh.path().join("files");
    process::output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&files))?;
    if let Some(parent) = kept.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::rename(&files, &kept).map_err(|error| format!("cannot make {}: {error}", kept.display()))?;
    Ok(kept)
}

/// Whether this is a Debian system at all, where packages are named as here.
pub(crate) fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

fn can_install() -> bool {
    is_debian() && process::output(Command::new("id").arg("-u")).is_ok_and(|user| user == "0")
}

fn installed(package: &str) -> bool {
    let status = process::output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|status| status == "install ok installed")
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    match process::run(command.stdout(Stdio::null())) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{error}");
            false
        }
    }
}
