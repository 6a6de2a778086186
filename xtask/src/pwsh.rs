//! Finding PowerShell.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, process, workspace};

/// The release that is downloaded where no PowerShell is found, and the SHA-256 of its archives.
const RELEASE: &str = "7.5.3";
const ARCHIVES: [(&str, &str, &str, &str); 4] = [
    ("linux", "x86_64", "linux-x64", "5c74e0bbafd8be59e72267f05700fd6615344d9cf4d30460d9b6d12cd4a88a8c"),
    ("linux", "aarch64", "linux-arm64", "4a6b656dd0e751e82c5df9b9a4245bd1ec7d21de5334afbbd802dfd009595599"),
    ("macos", "x86_64", "osx-x64", "c31001f5bc0a4d236419aaf054d8c0316027a331d33e2fb41cf8d2764a357e05"),
    ("macos", "aarch64", "osx-arm64", "f4fac5c72e8c09ba3b6fb8667f21b1d73556047819857fce7883268d02369cde"),
];

/// PowerShell's executable, or why there is none and how to get it.
///
/// In this order: `USS_PWSH`; `pwsh` on PATH; the kit in `../shared/powershell` where a checkout has it beside it; the
/// official release.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os("USS_PWSH").filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if works(&named) { Ok(named) } else { Err(cannot_run("USS_PWSH names", &named)) };
    }
    if let Some(found) = on_path().into_iter().find(|found| works(found)) {
        return Ok(found);
    }
    let unpack = workspace::root().join("../shared/powershell/unpack");
    if cfg!(target_os = "linux") && unpack.is_file() {
        let unpacked = process::output(Command::new("bash").arg(&unpack).arg("linux"))?;
        let unpacked = PathBuf::from(unpacked);
        return if works(&unpacked) { Ok(unpacked) } else { Err(cannot_run("unpack gave", &unpacked)) };
    }
    release().map_err(|error| {
        format!(
            "no PowerShell: USS_PWSH is not set, pwsh is not on PATH, and {error}. Install PowerShell 7.4 or newer \
             (https://aka.ms/powershell), or set USS_PWSH to its executable"
        )
        .into()
    })
}

/// A PowerShell that runs something in the workspace: no profile, no questions, no colours.
pub(crate) fn command(pwsh: &Path) -> Command {
    let mut command = Command::new(pwsh);
    command.args(["-NoLogo", "-NoProfile", "-NonInteractive"]).env("NO_COLOR", "1").current_dir(workspace::root());
    command
}

fn cannot_run(source: &str, program: &Path) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{source} {}, which does not run as PowerShell 7.4 or newer", program.display()).into()
}

fn on_path() -> Vec<PathBuf> {
    let name = format!("pwsh{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(&name)).filter(|file| file.is_file()).collect()
}

fn works(program: &Path) -> bool {
    let version =
        "$v = $PSVersionTable.PSVersion; if ($v.Major -gt 7 -or ($v.Major -eq 7 -and $v.Minor -ge 4)) { 'new enough' }";
    let answer = process::output(Command::new(program).args(["-NoProfile", "-NonInteractive", "-Command", version]));
    answer.is_ok_and(|answer| answer == "new enough")
}

/// The official release, downloaded once for this user and checked against its pinned digest before it is unpacked.
fn release() -> Result<PathBuf> {
    let platform = ARCHIVES.iter().find(|(system, processor, ..)| {
        *system == env::consts::OS && *processor == env::consts::ARCH && !cfg!(target_env = "musl")
    });
    let Some((_, _, rid, sha256)) = platform else {
        return Err("there is no release for this platform to download".into());
    };
    let kept = user_cache()?.join("uss").join(format!("powershell-{RELEASE}-{rid}"));
    let program = kept.join("pwsh");
    if works(&program) {
        return Ok(program);
    }
    let name = format!("powershell-{RELEASE}-{rid}.tar.gz");
    let address = format!("https://github.com/PowerShell/PowerShell/releases/download/v{RELEASE}/{name}");
    eprintln!("Downloading PowerShell {RELEASE} from {address}");
    let parent = kept.parent().unwrap_or(&kept);
    fs::create_dir_all(parent)?;
    let fresh = tempfile::Builder::new().prefix(".powershell-").tempdir_in(parent)?;
    let archive = fresh.path().join(&name);
    let flags = ["--fail", "--location", "--proto", "=https", "--silent", "--show-error", "--connect-timeout", "15"];
    process::output(Command::new("curl").args(flags).arg("--output").arg(&archive).arg(&address))
        .map_err(|error| format!("{address} could not be downloaded ({error})"))?;
    let summed = sha256_of(&archive)?;
    if summed != *sha256 {
        return Err(format!("{address} has SHA-256 {summed}, expected {sha256}").into());
    }
    let folder = fresh.path().join("pwsh");
    fs::create_dir(&folder)?;
    process::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    process::output(Command::new("chmod").arg("+x").arg(folder.join("pwsh")))?;
    if kept.exists() {
        fs::rename(&kept, fresh.path().join("old"))?;
    }
    fs::rename(&folder, &kept)?;
    if works(&program) { Ok(program) } else { Err(cannot_run("the release gave", &program)) }
}

fn sha256_of(file: &Path) -> Result<String> {
    let summed = process::output(Command::new("sha256sum").arg(file))
        .or_else(|_| process::output(Command::new("shasum").args(["-a", "256"]).arg(file)))?;
    Ok(summed.split_whitespace().next().unwrap_or_default().to_owned())
}

fn user_cache() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
    cache
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where a download can be kept".into())
}
