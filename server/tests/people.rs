//! People who sign in with a password: what they may, how wrong ones are answered, and the first administrator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::*;

/// Runs a command that reads a password.
fn with_password(data: &Path, arguments: &[&str], password: &str) {
    let mut child = program(data, arguments).arg("--password-stdin").stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    assert!(child.wait().unwrap().success(), "{arguments:?}");
}

async fn try_sign_in(server: &Server, name: &str, password: &str) -> Response {
    let body = json!({ "userName": name, "password": password });
    server.request(Method::POST, "/api/v1/Account/signin").body(body.to_string()).send().await.unwrap()
}

async fn sign_in<'s>(server: &'s Server, name: &str) -> Session<'s> {
    let answer = json(try_sign_in(server, name, PASSWORD).await, 200).await;
    assert!(answer["expires"].as_str().unwrap() > "2026");
    Session { server, bearer: answer["token"].as_str().unwrap().to_owned() }
}

async fn send(session: &Session<'_>, method: Method, path: &str, body: Value) -> Response {
    session.request(method, &format!("/api/v1/PersonalTokens{path}")).body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn a_persons_tokens_live_their_whole_life() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let ada = sign_in(&server, "ADA@example.com").await;
    let made =
        send(&ada, Method::POST, "", json!({ "name": "ci", "description": "nightly", "expires": "2999-12-31" })).await;
    assert_eq!(header(made.headers(), "cache-control"), "no-store");
    let made = json(made, 201).await;
    let (id, value) = (made["id"].as_str().unwrap(), made["value"].as_str().unwrap());
    assert_eq!((value.len(), &made["status"], &made["kind"]), (88, &json!("Active"), &json!("personal")));
    let script = server.sign_in("ada", value).await;
    assert_eq!(script.get("/api/v1/Packages").await.status(), 200);

    let listed = json(ada.get("/api/v1/PersonalTokens").await, 200).await;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["lastUsedFrom"]), (1, &json!("127.0.0.1")));
    assert!(listed[0].get("value").is_none(), "shown once");

    let edited = send(&ada, Method::PATCH, &format!("/{id}"), json!({ "name": "ci 2", "expires": null })).await;
    let edited = json(edited, 200).await;
    assert_eq!(
        (&edited["name"], &edited["description"], &edited["expires"]),
        (&json!("ci 2"), &json!("nightly"), &json!(null))
    );

    // A new value ends the old one and the bearers that came from it; the next bearer works.
    let again = json(send(&ada, Method::POST, &format!("/{id}/regenerate"), json!({})).await, 200).await;
    let new = again["value"].as_str().unwrap();
    problem(script.get("/api/v1/Packages").await, 401, "invalid-token").await;
    problem(server.exchange("ada", value).await, 401, "invalid-token").await;
    let script = server.sign_in("ada", new).await;
    assert_eq!(script.get("/api/v1/Packages").await.status(), 200);

    let copied = json(send(&ada, Method::POST, &format!("/{id}/copy"), json!({ "name": "other" })).await, 201).await;
    assert_eq!((&copied["name"], &copied["description"]), (&json!("other"), &json!("nightly")));
    let revoked = json(send(&ada, Method::POST, &format!("/{id}/revoke"), json!({})).await, 200).await;
    assert_eq!(revoked["status"], "Revoked");
    problem(script.get("/api/v1/Packages").await, 401, "invalid-token").await;
    assert_eq!(send(&ada, Method::DELETE, &format!("/{id}"), json!({})).await.status(), 204);
    problem(send(&ada, Method::DELETE, &format!("/{id}"), json!({})).await, 404, "token-not-found").await;
    assert_eq!(json(ada.get("/api/v1/PersonalTokens").await, 200).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_settings_and_other_peoples_tokens_are_refused_and_nothing_changes() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "bob", &[]);
    let (ada, bob) = (sign_in(&server, "ada").await, sign_in(&server, "bob").await);
    let long = "n".repeat(10_000);
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({}), "name"),
        (json!({ "name": long }), "name"),
        (json!({ "name": "a\u{0}b" }), "name"),
        (json!({ "name": "<script>alert(1)</script>" }), "name"),
        (json!({ "name": "n", "expires": "2020-01-01" }), "expires"),
        (json!({ "name": "n", "expires": "soon" }), "expires"),
        (json!({ "name": "n", "kind": "access" }), "kind"),
    ] {
        let told = problem(send(&ada, Method::POST, "", body.clone()).await, 422, "invalid-token-settings").await;
        assert_eq!(told["field"], field, "{body}");
    }
    problem(send(&ada, Method::POST, "", json!({ "name": "n", "expirs": "2999-01-01" })).await, 400, "bad-request")
        .await;
    let script = send(&ada, Method::POST, "", json!({ "name": "n", "description": "<script>alert(1)</script>" }));
    let script = json(script.await, 201).await;
    assert_eq!(script["description"], "<script>alert(1)</script>", "a description is any text");
    let id = script["id"].as_str().unwrap();
    for (method, path) in [
        (Method::PATCH, format!("/{id}")),
        (Method::POST, format!("/{id}/revoke")),
        (Method::POST, format!("/{id}/regenerate")),
        (Method::POST, format!("/{id}/copy")),
        (Method::DELETE, format!("/{id}")),
    ] {
        problem(send(&bob, method, &path, json!({})).await, 404, "token-not-found").await;
    }
    let listed = json(ada.get("/api/v1/PersonalTokens").await, 200).await;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["status"]), (1, &json!("Active")));
}

#[tokio::test]
async fn a_token_makes_no_token_and_a_person_publishes_as_the_user_may() {
    let server = Server::start();
    let admin = server.admin().await;
    problem(send(&admin, Method::POST, "", json!({ "name": "n" })).await, 403, "person-required").await;
    problem(admin.get("/api/v1/PersonalTokens").await, 403, "person-required").await;
    person(server.data(), "ada", &[]);
    let ada = sign_in(&server, "ada").await;
    assert_eq!(ada.get("/api/v1/Packages").await.status(), 200);
    problem(ada.publish("", package("a", "1.0", &[], 10)).await, 403, "forbidden").await;
}

#[tokio::test]
async fn a_client_services_token_may_only_read_and_ends_after_twelve_months() {
    let server = Server::start();
    person(server.data(), "ada", &["--admin"]);
    let ada = sign_in(&server, "ada").await;
    ada.publish("", package("a", "1.0", &[], 10)).await;
    let made = json(send(&ada, Method::POST, "", json!({ "name": "till", "kind": "client-service" })).await, 201).await;
    let years = |text: &Value| text.as_str().unwrap()[..4].parse::<i32>().unwrap();
    assert_eq!((&made["kind"], years(&made["expires"]) - years(&made["created"])), (&json!("client-service"), 1));
    let till = server.sign_in("ada", made["value"].as_str().unwrap()).await;
    assert_eq!(till.content("a", "1.0").await.status(), 200);
    problem(till.publish("", package("b", "1.0", &[], 10)).await, 403, "forbidden").await;
    let delete = till.request(Method::DELETE, "/api/v1/Packages?packageId=a&version=1.0").send().await.unwrap();
    problem(delete, 403, "forbidden").await;
    assert_eq!(till.content("a", "1.0").await.status(), 200);
}

#[tokio::test]
async fn a_failed_sign_in_tells_nothing_and_too_many_wait() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    server.user("without", false);
    let mut told = Vec::new();
    for name in ["ada", "nobody", "without"] {
        told.push(problem(try_sign_in(&server, name, "wrong password").await, 401, "invalid-token").await);
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    let mut limited = None;
    for _ in 0..20 {
        let response = try_sign_in(&server, "ada", "wrong password").await;
        if response.status() == 429 {
            limited = Some(response);
            break;
        }
    }
    let limited = limited.expect("no limit");
    assert!((1..=300).contains(&header(limited.headers(), "retry-after").parse::<u64>().unwrap()));
    // Neither may whoever knows the password try now: else guessing could go on.
    problem(try_sign_in(&server, "ada", PASSWORD).await, 429, "too-many-failures").await;
    let text =
        server.request(Method::POST, "/api/v1/Account/signin").body("{\"password\":\"hunter2\"").send().await.unwrap();
    assert!(!problem(text, 400, "bad-request").await.to_string().contains("hunter2"));
}

#[tokio::test]
async fn right_passwords_count_towards_no_limit() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    for _ in 0..12 {
        sign_in(&server, "ada").await;
    }
}

#[tokio::test]
async fn a_session_ends_by_signing_out_a_new_password_and_being_kept_out() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let out = |session: &Session<'_>, query: &str| {
        session.request(Method::POST, &format!("/api/v1/Account/signout{query}")).send()
    };
    let (one, two, three) =
        (sign_in(&server, "ada").await, sign_in(&server, "ada").await, sign_in(&server, "ada").await);
    let works = async |session: &Session<'_>| session.get("/api/v1/Packages").await.status() == 200;
    assert_eq!(out(&one, "").await.unwrap().status(), 204);
    assert_eq!((works(&one).await, works(&two).await), (false, true));
    assert_eq!(out(&two, "?everywhere=true").await.unwrap().status(), 204);
    assert_eq!((works(&two).await, works(&three).await), (false, false));

    let four = sign_in(&server, "ada").await;
    with_password(server.data(), &["user", "password", "ada"], "another password");
    assert!(!works(&four).await);
    problem(try_sign_in(&server, "ada", PASSWORD).await, 401, "invalid-token").await;
    with_password(server.data(), &["user", "password", "ada"], PASSWORD);
    let five = sign_in(&server, "ada").await;
    server.run(&["user", "disable", "ada"]);
    assert!(!works(&five).await);
    problem(try_sign_in(&server, "ada", PASSWORD).await, 401, "invalid-token").await;
    server.run(&["user", "enable", "ada"]);
    sign_in(&server, "ada").await;
}

#[tokio::test]
async fn lost_keys_are_no_reason_to_void_every_token_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    run(&data, &["user", "add", "ada", "--email", "ada@example.com"]);
    run(&data, &["token", "create", "--user", "ada", "--name", "n"]);
    let keys = data.join("keys.json");
    std::fs::rename(&keys, data.join("kept")).unwrap();
    let told = fail(&data, &["token", "list"]);
    assert!(told.contains("keys.json is missing") && told.contains("keys new"), "{told}");
    assert!(!keys.exists());
    std::fs::copy(data.join("kept"), &keys).unwrap();
    assert_eq!(run(&data, &["token", "list"]).lines().count(), 1);
    assert!(fail(&data, &["keys", "new"]).contains("nothing was changed"));
    let other = folder.path().join("other");
    run(&other, &["user", "add", "ada", "--email", "ada@example.com"]);
    std::fs::copy(other.join("keys.json"), &keys).unwrap();
    let told = fail(&data, &["user", "list"]);
    assert!(told.contains("other keys") && told.contains("keys new"), "{told}");
    std::fs::remove_file(&keys).unwrap();
    run(&data, &["keys", "new"]);
    assert_eq!(run(&data, &["token", "list"]), "");
    run(&data, &["token", "create", "--user", "ada", "--name", "n"]);
}
