//! Injected failures do what their documentation says.
#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::*;

async fn inject(server: &Server, rules: Value) {
    let response = server.request(Method::POST, "/faults").body(rules.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 204, "{rules}");
}

async fn counts(server: &Server) -> Value {
    support::json(server.request(Method::GET, "/faults/counts").send().await.unwrap(), 200).await
}

/// What comes of a body before it ends or breaks, and whether it broke.
async fn all(mut response: Response) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, false),
            Err(_) => return (bytes, true),
        }
    }
}

#[tokio::test]
async fn a_status_hits_so_many_requests_after_so_many() {
    let server = Server::start();
    let session = server.admin().await;
    let answer = json!({ "code": 503, "retryAfter": "1", "contentType": "text/html", "body": "<title>no</title>" });
    inject(&server, json!({ "path": "/Account", "after": 1, "count": 2, "action": { "status": answer } })).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = session.get("/api/v1/Account").await;
        if response.status() == 503 {
            assert_eq!(header(response.headers(), "retry-after"), "1");
            assert_eq!(header(response.headers(), "content-type"), "text/html");
        }
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 503, 503, 200, 200]);
    assert_eq!(counts(&server).await["GET /api/v1/Account"], 5);
    assert_eq!(counts(&server).await["POST /api/v1/PersonalTokens/authenticate"], 1);
    inject(&server, json!([{ "count": null, "action": { "status": { "code": 500 } } }])).await;
    assert_eq!(session.get("/api/v1/Account").await.status(), 500);
    assert_eq!(server.request(Method::DELETE, "/faults").send().await.unwrap().status(), 204);
    assert_eq!(session.get("/api/v1/Account").await.status(), 200);
    let bad = server.request(Method::POST, "/faults").body(r#"{"action":"nix"}"#).send().await.unwrap();
    problem(bad, 400, "bad-request").await;
}

#[tokio::test]
async fn content_breaks_stalls_and_is_corrupted_where_it_should() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 3 << 20);
    session.publish("", bytes.clone()).await;
    let at = 1_500_000;

    inject(&server, json!({ "method": "GET", "path": "/content", "action": { "reset": at } })).await;
    let (received, broke) = all(session.content("a", "1.0").await).await;
    assert!(broke && !received.is_empty() && received.len() <= at && bytes.starts_with(&received));

    inject(&server, json!({ "query": "packageId=a", "action": { "corrupt": at } })).await;
    let (received, broke) = all(session.content("a", "1.0").await).await;
    assert!(!broke && received.len() == bytes.len());
    let differ: Vec<_> = (0..bytes.len()).filter(|&n| received[n] != bytes[n]).collect();
    assert_eq!(differ, [at]);

    inject(&server, json!({ "path": "/content", "action": { "stall": at } })).await;
    let mut response = session.content("a", "1.0").await;
    let mut received = 0;
    while received < at {
        received += response.chunk().await.unwrap().unwrap().len();
    }
    assert_eq!(received, at);
    assert!(tokio::time::timeout(Duration::from_millis(200), response.chunk()).await.is_err(), "nothing more comes");

    inject(&server, json!({ "path": "/content", "count": null, "action": "change" })).await;
    let response = session.content("a", "1.0").await;
    assert_eq!((header(response.headers(), "etag"), header(response.headers(), "repr-digest")), ("\"changed\"", ""));
    assert!(all(response).await.0 != bytes);
    let etag = format!("\"{}\"", sha256(&bytes));
    for (name, status) in [("if-match", 412), ("if-range", 200)] {
        let request = session.request(Method::GET, &content("a", "1.0")).header("range", "bytes=5-");
        assert_eq!(request.header(name, &etag).send().await.unwrap().status(), status, "{name}");
    }
}

#[tokio::test]
async fn a_publish_breaks_is_corrupted_and_is_done_though_its_answer_is_forgotten() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 9 << 20);
    let post = || session.request(Method::POST, "/api/v1/Packages").header("repr-digest", repr_digest(&bytes));
    inject(&server, json!({ "method": "POST", "on": "request", "action": { "reset": 5_000_000 } })).await;
    assert!(post().body(bytes.clone()).send().await.is_err());
    inject(&server, json!({ "method": "POST", "on": "request", "action": { "corrupt": 5_000_000 } })).await;
    problem(post().body(bytes.clone()).send().await.unwrap(), 422, "checksum-mismatch").await;
    assert_eq!(session.content("a", "1.0").await.status(), 404);
    inject(&server, json!({ "method": "POST", "action": "forget" })).await;
    assert!(post().body(bytes.clone()).send().await.is_err());
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn expired_bearers_stay_expired_and_new_ones_work() {
    let server = Server::start();
    let token = server.user("ada", false);
    let session = server.sign_in("ada", &token).await;
    inject(&server, json!({ "path": "/Account", "action": "expireBearers" })).await;
    for _ in 0..2 {
        problem(session.get("/api/v1/Account").await, 401, "invalid-token").await;
    }
    assert_eq!(server.sign_in("ada", &token).await.get("/api/v1/Account").await.status(), 200);
}
