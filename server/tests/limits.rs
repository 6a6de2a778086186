//! What one client, a full disk or a busy database may not do to the others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::*;

/// Runs statements on the server's database, as another process would.
async fn sql(server: &Server, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&database(server).await).await.unwrap();
}

async fn database(server: &Server) -> sqlx::AnyPool {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", server.data().join("uss.db").display());
    sqlx::AnyPool::connect(&url).await.unwrap()
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
