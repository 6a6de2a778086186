//! The C ABI of uss. What holds for every function:
//!
//! **Status.** 0 (`USS_OK`, `USS_READY`): done. 1 (`USS_PENDING`): not yet, or more follows. -1 (`USS_FAILED`): failed;
//! a function with an `out` then puts the error's buffer there. `out` may be NULL when nobody wants to know.
//!
//! **Ids, not pointers.** Connections, operations, buffers and secrets are named by 64-bit ids that are never reused.
//! A foreign, stale, wrong-kind or twice-freed id is the error `InvalidHandle`, never a crash. What an id names is
//! yours until you free it. An operation that nobody waits for is cancelled and freed after its lease (900 seconds,
//! or the command's field `lease`); buffers and secrets that nobody takes are freed after 900 seconds. Connections
//! stay until they are closed.
//!
//! **Text** is UTF-8 without a terminating NUL; its length stands beside it. Pointers that a function is given are
//! only used until it returns, and may be NULL where their length is 0.
//!
//! **Fields** are `name NUL value NUL name NUL value NUL` and so on; a list repeats its name. Booleans are `true` and
//! `false`. An empty value of an optional field is as if the field were not there. An unknown, missing or ill-typed
//! field is the error `InvalidArgument` that names it.
//!
//! **Errors** are seven texts joined by U+001F: code (of a platform's refusal: `Vap.` and its result), category (a name
//! of PowerShell's ErrorCategory), message, hint, HTTP status (empty if there was no answer), target, server. Texts may
//! be empty.
//!
//! **Threads.** Every function may be called from any thread at any time. None calls back. None lets a panic out: a
//! defect of the library is the error `Internal`.
//!
//! **Life.** The library starts its threads at the first operation and stays loaded until the process ends; the
//! process's exit never waits for it.
#![allow(unsafe_code)]
#![allow(private_interfaces)]

// The exported functions, in the order of the header; the blank lines keep rustfmt from sorting them.
pub mod debug;

pub mod connection;

pub mod operation;

pub mod buffer;

pub mod secret;

pub mod clixml;
pub mod commands;
mod handles;
pub mod model;
mod panics;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use commands::{FieldType, Flaw};

/// The version of this interface. A caller that was made for another version must not go on.
pub const USS_ABI_VERSION: u32 = 1;
/// Done.
pub const USS_OK: i32 = 0;
/// The operation has a page of rows, or has ended.
pub const USS_READY: i32 = 0;
/// The operation still runs; or, of a page: more follow.
pub const USS_PENDING: i32 = 1;
/// Failed; `out` names the error's buffer.
pub const USS_FAILED: i32 = -1;

/// What a function gives back: on success what was asked for, on failure the error's buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// The id of a connection, operation or buffer; 0 for nothing.
    pub id: u64,
    /// Bytes of the buffer that `id` names; 0 for other ids.
    pub length: u64,
}

impl Out {
    /// An id without a length.
    fn id(id: u64) -> Self {
        Self { id, length: 0 }
    }
}

/// Runs `work` behind the panic guard and writes its answer, or its error's buffer, to `out`.
///
/// # Safety
/// `out` is null or names one writable `Out`, aligned or not: .NET on 32-bit processors aligns its arrays to 4 bytes.
unsafe fn guard(out: *mut Out, work: impl FnOnce() -> Result<(i32, Out), Error>) -> i32 {
    let (status, answer) = panics::catch(work).unwrap_or_else(|error| {
        let record = if out.is_null() { Ok(Out::default()) } else { buffer::keep(error_record(&error).into_bytes()) };
        (USS_FAILED, record.unwrap_or_default())
    });
    if !out.is_null() {
        // SAFETY: `out` is writable, by this function's contract.
        unsafe { out.write_unaligned(answer) };
    }
    status
}

/// [`guard`] for functions without an `out`.
fn guard_quietly(work: impl FnOnce() -> Result<(), Error>) -> i32 {
    panics::catch(work).map_or(USS_FAILED, |()| USS_OK)
}

/// The seven texts of an error, joined by U+001F.
fn error_record(error: &Error) -> String {
    let status = error.http_status().map(|status| status.to_string()).unwrap_or_default();
    let (kind, code) = (error.kind(), code_of(error));
    let texts = [&*code, kind.category(), error.message(), error.hint(), &status, error.target(), error.server()];
    texts.map(without_separators).join("\u{1f}")
}

/// The stable code of an error; of the platform's, `Vap.` and its result.
fn code_of(error: &Error) -> Cow<'static, str> {
    match error.kind() {
        ErrorKind::PlatformError { code } => format!("Vap.{code}").into(),
        kind => kind.code().into(),
    }
}

/// `text` without the characters that separate records and their texts.
fn without_separators(text: &str) -> String {
    text.replace(['\u{1e}', '\u{1f}'], " ")
}

/// The `length` elements at `pointer`, copied, so that no alignment is asked of a caller.
///
/// # Errors
/// `InvalidArgument` for a null pointer with a length.
///
/// # Safety
/// `pointer` is null or names `length` readable elements.
unsafe fn copied<T: Copy + Default>(pointer: *const T, length: u32, name: &str) -> Result<Vec<T>, Error> {
    if length > 0 && pointer.is_null() {
        let message = format!("The argument '{name}' is NULL and its length is {length}.");
        return Err(Error::new(ErrorKind::InvalidArgument, message).with_target(name));
    }
    // Only now: room for a length that is a mistake may be more than there is.
    let mut elements = vec![T::default(); length as usize];
    if length > 0 {
        // SAFETY: the source is readable for `length` elements by this function's contract, the vector has as many,
        // and it was made just now, so they do not overlap. Bytes have no alignment.
        unsafe {
            let bytes = size_of::<T>() * elements.len();
            std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), elements.as_mut_ptr().cast::<u8>(), bytes);
        }
    }
    Ok(elements)
}

/// The fields of a command or connection, by name; a field that was read is taken out.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    of: String,
    values: BTreeMap<String, Vec<String>>,
}

impl Fields {
    /// Reads `name NUL value NUL …`, and says of what they are in errors. The last NUL may be missing.
    fn parse(text: Vec<u8>, of: &str) -> Result<Self, Error> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
        let text = String::from_utf8(text).map_err(|_| invalid(format!("The fields of {of} are not UTF-8 text.")))?;
        let mut parts: Vec<&str> = text.split('\0').collect();
        if parts.len() % 2 == 1 && parts.pop().is_some_and(|last| !last.is_empty()) {
            return Err(invalid(format!("The fields of {of} end in a name without a value."))
                .with_hint("Fields are name NUL value NUL and so on; a value holds no NUL."));
        }
        let mut fields = Self { of: of.to_owned(), values: BTreeMap::new() };
        for pair in parts.chunks_exact(2) {
            if let [name, value] = pair {
                fields.values.entry((*name).to_owned()).or_default().push((*value).to_owned());
            }
        }
        Ok(fields)
    }

    /// Takes the field `name`.
    fn take<T: FieldType>(&mut self, name: &str) -> Result<T, Error> {
        let values = self.values.remove(name).unwrap_or_default();
        T::read(values).map_err(|flaw| match flaw {
            Flaw::Value(what) => {
                let message = format!("The field '{name}' of {} {what}", self.of);
                Error::new(ErrorKind::InvalidArgument, message).with_target(name)
            }
            Flaw::Handle(error) => error.with_target(name),
        })
    }

    /// Every field must have been taken.
    fn end(self, known: &[String]) -> Result<(), Error> {
        let Some(name) = self.values.keys().next() else { return Ok(()) };
        let message = format!("There is no field '{name}' of {}.", self.of);
        let hint = format!("Its fields are {}.", known.join(", "));
        Err(Error::new(ErrorKind::InvalidArgument, message).with_hint(hint).with_target(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        Fields::parse(text.into(), "a test").map(|fields| fields.values).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn fields_are_read_with_and_without_the_last_nul() {
        let wanted = BTreeMap::from([("a".to_owned(), vec!["1".to_owned(), String::new()])]);
        assert_eq!(parse("a\x001\0a\0"), Ok(wanted.clone()));
        assert_eq!(parse("a\x001\0a\0\0"), Ok(wanted));
        assert_eq!(parse(""), Ok(BTreeMap::new()));
    }

    #[test]
    fn a_name_without_a_value_is_refused() {
        assert_eq!(parse("a\x001\0b"), Err("The fields of a test end in a name without a value.".into()));
    }

    #[test]
    fn an_error_record_has_seven_texts_whatever_they_hold() {
        let error =
            Error::new(ErrorKind::PackageNotFound, "no\u{1f}thing\u{1e}").with_http_status(404).with_target("x");
        let record = error_record(&error);
        let texts: Vec<&str> = record.split('\u{1f}').collect();
        assert_eq!(texts, ["PackageNotFound", "ObjectNotFound", "no thing ", "", "404", "x", ""]);
    }

    #[test]
    fn a_panic_is_an_error_with_its_place() {
        let mut out = Out::default();
        // SAFETY: `out` is a local.
        let status = unsafe { guard(&raw mut out, || panic!("demo")) };
        assert_eq!(status, USS_FAILED);
        let text = String::from_utf8(buffer::taken(out.id).unwrap()).unwrap();
        assert!(text.starts_with("Internal\u{1f}") && text.contains("src/ffi/mod.rs:"), "{text}");
    }

    #[test]
    fn an_error_that_nobody_wants_leaves_no_buffer_behind() {
        // SAFETY: null is allowed.
        let status = unsafe { guard(std::ptr::null_mut(), || Err(Error::new(ErrorKind::Internal, "x"))) };
        assert_eq!(status, USS_FAILED);
    }
}
