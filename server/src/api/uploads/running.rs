//! One appending request an upload, in this process. Those of other servers on the same store meet in the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::problem::Problem;

/// A request that has brought nothing for so long is probably one whose client has gone, and comes back.
const QUIET: Duration = Duration::from_secs(1);

/// How long one that is told to end may take to store what it has.
const ENDING: Duration = Duration::from_secs(10);

/// Which uploads are being appended to.
#[derive(Clone, Default)]
pub struct Running(Arc<Mutex<HashMap<String, Arc<Request>>>>);

struct Request {
    stop: CancellationToken,
    ended: watch::Sender<bool>,
    /// When bytes came last; none: it publishes, and is left in peace.
    heard: Mutex<Option<Instant>>,
}

/// One request's turn; it ends when this is dropped.
pub struct Turn {
    running: Running,
    id: String,
    request: Arc<Request>,
}

impl Running {
    /// Waits for a turn with an upload. Whoever has it and is quiet is ended: what it has brought so far is stored.
    pub async fn take(&self, id: &str) -> Result<Turn, Problem> {
        let began = Instant::now();
        loop {
            let mut ended = {
                let mut uploads = self.lock();
                let Some(other) = uploads.get(id) else {
                    let heard = Mutex::new(Some(Instant::now()));
                    let request =
                        Arc::new(Request { stop: CancellationToken::new(), ended: watch::Sender::new(false), heard });
                    uploads.insert(id.to_owned(), request.clone());
                    return Ok(Turn { running: self.clone(), id: id.to_owned(), request });
                };
                let quiet = lock(&other.heard).is_some_and(|heard| heard.elapsed() >= QUIET);
                if !quiet || began.elapsed() >= ENDING {
                    return Err(locked());
                }
                other.stop.cancel();
                other.ended.subscribe()
            };
            // Ends at the latest with its sender.
            tokio::time::timeout(ENDING, ended.wait_for(|ended| *ended)).await.ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Request>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Bytes have come.
    pub fn heard(&self) {
        *lock(&self.request.heard) = Some(Instant::now());
    }

    /// All bytes have come: it ends soon by itself.
    pub fn publishing(&self) {
        *lock(&self.request.heard) = None;
    }

    /// Waits until another request wants the turn.
    pub async fn wanted(&self) {
        self.request.stop.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
        self.request.ended.send_replace(true);
    }
}

fn locked() -> Problem {
    let detail = "Another request adds to this upload.";
    Problem::new(StatusCode::LOCKED, "upload-locked", detail).with_header(header::RETRY_AFTER, "1")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
