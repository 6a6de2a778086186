//! A secret: wiped when dropped, kept out of the swap file where the operating system lets us, never printed. And
//! [`Wiping`], for the copies that a request makes on its way out.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::mem::MaybeUninit;
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

/// The system's allocator, which wipes what is freed.
///
/// A token in a URL passes through buffers of crates that wipe nothing: the URL's text, the request's head, TLS records.
/// None of them is larger than [`Self::LARGEST`]; larger blocks are contents on their way, and are freed as they are.
#[derive(Debug)]
pub struct Wiping;

impl Wiping {
    /// Bytes of the largest block that is wiped.
    pub const LARGEST: usize = 32 * 1024;
}

// SAFETY: every call goes to the system's allocator with the caller's own arguments.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() <= Self::LARGEST {
            // SAFETY: the caller gives up the block, which has this size.
            unsafe { wipe(block, layout.size()) };
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() > Self::LARGEST {
            // SAFETY: as above.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow, and is not zero.
        let moved = unsafe { System.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks have at least so many bytes; a new block overlaps none.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: the caller gives up the old block when this succeeds.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

/// Words that are wiped by one write.
const WORDS: usize = 32;

/// Zeroes memory in a way that no compiler leaves out although nobody reads it again.
///
/// Out of line: wherever something is freed it would be 10 MB of code.
///
/// # Safety
/// `block` is writable for `size` bytes, and nobody else's.
#[inline(never)]
unsafe fn wipe(block: *mut u8, size: usize) {
    // SAFETY: the caller's promise; memory that was never written is a MaybeUninit.
    let bytes = unsafe { std::slice::from_raw_parts_mut(block.cast::<MaybeUninit<u8>>(), size) };
    // SAFETY: any bytes are a MaybeUninit of a number.
    let (start, middle, end) = unsafe { bytes.align_to_mut::<MaybeUninit<u64>>() };
    // Many words at once: without optimization each write is a call, and every block that is freed comes through here.
    let (blocks, words) = middle.as_chunks_mut::<WORDS>();
    for block in blocks {
        // SAFETY: a reference is valid, and aligned for the numbers that may be in it.
        unsafe { std::ptr::write_volatile(std::ptr::from_mut(block).cast::<[u64; WORDS]>(), [0; WORDS]) };
    }
    for word in words {
        // SAFETY: as above.
        unsafe { std::ptr::write_volatile(word, MaybeUninit::zeroed()) };
    }
    for byte in start.iter_mut().chain(end) {
        // SAFETY: as above.
        unsafe { std::ptr::write_volatile(byte, MaybeUninit::zeroed()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_leaves_nothing_of_any_length() {
        for size in [0, 1, 7, 8, 9, 63, 256, 1_000] {
            for at in 0..3 {
                let mut block = vec![0xAA_u8; at + size + 1];
                // SAFETY: the block has so many bytes from there.
                unsafe { wipe(block[at..].as_mut_ptr(), size) };
                assert!(block[at..at + size].iter().all(|byte| *byte == 0), "{size} from {at}");
                assert!(block[..at].iter().chain(&block[at + size..]).all(|byte| *byte == 0xAA), "{size} from {at}");
            }
        }
    }

    #[test]
    fn blocks_keep_their_bytes_when_they_grow_and_shrink() {
        let mut text = Vec::new();
        for round in 0..5_u32 {
            text.extend((0..20_000_u32).map(|n| (n ^ round) as u8));
            text.shrink_to_fit();
        }
        assert!(
            text.chunks(20_000)
                .zip(0..5_u32)
                .all(|(part, round)| { part.iter().zip(0..20_000_u32).all(|(byte, n)| *byte == (n ^ round) as u8) })
        );
    }

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
