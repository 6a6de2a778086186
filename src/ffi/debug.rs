//! What a caller may ask of the library itself: its version, and whether anything was left behind.

use super::handles;
use super::{USS_ABI_VERSION, guard_quietly};
use crate::error::{Error, ErrorKind};
use crate::operation;

/// The version of this interface: USS_ABI_VERSION of the header that the library was made with.
///
/// Call it first. A caller that was made for another version must not go on.
#[unsafe(no_mangle)]
pub extern "C" fn uss_abi_version() -> u32 {
    USS_ABI_VERSION
}

/// Fills `counts`, which has room for `len` values, with the numbers of live connections, operations, buffers and
/// secrets, and of running tasks, as far as it goes. It may grow at the end.
///
/// For tests that look for leaks. Returns USS_OK, or USS_FAILED for NULL.
///
/// # Safety
/// `counts` is NULL or writable for `len` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_debug_counts(counts: *mut u64, len: u32) -> i32 {
    guard_quietly(|| {
        if counts.is_null() {
            return Err(Error::new(ErrorKind::InvalidArgument, "The counts have nowhere to go."));
        }
        let values = handles::counts().into_iter().chain([operation::running()]);
        // SAFETY: `counts` is writable for `len` values, and no more are written.
        unsafe { write_values(counts, len, values) };
        Ok(())
    })
}

/// Writes at most `len` of `values` to `target`.
///
/// # Safety
/// `target` is writable for `len` values, aligned or not.
pub(super) unsafe fn write_values(target: *mut u64, len: u32, values: impl IntoIterator<Item = u64>) {
    for (index, value) in values.into_iter().take(len as usize).enumerate() {
        // SAFETY: `index` is below `len`, and `target` is writable that far.
        unsafe { target.add(index).write_unaligned(value) };
    }
}
