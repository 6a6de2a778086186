//! What an operation tells of itself while it runs: counters that any thread may read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::log::Log;

/// Values in [`Progress::read`]: phase, items done and total, bytes done and total, bytes per second, then eight
/// running transfers of id, bytes done and total. It may grow at the end.
pub const PROGRESS_LENGTH: usize = 6 + 3 * SHOWN_TRANSFERS;

const SHOWN_TRANSFERS: usize = 8;

/// What the operation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Not told yet.
    Starting = 0,
    /// Looking up versions and dependencies.
    Planning = 1,
    /// Moving bytes.
    Transferring = 2,
    /// All is sent: comparing digests, waiting for the last answers. Told by [`Transfer::sent`].
    Verifying = 3,
}

/// The counters. Totals of 0 are unknown.
#[derive(Debug)]
pub struct Progress {
    log: Log,
    phase: AtomicU64,
    items_done: AtomicU64,
    items_total: AtomicU64,
    bytes_done: Arc<AtomicU64>,
    /// Bytes that went over now: without those that were there, and with those that went again.
    moved: Arc<AtomicU64>,
    bytes_total: AtomicU64,
    next_id: AtomicU64,
    running: Arc<Mutex<BTreeMap<u64, Arc<Counters>>>>,
    rate: Mutex<Rate>,
}

#[derive(Debug, Default)]
struct Counters {
    done: AtomicU64,
    total: AtomicU64,
    /// All is sent, and the answer is awaited.
    sent: AtomicBool,
}

impl Progress {
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            phase: AtomicU64::new(0),
            items_done: AtomicU64::new(0),
            items_total: AtomicU64::new(0),
            bytes_done: Arc::default(),
            moved: Arc::default(),
            bytes_total: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            running: Arc::default(),
            rate: Mutex::new(Rate { at: Instant::now(), bytes: 0, per_second: 0.0 }),
        }
    }

    /// Tells what happens from now on.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u64, Ordering::Relaxed);
    }

    /// Tells how much there is to do.
    pub fn set_total(&self, items: u64, bytes: u64) {
        self.items_total.store(items, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    /// One item is done, well or not.
    pub fn item_done(&self) {
        self.items_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a transfer of `total` bytes, shown under `label` until the returned value is dropped.
    #[must_use]
    pub fn transfer(&self, label: &str, total: u64) -> Transfer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.log.transfer(id, label);
        let counters = Arc::new(Counters { total: AtomicU64::new(total), ..Counters::default() });
        lock(&self.running).insert(id, counters.clone());
        let (all, moved, running) = (self.bytes_done.clone(), self.moved.clone(), self.running.clone());
        Transfer { id, counters, all, moved, running }
    }

    /// Fills `values` as far as it goes; see [`PROGRESS_LENGTH`].
    pub fn read(&self, values: &mut [u64]) {
        let bytes = self.bytes_done.load(Ordering::Relaxed);
        let running = lock(&self.running);
        let (done, total) = (self.items_done.load(Ordering::Relaxed), self.items_total.load(Ordering::Relaxed));
        // Nothing is left to be sent when each item that is not done only waits for its answer.
        let waiting = running.values().filter(|counters| counters.sent.load(Ordering::Relaxed)).count() as u64;
        let phase = match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Transferring as u64 && waiting > 0 && done + waiting >= total => {
                Phase::Verifying as u64
            }
            phase => phase,
        };
        let rate = lock(&self.rate).update(self.moved.load(Ordering::Relaxed));
        let head = [phase, done, total, bytes, self.bytes_total.load(Ordering::Relaxed), rate];
        let transfers = running.iter().take(SHOWN_TRANSFERS).flat_map(|(id, counters)| {
            [*id, counters.done.load(Ordering::Relaxed), counters.total.load(Ordering::Relaxed)]
        });
        let all = head.into_iter().chain(transfers).chain(std::iter::repeat(0));
        values.iter_mut().take(PROGRESS_LENGTH).zip(all).for_each(|(place, value)| *place = value);
    }
}

/// One running transfer. Dropping it takes it off the display; its bytes stay counted.
#[derive(Debug)]
pub struct Transfer {
    id: u64,
    counters: Arc<Counters>,
    all: Arc<AtomicU64>,
    moved: Arc<AtomicU64>,
    running: Arc<Mutex<BTreeMap<u64, Arc<Counters>>>>,
}

impl Transfer {
    /// `bytes` more have gone over.
    pub fn advance(&self, bytes: u64) {
        self.counters.done.fetch_add(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes up to `offset` are there already: they count as done, and not into the rate.
    pub fn start_at(&self, offset: u64) {
        self.rewind(offset);
        let more = offset.saturating_sub(self.counters.done.swap(offset, Ordering::Relaxed));
        self.all.fetch_add(more, Ordering::Relaxed);
    }

    /// All bytes have gone over; what is left is the other side's answer.
    pub fn sent(&self) {
        self.counters.sent.store(true, Ordering::Relaxed);
    }

    /// The transfer begins again at `offset`: what came after it no longer counts.
    pub fn rewind(&self, offset: u64) {
        self.counters.sent.store(false, Ordering::Relaxed);
        let before = self.counters.done.fetch_min(offset, Ordering::Relaxed);
        let lost = before.saturating_sub(offset);
        let _ = self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| Some(all.saturating_sub(lost)));
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

/// Bytes per second, smoothed over about three seconds.
#[derive(Debug)]
struct Rate {
    at: Instant,
    bytes: u64,
    per_second: f64,
}

impl Rate {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn update(&mut self, bytes: u64) -> u64 {
        let seconds = self.at.elapsed().as_secs_f64();
        if seconds >= 0.1 {
            let now = bytes.saturating_sub(self.bytes) as f64 / seconds;
            let weight = if self.per_second == 0.0 { 1.0 } else { 1.0 - (-seconds / 3.0).exp() };
            self.per_second += (now - self.per_second) * weight;
            (self.at, self.bytes) = (Instant::now(), bytes);
        }
        self.per_second.round() as u64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogLevel;

    #[test]
    fn running_transfers_are_shown_and_ended_ones_are_not() {
        let progress = Progress::new(Log::new(LogLevel::None));
        progress.set_total(2, 30);
        let first = progress.transfer("a 1.0", 10);
        let second = progress.transfer("b 1.0", 20);
        first.advance(10);
        second.advance(5);
        drop(first);
        progress.item_done();
        let mut values = [9; PROGRESS_LENGTH];
        progress.read(&mut values);
        assert_eq!(values.get(..5), Some(&[0, 1, 2, 15, 30][..]));
        assert_eq!(values.get(6..12), Some(&[2, 5, 20, 0, 0, 0][..]));
    }

    #[test]
    fn the_phase_is_verifying_while_only_answers_are_awaited() {
        let progress = Progress::new(Log::new(LogLevel::None));
        progress.set_phase(Phase::Transferring);
        progress.set_total(2, 30);
        let phase = || {
            let mut values = [0; 1];
            progress.read(&mut values);
            values[0]
        };
        let first = progress.transfer("a 1.0", 10);
        first.sent();
        assert_eq!(phase(), Phase::Transferring as u64, "the second is still to come");
        drop(first);
        progress.item_done();
        let second = progress.transfer("b 1.0", 20);
        assert_eq!(phase(), Phase::Transferring as u64);
        second.sent();
        assert_eq!(phase(), Phase::Verifying as u64);
        second.rewind(0);
        assert_eq!(phase(), Phase::Transferring as u64, "it starts again");
    }

    #[test]
    fn bytes_that_were_there_are_done_but_make_no_rate() {
        let progress = Progress::new(Log::new(LogLevel::None));
        let transfer = progress.transfer("a 1.0", 10);
        transfer.advance(2);
        transfer.start_at(8);
        let mut values = [0; 9];
        progress.read(&mut values);
        assert_eq!((values.get(3), values.get(7)), (Some(&8), Some(&8)));
        assert_eq!(progress.moved.load(Ordering::Relaxed), 2);
        transfer.start_at(5);
        progress.read(&mut values);
        assert_eq!((values.get(3), values.get(7)), (Some(&5), Some(&5)));
    }

    #[test]
    fn a_rewound_transfer_gives_its_bytes_back() {
        let progress = Progress::new(Log::new(LogLevel::None));
        let transfer = progress.transfer("a 1.0", 10);
        transfer.advance(8);
        transfer.rewind(3);
        let mut values = [0; 9];
        progress.read(&mut values);
        assert_eq!((values.get(3), values.get(7)), (Some(&3), Some(&3)));
    }
}
