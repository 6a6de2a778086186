//! A running task as a caller without async sees it: wait, look at progress, cancel, take rows.
//!
//! The work gets a [`Context`]: where it reports progress, logs, and learns that it is cancelled. Rows leave it
//! through an [`Output`]; a row is a value or the error of one item, in their order.

mod progress;

pub use progress::{PROGRESS_LENGTH, Phase, Progress, Transfer};

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::log::Log;
use crate::runtime::runtime;

/// Rows in one page at most.
pub const PAGE_ROWS: usize = 500;

/// How long streamed rows gather after a page: a page costs its reader a hundred times what a row in it does.
const GATHER: Duration = Duration::from_millis(100);

/// Streamed rows in one page at most: .NET keeps a text of 42,500 characters or more apart, and frees it late.
const STREAMED_ROWS: usize = 25;

static RUNNING: AtomicU64 = AtomicU64::new(0);

/// How many operations' tasks run now, in the whole process.
#[must_use]
pub fn running() -> u64 {
    RUNNING.load(Ordering::SeqCst)
}

/// What the work sees of its operation. Clones are the same operation.
#[derive(Clone, Debug)]
pub struct Context {
    cancel: CancellationToken,
    progress: Arc<Progress>,
    log: Log,
}

impl Context {
    /// A context of its own, for work that nobody watches.
    #[must_use]
    pub fn new(log: Log) -> Self {
        let progress = Arc::new(Progress::new(log.clone()));
        Self { cancel: CancellationToken::new(), progress, log }
    }

    /// Where progress is reported.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Where lines are logged.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Cancelled when the caller no longer wants the result.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancel
    }
}

/// One row: a value, or the error of one item.
pub type Row<T> = Result<T, Error>;

/// Where the work puts its rows.
#[derive(Debug)]
pub struct Output<T>(Arc<Shared<T>>);

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Output<T> {
    /// Adds a row; a waiting caller gets it with the next page.
    pub fn push(&self, row: Row<T>) {
        let mut state = self.0.lock();
        state.rows.push_back(row);
        // Who waits has to be told of the first, too: from then on there is something that gathers.
        if state.rows.len() == 1 || state.rows.len() == self.0.delivery.rows() {
            self.0.changed.notify_all();
        }
    }
}

/// Rows taken at once.
#[derive(Debug)]
pub struct Page<T> {
    /// At most [`PAGE_ROWS`], and fewer where they are streamed.
    pub rows: Vec<Row<T>>,
    /// Whether the operation has ended and nothing is left.
    pub last: bool,
}

/// How an operation hands out its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A page is ready when the operation has ended, or a page is full.
    Whole,
    /// A page is ready with the first row, and after it as soon as there are rows again, but no more than ten times a
    /// second.
    Streaming,
}

impl Delivery {
    /// In a page at most.
    fn rows(self) -> usize {
        match self {
            Self::Whole => PAGE_ROWS,
            Self::Streaming => STREAMED_ROWS,
        }
    }
}

/// A running or ended task.
#[derive(Debug)]
pub struct Operation<T> {
    shared: Arc<Shared<T>>,
    context: Context,
}

#[derive(Debug)]
struct Shared<T> {
    delivery: Delivery,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    rows: VecDeque<Row<T>>,
    outcome: Option<Result<(), Error>>,
    taken: bool,
    /// When the newest page was taken.
    paged: Option<Instant>,
    touched: Instant,
}

impl<T: Send + 'static> Operation<T> {
    /// Starts `work` on the runtime.
    ///
    /// A cancelled operation's work is dropped at its next await, and its outcome is `Cancelled`. A panic in it
    /// becomes `Internal`.
    ///
    /// # Errors
    /// `Internal` when the system gives no thread.
    pub fn start<F>(log: Log, delivery: Delivery, work: impl FnOnce(Context, Output<T>) -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let state = State { rows: VecDeque::new(), outcome: None, taken: false, paged: None, touched: Instant::now() };
        let shared = Arc::new(Shared { delivery, state: Mutex::new(state), changed: Condvar::new() });
        let context = Context::new(log);
        let work = work(context.clone(), Output(shared.clone()));
        let cancel = context.cancel.clone();
        let task = shared.clone();
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let running = Running;
        runtime()?.spawn(async move {
            let _running = running;
            let guarded = AssertUnwindSafe(work).catch_unwind();
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "The operation was cancelled.")),
                ended = guarded => ended.unwrap_or_else(|_| {
                    Err(Error::new(ErrorKind::Internal, "The operation hit a defect of the uss library.")
                        .with_hint("Please report it, with the command and the verbose output."))
                }),
            };
            task.end(outcome);
        });
        Ok(Self { shared, context })
    }

    /// Waits at most `timeout` for a page or the end. True: [`Self::take`] has something to give.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        state.touched = Instant::now();
        loop {
            let now = Instant::now();
            let ready_at = self.shared.page_ready_at(&state);
            let ready = ready_at.is_some_and(|at| at <= now);
            if ready || now >= deadline {
                state.touched = now;
                return ready;
            }
            let until = ready_at.map_or(deadline, |at| at.min(deadline));
            let left = until.saturating_duration_since(now);
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the next page.
    ///
    /// # Errors
    /// What the operation as a whole failed with, once its rows are taken; `InvalidHandle` when everything was taken
    /// already, or when nothing is ready yet.
    pub fn take(&self) -> Result<Page<T>, Error> {
        let mut state = self.shared.lock();
        state.touched = Instant::now();
        if state.taken {
            return Err(Error::new(ErrorKind::InvalidHandle, "The operation's result was already taken."));
        }
        let ended = state.outcome.is_some();
        if !ended && self.shared.page_ready_at(&state).is_none_or(|at| at > state.touched) {
            return Err(Error::new(ErrorKind::InvalidHandle, "The operation has no result yet."));
        }
        let count = state.rows.len().min(self.shared.delivery.rows());
        let rows: Vec<_> = state.rows.drain(..count).collect();
        state.paged = Some(state.touched);
        if !ended || !state.rows.is_empty() {
            return Ok(Page { rows, last: false });
        }
        // Rows that came before a failure go out first.
        if !rows.is_empty() && matches!(state.outcome, Some(Err(_))) {
            return Ok(Page { rows, last: false });
        }
        state.taken = true;
        state.outcome.take().unwrap_or(Ok(())).map(|()| Page { rows, last: true })
    }

    /// Asks the work to stop; idempotent.
    pub fn cancel(&self) {
        self.context.cancel.cancel();
    }

    /// Where it stands.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.context.progress
    }

    /// Its log lines.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.context.log
    }

    /// How long nobody has waited for it or taken from it.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.shared.lock().touched.elapsed()
    }
}

/// Counts a task until it is gone, however it goes.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When there is a page to take; none: nobody knows yet.
    fn page_ready_at(&self, state: &State<T>) -> Option<Instant> {
        if state.outcome.is_some() || state.taken || state.rows.len() >= self.delivery.rows() {
            return Some(state.touched);
        }
        if self.delivery == Delivery::Whole || state.rows.is_empty() {
            return None;
        }
        Some(state.paged.map_or(state.touched, |paged| paged + GATHER))
    }

    fn end(&self, outcome: Result<(), Error>) {
        self.lock().outcome = Some(outcome);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogLevel;

    const LONG: Duration = Duration::from_secs(30);

    fn start<F>(delivery: Delivery, work: impl FnOnce(Context, Output<u32>) -> F) -> Operation<u32>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Operation::start(Log::new(LogLevel::None), delivery, work).unwrap()
    }

    fn values(page: &Page<u32>) -> Vec<u32> {
        page.rows.iter().map(|row| *row.as_ref().unwrap()).collect()
    }

    #[test]
    fn rows_come_in_pages_and_then_the_handle_is_spent() {
        let operation = start(Delivery::Whole, |_, output| async move {
            (0..501).for_each(|n| output.push(Ok(n)));
            Ok(())
        });
        assert!(operation.wait(LONG));
        let first = operation.take().unwrap();
        assert_eq!((first.rows.len(), first.last), (500, false));
        assert!(operation.wait(LONG));
        let second = operation.take().unwrap();
        assert_eq!((values(&second), second.last), (vec![500], true));
        assert_eq!(operation.take().unwrap_err().kind(), ErrorKind::InvalidHandle);
    }

    #[test]
    fn a_streamed_row_is_ready_before_the_operation_ends() {
        let operation = start(Delivery::Streaming, |_, output| async move {
            output.push(Ok(7));
            std::future::pending().await
        });
        assert!(operation.wait(LONG));
        let page = operation.take().unwrap();
        assert_eq!((values(&page), page.last), (vec![7], false));
        operation.cancel();
        assert!(operation.wait(LONG));
        assert_eq!(operation.take().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn streamed_rows_that_come_soon_after_a_page_come_together_and_none_waits_for_the_end() {
        let operation = start(Delivery::Streaming, |_, output| async move {
            for n in 0..300 {
                output.push(Ok(n));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::future::pending().await
        });
        let (mut found, mut pages) = (Vec::new(), 0);
        while found.len() < 300 {
            assert!(operation.wait(LONG));
            let page = operation.take().unwrap();
            found.extend(values(&page));
            pages += 1;
        }
        assert_eq!(found, (0..300).collect::<Vec<_>>());
        assert!((2..100).contains(&pages), "{pages} pages");
        operation.cancel();
    }

    #[test]
    fn rows_before_a_failure_are_not_lost() {
        let operation = start(Delivery::Whole, |_, output| async move {
            output.push(Ok(1));
            Err(Error::new(ErrorKind::Timeout, "late"))
        });
        assert!(operation.wait(LONG));
        assert_eq!(values(&operation.take().unwrap()), [1]);
        assert_eq!(operation.take().unwrap_err().kind(), ErrorKind::Timeout);
    }

    #[test]
    fn a_panic_in_the_work_is_an_error_and_not_a_crash() {
        let operation = start(Delivery::Whole, |_, _| async { panic!("demo") });
        assert!(operation.wait(LONG));
        assert_eq!(operation.take().unwrap_err().kind(), ErrorKind::Internal);
    }
}
