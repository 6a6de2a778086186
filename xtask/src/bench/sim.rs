//! 100,000 schedules of lost, late and broken connections, crashes and restarts, for the copy engine.

use std::time::Instant;

use super::Bench;
use crate::{Result, process, workspace::cargo};

/// How many; tests run a tenth.
const SCHEDULES: usize = 100_000;

pub(super) fn run(bench: &Bench) -> Result<()> {
    let schedules = bench.runs(SCHEDULES).to_string();
    let began = Instant::now();
    let mut command = cargo();
    command.args(["test", "--release", "-p", "uss", "--test", "simulation"]);
    process::run(command.env("USS_SIM_SCHEDULES", &schedules))?;
    println!("\n### Simulation\n\n- {schedules} schedules held, in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
