//! `cargo xtask test`: everything that has to hold, in one command, as anyone and as CI runs it.
//!
//! Cheap checks first. The dev build has the server's faults compiled in and is what all tests run against; the demo
//! is a release build and has none. A step that ran no test is a failure, as is a skipped test where `CI` is `true`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result, Told, debian, process, pwsh,
    report::{CargoTest, Pester, Tally},
    stage,
    workspace::{self, Built, Profile, cargo},
};

/// What the tests need beyond Rust: valgrind (with the symbols it insists on) and a C compiler for the C ABI, xz and
/// OpenSSL's library for PowerShell.
const PACKAGES: [&str; 6] = ["gcc", "libc6-dev", "valgrind", "libc6-dbg", "xz-utils", "openssl"];

/// The features and targets that every cargo step names alike, so that cargo builds each crate once.
const WORKSPACE: [&str; 3] = ["--workspace", "--features", "uss-server/faults"];

pub(crate) fn run() -> Result<()> {
    let mut run = Run::default();
    if debian::is_debian() {
        let missing = debian::install(&PACKAGES);
        if !missing.is_empty() {
            println!("Not installed, and this is not root: {}", missing.join(" "));
        }
    }
    run.step("rustfmt", || check(cargo().args(["fmt", "--all", "--check"])));
    run.step("clippy", || {
        check(cargo().args(["clippy", "--quiet"]).args(WORKSPACE).args(["--all-targets", "--", "-D", "warnings"]))
    });
    let mut built = None;
    run.step("build", || {
        built = Some(workspace::build(Profile::Dev, &[&WORKSPACE[..], &["--all-targets"]].concat())?);
        Ok(Tally::passed(1))
    });
    if let Some(built) = built {
        run.step("Rust", || rust(&built));
        run.with_powershell(&built);
    }
    run.finish()
}

#[derive(Default)]
struct Run {
    total: Tally,
    failed_steps: Vec<String>,
}

impl Run {
    /// Runs one step and counts it. After an interruption nothing more is started.
    fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Tally>) {
        if process::interrupted() {
            return;
        }
        println!("\n== {name}");
        let tally = run().unwrap_or_else(|error| {
            println!("{error}");
            Tally::failed()
        });
        let empty = tally.ran_nothing();
        if empty {
            println!("{name} ran no test");
        }
        if empty || tally.failed > 0 {
            self.failed_steps.push(name.to_owned());
        }
        println!("{name}: {tally}");
        self.total.add(if empty { Tally::failed() } else { tally });
    }

    fn with_powershell(&mut self, built: &Built) {
        if !workspace::root().join("powershell").is_dir() {
            return;
        }
        match pwsh::find() {
            Ok(pwsh) => {
                self.step("PowerShell 5.1 syntax", || syntax(&pwsh));
                self.step("PowerShell", || powershell(&pwsh, built));
            }
            Err(reason) => self.step("PowerShell", || Ok(Tally::skipped(format!("PowerShell tests: {reason}")))),
        }
    }

    /// Says what went wrong and closes with the one line that counts all.
    fn finish(self) -> Result<()> {
        println!();
        for step in &self.failed_steps {
            println!("FAILED: {step}");
        }
        for skipped in &self.total.skipped {
            println!("SKIPPED: {skipped}");
        }
        let strict = std::env::var("CI").is_ok_and(|ci| ci == "true");
        if strict && !self.total.skipped.is_empty() {
            println!("With CI=true a skipped test fails the run.");
        }
        println!("{}", self.total);
        let failed = self.total.failed > 0 || (strict && !self.total.skipped.is_empty());
        if failed { Err(Told.into()) } else { Ok(()) }
    }
}

/// A check that passes or fails as a whole.
fn check(command: &mut Command) -> Result<Tally> {
    process::run(command)?;
    Ok(Tally::passed(1))
}

fn rust(built: &Built) -> Result<Tally> {
    let mut reader = CargoTest::default();
    let mut command = cargo();
    command.arg("test").args(WORKSPACE).args(["--no-fail-fast", "--", "--show-output"]);
    command.env("USS_TEST_SERVER", built.program("uss-server")?);
    let status = process::stream(&mut command, |line| reader.line(line))?;
    Ok(reader.finish(status.success()))
}

/// The modules hold nothing that Windows PowerShell 5.1 could not run.
fn syntax(pwsh: &Path) -> Result<Tally> {
    let scripts = module_scripts(&workspace::root().join("powershell"))?;
    let mut findings = 0_u64;
    let mut command = powershell_command(pwsh);
    command.arg("-File").arg(workspace::root().join("tests/powershell/Test-UssSyntax.ps1")).args(&scripts);
    let status = process::stream(&mut command, |line| findings += u64::from(!line.trim().is_empty()))?;
    match (findings, status.success()) {
        (0, true) => Ok(Tally::passed(scripts.len() as u64)),
        (0, false) => Err(format!("the syntax check failed ({status})").into()),
        _ => Err(format!("{findings} findings").into()),
    }
}

fn module_scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            scripts.extend(module_scripts(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "psm1" || kind == "psd1" || kind == "ps1") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

fn powershell(pwsh: &Path, built: &Built) -> Result<Tally> {
    let modules = stage::stage(&built.library()?, &workspace::scratch()?.join("modules"))?;
    let module = modules.iter().find(|module| module.ends_with("Uss")).ok_or("the module Uss was not staged")?;
    // The closing line is printed here, as Pester's own differs from version to version.
    let script = "if (-not (Get-Module Pester -ListAvailable | Where-Object Version -GE '5.0')) { exit 77 }; \
         $r = Invoke-Pester -Path $env:USS_TEST_SUITE -Output Detailed -PassThru; \
         $failed = $r.FailedCount + $r.FailedBlocksCount + $r.FailedContainersCount; \
         \"$($r.PassedCount) passed, $failed failed, $($r.SkippedCount + $r.NotRunCount) skipped\"; \
         exit [Math]::Min($failed, 1)";
    let mut reader = Pester::default();
    let mut command = powershell_command(pwsh);
    command.args(["-Command", script]);
    command.env("USS_TEST_SUITE", workspace::root().join("tests/powershell"));
    command.env("USS_TEST_MODULE", module).env("USS_TEST_SERVER", built.program("uss-server")?);
    let status = process::stream(&mut command, |line| reader.line(line))?;
    if status.code() == Some(77) {
        return Ok(Tally::skipped("PowerShell tests: no Pester 5; get it with Install-Module Pester"));
    }
    Ok(reader.finish(status.success()))
}

fn powershell_command(pwsh: &Path) -> Command {
    let mut command = Command::new(pwsh);
    command.args(["-NoLogo", "-NoProfile", "-NonInteractive"]).env("NO_COLOR", "1").current_dir(workspace::root());
    command
}
