//! How long it takes until a copy that is stopped in its middle, as Ctrl-C stops it, has given the prompt back; and that
//! the same command then goes on where it was.

use std::fs;

use super::{Bench, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

/// Bytes of the package.
const SIZE: u64 = 1 << 30;

/// Stops a copy `BENCH_RUNS` times at a random moment after its first progress; then lets one end. Writes each stop's
/// milliseconds, and last how many bytes the one that ended sent.
const SCRIPT: &str = "\
$ErrorActionPreference = 'Stop'
Import-Module $env:BENCH_MODULE
function New-Credential($Token) { [pscredential]::new('ada', (ConvertTo-SecureString $Token -AsPlainText -Force)) }
$arguments = @{
    SourceServer = $env:BENCH_SOURCE; SourceCredential = New-Credential $env:BENCH_SOURCE_TOKEN
    Server = $env:BENCH_DESTINATION; Credential = New-Credential $env:BENCH_DESTINATION_TOKEN
}
$random = [Random]::new(1)
$lines = foreach ($run in 1..$env:BENCH_RUNS) {
    $shell = [powershell]::Create()
    [void] $shell.AddScript('param($module, $arguments) Import-Module $module; Copy-UssPackageFromServer big-package @arguments').AddArgument($env:BENCH_MODULE).AddArgument($arguments + @{ MaxBytesPerSecond = 20MB })
    $null = $shell.BeginInvoke()
    while ($shell.Streams.Progress.Count -eq 0) {
        if ($shell.InvocationStateInfo.State -ne 'Running') { throw $shell.InvocationStateInfo.Reason }
        [System.Threading.Thread]::Sleep(10)
    }
    [System.Threading.Thread]::Sleep($random.Next(0, 300))
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $shell.Stop()
    $watch.Elapsed.TotalMilliseconds.ToString('r', [cultureinfo]::InvariantCulture)
    $shell.Dispose()
}
$row = Copy-UssPackageFromServer big-package @arguments
if ($row.Status -ne 'Copied') { exit 3 }
[IO.File]::WriteAllLines($env:BENCH_TIME, [string[]] (@($lines) + \"$($row.BytesSent)\"))";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("stop-source"))?;
    let destination = Server::start(&bench.server, &folder.join("stop-destination"))?;
    let tokens = (source.token("ada", Role::Reader, "bench")?, destination.token("ada", Role::Publisher, "bench")?);
    source.package("big-package", "1.0.0", SIZE, &[])?;
    let times = folder.join("stop.times");
    let runs = bench.runs(20);
    let mut command = bench.powershell(SCRIPT);
    command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
    command.env("BENCH_SOURCE_TOKEN", &tokens.0).env("BENCH_DESTINATION_TOKEN", &tokens.1);
    timed(command.env("BENCH_RUNS", runs.to_string()).env("BENCH_TIME", &times))?;
    let text = fs::read_to_string(&times)?;
    let mut times = text.lines().map(str::parse::<f64>).collect::<std::result::Result<Vec<_>, _>>()?;
    let sent = times.pop().unwrap_or(f64::INFINITY);
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times.get(times.len() / 2), times.last());
    println!("\n### A copy that is stopped, {runs} times\n");
    println!("- median until the prompt is back: {:.0} ms", median.copied().unwrap_or(f64::INFINITY));
    verdict("worst until the prompt is back", worst.copied().unwrap_or(f64::INFINITY), " ms", 250.0);
    println!("- the same command then sent {:.0} MiB of {} MiB", sent / f64::from(1 << 20), SIZE >> 20);
    Ok(())
}
