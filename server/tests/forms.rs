//! Each form of the pages, sent as a browser without script sends it; and over https.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use reqwest::Method;
use serde_json::Value;
use support::visitor::{Visitor, form_of, shown_value};
use support::{PASSWORD, Server, header, person};

/// The place that an answer sends to.
fn place(answer: &reqwest::Response) -> (u16, &str) {
    (answer.status().as_u16(), header(answer.headers(), "location"))
}

async fn shown(answer: reqwest::Response) -> String {
    assert_eq!(answer.status(), 200);
    shown_value(&answer.text().await.unwrap())
}

/// The result of a call of the platform's with a token.
async fn call(server: &Server, method: &str, token: &str) -> i64 {
    let pairs = [("envName", "my-project"), ("session", token)];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = server.request(Method::GET, &format!("/1.0/environment/control/rest/{method}?{query}"));
    let answer: Value = support::json(request.send().await.unwrap(), 200).await;
    answer["result"].as_i64().unwrap()
}

/// The id of the token of this name.
fn id(server: &Server, name: &str) -> String {
    let list = server.run(&["token", "list"]);
    let line = list.lines().find(|line| line.split('\t').any(|part| part == name)).unwrap_or_else(|| panic!("{list}"));
    line.split('\t').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_forms_of_an_account_are_sent_without_script() {
    let (server, link) = Server::start_with_link();
    let mut ada = Visitor::new(&server);
    let key = link.split('#').nth(1).unwrap();
    let typed = [
        ("key", key),
        ("name", "ada"),
        ("email", "ada@example.com"),
        ("new-password", PASSWORD),
        ("new-password-again", PASSWORD),
    ];
    let answer = ada.fill("/setup", "/setup", &typed).await;
    assert_eq!(place(&answer), (303, "/sign-in?done=setup"));
    let typed = [("name", "ada"), ("password", "wrong wrong")];
    assert_eq!(ada.fill("/sign-in", "/sign-in", &typed).await.status(), 401);
    let typed = [("name", "ada"), ("password", PASSWORD)];
    let answer = ada.fill("/sign-in?next=%2Faudit", "/sign-in", &typed).await;
    assert_eq!(place(&answer), (303, "/audit"));
    assert_eq!(ada.get("/audit").await.status(), 200);

    let new =
        [("password", PASSWORD), ("new-password", "quite another one"), ("new-password-again", "quite another one")];
    let answer = ada.fill("/account", "/account/password", &new).await;
    assert_eq!(place(&answer), (303, "/sign-in?done=password"));
    assert_eq!(ada.get("/account").await.status(), 303, "every session is over");
    let typed = [("name", "ada"), ("password", "quite another one")];
    assert_eq!(place(&ada.fill("/sign-in", "/sign-in", &typed).await), (303, "/packages"));
    let answer = ada.fill("/account", "/account/sign-out-everywhere", &[]).await;
    assert_eq!(place(&answer), (303, "/sign-in?done=everywhere"));
    assert_eq!(place(&ada.fill("/sign-in", "/sign-in", &typed).await), (303, "/packages"));
    let answer = ada.fill("/packages", "/sign-out", &[]).await;
    assert_eq!(place(&answer), (303, "/sign-in?done=signed-out"));
    assert_eq!(ada.get("/packages").await.status(), 303);
}

#[tokio::test]
async fn the_forms_of_personal_tokens_are_sent_without_script() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let typed = [("name", "nightly"), ("description", "one\r\ntwo <b>"), ("expires", "2999-12-31")];
    let value = shown(ada.fill("/tokens/new", "/tokens/new", &typed).await).await;
    assert_eq!(server.exchange("ada", &value).await.status(), 200);
    let nightly = id(&server, "nightly");
    let path = |page: &str| format!("/tokens/{nightly}/{page}");

    // What is not typed stays, as the form holds it.
    let page = ada.get(&path("edit")).await.text().await.unwrap();
    let held = form_of(&page, &path("edit"));
    assert!(held.contains(&("description".into(), "one\ntwo <b>".into())), "{held:?}");
    assert!(held.contains(&("expires".into(), "2999-12-31".into())), "{held:?}");
    let answer = ada.fill(&path("edit"), &path("edit"), &[("name", "weekly")]).await;
    assert_eq!(place(&answer), (303, "/tokens?done=saved"));
    assert_eq!(id(&server, "weekly"), nightly);

    let copy = shown(ada.fill(&path("copy"), &path("copy"), &[]).await).await;
    assert_eq!(server.exchange("ada", &copy).await.status(), 200);
    assert_ne!(id(&server, "weekly (copy)"), nightly);
    let new = shown(ada.fill(&path("regenerate"), &path("regenerate"), &[]).await).await;
    assert_eq!(server.exchange("ada", &value).await.status(), 401);
    assert_eq!(server.exchange("ada", &new).await.status(), 200);
    let answer = ada.fill(&path("revoke"), &path("revoke"), &[]).await;
    assert_eq!(place(&answer), (303, "/tokens?done=revoked"));
    assert_eq!(server.exchange("ada", &new).await.status(), 401);
    let answer = ada.fill(&path("remove"), &path("remove"), &[]).await;
    assert_eq!(place(&answer), (303, "/tokens?done=removed"));
    assert_eq!(server.run(&["token", "list"]).lines().count(), 1);
}

#[tokio::test]
async fn an_expired_token_gets_a_new_value_with_a_day_to_come_and_neither_without() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let old = server.run(&["token", "create", "--user", "ada", "--name", "old", "--expires", "2020-01-01"]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let path = format!("/tokens/{}/regenerate", id(&server, "old"));
    let before = server.run(&["token", "list"]);
    let answer = ada.fill(&path, &path, &[]).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.unwrap().contains("This day is over"));
    assert_eq!(server.run(&["token", "list"]), before);
    let value = shown(ada.fill(&path, &path, &[("expires", "2999-12-31")]).await).await;
    assert_eq!(server.exchange("ada", &value).await.status(), 200);
    assert_eq!(server.exchange("ada", &old).await.status(), 401);
}

#[tokio::test]
async fn the_hundred_and_first_token_is_refused_new_or_copied() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    for _ in 0..99 {
        server.token("ada");
    }
    server.run(&["token", "create", "--user", "ada", "--name", "last"]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let copy = format!("/tokens/{}/copy", id(&server, "last"));
    let before = server.run(&["token", "list"]);
    for (path, typed) in [("/tokens/new", &[("name", "one more")][..]), (copy.as_str(), &[])] {
        let answer = ada.fill(path, path, typed).await;
        assert_eq!(answer.status(), 422, "{path}");
        assert!(answer.text().await.unwrap().contains("100 tokens"), "{path}");
    }
    let typed = [("description", "one more"), ("set", "Extended Access"), ("password", PASSWORD)];
    let generate = "/settings/tokens/generate";
    assert_eq!(ada.fill(generate, generate, &typed).await.status(), 422);
    assert_eq!(server.run(&["token", "list"]), before, "nothing was made");
}

#[tokio::test]
async fn a_wrong_password_changes_no_access_token_and_no_password() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let generate = "/settings/tokens/generate";
    let typed = |password| [("description", "kept"), ("set", "Extended Access"), ("password", password)];
    shown(ada.fill(generate, generate, &typed(PASSWORD)).await).await;
    let before = server.run(&["token", "list"]);
    let path = |page: &str| format!("/settings/tokens/{page}?id={}", id(&server, "kept"));
    assert_eq!(ada.fill(generate, generate, &typed("wrong")).await.status(), 422);
    for page in ["edit", "copy", "regenerate", "remove"] {
        let answer = ada.fill(&path(page), &path(page), &[("password", "wrong")]).await;
        assert_eq!(answer.status(), 422, "{page}");
        assert!(answer.text().await.unwrap().contains("This is not your password."), "{page}");
    }
    let new =
        [("password", "wrong"), ("new-password", "quite another one"), ("new-password-again", "quite another one")];
    assert_eq!(ada.fill("/account", "/account/password", &new).await.status(), 422);
    assert_eq!(server.run(&["token", "list"]), before, "nothing was changed");
    Visitor::signed_in(&server, "ada").await;
}

#[tokio::test]
async fn the_forms_of_access_tokens_are_sent_without_script() {
    const LIST: &str = "/settings/tokens";
    let server = Server::start_with(&["--demo", "--state-time", "0"]);
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let generate = format!("{LIST}/generate");
    let password = ("password", PASSWORD);
    let stop = ("method", "environment/control/stopenv");
    // A look at the methods keeps what was typed.
    let typed = [("description", "stop"), ("set", "custom"), stop, ("search", "startenv"), ("do", "look")];
    let looked = ada.fill(&generate, &generate, &typed).await;
    assert_eq!(looked.status(), 200);
    let page = looked.text().await.unwrap();
    let held = form_of(&page, &generate);
    for part in [("description", "stop"), ("set", "custom"), stop] {
        assert!(held.contains(&(part.0.to_owned(), part.1.to_owned())), "{part:?}: {held:?}");
    }
    let typed = [("description", "stop"), ("set", "custom"), stop, ("expires", "31-12-2999"), password];
    let value = shown(ada.fill(&generate, &generate, &typed).await).await;
    assert_eq!((call(&server, "stopenv", &value).await, call(&server, "startenv", &value).await), (0, 8202));

    let token = id(&server, "stop");
    // The list's form is sent by GET, with the checked ids.
    let path = |page: &str| format!("{LIST}/{page}?id={token}");
    let typed = [("set", "Extended Access"), password];
    assert_eq!(place(&ada.fill(&path("edit"), &path("edit"), &typed).await), (303, "/settings/tokens?done=saved"));
    assert_eq!(call(&server, "startenv", &value).await, 0);
    let copy = shown(ada.fill(&path("copy"), &path("copy"), &[("description", "copy"), password]).await).await;
    assert_eq!(call(&server, "stopenv", &copy).await, 0);
    let new = shown(ada.fill(&path("regenerate"), &path("regenerate"), &[password]).await).await;
    assert_eq!((call(&server, "startenv", &value).await, call(&server, "startenv", &new).await), (702, 0));
    let both = format!("{LIST}/remove?id={}&id={token}", id(&server, "copy"));
    let refused = ada.fill(&both, &sorted(&both), &[]).await;
    assert_eq!(refused.status(), 422, "without the password");
    assert_eq!(place(&ada.fill(&both, &sorted(&both), &[password]).await), (303, "/settings/tokens?done=removed"));
    assert_eq!((call(&server, "startenv", &copy).await, call(&server, "startenv", &new).await), (702, 702));
}

/// The same address with its ids oldest token first, as the page asks about them.
fn sorted(path: &str) -> String {
    let (start, ids) = path.split_once('?').unwrap();
    let mut ids: Vec<_> = ids.split('&').collect();
    ids.reverse();
    format!("{start}?{}", ids.join("&"))
}

#[tokio::test]
async fn over_https_the_session_is_this_hosts_alone_and_goes_by_https_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start_with(&["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::trusting(&server, &made.cert.pem());
    ada.get("/sign-in").await;
    assert_eq!(ada.lines.len(), 1);
    check_attributes(&ada.lines[0], "__Host-uss-visit");
    ada.sign_in("ada").await;
    let session = ada.lines.iter().find(|line| line.contains("uss-session")).unwrap().clone();
    check_attributes(&session, "__Host-uss-session");
    assert!(!session.contains("Max-Age") && !session.contains("Expires"), "until the browser is closed: {session}");
    assert!(ada.cookie("__Host-uss-visit").is_none(), "what was before the sign-in is over");

    // Pages and forms work, and a token's page names the server as it was reached.
    assert_eq!(ada.get("/tokens").await.status(), 200);
    let made_one = ada.fill("/tokens/new", "/tokens/new", &[("name", "n")]).await;
    let page = made_one.text().await.unwrap();
    assert!(page.contains(&format!("-Server '{}'", server.url)), "{page}");
    let seal = ada.seal("/tokens/new").await;
    let fields = [("csrf", seal.csrf.as_str()), ("form", seal.form.as_str()), ("name", "m")];
    let foreign = ada.post("/tokens/new", &fields, &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.status(), 403);
    let own = ada.post("/tokens/new", &fields, &[("origin", &server.url), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(own.status(), 200);

    // The value under the name that plain http uses opens nothing: whoever is on the way could have set that.
    let value = ada.cookie("__Host-uss-session").unwrap().to_owned();
    let kept = std::mem::replace(&mut ada.cookies, vec![("uss-session".into(), value)]);
    assert_eq!(ada.get("/tokens").await.status(), 303);
    ada.cookies = kept;
    assert_eq!(ada.fill("/tokens", "/sign-out", &[]).await.status(), 303);
    let cleared = ada.lines.iter().find(|line| line.contains("uss-session")).unwrap();
    check_attributes(cleared, "__Host-uss-session");
    assert!(cleared.contains("; Max-Age=0"), "{cleared}");
    assert_eq!(ada.get("/tokens").await.status(), 303);
}

/// RFC 6265bis, section 4.1.3.2: `__Host-` needs Secure, the path `/`, and no domain.
fn check_attributes(line: &str, name: &str) {
    assert!(line.starts_with(&format!("{name}=")), "{line}");
    let attributes: Vec<&str> = line.split("; ").skip(1).collect();
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(attributes.contains(&attribute), "{attribute}: {line}");
    }
    assert!(!line.contains("Domain"), "{line}");
}

#[tokio::test]
async fn on_plain_http_elsewhere_a_form_counts_by_its_token_and_the_browsers_word() {
    // No `Sec-Fetch-Site` comes there, and no cookie is marked Secure: what guards a form is the token in it, which only
    // a page of the same session has, a cookie that other sites' forms do not carry, and `Origin`.
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let cookie = ada.lines.iter().find(|line| line.starts_with("uss-session=")).unwrap();
    assert!(cookie.contains("SameSite=Lax") && cookie.contains("HttpOnly") && !cookie.contains("Secure"), "{cookie}");
    let host = ("host", "packages.example:8060");
    let seal = ada.seal("/tokens/new").await;
    let fields = [("csrf", seal.csrf.as_str()), ("form", seal.form.as_str()), ("name", "n")];
    let unsealed = [("form", seal.form.as_str()), ("name", "n")];
    for origin in ["http://evil.example", "http://packages.example", "http://packages.example:8061", "garbage"] {
        assert_eq!(ada.post("/tokens/new", &fields, &[host, ("origin", origin)]).await.status(), 403, "{origin}");
    }
    assert_eq!(ada.post("/tokens/new", &unsealed, &[host, ("origin", "null")]).await.status(), 403);
    assert_eq!(ada.post("/tokens/new", &unsealed, &[host]).await.status(), 403);
    assert_eq!(server.run(&["token", "list"]), "", "nothing was made");
    let origin = ("origin", "http://packages.example:8060");
    assert_eq!(ada.post("/tokens/new", &fields, &[host, origin]).await.status(), 200);
}
