//! Memory above the idle process while 10 GiB go through, and while 10,000 packages do.

use std::fs;

use super::{Bench, copy, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

/// Packages of 1 GiB, or of `--size` bytes.
const BIG: u64 = 10;

/// Packages of 1 KiB, needed by bundles of a thousand.
const SMALL: u64 = 10_000;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("memory-source"))?;
    let destination = Server::start(&bench.server, &folder.join("memory-destination"))?;
    let tokens = (source.token("ada", Role::Reader, "bench")?, destination.token("ada", Role::Publisher, "bench")?);
    let needs = |ids: &[String]| ids.iter().map(|id| format!("{id}=1.0.0")).collect::<Vec<_>>();
    let package = |id: &str, size: u64, needs: &[String]| {
        source.package(id, "1.0.0", size, &needs.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let copied = |id: &str| -> Result<(f64, f64)> {
        let memory = folder.join("copy-memory");
        let mut command = bench.powershell(copy::OURS);
        command.env("BENCH_SOURCE", &source.address).env("BENCH_DESTINATION", &destination.address);
        command.env("BENCH_SOURCE_TOKEN", &tokens.0).env("BENCH_DESTINATION_TOKEN", &tokens.1);
        let time = timed(command.env("BENCH_ID", id).env("BENCH_MEMORY", &memory))?;
        Ok((time.as_secs_f64(), fs::read_to_string(&memory)?.trim().parse::<f64>()? / 1024.0))
    };

    eprintln!("copy-memory: making {BIG} packages of {} MiB", bench.size >> 20);
    let big: Vec<String> = (1..BIG).map(|number| format!("big-{number}")).collect();
    source.packages(big.iter().map(|id| (id.clone(), bench.size)))?;
    package("big-package", bench.size, &needs(&big))?;
    let (time, memory) = copied("big-package")?;
    println!("\n### Memory while {BIG} packages of {} MiB go through\n\n- time: {time:.1} s", bench.size >> 20);
    verdict("memory above the idle process", memory, " MiB", 48.0);

    eprintln!("copy-memory: making {SMALL} packages");
    let small: Vec<String> = (0..SMALL).map(|number| format!("small-{number:05}")).collect();
    source.packages(small.iter().map(|id| (id.clone(), 1 << 10)))?;
    let mut bundles = Vec::new();
    for (number, ids) in small.chunks(1000).enumerate() {
        bundles.push(format!("bundle-{number}"));
        package(&format!("bundle-{number}"), 0, &needs(ids))?;
    }
    package("everything", 0, &needs(&bundles))?;
    let (time, memory) = copied("everything")?;
    println!("\n### Memory while {SMALL} packages of 1 KiB go through\n\n- time: {time:.1} s");
    verdict("memory above the idle process", memory, " MiB", 96.0);
    Ok(())
}
