//! The C ABI as a caller in Rust would wrap it.
#![allow(clippy::result_large_err, dead_code, unreachable_pub)] // only tests; each uses its part of this

use std::ptr::null_mut;

use uss::ffi::buffer::uss_buffer_take;
use uss::ffi::connection::uss_connection_open;
use uss::ffi::operation::{uss_log_drain, uss_op_free, uss_op_start, uss_op_take_result, uss_op_wait};
use uss::ffi::{Out, USS_FAILED, USS_OK, USS_PENDING};

/// An error's seven texts.
#[derive(Debug)]
pub struct Failure {
    pub code: String,
    pub category: String,
    pub message: String,
    pub http_status: String,
    pub target: String,
    pub server: String,
}

pub fn error_of(out: Out) -> Failure {
    let record = text_of(out);
    let texts: Vec<String> = record.split('\u{1f}').map(str::to_owned).collect();
    let [code, category, message, _hint, http_status, target, server] = texts.try_into().unwrap();
    Failure { code, category, message, http_status, target, server }
}

pub fn text_of(out: Out) -> String {
    let mut bytes = vec![0; usize::try_from(out.length).unwrap()];
    let room = u32::try_from(bytes.len()).unwrap();
    // SAFETY: the vector has room for as many bytes as it is said to have.
    assert_eq!(unsafe { uss_buffer_take(out.id, bytes.as_mut_ptr(), room) }, USS_OK);
    String::from_utf8(bytes).unwrap()
}

pub fn open(fields: &[(&str, &str)]) -> Result<u64, Failure> {
    open_with(fields, "")
}

pub fn open_with(fields: &[(&str, &str)], secret: &str) -> Result<u64, Failure> {
    let fields = joined(fields);
    let secret: Vec<u16> = secret.encode_utf16().collect();
    let mut out = Out::default();
    // SAFETY: the pointers are to locals of the lengths given.
    let status = unsafe {
        let (length, units) = (u32::try_from(fields.len()).unwrap(), u32::try_from(secret.len()).unwrap());
        uss_connection_open(fields.as_ptr(), length, secret.as_ptr(), units, &raw mut out)
    };
    if status == USS_OK { Ok(out.id) } else { Err(error_of(out)) }
}

pub fn start(fields: &[(&str, &str)]) -> Result<u64, Failure> {
    let fields = joined(fields);
    let mut out = Out::default();
    // SAFETY: the pointers are to locals of the lengths given.
    let status = unsafe { uss_op_start(fields.as_ptr(), u32::try_from(fields.len()).unwrap(), &raw mut out) };
    if status == USS_OK { Ok(out.id) } else { Err(error_of(out)) }
}

pub fn wait(operation: u64, timeout_ms: u32) -> i32 {
    // SAFETY: NULL is allowed.
    unsafe { uss_op_wait(operation, timeout_ms, null_mut(), 0, null_mut()) }
}

/// The next page and whether it is the last one.
pub fn take(operation: u64) -> Result<(String, bool), Failure> {
    while wait(operation, 1_000) == USS_PENDING {}
    let mut out = Out::default();
    // SAFETY: `out` is a local.
    match unsafe { uss_op_take_result(operation, &raw mut out) } {
        USS_FAILED => Err(error_of(out)),
        status => Ok((text_of(out), status == USS_OK)),
    }
}

/// All pages of an operation, which is freed.
pub fn pages(operation: u64) -> Result<Vec<String>, Failure> {
    let mut pages = Vec::new();
    let ended = loop {
        match take(operation) {
            Ok((page, last)) => {
                pages.push(page);
                if last {
                    break Ok(pages);
                }
            }
            Err(error) => break Err(error),
        }
    };
    assert_eq!(uss_op_free(operation), USS_OK);
    ended
}

/// A command whose rows fit into one page.
pub fn run(fields: &[(&str, &str)]) -> Result<String, Failure> {
    let mut pages = pages(start(fields)?)?;
    assert_eq!(pages.len(), 1);
    Ok(pages.remove(0))
}

pub fn log(operation: u64) -> Vec<String> {
    let mut out = Out::default();
    // SAFETY: `out` is a local.
    assert_eq!(unsafe { uss_log_drain(operation, &raw mut out) }, USS_OK);
    if out == Out::default() {
        return Vec::new();
    }
    text_of(out).split('\u{1e}').map(str::to_owned).collect()
}

fn joined(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [*name, *value]).collect::<Vec<_>>().join("\0").into_bytes()
}
