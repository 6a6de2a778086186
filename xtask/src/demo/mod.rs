//! `cargo xtask demo`: the main job, on a fresh machine; `cargo xtask demo platform`: environments and access tokens.
//!
//! Two servers of the release build (no faults) on free loopback ports, with sample packages, users and tokens of their
//! own; `packages.ps1` then does what an administrator would do. Nothing is left: servers, data and staged module are
//! owned by values of this file, also when a step fails or someone presses Ctrl-C.

pub(crate) mod platform;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Result,
    process::{self, Running},
    pwsh,
    server::{Role, Server},
    stage,
    terminal::Terminal,
    workspace::{self, Profile},
};

/// What it runs, of a release build.
pub(crate) const BUILD: [&str; 4] = ["-p", "uss", "-p", "uss-server"];

/// The bundle and what it needs: id, version, payload in bytes, dependencies. The first is what gets copied.
const PACKAGES: [(&str, &str, u64, &[&str]); 5] = [
    (
        "bundle/my-pos",
        "1.0.0",
        0,
        &["pos-app=>=14.0 <15.0", "pos-hardware-station=", "pos-database=^", "payment-service=2.2"],
    ),
    ("pos-app", "14.0.35916.0", 200_000_000, &["pos-database="]),
    ("pos-hardware-station", "1.0.4", 12_000_000, &[]),
    ("pos-database", "3.1.0", 30_000_000, &[]),
    ("payment-service", "2.2", 5_000_000, &[]),
];

pub(crate) fn run() -> Result<()> {
    let terminal = Terminal::of_stdout();
    terminal.title("uss", "a package and all it needs, from one server to another, from PowerShell");
    let pwsh = pwsh::find();

    terminal.note("Building for release; the first time takes some minutes.");
    let built = workspace::build(Profile::Release, &BUILD)?;
    println!();
    terminal.done("Built", "the library, the PowerShell module and uss-server");

    let folder = workspace::temporary_folder("demo")?;
    let program = built.program("uss-server")?;
    terminal.doing("Starting two servers");
    let headquarters = Server::start(&program, &folder.path().join("headquarters"))?;
    let store = Server::start(&program, &folder.path().join("store"))?;
    terminal.done("Started two servers", &format!("headquarters {}   store {}", headquarters.address, store.address));

    terminal.doing("Making users and tokens");
    // Two people on two servers, neither known to the other.
    let tokens = (headquarters.token("ada", Role::Reader, "demo")?, store.token("grace", Role::Publisher, "demo")?);
    terminal.done("Made users and tokens", "ada at headquarters, grace at the store");

    terminal.doing("Making sample packages");
    for (id, version, size, dependencies) in PACKAGES.iter().rev() {
        headquarters.package(id, version, *size, dependencies)?;
    }
    let total: u64 = PACKAGES.iter().map(|(_, _, size, _)| size).sum();
    terminal.done("Made sample packages", &format!("bundle/my-pos and 4 dependencies, {} MB", total / 1_000_000));

    let demo = Demo { folder: folder.path(), headquarters: &headquarters, store: &store, tokens: &tokens };
    match pwsh {
        Ok(pwsh) => demo.through_powershell(&pwsh, &built.library()?, terminal)?,
        Err(reason) => {
            terminal.note(&format!("{reason}. The same flow from C, by the same library:"));
            demo.through_c(&built.library()?, terminal)?;
        }
    }
    Ok(())
}

/// A PowerShell process that runs a demo's script from a folder, beside what draws it.
fn script(pwsh: &Path, folder: &Path, text: &str) -> Result<Command> {
    let script = folder.join("demo.ps1");
    std::fs::write(&script, text)?;
    std::fs::write(folder.join("screen.ps1"), include_str!("screen.ps1"))?;
    let mut command = Command::new(pwsh);
    // Interactive in name only, as some hosts draw no progress otherwise: stdin is empty.
    command.args(["-NoLogo", "-NoProfile", "-File"]).arg(&script);
    Ok(command)
}

struct Demo<'a> {
    folder: &'a Path,
    headquarters: &'a Server,
    store: &'a Server,
    tokens: &'a (String, String),
}

impl Demo<'_> {
    fn through_powershell(&self, pwsh: &Path, library: &Path, terminal: Terminal) -> Result<()> {
        let modules = stage::stage(&[stage::Native::here(library.to_owned())?], &self.folder.join("modules"))?;
        let module = modules.iter().find(|module| module.ends_with("Uss")).ok_or("the module Uss was not staged")?;
        let mut command = script(pwsh, self.folder, include_str!("packages.ps1"))?;
        command.arg("-Module").arg(module.join("Uss.psd1"));
        command.args(["-Headquarters", &self.headquarters.address, "-Store", &self.store.address]);
        command.arg("-ServerProgram").arg(self.headquarters.program()).args(["-TokenId", &self.token_id()?]);
        command.arg("-HeadquartersData").arg(&self.headquarters.data).arg("-StoreData").arg(&self.store.data);
        if !terminal.is_rich() {
            command.arg("-Plain").env("NO_COLOR", "1");
        }
        // Tokens go by environment: a command line is everyone's to read.
        command.env("DEMO_HEADQUARTERS_TOKEN", &self.tokens.0).env("DEMO_STORE_TOKEN", &self.tokens.1);
        let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the demo's script failed ({status})").into()) }
    }

    /// Without PowerShell: `packages.c`, compiled against the library.
    fn through_c(&self, library: &Path, terminal: Terminal) -> Result<()> {
        let folder = library.parent().ok_or("the library has no folder")?;
        let source = self.folder.join("demo.c");
        let program = self.folder.join("demo");
        std::fs::write(&source, include_str!("packages.c"))?;
        let mut compile = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compile.arg("-O1").arg(&source).arg("-o").arg(&program).arg("-I").arg(workspace::root().join("include"));
        compile.arg("-L").arg(folder).arg("-luss").arg(format!("-Wl,-rpath,{}", folder.display()));
        process::run(&mut compile)?;
        let mut command = Command::new(&program);
        command.args([&self.headquarters.address, &self.store.address]);
        command.arg(self.headquarters.program()).args(["token", "revoke", &self.token_id()?]);
        command.arg("--data").arg(&self.headquarters.data);
        if !terminal.is_rich() {
            command.env("NO_COLOR", "1");
        }
        command.env("DEMO_HEADQUARTERS_TOKEN", &self.tokens.0).env("DEMO_STORE_TOKEN", &self.tokens.1);
        process::run(&mut command)
    }

    /// The id of ada's token: the first word of its line.
    fn token_id(&self) -> Result<String> {
        let list = self.headquarters.command(&["token", "list", "--user", "ada"])?;
        let line = list.lines().find(|line| line.split_whitespace().any(|word| word == "demo"));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("the token is not in the list")?.to_owned())
    }
}
