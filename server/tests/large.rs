//! Several servers before one PostgreSQL and one S3-compatible store, and what they do when those are gone for a while.
//! `cargo xtask test large` starts both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::link::Link;
use support::tus::*;
use support::*;

/// The host and port of an address.
fn host(address: &str) -> &str {
    address.split("://").nth(1).unwrap()
}

fn databases() -> String {
    std::env::var("USS_TEST_DATABASES").expect("cargo xtask test large says where PostgreSQL is")
}

/// A server whose rows, and whose blobs, are behind links.
fn behind(data: &Path, database: Option<SocketAddr>, blobs: Option<SocketAddr>) -> Server {
    // Its database is made by whoever comes first.
    run(data, &["user", "add", "first", "--email", "first@example.com"]);
    let mut program = program(data, &SERVE);
    if let Some(link) = database {
        let through = place::database(data).replace(host(&databases()), &link.to_string());
        program.env("USS_SERVER_DATABASE", through);
    }
    if let Some(link) = blobs {
        program.env("AWS_ENDPOINT_URL", format!("http://{link}"));
    }
    Server::of(program, data)
}

/// Asks until the answer has this status, for a bounded time.
async fn until(session: &Session<'_>, path: &str, status: u16) {
    let started = Instant::now();
    loop {
        let found = session.get(path).await.status();
        if found == status {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{path} answers {found}, not {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_before_an_empty_database_all_serve() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let starts = (0..4).map(|_| {
        let data = data.clone();
        tokio::task::spawn_blocking(move || Server::on(&data, &[]))
    });
    let mut servers = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        servers.push(start.await.unwrap());
    }
    let session = servers[0].admin().await;
    for server in &servers {
        let elsewhere = Session { server, bearer: session.bearer.clone() };
        assert_eq!(elsewhere.get("/api/v1/Packages").await.status(), 200);
    }
    assert!(!data.join("uss.db").exists() && !data.join("blobs").exists(), "nothing of it is in the folder");
}

#[tokio::test]
async fn what_is_revoked_or_refused_at_one_server_counts_at_all_of_them() {
    let first = Server::start_with(&["--failure-limit", "4"]);
    let second = Server::on(first.data(), &["--failure-limit", "4"]);
    let token = first.user("ada", true);
    let session = first.sign_in("ada", &token).await;
    let elsewhere = Session { server: &second, bearer: session.bearer.clone() };
    assert_eq!(elsewhere.get("/api/v1/Packages").await.status(), 200);
    let listed = second.run(&["token", "list", "--user", "ada"]);
    second.run(&["token", "revoke", listed.split('\t').next().unwrap()]);
    assert_eq!(session.get("/api/v1/Packages").await.status(), 401);

    for server in [&first, &second, &first, &second] {
        assert_eq!(server.exchange("eve", "wrong").await.status(), 401);
    }
    assert_eq!(first.exchange("eve", "wrong").await.status(), 429);
    assert_eq!(second.exchange("eve", "wrong").await.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_publish_one_version_through_two_servers_one_creates_it() {
    let first = Server::start();
    let second = Server::on(first.data(), &[]);
    let session = first.admin().await;
    for round in 0..5 {
        let version = format!("{round}.0");
        let bytes = package("a", &version, &[], 300_000);
        let publish = |server| {
            let elsewhere = Session { server, bearer: session.bearer.clone() };
            let bytes = bytes.clone();
            async move { elsewhere.publish("", bytes).await.status().as_u16() }
        };
        let (a, b, c, d) = tokio::join!(publish(&first), publish(&second), publish(&first), publish(&second));
        let mut told = [a, b, c, d];
        told.sort_unstable();
        assert_eq!(told, [200, 200, 200, 201]);
    }
    assert_eq!(place::objects(first.data()).len(), 5);
    assert_eq!(second.run(&["check"]), "5 whole, 0 damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_database_answers_503_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let link = Link::to(host(&databases())).await;
    let server = behind(&data, Some(link.address), None);
    let session = server.admin().await;
    assert_eq!(session.publish("", package("a", "1.0", &[], 100_000)).await.status(), 201);

    link.cut().await;
    let refused = session.get("/api/v1/Packages").await;
    assert_eq!(header(refused.headers(), "retry-after"), "5");
    problem(refused, 503, "unavailable").await;
    assert_eq!(session.publish("", package("b", "1.0", &[], 100_000)).await.status(), 503);
    link.mend();
    until(&session, "/api/v1/Packages", 200).await;
    assert_eq!(session.content("b", "1.0").await.status(), 404);
    assert_eq!(session.publish("", package("b", "1.0", &[], 100_000)).await.status(), 201);
    assert_eq!(server.run(&["check"]), "2 whole, 0 damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_bucket_publishes_nothing_and_loses_no_upload() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let link = Link::to(host(&std::env::var("AWS_ENDPOINT_URL").unwrap())).await;
    let server = behind(&data, None, Some(link.address));
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], PART as u64 + 5000);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    append(&session, &upload, 0, bytes[..PART].to_vec()).await.unwrap();

    link.cut().await;
    // Rows are still to be had.
    assert_eq!(session.get("/api/v1/Packages").await.status(), 200);
    let refused = append(&session, &upload, PART, bytes[PART..].to_vec()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(session.content("a", "1.0").await.status(), 404);
    link.mend();
    let at = offset(&session, &upload).await;
    assert!(at >= PART, "{at}");
    let last = append(&session, &upload, at, bytes[at..].to_vec()).await.unwrap();
    assert_eq!(header(last.headers(), "uss-outcome"), "created");
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
    assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
}

#[test]
fn a_database_that_is_not_in_utf_8_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("latin{}", std::process::id());
    let made =
        Command::new("createdb").args(["--encoding=LATIN1", "--locale=C", "--template=template0", &name]).status();
    assert!(made.unwrap().success());
    let address = format!("{}/{name}", databases());
    let line = fail(folder.path(), &["user", "list", "--database", &address]);
    assert!(line.contains("LATIN1") && line.contains("createdb --encoding UTF8"), "{line}");
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_refused() {
    let server = Server::start();
    let session = server.admin().await;
    for path in ["/api/v1/Packages?search=%00", "/api/v1/Audit?actor=%00", "/api/v1/Packages/versions?packageId=a%00b"]
    {
        problem(session.get(path).await, 400, "invalid-text").await;
    }
    problem(server.exchange("a\0b", "x").await, 400, "invalid-text").await;
}
