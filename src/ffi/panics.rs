//! The panic guard: no panic crosses the C ABI, and none of ours writes to the host's standard error.
//!
//! The hook is installed when the ABI is first entered, so a Rust program that uses the library as a crate keeps its
//! own. Panics of threads that are not ours go on to the hook that was there before.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use futures_util::FutureExt;

use crate::error::{Error, ErrorKind};
use crate::runtime::THREAD_NAME;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

static FIRST_ENTRY: Once = Once::new();

/// Runs `work`; a panic in it is `Internal` with its place.
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    FIRST_ENTRY.call_once(|| {
        install_hook();
        #[cfg(windows)]
        stay_loaded();
    });
    let before = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(before);
    result.unwrap_or_else(|_| Err(defect()))
}

/// Runs `work` to its end on a thread of the runtime; a panic in it is `Internal` with its place.
pub(super) async fn catch_async(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(defect()))
}

fn defect() -> Error {
    let place = PLACE.try_with(|place| std::mem::take(&mut *place.borrow_mut())).unwrap_or_default();
    let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
    Error::new(ErrorKind::Internal, format!("The uss library hit a defect of its own{place}."))
        .with_hint("Please report it, with the command and the verbose output.")
}

fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| if ours() { note(info) } else { previous(info) }));
}

fn ours() -> bool {
    INSIDE.get() || std::thread::current().name() == Some(THREAD_NAME)
}

/// Keeps the place for [`defect`]; the message may hold a caller's data and is dropped.
fn note(info: &PanicHookInfo<'_>) {
    if let Some(location) = info.location() {
        let text = format!("{}:{}", location.file(), location.line());
        // A thread that is ending has no storage any more; its panic has no reader either.
        let _ = PLACE.try_with(|place| place.replace(text));
    }
}

/// Pins the library: its threads run until the process ends. Elsewhere the linker does it (build.rs).
#[cfg(windows)]
fn stay_loaded() {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, name: *const u16, module: *mut *mut std::ffi::c_void) -> i32;
    }
    const PIN: u32 = 1;
    const FROM_ADDRESS: u32 = 4;
    let mut module = std::ptr::null_mut();
    // SAFETY: with FROM_ADDRESS the name is any address inside the module, and `module` is writable. A refusal leaves
    // the library as unloadable as any other.
    unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, stay_loaded as *const () as *const u16, &raw mut module) };
}
