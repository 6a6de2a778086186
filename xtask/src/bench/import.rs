//! What importing the modules costs a process: the library is not loaded before the first call.

use super::{Bench, Comparison, Contender, timed, verdict};
use crate::Result;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let empty = bench.empty_module()?;
    let contenders = vec![
        Contender::new("Import-Module Uss", || timed(&mut bench.powershell("Import-Module $env:BENCH_MODULE"))),
        Contender::new("Import-Module of an empty manifest", || {
            timed(bench.powershell("Import-Module $env:BENCH_EMPTY").env("BENCH_EMPTY", &empty))
        }),
        Contender::new("Import-Module Uss, Vap", || {
            timed(bench.powershell("Import-Module $env:BENCH_MODULE, $env:BENCH_VAP").env("BENCH_VAP", &bench.platform))
        }),
    ];
    let comparison = Comparison::measure("import", bench.runs(15), contenders)?;
    comparison.print("Import, fresh process");
    verdict("import of Uss", comparison.ratio(1), "x", 1.10);
    verdict("import of Uss and Vap", comparison.between(2, 1), "x", 1.30);
    Ok(())
}
