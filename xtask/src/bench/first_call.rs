//! What import and first native call cost a process: the loader, the library's relocation, one error on the way back.

use super::{Bench, Comparison, Contender, timed, verdict};
use crate::Result;

/// Ends in `InvalidArgument` before any network: an empty password. Without its `exit 0` a host may take the caught error
/// for the script's own.
const CALL: &str = "\
Import-Module $env:BENCH_MODULE
$credential = [pscredential]::new('u', [securestring]::new())
try { $null = Get-UssPackageVersion x -Server http://127.0.0.1:1 -Credential $credential -ErrorAction Stop; exit 3 }
catch { if ($_.FullyQualifiedErrorId -notlike 'InvalidArgument,*') { $_; exit 4 } }
exit 0";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let empty = bench.empty_module()?;
    let contenders = vec![
        Contender::new("Import-Module Uss and a first call", || timed(&mut bench.powershell(CALL))),
        Contender::new("Import-Module of an empty manifest", || {
            timed(bench.powershell("Import-Module $env:BENCH_EMPTY").env("BENCH_EMPTY", &empty))
        }),
    ];
    let comparison = Comparison::measure("first-call", bench.runs(15), contenders)?;
    comparison.print("Import and first call, fresh process");
    verdict("first call", comparison.ratio(1), "x", 1.5);
    Ok(())
}
