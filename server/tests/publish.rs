//! Publishing: every answer, and that nothing half-done is ever there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::json;
use support::*;

fn chunked(bytes: &[u8]) -> Body {
    let chunks: Vec<_> = bytes.chunks(100_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    Body::wrap_stream(stream::iter(chunks))
}

/// Files that hold parts of blobs.
fn parts(server: &Server) -> usize {
    place::objects(server.data()).len()
}

#[tokio::test]
async fn a_new_version_is_201_the_same_bytes_200_and_others_409_unless_forced() {
    let server = Server::start();
    let session = server.admin().await;
    let (first, second) = (package("a", "1.0+x", &[("b", "^")], 100_000), package("a", "1.0.0+y", &[], 200_000));
    let created = json(session.publish("", first.clone()).await, 201).await;
    let expected = json!([{ "packageId": "b", "versionQuery": "^", "optional": false, "onlyRestrictVersion": false }]);
    assert_eq!((&created["version"], &created["dependencies"]), (&json!("1.0+x"), &expected));
    assert_eq!((&created["sha256"], &created["size"]), (&json!(sha256(&first)), &json!(first.len())));

    for body in [chunked(&first), first.clone().into()] {
        let again = session.publish("?packageId=a&version=1.0&force=false", body).await;
        assert_eq!(header(again.headers(), "uss-replaced"), "");
        assert_eq!(json(again, 200).await, created);
    }
    let conflict = problem(session.publish("", second.clone()).await, 409, "package-already-exists").await;
    assert_eq!(conflict["detail"], "Package already exists: a 1.0+x");
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == first);

    let replaced = session.publish("?force=True", chunked(&second)).await;
    assert_eq!(header(replaced.headers(), "uss-replaced"), "true");
    assert_eq!(json(replaced, 200).await["version"], "1.0.0+y");
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == second);
    // The replaced part stays for downloads that have begun; refused ones leave none.
    assert_eq!(parts(&server), 2);
    assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
}

#[tokio::test]
async fn what_is_no_package_or_not_the_announced_one_is_422_and_leaves_nothing() {
    let server = Server::start();
    let session = server.admin().await;
    let good = package("a", "1.0", &[], 9 << 20);
    let bad: [(&str, Vec<u8>); 9] = [
        ("", b"not a zip".to_vec()),
        ("", Vec::new()),
        ("", good[..good.len() - 100].to_vec()),
        ("", zip(&[("x.txt", b"x")])),
        ("", zip(&[("Manifest.json", b"{")])),
        ("", zip(&[("Manifest.json", br#"{"Id":"Upper","Version":"1.0"}"#)])),
        ("", zip(&[("Manifest.json", br#"{"Id":"a","Version":"one"}"#)])),
        ("?packageId=b&version=1.0", good.clone()),
        ("?packageId=a&version=1.0.1", good.clone()),
    ];
    for (n, (query, body)) in bad.into_iter().enumerate() {
        let problem = problem(session.publish(query, body).await, 422, "invalid-package").await;
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{n}");
    }
    let request = session.request(Method::POST, "/api/v1/Packages");
    let other = request.header("repr-digest", repr_digest(b"x")).body(good.clone()).send().await.unwrap();
    problem(other, 422, "checksum-mismatch").await;
    // These come before the body is read. A longer one could break the connection under a client that writes on.
    let small = package("a", "1.0", &[], 1_000);
    for bad in ["sha-256=:AAAA:", "sha-256=x"] {
        let request = session.request(Method::POST, "/api/v1/Packages").header("repr-digest", bad);
        problem(request.body(small.clone()).send().await.unwrap(), 400, "bad-request").await;
    }
    problem(session.publish("?force=maybe", small.clone()).await, 400, "bad-request").await;
    problem(session.publish("?version=x", small).await, 400, "bad-request").await;
    assert_eq!(parts(&server), 0);
    problem(session.content("a", "1.0").await, 404, "package-not-found").await;
    let digest = format!("md5=:AAAA:, {}", repr_digest(&good));
    let request = session.request(Method::POST, "/api/v1/Packages").header("repr-digest", digest);
    assert_eq!(request.body(good).send().await.unwrap().status(), 201);
}

/// Sends a request's head and then nothing; gives the whole answer. The server must answer without the body.
fn answer_to_head(server: &Server, bearer: &str, query: &str, headers: &str) -> String {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let authorization = if bearer.is_empty() { String::new() } else { format!("Authorization: Bearer {bearer}\r\n") };
    let head = format!("POST /api/v1/Packages{query} HTTP/1.1\r\nHost: x\r\n{authorization}{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_can_be_told_without_the_body_is_told_before_it_is_read() {
    let server = Server::start();
    let session = server.admin().await;
    let reader = server.user("reader", false);
    let reader = server.sign_in("reader", &reader).await;
    let bytes = package("a", "1.0", &[], 1_000);
    session.publish("", bytes.clone()).await;
    let query = "?packageId=a&version=1.0.0";
    let (same, other) = (repr_digest(&bytes), repr_digest(b"x"));
    for (bearer, digest, status) in [
        (session.bearer.as_str(), &same, "200 OK"),
        (&session.bearer, &other, "409 Conflict"),
        (&reader.bearer, &other, "403 Forbidden"),
        ("", &other, "401 Unauthorized"),
    ] {
        let headers = format!("Repr-Digest: {digest}\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n");
        let answer = answer_to_head(&server, bearer, query, &headers);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
    assert_eq!(parts(&server), 1);
}

#[tokio::test]
async fn a_client_that_sends_first_and_reads_then_gets_an_early_answer() {
    let server = Server::start();
    let session = server.admin().await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    // Within the 1 MiB that is read on, and far beyond it.
    for size in [900_000, 64 << 20] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("POST /api/v1/Packages HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let block = vec![7; 100_000];
        let mut left: usize = size;
        while left > 0 {
            let count = left.min(block.len());
            // Writing may fail once the server has closed; the answer is there all the same.
            if stream.write_all(&block[..count]).is_err() {
                break;
            }
            left -= count;
        }
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, b"HTTP/1.1 401", "{size}");
        assert_eq!(left == 0, size < 1 << 20, "a body without end is not read to its end");
    }
    drop(session);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 1_000_000);
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /api/v1/Packages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        session.bearer,
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut interim = vec![0; expected.len()];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(interim, expected);
    stream.write_all(&bytes).unwrap();
    let mut status = vec![0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(status, b"HTTP/1.1 201");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 20 << 20);
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /api/v1/Packages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        session.bearer,
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bytes[..bytes.len() - 1]).unwrap();
    wait_until(|| parts(&server) == 2).await;
    drop(stream);
    wait_until(|| parts(&server) == 0).await;
    problem(session.content("a", "1.0").await, 404, "package-not-found").await;
}

/// Looks until it is so, for a minute at most.
async fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never was so");
}

#[tokio::test]
async fn of_many_who_publish_one_version_at_once_one_creates_it() {
    let server = Server::start();
    let session = server.admin().await;
    let bodies: Vec<_> = (0..8).map(|n| package("a", "1.0", &[], 500_000 + n % 4)).collect();
    let answers = bodies.iter().map(|body| session.publish("", body.clone()));
    let answers = futures_util::future::join_all(answers).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    // Two of each content: the other one with the winner's bytes is 200.
    assert_eq!(statuses, [200, 201, 409, 409, 409, 409, 409, 409]);
    let held = session.content("a", "1.0").await.bytes().await.unwrap();
    assert!(bodies.iter().any(|body| held == body.as_slice()));
    assert_eq!((parts(&server), server.run(&["check"]).as_str()), (1, "1 whole, 0 damaged"));
}

#[tokio::test]
async fn a_download_that_has_begun_ends_well_though_its_version_is_deleted() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 40 << 20);
    session.publish("", bytes.clone()).await;
    let mut response = session.content("a", "1.0").await;
    let mut received = response.chunk().await.unwrap().unwrap().to_vec();
    let path = "/api/v1/Packages?packageId=a&version=1.0";
    assert_eq!(session.request(Method::DELETE, path).send().await.unwrap().status(), 204);
    while let Some(chunk) = response.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
    }
    assert!(received == bytes);
}

#[tokio::test]
async fn changes_and_refused_exchanges_are_in_the_audit_table() {
    let server = Server::start();
    let session = server.admin().await;
    session.publish("", package("a", "1.0", &[], 10)).await;
    session.publish("?force=true", package("a", "1.0", &[], 20)).await;
    session.publish("", package("a", "1.0", &[], 30)).await;
    session.request(Method::DELETE, "/api/v1/Packages?packageId=a&version=1.0").send().await.unwrap();
    server.exchange("ada", "wrong").await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&place::database(server.data())).await.unwrap();
    let sql = "SELECT actor, action, target, outcome, COALESCE(address, '') FROM audit ORDER BY at";
    let rows: Vec<(String, String, String, String, String)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
    let found: Vec<_> = rows.iter().map(|(a, b, _, d, e)| [a.as_str(), b, d, e].join(" ")).collect();
    assert_eq!(
        found,
        [
            "command line user.add created ",
            "command line token.create created ",
            "admin package.publish created 127.0.0.1",
            "admin package.publish replaced 127.0.0.1",
            "admin package.delete deleted 127.0.0.1",
            "ada token.exchange refused 127.0.0.1",
        ]
    );
    assert_eq!(rows[2].2, "a 1.0");
}
