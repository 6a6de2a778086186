//! SHA-256 of what passes, computed beside the forwarding task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::body::{Chunk, Room};
use crate::error::{Error, ErrorKind};
use crate::hex::{from_hex, write_hex};

/// Chunks after each of which the hash can be gone back to: some MiB, more than is ever under way.
const REMEMBERED: usize = 1024;

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
        from_hex(hex).map(Self)
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
        write_hex(f, &self.0)
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
///
/// It can [go back](Self::rewind) to where a destination broke: what is sent again is hashed again, so that the digest
/// is always that of the bytes that the destination got.
pub(super) struct Hashing {
    state: Arc<Mutex<State>>,
    room: Room,
    /// Bytes pushed.
    offset: u64,
    again: Option<Again>,
    inline: bool,
}

/// Bytes that come once more, and must be the same: some of them were sent when they came before.
struct Again {
    start: u64,
    /// Of all before them.
    hasher: Sha256,
    end: u64,
    /// Of all up to their end.
    digest: Digest,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Chunk>,
    at_work: bool,
    /// Of so many bytes.
    hashed: u64,
    hasher: Sha256,
    /// What it was before, the oldest first.
    before: VecDeque<(u64, Sha256)>,
    finish: Option<oneshot::Sender<Digest>>,
}

impl Hashing {
    /// With `inline` nothing runs on another thread: each chunk is hashed as it is pushed.
    /// At most `buffer` bytes wait.
    pub(super) fn new(inline: bool, buffer: u32) -> Self {
        Self { state: Arc::default(), room: Room::new(buffer), offset: 0, again: None, inline }
    }

    /// Adds the next bytes. False: they came before, and are others now.
    pub(super) async fn push(&mut self, mut bytes: Bytes) -> bool {
        if let Some(Again { end, digest, .. }) = self.again {
            let rest = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            if rest > bytes.len() {
                self.add(bytes).await;
                return true;
            }
            self.add(bytes.split_to(rest)).await;
            self.again = None;
            if !self.digest().await.is_ok_and(|same| same == digest) {
                return false;
            }
        }
        self.add(bytes).await;
        true
    }

    async fn add(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let chunk = self.room.admit(bytes).await;
        self.offset += chunk.bytes.len() as u64;
        let mut state = lock(&self.state);
        state.waiting.push_back(chunk);
        self.wake(state);
    }

    /// Whether bytes that came before have still to come again.
    pub(super) fn is_behind(&self) -> bool {
        self.again.is_some()
    }

    /// Goes back, so that it goes on with the bytes from `to` on, or from a little before: tells from where. Those
    /// before `to` have to be the same again. None: it does not remember so much, or was never there.
    pub(super) async fn rewind(&mut self, to: u64) -> Option<u64> {
        if to == 0 {
            self.state = Arc::default();
            (self.offset, self.again) = (0, None);
            return Some(0);
        }
        // All that was pushed is hashed then.
        let mut digest = self.digest().await.ok()?;
        let mut state = lock(&self.state);
        if let Some(again) = self.again.take() {
            digest = state.go_to(again.start, again.hasher.clone());
            self.offset = again.start;
            if (again.start..again.end).contains(&to) {
                self.again = Some(again);
                return Some(self.offset);
            }
        }
        if to >= self.offset {
            return (to == self.offset).then_some(to);
        }
        let after = state.before.partition_point(|(at, _)| *at <= to);
        let (start, hasher) = state.before.get(after.checked_sub(1)?)?.clone();
        let next = state.before.get(after).map(|(at, hasher)| (*at, Digest(hasher.clone().finalize().into())));
        let (end, digest) = next.unwrap_or((self.offset, digest));
        state.go_to(start, hasher.clone());
        self.offset = start;
        self.again = (start < to).then_some(Again { start, hasher, end, digest });
        Some(start)
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

impl State {
    /// Is again what it was after `at` bytes; tells their digest.
    fn go_to(&mut self, at: u64, hasher: Sha256) -> Digest {
        self.before.truncate(self.before.partition_point(|(before, _)| *before < at));
        (self.hashed, self.hasher) = (at, hasher.clone());
        Digest(hasher.finalize().into())
    }
}

fn work_off(shared: &Mutex<State>) {
    let mut state = lock(shared);
    while !state.waiting.is_empty() {
        let chunks = std::mem::take(&mut state.waiting);
        let (mut hashed, mut hasher) = (state.hashed, std::mem::take(&mut state.hasher));
        drop(state);
        let mut before = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            before.push((hashed, hasher.clone()));
            hasher.update(&chunk.bytes);
            hashed += chunk.bytes.len() as u64;
        }
        state = lock(shared);
        (state.hashed, state.hasher) = (hashed, hasher);
        state.before.extend(before);
        let surplus = state.before.len().saturating_sub(REMEMBERED);
        state.before.drain(..surplus);
    }
    state.at_work = false;
    if let Some(finish) = state.finish.take() {
        // A receiver that is gone was cancelled.
        finish.send(Digest(state.hasher.clone().finalize().into())).ok();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: u32 = 1 << 20;

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
    async fn bytes_are_hashed_in_their_order() {
        let whole: String = (0..1000_u32).map(|n| n.to_string()).collect();
        for inline in [false, true] {
            let mut hashing = Hashing::new(inline, BUFFER);
            for n in 0..1000_u32 {
                assert!(hashing.push(n.to_string().into()).await);
                if n % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(hashing.digest().await.unwrap(), Digest::of(whole.as_bytes()));
        }
    }

    /// One that has hashed 100 bytes in chunks of 10.
    async fn of_100(bytes: &Bytes) -> Hashing {
        let mut hashing = Hashing::new(true, BUFFER);
        for at in (0..100).step_by(10) {
            assert!(hashing.push(bytes.slice(at..at + 10)).await);
        }
        hashing
    }

    #[tokio::test]
    async fn it_goes_back_to_any_byte_and_hashes_what_comes_then() {
        let bytes = Bytes::from((0..200).collect::<Vec<u8>>());
        for to in [0, 1, 9, 10, 55, 90, 99, 100_usize] {
            for piece in [1, 7, 200] {
                let mut hashing = of_100(&bytes).await;
                let from = usize::try_from(hashing.rewind(to as u64).await.unwrap()).unwrap();
                assert!(from <= to && to - from < 10, "{from} for {to}");
                for at in (from..200).step_by(piece) {
                    assert!(hashing.push(bytes.slice(at..200.min(at + piece))).await);
                }
                assert_eq!(hashing.digest().await.unwrap(), Digest::of(&bytes), "from {to} in pieces of {piece}");
                assert!(!hashing.is_behind());
            }
        }
    }

    #[tokio::test]
    async fn it_goes_back_again_and_again() {
        let bytes = Bytes::from((0..200).collect::<Vec<u8>>());
        let mut hashing = of_100(&bytes).await;
        assert_eq!(hashing.rewind(55).await, Some(50));
        assert_eq!(hashing.rewind(55).await, Some(50), "nothing came");
        assert!(hashing.push(bytes.slice(50..56)).await);
        assert_eq!(hashing.rewind(56).await, Some(50), "what came is not compared yet");
        assert!(hashing.push(bytes.slice(50..59)).await);
        assert_eq!(hashing.rewind(42).await, Some(40));
        assert!(hashing.push(bytes.slice(40..57)).await);
        assert_eq!(hashing.rewind(53).await, Some(50));
        assert!(hashing.push(bytes.slice(50..)).await);
        assert_eq!(hashing.digest().await.unwrap(), Digest::of(&bytes));
        assert_eq!(hashing.rewind(201).await, None);
    }

    #[tokio::test]
    async fn other_bytes_before_where_it_went_back_to_are_noticed_and_those_after_it_are_hashed() {
        let bytes = Bytes::from((0..100).collect::<Vec<u8>>());
        let with = |at: usize| {
            let mut other = bytes.to_vec();
            other[at] ^= 1;
            Bytes::from(other)
        };
        let mut hashing = of_100(&bytes).await;
        assert_eq!(hashing.rewind(55).await, Some(50));
        assert!(hashing.is_behind());
        assert!(!hashing.push(with(52).slice(50..)).await);
        let mut hashing = of_100(&bytes).await;
        assert_eq!(hashing.rewind(50).await, Some(50));
        assert!(hashing.push(with(52).slice(50..)).await);
        assert_eq!(hashing.digest().await.unwrap(), Digest::of(&with(52)));
    }

    #[tokio::test]
    async fn it_remembers_as_much_as_is_under_way_and_was_never_further_than_it_was() {
        let mut hashing = Hashing::new(true, BUFFER);
        for _ in 0..REMEMBERED + 5 {
            assert!(hashing.push("0123456789".into()).await);
        }
        assert_eq!(hashing.rewind(49).await, None);
        assert_eq!(hashing.rewind(1_000_000).await, None);
        assert_eq!(hashing.rewind(53).await, Some(50));
        assert_eq!(hashing.rewind(0).await, Some(0));
        assert_eq!(hashing.digest().await.unwrap(), Digest::of(b""));
    }
}
