//! `cargo xtask lint`: what a review would find, without running a test.

use std::path::{Path, PathBuf};

use crate::{Result, debian, methods, process, pwsh, workspace, workspace::cargo};

/// The features and targets that every cargo step of checks and tests names alike, so that cargo builds each crate once.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--features", "uss-server/faults"];

pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    let mut step = |name: &'static str, check: &mut dyn FnMut() -> Result<()>| {
        if process::interrupted() {
            return;
        }
        println!("== {name}");
        if let Err(error) = check() {
            println!("{error}");
            failed.push(name);
        }
    };
    step("rustfmt", &mut rustfmt);
    step("clippy", &mut clippy);
    step("dependencies", &mut dependencies);
    step("method table", &mut || methods::check().map(drop));
    step("PowerShell 5.1 syntax", &mut || powershell(&pwsh::find()?).map(drop));
    step("members of .NET Framework", &mut || framework(&pwsh::find()?));
    step("XML of the modules", &mut || xml(&pwsh::find()?).map(drop));
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

pub(crate) fn rustfmt() -> Result<()> {
    process::run(cargo().args(["fmt", "--all", "--check"]))
}

pub(crate) fn clippy() -> Result<()> {
    process::run(cargo().args(["clippy", "--quiet"]).args(WORKSPACE).args(["--all-targets", "--", "-D", "warnings"]))
}

/// Bans, licences and sources of `deny.toml`. Advisories need the network's newest and belong to the public workflow.
fn dependencies() -> Result<()> {
    if process::output(cargo().args(["deny", "--version"])).is_err() {
        println!("Not checked: cargo-deny is not installed; get it with cargo install cargo-deny --locked");
        return Ok(());
    }
    process::run(cargo().args(["deny", "--workspace", "--all-features", "check", "bans", "licenses", "sources"]))
}

/// The modules hold nothing that Windows PowerShell 5.1 could not run. Answers with the number of files.
pub(crate) fn powershell(pwsh: &Path) -> Result<u64> {
    let scripts = module_files(&["ps1", "psd1", "psm1"])?;
    let mut findings = 0_u64;
    let mut command = pwsh::command(pwsh);
    command
        .arg("-File")
        .arg(workspace::root().join("tests/powershell/Test-UssSyntax.ps1"))
        .arg("-Whole")
        .args(&scripts);
    let status = process::stream(&mut command, |line| findings += u64::from(!line.trim().is_empty()))?;
    match (findings, status.success()) {
        (0, true) => Ok(scripts.len() as u64),
        (0, false) => Err(format!("the syntax check failed ({status})").into()),
        _ => Err(format!("{findings} findings").into()),
    }
}

/// What the check for Windows PowerShell 5.1 lets pass is there in .NET Framework 4.7.2: its reference assemblies, as
/// Debian builds them of the Mono project's sources, know each type and member.
fn framework(pwsh: &Path) -> Result<()> {
    const PACKAGE: &str = "mono-devel";
    if !debian::is_debian() {
        println!("Not checked: the reference assemblies are taken from Debian's {PACKAGE}");
        return Ok(());
    }
    let reference = debian::unpack(PACKAGE)?.join("usr/lib/mono/4.7.2-api");
    let mut findings = 0_u64;
    let mut command = pwsh::command(pwsh);
    command.arg("-File").arg(workspace::root().join("tests/powershell/Test-UssFramework.ps1"));
    command.arg("-Reference").arg(&reference);
    let status = process::stream(&mut command, |line| findings += u64::from(!line.trim().is_empty()))?;
    match (findings, status.success()) {
        (0, true) => Ok(()),
        (0, false) => Err(format!("the comparison with {} failed ({status})", reference.display()).into()),
        _ => Err(format!("{findings} findings").into()),
    }
}

/// Help (MAML) and format views are well-formed: PowerShell would pass over a broken help file without a word.
pub(crate) fn xml(pwsh: &Path) -> Result<u64> {
    let files = module_files(&["xml", "ps1xml"])?;
    let script = "$ErrorActionPreference = 'Stop'; $failed = 0; \
         foreach ($file in $env:LINT_FILES -split [IO.Path]::PathSeparator) { \
             try { [Xml.XmlDocument]::new().Load($file) } \
             catch { \"${file}: $($_.Exception.InnerException.Message)\"; $failed++ } }; \
         exit [Math]::Min($failed, 1)";
    let mut command = pwsh::command(pwsh);
    process::run(command.args(["-Command", script]).env("LINT_FILES", std::env::join_paths(&files)?))?;
    Ok(files.len() as u64)
}

/// The modules' files of these kinds.
pub(crate) fn module_files(kinds: &[&str]) -> Result<Vec<PathBuf>> {
    fn walk(folder: &Path, kinds: &[&str], found: &mut Vec<PathBuf>) -> Result<()> {
        let entries =
            std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, kinds, found)?;
            } else if path.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted)) {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(&workspace::root().join("powershell"), kinds, &mut found)?;
    found.sort();
    if found.is_empty() { Err(format!("the modules hold no .{}", kinds.join(" or .")).into()) } else { Ok(found) }
}
