//! The client against the real server: catalogues, contents, publishing, removal, time-outs, TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use sha2::{Digest, Sha256};
use support::{Server, anonymous, block_on, client_with, context, options, verbose_lines};
use uss::http::{CertificateAuthority, TransportOptions};
use uss::package::Manifest;
use uss::update_service::{
    Content, Invocation, InvokeBody, Invoked, Publish, PublishInstaller, Published, Routes, UpdateService,
};
use uss::{Error, ErrorKind, Secret, ServerUrl};

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn package(server: &Server, id: &str, version: &str, size: u64) -> Bytes {
    std::fs::read(server.make_package(id, version, &[], size)).unwrap().into()
}

/// A publish of `a 1.0.0` that announces what it can.
fn of(bytes: &Bytes) -> Publish {
    let (sha256, length) = (Some(digest(bytes)), Some(bytes.len() as u64));
    Publish { id: "a".into(), version: "1.0.0".into(), sha256, force: false, length }
}

fn send(service: &UpdateService, publish: Publish, bytes: &Bytes) -> Result<Published, Error> {
    let chunks: Vec<Result<Bytes, Error>> =
        bytes.chunks(50_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    block_on(service.publish(&context(), publish, stream::iter(chunks)))
}

async fn read(content: Content) -> Result<Vec<u8>, Error> {
    let chunks: Vec<Bytes> = content.body.try_collect().await?;
    Ok(chunks.concat())
}

#[test]
fn what_is_published_is_there_as_it_was_sent() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let bytes = package(&server, "a", "1.0.0", 300_000);
    let stored = match send(&service, of(&bytes), &bytes).unwrap() {
        Published::Created(stored) => stored,
        other => panic!("{other:?}"),
    };
    assert_eq!((stored.size, stored.sha256), (Some(bytes.len() as u64), Some(digest(&bytes))));
    block_on(async {
        let versions = service.versions(&context(), "a").await.unwrap();
        assert_eq!((versions.len(), versions[0].version.as_str()), (1, "1.0.0"));
        let whole = service.content(&context(), "a", "1.0", 0, None).await.unwrap();
        assert_eq!((whole.status_from, whole.total, whole.sha256), (0, Some(bytes.len() as u64), Some(digest(&bytes))));
        let tag = whole.etag.clone().unwrap();
        assert_eq!(read(whole).await.unwrap(), bytes);
        let rest = service.content(&context(), "a", "1.0.0", 1_234, Some(&tag)).await.unwrap();
        assert_eq!(
            (rest.status_from, rest.total, rest.sha256),
            (1_234, Some(bytes.len() as u64), Some(digest(&bytes)))
        );
        assert_eq!(read(rest).await.unwrap(), bytes[1_234..]);
        for (from, tag) in [(10, "\"other\""), (bytes.len() as u64 + 1, tag.as_str())] {
            let error = service.content(&context(), "a", "1.0.0", from, Some(tag)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SourceChanged);
        }
    });
}

#[test]
fn publishing_again_is_told_from_replacing_and_from_a_conflict() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let (first, second) = (package(&server, "a", "1.0.0", 1_000), package(&server, "a", "1.0.0", 2_000));
    assert!(matches!(send(&service, of(&first), &first).unwrap(), Published::Created(_)));
    let unannounced = Publish { sha256: None, length: None, ..of(&first) };
    for again in [of(&first), unannounced.clone()] {
        assert!(matches!(send(&service, again, &first).unwrap(), Published::AlreadyThere(_)));
    }
    for other in [of(&second), unannounced] {
        let error = send(&service, other, &second).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::PackageAlreadyExists, Some(409)));
        assert_eq!((error.target(), error.retry_after()), ("a 1.0.0", None));
        assert!(error.message().contains("Package already exists: a 1.0.0"), "{error}");
    }
    let replaced = send(&service, Publish { force: true, ..of(&second) }, &second).unwrap();
    assert_eq!(replaced.stored().sha256, Some(digest(&second)));
    assert!(matches!(replaced, Published::Replaced(_)));
}

#[test]
fn what_must_not_be_published_is_refused_with_its_reason() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let bytes = package(&server, "a", "1.0.0", 1_000);
    let other_name = Publish { id: "b".into(), ..of(&bytes) };
    let wrong_digest = Publish { sha256: Some([7; 32]), ..of(&bytes) };
    let no_zip = Bytes::from_static(b"no zip at all");
    for (publish, bytes, kind) in [
        (other_name, &bytes, ErrorKind::InvalidPackage),
        (wrong_digest, &bytes, ErrorKind::ChecksumMismatch),
        (of(&no_zip), &no_zip, ErrorKind::InvalidPackage),
    ] {
        let error = send(&service, publish, bytes).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (kind, Some(422)), "{error}");
    }
    let reader = server.client("reader", &server.reader("reader"));
    let error = send(&reader, of(&bytes), &bytes).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::PermissionDenied, Some(403)));
    let error = send(&anonymous(server.url()), of(&bytes), &bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialMissing);
    let error = block_on(service.versions(&context(), "a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PackageNotFound, "nothing of it was published");
}

#[test]
fn a_body_that_breaks_off_publishes_nothing() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let bytes = package(&server, "a", "1.0.0", 1_000_000);
    let broken = || Err(Error::new(ErrorKind::SourceChanged, "The source broke."));
    for length in [None, Some(bytes.len() as u64)] {
        let body = stream::iter([Ok(bytes.slice(..bytes.len() - 1)), broken()]);
        let publish = Publish { sha256: None, length, ..of(&bytes) };
        let error = block_on(service.publish(&context(), publish, body)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceChanged);
        assert_eq!(block_on(service.versions(&context(), "a")).unwrap_err().kind(), ErrorKind::PackageNotFound);
    }
}

#[test]
fn an_early_refusal_ends_a_long_upload() {
    let server = Server::start();
    let reader = server.client("reader", &server.reader("reader"));
    let long = stream::repeat_with(|| Ok(Bytes::from(vec![7; 256 * 1024]))).take(400);
    let publish = Publish { id: "a".into(), version: "1.0.0".into(), sha256: None, force: false, length: None };
    let error = block_on(reader.publish(&context(), publish, long)).unwrap_err();
    // The server reads 1 MiB on and closes: the answer is read, or the break is told as one that may be tried again.
    assert!(error.kind() == ErrorKind::PermissionDenied || error.retry_after().is_some(), "{error}");
}

#[test]
fn an_answer_that_is_lost_may_be_tried_again_and_versions_tell() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let bytes = package(&server, "a", "1.0.0", 1_000);
    block_on(service.connect(&context())).unwrap();
    server.fault(json!({ "method": "POST", "path": "/api/v1/Packages", "action": "forget" }));
    let error = send(&service, of(&bytes), &bytes).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::ConnectionFailed, Some(Duration::ZERO)), "{error}");
    let versions = block_on(service.versions(&context(), "a")).unwrap();
    let sha256: String = digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(versions[0].sha256.as_deref(), Some(sha256.as_str()));
}

#[test]
fn content_that_breaks_off_is_told_and_goes_on_from_there() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    let file = server.add_package("a", "1.0.0", &[], 2_000_000);
    let bytes = std::fs::read(file).unwrap();
    block_on(service.connect(&context())).unwrap();
    server.fault(json!({ "path": "/content", "action": { "reset": 700_000 } }));
    block_on(async {
        let content = service.content(&context(), "a", "1.0.0", 0, None).await.unwrap();
        let (tag, mut body, mut got) = (content.etag.unwrap(), content.body, Vec::new());
        let error = loop {
            match body.next().await.unwrap() {
                Ok(chunk) => got.extend_from_slice(&chunk),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::ConnectionFailed, Some(Duration::ZERO)), "{error}");
        let rest = service.content(&context(), "a", "1.0.0", got.len() as u64, Some(&tag)).await.unwrap();
        got.extend(read(rest).await.unwrap());
        assert_eq!(got, bytes);
    });
}

#[test]
fn catalogues_list_what_is_there_and_name_what_is_not() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    server.add_package("bundle/my-pos", "1.0.0", &["lib=^ >=1.0"], 0);
    server.add_package("lib", "1.0.0", &[], 10);
    server.add_package("lib", "1.1.0-rc.1", &[], 10);
    block_on(async {
        let context = context();
        let packages = service.packages(&context, None).await.unwrap();
        assert_eq!(packages.iter().map(|package| package.id.as_str()).collect::<Vec<_>>(), ["bundle/my-pos", "lib"]);
        assert_eq!(service.packages(&context, Some("pos")).await.unwrap().len(), 1);
        let bundle = service.versions(&context, "bundle/my-pos").await.unwrap();
        assert_eq!(bundle[0].dependencies[0].package_id, "lib");
        let ids = ["lib".to_owned(), "bundle/my-pos".into(), "gone".into()];
        let found = service.versions_of(&context, &ids).await.unwrap();
        assert_eq!((found.len(), found["lib"].len()), (2, 2));
        let error = service.versions(&context, "gone").await.unwrap_err();
        assert_eq!((error.kind(), error.target()), (ErrorKind::PackageNotFound, "gone"));
        let error = service.content(&context, "lib", "9.9", 0, None).await.unwrap_err();
        assert_eq!((error.kind(), error.target()), (ErrorKind::PackageNotFound, "lib 9.9"));
        service.delete(&context, "lib", "1.0.0").await.unwrap();
        let error = service.delete(&context, "lib", "1.0.0").await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::PackageNotFound, Some(404)));
        assert_eq!(service.versions(&context, "lib").await.unwrap().len(), 1);
    });
}

#[test]
fn more_packages_than_a_page_holds_are_listed_to_the_last() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..1_050).map(|n| format!("p/{n:04}")).collect();
    let mut arguments = vec!["package".to_owned(), "add".into()];
    for id in &ids {
        let manifest = Manifest { id: id.clone(), version: "1.0".into(), ..Manifest::default() };
        let file = folder.path().join(id.replace('/', "-"));
        uss::package::write(&manifest, &[], &file, false).unwrap();
        arguments.push(file.to_str().unwrap().to_owned());
    }
    server.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let service = server.client("reader", &server.reader("reader"));
    block_on(async {
        for search in [None, Some("p/")] {
            let found = service.packages(&context(), search).await.unwrap();
            assert!(found.iter().map(|package| &package.id).eq(&ids), "{} packages", found.len());
        }
        assert_eq!(service.versions_of(&context(), &ids).await.unwrap().len(), ids.len());
    });
}

#[test]
fn installers_travel_like_packages() {
    let (source, target) = (Server::start(), Server::start());
    let from = source.client("admin", &source.admin("admin"));
    let to = target.client("admin", &target.admin("admin"));
    let file = source.data().join("Setup.exe");
    std::fs::write(&file, vec![9; 70_000]).unwrap();
    source.run(&["installer", "add", file.to_str().unwrap(), "--name", "My Setup & more"]);
    block_on(async {
        let context = context();
        let installer = from.installers(&context).await.unwrap().remove(0);
        assert_eq!(from.installer(&context, &installer.id).await.unwrap(), installer);
        let content = from.installer_content(&context, &installer.id, 0, None).await.unwrap();
        let publish = PublishInstaller {
            id: Some(installer.id.clone()),
            name: installer.name.clone(),
            file_name: installer.file_name.clone(),
            sha256: content.sha256,
            length: content.total,
            ..PublishInstaller::default()
        };
        // Straight from one server into the other.
        let created = to.publish_installer(&context, publish.clone(), content.body).await.unwrap();
        assert!(matches!(created, Published::Created(_)));
        let there = to.installer(&context, &installer.id).await.unwrap();
        assert_eq!(
            (&there.name, &there.file_name, &there.sha256),
            (&installer.name, &installer.file_name, &installer.sha256)
        );
        let again = PublishInstaller { length: None, ..publish };
        let again = to.publish_installer(&context, again, stream::empty()).await.unwrap();
        assert!(matches!(again, Published::AlreadyThere(_)));
        let gone = "00000000-0000-0000-0000-000000000000";
        for error in [
            to.installer(&context, gone).await.unwrap_err(),
            to.installer_content(&context, gone, 0, None).await.map(|_| ()).unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.target()), (ErrorKind::InstallerNotFound, gone));
        }
    });
}

#[test]
fn any_call_can_be_made_by_its_path() {
    let server = Server::start();
    let service = server.client("admin", &server.admin("admin"));
    server.add_package("a", "1.0.0", &[], 10);
    block_on(async {
        let call = |path: &str| Invocation { path: path.into(), ..Invocation::default() };
        match service.invoke(&context(), call("/api/v1/Packages/versions?packageId=a")).await.unwrap() {
            Invoked::Json(versions) => assert_eq!(versions[0]["version"], "1.0.0"),
            other => panic!("{other:?}"),
        }
        let body = InvokeBody::Bytes(Bytes::from_static(b"{\"packageIds\":[\"a\"]}"));
        let post = Invocation { method: "POST".into(), body, ..call("api/v1/Packages/versions/query") };
        assert!(matches!(service.invoke(&context(), post).await.unwrap(), Invoked::Json(_)));
        let error = service.invoke(&context(), call("/api/v1/nothing")).await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::InvalidArgument, Some(404)));
    });
}

#[test]
fn a_route_file_leads_a_call_elsewhere() {
    let server = Server::start();
    let token = server.reader("reader");
    let file = server.data().join("routes.json");
    std::fs::write(&file, r#"{"versions":{"uri":"/api/v1/nothing{?packageId}"}}"#).unwrap();
    let credential = uss::connection::Credential { user_name: "reader".into(), token: Secret::new(token) };
    let url = ServerUrl::parse(server.url(), false).unwrap();
    let service = UpdateService::open(url, Some(credential), options(), Routes::read(&file).unwrap()).unwrap();
    block_on(service.versions(&context(), "a")).unwrap_err();
    assert_eq!(server.requests("GET /api/v1/nothing"), 1);
    std::fs::write(&file, r#"{"versoins":{}}"#).unwrap();
    let error = Routes::read(&file).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidArgument && error.message().contains("versoins"), "{error}");
}

#[test]
fn a_line_a_request_goes_to_the_log_without_its_query() {
    let server = Server::start();
    let service = server.client("reader", &server.reader("reader"));
    let context = context();
    block_on(service.versions(&context, "secret-id")).unwrap_err();
    let (url, lines) = (server.url(), verbose_lines(&context));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(&format!("POST {url}/api/v1/PersonalTokens/authenticate 200 ")), "{lines:?}");
    let expected = format!("GET {url}/api/v1/Packages/versions 404 ");
    assert!(lines[1].starts_with(&expected) && lines[1].ends_with(" B 0 retries"), "{lines:?}");
    assert!(!lines.concat().contains("secret-id"), "{lines:?}");
}

/// A root and a certificate of it for `names`, as files.
fn certificates(folder: &Path, names: &[SanType], expired: bool) -> (PathBuf, PathBuf, PathBuf) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = names.to_vec();
    if expired {
        leaf.not_before = rcgen::date_time_ymd(2019, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = write("key.pem", key.serialize_pem());
    (write("root.pem", root_pem), write("cert.pem", certificate.pem()), key)
}

/// A server with TLS, the address to reach it by, a token, and the root that it is from.
fn secure_server(names: &[SanType], expired: bool) -> (Server, String, CertificateAuthority) {
    let folder = tempfile::tempdir().unwrap();
    let (root, certificate, key) = certificates(folder.path(), names, expired);
    let arguments = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = Server::start_with(&arguments);
    let token = server.reader("reader");
    (server, token, CertificateAuthority::read(&root).unwrap())
}

fn connect(server: &Server, token: &str, options: TransportOptions) -> Result<(), Error> {
    let service = client_with(server.url(), "reader", token, options)?;
    block_on(service.connect(&context())).map(|_| ())
}

fn this_machine() -> SanType {
    SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[test]
fn a_certificate_of_a_named_root_is_trusted_and_of_an_unknown_one_is_not() {
    let (server, token, root) = secure_server(&[this_machine()], false);
    let trusting = TransportOptions { certificate_authority: Some(root), ..options() };
    connect(&server, &token, trusting).unwrap();
    let skipping = TransportOptions { skip_certificate_check: true, ..options() };
    connect(&server, &token, skipping).unwrap();
    // Another root, so that the test needs none of the machine's own.
    let (_other, _, other_root) = secure_server(&[this_machine()], false);
    let strict = TransportOptions { certificate_authority: Some(other_root), ..options() };
    let error = connect(&server, &token, strict).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::TlsFailed, None));
    assert!(error.message().contains("issuer") || error.message().contains("cannot be trusted"), "{error}");
    assert!(error.hint().contains("-CertificateAuthority"), "{error}");
}

#[test]
fn a_certificate_for_another_name_or_out_of_date_is_told_as_such() {
    for (names, expired, reason) in [
        (SanType::DnsName("other.example".try_into().unwrap()), false, "is for another name"),
        (this_machine(), true, "has expired"),
    ] {
        let (server, token, root) = secure_server(&[names], expired);
        let options = TransportOptions { certificate_authority: Some(root), ..options() };
        let error = connect(&server, &token, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsFailed);
        assert!(error.message().contains(reason), "{error}");
        assert_eq!(server.exchanges_in_log(), 0, "no token was sent");
    }
}
