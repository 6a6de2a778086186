//! A secret: wiped when dropped, kept out of the swap file where the operating system lets us, never printed.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use crate::error::{Error, ErrorKind};

/// A token or password. Clones share one copy; the last one wipes it.
///
/// The buffer is allocated once at its full size and never grows, so no stale copy stays behind on the heap.
#[derive(Clone)]
pub struct Secret(Arc<Locked>);

struct Locked(Box<[u8]>);

impl Secret {
    /// Takes over `text` and wipes the original.
    #[must_use]
    pub fn new(mut text: String) -> Self {
        let secret = Self(Arc::new(Locked::new(text.as_bytes().into())));
        text.zeroize();
        secret
    }

    /// Reads UTF-16 code units, as PowerShell's SecureString gives them.
    ///
    /// # Errors
    /// `InvalidArgument` for an unpaired surrogate; the message holds nothing of the text.
    pub fn from_utf16(units: &[u16]) -> Result<Self, Error> {
        let invalid = || Error::new(ErrorKind::InvalidArgument, "The secret is not valid UTF-16 text.");
        let mut length = 0;
        for unit in char::decode_utf16(units.iter().copied()) {
            length += unit.map_err(|_| invalid())?.len_utf8();
        }
        let mut bytes = vec![0; length];
        let mut rest = bytes.as_mut_slice();
        for unit in char::decode_utf16(units.iter().copied()) {
            let unit = unit.map_err(|_| invalid())?;
            let (head, tail) = rest.split_at_mut(unit.len_utf8());
            unit.encode_utf8(head);
            rest = tail;
        }
        Ok(Self(Arc::new(Locked::new(bytes.into_boxed_slice()))))
    }

    /// The text. Name the reason at the call: this is the one way out.
    #[must_use]
    pub fn expose(&self) -> &str {
        // SAFETY: both constructors store the bytes of valid UTF-8 text, and nothing changes them later.
        unsafe { std::str::from_utf8_unchecked(&self.0.0) }
    }

    /// Whether there is no character in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }
}

impl Locked {
    fn new(bytes: Box<[u8]>) -> Self {
        lock(&bytes);
        Self(bytes)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.zeroize();
        // Not unlocked: locks don't nest, and another secret may share the page.
    }
}

/// Best effort: a refused lock (RLIMIT_MEMLOCK) leaves a secret that is still wiped.
#[cfg(unix)]
fn lock(bytes: &[u8]) {
    if !bytes.is_empty() {
        // SAFETY: the pointer and length name memory that `bytes` borrows; mlock reads and writes none of it.
        unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) };
    }
}

#[cfg(not(unix))]
fn lock(_bytes: &[u8]) {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_text_beyond_the_basic_plane_is_read_whole() {
        let units: Vec<u16> = "pä/+=😀".encode_utf16().collect();
        assert_eq!(Secret::from_utf16(&units).map(|s| s.expose().to_owned()).ok().as_deref(), Some("pä/+=😀"));
    }

    #[test]
    fn an_unpaired_surrogate_is_refused_without_showing_the_text() {
        let error = Secret::from_utf16(&[0x41, 0xD800]).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("The secret is not valid UTF-16 text."));
    }

    #[test]
    fn debug_never_shows_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "[redacted]");
    }
}
