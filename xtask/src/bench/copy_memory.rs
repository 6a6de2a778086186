//! Memory while 10 GiB go through, against the idle process.

use std::fs;

use super::{Bench, copy, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

/// Packages of 1 GiB.
const PACKAGES: u64 = 10;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("memory-source"))?;
    let destination = Server::start(&bench.server, &folder.join("memory-destination"))?;
    let tokens = (source.token("ada", Role::Reader, "bench")?, destination.token("ada", Role::Publisher, "bench")?);
    eprintln!("copy-memory: making {PACKAGES} packages of {} MiB", bench.size >> 20);
    source.packages((1..PACKAGES).map(|number| (format!("big-{number}"), bench.size)))?;
    let needs: Vec<String> = (1..PACKAGES).map(|number| format!("big-{number}=1.0.0")).collect();
    source.package("big-package", "1.0.0", bench.size, &needs.iter().map(String::as_str).collect::<Vec<_>>())?;
    let memory = folder.join("copy-memory");
    let mut command = bench.powershell(copy::OURS);
    command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
    command.env("BENCH_SOURCE_TOKEN", &tokens.0).env("BENCH_DESTINATION_TOKEN", &tokens.1);
    let time = timed(command.env("BENCH_MEMORY", &memory))?;
    println!("\n### Memory while {PACKAGES} packages of {} MiB go through\n", bench.size >> 20);
    println!("- time: {:.1} s", time.as_secs_f64());
    let peak = fs::read_to_string(&memory)?.trim().parse::<f64>()? / 1024.0;
    verdict("memory above the idle process", peak, " MiB", 48.0);
    Ok(())
}
