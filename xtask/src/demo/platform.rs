//! `cargo xtask demo platform`: an access token that may stop and start environments, and nothing else.
//!
//! A server with sample environments on a free loopback port; `platform.ps1` makes the token, stops an environment with
//! it from PowerShell and by one URL, sees it stopped in the page, and sees refused what the token does not hold, and
//! its old value.

use std::process::Stdio;

use super::script;
use crate::{
    Result,
    process::Running,
    pwsh,
    server::Server,
    stage,
    terminal::Terminal,
    workspace::{self, Profile},
};

/// The demo's only person. The server is this machine's alone and ends with the demo.
const PASSWORD: &str = "a demo needs no secret";

pub(crate) fn run() -> Result<()> {
    let terminal = Terminal::of_stdout();
    terminal.title("uss", "environments of an application platform, stopped by a token that can do nothing else");
    let pwsh = pwsh::find()?;
    terminal.note("Building for release; the first time takes some minutes.");
    let built = workspace::build(Profile::Release, &super::BUILD)?;
    println!();
    terminal.done("Built", "the library, the PowerShell modules and uss-server");

    let folder = workspace::temporary_folder("demo")?;
    terminal.doing("Starting the platform");
    let data = folder.path().join("platform");
    let platform = Server::start_with(&built.program("uss-server")?, &data, &["--demo", "--state-time", "2"])?;
    platform.person("ada", PASSWORD)?;
    terminal.done("Started the platform", &platform.address);

    let modules = stage::stage(&[stage::Native::here(built.library()?)?], &folder.path().join("modules"))?;
    let module = modules.iter().find(|module| module.ends_with("Vap")).ok_or("the module Vap was not staged")?;
    let mut command = script(&pwsh, folder.path(), include_str!("platform.ps1"))?;
    command.arg("-Module").arg(module.join("Vap.psd1")).args(["-Platform", &platform.address]);
    if !terminal.is_rich() {
        command.arg("-Plain").env("NO_COLOR", "1");
    }
    let status = Running::start(command.env("DEMO_PASSWORD", PASSWORD).stdin(Stdio::null()))?.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the demo's script failed ({status})").into()) }
}
