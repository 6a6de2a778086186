use std::path::PathBuf;

use bytes::Bytes;

use super::*;
use crate::archive::Archive;
use crate::store::audit::Entry;
use crate::store::blobs;
use crate::store::packages::{self, Published};
use crate::store::tests::store;

const USER: &str = "u";

/// An upload of so many bytes that has none yet.
async fn begun(store: &Store, length: u64) -> Upload {
    sqlx::query(
        "INSERT INTO users (id, name, name_key, email, email_key, first_name, last_name, admin, enabled, created_at) \
         VALUES ($1, $1, $1, $1, $1, '', '', 1, 1, 0)",
    )
    .bind(USER)
    .execute(store.database.pool())
    .await
    .unwrap();
    let content = Content::Package { package_id: "a".into(), version: "1.0".into() };
    let begun = Begun { content, sha256: None, force: false, length, metadata: String::new() };
    create(&store.database, USER, begun).await.unwrap()
}

/// An upload that has all its bytes.
async fn full(store: &Store) -> Upload {
    let upload = begun(store, 5).await;
    let mut appending = Appending::new(store, &upload, false);
    appending.write(Bytes::from_static(b"bytes")).await;
    appending.finish().await.unwrap().unwrap();
    find(&store.database, &upload.id, USER).await.unwrap().unwrap()
}

async fn publish(store: &Store, blob: FreshBlob) -> Result<Published, StoreError> {
    let archive = Archive {
        id: "a".into(),
        version: uss::Version::parse("1.0").unwrap(),
        name: None,
        display_name: None,
        description: None,
        dependencies: Vec::new(),
    };
    packages::publish(store, blob, archive, false, &Entry::command_line()).await
}

fn objects(store: &Store, parts: &[Part]) -> Vec<PathBuf> {
    let folder = store.blobs.folder().unwrap();
    let there = parts.iter().map(|part| folder.join(&part.key)).filter(|path| path.exists());
    there.collect()
}

#[tokio::test]
async fn of_two_servers_that_finish_one_upload_the_second_takes_nothing_from_what_the_first_published() {
    let (_folder, store) = store().await;
    let upload = full(&store).await;
    let (first, second) = (whole(&store, &upload).await.unwrap(), whole(&store, &upload).await.unwrap());
    assert!(matches!(publish(&store, first).await.unwrap(), Published::Created(_)));
    assert!(matches!(publish(&store, second).await.unwrap(), Published::AlreadyThere(_)));
    assert!(!remove(&store, &upload.id).await.unwrap());
    let blob = blobs::find(&store.database, &upload.id).await.unwrap().unwrap();
    assert_eq!((blob.parts.len(), objects(&store, &blob.parts).len()), (1, 1));
    // A third one, which looks only now, finds no upload rather than an empty one.
    assert!(matches!(whole(&store, &upload).await, Err(StoreError::UploadGone)));
}

#[tokio::test]
async fn an_upload_that_was_removed_meanwhile_is_not_published_without_its_bytes() {
    let (_folder, store) = store().await;
    let upload = full(&store).await;
    let blob = whole(&store, &upload).await.unwrap();
    assert!(remove(&store, &upload.id).await.unwrap());
    assert!(matches!(publish(&store, blob).await, Err(StoreError::UploadGone)));
    let version = uss::Version::parse("1.0").unwrap();
    assert!(packages::find(&store.database, "a", &version).await.unwrap().is_none());
    assert!(blobs::find(&store.database, &upload.id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_upload_whose_publishing_failed_keeps_its_bytes_and_can_be_published_again() {
    let (_folder, store) = store().await;
    let upload = full(&store).await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON versions BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(refuse).execute(store.database.pool()).await.unwrap();
    let blob = whole(&store, &upload).await.unwrap();
    assert!(matches!(publish(&store, blob).await, Err(StoreError::Database(_))));
    assert_eq!(objects(&store, &parts(&store.database, &upload.id).await.unwrap()).len(), 1);
    sqlx::query("DROP TRIGGER refuse").execute(store.database.pool()).await.unwrap();
    let blob = whole(&store, &upload).await.unwrap();
    assert!(matches!(publish(&store, blob).await.unwrap(), Published::Created(_)));
    assert!(find(&store.database, &upload.id, USER).await.unwrap().is_none());
}
