//! One package to four destinations behind links of different width: one read of the source, and little more time than
//! the slowest destination takes alone.

use std::process::Command;

use super::{Bench, Comparison, Contender, link::Link, timed, verdict};
use crate::{
    Result,
    server::{Role, Server},
};

/// Bytes of the package.
const SIZE: u64 = 64 << 20;

/// Bytes a second of the destinations' links.
const WIDTHS: [u64; 4] = [10 << 20, 12 << 20, 16 << 20, 24 << 20];

pub(super) fn run(bench: &Bench) -> Result<()> {
    let folder = bench.folder.path();
    let source = Server::start(&bench.server, &folder.join("fan-source"))?;
    source.package("wide-package", "1.0.0", SIZE, &[])?;
    let read = source.token("ada", Role::Reader, "bench")?;
    let counted = Link::start(&source.address, None)?;
    let mut reads = Vec::new();
    let mut round = 0;
    let mut copy = |widths: &[u64]| {
        // Fresh destinations, so that nothing is there.
        round += 1;
        let mut servers = Vec::new();
        let mut links = Vec::new();
        let mut tokens = Vec::new();
        for (number, width) in widths.iter().enumerate() {
            let server = Server::start(&bench.server, &folder.join(format!("fan-{round}-{number}")))?;
            tokens.push(server.token("ada", Role::Publisher, "bench")?);
            links.push(Link::start(&server.address, Some(*width))?.address);
            servers.push(server);
        }
        let mut command = Command::new(&bench.copy);
        command.arg(&counted.address).arg("wide-package").args(&links);
        let before = counted.answered();
        let time = timed(command.env("SOURCE_TOKEN", &read).env("DESTINATION_TOKEN", tokens.join(" ")))?;
        reads.push((widths.len(), counted.answered() - before));
        Ok(time)
    };
    let copy = std::cell::RefCell::new(&mut copy);
    let contenders = vec![
        Contender::new("four destinations", || (copy.borrow_mut())(&WIDTHS)),
        Contender::new("the slowest of them alone", || (copy.borrow_mut())(&WIDTHS[..1])),
    ];
    let comparison = Comparison::measure("copy-fan", bench.runs(3), contenders)?;
    comparison
        .print(&format!("One package of {} MiB to four destinations, links of 10, 12, 16 and 24 MiB/s", SIZE >> 20));
    verdict("against the slowest alone", comparison.ratio(1), "x", 1.3);
    let most = reads.iter().filter(|(destinations, _)| *destinations == 4).map(|(_, bytes)| *bytes).max();
    verdict("bytes read at the source, of the package's", most.unwrap_or(u64::MAX) as f64 / SIZE as f64, "x", 1.01);
    Ok(())
}
