//! Whether the time of a refused exchange or sign-in tells that the user exists.
//!
//! The server limits failures a name and an address, as it does for everybody: each name is tried once with each call,
//! and each round comes from an address of its own, of which loopback has enough.

use std::{fs, process::Command, time::Duration};

use super::{Bench, Comparison, Contender, verdict};
use crate::{
    Result, debian, process,
    server::{Role, Server},
};

/// Addresses of one /24 that rounds come from.
const MOST: usize = 250;

/// How far two medians may be apart.
const APART: f64 = 0.1;

/// The same as the first: how far medians are apart for no reason.
const CONTROL: &str = "the same as the first, to compare";

pub(super) fn run(bench: &Bench) -> Result<()> {
    let missing = debian::install(&["curl"]);
    if !missing.is_empty() {
        return Err("refusal needs curl: install it, or run this as root on Debian".into());
    }
    // One more round warms up.
    let runs = bench.runs(100).min(MOST - 1);
    let server = Server::start(&bench.server, &bench.folder.path().join("refusal"))?;
    let theirs = server.token("keeper", Role::Publisher, "bench")?;
    eprintln!("refusal: making {} users", 3 * (runs + 1));
    for round in 0..=runs {
        for user in ["known", "again"] {
            server.person(&format!("{user}{round}"), "correct horse battery")?;
        }
        let (name, email) = (format!("silent{round}"), format!("silent{round}@example.com"));
        server.command(&["user", "add", &name, "--email", &email])?;
    }
    let ask = Ask { server: &server, answer: bench.folder.path().join("refusal.json") };
    let exchange = |user: &'static str, value: &str| ask.contender(user, Some(value.to_owned()));
    let sign_in = |user: &'static str| ask.contender(user, None);
    let wrong = theirs.chars().rev().collect::<String>();
    let exchanges = Comparison::measure(
        "refused exchange",
        runs,
        vec![
            Contender::new("of a known user, wrong value", exchange("known", &wrong)),
            Contender::new("of a known user, another's value", exchange("silent", &theirs)),
            Contender::new("of an unknown user, wrong value", exchange("nobody", &wrong)),
            Contender::new(CONTROL, exchange("again", &wrong)),
        ],
    )?;
    let sign_ins = Comparison::measure(
        "refused sign-in",
        runs,
        vec![
            Contender::new("of a known user, wrong password", sign_in("known")),
            Contender::new("of a known user without a password", sign_in("silent")),
            Contender::new("of an unknown user", sign_in("nobody")),
            Contender::new(CONTROL, sign_in("again")),
        ],
    )?;
    for (what, comparison) in [("exchange", &exchanges), ("sign-in", &sign_ins)] {
        println!("\n### Refused {what}s, until the answer begins\n");
        println!("| refused {what} | median of {runs} | of the first |\n| --- | ---: | ---: |");
        for (which, name) in comparison.names.iter().enumerate() {
            let median = comparison.median(which).as_secs_f64() * 1000.0;
            println!("| {name} | {median:.3} ms | {:.3}x |", comparison.between(which, 0));
        }
        println!();
        for (which, name) in comparison.names.iter().enumerate().skip(1) {
            // What two of the same are apart is the machine's doing, and nothing less can be told.
            if name == CONTROL {
                continue;
            }
            let apart = (comparison.between(which, 0) - 1.0).abs();
            verdict(&format!("{what} {name}, apart from the first"), apart, "x", APART);
        }
    }
    Ok(())
}

/// Asks the server, and must be refused.
struct Ask<'a> {
    server: &'a Server,
    /// Where curl puts the answer.
    answer: std::path::PathBuf,
}

impl<'a> Ask<'a> {
    /// The time of a refusal, round by round: an exchange of this value, or without one a sign-in.
    fn contender(&'a self, user: &'a str, value: Option<String>) -> impl FnMut() -> Result<Duration> + 'a {
        let mut round = 0;
        move || {
            let name = format!("{user}{round}");
            let time = self.refused(&name, value.as_deref(), &format!("127.0.{}.{}", address(user), 1 + round));
            round += 1;
            time
        }
    }

    fn refused(&self, user: &str, value: Option<&str>, from: &str) -> Result<Duration> {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--interface", from, "--output"]).arg(&self.answer);
        // From when the request could be sent to when the answer begins: without the connecting.
        command.args(["--write-out", "%{http_code} %{time_pretransfer} %{time_starttransfer}"]);
        let address = &self.server.address;
        match value {
            Some(value) => {
                let value = escape(value);
                let query = format!("username={user}&personalToken={value}");
                command
                    .args(["--request", "POST"])
                    .arg(format!("{address}/api/v1/PersonalTokens/authenticate?{query}"));
            }
            None => {
                let body = format!("{{\"userName\":\"{user}\",\"password\":\"not the password\"}}");
                command.args(["--data-binary", &body]).arg(format!("{address}/api/v1/Account/signin"));
            }
        }
        let told = process::output(&mut command)?;
        let answer = || fs::read_to_string(&self.answer).unwrap_or_default();
        let figures: Vec<&str> = told.split_whitespace().collect();
        let ["401", ready, began] = figures.as_slice() else {
            return Err(format!("{user} from {from} was answered {told}: {}", answer()).into());
        };
        Ok(Duration::from_secs_f64((began.parse::<f64>()? - ready.parse::<f64>()?).max(0.0)))
    }
}

/// The /24 of loopback that tries of a user come from.
fn address(user: &str) -> u8 {
    match user {
        "known" => 1,
        "silent" => 2,
        "again" => 4,
        _ => 3,
    }
}
