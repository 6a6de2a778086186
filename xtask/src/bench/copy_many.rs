//! Many small packages against one big one of as many bytes, and the repeat of a finished copy.

use std::fs;

use super::{Bench, Comparison, Contender, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

/// How many packages of 1 MiB.
const PACKAGES: u64 = 1000;

/// Copies `BENCH_ID` with its dependencies and writes how long the cmdlet took, in seconds.
const COPY: &str = "\
Import-Module $env:BENCH_MODULE
function New-Credential($Token) { [pscredential]::new('ada', (ConvertTo-SecureString $Token -AsPlainText -Force)) }
$null = Connect-UssServer $env:BENCH_SOURCE -Credential (New-Credential $env:BENCH_SOURCE_TOKEN)
$null = Connect-UssServer $env:BENCH_DESTINATION -Credential (New-Credential $env:BENCH_DESTINATION_TOKEN)
$watch = [System.Diagnostics.Stopwatch]::StartNew()
$rows = @(Copy-UssPackageFromServer $env:BENCH_ID -SourceServer $env:BENCH_SOURCE -Server $env:BENCH_DESTINATION -ErrorAction Stop)
[IO.File]::WriteAllText($env:BENCH_TIME, $watch.Elapsed.TotalSeconds.ToString('r', [cultureinfo]::InvariantCulture))
foreach ($row in $rows) { if ($row.Status -ne $env:BENCH_STATUS) { exit 3 } }";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("many-source"))?;
    let read = source.token("ada", Role::Reader, "bench")?;
    eprintln!("copy-many: making {PACKAGES} packages");
    source.packages((1..PACKAGES).map(|number| (format!("small-{number:04}"), 1 << 20)))?;
    let needs: Vec<String> = (1..PACKAGES).map(|number| format!("small-{number:04}=1.0.0")).collect();
    source.package("many", "1.0.0", 1 << 20, &needs.iter().map(String::as_str).collect::<Vec<_>>())?;
    source.package("one", "1.0.0", PACKAGES << 20, &[])?;

    let time = folder.join("copy-many.time");
    let mut round = 0;
    let mut last = None;
    let mut copy = |id: &str| {
        round += 1;
        let destination = Server::start(&bench.server, &folder.join(format!("many-{round}")))?;
        let write = destination.token("ada", Role::Publisher, "bench")?;
        let run = |status: &str| {
            let mut command = bench.powershell(COPY);
            command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
            command.env("BENCH_SOURCE_TOKEN", &read).env("BENCH_DESTINATION_TOKEN", &write);
            timed(command.env("BENCH_ID", id).env("BENCH_STATUS", status).env("BENCH_TIME", &time))
        };
        let took = run("Copied")?;
        if id == "many" {
            run("Skipped")?;
            last = Some(fs::read_to_string(&time)?.trim().parse::<f64>()?);
        }
        let data = destination.data.clone();
        drop(destination);
        fs::remove_dir_all(data)?;
        Ok(took)
    };
    let copy = std::cell::RefCell::new(&mut copy);
    let contenders = vec![
        Contender::new("1,000 packages of 1 MiB", || (copy.borrow_mut())("many")),
        Contender::new("one package of 1,000 MiB", || (copy.borrow_mut())("one")),
    ];
    let comparison = Comparison::measure("copy-many", bench.runs(3), contenders)?;
    comparison.print("Many small packages and one big one, whole PowerShell processes");
    verdict("many small against one big", comparison.ratio(1), "x", 1.2);
    verdict("repeat of the finished copy, the cmdlet alone", last.unwrap_or(f64::INFINITY), " s", 0.5);
    Ok(())
}
