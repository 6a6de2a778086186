//! 1,000 look-ups in one process, against a script that calls HttpClient itself with a ready header.

use super::{Bench, Comparison, Contender, bearer, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

const OURS: &str = "\
Import-Module $env:BENCH_MODULE
$credential = [pscredential]::new('ada', (ConvertTo-SecureString $env:BENCH_TOKEN -AsPlainText -Force))
$null = Connect-UssServer $env:BENCH_SERVER -Credential $credential
for ($i = 0; $i -lt 1000; $i++) { $found = Get-UssPackageVersion example-package }
if ($found.Version -ne '1.2.3') { exit 3 }";

const THEIRS: &str = "\
$client = [System.Net.Http.HttpClient]::new()
$client.DefaultRequestHeaders.Authorization = [System.Net.Http.Headers.AuthenticationHeaderValue]::new('Bearer', $env:BENCH_BEARER)
$uri = \"$env:BENCH_SERVER/api/v1/Packages/versions?packageId=example-package\"
for ($i = 0; $i -lt 1000; $i++) { $found = ConvertFrom-Json $client.GetStringAsync($uri).GetAwaiter().GetResult() }
if ($found[0].version -ne '1.2.3') { exit 3 }";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let server = Server::start(&bench.server, &bench.folder.path().join("query"))?;
    let token = server.token("ada", Role::Reader, "bench")?;
    server.package("example-package", "1.2.3", 1000, &[])?;
    let bearer = bearer(&server.address, "ada", &token, bench.folder.path())?;
    let contenders = vec![
        Contender::new("1,000 Get-UssPackageVersion", || {
            timed(bench.powershell(OURS).env("BENCH_SERVER", &server.address).env("BENCH_TOKEN", &token))
        }),
        Contender::new("1,000 HttpClient calls and ConvertFrom-Json", || {
            timed(bench.powershell(THEIRS).env("BENCH_SERVER", &server.address).env("BENCH_BEARER", &bearer))
        }),
    ];
    let comparison = Comparison::measure("query", bench.runs(9), contenders)?;
    comparison.print("1,000 look-ups in one process, loopback");
    verdict("look-ups", comparison.ratio(1), "x", 1.0);
    Ok(())
}
