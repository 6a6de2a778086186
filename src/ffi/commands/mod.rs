//! The commands: one struct each, whose fields are the command's fields.
//!
//! A struct inside [`fieldset!`] reads itself from the caller's fields, refuses what it does not know, and documents
//! itself for the header: a field's name, type and doc comment stand once.

mod connect;
mod copy;
mod field_types;
mod fieldset;
mod forget;
mod installers;
mod invoke;
mod new_package;
mod packages;
mod plan;
mod platform;
mod remove;
mod resolve;
mod test;
mod tokens;
mod versions;

pub(super) use field_types::{FieldType, Flaw, Format};
pub(super) use fieldset::{Fieldset, Named, fieldset};

use std::time::Duration;

use super::Fields;
use super::connection::Opening;
use super::operation::{Operation, Run};
use crate::copy::Request;
use crate::error::{Error, ErrorKind};
use crate::log::LogLevel;
use crate::operation::Delivery;
use crate::update_service::Wanted;
use field_types::{Connections, Lease, Names};

/// A command of the C ABI.
pub(super) trait Command: Fieldset + Send + 'static {
    /// What its rows are.
    const ROWS: &'static str;
    /// How its rows come.
    const DELIVERY: Delivery = Delivery::Whole;

    /// Does it: checks, one call into the core, conversion.
    fn run(self, run: Run) -> impl Future<Output = Result<(), Error>> + Send;
}

/// All commands, in the order of the header.
const COMMANDS: &[Entry] = &[
    Entry::of::<connect::Connect>(),
    Entry::of::<forget::Forget>(),
    Entry::of::<packages::Packages>(),
    Entry::of::<versions::Versions>(),
    Entry::of::<resolve::Resolve>(),
    Entry::of::<plan::PlanCopy>(),
    Entry::of::<plan::PlanCopyInstaller>(),
    Entry::of::<plan::PlanSave>(),
    Entry::of::<plan::PlanImport>(),
    Entry::of::<copy::Copy>(),
    Entry::of::<installers::Installers>(),
    Entry::of::<remove::Remove>(),
    Entry::of::<test::Test>(),
    Entry::of::<new_package::NewPackage>(),
    Entry::of::<tokens::Tokens>(),
    Entry::of::<tokens::NewToken>(),
    Entry::of::<tokens::SetToken>(),
    Entry::of::<tokens::ResetToken>(),
    Entry::of::<tokens::CopyToken>(),
    Entry::of::<tokens::RevokeToken>(),
    Entry::of::<tokens::RemoveToken>(),
    Entry::of::<tokens::SignOut>(),
    Entry::of::<invoke::Invoke>(),
    Entry::of::<platform::PlatformConnect>(),
    Entry::of::<platform::PlatformDisconnect>(),
    Entry::of::<platform::PlatformMethods>(),
    Entry::of::<platform::PlatformCall>(),
    Entry::of::<platform::PlatformEnvironments>(),
    Entry::of::<platform::PlatformChange>(),
    Entry::of::<platform::PlatformRestart>(),
    Entry::of::<platform::PlatformTokens>(),
    Entry::of::<platform::PlatformNewToken>(),
    Entry::of::<platform::PlatformSetToken>(),
    Entry::of::<platform::PlatformCopyToken>(),
    Entry::of::<platform::PlatformResetToken>(),
    Entry::of::<platform::PlatformRemoveToken>(),
    Entry::of::<platform::PlatformScopes>(),
];

struct Entry {
    name: &'static str,
    rows: &'static str,
    describe: fn() -> String,
    start: fn(&Common, Fields) -> Result<Operation, Error>,
}

impl Entry {
    const fn of<C: Command>() -> Self {
        Self { name: C::NAME, rows: C::ROWS, describe: C::describe, start: start_as::<C> }
    }
}

fieldset! {
    /// Every command also has:
    pub(super) struct Common as "" {
        /// Which log lines are kept: `none`, `verbose` or `debug`; none if not given.
        log: LogLevel,
        /// How rows are written: `clixml` or `json`; clixml if not given.
        format: Format,
        /// How long the operation is kept when nobody waits for it or takes from it; 900 if not given.
        lease: Lease,
    }
}

impl Common {
    pub(super) fn lease(&self) -> Duration {
        self.lease.0
    }
}

/// Starts the command that the fields name.
pub(super) fn start(mut fields: Fields) -> Result<Operation, Error> {
    let name: String = fields.take("command")?;
    let entry = COMMANDS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
        Error::new(ErrorKind::InvalidArgument, format!("There is no command '{name}'."))
            .with_hint(format!("The commands are {}.", names.join(", ")))
            .with_target("command")
    })?;
    fields.of = format!("the command '{name}'");
    let common = Common::read(&mut fields)?;
    (entry.start)(&common, fields)
}

fn start_as<C: Command>(common: &Common, mut fields: Fields) -> Result<Operation, Error> {
    let command = C::read(&mut fields)?;
    fields.end(&[C::names(), Common::names()].concat())?;
    Operation::start(common, C::DELIVERY, |run| command.run(run))
}

/// The packages that are asked for, with their queries.
fn requests(Names(ids): Names, mut queries: Vec<String>) -> Result<Vec<Wanted>, Error> {
    if queries.is_empty() {
        queries.resize(ids.len(), String::new());
    }
    if queries.len() != ids.len() {
        let message = format!("The field 'versionQuery' was given {} times for {} packages.", queries.len(), ids.len());
        return Err(Error::new(ErrorKind::InvalidArgument, message).with_target("versionQuery"));
    }
    let pairs = ids.into_iter().zip(queries);
    Ok(pairs.map(|(package_id, version_query)| Wanted { package_id, version_query }).collect())
}

/// [`requests`], for the copy engine.
fn copy_requests(ids: Names, queries: Vec<String>) -> Result<Vec<Request>, Error> {
    let wanted = requests(ids, queries)?.into_iter();
    Ok(wanted.map(|Wanted { package_id, version_query }| Request { package_id, version_query }).collect())
}

/// Gives each problem as an error item, and the one that the operation fails with.
fn problems(run: &Run, problems: Vec<Error>, what: &str) -> Error {
    let first = problems.first().cloned();
    let kind = first.as_ref().map_or(ErrorKind::Internal, Error::kind);
    let message = match problems.len() {
        1 => format!("{what}, because of the problem above."),
        count => format!("{what}, because of the {count} problems above."),
    };
    problems.into_iter().for_each(|problem| run.fail(problem));
    let server = first.map(|first| first.server().to_owned()).unwrap_or_default();
    Error::new(kind, message).with_server(server)
}

/// The commands' documentation for the header, as plain text.
#[must_use]
pub fn describe() -> String {
    let mut text = format!("{}\n{}", Opening::describe(), Common::describe());
    for entry in COMMANDS {
        text.push('\n');
        text.push_str(&(entry.describe)());
        fieldset::wrap(&mut text, "  ", &format!("Rows: {}", entry.rows));
    }
    text
}
