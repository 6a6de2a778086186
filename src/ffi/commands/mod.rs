//! The commands: one struct each, whose fields are the command's fields.
//!
//! A struct inside [`fieldset!`] reads itself from the caller's fields, refuses what it does not know, and documents
//! itself for the header: a field's name, type and doc comment stand once.

mod fields;

pub(super) use fields::FieldType;
pub(crate) use fields::{Fieldset, Format, Named, fieldset};

use std::time::Duration;

use super::Fields;
use super::operation::{Operation, Run};
use crate::error::{Error, ErrorKind};
use crate::log::LogLevel;
use crate::operation::Delivery;
use fields::Lease;

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
const COMMANDS: &[Entry] = &[];

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

/// The commands' documentation for the header, as plain text.
#[must_use]
pub fn describe() -> String {
    let mut text = Common::describe();
    for entry in COMMANDS {
        text.push('\n');
        text.push_str(&(entry.describe)());
        text.push_str(&format!("  Rows: {}\n", entry.rows));
    }
    text
}
