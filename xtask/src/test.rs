//! `cargo xtask test`: everything that has to hold, in one command, as anyone and as CI runs it.
//!
//! Cheap checks first. The dev build has the server's faults compiled in and is what all tests run against; the demo
//! is a release build and has none. A step that ran no test is a failure, as is a skipped test where `CI` is `true`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use crate::{
    Result, Told,
    ahead::Ahead,
    debian, demo, header,
    large::{self, Large},
    lint::{self, WORKSPACE},
    methods,
    package::{self, GlibC},
    process, pwsh,
    report::{CargoTest, Pester, Tally},
    stage::{self, Native},
    windows::{
        self,
        bridge::Bridge,
        wine::{self, Wine},
    },
    workspace::{self, Built, Profile, cargo},
};

/// What the tests need beyond Rust: valgrind (with the symbols it insists on) and a C compiler for the C ABI, xz and
/// OpenSSL's library for PowerShell, a keyring and its bus for the tokens that are kept there, a
/// browser for the pages, PostgreSQL for the server at its largest.
const PACKAGES: [&str; 11] = [
    "gcc",
    "libc6-dev",
    "valgrind",
    "libc6-dbg",
    "xz-utils",
    "openssl",
    "gnome-keyring",
    "dbus",
    "chromium",
    "chromium-driver",
    large::POSTGRESQL,
];

pub(crate) fn run() -> Result<()> {
    let mut run = Run::default();
    if debian::is_debian() {
        let missing = debian::install(&PACKAGES);
        if !missing.is_empty() {
            println!("Not installed, and this is not root: {}", missing.join(" "));
        }
    }
    run.step("rustfmt", || lint::rustfmt().map(|()| Tally::passed(1)));
    run.step("clippy", || lint::clippy().map(|()| Tally::passed(1)));
    match methods::check() {
        // The description is no part of the repository: where it is not, there is nothing to compare with.
        Ok(false) => {}
        compared => run.step("method table", || compared.map(|_| Tally::passed(1))),
    }
    let mut built = None;
    run.step("build", || {
        built = Some(build_all()?);
        Ok(Tally::passed(1))
    });
    // Installing comes first, as a build ahead tells nobody what it lacks.
    let windows = windows_side().map(|side| side.and_then(|()| windows::command(Profile::Dev)));
    let dll = windows.as_ref().and_then(|command| command.as_ref().ok()).map(Ahead::start);
    if let Some(built) = built {
        run.step("C header", || header::check(&built).map(|()| Tally::passed(1)));
        run.step("Rust", || rust(&built));
        if cfg!(target_os = "linux") {
            run.step("server on PostgreSQL and S3", || server_at_large(&built));
        }
        run.step("packages", || packages(&built));
        run.with_powershell(&built);
        if let Some(dll) = dll {
            dll.wait();
        }
        let demo = Ahead::start(&workspace::command(Profile::Release, &demo::BUILD));
        match windows {
            Some(Ok(_)) => run.step("PowerShell for Windows", || powershell_on_windows(&built, &[])),
            Some(Err(reason)) => {
                run.step("PowerShell for Windows", || Ok(Tally::skipped(format!("tests on Windows' side: {reason}"))))
            }
            None => {}
        }
        demo.wait();
    }
    run.step("demo", || demonstrate(&[], None));
    run.step("demo without PowerShell", || demonstrate(&[], Some("/nonexistent")));
    if pwsh::find().is_ok() {
        run.step("demo platform", || demonstrate(&["platform"], None));
    }
    run.finish()
}

/// Whether the suite can run on Windows' side from here. None: this machine has no PowerShell for Windows, and a real
/// Windows runs the suite, the public workflow's.
fn windows_side() -> Option<Result<()>> {
    let here = cfg!(target_os = "linux") && pwsh::find().is_ok() && wine::has_powershell();
    here.then(|| windows::available().and_then(|()| wine::available()))
}

/// `cargo xtask windows test`: of all the tests those on Windows' side alone, or these files of them.
pub(crate) fn run_on_windows(files: &[&str]) -> Result<()> {
    let mut run = Run::default();
    let built = workspace::build(Profile::Dev, &["-p", "uss-server", "--features", "uss-server/faults"])?;
    run.step("PowerShell for Windows", || powershell_on_windows(&built, files));
    run.finish()
}

/// `cargo xtask test large`: of all the tests those of the server on PostgreSQL and S3 alone.
pub(crate) fn run_at_large() -> Result<()> {
    let mut run = Run::default();
    let built = build_all()?;
    run.step("server on PostgreSQL and S3", || server_at_large(&built));
    run.finish()
}

/// All that the tests run, with the features that all of them have.
fn build_all() -> Result<Built> {
    workspace::build(Profile::Dev, &[&WORKSPACE[..], &["--all-targets"]].concat())
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
        let started = Instant::now();
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
        println!("{name}: {tally}, in {} s", started.elapsed().as_secs());
        self.total.add(if empty { Tally::failed() } else { tally });
    }

    fn with_powershell(&mut self, built: &Built) {
        match pwsh::find() {
            Ok(pwsh) => {
                self.step("PowerShell 5.1 syntax", || lint::powershell(&pwsh).map(Tally::passed));
                self.step("XML of the modules", || lint::xml(&pwsh).map(Tally::passed));
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

fn rust(built: &Built) -> Result<Tally> {
    let mut reader = CargoTest::default();
    let mut command = cargo();
    command.arg("test").args(WORKSPACE).args(["--no-fail-fast", "--", "--show-output"]);
    command.env("USS_TEST_SERVER", built.program("uss-server")?);
    let status = process::stream(&mut command, |line| reader.line(line))?;
    Ok(reader.finish(status.success()))
}

/// Tests of the server once more, with what a large site has behind it: those that need no folder of its own.
fn server_at_large(built: &Built) -> Result<Tally> {
    const TESTS: [&str; 10] =
        ["audit", "environments", "large", "packages", "people", "platform", "publish", "sign_in", "tus", "tus_store"];
    if let Err(reason) = large::available() {
        return Ok(Tally::skipped(format!("tests of the server on PostgreSQL and S3: {reason}")));
    }
    let large = Large::start(built)?;
    let mut reader = CargoTest::default();
    let mut command = cargo();
    command.arg("test").args(WORKSPACE).args(TESTS.iter().flat_map(|test| ["--test", test]));
    command.args(["--no-fail-fast", "--", "--show-output"]).envs(large.envs());
    let status = process::stream(&mut command, |line| reader.line(line))?;
    if !large.was_used()? {
        return Err("the tests did not use what was started for them".into());
    }
    Ok(reader.finish(status.success()))
}

/// The README's first command: it succeeds, shows a token refused, and leaves nothing behind.
fn demonstrate(which: &[&str], pwsh: Option<&str>) -> Result<Tally> {
    let mut refused = false;
    let mut command = cargo();
    command.args(["xtask", "demo"]).args(which).envs(pwsh.map(|pwsh| ("USS_PWSH", pwsh)));
    let status = process::stream(&mut command, |line| refused |= line.contains("refused"))?;
    if !status.success() {
        return Err(format!("cargo xtask demo failed ({status})").into());
    }
    if !refused {
        return Err("the demo did not show a token refused".into());
    }
    let left = fs::read_dir(workspace::scratch()?)?
        .filter_map(std::result::Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("demo-"));
    match left {
        Some(left) => Err(format!("the demo left {}", left.path().display()).into()),
        None => Ok(Tally::passed(1)),
    }
}

/// Packages of the dev build, made twice with the same bytes; what is in them is for the PowerShell tests.
fn packages(built: &Built) -> Result<Tally> {
    let natives = [Native::here(built.library()?)?];
    let (first, again) = (workspace::scratch()?.join("packages"), workspace::temporary_folder("packages")?);
    if first.exists() {
        std::fs::remove_dir_all(&first)?;
    }
    let project = Some("https://forge.example/uss");
    let made = package::make(&natives, project, &first)?;
    for (made, other) in made.iter().zip(package::make(&natives, project, again.path())?) {
        if std::fs::read(made)? != std::fs::read(other)? {
            return Err(format!("{} is not the same when it is made again", made.display()).into());
        }
    }
    for native in natives.iter().filter(|native| GlibC::is_of(&native.rid)) {
        println!("The dev build needs glibc {}.", GlibC::needed_by(&native.library)?);
    }
    Ok(Tally::passed(1))
}

/// The suite in this system's PowerShell, with the dev build's library and server.
fn powershell(pwsh: &Path, built: &Built) -> Result<Tally> {
    let native = Native::here(built.library()?)?;
    let modules = stage::stage(&[native], &workspace::scratch()?.join("modules"))?;
    let mut command = pwsh::command(pwsh);
    // What copies leave to go on with is the run's own, and not of whoever runs the tests.
    command.env("XDG_STATE_HOME", workspace::scratch()?.join("state"));
    command.env("USS_TEST_PACKAGES", workspace::scratch()?.join("packages"));
    command.env("USS_TEST_MODULE", uss(&modules)?).env("USS_TEST_SERVER", built.program("uss-server")?);
    pester(command, &[], |path| path.to_string_lossy().into_owned())
}

/// The same suite in PowerShell for Windows, with a DLL of the dev build; the server is this system's.
fn powershell_on_windows(built: &Built, files: &[&str]) -> Result<Tally> {
    let native = Native { rid: windows::RID.to_owned(), library: windows::build(Profile::Dev)? };
    let modules = stage::stage(&[native], &workspace::scratch()?.join("modules-windows"))?;
    let wine = Wine::start()?;
    let bridge = Bridge::start(&built.program("uss-server")?, &wine.drive_c())?;
    let mut command = wine.pwsh();
    command.env("USS_TEST_MODULE", Wine::path(uss(&modules)?)).env("USS_TEST_BRIDGE", bridge.address());
    pester(command, files, Wine::path)
}

fn uss(modules: &[PathBuf]) -> Result<&PathBuf> {
    modules.iter().find(|module| module.ends_with("Uss")).ok_or_else(|| "the module Uss was not staged".into())
}

/// Runs the suite, or these files of it; `named` tells how that PowerShell names a path.
fn pester(mut pwsh: Command, files: &[&str], named: impl Fn(&Path) -> String) -> Result<Tally> {
    let suite = workspace::root().join("tests/powershell");
    let mut paths: Vec<PathBuf> = files.iter().map(|file| suite.join(file)).collect();
    if let Some(absent) = paths.iter().find(|path| !path.is_file()) {
        return Err(format!("there is no {}", absent.display()).into());
    }
    if paths.is_empty() {
        paths.push(suite);
    }
    // An authority of its own, which no system knows.
    let tls = workspace::temporary_folder("tls")?;
    let signed = rcgen::generate_simple_self_signed(["other.example".to_owned()])?;
    fs::write(tls.path().join("certificate.pem"), signed.cert.pem())?;
    fs::write(tls.path().join("key.pem"), signed.signing_key.serialize_pem())?;
    pwsh.env("USS_TEST_TLS", named(tls.path()));
    pwsh.env("USS_TEST_SUITE", paths.iter().map(|path| named(path)).collect::<Vec<_>>().join("|"));
    // The closing line is printed here, as Pester's own differs from version to version.
    let script = "if (-not (Get-Module Pester -ListAvailable | Where-Object Version -GE '5.0')) { exit 77 }; \
         $r = Invoke-Pester -Path $env:USS_TEST_SUITE.Split('|') -Output Detailed -PassThru; \
         $failed = $r.FailedCount + $r.FailedBlocksCount + $r.FailedContainersCount; \
         \"$($r.PassedCount) passed, $failed failed, $($r.SkippedCount + $r.NotRunCount) skipped\"; \
         exit [Math]::Min($failed, 1)";
    let mut reader = Pester::default();
    let status = process::stream(pwsh.args(["-Command", script]), |line| reader.line(line))?;
    if status.code() == Some(77) {
        return Ok(Tally::skipped("PowerShell tests: no Pester 5; get it with Install-Module Pester"));
    }
    Ok(reader.finish(status.success()))
}
