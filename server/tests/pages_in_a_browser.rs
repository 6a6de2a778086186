//! The pages in a real Chromium: with a mouse, with the keyboard alone, without script, narrow and dark.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod browser;
mod support;

use browser::{Browser, DOWN, ENTER, SPACE};
use serde_json::json;
use support::{PASSWORD, Server, person};

#[tokio::test]
async fn a_person_signs_in_with_a_name_and_a_password_and_not_too_often_with_a_wrong_one() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.open("/tokens").await;
    assert_eq!(browser.path().await, "/sign-in?next=%2Ftokens");
    let mut tries = 0;
    let text = loop {
        tries += 1;
        assert!(tries < 50, "never limited");
        browser.type_into("#name", "bob").await;
        browser.type_into("#password", "wrong wrong").await;
        browser.follow("main button").await;
        assert_eq!(browser.js("return document.querySelector('#name').value").await, "bob");
        assert_eq!(browser.js("return document.querySelector('#password').value").await, "");
        let text = browser.find("[role=alert]").await.text().await.unwrap();
        if text != "The name or the password is wrong." {
            break text;
        }
    };
    assert!(text.starts_with("Too many attempts. Wait ") && tries > 3, "{text} after {tries}");

    // Keyboard alone, from here on.
    browser.open("/sign-in?next=%2Ftokens").await;
    browser.press("ada").await;
    browser.tab_to("Password").await;
    browser.press(PASSWORD).await;
    browser.leave(browser.press(ENTER)).await;
    assert_eq!((browser.path().await.as_str(), browser.heading().await.as_str()), ("/tokens", "Personal Tokens"));
    assert_eq!(browser.js("return document.cookie").await, "", "no script can read the session");
    browser.tab_to("User menu:").await;
    browser.press(ENTER).await;
    browser.tab_to("Sign out").await;
    browser.leave(browser.press(ENTER)).await;
    assert_eq!(browser.path().await, "/sign-in?done=signed-out");
    browser.open("/tokens").await;
    assert_eq!(browser.heading().await, "Sign in");
}

#[tokio::test]
async fn a_token_lives_its_whole_life_by_mouse() {
    const SCRIPT: &str = "<script>window.hurt=1</script><img src=x onerror=window.hurt=1>\"'";
    const NAME: &str = "nightly & \"'&lt;";
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.open("/tokens").await;
    browser.follow_text("New token").await;
    browser.type_into("#name", SCRIPT).await;
    browser.type_into("#description", SCRIPT).await;
    browser.set_day("#expires", "2999-12-31").await;
    browser.follow("main button.primary").await;
    assert!(browser.text().await.contains("holds '<' or '>'"), "{}", browser.text().await);
    browser.type_into("#name", NAME).await;
    browser.follow("main button.primary").await;
    assert_eq!(browser.heading().await, "Copy the value now");
    let value = browser.js("return document.querySelector('#value').value").await.as_str().unwrap().to_owned();
    assert_eq!(server.exchange("ada", &value).await.status(), 200);

    let permissions = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.tools("Browser.grantPermissions", permissions).await;
    browser.find("[data-copy]").await.click().await.unwrap();
    browser.until("!document.querySelector('[data-copied]').hidden").await;
    assert_eq!(browser.find("[data-copied]").await.text().await.unwrap(), "Copied.");
    let read = "navigator.clipboard.readText().then(arguments[0], (e) => arguments[0](String(e)))";
    assert_eq!(browser.page.execute_async(read, vec![]).await.unwrap(), value.as_str());
    let download = browser.find("a[download]").await.attr("href").await.unwrap().unwrap();
    let encoded = download.strip_prefix("data:text/plain;charset=utf-8,").unwrap();
    let decoded: String = url::form_urlencoded::parse(format!("v={encoded}").as_bytes()).next().unwrap().1.into_owned();
    assert_eq!(decoded, value);

    browser.leave(async { browser.page.refresh().await.unwrap() }).await;
    assert_eq!((browser.path().await.as_str(), browser.heading().await.as_str()), ("/tokens", "Personal Tokens"));
    assert!(!browser.page.source().await.unwrap().contains(&value), "shown again");
    assert_eq!(browser.js("return window.hurt === undefined").await, true);
    let row = browser.find("tbody tr").await.text().await.unwrap();
    for part in [NAME, SCRIPT, "Active", "31 Dec 2999", "from 127.0.0.1"] {
        assert!(row.contains(part), "{part}: {row}");
    }

    browser.follow("a[href$='/edit']").await;
    browser.type_into("#name", "nightly").await;
    browser.type_into("#description", "builds").await;
    browser.follow("main button.primary").await;
    assert!(browser.text().await.contains("The token is saved."));
    browser.follow("a[href$='/regenerate']").await;
    browser.follow("main button.primary").await;
    let new = browser.js("return document.querySelector('#value').value").await.as_str().unwrap().to_owned();
    assert_eq!(server.exchange("ada", &value).await.status(), 401, "the old value is void");
    assert_eq!(server.exchange("ada", &new).await.status(), 200);
    browser.follow_text("Done").await;

    browser.follow("a[href$='/copy']").await;
    assert_eq!(browser.js("return document.querySelector('#name').value").await, "nightly (copy)");
    browser.follow("main button.primary").await;
    browser.follow_text("Done").await;
    assert_eq!(browser.find("[data-count]").await.text().await.unwrap(), "2 tokens");

    browser.type_into("#filter", "COPY").await;
    browser.until("document.querySelector('[data-count]').textContent === '1 of 2 tokens'").await;
    browser.type_into("#filter", "nothing like it").await;
    browser.until("!document.querySelector('[data-nothing]').hidden").await;
    browser.open("/tokens?filter=copy&status=active").await;
    assert_eq!(browser.find("[role=status]").await.text().await.unwrap(), "1 of 2 tokens");

    browser.open("/tokens").await;
    browser.follow("tbody tr:last-child a[href$='/revoke']").await;
    assert!(browser.text().await.contains("nightly"));
    browser.follow_text("Cancel").await;
    browser.follow("tbody tr:last-child a[href$='/revoke']").await;
    browser.follow("main button.danger").await;
    let row = browser.find("tbody tr:last-child").await.text().await.unwrap();
    assert!(row.contains("Revoked") && row.contains("nightly"), "{row}");
    assert_eq!(server.exchange("ada", &new).await.status(), 401);
    browser.follow("tbody tr:last-child a[href$='/remove']").await;
    browser.follow("main button.danger").await;
    assert_eq!(browser.find("[data-count]").await.text().await.unwrap(), "1 token");
}

#[tokio::test]
async fn a_token_is_made_and_revoked_with_the_keyboard_alone() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.open("/packages").await;
    browser.tab_to("Skip to content").await;
    browser.tab_to("User menu:").await;
    browser.press(SPACE).await;
    browser.tab_to("Personal Tokens").await;
    browser.leave(browser.press(ENTER)).await;
    browser.tab_to("New token").await;
    browser.leave(browser.press(ENTER)).await;
    assert_eq!(browser.js("return document.activeElement.id").await, "name", "the cursor is where one begins");
    browser.leave(browser.press(ENTER)).await;
    assert_eq!(browser.js("return document.activeElement.id").await, "name", "and where something is wrong");
    let error = browser.find("#name-error").await.text().await.unwrap();
    assert!(error.contains("Give the token a name"), "{error}");
    let described = browser.js("return document.activeElement.getAttribute('aria-describedby')").await;
    assert!(described.as_str().unwrap().split(' ').any(|id| id == "name-error"), "{described}");
    browser.press("service").await;
    browser.tab_to("Me").await;
    browser.press(DOWN).await;
    browser.tab_to("Create token").await;
    browser.leave(browser.press(ENTER)).await;
    let value = browser.js("return document.querySelector('#value').value").await.as_str().unwrap().to_owned();
    assert_eq!(server.exchange("ada", &value).await.status(), 200);
    browser.tab_to("Done").await;
    browser.leave(browser.press(ENTER)).await;
    let row = browser.find("tbody tr").await.text().await.unwrap();
    assert!(row.contains("client service") && row.contains("in 12 months"), "{row}");
    browser.tab_to("Revoke").await;
    browser.leave(browser.press(ENTER)).await;
    browser.tab_to("Revoke").await;
    browser.leave(browser.press(ENTER)).await;
    assert!(browser.find("tbody tr").await.text().await.unwrap().contains("Revoked"));
    assert_eq!(server.exchange("ada", &value).await.status(), 401);
}

#[tokio::test]
async fn pages_work_without_script() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.tools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.open("/sign-in").await;
    browser.type_into("#name", "ada").await;
    browser.type_into("#password", PASSWORD).await;
    browser.go("main button", "Packages").await;
    browser.open("/tokens/new").await;
    browser.type_into("#name", "plain").await;
    browser.go("main button.primary", "Copy the value now").await;
    assert!(!browser.find("[data-copy]").await.is_displayed().await.unwrap(), "a button that could do nothing");
    let value = browser.find("#value").await.text().await.unwrap();
    assert_eq!(server.exchange("ada", &value).await.status(), 200);
    browser.page.refresh().await.unwrap();
    assert_eq!(browser.heading().await, "Sent already");
    assert!(!browser.page.source().await.unwrap().contains(&value), "shown again");
    browser.open("/tokens").await;
    browser.type_into("#filter", "plai").await;
    browser.go("form.filter button", "Personal Tokens").await;
    assert_eq!(browser.path().await, "/tokens?filter=plai&status=");
    assert_eq!(browser.find("[data-count]").await.text().await.unwrap(), "1 token");
}

#[tokio::test]
async fn the_first_administrator_comes_by_the_link_that_the_server_prints() {
    let (server, link) = Server::start_with_link();
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.page.goto(&link).await.unwrap();
    browser.until("location.hash === ''").await;
    assert_eq!(browser.heading().await, "Welcome");
    assert!(!browser.find("#key").await.is_displayed().await.unwrap());
    browser.type_into("#name", "ada").await;
    browser.type_into("#email", "no address").await;
    browser.type_into("#new-password", "short").await;
    browser.type_into("#new-password-again", "other").await;
    browser.follow("main button").await;
    for field in ["email", "new-password-again"] {
        assert!(browser.has(&format!("#{field}-error")).await, "{field}");
    }
    assert_eq!(browser.js("return document.querySelector('#new-password').value").await, "");
    browser.type_into("#email", "ada@example.com").await;
    browser.type_into("#new-password", "short").await;
    browser.type_into("#new-password-again", "short").await;
    browser.follow("main button").await;
    assert!(browser.find("#new-password-error").await.text().await.unwrap().contains("8 to 200 characters"));
    browser.type_into("#new-password", PASSWORD).await;
    browser.type_into("#new-password-again", PASSWORD).await;
    browser.follow("main button").await;
    assert!(browser.text().await.contains("Your account is ready."));
    browser.sign_in("ada", PASSWORD).await;
    assert!(browser.has("a[href='/audit']").await, "an administrator");
    browser.page.goto(&link).await.unwrap();
    for (field, text) in [
        ("#name", "eve"),
        ("#email", "eve@example.com"),
        ("#new-password", PASSWORD),
        ("#new-password-again", PASSWORD),
    ] {
        browser.type_into(field, text).await;
    }
    browser.follow("main button").await;
    assert_eq!(browser.heading().await, "The link does not open");
}

#[tokio::test]
async fn a_password_is_changed_and_all_sessions_are_ended() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.open("/account").await;
    let fill = async |old: &str, new: &str, again: &str| {
        browser.type_into("#password", old).await;
        browser.type_into("#new-password", new).await;
        browser.type_into("#new-password-again", again).await;
        browser.follow("section:nth-of-type(2) button").await;
    };
    fill(PASSWORD, "quite another one", "quite another two").await;
    assert!(browser.has("#new-password-again-error").await);
    fill("not the password", "quite another one", "quite another one").await;
    assert!(browser.has("#password-error").await);
    fill(PASSWORD, "quite another one", "quite another one").await;
    assert_eq!(browser.path().await, "/sign-in?done=password");
    browser.type_into("#name", "ada").await;
    browser.type_into("#password", "quite another one").await;
    browser.follow("main button").await;
    browser.open("/account").await;
    browser.follow_text("Sign out everywhere").await;
    assert_eq!(browser.path().await, "/sign-in?done=everywhere");
    browser.open("/account").await;
    assert_eq!(browser.heading().await, "Sign in");
}

#[tokio::test]
async fn packages_are_found_looked_at_and_saved() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = server.admin().await;
    for (id, version, dependencies) in
        [("base", "1.0.0", &[][..]), ("shop/app", "2.1.0", &[("base", "^1.0.0")]), ("shop/app", "2.0.0", &[])]
    {
        assert_eq!(session.publish("", support::package(id, version, dependencies, 5_000)).await.status(), 201);
    }
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.type_into("#search", "shop").await;
    browser.follow("form.filter button").await;
    let table = browser.find("tbody").await.text().await.unwrap();
    assert!(table.contains("shop/app") && table.contains("2.1.0") && !table.contains("base"), "{table}");
    browser.follow_text("shop/app").await;
    let table = browser.find("tbody").await.text().await.unwrap();
    for part in ["2.1.0", "2.0.0", "by admin", "^1.0.0", "Nothing"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let digest = support::sha256(&support::package("shop/app", "2.1.0", &[("base", "^1.0.0")], 5_000));
    assert!(table.contains(&digest), "{table}");
    let save = "const done = arguments[0]; fetch(document.querySelector('a[download]').href) \
                .then((r) => done('answered ' + r.status), () => done('refused'))";
    assert_eq!(browser.page.execute_async(save, vec![]).await.unwrap(), "refused", "the policy lets no script ask");
    let download = browser.find("a[download]").await.attr("href").await.unwrap().unwrap();
    let cookie = browser.page.get_named_cookie("uss-session").await.unwrap();
    let answer =
        server.request(reqwest::Method::GET, &download).header("cookie", format!("uss-session={}", cookie.value()));
    let answer = answer.send().await.unwrap();
    assert!(support::header(answer.headers(), "content-disposition").contains("shop-app-2.1.0.zip"));
    assert_eq!(support::sha256(&answer.bytes().await.unwrap()), digest);
    browser.follow_text("base").await;
    assert_eq!(browser.heading().await, "base");
    let nobody = server.request(reqwest::Method::GET, &download).send().await.unwrap();
    assert!(!nobody.url().path().contains("download"), "nobody saves without a session");
}

#[tokio::test]
async fn environments_are_refreshed_and_the_audit_is_filtered_by_mouse() {
    let server = Server::start_with(&["--demo", "--state-time", "0"]);
    person(server.data(), "ada", &["--admin"]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    browser.follow_text("Environments").await;
    let row = "return [...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('my-project')).innerText";
    let state = async || browser.js(row).await.as_str().unwrap().to_owned();
    assert!(state().await.contains("Running"), "{}", state().await);
    let call = async |path: &str| {
        let answer = server.request(reqwest::Method::GET, &format!("/1.0/{path}")).send().await.unwrap();
        support::json(answer, 200).await
    };
    let password = PASSWORD.replace(' ', "+");
    let signed_in = call(&format!("users/authentication/rest/signin?login=ada&password={password}")).await;
    let session = signed_in["session"].as_str().unwrap();
    let stopped = call(&format!("environment/control/rest/stopenv?envName=my-project&session={session}")).await;
    assert_eq!(stopped["result"], 0);
    browser.follow_text("Refresh").await;
    assert!(state().await.contains("Stopped"), "{}", state().await);

    browser.follow_text("Audit").await;
    let rows = async || browser.js("return document.querySelectorAll('tbody tr').length").await.as_u64().unwrap();
    let all = rows().await;
    browser.type_into("#action", "environment").await;
    browser.follow_text("Filter").await;
    let some = rows().await;
    assert!(some > 0 && some < all, "{some} of {all}");
    browser.type_into("#actor", "nobody at all").await;
    browser.follow_text("Filter").await;
    assert_eq!(browser.path().await, "/audit?actor=nobody+at+all&action=environment");
    assert_eq!(rows().await, 0);
}

#[tokio::test]
async fn every_page_fits_narrow_and_wide_in_light_and_dark_and_asks_no_other_server() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = server.admin().await;
    let package = support::package("a-package-with-quite-a-long-name-of-somebody", "10.20.30-preview.4", &[], 5_000);
    assert_eq!(session.publish("", package).await.status(), 201);
    let name = "w".repeat(100);
    for arguments in [&["--name", &name, "--description", &name][..], &["--name", "old", "--expires", "2020-01-01"]] {
        server.run(&[&["token", "create", "--user", "ada"], arguments].concat());
    }
    let list = server.run(&["token", "list", "--user", "ada"]);
    let id = list.lines().next().unwrap().split('\t').next().unwrap();
    let Some(browser) = Browser::start(&server.url).await else { return };
    let mut pages = vec!["/sign-in".to_owned(), "/setup".into()];
    let signed_in = [
        "/packages",
        "/packages/a-package-with-quite-a-long-name-of-somebody",
        "/tokens",
        "/tokens/new",
        "/audit",
        "/account",
        "/nowhere",
        "/settings/tokens",
        "/settings/tokens/generate",
        "/settings/methods/environment/control/stopenv",
        "/environments",
    ];
    pages.extend(signed_in.map(str::to_owned));
    pages.extend(["edit", "copy", "regenerate", "revoke", "remove"].map(|page| format!("/tokens/{id}/{page}")));
    for (number, path) in pages.iter().enumerate() {
        if number == 2 {
            browser.sign_in("ada", PASSWORD).await;
        }
        for (width, dark) in [(1280, false), (1280, true), (700, false), (360, true), (360, false)] {
            browser.look(width, dark).await;
            browser.open(path).await;
            let fits = "const e = document.documentElement; return e.scrollWidth <= e.clientWidth && e.clientWidth";
            assert_eq!(browser.js(fits).await, width, "{path} at {width}");
            let faint = browser.js(include_str!("browser/contrast.js")).await;
            assert_eq!(faint, json!([]), "{path} at {width}, dark: {dark}");
            let nameless = "return [...document.querySelectorAll('input:not([type=hidden], [aria-hidden]), select, textarea, button, a')] \
                            .filter((e) => !(e.labels?.length || e.getAttribute('aria-labelledby') || e.innerText.trim() || e.textContent.trim())).map((e) => e.outerHTML)";
            assert_eq!(browser.js(nameless).await, json!([]), "{path}: without a name to hear");
        }
    }
    let own = format!("{}/", server.url);
    let foreign: Vec<_> = browser
        .requests()
        .await
        .into_iter()
        .filter(|url| !url.starts_with(&own) && !url.starts_with("data:"))
        .collect();
    assert_eq!(foreign, Vec::<String>::new());
    let complaints: Vec<_> = browser.complaints().await.into_iter().filter(|line| !line.contains("404")).collect();
    assert_eq!(complaints, Vec::<String>::new());
}

#[tokio::test]
async fn access_tokens_are_generated_edited_copied_and_removed_with_the_password() {
    let server = Server::start_with(&["--demo", "--state-time", "0"]);
    person(server.data(), "ada", &[]);
    let Some(browser) = Browser::start(&server.url).await else { return };
    browser.sign_in("ada", PASSWORD).await;
    let shown = async || browser.js("return document.querySelector('#value').value").await.as_str().unwrap().to_owned();
    let call = async |method: &str, value: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("envName", "my-project"), ("session", value)])
            .finish();
        let path = format!("/1.0/environment/control/rest/{method}?{query}");
        let answer = server.request(reqwest::Method::GET, &path).send().await.unwrap();
        support::json(answer, 200).await["result"].as_i64().unwrap()
    };

    browser.open("/settings/tokens").await;
    browser.follow_text("Generate").await;
    browser.type_into("#description", "stop <b>at night</b>").await;
    browser.type_into("#expires", "31-02-2999").await;
    browser.find("#set-custom").await.click().await.unwrap();
    browser.type_into("#search", "control stopenv").await;
    browser.find("#environment-control-stopenv").await.click().await.unwrap();
    browser.type_into("#search", "").await;
    browser.find("#only-checked").await.click().await.unwrap();
    browser.until("[...document.querySelectorAll('.method')].filter((m) => m.checkVisibility()).length === 1").await;
    browser.follow("main button.primary").await;
    assert!(browser.has("#expires-error").await);
    browser.type_into("#expires", "31-12-2999").await;
    browser.type_into("#password", PASSWORD).await;
    browser.follow("main button.primary").await;
    assert!(browser.text().await.contains("holds '<' or '>'"), "{}", browser.text().await);
    browser.type_into("#description", "stop & \"start\" at night").await;
    browser.type_into("#password", "not the password").await;
    browser.follow("main button.primary").await;
    assert!(browser.has("#password-error").await && !browser.has("#expires-error").await);
    assert_eq!(browser.js("return document.querySelector('#password').value").await, "");
    browser.type_into("#password", PASSWORD).await;
    browser.follow("main button.primary").await;
    let value = shown().await;
    assert_eq!(call("stopenv", &value).await, 0);
    assert_ne!(call("startenv", &value).await, 0, "only what was checked");
    browser.open("/environments").await;
    let table = browser.find("tbody").await.text().await.unwrap();
    assert!(table.contains("my-project") && table.contains("Stopped"), "{table}");

    browser.open("/settings/tokens").await;
    let row = browser.find("tbody tr").await.text().await.unwrap();
    for part in ["stop & \"start\" at night", "Custom, 1 method", "31-12-2999", "Active"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    browser.find("tbody tr td[data-label=API]").await.click().await.unwrap();
    browser.follow_text("Copy").await;
    browser.type_into("#password", PASSWORD).await;
    browser.follow("main button.primary").await;
    assert_eq!(call("getenvinfo", &shown().await).await.signum(), 1, "the copy may no more");
    browser.open("/settings/tokens").await;
    browser.find("tbody tr:nth-child(2) td[data-label=API]").await.click().await.unwrap();
    browser.follow_text("Edit").await;
    browser.find("#set-extended-access").await.click().await.unwrap();
    browser.type_into("#password", PASSWORD).await;
    browser.follow("main button.primary").await;
    assert_eq!(call("startenv", &value).await, 0, "edited, it may more");

    browser.find("tbody tr:nth-child(2) td[data-label=API]").await.click().await.unwrap();
    browser.follow_text("Edit").await;
    browser.follow_text("Regenerate the token").await;
    browser.type_into("#password", PASSWORD).await;
    browser.follow("main button.primary").await;
    assert_ne!(shown().await, value);
    assert_ne!(call("stopenv", &value).await, 0, "the old value is void");

    // Both rows, by Shift with the mouse; then with the keyboard alone.
    browser.open("/settings/tokens").await;
    let choose = "const [first, second] = document.querySelectorAll('tbody td[data-label=API]'); \
                  first.click(); second.dispatchEvent(new MouseEvent('click', { bubbles: true, shiftKey: true })); \
                  return document.querySelectorAll('input[data-row]:checked').length";
    assert_eq!(browser.js(choose).await, 2);
    assert_eq!(browser.js("return document.querySelector('[data-needs=one]').disabled").await, true);
    let toggle = "document.querySelector('tbody td[data-label=API]') \
                  .dispatchEvent(new MouseEvent('click', { bubbles: true, ctrlKey: true })); \
                  return document.querySelectorAll('input[data-row]:checked').length";
    assert_eq!(browser.js(toggle).await, 1);
    browser.open("/settings/tokens").await;
    browser.tab_to("id").await;
    browser.press(SPACE).await;
    browser.tab_to("id").await;
    browser.press(SPACE).await;
    browser.find("[data-needs=some]").await.send_keys(ENTER).await.unwrap();
    browser.until("document.querySelector('h1').innerText === 'Remove these tokens?'").await;
    browser.type_into("#password", PASSWORD).await;
    browser.leave(browser.press(ENTER)).await;
    assert!(browser.text().await.contains("No access tokens yet"));
}
