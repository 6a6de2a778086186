//! Buffers: bytes that wait for the caller, named by an id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::handles::{self, Kind, LEASE, Object};
use super::{Out, guard_quietly};
use crate::error::{Error, ErrorKind};

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    made: Instant,
    /// A caller looks at the bytes where they are, so only the caller frees them.
    viewed: AtomicBool,
}

impl Object for Buffer {
    fn kind() -> Kind {
        Kind::Buffer
    }

    fn lease_left(&self) -> Option<Duration> {
        (!self.viewed.load(Ordering::SeqCst)).then(|| LEASE.saturating_sub(self.made.elapsed()))
    }
}

/// Copies a buffer's bytes to `dst`, which has room for `cap` bytes, and frees the buffer.
///
/// The `uss_out` that named the buffer told its length. If `cap` is smaller, nothing is copied and the buffer stays.
///
/// Returns USS_OK, or USS_FAILED for an id that is no buffer, too little room, or a NULL `dst`.
///
/// # Safety
/// `dst` is NULL or writable for `cap` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_buffer_take(buffer: u64, dst: *mut u8, cap: u32) -> i32 {
    guard_quietly(|| {
        let buffer = handles::remove_if(buffer, |buffer: &Buffer| {
            let fits = !dst.is_null() && buffer.bytes.len() <= cap as usize;
            fits.then_some(()).ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "The buffer does not fit."))
        })?;
        // SAFETY: `dst` has room for `cap` bytes, the check above says that is enough, and no caller can name the
        // memory of a buffer that it has not viewed; one that was viewed is the caller's to keep apart.
        unsafe { std::ptr::copy(buffer.bytes.as_ptr(), dst, buffer.bytes.len()) };
        Ok(())
    })
}

/// Shows a buffer's bytes where they are: `*data` and `*len`. They stay there, unchanged, until the buffer is freed.
///
/// A buffer that was viewed has no lease: it waits for uss_buffer_free.
///
/// Returns USS_OK, or USS_FAILED for an id that is no buffer or a NULL argument.
///
/// # Safety
/// `data` and `len` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_buffer_view(buffer: u64, data: *mut *const u8, len: *mut u64) -> i32 {
    guard_quietly(|| {
        if data.is_null() || len.is_null() {
            return Err(Error::new(ErrorKind::InvalidArgument, "The view has nowhere to go."));
        }
        let buffer: Arc<Buffer> = handles::get_with(buffer, |buffer: &Buffer| {
            buffer.viewed.store(true, Ordering::SeqCst);
        })?;
        // SAFETY: neither is null, so both are writable. The table keeps the bytes until the caller frees them.
        unsafe {
            data.write_unaligned(buffer.bytes.as_ptr());
            len.write_unaligned(buffer.bytes.len() as u64);
        }
        Ok(())
    })
}

/// Frees a buffer without reading it.
///
/// Returns USS_OK, or USS_FAILED for an id that is no buffer.
#[unsafe(no_mangle)]
pub extern "C" fn uss_buffer_free(buffer: u64) -> i32 {
    guard_quietly(|| handles::remove::<Buffer>(buffer).map(drop))
}

/// Keeps `bytes` for the caller.
pub(super) fn keep(bytes: Vec<u8>) -> Result<Out, Error> {
    let length = bytes.len() as u64;
    let id = handles::insert(Buffer { bytes, made: Instant::now(), viewed: AtomicBool::new(false) })?;
    Ok(Out { id, length })
}

/// The bytes of a buffer, which is freed.
#[cfg(test)]
pub(super) fn taken(id: u64) -> Result<Vec<u8>, Error> {
    handles::remove::<Buffer>(id).map(|buffer| buffer.bytes.clone())
}

#[cfg(test)]
mod tests {
    use super::super::{USS_FAILED, USS_OK};
    use super::*;

    #[test]
    fn a_buffer_that_does_not_fit_stays() {
        let out = keep(b"hello".to_vec()).unwrap();
        let mut room = [0; 5];
        // SAFETY: the pointers are to locals of the lengths given.
        unsafe {
            assert_eq!(uss_buffer_take(out.id, room.as_mut_ptr(), 4), USS_FAILED);
            assert_eq!(uss_buffer_take(out.id, std::ptr::null_mut(), 5), USS_FAILED);
            assert_eq!(uss_buffer_take(out.id, room.as_mut_ptr(), 5), USS_OK);
            assert_eq!(uss_buffer_take(out.id, room.as_mut_ptr(), 5), USS_FAILED);
        }
        assert_eq!(&room, b"hello");
    }

    #[test]
    fn a_viewed_buffer_waits_for_its_reader_whatever_its_lease() {
        let out = keep(b"hello".to_vec()).unwrap();
        let buffer = handles::get::<Buffer>(out.id).unwrap();
        assert!(buffer.lease_left().is_some());
        let (mut data, mut length) = (std::ptr::null(), 0);
        // SAFETY: both pointers are to locals; the bytes are there until the buffer is freed.
        unsafe {
            assert_eq!(uss_buffer_view(out.id, &raw mut data, &raw mut length), USS_OK);
            assert_eq!(std::slice::from_raw_parts(data, 5), b"hello");
            assert_eq!(uss_buffer_view(out.id, std::ptr::null_mut(), &raw mut length), USS_FAILED);
        }
        assert_eq!((length, buffer.lease_left()), (5, None));
        assert_eq!(uss_buffer_free(out.id), USS_OK);
        assert_eq!(uss_buffer_free(out.id), USS_FAILED);
    }
}
