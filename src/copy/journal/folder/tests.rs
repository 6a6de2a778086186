//! What is kept, what goes, and that one lock is held once.

use super::*;
use crate::copy::Digest;

fn key(name: &str) -> TransferKey {
    TransferKey(Digest::of(name.as_bytes()))
}

fn a_record() -> Record {
    let location = UploadLocation("http://b/uploads/1".into());
    Record { location, offset: 7, etag: Some("\"e\"".into()), size: Some(9) }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn journal() -> (tempfile::TempDir, PathBuf, FolderJournal) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("state").join("uss");
    let journal = FolderJournal::at(&folder);
    (parent, folder, journal)
}

fn age(path: &Path) {
    let old = SystemTime::now() - STALE - Duration::from_secs(60);
    OpenOptions::new().write(true).open(path).unwrap().set_modified(old).unwrap();
}

#[tokio::test]
async fn a_record_lasts_until_it_is_removed_and_holds_only_what_it_says() {
    let (_parent, folder, journal) = journal();
    let key = key("a");
    assert_eq!(journal.load(&key).await, None);
    journal.save(&key, &a_record()).await.unwrap();
    assert_eq!(FolderJournal::at(&folder).load(&key).await, Some(a_record()));
    let path = record(&folder, &key.to_string());
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, r#"{"version":1,"location":"http://b/uploads/1","offset":7,"etag":"\"e\"","size":9}"#);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
    }
    journal.remove(&key).await;
    assert_eq!((journal.load(&key).await, names(&folder)), (None, vec![]));
}

#[tokio::test]
async fn a_lock_excludes_others_and_leaves_no_file() {
    let (_parent, folder, journal) = journal();
    let other = FolderJournal::at(&folder);
    let key = key("a");
    let lock = journal.try_lock(&key).await.unwrap();
    assert!(lock.is_some() && other.try_lock(&key).await.unwrap().is_none());
    drop(lock);
    let lock = other.try_lock(&key).await.unwrap();
    assert!(lock.is_some() && journal.try_lock(&key).await.unwrap().is_none());
    drop(lock);
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[test]
fn never_do_two_hold_one_lock_however_often_it_changes_hands() {
    let (_parent, folder, _) = journal();
    make(&folder).unwrap();
    let held = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut taken = 0;
                while taken < 200 {
                    let Some(lock) = FolderLock::take(&folder, "key").unwrap() else { continue };
                    assert!(!held.swap(true, Ordering::SeqCst));
                    held.store(false, Ordering::SeqCst);
                    drop(lock);
                    taken += 1;
                }
            });
        }
    });
}

#[tokio::test]
async fn a_damaged_record_is_none_and_goes_and_one_of_another_version_stays() {
    let (_parent, folder, journal) = journal();
    let key = key("a");
    journal.save(&key, &a_record()).await.unwrap();
    let path = record(&folder, &key.to_string());
    for damaged in ["", "{", r#"{"version":1}"#, "null", &"x".repeat(100_000)] {
        fs::write(&path, damaged).unwrap();
        assert_eq!((journal.load(&key).await, path.exists()), (None, false), "{damaged:.20}");
    }
    fs::write(&path, r#"{"version":2,"where":"?"}"#).unwrap();
    assert_eq!((journal.load(&key).await, path.exists()), (None, true));
}

#[tokio::test]
async fn what_is_stale_goes_and_what_others_hold_or_own_stays() {
    let (_parent, folder, journal) = journal();
    journal.save(&key("stale"), &a_record()).await.unwrap();
    journal.save(&key("held"), &a_record()).await.unwrap();
    journal.save(&key("young"), &a_record()).await.unwrap();
    let path = |name: &str, end: &str| folder.join(format!("{}.{end}", key(name)));
    let foreign = folder.join("notes.json");
    for left in [&path("died", "lock"), &path("died", "new"), &foreign] {
        fs::write(left, "").unwrap();
    }
    for old in [path("stale", "json"), path("held", "json"), path("died", "lock"), path("died", "new"), foreign] {
        age(&old);
    }
    let held = journal.try_lock(&key("held")).await.unwrap();
    assert_eq!(FolderJournal::at(&folder).load(&key("stale")).await, None);
    let mut expected = [("held", "json"), ("held", "lock"), ("young", "json")]
        .map(|(name, end)| path(name, end).file_name().unwrap().to_str().unwrap().to_owned())
        .to_vec();
    expected.push("notes.json".into());
    expected.sort_unstable();
    let mut left = names(&folder);
    left.sort_unstable();
    assert_eq!(left, expected);
    drop(held);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_that_names_it() {
    let (parent, _, _) = journal();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FolderJournal::at(file.join("uss")).try_lock(&key("a")).await.unwrap_err();
    assert!(error.message().contains("file") && !error.hint().is_empty(), "{error}");
    let error = FolderJournal::of(None).try_lock(&key("a")).await.unwrap_err();
    assert!(error.hint().contains("XDG_STATE_HOME"), "{error}");
}
