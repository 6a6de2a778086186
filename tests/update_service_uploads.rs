//! Resumable uploads to servers that are not ours, and the answers that ours never gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::json;
use support::raw::{After, Raw};
use support::{anonymous, block_on, client_with_routes, context, verbose_lines};
use uss::update_service::{Publish, PublishInstaller, Published, Publishing, Routes, Stored, UpdateService};
use uss::{Error, ErrorKind};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const UPLOADS: &str = "/api/v1/Uploads";
const UPLOAD: &str = "/files/7";
const PAGE: &str = "<!DOCTYPE html><title>Sign in</title>";

/// A server that signs everybody in, and has tus.
async fn server() -> MockServer {
    let server = bare_server().await;
    on("OPTIONS", UPLOADS, tus("creation,termination")).mount(&server).await;
    server
}

async fn bare_server() -> MockServer {
    let server = MockServer::start().await;
    let answer = json!({ "token": "bearer-1", "user": {}, "tokenExpires": "2099-01-01T00:00:00Z" });
    let exchange = ResponseTemplate::new(200).set_body_json(answer);
    on("POST", "/api/v1/PersonalTokens/authenticate", exchange).mount(&server).await;
    server
}

fn tus(extensions: &str) -> ResponseTemplate {
    ResponseTemplate::new(204).insert_header("Tus-Version", "1.0.0,0.2.2").insert_header("Tus-Extension", extensions)
}

fn on(verb: &str, at: &str, answer: ResponseTemplate) -> Mock {
    Mock::given(method(verb)).and(path(at)).respond_with(answer)
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

fn page(code: u16) -> ResponseTemplate {
    status(code).set_body_raw(PAGE, "text/html")
}

fn took(bytes: u64) -> ResponseTemplate {
    status(204).insert_header("Upload-Offset", bytes.to_string())
}

fn problem(code: u16, name: &str) -> ResponseTemplate {
    status(code)
        .set_body_raw(json!({ "type": format!("urn:uss:problem:{name}") }).to_string(), "application/problem+json")
}

/// A user whose bearer is not at hand yet.
fn user_of(server: &MockServer) -> UpdateService {
    user_with(server, Routes::default())
}

fn user_with(server: &MockServer, routes: Routes) -> UpdateService {
    static USERS: AtomicUsize = AtomicUsize::new(0);
    let user = format!("user-{}", USERS.fetch_add(1, Ordering::SeqCst));
    client_with_routes(&server.uri(), &user, "token", routes)
}

fn package() -> Publishing {
    let (id, version) = ("a".to_owned(), "1.0".to_owned());
    Publishing::Package(Publish { id, version, sha256: Some([7; 32]), force: false, length: Some(10) })
}

async fn begin(service: &UpdateService) -> Result<Option<String>, Error> {
    service.begin_upload(&context(), &package()).await
}

/// Begins where the server says `location`.
async fn begin_at(server: &MockServer, location: &str) -> Result<Option<String>, Error> {
    on("POST", UPLOADS, status(201).insert_header("Location", location)).mount(server).await;
    begin(&user_of(server)).await
}

async fn append(service: &UpdateService, server: &MockServer, from: usize) -> Result<Published, Error> {
    let body = stream::iter([Ok(Bytes::from_static(&b"0123456789"[from..]))]);
    let address = format!("{}{UPLOAD}", server.uri());
    service.append_upload(&context(), &package(), &address, from as u64, body).await
}

/// What a PATCH that is answered so means.
async fn append_answered(answer: ResponseTemplate) -> Result<Published, Error> {
    let server = server().await;
    on("PATCH", UPLOAD, answer).mount(&server).await;
    append(&user_of(&server), &server, 4).await
}

async fn asked(server: &MockServer, verb: &str) -> Vec<Request> {
    let requests = server.received_requests().await.unwrap();
    requests
        .into_iter()
        .filter(|request| request.method.as_str() == verb && !request.url.path().contains("Tokens"))
        .collect()
}

fn text<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

#[test]
fn a_server_without_tus_is_asked_once_and_is_no_error() {
    block_on(async {
        for answer in [
            status(404),
            status(405),
            status(501),
            page(403),
            page(200),
            status(204).insert_header("Allow", "GET"),
            status(204).insert_header("Tus-Version", "0.2.2").insert_header("Tus-Extension", "creation"),
            tus("creation-defer-length,expiration"),
        ] {
            let server = bare_server().await;
            on("OPTIONS", UPLOADS, answer).expect(1).mount(&server).await;
            let service = user_of(&server);
            let clones = [service.clone(), service.clone(), service.clone()];
            for begun in join_all(clones.iter().map(begin)).await {
                assert_eq!(begun.unwrap(), None);
            }
            assert_eq!(begin(&service).await.unwrap(), None);
            assert!(asked(&server, "POST").await.is_empty());
        }
    });
}

#[test]
fn an_answer_that_says_nothing_of_tus_is_an_error_and_asked_again() {
    block_on(async {
        for answer in [status(503).insert_header("Retry-After", "3"), status(429), page(502)] {
            let server = bare_server().await;
            on("OPTIONS", UPLOADS, answer).up_to_n_times(1).mount(&server).await;
            on("OPTIONS", UPLOADS, status(404)).mount(&server).await;
            let service = user_of(&server);
            let error = begin(&service).await.unwrap_err();
            assert!(error.retry_after().is_some(), "{error:?}");
            assert!(error.message().starts_with("Publishing a 1.0: Asking for resumable uploads: "), "{error}");
            assert_eq!(begin(&service).await.unwrap(), None);
        }
    });
}

#[test]
fn what_is_too_large_for_the_servers_uploads_or_of_unknown_length_is_published_plainly() {
    block_on(async {
        let server = bare_server().await;
        on("OPTIONS", UPLOADS, tus("creation").insert_header("Tus-Max-Size", "9")).mount(&server).await;
        assert_eq!(begin(&user_of(&server)).await.unwrap(), None);
        let publish = Publish { id: "a".into(), version: "1.0".into(), sha256: None, force: false, length: None };
        let begun = user_of(&server).begin_upload(&context(), &Publishing::Package(publish)).await;
        assert_eq!(begun.unwrap(), None);
        assert!(asked(&server, "POST").await.is_empty());
    });
}

#[test]
fn an_upload_is_begun_with_its_length_and_what_it_is() {
    block_on(async {
        let server = server().await;
        let address = begin_at(&server, UPLOAD).await.unwrap().unwrap();
        assert_eq!(address, format!("{}{UPLOAD}", server.uri()));
        let request = asked(&server, "POST").await.remove(0);
        assert_eq!((text(&request, "upload-length"), text(&request, "tus-resumable")), ("10", "1.0.0"));
        assert_eq!(text(&request, "authorization"), "Bearer bearer-1");
        assert!(text(&request, "upload-metadata").starts_with("packageId YQ==,version MS4w,sha256 MDcw"));
        assert!(request.body.is_empty());
    });
}

#[test]
fn an_upload_is_addressed_where_it_was_begun_and_without_a_query() {
    block_on(async {
        for (location, expected) in [("7", "/api/v1/7"), ("/up/7#x", "/up/7"), ("//HOST/x/7", "/x/7")] {
            let server = server().await;
            let location = location.replace("HOST", &server.address().to_string());
            let address = begin_at(&server, &location).await.unwrap().unwrap();
            assert_eq!(address, format!("{}{expected}", server.uri()));
        }
        let server = server().await;
        on("HEAD", UPLOAD, status(200).insert_header("Upload-Offset", "0")).mount(&server).await;
        let address = begin_at(&server, &format!("{UPLOAD}?key=hunter2")).await.unwrap().unwrap();
        assert_eq!(address, format!("{}{UPLOAD}", server.uri()));
    });
}

#[test]
fn uploads_that_only_a_query_leads_to_are_not_used() {
    block_on(async {
        let server = server().await;
        let context = context();
        on("HEAD", UPLOAD, status(404)).mount(&server).await;
        let location = format!("{UPLOAD}?key=hunter2");
        on("POST", UPLOADS, status(201).insert_header("Location", location)).expect(1).mount(&server).await;
        let service = user_of(&server);
        for _ in 0..2 {
            assert_eq!(service.begin_upload(&context, &package()).await.unwrap(), None);
        }
        let lines = verbose_lines(&context);
        assert!(lines.iter().any(|line| line.contains("only with a query")), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:#?}");
    });
}

#[test]
fn an_upload_on_another_server_or_nowhere_is_refused() {
    block_on(async {
        let other = MockServer::start().await;
        let server = server().await;
        for location in [
            format!("{}{UPLOAD}?key=hunter2", other.uri()),
            format!("http://user:hunter2@{}{UPLOAD}", server.address()),
            format!("http://localhost:{}{UPLOAD}", server.address().port()),
            format!("https://{}{UPLOAD}", server.address()),
            "http://[".to_owned(),
        ] {
            let server = self::server().await;
            let error = begin_at(&server, &location).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{location}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        on("POST", UPLOADS, status(201)).mount(&server).await;
        assert_eq!(begin(&user_of(&server)).await.unwrap_err().kind(), ErrorKind::ProtocolViolation);
        assert!(other.received_requests().await.unwrap().is_empty());
    });
}

#[test]
fn what_a_begin_is_refused_for_is_told_as_a_publish_tells_it() {
    block_on(async {
        for (answer, kind) in [
            (status(409), ErrorKind::PackageAlreadyExists),
            (problem(409, "installer-already-exists"), ErrorKind::PackageAlreadyExists),
            (problem(422, "invalid-package"), ErrorKind::InvalidPackage),
            (status(507), ErrorKind::InsufficientStorage),
            (status(403), ErrorKind::PermissionDenied),
            (page(201), ErrorKind::ProtocolViolation),
        ] {
            let server = server().await;
            on("POST", UPLOADS, answer).mount(&server).await;
            let error = begin(&user_of(&server)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.target(), "a 1.0");
        }
        let server = server().await;
        on("POST", UPLOADS, status(200).set_body_json(json!({ "packageId": "a" }))).mount(&server).await;
        assert_eq!(begin(&user_of(&server)).await.unwrap(), None, "the same bytes are there");
    });
}

#[test]
fn an_uploads_offset_is_what_the_server_says_and_a_gone_one_is_none() {
    block_on(async {
        let address = |server: &MockServer| format!("{}{UPLOAD}", server.uri());
        for (answer, offset) in [
            (status(200).insert_header("Upload-Offset", "4"), Some(4)),
            (status(204).insert_header("Upload-Offset", "0"), Some(0)),
            (status(404), None),
            (status(410), None),
        ] {
            let server = server().await;
            on("HEAD", UPLOAD, answer).mount(&server).await;
            assert_eq!(user_of(&server).upload_offset(&context(), &address(&server)).await.unwrap(), offset);
            assert_eq!(text(&asked(&server, "HEAD").await[0], "tus-resumable"), "1.0.0");
        }
        for answer in [status(200), status(200).insert_header("Upload-Offset", "-1"), page(200)] {
            let server = server().await;
            on("HEAD", UPLOAD, answer).mount(&server).await;
            let error = user_of(&server).upload_offset(&context(), &address(&server)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{error}");
        }
        let (server, other) = (server().await, MockServer::start().await);
        for foreign in [address(&other), "/files/7".into(), String::new()] {
            assert_eq!(user_of(&server).upload_offset(&context(), &foreign).await.unwrap(), None, "{foreign}");
        }
        assert!(other.received_requests().await.unwrap().is_empty());
    });
}

#[test]
fn what_an_upload_lacks_is_sent_from_where_it_stands() {
    block_on(async {
        let server = server().await;
        let digest = "sha-256=:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=:";
        let ours = |outcome: &str| took(10).insert_header("Uss-Outcome", outcome).insert_header("Repr-Digest", digest);
        let stored = Stored { size: Some(10), sha256: Some([7; 32]) };
        for (answer, published) in [
            (ours("created"), Published::Created(stored)),
            (ours("already-there"), Published::AlreadyThere(stored)),
            (ours("replaced"), Published::Replaced(stored)),
            (took(10), Published::Created(Stored { size: Some(10), sha256: None })),
        ] {
            on("PATCH", UPLOAD, answer).up_to_n_times(1).mount(&server).await;
            assert_eq!(append(&user_of(&server), &server, 4).await.unwrap(), published);
        }
        let requests = asked(&server, "PATCH").await;
        assert_eq!(requests.len(), 4);
        let names = ["upload-offset", "content-length", "content-type", "tus-resumable"];
        let sent = names.map(|name| text(&requests[0], name));
        assert_eq!(sent, ["4", "6", "application/offset+octet-stream", "1.0.0"]);
        assert_eq!(requests[0].body, b"456789");
        assert_eq!(asked(&server, "OPTIONS").await.len(), 0, "an upload that is there needs no discovery");
    });
}

#[test]
fn an_upload_that_lacks_nothing_is_ended_by_an_empty_patch() {
    block_on(async {
        let server = server().await;
        on("PATCH", UPLOAD, took(10)).mount(&server).await;
        assert!(matches!(append(&user_of(&server), &server, 10).await, Ok(Published::Created(_))));
        let request = asked(&server, "PATCH").await.remove(0);
        assert_eq!((text(&request, "upload-offset"), text(&request, "content-length")), ("10", "0"));
        assert!(request.body.is_empty());
    });
}

#[test]
fn an_upload_that_stands_elsewhere_or_is_busy_may_be_tried_again() {
    block_on(async {
        for (answer, wait) in [
            (status(409), 0),
            (page(409), 0),
            (problem(409, "upload-offset-conflict"), 0),
            (status(423), 0),
            (page(423), 0),
            (status(423).insert_header("Retry-After", "5"), 5),
            (status(410), 0),
            (page(404), 0),
            (took(7), 0),
            (status(503), 0),
        ] {
            let error = append_answered(answer).await.unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(wait)), "{error:?}");
            assert_ne!(error.kind(), ErrorKind::PackageAlreadyExists);
        }
    });
}

#[test]
fn what_an_upload_is_finally_refused_for_is_told_as_a_publish_tells_it() {
    block_on(async {
        for (answer, kind) in [
            (problem(409, "package-already-exists"), ErrorKind::PackageAlreadyExists),
            (problem(409, "installer-already-exists"), ErrorKind::PackageAlreadyExists),
            (problem(422, "checksum-mismatch"), ErrorKind::ChecksumMismatch),
            (problem(422, "invalid-package"), ErrorKind::InvalidPackage),
            (status(507), ErrorKind::InsufficientStorage),
            (status(412), ErrorKind::ProtocolViolation),
            (page(200), ErrorKind::ProtocolViolation),
            (status(204), ErrorKind::ProtocolViolation),
            (took(11), ErrorKind::ProtocolViolation),
        ] {
            let error = append_answered(answer).await.unwrap_err();
            assert_eq!((error.kind(), error.retry_after()), (kind, None), "{error:?}");
            assert!(error.message().starts_with("Publishing a 1.0: "), "{error}");
        }
    });
}

#[test]
fn an_answer_before_the_body_is_read_ends_the_append() {
    block_on(async {
        let answer = "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\n\r\nfull";
        let server = Raw::answering(answer, After::Silence);
        let publish =
            Publish { id: "a".into(), version: "1.0".into(), sha256: None, force: false, length: Some(1 << 50) };
        let endless = stream::repeat_with(|| Ok(Bytes::from(vec![7; 64 * 1024])));
        let address = format!("{}{UPLOAD}", server.url());
        let what = Publishing::Package(publish);
        let error = anonymous(&server.url()).append_upload(&context(), &what, &address, 5, endless).await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::InsufficientStorage, Some(507)), "{error}");
    });
}

#[test]
fn where_no_patch_gets_through_uploads_are_no_longer_used() {
    block_on(async {
        let server = server().await;
        on("PATCH", UPLOAD, page(405)).mount(&server).await;
        on("HEAD", UPLOAD, status(200).insert_header("Upload-Offset", "0")).mount(&server).await;
        on("POST", UPLOADS, status(201).insert_header("Location", UPLOAD)).mount(&server).await;
        let service = user_of(&server);
        let address = begin(&service).await.unwrap().unwrap();
        let error = append(&service, &server, 0).await.unwrap_err();
        assert!(error.retry_after().is_some(), "{error:?}");
        assert_eq!(service.upload_offset(&context(), &address).await.unwrap(), None);
        assert_eq!(begin(&service).await.unwrap(), None);
    });
}

#[test]
fn a_bearer_that_ends_during_an_upload_is_renewed_for_the_next_append() {
    block_on(async {
        let server = MockServer::start().await;
        for (n, times) in [(1, 1), (2, 9)] {
            let answer = json!({ "token": format!("bearer-{n}"), "user": {}, "tokenExpires": "2099-01-01T00:00:00Z" });
            let exchange = on("POST", "/api/v1/PersonalTokens/authenticate", status(200).set_body_json(answer));
            exchange.up_to_n_times(times).mount(&server).await;
        }
        let expired = status(401).insert_header("WWW-Authenticate", "Bearer error=\"invalid_token\"");
        let first = Mock::given(method("PATCH")).and(header("authorization", "Bearer bearer-1"));
        first.respond_with(expired).expect(1).mount(&server).await;
        let second = Mock::given(method("PATCH")).and(header("authorization", "Bearer bearer-2"));
        second.respond_with(took(10)).expect(1).mount(&server).await;
        let service = user_of(&server);
        let error = append(&service, &server, 0).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::AuthenticationFailed, Some(Duration::ZERO)));
        append(&service, &server, 4).await.unwrap();
    });
}

#[test]
fn the_call_that_a_route_file_names_follows_the_last_byte() {
    block_on(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        let routes = r#"{"uploads":{"uri":"/files"},
            "uploadComplete":{"method":"PUT","uri":"/files/{uploadId}/done{?packageId,version}"}}"#;
        std::fs::write(file.path(), routes).unwrap();
        let routes = Routes::read(file.path()).unwrap();
        let done = || Mock::given(method("PUT")).and(path("/files/7/done"));
        let sha256 = "07".repeat(32);
        for (answer, expected) in [
            (status(204), Ok(Stored::default())),
            (status(200).set_body_string("done"), Ok(Stored::default())),
            (
                status(200).set_body_json(json!({ "size": 10, "sha256": sha256 })),
                Ok(Stored { size: Some(10), sha256: Some([7; 32]) }),
            ),
            (page(200), Err((ErrorKind::ProtocolViolation, None))),
            (status(409), Err((ErrorKind::PackageAlreadyExists, None))),
            (status(503), Err((ErrorKind::ServerUnavailable, Some(Duration::ZERO)))),
        ] {
            let server = bare_server().await;
            on("OPTIONS", "/files", tus("creation")).mount(&server).await;
            on("POST", "/files", status(201).insert_header("Location", "/files/7")).mount(&server).await;
            on("PATCH", UPLOAD, took(10)).mount(&server).await;
            let named = done().and(query_param("packageId", "a")).and(query_param("version", "1.0"));
            named.respond_with(answer).expect(1).mount(&server).await;
            let service = user_with(&server, routes.clone());
            assert!(begin(&service).await.unwrap().is_some());
            let published = append(&service, &server, 0).await;
            let told = published.map(|published| published.stored());
            assert_eq!(told.map_err(|error| (error.kind(), error.retry_after())), expected);
        }
    });
}

#[test]
fn an_upload_that_did_not_arrive_whole_is_not_completed() {
    block_on(async {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"uploadComplete":{"uri":"/done"}}"#).unwrap();
        for answer in [took(7), status(409), status(503)] {
            let server = server().await;
            on("PATCH", UPLOAD, answer).mount(&server).await;
            let service = user_with(&server, Routes::read(file.path()).unwrap());
            append(&service, &server, 0).await.unwrap_err();
            assert!(asked(&server, "POST").await.is_empty());
        }
    });
}

#[test]
fn an_abandoned_upload_is_removed_where_the_server_can() {
    block_on(async {
        let abandon = async |extensions: &str, answer: ResponseTemplate| {
            let server = bare_server().await;
            on("OPTIONS", UPLOADS, tus(extensions)).mount(&server).await;
            on("DELETE", UPLOAD, answer).mount(&server).await;
            let address = format!("{}{UPLOAD}", server.uri());
            let abandoned = user_of(&server).abandon_upload(&context(), &address).await;
            (abandoned.map_err(|error| error.kind()), asked(&server, "DELETE").await.len())
        };
        for gone in [status(204), status(404), status(410)] {
            assert_eq!(abandon("creation,termination", gone).await, (Ok(()), 1));
        }
        assert_eq!(abandon("creation", status(204)).await, (Ok(()), 0));
        assert_eq!(abandon("creation,termination", status(403)).await, (Err(ErrorKind::PermissionDenied), 1));
    });
}

#[test]
fn an_upload_that_something_still_appends_to_is_removed_when_that_has_ended() {
    block_on(async {
        let server = server().await;
        on("DELETE", UPLOAD, status(423)).up_to_n_times(2).mount(&server).await;
        on("DELETE", UPLOAD, status(204)).expect(1).mount(&server).await;
        let address = format!("{}{UPLOAD}", server.uri());
        user_of(&server).abandon_upload(&context(), &address).await.unwrap();
        on("DELETE", UPLOAD, status(423)).with_priority(1).expect(5).mount(&server).await;
        let error = user_of(&server).abandon_upload(&context(), &address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CopyInProgress);
    });
}

#[test]
fn an_installer_is_begun_with_its_name_and_guid() {
    block_on(async {
        let server = server().await;
        on("POST", UPLOADS, status(201).insert_header("Location", UPLOAD)).mount(&server).await;
        let publish = PublishInstaller {
            id: Some("7".into()),
            name: "Setup".into(),
            length: Some(10),
            ..PublishInstaller::default()
        };
        let begun = user_of(&server).begin_upload(&context(), &Publishing::Installer(publish)).await;
        assert!(begun.unwrap().is_some());
        let request = asked(&server, "POST").await.remove(0);
        assert_eq!(text(&request, "upload-metadata"), "type aW5zdGFsbGVy,name U2V0dXA=,installerId Nw==");
    });
}
