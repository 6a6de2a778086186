//! `-MaxBytesPerSecond`: one limit over all transfers of a run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Hands out turns; whoever asks first goes first.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: u64,
    free_at: Mutex<Instant>,
}

impl RateLimit {
    /// At most `per_second` bytes a second.
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), free_at: Mutex::new(Instant::now()) }
    }

    /// Bytes that go at once at most, so that a slow limit gives a steady flow and not bursts.
    pub(super) fn piece(&self) -> usize {
        usize::try_from(self.per_second / 10).unwrap_or(usize::MAX).max(1024)
    }

    /// Waits for a turn for `bytes`.
    pub(super) async fn turn(&self, bytes: usize) {
        let start = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = Instant::now().max(*free_at);
            let nanos =
                u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000) / u128::from(self.per_second);
            *free_at = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            start
        };
        sleep_until(start).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_of_all_transfers_together_keep_the_limit() {
        let limit = RateLimit::new(1000);
        let began = Instant::now();
        let one = async {
            for _ in 0..10 {
                limit.turn(500).await;
            }
        };
        let other = async {
            for _ in 0..10 {
                limit.turn(500).await;
            }
        };
        tokio::join!(one, other);
        // The first piece goes at once, the last of twenty starts after the nineteen before it.
        assert_eq!(began.elapsed().as_millis(), 9_500);
    }
}
