//! When a transfer tries again, after how long, and when it gives up.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::Digest;
use crate::error::{Error, ErrorKind};
use crate::log::Log;

/// The longest wait that a server may ask for; beyond it the failure is told instead.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Tries again after an error of the application itself (500): it will hardly think better of it, and each try may
/// send all bytes again.
const TRIES_AFTER_500: u32 = 2;

/// How often and how soon transfers try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries without progress.
    pub tries: u32,
    /// The first wait at most; each later one may be twice as long.
    pub first_wait: Duration,
    /// No wait of our own is longer.
    pub longest_wait: Duration,
    /// None: waits are drawn anew each time. With a seed they are the same in each run, so that it can be replayed.
    pub seed: Option<u64>,
}

impl Default for Retries {
    /// 8 tries, at most 0.5 s before the first and 30 s before any.
    fn default() -> Self {
        Self { tries: 8, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(30), seed: None }
    }
}

/// Why an attempt ended.
#[derive(Debug)]
pub(super) enum Break {
    /// Trying again would not help.
    Fatal(Error),
    /// Start this content again.
    Restart(Error),
}

/// Whether trying again may help. A side that was never reached is not waited for: its address is probably wrong.
pub(super) fn may_retry(error: &Error, reached: bool) -> bool {
    match error.kind() {
        ErrorKind::Stalled | ErrorKind::RateLimited => true,
        ErrorKind::ConnectionFailed | ErrorKind::NameNotResolved | ErrorKind::TlsFailed | ErrorKind::Timeout => {
            reached || error.retry_after().is_some()
        }
        _ => error.retry_after().is_some(),
    }
}

/// What is left of one content's patience.
#[derive(Debug)]
pub(super) struct Patience {
    label: String,
    log: Log,
    retries: Retries,
    jitter: StdRng,
    failures: u32,
    /// Answers of 500; progress does not take them back.
    defects: u32,
    furthest: u64,
}

impl Patience {
    pub(super) fn new(label: String, log: Log, retries: Retries) -> Self {
        // Each content has waits of its own, whichever starts first.
        let seeded = |seed| StdRng::from_seed(Digest::of(format!("{seed} {label}").as_bytes()).into());
        let jitter = retries.seed.map_or_else(rand::make_rng, seeded);
        Self { label, log, retries, jitter, failures: 0, defects: 0, furthest: 0 }
    }

    /// Bytes up to `offset` have arrived; if never before, the count starts anew.
    pub(super) fn reached(&mut self, offset: u64) {
        if offset > self.furthest {
            (self.furthest, self.failures) = (offset, 0);
        }
    }

    /// Waits before the next try, or gives up. `what` says what is tried next, for the verbose line.
    ///
    /// # Errors
    /// `why`, when no try is left or the server asks to wait for too long.
    pub(super) async fn pause(&mut self, why: &Error, what: &str) -> Result<(), Error> {
        self.failures += 1;
        let asked = why.retry_after().unwrap_or_default();
        if self.failures > self.retries.tries {
            return Err(why.clone().within(&format!("Gave up after {} tries without progress", self.retries.tries)));
        }
        // One that names a time is busy, and not broken.
        self.defects += u32::from(why.http_status() == Some(500) && asked.is_zero());
        if asked > LONGEST_WAIT || self.defects > TRIES_AFTER_500 {
            return Err(why.clone());
        }
        let most = self.retries.first_wait.saturating_mul(1 << (self.failures - 1).min(16));
        let most = most.min(self.retries.longest_wait);
        // Full jitter: clients that broke together do not come back together.
        let wait = asked.saturating_add(most.mul_f64(self.jitter.random_range(0.0..=1.0)));
        let (label, failures, tries) = (&self.label, self.failures, self.retries.tries);
        self.log.verbose(|| {
            let seconds = wait.as_secs_f64();
            format!("{label}: {what} in {seconds:.1} s (try {failures} of {tries}), because: {}", why.message())
        });
        sleep(wait).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::log::LogLevel;

    fn patience() -> Patience {
        Patience::new("a 1.0".into(), Log::new(LogLevel::None), Retries::default())
    }

    #[tokio::test(start_paused = true)]
    async fn eight_tries_without_progress_are_all_and_progress_gives_new_ones() {
        let mut patience = patience();
        let broken = Error::new(ErrorKind::ConnectionFailed, "broken");
        for _ in 0..8 {
            patience.pause(&broken, "again").await.unwrap();
        }
        patience.reached(10);
        for _ in 0..8 {
            patience.pause(&broken, "again").await.unwrap();
            patience.reached(10);
        }
        let gave_up = patience.pause(&broken, "again").await.unwrap_err();
        assert_eq!(gave_up.kind(), ErrorKind::ConnectionFailed);
        assert!(gave_up.message().contains("8 tries"), "{gave_up}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asks_for_is_waited_but_not_for_hours() {
        let busy = |seconds| Error::new(ErrorKind::RateLimited, "busy").with_retry_after(Duration::from_secs(seconds));
        let began = Instant::now();
        patience().pause(&busy(120), "again").await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(120));
        assert_eq!(patience().pause(&busy(7200), "again").await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert!(began.elapsed() < Duration::from_secs(130));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_application_is_not_tried_for_long_whatever_progress_there_was() {
        let defect = Error::new(ErrorKind::ServerUnavailable, "500").with_http_status(500);
        let mut patience = patience();
        for offset in [10, 20] {
            patience.pause(&defect, "again").await.unwrap();
            patience.reached(offset);
        }
        assert_eq!(patience.pause(&defect, "again").await.unwrap_err().http_status(), Some(500));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_of_a_seed_are_the_same_in_each_run_and_others_for_each_content() {
        let waits = async |label: &str, seed| {
            let retries = Retries { seed, ..Retries::default() };
            let mut patience = Patience::new(label.into(), Log::new(LogLevel::None), retries);
            let began = Instant::now();
            for _ in 0..8 {
                patience.pause(&Error::new(ErrorKind::ConnectionFailed, "broken"), "again").await.unwrap();
            }
            began.elapsed()
        };
        let first = waits("a 1.0", Some(7)).await;
        assert_eq!(waits("a 1.0", Some(7)).await, first);
        assert_ne!(waits("a 1.0", Some(8)).await, first);
        assert_ne!(waits("b 1.0", Some(7)).await, first);
        assert_ne!(waits("a 1.0", None).await, waits("a 1.0", None).await);
    }

    #[test]
    fn a_server_that_was_never_reached_is_not_waited_for() {
        for kind in [ErrorKind::ConnectionFailed, ErrorKind::NameNotResolved, ErrorKind::TlsFailed] {
            let error = Error::new(kind, "no");
            assert!(!may_retry(&error, false) && may_retry(&error, true), "{kind:?}");
        }
        let reset = Error::new(ErrorKind::ConnectionFailed, "reset").with_retry_after(Duration::ZERO);
        assert!(may_retry(&reset, false));
        assert!(!may_retry(&Error::new(ErrorKind::InsufficientStorage, "full"), true));
    }
}
