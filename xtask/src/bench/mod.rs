//! `cargo xtask bench [NAME]`: whole processes against their peers, in one run.
//!
//! Contenders take turns, in an order that rotates, so that a busy moment of the machine hits all of them; one round
//! to warm up is not counted. Medians and ratios go to stdout as Markdown, what is going on to stderr.

mod bearer;
mod copy;
mod copy_fan;
mod copy_many;
mod copy_memory;
mod copy_stop;
mod exchange;
mod first_call;
mod import;
mod link;
mod query;
mod refusal;
mod registry;
mod sim;
mod wine;

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Result, Usage, process,
    process::Running,
    pwsh, stage,
    workspace::{self, Profile},
};

type Benchmark = fn(&Bench) -> Result<()>;

const BENCHMARKS: [(&str, Benchmark); 13] = [
    ("import", import::run),
    ("first-call", first_call::run),
    ("query", query::run),
    ("copy", copy::run),
    ("copy-many", copy_many::run),
    ("copy-fan", copy_fan::run),
    ("copy-memory", copy_memory::run),
    ("copy-stop", copy_stop::run),
    ("bearer", bearer::run),
    ("exchange", exchange::run),
    ("refusal", refusal::run),
    ("wine", wine::run),
    ("sim", sim::run),
];

/// What the benchmarks share: the release build, a staged module, PowerShell, a folder of the run's own.
struct Bench {
    pwsh: PathBuf,
    /// The manifests of `Uss` and `Vap`.
    module: PathBuf,
    platform: PathBuf,
    server: PathBuf,
    relay: PathBuf,
    copy: PathBuf,
    load: PathBuf,
    folder: tempfile::TempDir,
    runs: Option<usize>,
    size: u64,
}

pub(crate) fn run(options: &[&str]) -> Result<()> {
    let (mut chosen, mut runs, mut size) = (Vec::new(), None, 1 << 30);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--runs" => {
                runs = Some(options.next().and_then(|runs| runs.parse().ok()).filter(|runs| *runs > 0).ok_or(Usage)?)
            }
            "--size" => size = options.next().and_then(|size| size.parse().ok()).ok_or(Usage)?,
            name => chosen.push(BENCHMARKS.iter().find(|(known, _)| *known == name).ok_or(Usage)?),
        }
    }
    if chosen.is_empty() {
        // Not the simulation: it proves, and takes an hour. Not wine: it builds for another system first.
        chosen.extend(BENCHMARKS.iter().filter(|(name, _)| !["sim", "wine"].contains(name)));
    }
    let pwsh = pwsh::find()?;
    let built = workspace::build(
        Profile::Release,
        &[
            "-p",
            "uss",
            "-p",
            "uss-server",
            "--lib",
            "--bin",
            "uss-server",
            "--example",
            "bare_relay",
            "--example",
            "copy_package",
            "--example",
            "request_load",
        ],
    )?;
    let folder = workspace::temporary_folder("bench")?;
    let modules = stage::stage(&[stage::Native::here(built.library()?)?], &folder.path().join("modules"))?;
    let module = |name: &str| {
        let folder = modules.iter().find(|module| module.ends_with(name));
        folder
            .map(|folder| folder.join(name).with_extension("psd1"))
            .ok_or_else(|| format!("the module {name} was not staged"))
    };
    let bench = Bench {
        pwsh,
        module: module("Uss")?,
        platform: module("Vap")?,
        server: built.program("uss-server")?,
        relay: built.program("bare_relay")?,
        copy: built.program("copy_package")?,
        load: built.program("request_load")?,
        folder,
        runs,
        size,
    };
    chosen.into_iter().try_for_each(|(_, run)| run(&bench))
}

impl Bench {
    /// A PowerShell process that runs `script`, as a benchmark starts it.
    fn powershell(&self, script: &str) -> Command {
        let mut command = pwsh::command(&self.pwsh);
        command.args(["-Command", script]).env("BENCH_MODULE", &self.module);
        command
    }

    /// A module that is a manifest and nothing else: what importing any module costs.
    fn empty_module(&self) -> Result<PathBuf> {
        let folder = self.folder.path().join("Empty");
        fs::create_dir_all(&folder)?;
        let manifest = folder.join("Empty.psd1");
        fs::write(
            &manifest,
            "@{ ModuleVersion = '1.0.0'; GUID = 'b1b9f8d0-6f0a-4b55-9a70-0f0a5e0c7d11'; PowerShellVersion = '5.1'; \
             FunctionsToExport = @(); CmdletsToExport = @(); AliasesToExport = @(); VariablesToExport = @() }\n",
        )?;
        Ok(manifest)
    }

    fn runs(&self, usual: usize) -> usize {
        self.runs.unwrap_or(usual)
    }
}

/// One of those that are compared.
struct Contender<'a> {
    name: &'a str,
    /// Does the work once and answers how long it took; what prepares or clears up is outside of that time.
    once: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Contender<'a> {
    fn new(name: &'a str, once: impl FnMut() -> Result<Duration> + 'a) -> Self {
        Self { name, once: Box::new(once) }
    }
}

/// The medians of contenders that took turns, ours first.
struct Comparison {
    names: Vec<String>,
    times: Vec<Vec<Duration>>,
}

impl Comparison {
    fn measure(title: &str, runs: usize, mut contenders: Vec<Contender<'_>>) -> Result<Self> {
        let mut times = vec![Vec::with_capacity(runs); contenders.len()];
        for round in 0..=runs {
            if round == 0 {
                eprintln!("{title}: warming up");
            } else if std::io::stderr().is_terminal() {
                eprint!("\r{title}: {round} of {runs}   ");
            }
            for turn in 0..contenders.len() {
                let which = (turn + round) % contenders.len();
                // What the one before has left to be written is not for this one to wait for.
                process::run(&mut Command::new("sync"))?;
                if let (Some(contender), Some(times)) = (contenders.get_mut(which), times.get_mut(which)) {
                    let time = (contender.once)().map_err(|error| format!("{}: {error}", contender.name))?;
                    if round > 0 {
                        times.push(time);
                    }
                }
            }
        }
        eprintln!();
        times.iter_mut().for_each(|times| times.sort());
        Ok(Self { names: contenders.iter().map(|contender| contender.name.to_owned()).collect(), times })
    }

    fn median(&self, which: usize) -> Duration {
        self.times.get(which).and_then(|times| times.get(times.len() / 2)).copied().unwrap_or_default()
    }

    /// Our median as a multiple of another's.
    fn ratio(&self, peer: usize) -> f64 {
        self.between(0, peer)
    }

    /// One median as a multiple of another's.
    fn between(&self, which: usize, peer: usize) -> f64 {
        self.median(which).as_secs_f64() / self.median(peer).as_secs_f64()
    }

    fn print(&self, title: &str) {
        let runs = self.times.first().map_or(0, Vec::len);
        println!(
            "\n### {title}\n\n| process | median of {runs} | best | worst | ours is |\n| --- | ---: | ---: | ---: | ---: |"
        );
        for (which, name) in self.names.iter().enumerate() {
            let of = |time: Option<&Duration>| milliseconds(time.copied().unwrap_or_default());
            let times = self.times.get(which).map(Vec::as_slice).unwrap_or_default();
            let ratio = if which == 0 { String::new() } else { format!("{:.2}x", self.ratio(which)) };
            println!(
                "| {name} | {} | {} | {} | {ratio} |",
                milliseconds(self.median(which)),
                of(times.first()),
                of(times.last())
            );
        }
        println!();
    }
}

/// Says whether a figure reaches what it has to.
fn verdict(what: &str, value: f64, unit: &str, at_most: f64) {
    let met = if value <= at_most { "met" } else { "**not met**" };
    println!("- {what}: {value:.2}{unit}, to reach: at most {at_most:.2}{unit}: {met}");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Runs a process to its end and answers how long it took, from before its start; it has to succeed.
fn timed(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
    let time = started.elapsed();
    if status.success() { Ok(time) } else { Err(format!("ended with {status}").into()) }
}

/// A bearer for a token, by the exchange that every client makes; curl's config on stdin keeps it off the command line.
fn bearer(server: &str, user: &str, token: &str, folder: &Path) -> Result<String> {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let config = folder.join("exchange.curl");
    let (user, token) = (escape(user), escape(token));
    let url = format!("{server}/api/v1/PersonalTokens/authenticate?username={user}&personalToken={token}");
    fs::write(&config, format!("url = \"{url}\"\nrequest = POST\nfail\nsilent\nshow-error\n"))?;
    let answer = process::output(Command::new("curl").arg("--config").arg(&config))?;
    fs::remove_file(&config)?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let token = answer.get("token").and_then(|token| token.as_str()).ok_or("the exchange gave no token")?;
    Ok(token.to_owned())
}
