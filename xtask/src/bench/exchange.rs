//! Exchanges a second with 50,000 tokens in the store, and what checking a bearer costs the server.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use super::{Bench, bearer, verdict};
use crate::{
    Result, debian, process,
    server::{Role, Server},
};

/// Tokens in the store, nearly all of them other people's.
const TOKENS: u32 = 50_000;

/// Those that are exchanged: as many as an account has at most.
const EXCHANGED: usize = 100;

const CONNECTIONS: &str = "16";
const SECONDS: u64 = 5;

/// Fills the store; nobody knows the values that these hashes would be of.
const FILL: &str = "
INSERT INTO users (id, name, name_key, email, email_key, first_name, last_name, admin, enabled, created_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
SELECT 'u' || i, 'u' || i, 'u' || i, 'u' || i || '@x', 'u' || i || '@x', '', '', 0, 1, 0 FROM n;
INSERT INTO tokens (id, user_id, name, description, value_hash, created_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < COUNT - 1)
SELECT lower(hex(randomblob(16))), 'u' || (i % 500 + 1), 'n', '', lower(hex(randomblob(32))), 0 FROM n;";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let missing = debian::install(&["sqlite3", "curl"]);
    if !missing.is_empty() {
        return Err(
            format!("exchange needs {}: install it, or run this as root on Debian", missing.join(" and ")).into()
        );
    }
    let data = bench.folder.path().join("exchange");
    let server = Server::start(&bench.server, &data)?;
    let mut tokens = vec![server.token("ada", Role::Reader, "bench")?];
    while tokens.len() < EXCHANGED {
        tokens.push(server.command(&["token", "create", "--user", "ada", "--name", "bench"])?);
    }
    let fill = FILL.replace("COUNT", &(TOKENS - u32::try_from(EXCHANGED)?).to_string());
    process::output(Command::new("sqlite3").arg(data.join("uss.db")).arg(fill))?;

    let first = tokens.first().ok_or("no token was made")?;
    let bearer = bearer(&server.address, "ada", first, bench.folder.path())?;
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let exchange = tokens
        .iter()
        .map(|token| format!("POST /api/v1/PersonalTokens/authenticate?username=ada&personalToken={}", escape(token)));
    // The signature is not this server's: the check ends before the database.
    let forged = format!("{}AAAA", bearer.get(..bearer.len() - 4).ok_or("the bearer is too short")?);

    let exchanged = load(bench, &server, "200", exchange.collect())?;
    let open = load(bench, &server, "401", vec!["GET /api/v1/Account".into()])?;
    let signed = load(bench, &server, "401", vec![format!("GET /api/v1/Account {forged}")])?;
    let checked = load(bench, &server, "200", vec![format!("GET /api/v1/Account {bearer}")])?;
    println!("\n### Exchanges and bearers, {TOKENS} tokens in the store, {CONNECTIONS} connections\n");
    println!("| request | a second | the server's processor time each |\n| --- | ---: | ---: |");
    for (name, load) in [
        ("exchange of a token for a bearer", &exchanged),
        ("the same call without a bearer, refused", &open),
        ("a call with a forged bearer, refused by its signature", &signed),
        ("a call with a bearer, token's state from SQLite", &checked),
    ] {
        println!("| {name} | {:.0} | {:.0} µs |", load.per_second, load.cost);
    }
    println!();
    let met = if exchanged.per_second >= 2000.0 { "met" } else { "**not met**" };
    println!("- exchanges: {:.0} a second, to reach: at least 2000: {met}", exchanged.per_second);
    verdict("signature and claims, above a call without", signed.cost - open.cost, " µs", 50.0);
    verdict("the token's state as well", checked.cost - open.cost, " µs", 300.0);
    Ok(())
}

struct Load {
    per_second: f64,
    /// Microseconds of the server's processor time for a request.
    cost: f64,
}

fn load(bench: &Bench, server: &Server, status: &str, requests: Vec<String>) -> Result<Load> {
    let address = server.address.trim_start_matches("http://");
    let before = processor_time(server)?;
    let mut command = Command::new(&bench.load);
    command.args([address, CONNECTIONS, &SECONDS.to_string(), status]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("request_load has no stdin")?.write_all(requests.join("\n").as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("request_load ended with {}", output.status).into());
    }
    let answered: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let spent = processor_time(server)? - before;
    Ok(Load { per_second: answered / SECONDS as f64, cost: spent / answered * 1e6 })
}

/// Seconds that the server has computed, from Linux's clock ticks of 10 ms (proc(5)).
fn processor_time(server: &Server) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).ok_or("no time in stat");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
