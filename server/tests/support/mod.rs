//! The real server on a free port, with a store of its own.

// Each test file uses its part.
#![allow(dead_code, unreachable_pub)]

pub mod link;
pub mod place;
pub mod tus;
pub mod visitor;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Once;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uss::package::{Dependency, Manifest};

/// A running server; killed when dropped.
pub struct Server {
    pub url: String,
    child: Child,
    data: PathBuf,
    client: Client,
    _folder: Option<TempDir>,
}

pub fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    Client::builder().no_proxy().build().unwrap()
}

/// The server's program on a data folder; `arguments` begin with the command.
pub fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_uss-server"));
    place::place(&mut program, data);
    program.args(arguments).arg("--data").arg(data).stdin(Stdio::null());
    program
}

/// Runs a command of the server's on a data folder.
pub fn command(data: &Path, arguments: &[&str]) -> Output {
    program(data, arguments).output().unwrap()
}

/// The same; it must succeed. Gives what it printed.
pub fn run(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The one line of a command that must fail with exit code 1.
pub fn fail(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {line}");
    assert!(line.starts_with("error: ") && line.trim_end().lines().count() == 1, "{line}");
    line
}

/// Serves on a free port.
pub const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// A person's, in tests.
pub const PASSWORD: &str = "correct horse battery";

/// Adds somebody who can sign in to the pages.
pub fn person(data: &Path, name: &str, more: &[&str]) {
    let email = format!("{name}@example.com");
    let mut child = program(data, &["user", "add", name, "--email", &email, "--password-stdin"])
        .args(more)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success(), "{name}");
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut server = Self::on(&data, &[]);
        server._folder = Some(folder);
        server
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut server = Self::on(&data, arguments);
        server._folder = Some(folder);
        server
    }

    /// Serves a folder that stays.
    pub fn on(data: &Path, arguments: &[&str]) -> Self {
        Self::spawn(program(data, &SERVE), arguments, Stdio::null(), data)
    }

    /// Runs what [`program`] made.
    pub fn of(program: Command, data: &Path) -> Self {
        Self::spawn(program, &[], Stdio::null(), data)
    }

    /// Writes its log there.
    pub fn start_with_log(log: impl Into<Stdio>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut server = Self::spawn(program(&data, &SERVE), &[], log.into(), &data);
        server._folder = Some(folder);
        server
    }

    /// The same with a limit on the size of each file that it writes: writing beyond fails.
    #[cfg(unix)]
    pub fn with_file_limit(data: &Path, kibibytes: u32) -> Self {
        let mut shell = Command::new("sh");
        // POSIX counts blocks of 512 bytes; without the trap the signal would end the server.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kibibytes * 2);
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_uss-server")]).args(SERVE).arg("--data").arg(data);
        Self::spawn(shell, &[], Stdio::null(), data)
    }

    /// One that nobody has an account on; gives the link for the first administrator too.
    pub fn start_with_link() -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (mut server, mut stdout) = Self::spawn_and_read(program(&data, &SERVE), &[], Stdio::null(), &data);
        server._folder = Some(folder);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let link =
            line.trim_end().strip_prefix("first administrator: ").unwrap_or_else(|| panic!("'{line}'")).to_owned();
        (server, link)
    }

    fn spawn(command: Command, arguments: &[&str], log: Stdio, data: &Path) -> Self {
        Self::spawn_and_read(command, arguments, log, data).0
    }

    fn spawn_and_read(
        mut command: Command,
        arguments: &[&str],
        log: Stdio,
        data: &Path,
    ) -> (Self, BufReader<ChildStdout>) {
        let mut child =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("'{line}'")).to_owned();
        (Self { url, child, data: data.to_owned(), client: client(), _folder: None }, stdout)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    #[cfg(unix)]
    pub fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        run(&self.data, arguments)
    }

    /// Adds a user; gives a token value.
    pub fn user(&self, name: &str, admin: bool) -> String {
        let email = format!("{name}@example.com");
        let mut arguments = vec!["user", "add", name, "--email", &email];
        arguments.extend(admin.then_some("--admin"));
        self.run(&arguments);
        self.token(name)
    }

    pub fn token(&self, user: &str) -> String {
        self.run(&["token", "create", "--user", user, "--name", "test"])
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn exchange(&self, user: &str, token: &str) -> Response {
        let query = [("username", user), ("personalToken", token)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let path = format!("/api/v1/PersonalTokens/authenticate?{query}");
        self.request(Method::POST, &path).send().await.unwrap()
    }

    pub async fn sign_in(&self, user: &str, token: &str) -> Session<'_> {
        let answer: Value = json(self.exchange(user, token).await, 200).await;
        Session { server: self, bearer: answer["token"].as_str().unwrap().to_owned() }
    }

    /// A fresh administrator's session.
    pub async fn admin(&self) -> Session<'_> {
        let token = self.user("admin", true);
        self.sign_in("admin", &token).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signed-in user.
pub struct Session<'a> {
    pub server: &'a Server,
    pub bearer: String,
}

impl Session<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(&self.bearer)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn publish(&self, query: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, &format!("/api/v1/Packages{query}")).body(body).send().await.unwrap()
    }

    pub async fn content(&self, id: &str, version: &str) -> Response {
        self.get(&content(id, version)).await
    }
}

/// The path of a version's content.
pub fn content(id: &str, version: &str) -> String {
    format!("/api/v1/Packages/content?packageId={id}&version={}", version.replace('+', "%2B"))
}

/// The JSON of an answer that must have this status.
pub async fn json(response: Response, status: u16) -> Value {
    let found = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// The problem of an answer that must have this status and code.
pub async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(header(response.headers(), "content-type"), "application/problem+json");
    let problem = json(response, status).await;
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)), "{problem}");
    assert_eq!(problem["type"], format!("urn:uss:problem:{code}"));
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
    problem
}

pub fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> &'h str {
    headers.get(HeaderName::from_static(name)).map_or("", |value| value.to_str().unwrap())
}

/// An archive with a payload of so many bytes that follow from id, version and size.
pub fn package(id: &str, version: &str, dependencies: &[(&str, &str)], size: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.zip");
    let dependencies = dependencies.iter().map(|(id, query)| Dependency {
        package_id: (*id).into(),
        version_query: (*query).into(),
        ..Dependency::default()
    });
    let manifest = Manifest {
        id: id.into(),
        version: version.into(),
        name: Some(format!("Name of {id}")),
        dependencies: dependencies.collect(),
        ..Manifest::default()
    };
    uss::package::write_filled(&manifest, size, &path, false).unwrap();
    std::fs::read(path).unwrap()
}

/// A zip of these files.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn repr_digest(bytes: &[u8]) -> String {
    use base64::Engine;
    format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes)))
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
