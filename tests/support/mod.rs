//! The real server and the ways to it, for the integration tests.
//!
//! `Server::start()` builds `uss-server` once, with its faults, and serves a folder of its own on a free port.
//! `raw` answers bytes that no HTTP server would send, `between` counts what passes, `pair` copies between two servers,
//! `canary` looks for secrets.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part of this.

pub mod between;
pub mod canary;
pub mod pair;
pub mod raw;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use uss::connection::{Credential, Identity};
use uss::http::{ProxyChoice, TransportOptions};
use uss::log::{Log, LogLevel, LogRecord};
use uss::operation::Context;
use uss::update_service::{Invocation, InvokeBody, Invoked, Routes, UpdateService};
use uss::{Error, Secret, ServerUrl};

/// Runs on the library's own runtime, where its connections live.
pub fn block_on<F: Future>(work: F) -> F::Output {
    uss::runtime::runtime().unwrap().block_on(work)
}

/// A context that keeps every line.
pub fn context() -> Context {
    Context::new(Log::new(LogLevel::Debug))
}

/// The verbose lines so far.
pub fn verbose_lines(context: &Context) -> Vec<String> {
    let verbose = |record| match record {
        LogRecord::Verbose(line) => Some(line),
        _ => None,
    };
    context.log().drain().into_iter().filter_map(verbose).collect()
}

/// Options that no proxy of the machine gets in the way of.
pub fn options() -> TransportOptions {
    TransportOptions { proxy: ProxyChoice::None, ..TransportOptions::default() }
}

/// A client of `url` as `user` with `token`.
pub fn client(url: &str, user: &str, token: &str) -> UpdateService {
    client_with(url, user, token, options()).unwrap()
}

/// The same with these options.
pub fn client_with(url: &str, user: &str, token: &str, options: TransportOptions) -> Result<UpdateService, Error> {
    let credential = Credential { user_name: user.into(), token: Secret::new(token.into()) };
    UpdateService::open(ServerUrl::parse(url, true)?, Some(credential), options, Routes::default())
}

/// The same with these routes.
pub fn client_with_routes(url: &str, user: &str, token: &str, routes: Routes) -> UpdateService {
    let credential = Credential { user_name: user.into(), token: Secret::new(token.into()) };
    UpdateService::open(ServerUrl::parse(url, true).unwrap(), Some(credential), options(), routes).unwrap()
}

/// A client of `url` as the person `user`.
pub fn person(url: &str, user: &str, password: &str) -> UpdateService {
    let identity = Identity::Person(Credential { user_name: user.into(), token: Secret::new(password.into()) });
    UpdateService::open_as(ServerUrl::parse(url, true).unwrap(), identity, options(), Routes::default()).unwrap()
}

/// A client of `url` as nobody.
pub fn anonymous(url: &str) -> UpdateService {
    UpdateService::open(ServerUrl::parse(url, true).unwrap(), None, options(), Routes::default()).unwrap()
}

/// The built server: USS_TEST_SERVER, else what cargo makes of this source.
pub fn server_exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    EXE.get_or_init(|| match std::env::var_os("USS_TEST_SERVER") {
        Some(exe) => exe.into(),
        None => {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args(["build", "--quiet", "--package", "uss-server", "--features", "faults"])
                .args(["--message-format", "json-render-diagnostics"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            assert!(built.status.success(), "uss-server does not build");
            let messages = String::from_utf8(built.stdout).unwrap();
            let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut exes = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
            exes.find(|exe| exe.file_stem().is_some_and(|name| name == "uss-server")).unwrap()
        }
    })
}

/// A running server with a folder of its own. Killed when dropped.
pub struct Server {
    child: Child,
    url: String,
    data: TempDir,
    arguments: Vec<String>,
    /// A token of the administrator.
    keeper: OnceLock<String>,
}

impl Server {
    /// Serves an empty store on a free port of this machine.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments to `serve`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
        let (child, url) = serve(data.path(), "127.0.0.1:0", &arguments);
        let server = Self { child, url, data, arguments, keeper: OnceLock::new() };
        // The first user is an administrator, whoever it is; the tests' own users are what they ask for.
        server.run(&["user", "add", "keeper", "--email", "keeper@example.com", "--admin"]);
        server
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Where the data and the log are.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.path().join("server.log")).unwrap()
    }

    /// Makes the next matching request fail, as the rule says (server/src/faults.rs).
    pub fn fault(&self, rule: serde_json::Value) {
        let invocation = Invocation {
            path: "/faults".into(),
            method: "POST".into(),
            body: InvokeBody::Bytes(rule.to_string().into()),
            ..Invocation::default()
        };
        block_on(anonymous(&self.url).invoke(&context(), invocation)).unwrap();
    }

    /// How often the server has had this request: `POST /api/v1/PersonalTokens/authenticate`.
    pub fn requests(&self, request: &str) -> u64 {
        self.counts().get(request).copied().unwrap_or_default()
    }

    /// How often it has had one that begins so: `PATCH /api/v1/Uploads/`.
    pub fn requests_below(&self, start: &str) -> u64 {
        self.counts().iter().filter(|(request, _)| request.starts_with(start)).map(|(_, count)| count).sum()
    }

    /// How often it has had each request.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let invocation = Invocation { path: "/faults/counts".into(), ..Invocation::default() };
        match block_on(anonymous(&self.url).invoke(&context(), invocation)).unwrap() {
            Invoked::Json(counts) => serde_json::from_value(counts).unwrap(),
            other => panic!("no counts: {other:?}"),
        }
    }

    /// How often a token was exchanged.
    pub fn exchanges(&self) -> u64 {
        self.requests("POST /api/v1/PersonalTokens/authenticate")
    }

    /// The same by the server's log: for one that cannot be asked, because nobody trusts its certificate.
    pub fn exchanges_in_log(&self) -> usize {
        self.log().lines().filter(|line| line.contains("PersonalTokens/authenticate")).count()
    }

    /// The newest lines of the audit about `action`, as an administrator reads them.
    pub fn audit(&self, action: &str) -> Vec<serde_json::Value> {
        let keeper = client(&self.url, "keeper", self.keeper.get_or_init(|| self.token("keeper", &[])));
        let path = format!("/api/v1/Audit?action={action}&limit=1000");
        match block_on(keeper.invoke(&context(), Invocation { path, ..Invocation::default() })).unwrap() {
            Invoked::Json(serde_json::Value::Array(lines)) => lines,
            other => panic!("no audit: {other:?}"),
        }
    }

    /// How many sessions people have begun with their passwords, and how many of them were ended.
    pub fn sessions(&self) -> (usize, usize) {
        let lines = self.audit("session");
        let count = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).count();
        (count("signed in"), count("signed out"))
    }

    /// Kills the process at once, as SIGKILL does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Serves the same data on the same port again.
    pub fn restart(&mut self) {
        self.kill();
        let listen = format!("127.0.0.1:{}", self.port());
        (self.child, self.url) = serve(self.data.path(), &listen, &self.arguments);
    }

    /// Runs a command on this server's data and gives its stdout, trimmed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(server_exe()).arg("--data").arg(self.data.path()).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "uss-server {}: {error}", arguments.join(" "));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Adds a user who may publish, and gives a token of theirs.
    pub fn admin(&self, name: &str) -> String {
        self.run(&["user", "add", name, "--email", &format!("{name}@example.com"), "--admin"]);
        self.token(name, &[])
    }

    /// Adds a user who may only read, and gives a token of theirs.
    pub fn reader(&self, name: &str) -> String {
        self.run(&["user", "add", name, "--email", &format!("{name}@example.com")]);
        self.token(name, &[])
    }

    /// Adds a user who signs in with this password, too.
    pub fn user_with_password(&self, name: &str, password: &str) {
        let mut command = Command::new(server_exe());
        command.arg("--data").arg(self.data.path()).args(["user", "add", name, "--password-stdin", "--email"]);
        let mut child = command.arg(format!("{name}@example.com")).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// A new token of a user.
    pub fn token(&self, user: &str, arguments: &[&str]) -> String {
        self.run(&[&["token", "create", "--user", user, "--name", "test"], arguments].concat())
    }

    /// Revokes all tokens of a user.
    pub fn revoke_tokens(&self, user: &str) {
        for line in self.run(&["token", "list", "--user", user]).lines() {
            self.run(&["token", "revoke", line.split('\t').next().unwrap()]);
        }
    }

    /// Makes a package file: `dependencies` as `id=query`, a payload of `size` random bytes.
    pub fn make_package(&self, id: &str, version: &str, dependencies: &[&str], size: u64) -> PathBuf {
        let file = self.data.path().join(format!("{}-{version}.zip", id.replace('/', "_")));
        let (size, out) = (size.to_string(), file.to_str().unwrap().to_owned());
        let mut arguments = vec!["package", "make", "--id", id, "--version", version, "--out", &out];
        dependencies.iter().for_each(|dependency| arguments.extend(["--dependency", dependency]));
        if size != "0" {
            arguments.extend(["--size", &size]);
        }
        self.run(&arguments);
        file
    }

    /// Makes a package and adds it to the store.
    pub fn add_package(&self, id: &str, version: &str, dependencies: &[&str], size: u64) -> PathBuf {
        let file = self.make_package(id, version, dependencies, size);
        self.run(&["package", "add", file.to_str().unwrap()]);
        file
    }

    /// A client as `user` with `token`.
    pub fn client(&self, user: &str, token: &str) -> UpdateService {
        client(&self.url, user, token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(data: &Path, listen: &str, arguments: &[String]) -> (Child, String) {
    let log = File::options().create(true).append(true).open(data.join("server.log")).unwrap();
    let mut child = Command::new(server_exe())
        .arg("--data")
        .arg(data)
        .args(["serve", "--listen", listen])
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.trim().strip_prefix("listening on ").map(str::to_owned);
    let url = url.unwrap_or_else(|| {
        panic!("uss-server said '{first}'; {}", fs::read_to_string(data.join("server.log")).unwrap())
    });
    (child, url)
}
