//! The process-wide tokio runtime: made at the first operation, never dropped, so a process's exit never waits for it.

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind};

/// The name of the runtime's threads.
pub const THREAD_NAME: &str = "uss";

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

/// The runtime.
///
/// # Errors
/// `Internal` when the system gives no thread; the next call tries again.
pub fn runtime() -> Result<&'static Runtime, Error> {
    RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread().thread_name(THREAD_NAME).enable_all().build().map_err(|error| {
            Error::new(ErrorKind::Internal, format!("The system gave no thread to work in: {error}."))
                .with_hint("Close other programs, or raise the limit of processes, and try again.")
        })
    })
}
