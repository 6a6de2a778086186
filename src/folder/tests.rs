//! Files to a folder by the engine, and a folder's uploads by themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream;

use super::*;
use crate::copy::{
    self, Catalogue, ContentKey, Destination, Digest, Outcome, Plan, RunOptions, Source, Upload, UploadLocation,
};
use crate::log::{Log, LogLevel};
use crate::operation::Context;
use crate::package::{Dependency, Manifest, write_filled};

const LARGE: usize = 20 << 20;

fn context() -> Context {
    Context::new(Log::new(LogLevel::None))
}

/// Writes a package of `size` bytes and its manifest; a dependency is `id query`.
fn package(folder: &Path, id: &str, version: &str, size: u64, dependencies: &[&str]) -> PathBuf {
    let dependency = |text: &&str| {
        let (id, query) = text.split_once(' ').unwrap_or((text, ""));
        Dependency { package_id: id.into(), version_query: query.into(), ..Dependency::default() }
    };
    let dependencies = dependencies.iter().map(dependency).collect();
    let manifest = Manifest { id: id.into(), version: version.into(), dependencies, ..Manifest::default() };
    write_filled(&manifest, size, folder, true).unwrap().path
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn plan(paths: &[PathBuf], folder: &Folder, force: bool) -> Result<Plan<PackageFiles, Folder>, Vec<Error>> {
    let files = PackageFiles::read(&context(), paths).await?;
    let options = ImportOptions { force, ..ImportOptions::default() };
    plan_import(&context(), &files, std::slice::from_ref(folder), options).await
}

async fn run(plan: Plan<PackageFiles, Folder>) -> Vec<Result<String, ErrorKind>> {
    let rows = Mutex::new(Vec::new());
    let one = RunOptions { throttle_limit: 1, ..RunOptions::default() };
    let on_row = |row: Result<copy::CopyResult, Error>| {
        let row = row.map(|row| format!("{} {} {}", row.id, row.version, row.status.as_str()));
        rows.lock().unwrap().push(row.map_err(|error| error.kind()));
    };
    copy::run(&context(), plan, &copy::MemoryJournal::default(), &one, on_row).await.unwrap();
    rows.into_inner().unwrap()
}

fn kinds(problems: Vec<Error>) -> Vec<ErrorKind> {
    problems.iter().map(Error::kind).collect()
}

#[tokio::test]
async fn files_come_to_a_folder_dependencies_first_and_are_skipped_the_next_time() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = package(from.path(), "bundle/app", "2.0", LARGE as u64, &["runtime >=1.0"]);
    let runtime = package(from.path(), "runtime", "1.5", 1000, &[]);
    let folder = Folder::open(to.path()).unwrap();
    let planned = plan(&[app.clone(), runtime.clone()], &folder, false).await.unwrap();
    let summary = planned.summaries().pop().unwrap();
    assert_eq!(summary.action, format!("Copy from {}", from.path().display()));
    assert_eq!(run(planned).await, [Ok("runtime 1.5 Copied".into()), Ok("bundle/app 2.0 Copied".into())]);
    assert_eq!(names(to.path()), ["bundle_app-2.0.zip", "runtime-1.5.zip"]);
    assert_eq!(fs::read(to.path().join("bundle_app-2.0.zip")).unwrap(), fs::read(&app).unwrap());

    let planned = plan(&[app, runtime], &folder, false).await.unwrap();
    assert!(planned.rows().iter().all(|row| row.status.as_str() == "WouldSkip"), "{:?}", planned.rows());
    assert_eq!(run(planned).await, [Ok("runtime 1.5 Skipped".into()), Ok("bundle/app 2.0 Skipped".into())]);
}

#[tokio::test]
async fn other_bytes_are_kept_without_force_and_replaced_with_it_under_any_spelling_of_the_version() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = package(from.path(), "app", "1.0.0", 1000, &[]);
    // Of the same size, so that only the digest tells.
    let old = to.path().join("app-1.0.zip");
    fs::write(&old, vec![7; usize::try_from(fs::metadata(&app).unwrap().len()).unwrap()]).unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let refused = plan(std::slice::from_ref(&app), &folder, false).await.unwrap_err();
    assert_eq!(kinds(refused), [ErrorKind::PackageAlreadyExists]);
    assert_eq!(folder.file_of("app", "1.0.0").unwrap(), fs::canonicalize(&old).unwrap());
    let planned = plan(std::slice::from_ref(&app), &folder, true).await.unwrap();
    assert_eq!(run(planned).await, [Ok("app 1.0.0 Replaced".into())]);
    assert_eq!(names(to.path()), ["app-1.0.0.zip"]);
}

#[tokio::test]
async fn every_problem_of_the_files_is_told_before_anything_is_published() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = package(from.path(), "app", "1.0", 1000, &[]);
    let (garbage, other) = (from.path().join("garbage.zip"), from.path().join("other.zip"));
    fs::write(&garbage, "no zip").unwrap();
    let manifest = Manifest { id: "app".into(), version: "1.0.0".into(), ..Manifest::default() };
    write_filled(&manifest, 2000, &other, false).unwrap();
    let paths = [app, garbage.clone(), from.path().to_owned(), from.path().join("absent.zip"), other];
    let problems = PackageFiles::read(&context(), &paths).await.unwrap_err();
    assert_eq!(problems[0].target(), garbage.display().to_string());
    let expected =
        [ErrorKind::InvalidPackage, ErrorKind::InvalidArgument, ErrorKind::InvalidArgument, ErrorKind::InvalidArgument];
    assert_eq!(kinds(problems), expected);
    let absent = Folder::open(&to.path().join("absent")).unwrap_err();
    assert!(absent.message().contains("does not exist"), "{absent}");
    assert!(Folder::open(&garbage).unwrap_err().message().contains("is a file"));
}

#[tokio::test]
async fn what_is_not_among_the_files_must_be_at_the_destination() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = package(from.path(), "app", "1.0", 1000, &["runtime >=2.0", "base"]);
    let base = package(from.path(), "base", "1.0", 1000, &[]);
    let folder = Folder::open(to.path()).unwrap();
    let problems = plan(&[app.clone(), base.clone()], &folder, false).await.unwrap_err();
    assert_eq!((problems.len(), problems[0].kind()), (1, ErrorKind::DependencyUnresolved));
    let message = problems[0].message();
    assert!(message.starts_with("app 1.0 needs runtime '>=2.0', which is not among the files: "), "{message}");
    package(to.path(), "runtime", "1.0", 1000, &[]);
    let problems = plan(&[app.clone(), base.clone()], &folder, false).await.unwrap_err();
    assert_eq!(kinds(problems), [ErrorKind::DependencyUnresolved]);
    package(to.path(), "runtime", "2.1", 1000, &[]);
    let planned = plan(&[app.clone(), base.clone()], &folder, false).await.unwrap();
    assert_eq!(run(planned).await, [Ok("base 1.0 Copied".into()), Ok("app 1.0 Copied".into())]);

    let circle = package(from.path(), "base", "1.0", 1000, &["app"]);
    let problems = plan(&[app.clone(), circle.clone()], &folder, true).await.unwrap_err();
    assert_eq!(kinds(problems), [ErrorKind::DependencyCycle]);
    let files = PackageFiles::read(&context(), &[app, circle]).await.unwrap();
    let options = ImportOptions { force: true, skip_dependency_check: true };
    assert!(plan_import(&context(), &files, &[folder], options).await.is_ok());
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_hashed_is_not_published() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = package(from.path(), "app", "1.0", 1000, &[]);
    let folder = Folder::open(to.path()).unwrap();
    let planned = plan(std::slice::from_ref(&app), &folder, false).await.unwrap();
    let mut bytes = fs::read(&app).unwrap();
    bytes.push(0);
    fs::write(&app, &bytes).unwrap();
    assert_eq!(run(planned).await, [Err(ErrorKind::SourceChanged)]);
    assert!(names(to.path()).is_empty());

    let planned = plan(std::slice::from_ref(&app), &folder, false).await.unwrap();
    fs::remove_file(&app).unwrap();
    assert_eq!(run(planned).await, [Err(ErrorKind::SourceChanged)]);
}

#[tokio::test]
async fn a_file_is_read_from_any_byte_if_it_is_the_one_that_is_meant() {
    let from = tempfile::tempdir().unwrap();
    let app = package(from.path(), "app", "1.0", 1 << 20, &[]);
    let files = PackageFiles::read(&context(), std::slice::from_ref(&app)).await.unwrap();
    let key = ContentKey::Package { id: "app".into(), version: "1.0".into() };
    let whole = fs::read(&app).unwrap();
    let etag = format!("\"{}\"", Digest::of(&whole));
    let opened = files.content(&context(), &key, 700_000, Some(&etag)).await.unwrap();
    assert_eq!((opened.start, opened.total, opened.etag.as_ref()), (700_000, Some(whole.len() as u64), Some(&etag)));
    let blocks: Vec<_> = futures_util::StreamExt::collect(opened.body).await;
    let read: Vec<u8> = blocks.into_iter().flat_map(|block| block.unwrap().to_vec()).collect();
    assert_eq!(read, whole[700_000..]);
    for (start, tag) in [(0, Some("\"other\"")), (whole.len() as u64 + 1, None)] {
        let refused = files.content(&context(), &key, start, tag).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::SourceChanged);
    }
}

fn upload(bytes: &[u8]) -> Upload {
    Upload {
        content: ContentKey::Package { id: "app".into(), version: "1.0".into() },
        sha256: Some(Digest::of(bytes)),
        length: Some(bytes.len() as u64),
        force: false,
    }
}

/// The chunks of `bytes`; then, if it is broken, an error.
fn body(bytes: &[u8], broken: bool) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Unpin + use<> {
    let chunks = bytes.chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
    let end = broken.then(|| Err(Error::new(ErrorKind::ConnectionFailed, "The connection broke.")));
    stream::iter(chunks.chain(end).collect::<Vec<_>>())
}

#[tokio::test]
async fn an_upload_that_broke_is_gone_on_with_and_proven_as_a_whole() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let bytes: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    let upload = upload(&bytes);
    assert_eq!(folder.begin(&context(), &Upload { length: Some(1000), ..upload.clone() }).await.unwrap(), None);
    let location = folder.begin(&context(), &upload).await.unwrap().unwrap();
    let partial = Path::new(&location.0);
    assert!(partial.is_absolute() && location.0.ends_with(".partial"));
    assert_eq!(folder.offset(&context(), &location).await.unwrap(), Some(0));
    let broken = folder.take(&upload, partial, 0, body(&bytes[..5 << 20], true)).await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::ConnectionFailed);
    assert_eq!(folder.offset(&context(), &location).await.unwrap(), Some(5 << 20));

    let elsewhere = folder.take(&upload, partial, 1 << 20, body(&bytes[1 << 20..], false)).await.unwrap_err();
    assert!(elsewhere.kind() == ErrorKind::CopyInProgress && elsewhere.retry_after().is_some());
    let other = fs::OpenOptions::new().read(true).write(true).open(partial).unwrap();
    other.lock().unwrap();
    let busy = folder.take(&upload, partial, 5 << 20, body(&bytes[5 << 20..], false)).await.unwrap_err();
    assert!(busy.kind() == ErrorKind::CopyInProgress && busy.retry_after().is_some());
    assert_eq!(folder.begin(&context(), &upload).await.unwrap_err().kind(), ErrorKind::CopyInProgress);
    drop(other);

    let receipt = folder.take(&upload, partial, 5 << 20, body(&bytes[5 << 20..], false)).await.unwrap();
    assert_eq!((receipt.outcome, receipt.size, receipt.sha256), (Outcome::Created, upload.length, upload.sha256));
    assert_eq!(names(to.path()), ["app-1.0.zip"]);
    assert!(fs::read(to.path().join("app-1.0.zip")).unwrap() == bytes);
    assert_eq!(folder.offset(&context(), &location).await.unwrap(), None);
    // It is there: nothing is to be begun.
    assert_eq!(folder.begin(&context(), &upload).await.unwrap(), None);
}

#[tokio::test]
async fn an_upload_with_a_wrong_beginning_is_not_saved_and_not_gone_on_with() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let bytes = vec![1; LARGE];
    let upload = upload(&bytes);
    let location = folder.begin(&context(), &upload).await.unwrap().unwrap();
    fs::write(&location.0, [2; 1000]).unwrap();
    let wrong = folder.take(&upload, Path::new(&location.0), 1000, body(&bytes[1000..], false)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::ChecksumMismatch);
    assert!(names(to.path()).is_empty());
    let short = folder.take(&upload, &to.path().join("x.partial"), 0, body(&bytes[..1000], false)).await.unwrap_err();
    assert_eq!(short.kind(), ErrorKind::ProtocolViolation);
}

#[tokio::test]
async fn what_appears_meanwhile_is_not_replaced() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let bytes = vec![1; 1000];
    let (partial, target) = (to.path().join("x.partial"), to.path().join("app-1.0.zip"));
    fs::write(&target, "other").unwrap();
    let refused = folder.take(&upload(&bytes), &partial, 0, body(&bytes, false)).await.unwrap_err();
    assert_eq!((refused.kind(), fs::read(&target).unwrap()), (ErrorKind::PackageAlreadyExists, b"other".to_vec()));
    fs::write(&target, &bytes).unwrap();
    let receipt = folder.take(&upload(&bytes), &partial, 0, body(&bytes, false)).await.unwrap();
    assert_eq!(receipt.outcome, Outcome::AlreadyThere);
    assert_eq!(names(to.path()), ["app-1.0.zip"]);
}

#[tokio::test]
async fn only_a_partial_file_of_this_folder_is_an_upload() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = Folder::open(here.path()).unwrap();
    let (foreign, whole) = (there.path().join("a-1.0.zip.partial"), here.path().join("a-1.0.zip"));
    for path in [foreign, whole] {
        fs::write(&path, "x").unwrap();
        let location = UploadLocation(path.display().to_string());
        assert_eq!(folder.offset(&context(), &location).await.unwrap(), None);
        folder.abandon(&context(), &location).await.unwrap();
        assert!(path.exists());
    }
    let own = here.path().join("a-1.0.zip.0a.partial");
    fs::write(&own, "x").unwrap();
    let location = UploadLocation(own.display().to_string());
    assert_eq!(folder.offset(&context(), &location).await.unwrap(), Some(1));
    for _ in 0..2 {
        folder.abandon(&context(), &location).await.unwrap();
    }
    assert!(!own.exists());
}

#[tokio::test]
async fn a_folder_tells_what_its_names_say_also_where_they_were_cut() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let long = "long/".repeat(50);
    for (id, version) in [("bundle/app", "1.0"), ("bundle-app", "1.0"), ("bundle/app", "2.0-rc.1"), (&long, "1.0")] {
        package(to.path(), id, version, 10, &[]);
    }
    fs::write(to.path().join("notes.txt"), "x").unwrap();
    let ids = ["bundle/app".to_owned(), long.clone(), "absent".to_owned()];
    let found = folder.versions_of(&context(), &ids).await.unwrap();
    let mut versions: Vec<_> = found["bundle/app"].iter().map(|version| version.version.as_str()).collect();
    versions.sort_unstable();
    assert_eq!((versions, found[&long].len(), found.len()), (vec!["1.0", "2.0-rc.1"], 1, 2));
}

#[test]
fn a_save_that_is_given_up_leaves_nothing_even_while_its_file_is_being_made() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let bytes = vec![1; 1000];
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // The one thread that may wait for a disk is held, so that the file is made after the save was given up.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || held.recv().is_ok());
        let upload = Upload { force: true, ..upload(&bytes) };
        {
            let save = std::pin::pin!(folder.take_at_once(&upload, body(&bytes, false)));
            assert!(futures_util::FutureExt::now_or_never(save).is_none());
        }
        release.send(()).unwrap();
        assert!(holding.await.unwrap());
        // What was queued before is done when this is.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
    });
    assert!(names(to.path()).is_empty(), "{:?}", names(to.path()));
}

#[tokio::test]
async fn a_source_cannot_name_a_file_outside_the_folder() {
    let to = tempfile::tempdir().unwrap();
    let folder = Folder::open(to.path()).unwrap();
    let bytes = vec![1; 1000];
    for (id, version) in
        [("..\\..\\evil", "1.0"), ("C:evil", "1.0"), ("App", "1.0"), ("", "1.0"), ("app", "1.0\\..\\x")]
    {
        let content = ContentKey::Package { id: id.into(), version: version.into() };
        let upload = Upload { content: content.clone(), ..upload(&bytes) };
        let taken = folder.take(&upload, &to.path().join("x.partial"), 0, body(&bytes, false)).await;
        let failures = [
            taken.err(),
            folder.begin(&context(), &Upload { length: Some(LARGE as u64), ..upload }).await.err(),
            folder.digest(&context(), &content).await.err(),
        ];
        assert_eq!(failures.map(|error| error.map(|error| error.kind())), [Some(ErrorKind::InvalidPackage); 3], "{id}");
        if version == "1.0" {
            // The plan asks for it, so that nothing is saved before.
            let planned = folder.versions_of(&context(), &["app".into(), id.into()]).await.unwrap_err();
            assert_eq!(planned.kind(), ErrorKind::InvalidPackage, "{id}");
        }
    }
    assert!(names(to.path()).is_empty());
}
