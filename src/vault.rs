//! Personal access tokens in the operating system's keyring: an entry an origin, which holds who signs in there and
//! with which token.
//!
//! The keyrings are Windows Credential Manager, the login keychain of macOS, and elsewhere the Secret Service, reached
//! over D-Bus without a library of it. Each is named here; nothing uses a default store of `keyring_core`, which may
//! be one that forgets.
//!
//! Keyrings block, and a broken one does so for ever: all questions go to one thread of their own, and nobody waits
//! longer than [`LIMIT`]. No question makes a keyring ask a person: one that is locked is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyring_core::Entry;
use keyring_core::api::CredentialStoreApi;
use once_cell::sync::OnceCell;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// How long anybody waits for the keyring.
pub const LIMIT: Duration = Duration::from_secs(3);

/// Bytes that an entry holds, as Windows Credential Manager does (CRED_MAX_CREDENTIAL_BLOB_SIZE); the same everywhere,
/// so that what works on one system works on the others.
pub const MAX_ENTRY: usize = 2_560;

/// Which entries are ours.
const SERVICE: &str = "uss";

/// What an entry holds.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Who signs in.
    pub user_name: String,
    /// With which personal access token.
    pub token: Secret,
}

/// What a look into the keyring found.
#[derive(Clone, Debug)]
pub enum Found {
    /// A token for the server's origin.
    Token(Kept),
    /// No token for it.
    Nothing,
    /// This system has no keyring that runs, as most servers and containers have none; the error says so.
    NoKeyring(Error),
}

/// Looks for a token for the server's origin.
///
/// # Errors
/// `KeyringUnavailable` when the keyring is locked, slow or has something else there.
pub async fn find(server: &ServerUrl) -> Result<Found, Error> {
    let origin = server.origin();
    let found = ask(move || {
        let Some(bytes) = there(entry(&origin)?.get_secret())? else { return Ok(Found::Nothing) };
        let kept = read(&Zeroizing::new(bytes));
        kept.map(Found::Token).ok_or_else(|| Trouble::Failed("its entry is none that uss wrote".into()))
    });
    found.await.or_else(|trouble| {
        // A look that comes too late changes nothing.
        let trouble = if matches!(trouble, Trouble::Unknown) { Trouble::Slow } else { trouble };
        let missing = matches!(trouble, Trouble::Missing(_));
        let error = trouble.into_error("Looking for a token", server);
        if missing { Ok(Found::NoKeyring(error)) } else { Err(error) }
    })
}

/// Keeps this for the server's origin, in place of what was there.
///
/// # Errors
/// `InvalidArgument` for what is too long, or for a user name of several lines; `KeyringUnavailable` when the keyring
/// is missing, locked or slow. One that is slow may still keep it afterwards: the error says so.
pub async fn keep(server: &ServerUrl, kept: &Kept) -> Result<(), Error> {
    let bytes = write(kept).map_err(|what| {
        Error::new(ErrorKind::InvalidArgument, format!("The token for {server} cannot be kept in the keyring: {what}."))
            .with_hint("Nothing was kept. Use a personal access token, and connect without -Remember otherwise.")
            .with_target("remember")
            .with_server(server.to_string())
    })?;
    let origin = server.origin();
    let kept = ask(move || entry(&origin)?.set_secret(&bytes).map_err(Trouble::from));
    kept.await.map_err(|trouble| trouble.into_error("Keeping the token", server))
}

/// Removes what the keyring has for the server's origin. Whether there was something.
///
/// # Errors
/// `KeyringUnavailable` when the keyring is missing, locked or slow. One that is slow may still remove it afterwards:
/// the error says so.
pub async fn forget(server: &ServerUrl) -> Result<bool, Error> {
    let origin = server.origin();
    let gone = ask(move || match entry(&origin)?.delete_credential() {
        // Another program can put several there.
        Err(keyring_core::Error::Ambiguous(entries)) => {
            entries.iter().try_for_each(Entry::delete_credential)?;
            Ok(true)
        }
        deleted => Ok(there(deleted)?.is_some()),
    });
    gone.await.map_err(|trouble| trouble.into_error("Removing the token", server))
}

/// `user name LF token`.
fn write(kept: &Kept) -> Result<Zeroizing<Vec<u8>>, String> {
    let (user, token) = (kept.user_name.as_bytes(), kept.token.expose().as_bytes());
    if kept.user_name.chars().any(char::is_control) {
        return Err("the user name holds control characters".into());
    }
    let length = user.len() + 1 + token.len();
    if length > MAX_ENTRY {
        return Err(format!("it has {length} bytes with its user name, and an entry holds {MAX_ENTRY}"));
    }
    // Sized before it is filled: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend_from_slice(user);
    bytes.push(b'\n');
    bytes.extend_from_slice(token);
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Option<Kept> {
    let (user_name, token) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let usable = !user_name.is_empty() && !token.is_empty();
    usable.then(|| Kept { user_name: user_name.to_owned(), token: Secret::new(token.to_owned()) })
}

// ---- The keyring

/// Why the keyring did not do it.
#[derive(Debug)]
enum Trouble {
    /// There is none, or it cannot be reached.
    Missing(String),
    Locked,
    /// It did not answer in time, and has done nothing.
    Slow,
    /// It did not answer in time, and may still do what it was asked.
    Unknown,
    Failed(String),
}

impl Trouble {
    /// `doing` what failed for this server.
    fn into_error(self, doing: &str, server: &ServerUrl) -> Error {
        let instead = "The keyring is not needed with -Credential, or with USS_USERNAME and USS_PERSONAL_TOKEN.";
        let (what, hint) = match self {
            Self::Missing(why) if cfg!(windows) => {
                (format!("there is none ({why})"), "Run the task as a user whose password is stored with it.")
            }
            Self::Missing(why) => (format!("there is none ({why})"), "Start the system's keyring."),
            Self::Locked => (
                "it is locked, or closed to this session".to_owned(),
                "Unlock it, with the system's own program or by signing in to the desktop.",
            ),
            Self::Slow => (
                format!("it did not answer within {} s", LIMIT.as_secs()),
                "If it shows a question, answer that and try again.",
            ),
            Self::Unknown => (
                format!("it did not answer within {} s, and may still do it later", LIMIT.as_secs()),
                "If it shows a question, answer that and try again: what it has then is what the last try says. \
                 Disconnect-UssServer -Forget removes what it may have kept.",
            ),
            Self::Failed(why) => (why, "If it stays so, remove the entry: Disconnect-UssServer -Forget."),
        };
        Error::new(ErrorKind::KeyringUnavailable, format!("{doing} for {server} in the keyring failed: {what}."))
            .with_hint(format!("{hint} {instead}"))
            .with_target("keyring")
            .with_server(server.to_string())
    }
}

impl From<keyring_core::Error> for Trouble {
    fn from(error: keyring_core::Error) -> Self {
        match error {
            // Windows has no locked keyring, but logon sessions without one: a scheduled task that stores no password.
            keyring_core::Error::NoStorageAccess(_) if cfg!(windows) => {
                Self::Missing("Credential Manager keeps nothing for this logon session".into())
            }
            keyring_core::Error::NoStorageAccess(_) => Self::Locked,
            keyring_core::Error::Ambiguous(entries) => Self::Failed(format!("it has {} entries for it", entries.len())),
            // The other texts hold names and the system's reasons, no secret.
            error => Self::Failed(error.to_string()),
        }
    }
}

/// What an entry answered; none: there is no such entry.
fn there<T>(answered: keyring_core::Result<T>) -> Result<Option<T>, Trouble> {
    match answered {
        Ok(value) => Ok(Some(value)),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The entry of an origin in this system's keyring, which is there and unlocked.
#[cfg(all(unix, not(target_os = "macos")))]
fn entry(origin: &str) -> Result<Entry, Trouble> {
    secret_service::unlocked()?;
    let store = zbus_secret_service_keyring_store::Store::new().map_err(|error| Trouble::Missing(error.to_string()))?;
    let label = format!("Personal access token for {origin}");
    Ok(store.build(SERVICE, origin, Some(&[("label", label.as_str())].into()))?)
}

/// The entry of an origin in this system's keyring; nothing may ask a person.
#[cfg(target_os = "macos")]
fn entry(origin: &str) -> Result<Entry, Trouble> {
    use security_framework::os::macos::keychain::SecKeychain;
    thread_local! {
        // For as long as the thread lives.
        static SILENT: Result<security_framework::os::macos::keychain::KeychainUserInteractionLock, String> =
            SecKeychain::disable_user_interaction().map_err(|error| error.to_string());
    }
    SILENT.with(|silent| silent.as_ref().map(drop).map_err(|why| Trouble::Failed(why.clone())))?;
    let store = apple_native_keyring_store::keychain::Store::new()?;
    Ok(store.build(SERVICE, origin, None)?)
}

/// The entry of an origin in this system's keyring; it stays on this machine.
#[cfg(windows)]
fn entry(origin: &str) -> Result<Entry, Trouble> {
    let store = windows_native_keyring_store::Store::new()?;
    let target = format!("{SERVICE}:{origin}");
    Ok(store.build(SERVICE, origin, Some(&[("target", target.as_str()), ("persistence", "Local")].into()))?)
}

/// What the store asks a person for is looked at first.
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service {
    use zbus::blocking::{Connection, Proxy};
    use zbus::zvariant::OwnedObjectPath;

    use super::Trouble;

    const NAME: &str = "org.freedesktop.secrets";

    /// Whether the default collection is there and open (Secret Service API 0.2, "Locking and Unlocking").
    pub(super) fn unlocked() -> Result<(), Trouble> {
        let missing = |error: zbus::Error| Trouble::Missing(error.to_string());
        let bus = Connection::session().map_err(missing)?;
        let service = Proxy::new(&bus, NAME, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
        let path: OwnedObjectPath =
            service.and_then(|service| service.call("ReadAlias", &("default",))).map_err(missing)?;
        if path.as_str() == "/" {
            return Err(Trouble::Missing("the Secret Service has no default collection".into()));
        }
        let collection = Proxy::new(&bus, NAME, path, "org.freedesktop.Secret.Collection");
        let locked = collection.and_then(|collection| collection.get_property::<bool>("Locked")).map_err(missing)?;
        if locked { Err(Trouble::Locked) } else { Ok(()) }
    }
}

// ---- Its thread

type Job = Box<dyn FnOnce() + Send>;

/// When the job that runs began.
static RUNNING_SINCE: Mutex<Option<Instant>> = Mutex::new(None);

/// Does `work` on the keyring's thread, and waits [`LIMIT`] for it.
async fn ask<T: Send + 'static>(work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) -> Result<T, Trouble> {
    if running_since().is_some_and(|began| began.elapsed() >= LIMIT) {
        // Behind one that hangs, nobody's turn comes.
        return Err(Trouble::Slow);
    }
    let (sender, answer) = oneshot::channel();
    // Belongs to whoever sets it first: the thread, which does the work, or who waits, so that nobody does.
    let taken = Arc::new(AtomicBool::new(false));
    let turn = taken.clone();
    let job: Job = Box::new(move || {
        if !sender.is_closed() && !turn.swap(true, Ordering::SeqCst) {
            // Refused only by one that left meanwhile.
            let _ = sender.send(work());
        }
    });
    jobs()?.send(job).map_err(|_| Trouble::Failed("its thread has ended".into()))?;
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answered) => answered.unwrap_or_else(|_| Err(Trouble::Failed("its client hit a defect".into()))),
        Err(_) if taken.swap(true, Ordering::SeqCst) => Err(Trouble::Unknown),
        Err(_) => Err(Trouble::Slow),
    }
}

/// The thread's queue. The thread is made with the first job, and lives as long as the process.
fn jobs() -> Result<&'static Sender<Job>, Trouble> {
    static JOBS: OnceCell<Sender<Job>> = OnceCell::new();
    JOBS.get_or_try_init(|| {
        let (jobs, queue) = channel::<Job>();
        let work = move || {
            for job in queue {
                *running_since() = Some(Instant::now());
                // A panic of a keyring's client ends its job alone.
                let _ = catch_unwind(AssertUnwindSafe(job));
                *running_since() = None;
            }
        };
        let spawned = std::thread::Builder::new().name(crate::runtime::THREAD_NAME.into()).spawn(work);
        spawned.map(|_| jobs).map_err(|error| Trouble::Failed(format!("the system gave no thread for it: {error}")))
    })
}

fn running_since() -> MutexGuard<'static, Option<Instant>> {
    RUNNING_SINCE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(user_name: &str, token: &str) -> Kept {
        Kept { user_name: user_name.into(), token: Secret::new(token.into()) }
    }

    #[test]
    fn an_entry_gives_back_who_and_with_which_token() {
        let bytes = write(&kept("anna@example.com", "a/+\nb==")).unwrap();
        let read = read(&bytes).unwrap();
        assert_eq!((read.user_name.as_str(), read.token.expose()), ("anna@example.com", "a/+\nb=="));
    }

    #[test]
    fn an_entry_of_another_program_is_none() {
        for bytes in [&b""[..], b"token", b"\ntoken", b"user\n", b"\xff\nx"] {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn what_does_not_fit_into_an_entry_is_refused_whole() {
        assert!(write(&kept("u", &"t".repeat(MAX_ENTRY - 2))).is_ok());
        let error = write(&kept("u", &"t".repeat(MAX_ENTRY - 1))).unwrap_err();
        assert!(error.contains("2561 bytes") && error.contains("2560"), "{error}");
        assert!(write(&kept("two\nlines", "t")).is_err());
    }

    #[test]
    fn every_trouble_is_one_kind_of_error_that_says_what_to_do() {
        let server = ServerUrl::parse("https://a.example", false).unwrap();
        let troubles = [
            Trouble::Missing("no bus".into()),
            Trouble::Locked,
            Trouble::Slow,
            Trouble::Unknown,
            Trouble::Failed("it has 2 entries for it".into()),
        ];
        for trouble in troubles {
            let error = trouble.into_error("Looking for a token", &server);
            assert_eq!(error.kind(), ErrorKind::KeyringUnavailable);
            assert!(error.message().starts_with("Looking for a token for https://a.example in the keyring failed: "));
            assert!(error.hint().contains("-Credential"), "{error}");
        }
    }

    #[test]
    fn a_job_that_panics_is_a_failure_and_the_next_one_runs() {
        let runtime = crate::runtime::runtime().unwrap();
        let failed = runtime.block_on(ask::<()>(|| panic!("demo"))).unwrap_err();
        assert!(matches!(failed, Trouble::Failed(_)), "{failed:?}");
        assert_eq!(runtime.block_on(ask(|| Ok(7))).unwrap(), 7);
    }
}
