//! The types that fields can have.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::connection::Connection;
use super::super::handles::{self, LEASE, Object};
use super::super::model::DateTimeUtc;
use super::super::operation::Operation;
use crate::error::Error;
use crate::log::LogLevel;

/// What is wrong with a field.
#[derive(Debug)]
pub(in crate::ffi) enum Flaw {
    /// Ends the sentence "The field 'x' of the command 'y' …".
    Value(String),
    /// It names a native object, and there is none.
    Handle(Error),
}

impl From<String> for Flaw {
    fn from(what: String) -> Self {
        Self::Value(what)
    }
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Handle(error)
    }
}

/// A type that a field can have.
pub(in crate::ffi) trait FieldType: Sized {
    /// What a caller calls it.
    const KIND: &'static str;

    /// Reads the values that the field was given with, none if it was not.
    fn read(values: Vec<String>) -> Result<Self, Flaw>;
}

/// The one value of a field that takes one; an empty one is none.
fn single(mut values: Vec<String>) -> Result<Option<String>, String> {
    match values.len() {
        0 | 1 => Ok(values.pop().filter(|value| !value.is_empty())),
        count => Err(format!("was given {count} times and takes one value.")),
    }
}

fn required<T>(value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| "is missing or empty.".to_owned())
}

impl FieldType for String {
    const KIND: &'static str = "text";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(required(single(values)?)?)
    }
}

impl FieldType for Option<String> {
    const KIND: &'static str = "optional text";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(single(values)?)
    }
}

impl FieldType for PathBuf {
    const KIND: &'static str = "path";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(required(single(values)?).map(PathBuf::from)?)
    }
}

impl FieldType for Option<PathBuf> {
    const KIND: &'static str = "optional path";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(single(values)?.map(PathBuf::from))
    }
}

impl FieldType for Vec<String> {
    const KIND: &'static str = "list of texts";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(values)
    }
}

/// A list that is not empty, of texts that are not empty.
pub(in crate::ffi) struct Names(pub(in crate::ffi) Vec<String>);

impl FieldType for Names {
    const KIND: &'static str = "list of texts, one at least";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        if values.is_empty() || values.iter().any(String::is_empty) {
            required::<Self>(None)?;
        }
        Ok(Self(values))
    }
}

impl FieldType for Vec<PathBuf> {
    const KIND: &'static str = "list of paths";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(values.into_iter().map(PathBuf::from).collect())
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("is '{}' and must be true or false.", shown(other))),
    }
}

impl FieldType for bool {
    const KIND: &'static str = "boolean, false if not given";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(single(values)?.map_or(Ok(false), |value| boolean(&value))?)
    }
}

impl FieldType for Vec<bool> {
    const KIND: &'static str = "list of booleans";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        values.iter().map(|value| Ok(boolean(value)?)).collect()
    }
}

impl FieldType for Option<u64> {
    const KIND: &'static str = "optional whole number";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        let Some(value) = single(values)? else { return Ok(None) };
        let number: Option<u64> = value.parse().ok().filter(|number| *number > 0);
        let invalid = || format!("is '{}' and must be a whole number from 1 on.", shown(&value));
        Ok(number.map(Some).ok_or_else(invalid)?)
    }
}

/// A length of time, from a millisecond to a year.
fn seconds(value: &str) -> Result<Duration, String> {
    const YEAR: f64 = 366.0 * 86_400.0;
    let number: Option<f64> = value.parse().ok().filter(|number| (0.001..=YEAR).contains(number));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("is '{}' and must be a number of seconds between 0.001 and a year.", shown(value)))
}

impl FieldType for Option<Duration> {
    const KIND: &'static str = "optional seconds";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(single(values)?.map(|value| seconds(&value)).transpose()?)
    }
}

impl FieldType for Option<Timestamp> {
    const KIND: &'static str = "optional instant, like 2026-11-10T18:00:00Z";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        let Some(value) = single(values)? else { return Ok(None) };
        let instant = DateTimeUtc::read(&value).map(|instant| instant.0);
        let invalid = || format!("is '{}' and must be an instant like 2026-11-10T18:00:00Z.", shown(&value));
        Ok(instant.map(Some).ok_or_else(invalid)?)
    }
}

/// How long an operation is kept.
pub(super) struct Lease(pub(super) Duration);

impl FieldType for Lease {
    const KIND: &'static str = "seconds";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        Ok(single(values)?.map_or(Ok(LEASE), |value| seconds(&value)).map(Self)?)
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Clixml,
    Json,
}

impl FieldType for Format {
    const KIND: &'static str = "name";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        match single(values)?.as_deref() {
            None | Some("clixml") => Ok(Self::Clixml),
            Some("json") => Ok(Self::Json),
            Some(other) => Err(format!("is '{}' and must be clixml or json.", shown(other)).into()),
        }
    }
}

impl FieldType for LogLevel {
    const KIND: &'static str = "name";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        match single(values)?.as_deref() {
            None | Some("none") => Ok(Self::None),
            Some("verbose") => Ok(Self::Verbose),
            Some("debug") => Ok(Self::Debug),
            Some(other) => Err(format!("is '{}' and must be none, verbose or debug.", shown(other)).into()),
        }
    }
}

/// The object that an id in decimal names.
fn object<T: Object>(value: &str) -> Result<Arc<T>, Flaw> {
    Ok(handles::get(id(value)?)?)
}

fn id(value: &str) -> Result<u64, String> {
    // .NET holds ids in signed longs, so a made-up one may be negative; it must fail as an id, not as a number.
    let number = value.parse::<u64>().ok().or_else(|| value.parse::<i64>().ok().map(i64::cast_unsigned));
    number.ok_or_else(|| format!("is '{}' and must be an id.", shown(value)))
}

impl FieldType for Arc<Connection> {
    const KIND: &'static str = "id of a connection";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        object(&required(single(values)?)?)
    }
}

impl FieldType for Option<Arc<Connection>> {
    const KIND: &'static str = "optional id of a connection";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        single(values)?.map(|value| object(&value)).transpose()
    }
}

impl FieldType for Vec<Arc<Connection>> {
    const KIND: &'static str = "list of ids of connections";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        required(values.first())?;
        values.iter().map(|value| object(value)).collect()
    }
}

/// A list of connections that may be empty.
pub(in crate::ffi) struct Connections(pub(in crate::ffi) Vec<Arc<Connection>>);

impl FieldType for Connections {
    const KIND: &'static str = "list of ids of connections, none if not given";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        values.iter().map(|value| object(value)).collect::<Result<_, _>>().map(Self)
    }
}

impl FieldType for Arc<Operation> {
    const KIND: &'static str = "id of an operation";

    fn read(values: Vec<String>) -> Result<Self, Flaw> {
        object(&required(single(values)?)?)
    }
}

/// The first characters of a value, for a message.
fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_an_offset() {
        let read = |text: &str| <Option<Timestamp>>::read(vec![text.into()]);
        assert_eq!(read("2099-05-06T02:00:00.0000000+02:00").unwrap(), Some("2099-05-06T00:00:00Z".parse().unwrap()));
        assert_eq!(read("").unwrap(), None);
        for bad in ["2099-05-06", "2099-05-06T00:00:00", "tomorrow"] {
            assert!(matches!(read(bad), Err(Flaw::Value(_))), "{bad}");
        }
    }

    #[test]
    fn an_id_may_be_a_signed_long() {
        assert_eq!(id("-1"), Ok(u64::MAX));
        assert_eq!(id("72057594037927936"), Ok(1 << 56));
        assert!(id("x").is_err());
    }
}
