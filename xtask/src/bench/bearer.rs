//! A hit of the bearer cache, measured in Rust by `benches/bearer.rs`.

use crate::{Result, process, workspace::cargo};

use super::Bench;

pub(super) fn run(_: &Bench) -> Result<()> {
    println!("\n### Bearer cache hit\n");
    println!("{}", process::output(cargo().args(["bench", "-p", "uss", "--bench", "bearer"]))?);
    Ok(())
}
