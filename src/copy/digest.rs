//! SHA-256 of what passes, computed beside the forwarding task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::body::{Chunk, Room};
use crate::error::{Error, ErrorKind};

/// A SHA-256 digest. Displays as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hex digits; anything else is none, as if the side had told nothing.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Digest> for [u8; 32] {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest in the making.
///
/// Chunks queue up, and one job at a time on a blocking thread works the queue off and ends. So no thread is held
/// while nothing arrives, and nothing is left running when the transfer is dropped. The queue is bounded as a
/// destination's buffer is.
pub(super) struct Hashing {
    state: Arc<Mutex<State>>,
    room: Room,
    /// Bytes pushed.
    offset: u64,
    inline: bool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Chunk>,
    at_work: bool,
    hasher: Sha256,
    finish: Option<oneshot::Sender<Digest>>,
}

impl Hashing {
    /// With `inline` nothing runs on another thread: each chunk is hashed as it is pushed.
    /// At most `buffer` bytes wait.
    pub(super) fn new(inline: bool, buffer: u32) -> Self {
        Self { state: Arc::default(), room: Room::new(buffer), offset: 0, inline }
    }

    /// How far it is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds the bytes from `at` on; those that came before are not hashed again.
    pub(super) async fn push(&mut self, at: u64, mut bytes: Bytes) {
        let known = usize::try_from(self.offset.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(known);
        if bytes.is_empty() {
            return;
        }
        let chunk = self.room.admit(bytes).await;
        self.offset += chunk.bytes.len() as u64;
        let mut state = lock(&self.state);
        state.waiting.push_back(chunk);
        self.wake(state);
    }

    /// The digest of all chunks so far.
    ///
    /// # Errors
    /// `Internal` when the job died.
    pub(super) async fn digest(&self) -> Result<Digest, Error> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            state.finish = Some(sender);
            self.wake(state);
        }
        if self.inline {
            // What was sent goes on its way meanwhile, as it does beside another thread.
            tokio::task::yield_now().await;
        }
        receiver.await.map_err(|_| Error::new(ErrorKind::Internal, "Hashing ended without a digest."))
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.at_work, true) {
            drop(state);
            if self.inline {
                return work_off(&self.state);
            }
            let shared = self.state.clone();
            tokio::task::spawn_blocking(move || work_off(&shared));
        }
    }
}

fn work_off(shared: &Mutex<State>) {
    let mut hasher = std::mem::take(&mut lock(shared).hasher);
    loop {
        let chunks = {
            let mut state = lock(shared);
            if state.waiting.is_empty() {
                state.at_work = false;
                if let Some(finish) = state.finish.take() {
                    // A receiver that is gone was cancelled.
                    finish.send(Digest(hasher.clone().finalize().into())).ok();
                }
                state.hasher = hasher;
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        chunks.iter().for_each(|chunk| hasher.update(&chunk.bytes));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_shows_and_nothing_else() {
        let digest = Digest::of(b"abc");
        let hex = digest.to_string();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::parse(&hex), Some(digest));
        assert_eq!(Digest::parse(&hex.to_uppercase()), Some(digest));
        for bad in ["", "ba78", &hex.replace('b', "g"), &hex.replace("ba", "+a"), &format!("{hex}0"), &"é".repeat(32)]
        {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn bytes_are_hashed_in_their_order_and_each_once() {
        let whole: String = (0..1000_u32).map(|n| n.to_string()).collect();
        let bytes = Bytes::from(whole.clone());
        for inline in [false, true] {
            let mut hashing = Hashing::new(inline, 1 << 20);
            for at in (0..bytes.len()).step_by(7) {
                // Some of them come again, as after a break.
                let from = at.saturating_sub(at % 5);
                hashing.push(from as u64, bytes.slice(from..bytes.len().min(at + 7))).await;
                if at % 100 == 0 {
                    tokio::task::yield_now().await;
                }
                if at == 700 {
                    assert_eq!(hashing.digest().await.unwrap(), Digest::of(&bytes[..707]));
                }
            }
            assert_eq!(hashing.offset(), bytes.len() as u64);
            assert_eq!(hashing.digest().await.unwrap(), Digest::of(whole.as_bytes()));
        }
    }
}
