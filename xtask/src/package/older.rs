//! The packaged library where it has to run: on a Debian that is older than this machine's, in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::linux;
use crate::{
    Result, debian, process,
    server::{Role, Server},
    workspace::{self, Profile},
};

/// Debian 11, with glibc 2.31: the oldest that Debian's mirrors still have.
pub(super) const SUITE: &str = "bullseye";

/// Runs tests/c/main.c on `suite` with the library for packages: it connects to two servers of this machine, looks up,
/// copies, and misuses the library.
pub(super) fn run(suite: &str) -> Result<()> {
    if suite.is_empty() || !suite.chars().all(|letter| letter.is_ascii_lowercase()) {
        return Err(format!("a Debian is named like {SUITE}, not '{suite}'").into());
    }
    let library = linux::build()?;
    let system = System::install(suite)?;
    let program = linux::compile(&workspace::root().join("tests/c/main.c"), &library, system.path("uss-main"))?;
    std::fs::copy(&library, system.path("libuss.so"))?;

    let servers = workspace::build(Profile::Dev, &["-p", "uss-server", "--features", "uss-server/faults"])?;
    let servers = servers.program("uss-server")?;
    let data = workspace::temporary_folder("older")?;
    let source = Server::start(&servers, &data.path().join("source"))?;
    let destination = Server::start(&servers, &data.path().join("destination"))?;
    source.package("lib", "1.0.0", 300_000, &[])?;
    source.package("app", "2.1.0", 200_000, &["lib=^"])?;
    source.package("bundle/demo", "1.0.0", 0, &["app=>=2.0", "lib=^"])?;
    let tokens = (source.token("ann", Role::Reader, "older")?, destination.token("bob", Role::Publisher, "older")?);

    let inside = Path::new("/").join(program.file_name().ok_or("the program has no name")?);
    let mut command = Command::new("chroot");
    command.arg(&system.root).arg(inside);
    command.args([&source.address, "ann", &destination.address, "bob", "bundle/demo"]);
    command.env("SOURCE_TOKEN", tokens.0).env("DESTINATION_TOKEN", tokens.1).env("LD_LIBRARY_PATH", "/");
    let told = process::output(&mut command).map_err(|error| format!("on {suite}: {error}"))?;
    let copied = told.matches("\"Status\":\"Copied\"").count();
    if !told.ends_with("done") || copied != 3 {
        return Err(format!("on {suite} the program copied {copied} packages of 3, and said:\n{told}").into());
    }
    destination.command(&["check"])?;
    println!("{} runs on {suite}, whose C library is {}", library.display(), system.c_library()?);
    Ok(())
}

/// A Debian in a folder, as debootstrap makes it; kept for the next time.
struct System {
    root: PathBuf,
}

impl System {
    fn install(suite: &str) -> Result<Self> {
        debian::require(&["debootstrap"], "make an older Debian")?;
        let root = workspace::scratch()?.join("debian").join(suite);
        if !root.is_dir() {
            let fresh = workspace::temporary_folder("debian")?;
            let made = fresh.path().join("root");
            process::run(Command::new("debootstrap").args(["--variant=minbase", suite]).arg(&made))
                .map_err(|error| format!("cannot make a Debian {suite}; it takes root, and a mirror: {error}"))?;
            std::fs::create_dir_all(root.parent().unwrap_or(&root))?;
            std::fs::rename(&made, &root)?;
        }
        Ok(Self { root })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What the system's own loader says of itself.
    fn c_library(&self) -> Result<String> {
        let told = process::output(Command::new("chroot").arg(&self.root).args(["ldd", "--version"]))?;
        let version = told.lines().next().and_then(|line| line.rsplit(' ').next());
        version.map(str::to_owned).ok_or_else(|| "ldd tells no version".into())
    }
}
