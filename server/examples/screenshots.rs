//! Pictures of the pages for the README: `cargo xtask screenshots` runs this with a server's executable and a folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/browser/mod.rs"]
mod browser;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use browser::Browser;
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

/// A server with something to look at.
struct Stage {
    program: PathBuf,
    data: tempfile::TempDir,
    server: Child,
    url: String,
}

impl Stage {
    fn new(program: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--demo", "--data"];
        let mut command = Command::new(program);
        command.args(serve).arg(data.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect("the server did not start").to_owned();
        Self { program: program.to_owned(), data, server, url }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(self.data.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Commands that ask for nothing may have ended before they are told.
        let _ = writeln!(child.stdin.take().unwrap(), "{PASSWORD}");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn fill(&self) {
        for (name, first, last) in [("ada", "Ada", "Lovelace"), ("grace", "Grace", "Hopper")] {
            let email = format!("{name}@example.com");
            let names = ["--first-name", first, "--last-name", last, "--password-stdin"];
            self.run(&[&["user", "add", name, "--email", &email], &names[..]].concat());
        }
        for (id, version, size, needs) in [
            ("ls-central-app", "24.0.0", "84000000", &["ls-central-base=^24.0.0", "bc-runtime=>=23.1.0"][..]),
            ("ls-central-app", "24.1.0", "86100000", &["ls-central-base=^24.1.0", "bc-runtime=>=23.1.0"]),
            ("ls-central-base", "24.1.0", "12400000", &["bc-runtime=>=23.1.0"]),
            ("bc-runtime", "23.5.2", "31900000", &[]),
            ("hardware-station", "7.3.1", "2750000", &["bc-runtime=>=23.0.0"]),
        ] {
            let file = self.data.path().join("package.zip");
            let file = file.to_string_lossy();
            let mut make = vec!["package", "make", "--id", id, "--version", version, "--size", size, "--out", &file];
            make.extend(needs.iter().flat_map(|need| ["--dependency", need]));
            self.run(&make);
            self.run(&["package", "add", &file]);
            std::fs::remove_file(&*file).unwrap();
        }
        let day = |days: i64| {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days + 2);
            at.strftime("%Y-%m-%d").to_string()
        };
        for (name, description, expires) in [
            ("Release pipeline", "Publishes packages from main", Some(day(208))),
            ("Laptop", "Interactive work in PowerShell", None),
            ("Old build server", "Replaced by the release pipeline", Some(day(-34))),
            ("Contractor", "Access for the migration project", Some(day(90))),
            ("Nightly tests", "Reads packages for the test farm", Some(day(12))),
        ] {
            let mut create = vec!["token", "create", "--user", "ada", "--name", name, "--description", description];
            create.extend(expires.iter().flat_map(|day| ["--expires", day.as_str()]));
            let value = self.run(&create);
            if name == "Nightly tests" {
                self.exchange(&value);
            }
        }
        let list = self.run(&["token", "list", "--user", "ada"]);
        let contractor = list.lines().find(|line| line.contains("Contractor")).unwrap();
        self.run(&["token", "revoke", contractor.split('\t').next().unwrap()]);
    }
}

impl Stage {
    /// Uses a token once, so that the list can tell when.
    fn exchange(&self, value: &str) {
        let query = [("username", "ada"), ("personalToken", value)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let head = format!("POST /api/v1/PersonalTokens/authenticate?{query} HTTP/1.1");
        write!(stream, "{head}\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

struct Camera<'a> {
    browser: &'a Browser,
    folder: &'a Path,
}

impl Camera<'_> {
    /// The page as a whole, or its beginning.
    async fn take(&self, name: &str, width: u32, dark: bool) {
        // A form is worth seeing to its end; of a list, the beginning tells enough.
        let tallest = if name == "access-token" { 1_200 } else { 720 };
        self.browser.look(width, dark).await;
        let height = self.browser.js("return Math.ceil(document.body.scrollHeight)").await.as_f64().unwrap();
        let clip =
            json!({ "x": 0, "y": 0, "width": width, "height": height.clamp(480.0, f64::from(tallest)), "scale": 1 });
        let taken = self
            .browser
            .tools("Page.captureScreenshot", json!({ "format": "png", "clip": clip, "captureBeyondViewport": true }))
            .await;
        let picture = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        println!("{name}.png: {} bytes", picture.len());
        std::fs::write(self.folder.join(format!("{name}.png")), picture).unwrap();
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(program), Some(folder)) = (arguments.next(), arguments.next()) else {
        panic!("usage: screenshots SERVER FOLDER")
    };
    std::fs::create_dir_all(&folder).unwrap();
    let stage = Stage::new(&program);
    stage.fill();
    let browser = Browser::start(&stage.url).await.expect("no browser; install chromium and chromium-driver");
    let camera = Camera { browser: &browser, folder: &folder };
    browser.look(1280, false).await;
    browser.open("/sign-in").await;
    camera.take("sign-in", 1280, false).await;
    browser.sign_in("ada", PASSWORD).await;
    camera.take("packages", 1280, false).await;
    browser.open("/packages/ls-central-app").await;
    camera.take("package", 1280, false).await;
    browser.open("/tokens").await;
    camera.take("personal-tokens", 1280, false).await;
    camera.take("personal-tokens-dark", 1280, true).await;
    camera.take("personal-tokens-narrow", 360, false).await;
    browser.look(1280, false).await;
    browser.open("/tokens/new").await;
    browser.type_into("#name", "Test farm").await;
    browser.follow("main button.primary").await;
    camera.take("token-value", 1280, false).await;
    for (name, method) in [("Stop at night", "stopenv"), ("Start in the morning", "startenv")] {
        browser.open("/settings/tokens/generate").await;
        browser.type_into("#description", name).await;
        browser.find("#set-custom").await.click().await.unwrap();
        browser.type_into("#search", method).await;
        let method = format!("#environment-control-{method}");
        browser.find(&method).await.click().await.unwrap();
        if method.contains("stop") {
            camera.take("access-token", 1280, false).await;
        }
        browser.type_into("#password", PASSWORD).await;
        browser.follow("main button.primary").await;
    }
    browser.open("/settings/tokens").await;
    browser.find("tbody tr").await.click().await.unwrap();
    camera.take("access-tokens", 1280, false).await;
    browser.open("/environments").await;
    camera.take("environments", 1280, false).await;
    browser.open("/audit").await;
    camera.take("audit", 1280, true).await;
}
