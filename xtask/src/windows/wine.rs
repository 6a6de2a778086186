//! The Windows engine of the PowerShell kit, in a wine prefix of this run's own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, debian, process, workspace};

const PACKAGES: [&str; 1] = ["wine64"];
const WINE: &str = "/usr/lib/wine/wine64";
const WINESERVER: &str = "/usr/lib/wine/wineserver64";

/// Whether a PowerShell for Windows is beside this checkout.
pub(crate) fn has_powershell() -> bool {
    kit().is_file()
}

/// Whether Windows programs can run here, and PowerShell for Windows is there; installs what is missing where it may.
pub(crate) fn available() -> Result<()> {
    if !has_powershell() {
        return Err("there is no PowerShell for Windows: ../shared/powershell is not beside this checkout".into());
    }
    debian::require(&PACKAGES, "run Windows programs")
}

fn kit() -> PathBuf {
    workspace::root().join("../shared/powershell/unpack")
}

/// A Windows of its own: registry, drive C and processes end with this value.
pub(crate) struct Wine {
    prefix: tempfile::TempDir,
    pwsh: PathBuf,
}

impl Wine {
    /// Makes the prefix and unpacks PowerShell.
    pub(crate) fn start() -> Result<Self> {
        available()?;
        let pwsh = PathBuf::from(process::output(Command::new("bash").arg(kit()).arg("win"))?);
        let wine = Self { prefix: workspace::temporary_folder("wine")?, pwsh };
        process::output(wine.command(WINE).args(["wineboot", "--init"]))?;
        wine.add_process_prng()?;
        Ok(wine)
    }

    /// The folder that is drive C.
    pub(crate) fn drive_c(&self) -> PathBuf {
        self.prefix.path().join("drive_c")
    }

    /// A PowerShell for Windows: no profile, no questions, no colours.
    pub(crate) fn pwsh(&self) -> Command {
        let mut command = self.command(WINE);
        command.arg(&self.pwsh).args(["-NoLogo", "-NoProfile", "-NonInteractive"]).env("NO_COLOR", "1");
        command
    }

    /// A path of this system as a Windows program names it.
    pub(crate) fn path(path: &Path) -> String {
        format!("Z:{}", path.to_string_lossy().replace('/', "\\"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("WINEPREFIX", self.prefix.path()).env("WINEDEBUG", "-all").env_remove("DISPLAY");
        command.env("WINEDLLOVERRIDES", "bcryptprimitives=n;winemenubuilder.exe=d");
        // .NET's double mapping of code pages crashes in wine 8, with or without the library.
        command.env("DOTNET_EnableWriteXorExecute", "0");
        command.current_dir(workspace::root());
        command
    }

    /// Rust's standard library takes its random numbers from a function that wine 8 lacks.
    fn add_process_prng(&self) -> Result<()> {
        let source = workspace::root().join("xtask/src/windows/bcryptprimitives.c");
        let out = self.drive_c().join("windows/system32/bcryptprimitives.dll");
        let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
        process::output(compiler.args(["-shared", "-O1", "-o"]).arg(out).arg(source).arg("-ladvapi32")).map(drop)
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Ends what still runs in the prefix; then its folder can go.
        let mut kill = Command::new(WINESERVER);
        drop(kill.args(["-k", "-w"]).env("WINEPREFIX", self.prefix.path()).stderr(Stdio::null()).status());
    }
}
