//! PowerShell for Windows in wine against PowerShell on Linux: what importing the module costs over the bare engine, and
//! what a copy between two servers on Linux costs for each byte.

use std::{process::Command, time::Duration};

use super::{Bench, Comparison, Contender, bearer, copy::delete, timed, verdict};
use crate::{
    Result, pwsh,
    server::{Role, Server},
    stage::{self, Native},
    windows::{self, wine::Wine},
    workspace::Profile,
};

/// The whole process that copies `BENCH_ID`.
const COPY: &str = "\
function New-Credential($Token) { [pscredential]::new('ada', (ConvertTo-SecureString $Token -AsPlainText -Force)) }
Import-Module $env:BENCH_MODULE
$null = Connect-UssServer $env:BENCH_SOURCE -Credential (New-Credential $env:BENCH_SOURCE_TOKEN)
$null = Connect-UssServer $env:BENCH_DESTINATION -Credential (New-Credential $env:BENCH_DESTINATION_TOKEN)
$rows = @(Copy-UssPackageFromServer $env:BENCH_ID -SourceServer $env:BENCH_SOURCE -Server $env:BENCH_DESTINATION -ErrorAction Stop)
if ($rows.Count -ne 1 -or $rows[0].Status -ne 'Copied') { exit 4 }
exit 0";

/// The same bytes by .NET alone, from one response into one request, without a digest: what the system itself can do.
const RELAY: &str = "\
$client = [System.Net.Http.HttpClient]::new()
function New-Request($Method, $Address, $Bearer) {
    $request = [System.Net.Http.HttpRequestMessage]::new($Method, $Address)
    $request.Headers.Authorization = [System.Net.Http.Headers.AuthenticationHeaderValue]::new('Bearer', $Bearer)
    $request
}
$get = New-Request 'GET' \"$env:BENCH_SOURCE/api/v1/Packages/content?packageId=$env:BENCH_ID&version=1.0.0\" $env:BENCH_SOURCE_BEARER
$answer = $client.SendAsync($get, [System.Net.Http.HttpCompletionOption]::ResponseHeadersRead).GetAwaiter().GetResult()
$post = New-Request 'POST' \"$env:BENCH_DESTINATION/api/v1/Packages?packageId=$env:BENCH_ID&version=1.0.0\" $env:BENCH_DESTINATION_BEARER
$post.Content = [System.Net.Http.StreamContent]::new($answer.EnsureSuccessStatusCode().Content.ReadAsStream(), 65536)
$post.Content.Headers.ContentType = 'application/zip'
$post.Content.Headers.ContentLength = $answer.Content.Headers.ContentLength
$null = $client.SendAsync($post).GetAwaiter().GetResult().EnsureSuccessStatusCode()
exit 0";

/// A package that is nothing but what a copy costs however small it is.
const SMALL: u64 = 1 << 20;

/// One of the two systems, with what it runs.
struct Side<'a> {
    name: &'a str,
    command: Box<dyn Fn(&str) -> Command + 'a>,
    module: String,
    empty: String,
}

pub(super) fn run(bench: &Bench) -> Result<()> {
    let native = Native { rid: windows::RID.to_owned(), library: windows::build(Profile::Release)? };
    let staged = stage::stage(&[native], &bench.folder.path().join("modules-windows"))?;
    let module = staged.iter().find(|module| module.ends_with("Uss")).ok_or("the module Uss was not staged")?;
    let wine = Wine::start()?;
    let empty = bench.empty_module()?;
    let sides = [
        Side {
            name: "in wine",
            command: Box::new(|script| {
                let mut command = wine.pwsh();
                command.args(["-Command", script]);
                command
            }),
            module: Wine::path(&module.join("Uss.psd1")),
            empty: Wine::path(&empty),
        },
        Side {
            name: "on Linux",
            command: Box::new(|script| {
                let mut command = pwsh::command(&bench.pwsh);
                command.args(["-Command", script]);
                command
            }),
            module: bench.module.to_string_lossy().into_owned(),
            empty: empty.to_string_lossy().into_owned(),
        },
    ];
    import(bench, &sides)?;
    copy(bench, &sides)
}

fn import(bench: &Bench, sides: &[Side<'_>]) -> Result<()> {
    let names: Vec<_> = sides
        .iter()
        .flat_map(|side| {
            [format!("Import-Module Uss {}", side.name), format!("Import-Module of an empty manifest {}", side.name)]
        })
        .collect();
    let mut contenders = Vec::new();
    let modules = sides.iter().flat_map(|side| [(side, &side.module), (side, &side.empty)]);
    for (name, (side, module)) in names.iter().zip(modules) {
        contenders.push(Contender::new(name, move || {
            timed((side.command)("Import-Module $env:BENCH_MODULE").env("BENCH_MODULE", module))
        }));
    }
    let comparison = Comparison::measure("import in wine", bench.runs(15), contenders)?;
    comparison.print("Import, fresh process, in wine and on Linux");
    let (wine, linux) = (comparison.between(0, 1), comparison.between(2, 3));
    println!("- over the bare engine: {wine:.2}x in wine, {linux:.2}x on Linux");
    verdict("what the module adds in wine against Linux", wine / linux, "x", 1.05);
    Ok(())
}

fn copy(bench: &Bench, sides: &[Side<'_>]) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("wine-source"))?;
    let destination = Server::start(&bench.server, &folder.join("wine-destination"))?;
    let tokens = (source.token("ada", Role::Reader, "bench")?, destination.token("ada", Role::Publisher, "bench")?);
    let bearers =
        (bearer(&source.address, "ada", &tokens.0, folder)?, bearer(&destination.address, "ada", &tokens.1, folder)?);
    // For `delete`, which is curl's.
    std::fs::write(folder.join("destination.header"), format!("Authorization: Bearer {}\n", bearers.1))?;
    let sizes = [("big", bench.size), ("small", SMALL)];
    for (id, size) in sizes {
        source.package(id, "1.0.0", size, &[])?;
    }
    let scripts = [("Copy-UssPackageFromServer", COPY), ("HttpClient, without a digest", RELAY)];
    let mut names = Vec::new();
    let mut jobs = Vec::new();
    for side in sides {
        for (what, script) in scripts {
            for (id, size) in sizes {
                names.push(format!("{what}, {} MiB, {}", size >> 20, side.name));
                jobs.push((side, script, id));
            }
        }
    }
    let mut contenders = Vec::new();
    for (name, (side, script, id)) in names.iter().zip(jobs) {
        let to = format!("{}/api/v1/Packages?packageId={id}&version=1.0.0", destination.address);
        let (source, destination, tokens, bearers) = (&source, &destination, &tokens, &bearers);
        contenders.push(Contender::new(name, move || {
            delete(&to, folder)?;
            let mut command = (side.command)(script);
            command.env("BENCH_MODULE", &side.module).env("BENCH_ID", id);
            command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
            command.env("BENCH_SOURCE_TOKEN", &tokens.0).env("BENCH_DESTINATION_TOKEN", &tokens.1);
            timed(command.env("BENCH_SOURCE_BEARER", &bearers.0).env("BENCH_DESTINATION_BEARER", &bearers.1))
        }));
    }
    let comparison = Comparison::measure("copy in wine", bench.runs(5), contenders)?;
    comparison.print("One package, whole processes, in wine and on Linux");
    // The big one less the small one: the same start, sign-in and end, and nothing but bytes more.
    let bytes = |big: usize| comparison.median(big).saturating_sub(comparison.median(big + 1));
    let speed = |time: Duration| (bench.size - SMALL.min(bench.size)) as f64 / time.as_secs_f64() / 1e6;
    for (which, name) in
        [(0, "Copy-Uss… in wine"), (4, "Copy-Uss… on Linux"), (2, "HttpClient in wine"), (6, "HttpClient on Linux")]
    {
        println!("- {name}: {:.0} MB/s", speed(bytes(which)));
    }
    let against = |which: usize, peer: usize| bytes(which).as_secs_f64() / bytes(peer).as_secs_f64();
    verdict("a byte by Copy-UssPackageFromServer in wine against Linux", against(0, 4), "x", 1.5);
    println!("- a byte by HttpClient in wine against Linux: {:.2}x, which is wine's own", against(2, 6));
    Ok(())
}
