//! The project's commands: everything that a contributor or CI does is one of them, and nothing else.
//!
//! A command answers with its exit code: 0 done, 1 failed (the reason on stderr), 2 usage, 130 interrupted.

mod ahead;
mod bench;
mod debian;
mod demo;
mod header;
mod large;
mod lint;
mod methods;
mod package;
mod process;
mod pwsh;
mod report;
mod screenshots;
mod server;
mod stage;
mod terminal;
mod test;
mod windows;
mod workspace;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use workspace::Profile;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                               the main job on this machine: two servers, one copy, seen from PowerShell
  demo platform                      an access token that stops and starts environments, and nothing else
  test                               everything: checks, Rust, C ABI, PowerShell, the demo; the last line counts them
  test large                         of these the server's on PostgreSQL and S3, which are started for it
  stage --out DIR [--profile dev]    the self-contained PowerShell modules, built for release unless told otherwise
  package [--out DIR] [--native RID=FILE]... [--project ADDRESS]
                                     what people install: gallery packages, a zip, a bill of materials, digests
  package try [SUITE]                runs the packages' library on an older Debian, which debootstrap makes: bullseye
  windows [--out DIR]                uss.dll, cross-built on Debian and checked; with --out the modules for this platform
                                     and Windows
  windows check FILE                 whether a DLL from elsewhere has the header's exports, stands alone, and is protected
  windows test [FILE]...             the PowerShell tests on Windows' side, in wine: all, or these of tests/powershell
  bench [NAME] [--runs N] [--size BYTES]
                                     whole processes against peers: import, first-call, query, copy, bearer;
                                     by name alone: wine, which compares Windows' side with Linux
  screenshots                        docs/pages: pictures of the server's pages, from a real browser
  lint                               formatting, clippy, dependencies, the modules' scripts and XML
  header [--check]                   include/uss.h from src/ffi, or whether it is what it should be
  methods [--check]                  src/virtuozzo/methods.txt from the platform's API description, where that is
                                     at ../shared/specs, or whether it is what it should be
";

/// What every part of a command answers with; the error is a sentence for whoever typed the command.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = process::clean_up_on_interrupt().and_then(|()| match words.as_slice() {
        ["demo"] => demo::run(),
        ["demo", "platform"] => demo::platform::run(),
        ["bench", options @ ..] => bench::run(options),
        ["lint"] => lint::run(),
        ["screenshots"] => screenshots::run(),
        ["test"] => test::run(),
        ["test", "large"] => test::run_at_large(),
        ["stage", options @ ..] => stage(options),
        ["package", "try"] => package::run_on(None),
        ["package", "try", suite] => package::run_on(Some(suite)),
        ["package", options @ ..] => package::run(options),
        ["windows"] => windows::build(Profile::Release).map(|library| println!("{}", library.display())),
        ["windows", "test", files @ ..] => test::run_on_windows(files),
        ["windows", "check", library] => windows::check_file(Path::new(library)),
        ["windows", "--out", out] => windows::stage(Path::new(out)),
        ["header"] => header::write(&header::build()?),
        ["header", "--check"] => header::check(&header::build()?),
        ["methods"] => methods::write(),
        ["methods", "--check"] => methods::check().map(drop),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Usage.into()),
    });
    match done {
        _ if process::interrupted() => {
            eprintln!("interrupted; everything that was started has been ended");
            ExitCode::from(130)
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Usage>() => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) if error.is::<Told>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn stage(options: &[&str]) -> Result<()> {
    let (mut out, mut profile) = (None, Profile::Release);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (*option, options.next().copied()) {
            ("--out", Some(folder)) => out = Some(PathBuf::from(folder)),
            ("--profile", Some("dev")) => profile = Profile::Dev,
            ("--profile", Some("release")) => profile = Profile::Release,
            _ => return Err(Usage.into()),
        }
    }
    let out = out.ok_or(Usage)?;
    let built = workspace::build(profile, &["-p", "uss"])?;
    for module in stage::stage(&[stage::Native::here(built.library()?)?], &out)? {
        println!("{}", module.display());
    }
    Ok(())
}

/// The command was not understood.
#[derive(Debug)]
struct Usage;

/// The command failed, and its output has said so already.
#[derive(Debug)]
struct Told;

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("see cargo xtask --help")
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("see above")
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Told {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What stands after `before` wherever it is in the text, to the next space or mark.
    fn words<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        let part = |rest: &'a str| rest.split(|letter: char| !letter.is_ascii_lowercase()).next();
        text.split(before).skip(1).filter_map(part).filter(|word| !word.is_empty())
    }

    #[test]
    fn workflows_and_pages_name_commands_that_exist() {
        let known: Vec<&str> = USAGE.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
        let folders = [".github/workflows", ".ci", "docs", "docs/decisions", "."].map(|at| workspace::root().join(at));
        let files =
            folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
        let mut named = 0;
        for file in files.filter(|file| file.is_file()) {
            // Pictures are no text.
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            for word in words(&text, "cargo xtask ").chain(words(&text, "-p xtask -- ")) {
                assert!(known.contains(&word), "{} names cargo xtask {word}", file.display());
                named += 1;
            }
        }
        assert!(named > 10, "{named} commands are named");
    }
}
