//! The vault and a real GNOME keyring, on a D-Bus and in a home of their own.
//!
//! Which keyring a process has is said by its environment, so the tests run their parts in processes of their own: each
//! is this program again, with one test and the number of its part.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uss::vault::{self, Found, Kept};
use uss::{Error, ErrorKind, Secret, ServerUrl};

const TOKEN: &str = "zBI2NWnAy9EWhXfrqZTgmyV662yLXYcY1Hjoq+8X1xkurgYKM2RtogIh0jqdm8DWZuVtdC/pRQo2X0C02ZRyjw==";
const PART: &str = "USS_TEST_PART";
const KEYRING: &str = "USS_TEST_KEYRING";
const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// Which part of its test this process is; none: the whole.
fn part() -> Option<u32> {
    std::env::var(PART).ok()?.parse().ok()
}

/// A home, a D-Bus and, once it is started, a keyring; all end with it.
struct Session {
    home: TempDir,
    bus: Child,
    address: String,
    keyring: Option<Child>,
}

impl Session {
    /// None where the programs are missing, which with CI=true is a failure.
    fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}", home.path().join("bus").display());
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--print-address", "--address", &address]).stdout(Stdio::piped());
        let bus = in_home(&mut command, &home).spawn();
        let (Ok(mut bus), true) = (bus, installed("gnome-keyring-daemon")) else {
            println!("SKIPPED: no keyring; install gnome-keyring and dbus");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true nothing may be skipped");
            return None;
        };
        let mut line = String::new();
        BufReader::new(bus.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Some(Self { home, bus, address: line.trim().into(), keyring: None })
    }

    /// With a keyring that was made and opened with a password.
    fn unlocked() -> Option<Self> {
        let mut session = Self::start()?;
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets", "--unlock"]).stdin(Stdio::piped());
        command.env(ADDRESS, &session.address).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = in_home(&mut command, &session.home).spawn().unwrap();
        keyring.stdin.take().unwrap().write_all(b"open sesame").unwrap();
        session.keyring = Some(keyring);
        let end = Instant::now() + Duration::from_secs(60);
        let question = ["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"];
        while !session.ask("org.freedesktop.DBus", "/org/freedesktop/DBus", &question).contains("boolean true") {
            assert!(Instant::now() < end, "the keyring does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(session)
    }

    /// What a service on the bus answers.
    fn ask(&self, service: &str, path: &str, question: &[&str]) -> String {
        let output = Command::new("dbus-send")
            .arg(format!("--bus={}", self.address))
            .arg("--print-reply")
            .arg(format!("--dest={service}"))
            .arg(path)
            .args(question)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the Secret Service answers.
    fn ask_keyring(&self, question: &[&str]) -> String {
        self.ask("org.freedesktop.secrets", "/org/freedesktop/secrets", question)
    }

    fn lock(&self) {
        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
        let locked = self.ask_keyring(&["org.freedesktop.Secret.Service.Lock", login]);
        assert!(locked.contains("collection/login"), "{locked}");
    }

    /// Runs a part of `test` in this session, which may stop the keyring for a while.
    fn run(&self, test: &str, part: u32) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).env(PART, part.to_string()).env(ADDRESS, &self.address);
        command.envs(self.keyring.as_ref().map(|keyring| (KEYRING, keyring.id().to_string())));
        succeeded(in_home(&mut command, &self.home).output().unwrap());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.keyring.iter_mut().chain([&mut self.bus]) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// The same command as one who has no other home and no other bus.
fn in_home<'a>(command: &'a mut Command, home: &TempDir) -> &'a mut Command {
    for variable in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_DIRS", "DISPLAY"] {
        command.env_remove(variable);
    }
    command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path())
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn succeeded(output: Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "a token was shown");
}

fn server(url: &str) -> ServerUrl {
    ServerUrl::parse(url, false).unwrap()
}

fn find(url: &str) -> Result<Option<(String, String)>, Error> {
    match uss::runtime::runtime()?.block_on(vault::find(&server(url)))? {
        Found::Token(kept) => Ok(Some((kept.user_name, kept.token.expose().to_owned()))),
        Found::Nothing => Ok(None),
        Found::NoKeyring(error) => Err(error),
    }
}

fn keep(url: &str, user: &str, token: &str) -> Result<(), Error> {
    let kept = Kept { user_name: user.into(), token: Secret::new(token.into()) };
    uss::runtime::runtime()?.block_on(vault::keep(&server(url), &kept))
}

fn forget(url: &str) -> Result<bool, Error> {
    uss::runtime::runtime()?.block_on(vault::forget(&server(url)))
}

/// That all three fail with this one kind, saying why and what to do.
fn all_unavailable(why: &str) {
    let url = "https://a.example";
    for error in [find(url).unwrap_err(), keep(url, "anna", TOKEN).unwrap_err(), forget(url).unwrap_err()] {
        assert_eq!((error.kind(), error.server()), (ErrorKind::KeyringUnavailable, url));
        assert!(error.message().contains(why) && error.hint().contains("-Credential"), "{error}");
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[test]
fn what_one_process_keeps_the_next_one_finds_until_it_is_forgotten() {
    let found = |user: &str| Some((user.to_owned(), TOKEN.to_owned()));
    match part() {
        None => {
            let Some(session) = Session::unlocked() else { return };
            let test = "what_one_process_keeps_the_next_one_finds_until_it_is_forgotten";
            (1..=4).for_each(|part| session.run(test, part));
        }
        Some(1) => {
            assert_eq!(find("https://a.example").unwrap(), None);
            keep("https://a.example/uss", "anna@example.com", TOKEN).unwrap();
        }
        Some(2) => {
            assert_eq!(find("https://A.example:443").unwrap(), found("anna@example.com"));
            for other in ["https://a.example:8443", "https://b.example", "https://example", "http://localhost"] {
                assert_eq!(find(other).unwrap(), None, "{other}");
            }
            keep("https://a.example", "bert", TOKEN).unwrap();
        }
        Some(3) => {
            assert_eq!(find("https://a.example").unwrap(), found("bert"));
            assert!(forget("https://a.example").unwrap());
        }
        _ => {
            assert_eq!(find("https://a.example").unwrap(), None);
            assert!(!forget("https://a.example").unwrap());
        }
    }
}

#[test]
fn the_keyring_itself_has_what_was_kept_in_its_default_collection() {
    if part().is_some() {
        return keep("https://a.example", "anna", TOKEN).unwrap();
    }
    let Some(session) = Session::unlocked() else { return };
    let wanted = "dict:string:string:service,uss,username,https://a.example";
    let items = || session.ask_keyring(&["org.freedesktop.Secret.Service.SearchItems", wanted]);
    assert!(!items().contains("collection/login/"), "{}", items());
    session.run("the_keyring_itself_has_what_was_kept_in_its_default_collection", 1);
    assert!(items().contains("collection/login/"), "{}", items());
}

#[test]
fn a_locked_keyring_is_one_error_and_asks_nobody() {
    match part() {
        None => {
            let Some(session) = Session::unlocked() else { return };
            session.run("a_locked_keyring_is_one_error_and_asks_nobody", 1);
            session.lock();
            session.run("a_locked_keyring_is_one_error_and_asks_nobody", 2);
            // Asking a person would make an object for the question.
            let children = ["org.freedesktop.DBus.Introspectable.Introspect"];
            let prompts = session.ask("org.freedesktop.secrets", "/org/freedesktop/secrets/prompt", &children);
            assert!(!prompts.contains("<node name"), "{prompts}");
        }
        Some(1) => keep("https://a.example", "anna", TOKEN).unwrap(),
        _ => all_unavailable("locked"),
    }
}

#[test]
fn a_keyring_that_never_answers_is_one_error() {
    if part().is_some() {
        return all_unavailable("within 3 s");
    }
    let Some(session) = Session::unlocked() else { return };
    let keyring = session.keyring.as_ref().unwrap().id().to_string();
    assert!(Command::new("kill").args(["-STOP", &keyring]).status().unwrap().success());
    session.run("a_keyring_that_never_answers_is_one_error", 1);
}

#[test]
fn a_keyring_that_answers_too_late_may_keep_the_token_and_the_error_says_so() {
    const TEST: &str = "a_keyring_that_answers_too_late_may_keep_the_token_and_the_error_says_so";
    if part().is_none() {
        let Some(session) = Session::unlocked() else { return };
        return session.run(TEST, 1);
    }
    let signal = |name: &str| {
        let keyring = std::env::var(KEYRING).unwrap();
        assert!(Command::new("kill").args([name, &keyring]).status().unwrap().success());
    };
    let (begun, waiting) = ("https://a.example", "https://b.example");
    signal("-STOP");
    let error = keep(begun, "anna", TOKEN).unwrap_err();
    assert!(error.message().contains("within 3 s, and may still do it later"), "{error}");
    assert!(error.hint().contains("Disconnect-UssServer -Forget"), "{error}");
    // This one has not begun, and never will.
    let error = keep(waiting, "anna", TOKEN).unwrap_err();
    assert!(error.message().ends_with("within 3 s."), "{error}");
    signal("-CONT");
    let end = Instant::now() + Duration::from_secs(60);
    while find(begun).ok().flatten().is_none() {
        assert!(Instant::now() < end, "it never answers");
    }
    assert_eq!(find(begun).unwrap(), Some(("anna".to_owned(), TOKEN.to_owned())));
    assert_eq!(find(waiting).unwrap(), None);
    assert!(forget(begun).unwrap());
}

#[test]
fn without_a_bus_there_is_no_keyring() {
    if part().is_some() {
        return all_unavailable("there is none");
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["without_a_bus_there_is_no_keyring", "--exact", "--nocapture"]).env(PART, "1").env_remove(ADDRESS);
    succeeded(in_home(&mut command, &home).output().unwrap());
}

#[test]
fn a_bus_without_a_collection_has_no_keyring() {
    if part().is_some() {
        return all_unavailable("there is none");
    }
    // The bus starts a keyring when it is asked for one; in a new home that has no collection.
    let Some(session) = Session::start() else { return };
    session.run("a_bus_without_a_collection_has_no_keyring", 1);
}

#[test]
fn the_shared_library_needs_no_library_of_dbus() {
    let name = format!("{}uss{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library: PathBuf = std::env::current_exe().unwrap().with_file_name(name);
    let bytes = std::fs::read(library).unwrap();
    assert!(bytes.windows(24).any(|part| part == b"/org/freedesktop/secrets"), "it does speak D-Bus");
    assert!(!bytes.windows(12).any(|part| part == b"libdbus-1.so"));
}
