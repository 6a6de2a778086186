//! What becomes of uploads in the store: when their time is over, when a part of them is lost, and when several servers
//! stand before the same store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use sqlx::Connection;
use support::tus::*;
use support::*;

/// Lets the time of every upload end, as seven days would.
async fn expire(server: &Server) {
    sqlx::any::install_default_drivers();
    let mut database = sqlx::AnyConnection::connect(&place::database(server.data())).await.unwrap();
    let changed = sqlx::query("UPDATE uploads SET expires_at = 1").execute(&mut database).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

#[tokio::test]
async fn an_upload_whose_time_is_over_is_gone_and_its_bytes_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let token = server.user("admin", true);
    let session = server.sign_in("admin", &token).await;
    let bytes = package("a", "1.0", &[], 1000);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    append(&session, &upload, 0, bytes[..500].to_vec()).await.unwrap();
    expire(&server).await;
    assert_eq!(look(&session, &upload).await.status(), 410);
    problem(append(&session, &upload, 500, bytes[500..].to_vec()).await.unwrap(), 410, "upload-expired").await;
    assert_eq!(session.content("a", "1.0").await.status(), 404);
    drop(server);

    // A server sweeps when it starts.
    let server = Server::on(&data, &[]);
    let session = server.sign_in("admin", &token).await;
    for _ in 0..400 {
        if place::objects(&data).is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(place::objects(&data).is_empty());
    assert_eq!(look(&session, &upload).await.status(), 404);
}

#[tokio::test]
async fn one_server_goes_on_with_what_another_before_the_same_store_has_begun() {
    let first = Server::start();
    let second = Server::on(first.data(), &[]);
    let session = first.admin().await;
    let elsewhere = Session { server: &second, bearer: session.bearer.clone() };
    let bytes = package("a", "1.0", &[], PART as u64 + 5000);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    append(&session, &upload, 0, bytes[..PART].to_vec()).await.unwrap();
    assert_eq!(offset(&elsewhere, &upload).await, PART);

    // Of two that append at once through different servers, what one brings counts, once.
    let rest = || bytes[PART..PART + 4000].to_vec();
    let (here, there) =
        tokio::join!(append(&session, &upload, PART, rest()), append(&elsewhere, &upload, PART, rest()));
    let mut told = [here.unwrap().status().as_u16(), there.unwrap().status().as_u16()];
    told.sort_unstable();
    assert_eq!(told, [204, 409]);
    assert_eq!(offset(&session, &upload).await, PART + 4000);

    let last = append(&elsewhere, &upload, PART + 4000, bytes[PART + 4000..].to_vec()).await.unwrap();
    assert_eq!((last.status().as_u16(), header(last.headers(), "uss-outcome")), (204, "created"));
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
    assert_eq!(first.run(&["check"]), "1 whole, 0 damaged");
}

#[tokio::test]
async fn an_upload_that_lost_a_part_is_given_up_and_can_be_begun_again() {
    let server = Server::start();
    let session = server.admin().await;
    // The archive's directory is at its end, in the part that goes.
    let bytes = package("a", "1.0", &[], 1000);
    let described = of_package("a", "1.0", &sha256(&bytes));
    let upload = begun(&session, bytes.len(), &described).await;
    append(&session, &upload, 0, bytes[..bytes.len() - 1].to_vec()).await.unwrap();
    let parts = place::objects(server.data());
    assert_eq!(parts.len(), 1);
    std::fs::remove_file(&parts[0]).unwrap();
    let last = append(&session, &upload, bytes.len() - 1, bytes[bytes.len() - 1..].to_vec()).await.unwrap();
    assert_eq!(last.status(), 500);
    assert_eq!(look(&session, &upload).await.status(), 404);

    let upload = begun(&session, bytes.len(), &described).await;
    let all = append(&session, &upload, 0, bytes.clone()).await.unwrap();
    assert_eq!(header(all.headers(), "uss-outcome"), "created");
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
}
