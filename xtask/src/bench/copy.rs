//! One big package from one server to another: time against three peers, and memory.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{Bench, Comparison, Contender, bearer, registry::Registries, timed, verdict};
use crate::{
    Result, debian,
    process::{self, Running},
    server::{Role, Server},
};

/// The whole process that copies `BENCH_ID`, hash and verification included. It writes what memory the copy took above the idle process.
pub(super) const OURS: &str = "\
function Read-Memory($Name) {
    [long] (([IO.File]::ReadAllLines('/proc/self/status') | Where-Object { $_ -match \"^${Name}:\" }) -replace '\\D')
}
function New-Credential($Token) { [pscredential]::new('ada', (ConvertTo-SecureString $Token -AsPlainText -Force)) }
Import-Module $env:BENCH_MODULE
$null = Connect-UssServer $env:BENCH_SOURCE -Credential (New-Credential $env:BENCH_SOURCE_TOKEN)
$null = Connect-UssServer $env:BENCH_DESTINATION -Credential (New-Credential $env:BENCH_DESTINATION_TOKEN)
[IO.File]::WriteAllText('/proc/self/clear_refs', '5')
$idle = Read-Memory VmRSS
$rows = Copy-UssPackageFromServer $env:BENCH_ID -SourceServer $env:BENCH_SOURCE -Server $env:BENCH_DESTINATION -ErrorAction Stop
if (-not $rows) { exit 3 }
foreach ($row in $rows) { if ($row.Status -ne 'Copied') { exit 4 } }
[IO.File]::WriteAllText($env:BENCH_MEMORY, [string] ((Read-Memory VmHWM) - $idle))";

const CURL: &str = "\
set -euo pipefail
curl --silent --show-error --fail --header \"@$BENCH_FOLDER/source.header\" \"$BENCH_FROM\" \
  | tee >(sha256sum > \"$BENCH_FOLDER/curl.sha256\") \
  | curl --silent --show-error --fail --header \"@$BENCH_FOLDER/destination.header\" \
         --header 'Content-Type: application/zip' --request POST --upload-file - --output /dev/null \"$BENCH_TO\"";

const FILE: &str = "\
set -euo pipefail
curl --silent --show-error --fail --header \"@$BENCH_FOLDER/source.header\" --output \"$BENCH_FOLDER/curl.zip\" \"$BENCH_FROM\"
sha256sum \"$BENCH_FOLDER/curl.zip\" > \"$BENCH_FOLDER/curl.sha256\"
curl --silent --show-error --fail --header \"@$BENCH_FOLDER/destination.header\" \
     --header 'Content-Type: application/zip' --request POST --upload-file \"$BENCH_FOLDER/curl.zip\" --output /dev/null \"$BENCH_TO\"
rm \"$BENCH_FOLDER/curl.zip\"";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let missing = debian::install(&["rclone", "curl", "skopeo", "docker-registry"]);
    if !missing.is_empty() {
        return Err(format!("copy needs {}: install it, or run this as root on Debian", missing.join(" and ")).into());
    }
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("source"))?;
    let destination = Server::start(&bench.server, &folder.join("destination"))?;
    let tokens = (source.token("ada", Role::Reader, "bench")?, destination.token("ada", Role::Publisher, "bench")?);
    eprintln!("copy: making a package of {} bytes", bench.size);
    source.package("big-package", "1.0.0", bench.size, &[])?;
    let bearers =
        (bearer(&source.address, "ada", &tokens.0, folder)?, bearer(&destination.address, "ada", &tokens.1, folder)?);
    fs::write(folder.join("source.header"), format!("Authorization: Bearer {}\n", bearers.0))?;
    fs::write(folder.join("destination.header"), format!("Authorization: Bearer {}\n", bearers.1))?;
    let from = format!("{}/api/v1/Packages/content?packageId=big-package&version=1.0.0", source.address);
    let to = format!("{}/api/v1/Packages?packageId=big-package&version=1.0.0", destination.address);
    let webdav = WebDav::start(folder)?;
    let registries = Registries::start(folder, bench.size)?;

    let absent = || delete(&to, folder);
    let memory = folder.join("memory");
    let mut peaks = Vec::new();
    let contenders = vec![
        Contender::new("Copy-UssPackageFromServer, whole process", || {
            absent()?;
            let mut command = bench.powershell(OURS);
            command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
            command.env("BENCH_SOURCE_TOKEN", &tokens.0).env("BENCH_DESTINATION_TOKEN", &tokens.1);
            let time = timed(command.env("BENCH_ID", "big-package").env("BENCH_MEMORY", &memory))?;
            peaks.push(fs::read_to_string(&memory)?.trim().parse::<f64>()? / 1024.0);
            Ok(time)
        }),
        Contender::new("curl \\| tee >(sha256sum) \\| curl -T -", || {
            absent()?;
            let mut command = Command::new("bash");
            timed(command.args(["-c", CURL]).env("BENCH_FOLDER", folder).env("BENCH_FROM", &from).env("BENCH_TO", &to))
        }),
        Contender::new("rclone http->webdav", || webdav.copy(&from, folder)),
        Contender::new("curl to a file, sha256sum, curl from the file", || {
            absent()?;
            let mut command = Command::new("bash");
            timed(command.args(["-c", FILE]).env("BENCH_FOLDER", folder).env("BENCH_FROM", &from).env("BENCH_TO", &to))
        }),
        Contender::new("the copy engine in a process without PowerShell", || {
            absent()?;
            let mut command = Command::new(&bench.copy);
            command.args([&source.address, "big-package", &destination.address]);
            timed(command.env("SOURCE_TOKEN", &tokens.0).env("DESTINATION_TOKEN", &tokens.1))
        }),
        Contender::new("skopeo between two registries", || registries.copy()),
        Contender::new("a bare relay in one process, no hashing", || {
            absent()?;
            let mut command = Command::new(&bench.relay);
            timed(command.arg(&from).arg(&to).env("SOURCE_BEARER", &bearers.0).env("DESTINATION_BEARER", &bearers.1))
        }),
    ];
    let comparison = Comparison::measure("copy", bench.runs(5), contenders)?;
    comparison.print(&format!("One package of {} MiB, loopback", bench.size >> 20));
    verdict("against curl", comparison.ratio(1), "x", 1.0);
    verdict("against rclone", comparison.ratio(2), "x", 0.5);
    verdict("against curl with a file", comparison.ratio(3), "x", 1.0);
    verdict("against the bare relay", comparison.ratio(6), "x", 1.15);
    verdict("against skopeo", comparison.ratio(5), "x", 1.0);
    verdict("the engine without PowerShell against rclone", comparison.between(4, 2), "x", 0.5);
    verdict("the engine without PowerShell against the bare relay", comparison.between(4, 6), "x", 1.15);
    peaks.sort_by(f64::total_cmp);
    verdict("memory above the idle process, worst", peaks.last().copied().unwrap_or(f64::INFINITY), " MiB", 64.0);
    Ok(())
}

/// The destination has to be without the package before each run; that it is already is fine.
pub(super) fn delete(package: &str, folder: &Path) -> Result<()> {
    let header = format!("@{}", folder.join("destination.header").display());
    let status =
        process::output(
            Command::new("curl")
                .args(["--silent", "--show-error", "--request", "DELETE", "--output", "/dev/null"])
                .args(["--write-out", "%{http_code}", "--header", &header, package]),
        )?;
    match status.as_str() {
        "200" | "204" | "404" => Ok(()),
        other => Err(format!("deleting the package at the destination answered {other}").into()),
    }
}

/// rclone's destination: its own WebDAV server on a folder.
struct WebDav {
    address: String,
    _running: Running,
}

impl WebDav {
    fn start(folder: &Path) -> Result<Self> {
        let data = folder.join("webdav");
        fs::create_dir_all(&data)?;
        // rclone does not tell which port it took, so a free one is found first.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("rclone");
        command.args(["serve", "webdav", "--config", "/dev/null", "--addr", &address, "--log-level", "ERROR"]);
        let running = Running::start(command.arg(&data))?;
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("rclone serve webdav did not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { address: format!("http://{address}"), _running: running })
    }

    /// Copies the same content from the same source by rclone.
    fn copy(&self, from: &str, folder: &Path) -> Result<Duration> {
        let header = fs::read_to_string(folder.join("source.header"))?;
        let mut command = Command::new("rclone");
        command.args(["copyurl", "--config", "/dev/null", "--header", header.trim(), from, ":webdav:big-package.zip"]);
        timed(command.args(["--webdav-url", &self.address, "--webdav-vendor", "other"]))
    }
}
