//! The pages as HTTP has them: headers, cookies, and forms that must not count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::visitor::{Seal, Visitor, shown_value, value_of};
use support::{PASSWORD, Server, header, person};

/// Makes a token; gives the answer's status and text.
async fn make(visitor: &mut Visitor<'_>, seal: &Seal, name: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let fields = [("csrf", seal.csrf.as_str()), ("form", seal.form.as_str()), ("name", name)];
    let answer = visitor.post("/tokens/new", &fields, headers).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn tokens(server: &Server) -> usize {
    server.run(&["token", "list"]).lines().count()
}

#[tokio::test]
async fn every_page_forbids_what_is_not_its_own_and_is_kept_nowhere() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    for path in [
        "/packages",
        "/tokens",
        "/tokens/new",
        "/audit",
        "/account",
        "/sign-in",
        "/setup",
        "/nowhere",
        "/tokens/x/edit",
    ] {
        let answer = ada.get(path).await;
        let headers = answer.headers();
        let policy = header(headers, "content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
        assert_eq!(header(headers, "referrer-policy"), "no-referrer");
        assert_eq!(header(headers, "cache-control"), "no-store", "{path}");
        assert!(header(headers, "content-type").starts_with("text/html"), "{path}");
        let page = answer.text().await.unwrap();
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn style_and_script_are_kept_without_end_under_a_name_of_their_content() {
    let server = Server::start();
    let mut visitor = Visitor::new(&server);
    let page = visitor.get("/sign-in").await.text().await.unwrap();
    for (extension, kind) in [("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")] {
        let end = page.find(&format!(".{extension}\"")).unwrap();
        let start = page[..end].rfind('"').unwrap() + 1;
        let path = format!("{}.{extension}", &page[start..end]);
        let answer = visitor.get(&path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(header(answer.headers(), "cache-control").contains("immutable"));
        assert!(header(answer.headers(), "content-type").starts_with(kind));
        let etag = header(answer.headers(), "etag").to_owned();
        let request = visitor.client.get(format!("{}{path}", server.url)).header("if-none-match", etag);
        assert_eq!(request.send().await.unwrap().status(), 304);
    }
    assert_eq!(visitor.get("/assets/style-0000000000000000.css").await.status(), 404);
}

#[tokio::test]
async fn whoever_has_no_session_is_sent_to_sign_in_and_comes_back() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut visitor = Visitor::new(&server);
    let answer = visitor.get("/tokens?filter=a%20b").await;
    assert_eq!(
        (answer.status().as_u16(), header(answer.headers(), "location")),
        (303, "/sign-in?next=%2Ftokens%3Ffilter%3Da%2520b")
    );
    for (next, place) in [
        ("/tokens?filter=a%20b", "/tokens?filter=a%20b"),
        ("//evil.example", "/packages"),
        ("https://evil.example", "/packages"),
    ] {
        let page = visitor.get("/sign-in").await.text().await.unwrap();
        let csrf = value_of(&page, "csrf");
        let fields = [("csrf", csrf.as_str()), ("name", "ada"), ("password", PASSWORD), ("next", next)];
        let answer = visitor.post("/sign-in", &fields, &[]).await;
        assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, place));
    }
    visitor.cookies = vec![("uss-session".into(), "forged-forged-forged".into())];
    assert_eq!(visitor.get("/tokens").await.status(), 303, "a forged cookie opens nothing");
}

#[tokio::test]
async fn a_sign_in_makes_a_new_session_and_a_sign_out_ends_it() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::new(&server);
    ada.cookies.push(("uss-session".into(), "planted-by-somebody".into()));
    ada.sign_in("ada").await;
    let first = ada.cookie("uss-session").unwrap().to_owned();
    assert_ne!(first, "planted-by-somebody");
    let mut other = Visitor::signed_in(&server, "ada").await;
    assert_ne!(other.cookie("uss-session"), Some(first.as_str()));

    let seal = ada.seal("/account").await;
    let fields = [("csrf", seal.csrf.as_str()), ("form", seal.form.as_str())];
    assert_eq!(ada.post("/sign-out", &fields, &[]).await.status(), 303);
    assert!(ada.cookie("uss-session").is_none());
    ada.cookies = vec![("uss-session".into(), first)];
    assert_eq!(ada.get("/tokens").await.status(), 303, "the value is worth nothing any more");
    assert_eq!(other.get("/tokens").await.status(), 200, "the other browser stays signed in");
}

#[tokio::test]
async fn a_form_counts_once_and_only_from_its_own_session() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "bob", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let mut bob = Visitor::signed_in(&server, "bob").await;
    let foreign = bob.seal("/tokens/new").await;
    let seal = ada.seal("/tokens/new").await;

    let without = Seal { csrf: String::new(), ..seal.clone() };
    let wrong = Seal { csrf: "0".repeat(64), ..seal.clone() };
    let no_number = Seal { form: String::new(), ..seal.clone() };
    for (bad, status) in [(&without, 403), (&wrong, 403), (&foreign, 403), (&no_number, 409)] {
        assert_eq!(make(&mut ada, bad, "bad", &[]).await.0, status);
    }
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "null")],
    ] {
        assert_eq!(make(&mut ada, &seal, "bad", headers).await.0, 403, "{headers:?}");
    }
    assert_eq!(ada.get("/tokens/new?name=bad").await.status(), 200);
    assert_eq!(tokens(&server), 0, "nothing was made");

    let (status, page) = make(&mut ada, &seal, "good", &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await;
    assert_eq!(status, 200);
    let value = shown_value(&page);
    let (status, again) = make(&mut ada, &seal, "good", &[]).await;
    assert_eq!(status, 409, "sent again it does not count");
    assert!(!again.contains(&value) && tokens(&server) == 1);
    assert_eq!(server.exchange("ada", &value).await.status(), 200);

    let json = ada.client.post(format!("{}/tokens/new", server.url)).header("cookie", ada.cookies()).body("{}");
    assert_eq!(json.send().await.unwrap().status(), 415);
    let large = ada.post("/tokens/new", &[("csrf", &seal.csrf), ("name", &"x".repeat(1 << 20))], &[]).await;
    assert_eq!(large.status(), 413);
}

#[tokio::test]
async fn anothers_token_is_as_unknown_as_none() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "bob", &[]);
    server.run(&["token", "create", "--user", "bob", "--name", "bobs"]);
    let list = server.run(&["token", "list"]);
    let id = list.split('\t').next().unwrap();
    let mut ada = Visitor::signed_in(&server, "ada").await;
    for page in ["edit", "copy", "regenerate", "revoke", "remove"] {
        let path = format!("/tokens/{id}/{page}");
        let shown = ada.get(&path).await;
        assert_eq!(shown.status(), 404);
        let seal = ada.seal("/tokens/new").await;
        let fields = [("csrf", seal.csrf.as_str()), ("form", seal.form.as_str()), ("name", "mine")];
        assert_eq!(ada.post(&path, &fields, &[]).await.status(), 404);
    }
    assert_eq!(server.run(&["token", "list"]), list, "nothing was changed");
}

#[tokio::test]
async fn a_name_that_is_empty_or_endless_is_refused_with_what_was_typed() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let long = "x".repeat(10_000);
    for (name, expires, error) in [
        ("", "", "Give the token a name"),
        (long.as_str(), "", "The name has 10000 characters"),
        ("old", "2020-01-01", "This day is over"),
        ("odd", "soon", "This is no date"),
    ] {
        let seal = ada.seal("/tokens/new").await;
        let fields = [
            ("csrf", seal.csrf.as_str()),
            ("form", seal.form.as_str()),
            ("name", name),
            ("description", "kept <b>"),
            ("expires", expires),
        ];
        let answer = ada.post("/tokens/new", &fields, &[]).await;
        assert_eq!(answer.status(), 422);
        let page = answer.text().await.unwrap();
        assert!(page.contains(error) && page.contains("kept &lt;b&gt;"), "{page}");
    }
    assert_eq!(tokens(&server), 0);
}

#[tokio::test]
async fn only_administrators_see_the_audit() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "bob", &[]);
    let mut ada = Visitor::signed_in(&server, "ada").await;
    let mut bob = Visitor::signed_in(&server, "bob").await;
    let page = ada.get("/audit?action=session").await.text().await.unwrap();
    assert!(page.contains("session.begin") && !page.contains("user.add"), "{page}");
    assert_eq!(bob.get("/audit").await.status(), 403);
    assert!(!bob.get("/packages").await.text().await.unwrap().contains("href=\"/audit\""));
}

#[tokio::test]
async fn programs_are_told_of_a_missing_call_as_before() {
    let server = Server::start();
    let answer = server.request(reqwest::Method::GET, "/api/v1/nothing").send().await.unwrap();
    support::problem(answer, 404, "not-found").await;
}
