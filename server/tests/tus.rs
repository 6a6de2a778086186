//! Uploads that can be gone on with: tus 1.0.0, each rule as a client sees it, and after kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::json;
use support::tus::*;
use support::*;

#[tokio::test]
async fn the_server_tells_what_it_speaks_and_refuses_other_versions() {
    let server = Server::start();
    let session = server.admin().await;
    let told = session.request(Method::OPTIONS, UPLOADS).send().await.unwrap();
    assert_eq!(told.status(), 204);
    assert_eq!(header(told.headers(), "tus-version"), "1.0.0");
    for extension in ["creation", "creation-with-upload", "checksum", "expiration", "termination"] {
        assert!(header(told.headers(), "tus-extension").split(',').any(|one| one == extension), "{extension}");
    }
    assert_eq!(header(told.headers(), "tus-checksum-algorithm"), "sha1,sha256");
    let other = session.request(Method::POST, UPLOADS).header("tus-resumable", "0.2.2").send().await.unwrap();
    assert_eq!(header(other.headers(), "tus-version"), "1.0.0");
    assert_eq!(header(other.headers(), "tus-resumable"), "1.0.0", "on a refusal too");
    problem(other, 412, "tus-version").await;
}

#[tokio::test]
async fn an_upload_in_pieces_is_published_with_its_last_byte() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[("b", "^")], 20 << 20);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    for (from, to) in [(0, 3), (3, 9 << 20), (9 << 20, bytes.len() - 1)] {
        let response = append(&session, &upload, from, bytes[from..to].to_vec()).await.unwrap();
        assert_eq!((response.status().as_u16(), header(response.headers(), "upload-offset")), (204, &*to.to_string()));
        assert_eq!(offset(&session, &upload).await, to);
        assert_eq!(session.content("a", "1.0").await.status(), 404, "not there before it is whole");
    }
    let told = look(&session, &upload).await;
    assert_eq!(header(told.headers(), "upload-length"), bytes.len().to_string());
    assert_eq!(header(told.headers(), "cache-control"), "no-store");
    assert_eq!(header(told.headers(), "upload-metadata"), of_package("a", "1.0", &sha256(&bytes)), "as it was sent");
    assert!(header(told.headers(), "upload-expires").ends_with("GMT"));

    let last = append(&session, &upload, bytes.len() - 1, bytes[bytes.len() - 1..].to_vec()).await.unwrap();
    assert_eq!((last.status().as_u16(), header(last.headers(), "uss-outcome")), (204, "created"));
    assert!(header(last.headers(), "repr-digest").starts_with("sha-256=:"));
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
    assert_eq!(look(&session, &upload).await.status(), 404, "it is finished");
    assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_what_came_and_the_next_goes_on_there() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 20 << 20);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    let sent = PART + 500_000;
    append(&session, &upload, 0, broken(&bytes[..sent])).await.unwrap_err();
    let mut at = settled(&session, &upload, PART).await;
    assert!(at <= sent, "{at}");
    let mut response = append(&session, &upload, at, bytes[at..].to_vec()).await.unwrap();
    for _ in 0..50 {
        if ![409, 423].contains(&response.status().as_u16()) {
            break;
        }
        // The server had not noticed yet that the first is over.
        at = offset(&session, &upload).await;
        response = append(&session, &upload, at, bytes[at..].to_vec()).await.unwrap();
    }
    assert_eq!((response.status().as_u16(), header(response.headers(), "uss-outcome")), (204, "created"));
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn a_creation_with_bytes_adds_them_and_publishes_what_is_whole() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 50_000);
    let request = |body: Vec<u8>| {
        let request = session.request(Method::POST, UPLOADS).header("tus-resumable", "1.0.0");
        let request = request
            .header("upload-length", bytes.len())
            .header("upload-metadata", of_package("a", "1.0", &sha256(&bytes)));
        request.header("content-type", "application/offset+octet-stream").body(body).send()
    };
    let some = request(bytes[..1000].to_vec()).await.unwrap();
    assert_eq!((some.status().as_u16(), header(some.headers(), "upload-offset")), (201, "1000"));
    let all = request(bytes.clone()).await.unwrap();
    assert_eq!((all.status().as_u16(), header(all.headers(), "uss-outcome")), (201, "created"));
    // The same again is there already, and no other upload begins.
    let again = request(bytes.clone()).await.unwrap();
    assert_eq!(header(again.headers(), "location"), "");
    assert_eq!(json(again, 200).await["sha256"], sha256(&bytes));
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_and_the_upload_is_gone() {
    let server = Server::start();
    let session = server.admin().await;
    let (mine, other) = (package("a", "1.0", &[], 1000), package("a", "1.0", &[], 2000));
    session.publish("", mine.clone()).await;
    let early = begin(&session, other.len(), &of_package("a", "1.0", &sha256(&other))).await;
    problem(early, 409, "package-already-exists").await;

    let cases: [(Vec<u8>, String, u16, &str); 4] = [
        (other.clone(), metadata(&[("packageId", "a"), ("version", "1.0")]), 409, "package-already-exists"),
        (b"no zip".to_vec(), of_package("b", "1.0", &sha256(b"no zip")), 422, "invalid-package"),
        (mine.clone(), of_package("b", "1.0", &sha256(&mine)), 422, "invalid-package"),
        (package("b", "1.0", &[], 10), of_package("b", "1.0", &sha256(b"")), 422, "checksum-mismatch"),
    ];
    for (bytes, metadata, status, code) in cases {
        let upload = begun(&session, bytes.len(), &metadata).await;
        problem(append(&session, &upload, 0, bytes).await.unwrap(), status, code).await;
        assert_eq!(look(&session, &upload).await.status(), 404, "{code}");
    }
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == mine);
    assert_eq!(place::objects(server.data()).len(), 1, "nothing is left of what was refused");

    let forced = metadata(&[("packageId", "a"), ("version", "1.0"), ("sha256", &sha256(&other)), ("force", "true")]);
    let upload = begun(&session, other.len(), &forced).await;
    let replaced = append(&session, &upload, 0, other.clone()).await.unwrap();
    assert_eq!(header(replaced.headers(), "uss-outcome"), "replaced");
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == other);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_change_nothing() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 1000);
    let good = of_package("a", "1.0", &sha256(&bytes));
    for wrong in [
        "packageId",
        "packageId !,version MS4w",
        &metadata(&[("packageId", "a")]),
        &metadata(&[("packageId", "A b"), ("version", "1")]),
        &metadata(&[("packageId", "a"), ("version", "one")]),
        &metadata(&[("packageId", "a"), ("version", "1"), ("sha256", "12")]),
        &metadata(&[("packageId", "a"), ("version", "1"), ("force", "perhaps")]),
        &metadata(&[("type", "film"), ("name", "a")]),
        &metadata(&[("packageId", "a"), ("version", "1"), ("version", "2")]),
    ] {
        problem(begin(&session, 10, wrong).await, 400, "bad-request").await;
    }
    problem(begin(&session, 5 << 40, &good).await, 413, "payload-too-large").await;
    let without =
        session.request(Method::POST, UPLOADS).header("tus-resumable", "1.0.0").header("upload-metadata", &good);
    problem(without.send().await.unwrap(), 400, "bad-request").await;

    let upload = begun(&session, bytes.len(), &good).await;
    let plain = session.request(Method::PATCH, &upload).header("tus-resumable", "1.0.0").header("upload-offset", 0);
    problem(plain.body(bytes.clone()).send().await.unwrap(), 415, "unsupported-media-type").await;
    let mut more = bytes.clone();
    more.push(0);
    problem(append(&session, &upload, 0, more).await.unwrap(), 400, "bad-request").await;
    assert_eq!(session.content("a", "1.0").await.status(), 404);
}

#[tokio::test]
async fn a_wrong_checksum_is_460_and_none_of_its_bytes_count() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 10 << 20);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    let with = |checksum: String| {
        let request =
            session.request(Method::PATCH, &upload).header("tus-resumable", "1.0.0").header("upload-offset", 0);
        let request =
            request.header("content-type", "application/offset+octet-stream").header("upload-checksum", checksum);
        request.body(bytes.clone()).send()
    };
    problem(with(format!("sha1 {}", STANDARD.encode([0; 20]))).await.unwrap(), 460, "checksum-mismatch").await;
    assert_eq!(offset(&session, &upload).await, 0);
    assert_eq!(place::objects(server.data()).len(), 0);
    let digest =
        (0..32).map(|at| u8::from_str_radix(&sha256(&bytes)[2 * at..2 * at + 2], 16).unwrap()).collect::<Vec<_>>();
    let right = with(format!("sha256 {}", STANDARD.encode(digest))).await.unwrap();
    assert_eq!((right.status().as_u16(), header(right.headers(), "uss-outcome")), (204, "created"));
}

#[tokio::test]
async fn an_upload_is_its_owners_and_ends_when_given_up() {
    let server = Server::start();
    let session = server.admin().await;
    let other = server.sign_in("otto", &server.user("otto", true)).await;
    let reader = server.sign_in("rita", &server.user("rita", false)).await;
    let bytes = package("a", "1.0", &[], 1000);
    let good = of_package("a", "1.0", &sha256(&bytes));
    problem(begin(&reader, bytes.len(), &good).await, 403, "forbidden").await;
    let upload = begun(&session, bytes.len(), &good).await;
    append(&session, &upload, 0, bytes[..500].to_vec()).await.unwrap();
    assert_eq!(look(&other, &upload).await.status(), 404);
    problem(append(&other, &upload, 500, bytes[500..].to_vec()).await.unwrap(), 404, "upload-not-found").await;
    let delete =
        |session: &Session<'_>| session.request(Method::DELETE, &upload).header("tus-resumable", "1.0.0").send();
    assert_eq!(delete(&other).await.unwrap().status(), 404);
    assert_eq!(delete(&session).await.unwrap().status(), 204);
    assert_eq!(look(&session, &upload).await.status(), 404);
    assert_eq!(place::objects(server.data()).len(), 0);
}

#[tokio::test]
async fn of_two_at_once_the_second_is_told_to_wait_and_takes_over_from_one_that_is_silent() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 20 << 20);
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body =
        Body::wrap_stream(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))));
    let first = tokio::spawn(patch(&session, &upload, 0).body(body).send());
    sender.send(Ok(bytes[..PART + 1000].to_vec())).await.unwrap();
    settled(&session, &upload, PART).await;
    sender.send(Ok(bytes[PART + 1000..PART + 2000].to_vec())).await.unwrap();
    // A little: what is refused before its body was sent breaks off now and then, without a word.
    let little = |at: usize| bytes[at..at + 1000].to_vec();
    let mut second = append(&session, &upload, PART, little(PART)).await.unwrap();
    // The first keeps silent, and after a second it is over: what it brought counts.
    let mut refused = Vec::new();
    for _ in 0..20 {
        if second.status() == 204 {
            break;
        }
        refused.push(second.status().as_u16());
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let at = offset(&session, &upload).await;
        second = append(&session, &upload, at, little(at)).await.unwrap();
    }
    assert_eq!(second.status(), 204);
    let at = offset(&session, &upload).await;
    let rest = append(&session, &upload, at, bytes[at..].to_vec()).await.unwrap();
    assert_eq!(header(rest.headers(), "uss-outcome"), "created");
    assert!(refused.iter().all(|status| [409, 423].contains(status)), "{refused:?}");
    drop(sender);
    drop(first.await.unwrap());
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn an_installer_goes_the_same_way() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = vec![7; 100_000];
    let id = "00000000-0000-0000-0000-000000000001";
    let about = metadata(&[
        ("type", "installer"),
        ("installerId", id),
        ("name", "POS"),
        ("fileName", "Setup.exe"),
        ("sha256", &sha256(&bytes)),
    ]);
    let upload = begun(&session, bytes.len(), &about).await;
    append(&session, &upload, 0, bytes[..60_000].to_vec()).await.unwrap();
    let last = append(&session, &upload, 60_000, bytes[60_000..].to_vec()).await.unwrap();
    assert_eq!(header(last.headers(), "uss-outcome"), "created");
    let told = json(session.get(&format!("/api/v1/installers/{id}")).await, 200).await;
    assert_eq!(
        (&told["name"], &told["fileName"], &told["sha256"]),
        (&json!("POS"), &json!("Setup.exe"), &json!(sha256(&bytes)))
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_is_killed_again_and_again_loses_little_of_an_upload() {
    const KILLS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let token = server.user("admin", true);
    let bytes = package("a", "1.0", &[], 256 << 20);
    let session = server.sign_in("admin", &token).await;
    let upload = begun(&session, bytes.len(), &of_package("a", "1.0", &sha256(&bytes))).await;
    server.kill();
    let (mut kills, mut sent) = (0, 0);
    loop {
        let server = Server::on(&data, &[]);
        let session = server.sign_in("admin", &token).await;
        let at = offset(&session, &upload).await;
        let last = kills == KILLS || at + (60 << 20) > bytes.len();
        assert!(sent <= at + kills * (2 * PART + (1 << 20)), "{sent} bytes sent, {at} held after {kills} kills");
        let counted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = counted.clone();
        let chunks: Vec<_> = bytes[at..].chunks(100_000).map(<[u8]>::to_vec).collect();
        let body = Body::wrap_stream(stream::unfold(chunks.into_iter(), move |mut chunks| {
            let count = count.clone();
            async move {
                let chunk = chunks.next()?;
                if !last {
                    // At 25 MB/s a kill falls between two parts.
                    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
                }
                count.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
                Some((Ok::<_, std::io::Error>(chunk), chunks))
            }
        }));
        let sending = tokio::spawn(patch(&session, &upload, at).body(body).send());
        if last {
            let response = sending.await.unwrap().unwrap();
            assert_eq!((response.status().as_u16(), header(response.headers(), "uss-outcome")), (204, "created"));
            assert!(session.content("a", "1.0").await.bytes().await.unwrap() == bytes);
            assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(rand::random_range(0..900))).await;
        server.kill();
        drop(sending.await);
        sent += counted.load(std::sync::atomic::Ordering::Relaxed);
        kills += 1;
    }
    assert!(kills >= 12, "{kills} kills");
}
