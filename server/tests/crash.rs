//! Killed at any moment, or out of space: the old state or the new one, nothing between.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use support::*;

const KILLS: u32 = 50;

#[tokio::test]
async fn a_server_killed_while_it_publishes_comes_back_with_the_old_state_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let token = server.user("admin", true);
    let base = package("base", "1.0", &[], 1_000);
    server.sign_in("admin", &token).await.publish("", base.clone()).await;

    // How long a publish takes undisturbed tells when to kill.
    let begun = Instant::now();
    let sample = package("a", "0.1", &[], 5 << 20);
    assert_eq!(server.sign_in("admin", &token).await.publish("", sample).await.status(), 201);
    let undisturbed = begun.elapsed();
    server.kill();

    let (mut old, mut new, mut replaced) = (0, 0, false);
    let mut held = base;
    for round in 0..KILLS {
        let server = Server::on(&data, &[]);
        let session = server.sign_in("admin", &token).await;
        // By turns a new version, and other bytes for one that is there.
        let version = format!("1.{round}");
        let (id, version) = if round % 2 == 0 { ("a", version.as_str()) } else { ("base", "1.0") };
        let bytes = package(id, version, &[], (5 << 20) + u64::from(round));
        let request = session.request(Method::POST, "/api/v1/Packages?force=true").body(bytes.clone());
        let sending = tokio::spawn(request.send());
        tokio::time::sleep(undisturbed.mul_f64(rand::random_range(0.0..1.3))).await;
        server.kill();
        let told = sending.await.unwrap().map(|response| response.status().as_u16()).ok();

        let server = Server::on(&data, &[]);
        assert!(server.run(&["check"]).ends_with(" whole, 0 damaged"));
        let session = server.sign_in("admin", &token).await;
        let response = session.content(id, version).await;
        let found = match response.status().as_u16() {
            404 => None,
            200 => Some(response.bytes().await.unwrap().to_vec()),
            other => panic!("{other}"),
        };
        let is_new = found.as_ref() == Some(&bytes);
        assert!(is_new || told.is_none(), "round {round}: {told:?} was answered and does not hold");
        if is_new {
            new += 1;
        } else {
            old += 1;
            assert!(found == (id == "base").then(|| held.clone()), "round {round}: neither the old nor the new");
        }
        if id == "base" && is_new {
            held = bytes;
            replaced = true;
        }
        server.kill();
    }
    assert_eq!(old + new, KILLS);
    assert!(old > 0, "every kill came too late ({undisturbed:?}, {replaced})");
}

#[tokio::test]
async fn sigterm_lets_open_requests_end_and_exits_with_0() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 30 << 20);
    session.publish("", bytes.clone()).await;
    let mut response = session.content("a", "1.0").await;
    let mut received = response.chunk().await.unwrap().unwrap().to_vec();
    let _ = session;
    let stopping = tokio::task::spawn_blocking(move || server.terminate());
    while let Some(chunk) = response.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
    }
    assert!(received == bytes);
    assert_eq!(stopping.await.unwrap(), Some(0));
}

/// A file system of a few megabytes, for as long as it lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_507_and_leaves_nothing_half_there() {
    // Where this user may not mount, a limit on the size of files stands in: writing a part fails there too.
    let disk = SmallDisk::mount("24m");
    let folder = tempfile::tempdir().unwrap();
    let server = match &disk {
        Some(disk) => Server::on(&disk.0.path().join("data"), &[]),
        None => Server::with_file_limit(&folder.path().join("data"), 6 << 10),
    };
    no_room(&server).await;
}

#[tokio::test]
async fn a_part_that_may_not_be_so_large_is_507_too() {
    let folder = tempfile::tempdir().unwrap();
    no_room(&Server::with_file_limit(&folder.path().join("data"), 6 << 10)).await;
}

/// On a server with room for small packages and none for one of 23 MiB.
async fn no_room(server: &Server) {
    let session = server.admin().await;
    let small = package("a", "1.0", &[], 1 << 20);
    assert_eq!(session.publish("", small.clone()).await.status(), 201);
    let before = place::objects(server.data()).len();
    for size in [40 << 20, 23 << 20] {
        problem(session.publish("", package("b", "1.0", &[], size)).await, 507, "insufficient-storage").await;
        assert_eq!(place::objects(server.data()).len(), before);
    }
    problem(session.content("b", "1.0").await, 404, "package-not-found").await;
    assert!(session.content("a", "1.0").await.bytes().await.unwrap() == small);
    assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
    // There is room for what fits.
    assert_eq!(session.publish("", package("c", "1.0", &[], 2 << 20)).await.status(), 201);
}

#[tokio::test]
async fn check_finds_a_damaged_and_a_missing_blob() {
    let server = Server::start();
    let session = server.admin().await;
    for id in ["a", "b", "c"] {
        session.publish("", package(id, "1.0", &[], 100_000)).await;
    }
    assert_eq!(server.run(&["check"]), "3 whole, 0 damaged");
    let blobs = place::objects(server.data());
    let mut bytes = std::fs::read(&blobs[0]).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&blobs[0], bytes).unwrap();
    std::fs::remove_file(&blobs[1]).unwrap();
    // What nobody knows is no damage.
    std::fs::create_dir(server.data().join("blobs/orphan")).unwrap();
    std::fs::write(server.data().join("blobs/orphan/000000"), b"x").unwrap();
    assert!(fail(server.data(), &["check"]).contains("2 of 3 blobs are missing or damaged"));
    tokio::time::timeout(Duration::from_secs(60), session.get("/api/v1/Packages")).await.unwrap();
}
