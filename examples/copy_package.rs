//! The copy engine in a process of its own: what a copy costs without PowerShell around it.
//!
//! `copy_package SOURCE ID DESTINATION...` copies the newest version of a package with its dependencies, as `ada`, with
//! the personal access tokens in `SOURCE_TOKEN` and `DESTINATION_TOKEN`; several destinations take the same token, or
//! as many as there are, separated by spaces. It prints a line for each package and destination.
//! `cargo xtask bench copy` measures it beside the cmdlet.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, error::Error};

use uss::connection::Credential;
use uss::copy::{FolderJournal, PlanOptions, Request, RunOptions, plan, run};
use uss::http::TransportOptions;
use uss::log::{Log, LogLevel};
use uss::operation::Context;
use uss::update_service::{Routes, UpdateService};
use uss::{Secret, ServerUrl};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, id, destinations @ ..] = arguments.as_slice() else {
        return Err("usage: copy_package SOURCE ID DESTINATION...".into());
    };
    let source = open(source, &env::var("SOURCE_TOKEN")?)?;
    let tokens = env::var("DESTINATION_TOKEN")?;
    let tokens = tokens.split(' ').cycle();
    let destinations = destinations.iter().zip(tokens).map(|(address, token)| open(address, token));
    let destinations = destinations.collect::<Result<Vec<_>, _>>()?;

    let context = Context::new(Log::new(LogLevel::None));
    let request = Request { package_id: id.clone(), version_query: String::new() };
    let planned = plan(&context, &source, &destinations, &[request], &PlanOptions::default()).await;
    let planned =
        planned.map_err(|problems| problems.into_iter().next().map_or_else(String::new, |e| e.to_string()))?;
    let failed = AtomicBool::new(false);
    run(&context, planned, &FolderJournal::new(), &RunOptions::default(), |row| match row {
        Ok(row) => {
            let (status, seconds) = (row.status.as_str(), row.duration.as_secs_f64());
            println!(
                "{} {} {status} to {}: {} bytes sent in {seconds:.2} s",
                row.id, row.version, row.destination, row.bytes_sent
            );
        }
        Err(error) => {
            eprintln!("{error}");
            failed.store(true, Ordering::Relaxed);
        }
    })
    .await?;
    Ok(ExitCode::from(u8::from(failed.into_inner())))
}

fn open(address: &str, token: &str) -> Result<UpdateService, uss::Error> {
    let credential = Credential { user_name: "ada".into(), token: Secret::new(token.to_owned()) };
    UpdateService::open(
        ServerUrl::parse(address, false)?,
        Some(credential),
        TransportOptions::default(),
        Routes::default(),
    )
}
