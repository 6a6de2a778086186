//! A real Chromium, driven through WebDriver.

#![allow(dead_code, unreachable_pub)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before the test fails: a bound, not a pause.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys that have no letter, as WebDriver writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const SHIFT: &str = "\u{e008}";
pub const CONTROL: &str = "\u{e009}";
pub const ESCAPE: &str = "\u{e00c}";
pub const UP: &str = "\u{e013}";
pub const DOWN: &str = "\u{e015}";
pub const SPACE: &str = " ";

/// A browser with a window; ended when dropped.
pub struct Browser {
    pub page: Client,
    url: String,
    driver: Child,
    folder: TempDir,
}

impl Browser {
    /// Starts one that is to look at a server. None, and a line that says so, where there is no browser.
    pub async fn start(url: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // What the browser keeps, it keeps in a folder of its own.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        let Ok(mut driver) = command.spawn() else {
            println!("SKIPPED: no browser; install chromium and chromium-driver");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true nothing may be skipped");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver ended").unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // What it says later must not fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        // By a pipe, the browser ends with its driver, however that ends.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--force-prefers-reduced-motion",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            "--window-size=1280,900",
            "--lang=en-GB",
            &profile,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let connected = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        let page = connected.unwrap_or_else(|error| {
            let _ = driver.kill();
            panic!("the browser did not start: {error}")
        });
        Some(Self { page, url: url.to_owned(), driver, folder })
    }

    pub async fn open(&self, path: &str) {
        self.page.goto(&format!("{}{path}", self.url)).await.unwrap();
    }

    /// Where the browser is, without the server's part.
    pub async fn path(&self) -> String {
        let url = self.page.current_url().await.unwrap().to_string();
        url.strip_prefix(&self.url).unwrap_or(&url).to_owned()
    }

    pub async fn find(&self, css: &str) -> Element {
        let waited = self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match waited {
            Ok(element) => element,
            Err(error) => panic!("no {css}: {error}\n{}", self.text().await),
        }
    }

    pub async fn has(&self, css: &str) -> bool {
        !self.page.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    /// What a person sees of the page.
    pub async fn text(&self) -> String {
        self.js("return document.body.innerText").await.as_str().unwrap().to_owned()
    }

    pub async fn heading(&self) -> String {
        self.find("h1").await.text().await.unwrap()
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Puts a day into a date field, whatever order the browser's language types it in.
    pub async fn set_day(&self, css: &str, day: &str) {
        let script = "document.querySelector(arguments[0]).value = arguments[1]";
        self.page.execute(script, vec![css.into(), day.into()]).await.unwrap();
    }

    /// Clicks something, and waits for the page that comes of it.
    pub async fn follow(&self, css: &str) {
        let element = self.find(css).await;
        self.leave(async { element.click().await.unwrap() }).await;
    }

    /// Clicks something that leads to a page of this heading, where no script may be asked.
    pub async fn go(&self, css: &str, heading: &str) {
        self.find(css).await.click().await.unwrap();
        let path = format!("//h1[normalize-space(.)='{heading}']");
        self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await.unwrap();
    }

    /// Clicks the link or button of this text.
    pub async fn follow_text(&self, text: &str) {
        let element = self.by_text(text).await;
        self.leave(async { element.click().await.unwrap() }).await;
    }

    pub async fn by_text(&self, text: &str) -> Element {
        let path = format!("//*[self::a or self::button][normalize-space(.)='{text}']");
        match self.page.find(Locator::XPath(&path)).await {
            Ok(element) => element,
            Err(error) => panic!("no '{text}': {error}\n{}", self.text().await),
        }
    }

    /// Does something that leads to another page, and waits until that one is there as a whole.
    pub async fn leave(&self, act: impl Future<Output = ()>) {
        self.js("window.old = true").await;
        act.await;
        let arrived = async {
            loop {
                // While pages change there may be none to ask.
                let state = self.page.execute("return !window.old && document.readyState", vec![]).await;
                if matches!(&state, Ok(Value::String(state)) if state == "complete") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, arrived).await.is_err() {
            panic!("still on the same page:\n{}", self.text().await);
        }
    }

    pub async fn js(&self, script: &str) -> Value {
        self.page.execute(script, vec![]).await.unwrap()
    }

    /// Waits until a script answers true.
    pub async fn until(&self, script: &str) {
        let script = format!("return {script}");
        let fits = async {
            while self.js(&script).await != true {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, fits).await.is_err() {
            panic!("never: {script}\n{}", self.text().await);
        }
    }

    /// Presses keys where the cursor is.
    pub async fn press(&self, keys: &str) {
        let focused = self.page.active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Goes on with the Tab key until what has the cursor has this text, label, name or id. Wherever it comes by, the
    /// cursor is to be seen.
    pub async fn tab_to(&self, wanted: &str) {
        self.move_to(TAB, wanted).await;
    }

    /// The same backwards.
    pub async fn back_to(&self, wanted: &str) {
        self.move_to(&format!("{SHIFT}{TAB}"), wanted).await;
    }

    async fn move_to(&self, keys: &str, wanted: &str) {
        for _ in 0..80 {
            self.press(keys).await;
            if self.cursor().await.iter().any(|text| text == wanted) {
                return;
            }
        }
        panic!("Tab never leads to '{wanted}':\n{}", self.text().await);
    }

    /// What has the cursor, by each of its names: the first line of its text, its label, its name, its id. It must be in
    /// the window, and marked.
    pub async fn cursor(&self) -> Vec<String> {
        let cursor = self.js(include_str!("cursor.js")).await;
        assert_eq!(cursor["hidden"], false, "nobody sees where the cursor is: {cursor}");
        let names = cursor["names"].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// That what has the cursor has this name: after a form it must not be lost.
    pub async fn has_cursor(&self, wanted: &str) {
        let cursor = self.cursor().await;
        assert!(cursor.iter().any(|name| name == wanted), "{cursor:?} has the cursor, not '{wanted}'");
    }

    /// The window that a link opens beside this one.
    pub async fn other_window(&self) -> WindowHandle {
        let here = self.page.window().await.unwrap();
        let opened = async {
            loop {
                let other = self.page.windows().await.unwrap().into_iter().find(|window| *window != here);
                if let Some(other) = other {
                    return other;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, opened).await.expect("no other window")
    }

    /// Closes the window, and goes back to the first.
    pub async fn close_window(&self) {
        self.page.close_window().await.unwrap();
        let first = self.page.windows().await.unwrap().remove(0);
        self.page.switch_to_window(first).await.unwrap();
    }

    /// Lets the browser save files, and gives the folder that they come to.
    pub async fn downloads(&self) -> PathBuf {
        let folder = self.folder.path().join("downloads");
        std::fs::create_dir_all(&folder).unwrap();
        let behavior = json!({ "behavior": "allow", "downloadPath": folder });
        self.tools("Browser.setDownloadBehavior", behavior).await;
        folder
    }

    pub async fn sign_in(&self, name: &str, password: &str) {
        self.open("/sign-in").await;
        self.type_into("#name", name).await;
        self.type_into("#password", password).await;
        self.follow("main button").await;
        assert_eq!(self.path().await, "/packages");
    }

    /// The DevTools protocol: what WebDriver has no command for.
    pub async fn tools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.issue("goog/cdp/execute", body).await.unwrap()
    }

    /// The width of the window; `dark` is what the system says it prefers.
    pub async fn look(&self, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tools("Emulation.setEmulatedMedia", media).await;
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// The address of each request of the browser's since it was last asked.
    pub async fn requests(&self) -> Vec<String> {
        let log = self.issue("se/log", json!({ "type": "performance" })).await.unwrap();
        let messages = log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap());
        let messages = messages.map(|text| serde_json::from_str::<Value>(text).unwrap()["message"].clone());
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        let urls = sent.map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned());
        // The window that a browser begins with is a page of its own.
        urls.filter(|url| !url.starts_with("chrome://")).collect()
    }

    /// What the browser complained of: refused by the policy, or failed.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.issue("se/log", json!({ "type": "browser" })).await.unwrap();
        log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    async fn issue(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        self.page.issue_cmd(Extension { path, body }).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already; the browser ends with its driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command of Chromium's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.body.to_string()))
    }
}
