//! The audit by the web API: what administrators read of who did what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::*;

async fn sign_in<'s>(server: &'s Server, name: &str) -> Session<'s> {
    let body = json!({ "userName": name, "password": PASSWORD }).to_string();
    let answer = server.request(reqwest::Method::POST, "/api/v1/Account/signin").body(body).send().await.unwrap();
    let answer = json(answer, 200).await;
    Session { server, bearer: answer["token"].as_str().unwrap().to_owned() }
}

fn texts<'l>(lines: &'l Value, field: &str) -> Vec<&'l str> {
    lines.as_array().unwrap().iter().map(|line| line[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_administrator_reads_it_as_a_person_and_by_a_token_and_nobody_else_does() {
    let server = Server::start();
    person(server.data(), "ada", &["--admin"]);
    person(server.data(), "bob", &[]);
    let ada = sign_in(&server, "ada").await;
    let answer = ada.get("/api/v1/Audit?action=session").await;
    assert_eq!(header(answer.headers(), "cache-control"), "no-store");
    let lines = json(answer, 200).await;
    let newest = &lines[0];
    assert_eq!(newest.as_object().unwrap().len(), 6);
    assert_eq!(
        (&newest["actor"], &newest["action"], &newest["outcome"], &newest["address"]),
        (&json!("ada"), &json!("session.begin"), &json!("signed in"), &json!("127.0.0.1"))
    );
    assert!(newest["at"].as_str().unwrap().ends_with("+00:00"));
    let made = json(ada.get("/api/v1/Audit?action=user.add&actor=COMMAND").await, 200).await;
    assert_eq!((texts(&made, "target"), &made[0]["address"]), (vec!["bob", "ada"], &Value::Null));

    let by_token = server.sign_in("ada", &server.token("ada")).await;
    assert_eq!(by_token.get("/api/v1/Audit").await.status(), 200);
    let body = json!({ "name": "till", "kind": "client-service" }).to_string();
    let till = ada.request(reqwest::Method::POST, "/api/v1/PersonalTokens").body(body).send().await.unwrap();
    let till = json(till, 201).await;
    let till = server.sign_in("ada", till["value"].as_str().unwrap()).await;
    problem(till.get("/api/v1/Audit").await, 403, "forbidden").await;
    problem(sign_in(&server, "bob").await.get("/api/v1/Audit").await, 403, "forbidden").await;
    let nobody = server.request(reqwest::Method::GET, "/api/v1/Audit").send().await.unwrap();
    problem(nobody, 401, "unauthenticated").await;
}

#[tokio::test]
async fn its_pages_hold_every_line_once_newest_first() {
    let server = Server::start();
    person(server.data(), "ada", &["--admin"]);
    for n in 0..7 {
        server.run(&["token", "create", "--user", "ada", "--name", &format!("n{n}")]);
    }
    let ada = sign_in(&server, "ada").await;
    let (mut targets, mut query) = (Vec::new(), "?limit=3&action=token.create".to_owned());
    for _ in 0..5 {
        let answer = ada.get(&format!("/api/v1/Audit{query}")).await;
        let link = header(answer.headers(), "link").to_owned();
        let lines = json(answer, 200).await;
        targets.extend(texts(&lines, "target").into_iter().map(|target| target[..2].to_owned()));
        if link.is_empty() {
            break;
        }
        query = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(targets, ["n6", "n5", "n4", "n3", "n2", "n1", "n0"]);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let server = Server::start();
    let admin = server.admin().await;
    let long = "x".repeat(201);
    for query in ["limit=0", "limit=1001", "limit=x", "before=x", "before=1", &format!("actor={long}")] {
        problem(admin.get(&format!("/api/v1/Audit?{query}")).await, 400, "bad-request").await;
    }
    // Signs that a search means itself, and no pattern.
    assert_eq!(json(admin.get("/api/v1/Audit?actor=%25&action=_").await, 200).await, json!([]));
}
