//! Secrets on their way to the caller: a token that is shown once.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::handles::{self, Kind, LEASE, Object};
use super::{Out, guard_quietly};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

struct Shown {
    secret: Secret,
    made: Instant,
}

impl Object for Shown {
    fn kind() -> Kind {
        Kind::Secret
    }

    fn lease_left(&self) -> Option<Duration> {
        Some(LEASE.saturating_sub(self.made.elapsed()))
    }
}

/// Copies a secret's UTF-16 code units to `dst`, which has room for `cap` units, wipes the library's copy and frees it.
///
/// The row that named the secret told its length. If `cap` is smaller, nothing is copied and the secret stays. Wiping
/// `dst` is the caller's duty.
///
/// Returns USS_OK, or USS_FAILED for an id that is no secret, too little room, or a NULL `dst`.
///
/// # Safety
/// `dst` is NULL or writable for `cap` units.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_secret_take(secret: u64, dst: *mut u16, cap: u32) -> i32 {
    guard_quietly(|| {
        let shown = handles::remove_if(secret, |shown: &Shown| {
            let fits = !dst.is_null() && units_of(&shown.secret) <= cap as usize;
            fits.then_some(()).ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "The secret does not fit."))
        })?;
        // Sized before it is filled: a vector that grows leaves copies behind.
        let mut units = Zeroizing::new(Vec::with_capacity(units_of(&shown.secret)));
        units.extend(shown.secret.expose().encode_utf16()); // the way out that the caller asked for
        // SAFETY: `dst` has room for `cap` units, the check above says that is enough, and `units` is our own.
        // Bytes have no alignment.
        unsafe { std::ptr::copy_nonoverlapping(units.as_ptr().cast::<u8>(), dst.cast::<u8>(), units.len() * 2) };
        Ok(())
    })
}

/// Keeps a secret for the caller of a command whose row names it: its id, and its length in UTF-16 code units.
///
/// # Errors
/// `Internal` when the table of ids is full.
pub fn keep(secret: Secret) -> Result<Out, Error> {
    let length = units_of(&secret) as u64;
    Ok(Out { id: handles::insert(Shown { secret, made: Instant::now() })?, length })
}

fn units_of(secret: &Secret) -> usize {
    secret.expose().chars().map(char::len_utf16).sum() // counted, not kept
}

#[cfg(test)]
mod tests {
    use super::super::{USS_FAILED, USS_OK};
    use super::*;

    #[test]
    fn a_secret_is_shown_once() {
        let out = keep(Secret::new("pä+😀".into())).unwrap();
        assert_eq!(out.length, 5);
        let mut units = [0_u16; 6];
        // SAFETY: the pointers are to locals of the lengths given.
        unsafe {
            assert_eq!(uss_secret_take(out.id, units.as_mut_ptr(), 4), USS_FAILED);
            assert_eq!(uss_secret_take(out.id, std::ptr::null_mut(), 6), USS_FAILED);
            assert_eq!(uss_secret_take(out.id, units.as_mut_ptr(), 6), USS_OK);
            assert_eq!(uss_secret_take(out.id, units.as_mut_ptr(), 6), USS_FAILED);
        }
        assert_eq!(String::from_utf16(&units).unwrap(), "pä+😀\0");
    }
}
