//! Each form of the pages in a real Chromium, with the keyboard alone: the cursor is always to be seen, and after a form
//! it is at the error or at what became of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod browser;
mod support;

use std::path::Path;

use browser::{Browser, CONTROL, DOWN, ENTER, ESCAPE, SHIFT, SPACE, UP};
use serde_json::json;
use support::{PASSWORD, Server, Session, person};

/// Presses keys that lead to another page.
async fn go(browser: &Browser, keys: &str) {
    browser.leave(browser.press(keys)).await;
}

/// Goes on with Tab to something, and presses Enter there.
async fn enter(browser: &Browser, wanted: &str) {
    browser.tab_to(wanted).await;
    go(browser, ENTER).await;
}

/// Types over what the field with the cursor holds.
async fn retype(browser: &Browser, text: &str) {
    browser.press(&format!("{CONTROL}a")).await;
    browser.press(text).await;
}

async fn value(browser: &Browser) -> String {
    browser.has_cursor("Copy the value now").await;
    browser.js("return document.querySelector('#value').value").await.as_str().unwrap().to_owned()
}

/// What a call of the platform about the demo's environment answers, as whoever this token or session belongs to.
async fn platform(server: &Server, method: &str, session: &str) -> i64 {
    let query = [("envName", "my-project"), ("session", session)];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("/1.0/environment/control/rest/{method}?{query}");
    let answer = server.request(reqwest::Method::GET, &path).send().await.unwrap();
    support::json(answer, 200).await["result"].as_i64().unwrap()
}

/// The one file that comes into a folder.
async fn saved(folder: &Path) -> Vec<u8> {
    let whole = || {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        // What is not complete has another name.
        files.into_iter().find(|file| file.extension().is_some_and(|end| end == "zip" || end == "txt"))
    };
    for _ in 0..1_000_000 {
        if let Some(file) = whole() {
            let bytes = std::fs::read(&file).unwrap();
            if !bytes.is_empty() {
                std::fs::remove_file(file).unwrap();
                return bytes;
            }
        }
        tokio::task::yield_now().await;
    }
    panic!("nothing was saved");
}

#[tokio::test]
async fn after_a_wrong_password_the_cursor_is_where_one_tries_again() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.open("/sign-in").await;
    browser.has_cursor("Name or e-mail").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Name or e-mail").await;
    browser.press("ada").await;
    browser.tab_to("Password").await;
    browser.press("wrong wrong").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Password").await;
    let told = "const id = document.activeElement.getAttribute('aria-describedby'); \
                return document.getElementById(id).innerText";
    assert_eq!(browser.js(told).await, "The name or the password is wrong.");
    browser.press(PASSWORD).await;
    enter(&browser, "Sign in").await;
    assert_eq!(browser.path().await, "/packages");
    browser.tab_to("User menu:").await;
    browser.press(SPACE).await;
    assert_eq!(browser.js("return document.querySelector('details.menu').open").await, true);
    browser.tab_to("Account").await;
    browser.press(ESCAPE).await;
    assert_eq!(browser.js("return document.querySelector('details.menu').open").await, false);
    browser.has_cursor("User menu:").await;
}

#[tokio::test]
async fn a_personal_token_is_edited_copied_regenerated_revoked_and_removed() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    server.run(&["token", "create", "--user", "ada", "--name", "nightly"]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.tab_to("User menu:").await;
    browser.press(ENTER).await;
    enter(&browser, "Personal Tokens").await;

    browser.tab_to("Filter").await;
    browser.press("nothing like it").await;
    browser.until("!document.querySelector('[data-nothing]').hidden").await;
    browser.press(ESCAPE).await;
    browser.until("document.querySelector('[data-count]').textContent === '1 token'").await;
    browser.tab_to("Status").await;
    browser.press("Rev").await;
    browser.until("document.querySelector('[data-count]').textContent === '0 of 1 token'").await;
    browser.press(&UP.repeat(3)).await;
    browser.until("document.querySelector('[data-count]').textContent === '1 token'").await;

    enter(&browser, "Edit").await;
    browser.has_cursor("Name").await;
    retype(&browser, "weekly").await;
    browser.tab_to("Description (optional)").await;
    browser.press("two\nlines").await;
    browser.tab_to("Expires (optional)").await;
    // The same in whichever order the browser's language has day and month.
    browser.press("12122999").await;
    enter(&browser, "Save").await;
    browser.has_cursor("The token is saved.").await;
    let row = browser.find("tbody tr").await.text().await.unwrap();
    for part in ["weekly", "two\nlines", "12 Dec 2999"] {
        assert!(row.contains(part), "{part}: {row}");
    }

    enter(&browser, "Edit").await;
    retype(&browser, &SPACE.repeat(3)).await;
    enter(&browser, "Save").await;
    browser.has_cursor("Name").await;
    enter(&browser, "Cancel").await;

    enter(&browser, "Regenerate").await;
    enter(&browser, "Regenerate").await;
    let shown = value(&browser).await;
    assert_eq!(server.exchange("ada", &shown).await.status(), 200);
    let permissions = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.tools("Browser.grantPermissions", permissions).await;
    browser.tab_to("Copy").await;
    browser.press(SPACE).await;
    browser.until("!document.querySelector('[data-copied]').hidden").await;
    browser.has_cursor("Copied").await;
    let read = "navigator.clipboard.readText().then(arguments[0], (e) => arguments[0](String(e)))";
    assert_eq!(browser.page.execute_async(read, vec![]).await.unwrap(), shown.as_str());
    let folder = browser.downloads().await;
    browser.tab_to("Download").await;
    browser.press(ENTER).await;
    assert_eq!(saved(&folder).await, shown.as_bytes());
    browser.has_cursor("Download").await;
    enter(&browser, "Done").await;

    enter(&browser, "Copy").await;
    browser.has_cursor("Name").await;
    enter(&browser, "Create copy").await;
    let copy = value(&browser).await;
    assert_eq!(server.exchange("ada", &copy).await.status(), 200);
    enter(&browser, "Done").await;

    enter(&browser, "Revoke").await;
    enter(&browser, "Cancel").await;
    assert_eq!(server.exchange("ada", &shown).await.status(), 200);
    enter(&browser, "Revoke").await;
    enter(&browser, "Revoke").await;
    browser.has_cursor("The token is revoked: whoever uses it is refused from now on.").await;
    assert_eq!(server.exchange("ada", &copy).await.status(), 401, "the newest is the first of the list");
    enter(&browser, "Remove").await;
    enter(&browser, "Remove").await;
    browser.has_cursor("The token is removed.").await;
    assert_eq!(browser.find("[data-count]").await.text().await.unwrap(), "1 token");
    assert_eq!(server.exchange("ada", &shown).await.status(), 200);
}

#[tokio::test]
async fn access_tokens_are_generated_edited_copied_regenerated_and_removed() {
    let server = Server::start_with(&["--demo", "--state-time", "0"]);
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.tab_to("User menu:").await;
    browser.press(ENTER).await;
    enter(&browser, "Access Tokens").await;

    enter(&browser, "Generate").await;
    browser.has_cursor("Description").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Description").await;
    assert!(browser.has("#description-error").await, "Enter sends the form, and does not only look for methods");
    browser.press("stop at night").await;
    browser.tab_to("set-extended-access").await;
    browser.press(UP).await;
    browser.has_cursor("Custom").await;
    browser.tab_to("Skip the methods").await;
    browser.press(ENTER).await;
    browser.has_cursor("Your password").await;
    browser.press(PASSWORD).await;
    go(&browser, ENTER).await;
    browser.has_cursor("methods").await;
    browser.tab_to("Search methods").await;
    browser.press("control stopenv").await;
    browser.tab_to("environment-control-stopenv").await;
    browser.press(SPACE).await;
    browser.back_to("Only checked").await;
    browser.press(SPACE).await;
    browser.back_to("Search methods").await;
    browser.press(ESCAPE).await;
    let checked = "[...document.querySelectorAll('.method')].filter((m) => m.checkVisibility()).length === 1";
    browser.until(checked).await;
    browser.tab_to("Docs").await;
    browser.press(ENTER).await;
    let docs = browser.other_window().await;
    browser.page.switch_to_window(docs).await.unwrap();
    browser.until("document.querySelector('h1').innerText === 'environment/control/stopenv'").await;
    browser.close_window().await;
    browser.tab_to("Your password").await;
    browser.press("not the password").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Your password").await;
    browser.press(PASSWORD).await;
    enter(&browser, "Generate").await;
    let first = value(&browser).await;
    assert_eq!(platform(&server, "stopenv", &first).await, 0);
    assert_ne!(platform(&server, "startenv", &first).await, 0, "only what was checked");
    enter(&browser, "Done").await;

    browser.tab_to("id").await;
    browser.press(SPACE).await;
    browser.back_to("Edit").await;
    go(&browser, ENTER).await;
    browser.tab_to("Custom").await;
    browser.press(DOWN).await;
    browser.has_cursor("set-extended-access").await;
    browser.tab_to("Your password").await;
    browser.press(PASSWORD).await;
    enter(&browser, "Save").await;
    browser.has_cursor("The token is saved.").await;
    assert_eq!(platform(&server, "startenv", &first).await, 0, "edited, it may more");

    browser.tab_to("id").await;
    browser.press(SPACE).await;
    browser.back_to("Copy").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Description").await;
    browser.tab_to("Your password").await;
    browser.press(PASSWORD).await;
    enter(&browser, "Generate copy").await;
    let copy = value(&browser).await;
    assert_eq!(platform(&server, "startenv", &copy).await, 0);
    enter(&browser, "Done").await;

    browser.tab_to("id").await;
    browser.press(SPACE).await;
    browser.back_to("Edit").await;
    go(&browser, ENTER).await;
    enter(&browser, "Regenerate the token").await;
    browser.tab_to("Your password").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Your password").await;
    browser.press(PASSWORD).await;
    go(&browser, ENTER).await;
    let again = value(&browser).await;
    assert_eq!(platform(&server, "startenv", &again).await, 0);
    enter(&browser, "Done").await;

    // Rows by arrows, with Shift those in between, and all of them.
    let chosen = async || browser.js("return document.querySelectorAll('input[data-row]:checked').length").await;
    enter(&browser, "Refresh").await;
    browser.tab_to("id").await;
    browser.press(DOWN).await;
    browser.press(SPACE).await;
    assert_eq!(chosen().await, 1);
    assert_eq!(
        browser.js("return document.activeElement === [...document.querySelectorAll('input[data-row]')].at(-1)").await,
        true
    );
    browser.press(&format!("{SHIFT}{UP}")).await;
    assert_eq!(chosen().await, 2);
    browser.press(SPACE).await;
    assert_eq!(chosen().await, 1);
    browser.press(&format!("{CONTROL}a")).await;
    assert_eq!(chosen().await, 2);
    browser.back_to("Remove").await;
    go(&browser, ENTER).await;
    enter(&browser, "Cancel").await;
    browser.tab_to("id").await;
    browser.press(&format!("{CONTROL}a")).await;
    browser.back_to("Remove").await;
    go(&browser, ENTER).await;
    browser.tab_to("Your password").await;
    browser.press("not the password").await;
    go(&browser, ENTER).await;
    browser.has_cursor("Your password").await;
    browser.press(PASSWORD).await;
    enter(&browser, "Remove").await;
    browser.has_cursor("Removed: whoever uses it is refused from now on.").await;
    assert!(browser.text().await.contains("No access tokens yet"));
    assert_ne!(platform(&server, "stopenv", &copy).await, 0);
}

#[tokio::test]
async fn packages_are_found_and_saved_environments_refreshed_and_the_audit_searched() {
    let server = Server::start_with(&["--demo", "--state-time", "0"]);
    person(server.data(), "ada", &["--admin"]);
    let session = server.admin().await;
    let app = support::package("shop/app", "2.1.0", &[("base", "^1.0.0")], 5_000);
    for package in [app.clone(), support::package("base", "1.0.0", &[], 100)] {
        assert_eq!(session.publish("", package).await.status(), 201);
    }
    let Some(browser) = Browser::start(&server.url).await else { return };
    let folder = browser.downloads().await;
    browser.sign_in("ada", PASSWORD).await;
    browser.tab_to("Search").await;
    browser.press("shop").await;
    go(&browser, ENTER).await;
    enter(&browser, "shop/app").await;
    browser.tab_to("Download").await;
    browser.press(ENTER).await;
    assert_eq!(saved(&folder).await, app);
    browser.back_to("base").await;
    go(&browser, ENTER).await;
    assert_eq!(browser.heading().await, "base");
    enter(&browser, "All packages").await;
    browser.tab_to("Search").await;
    browser.press("no such").await;
    go(&browser, ENTER).await;
    enter(&browser, "Show all").await;
    assert_eq!(browser.path().await, "/packages");

    enter(&browser, "Environments").await;
    assert!(browser.find("tbody").await.text().await.unwrap().contains("Running"));
    let signed_in = format!("/1.0/users/authentication/rest/signin?login=ada&password={}", PASSWORD.replace(' ', "+"));
    let signed_in = server.request(reqwest::Method::GET, &signed_in).send().await.unwrap();
    let session = support::json(signed_in, 200).await["session"].as_str().unwrap().to_owned();
    assert_eq!(platform(&server, "stopenv", &session).await, 0);
    enter(&browser, "Refresh").await;
    assert!(browser.find("tbody").await.text().await.unwrap().contains("Stopped"));

    // More lines than a page of the audit has.
    let body = json!({ "userName": "ada", "password": PASSWORD }).to_string();
    let signed_in = server.request(reqwest::Method::POST, "/api/v1/Account/signin").body(body).send().await.unwrap();
    let bearer = support::json(signed_in, 200).await["token"].as_str().unwrap().to_owned();
    let ada = Session { server: &server, bearer };
    for _ in 0..101 {
        let made =
            ada.request(reqwest::Method::POST, "/api/v1/PersonalTokens").body(json!({ "name": "n" }).to_string());
        let made = support::json(made.send().await.unwrap(), 201).await;
        let path = format!("/api/v1/PersonalTokens/{}", made["id"].as_str().unwrap());
        assert_eq!(ada.request(reqwest::Method::DELETE, &path).send().await.unwrap().status(), 204);
    }
    enter(&browser, "Audit").await;
    browser.tab_to("What").await;
    browser.press("token.create").await;
    go(&browser, ENTER).await;
    browser.tab_to("Who").await;
    browser.press("ada").await;
    enter(&browser, "Filter").await;
    assert_eq!(browser.js("return document.querySelectorAll('tbody tr').length").await, 100);
    enter(&browser, "Older").await;
    assert!(browser.js("return document.querySelectorAll('tbody tr').length").await.as_u64().unwrap() < 100);
    enter(&browser, "Newest").await;
    assert_eq!(browser.path().await, "/audit?actor=ada&action=token.create");
}

#[tokio::test]
async fn the_first_account_is_made_its_password_changed_and_every_session_ended() {
    let (server, link) = Server::start_with_link();
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.page.goto(&link).await.unwrap();
    browser.until("location.hash === ''").await;
    browser.tab_to("Name").await;
    browser.press("ada").await;
    browser.tab_to("E-mail").await;
    browser.press("no address").await;
    browser.tab_to("Password").await;
    browser.press(PASSWORD).await;
    browser.tab_to("Password again").await;
    browser.press(PASSWORD).await;
    go(&browser, ENTER).await;
    browser.has_cursor("E-mail").await;
    retype(&browser, "ada@example.com").await;
    browser.tab_to("Password").await;
    browser.press(PASSWORD).await;
    browser.tab_to("Password again").await;
    browser.press(PASSWORD).await;
    enter(&browser, "Create account").await;
    browser.has_cursor("Name or e-mail").await;
    assert!(browser.text().await.contains("Your account is ready."));
    browser.press("ada").await;
    browser.tab_to("Password").await;
    browser.press(PASSWORD).await;
    go(&browser, ENTER).await;

    browser.tab_to("User menu:").await;
    browser.press(ENTER).await;
    enter(&browser, "Account").await;
    for (old, again, error) in [
        (PASSWORD, "quite another two", "New password again"),
        ("not the password", "quite another one", "Current password"),
    ] {
        browser.tab_to("Current password").await;
        browser.press(old).await;
        browser.tab_to("New password").await;
        browser.press("quite another one").await;
        browser.tab_to("New password again").await;
        browser.press(again).await;
        go(&browser, ENTER).await;
        browser.has_cursor(error).await;
        browser.open("/account").await;
    }
    browser.tab_to("Current password").await;
    browser.press(PASSWORD).await;
    browser.tab_to("New password").await;
    browser.press("quite another one").await;
    browser.tab_to("New password again").await;
    browser.press("quite another one").await;
    enter(&browser, "Change password").await;
    assert_eq!(browser.path().await, "/sign-in?done=password");
    browser.press("ada").await;
    browser.tab_to("Password").await;
    browser.press("quite another one").await;
    go(&browser, ENTER).await;
    browser.open("/account").await;
    enter(&browser, "Sign out everywhere").await;
    assert_eq!(browser.path().await, "/sign-in?done=everywhere");
    browser.has_cursor("Name or e-mail").await;
    browser.open("/account").await;
    assert_eq!(browser.heading().await, "Sign in");
}
