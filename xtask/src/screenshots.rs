//! `cargo xtask screenshots`: pictures of the server's pages for the README, made anew from a server with sample data.

use std::{path::Path, process::Command};

use crate::{
    Result, debian, process,
    workspace::{self, Profile, cargo},
};

/// The browser and its driver, and what makes its pictures small.
const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "pngquant"];

pub(crate) fn run() -> Result<()> {
    let missing = debian::install(&PACKAGES);
    if !missing.is_empty() {
        println!("Not installed, and this is not root on Debian: {}", missing.join(" "));
    }
    let built = workspace::build(Profile::Dev, &["-p", "uss-server", "--bins"])?;
    let folder = workspace::root().join("docs/pages");
    let mut take = cargo();
    take.args(["run", "-q", "-p", "uss-server", "--example", "screenshots", "--"]);
    process::run(take.arg(built.program("uss-server")?).arg(&folder))?;
    for entry in std::fs::read_dir(&folder)? {
        shrink(&entry?.path())?;
    }
    Ok(())
}

/// Text on plain surfaces has few colours: 64 of them look the same in a third of the bytes.
fn shrink(picture: &Path) -> Result<()> {
    let mut quantize = Command::new("pngquant");
    quantize.args(["--force", "--strip", "--speed", "1", "--ext", ".png", "64", "--"]);
    process::run(quantize.arg(picture))
}
