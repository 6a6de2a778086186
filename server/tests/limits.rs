//! What one client, a full disk or a busy database may not do to the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::*;

/// Runs statements on the server's database, as another process would.
async fn sql(server: &Server, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&database(server).await).await.unwrap();
}

async fn database(server: &Server) -> sqlx::AnyPool {
    sqlx::any::install_default_drivers();
    sqlx::AnyPool::connect(&place::database(server.data())).await.unwrap()
}

#[test]
fn connections_beyond_the_limit_wait_until_one_ends() {
    let server = Server::start_with(&["--connections", "2"]);
    let connect = || TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /api/v1/Settings/server HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    };
    let mut answered = [0; 12];
    let (mut first, second) = (connect(), connect());
    ask(&mut first);
    first.read_exact(&mut answered).unwrap();
    let mut third = connect();
    ask(&mut third);
    third.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let waiting = third.read_exact(&mut answered).unwrap_err();
    assert!(matches!(waiting.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waiting}");
    drop(second);
    third.set_read_timeout(None).unwrap();
    third.read_exact(&mut answered).unwrap();
    assert_eq!(&answered, b"HTTP/1.1 200");
}

#[tokio::test]
async fn what_only_reads_is_answered_though_nothing_can_be_written() {
    let server = Server::start();
    let token = server.user("ada", true);
    sql(
        &server,
        "UPDATE tokens SET last_used_at = NULL; \
         CREATE TRIGGER no_room BEFORE UPDATE ON tokens BEGIN SELECT RAISE(ABORT, 'no room'); END;",
    )
    .await;
    let session = server.sign_in("ada", &token).await;
    assert_eq!(session.get("/api/v1/Packages").await.status(), 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_no_request() {
    let server = Server::start_with_log(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let response = server.request(reqwest::Method::GET, "/api/v1/Settings/server").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn exchanges_beyond_the_limit_do_not_fill_the_audit_table() {
    let server = Server::start_with(&["--failure-limit", "2"]);
    for n in 0..10 {
        let expected = if n < 2 { 401 } else { 429 };
        assert_eq!(server.exchange("ada", "x").await.status(), expected);
    }
    let query = sqlx::query_as("SELECT outcome, count(*) FROM audit GROUP BY outcome ORDER BY outcome");
    let outcomes: Vec<(String, i64)> = query.fetch_all(&database(&server).await).await.unwrap();
    assert_eq!(outcomes, [("limited".to_owned(), 1), ("refused".to_owned(), 2)]);
}

#[tokio::test]
async fn damage_found_while_a_blob_is_sent_is_an_error_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::start_with_log(std::fs::File::create(&log).unwrap());
    let session = server.admin().await;
    session.publish("", package("a", "1.0", &[], 100_000)).await;
    let blob = place::objects(server.data()).pop().unwrap();
    std::fs::File::options().write(true).open(blob).unwrap().set_len(9_000).unwrap();
    // The break may come before the client has read the head, or after.
    if let Ok(response) = session.request(reqwest::Method::GET, &content("a", "1.0")).send().await {
        assert!(response.bytes().await.is_err());
    }
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("shorter")), "{log}");
}

#[cfg(unix)]
#[test]
fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    assert_eq!(std::fs::metadata(server.data()).unwrap().permissions().mode() & 0o777, 0o700);
}
