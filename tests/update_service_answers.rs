//! Answers that the real server never gives: web pages, broken JSON, redirects, strange clocks, broken connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use support::raw::{After, Raw};
use support::{anonymous, block_on, client, client_with, context, options, verbose_lines};
use uss::connection::Credential;
use uss::http::{Proxy, ProxyChoice, TransportOptions};
use uss::log::{Log, LogLevel};
use uss::operation::Context;
use uss::update_service::{Invocation, Publish, Published, Routes, UpdateService};
use uss::{Error, ErrorKind, Secret, ServerUrl};
use wiremock::matchers::{any, body_json, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const EXCHANGE: &str = "/api/v1/PersonalTokens/authenticate";
const VERSIONS: &str = "/api/v1/Packages/versions";
const CONTENT: &str = "/api/v1/Packages/content";

/// A server that signs everybody in, and answers what else is mounted.
async fn server() -> MockServer {
    let server = MockServer::start().await;
    signs_in("2099-01-01T00:00:00.1234567+02:00").mount(&server).await;
    server
}

fn signs_in(expires: &str) -> Mock {
    let answer = json!({ "token": "bearer-1", "user": { "userId": "1", "email": "u@x" }, "tokenExpires": expires });
    Mock::given(method("POST")).and(path(EXCHANGE)).respond_with(ResponseTemplate::new(200).set_body_json(answer))
}

fn on(verb: &str, at: &str, answer: ResponseTemplate) -> Mock {
    Mock::given(method(verb)).and(path(at)).respond_with(answer)
}

fn versions_answer() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!([{ "packageId": "a", "version": "1.0" }]))
}

/// A user whose bearer is not at hand yet: a mock's port may have been another one's before.
fn user_of(server: &MockServer) -> UpdateService {
    static USERS: AtomicUsize = AtomicUsize::new(0);
    let user = format!("user-{}", USERS.fetch_add(1, Ordering::SeqCst));
    client(&server.uri(), &user, "token")
}

async fn asked(server: &MockServer, at: &str) -> Vec<Request> {
    let requests = server.received_requests().await.unwrap();
    requests.into_iter().filter(|request| request.url.path() == at).collect()
}

async fn versions_error(answer: ResponseTemplate) -> (Error, usize) {
    let server = server().await;
    on("GET", VERSIONS, answer).mount(&server).await;
    let error = user_of(&server).versions(&context(), "a").await.unwrap_err();
    (error, asked(&server, VERSIONS).await.len())
}

#[test]
fn a_web_page_is_told_by_its_title_whatever_its_status() {
    let page = "<!DOCTYPE html><html><head><title>Corporate\n proxy</title></head><body>hunter2</body></html>";
    block_on(async {
        for status in [200, 403, 404, 502] {
            let answer = ResponseTemplate::new(status).set_body_raw(page, "text/html; charset=utf-8");
            let (error, requests) = versions_error(answer).await;
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{status}");
            assert!(error.message().contains("'Corporate proxy'"), "{error}");
            assert!(!error.to_string().contains("hunter2"));
            assert_eq!(requests, 1);
        }
    });
}

#[test]
fn a_web_page_in_answer_to_a_publish_is_no_success() {
    block_on(async {
        let server = server().await;
        let page = ResponseTemplate::new(200).set_body_raw("<html><title>Sign in</title></html>", "text/html");
        on("POST", "/api/v1/Packages", page).mount(&server).await;
        let error = publish(&user_of(&server), Some(3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
        assert!(error.message().starts_with("Publishing a 1.0: "), "{error}");
    });
}

async fn publish(service: &UpdateService, length: Option<u64>) -> Result<Published, Error> {
    let publish = Publish { id: "a".into(), version: "1.0".into(), sha256: None, force: false, length };
    service.publish(&context(), publish, stream::iter([Ok(Bytes::from_static(b"abc"))])).await
}

#[test]
fn broken_json_is_a_protocol_violation() {
    block_on(async {
        for body in ["[{", "{}", "[{\"packageId\":1}]", "hello"] {
            let (error, _) = versions_error(ResponseTemplate::new(200).set_body_string(body)).await;
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{body}");
        }
    });
}

#[test]
fn an_answer_without_end_is_given_up() {
    block_on(async {
        let huge = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 64 * 1024 * 1024 + 1]);
        assert_eq!(versions_error(huge).await.0.kind(), ErrorKind::ProtocolViolation);
    });
}

#[test]
fn dates_with_seven_fractional_digits_and_offsets_are_read() {
    block_on(async {
        let server = server().await;
        let body = json!([{ "packageId": "a", "version": "1.0", "published": "2023-12-01T08:44:50.0452465+00:00" }]);
        on("GET", VERSIONS, ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
        on("GET", "/api/v1/Account", ResponseTemplate::new(404)).mount(&server).await;
        let service = user_of(&server);
        let versions = service.versions(&context(), "a").await.unwrap();
        assert_eq!(versions[0].published.unwrap().to_string(), "2023-12-01T08:44:50.0452465Z");
        let session = service.connect(&context()).await.unwrap();
        assert_eq!(session.token_expires.to_string(), "2098-12-31T22:00:00.1234567Z");
        assert_eq!((session.user.email.as_str(), session.personal_token_expires), ("u@x", None));
    });
}

#[test]
fn the_last_date_of_dotnet_is_never() {
    const LAST: &str = "9999-12-31T23:59:59.9999999Z";
    block_on(async {
        let server = MockServer::start().await;
        signs_in(LAST).mount(&server).await;
        let account = json!({ "user": { "userId": "1", "email": "u@x" }, "personalTokenExpires": LAST });
        on("GET", "/api/v1/Account", ResponseTemplate::new(200).set_body_json(account)).mount(&server).await;
        let versions = json!([{ "packageId": "a", "version": "1.0", "published": LAST }]);
        on("GET", VERSIONS, ResponseTemplate::new(200).set_body_json(versions)).mount(&server).await;
        let service = user_of(&server);
        let session = service.connect(&context()).await.unwrap();
        assert_eq!((session.token_expires, session.personal_token_expires), (Timestamp::MAX, None));
        assert_eq!(service.versions(&context(), "a").await.unwrap()[0].published, Some(Timestamp::MAX));
    });
}

#[test]
fn a_read_is_tried_twice_more_when_the_server_is_busy() {
    block_on(async {
        let server = server().await;
        let date = "Tue, 15 Nov 1994 08:12:31 GMT";
        let busy = ResponseTemplate::new(503).insert_header("Date", date).insert_header("Retry-After", date);
        on("GET", VERSIONS, busy).up_to_n_times(1).mount(&server).await;
        let limited = ResponseTemplate::new(429).insert_header("Retry-After", "0");
        on("GET", VERSIONS, limited).up_to_n_times(1).mount(&server).await;
        on("GET", VERSIONS, versions_answer()).mount(&server).await;
        let context = context();
        assert_eq!(user_of(&server).versions(&context, "a").await.unwrap().len(), 1);
        let lines = verbose_lines(&context);
        let last = lines.last().unwrap();
        assert!(last.starts_with(&format!("GET {}{VERSIONS} 200 ", server.uri())), "{last}");
        assert!(last.ends_with(" B 2 retries") && !last.contains('?'), "{last}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("Trying again in ")).count(), 2);
    });
}

#[test]
fn a_server_that_stays_busy_is_reported_with_what_it_asked_for() {
    block_on(async {
        let (error, requests) = versions_error(ResponseTemplate::new(503).insert_header("Retry-After", "0")).await;
        assert_eq!((error.kind(), requests), (ErrorKind::ServerUnavailable, 3));
        let (error, requests) = versions_error(ResponseTemplate::new(429).insert_header("Retry-After", "3600")).await;
        assert_eq!((error.kind(), requests), (ErrorKind::RateLimited, 1));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
        assert!(error.hint().contains("3600 s"), "{error}");
        let (error, requests) = versions_error(ResponseTemplate::new(500)).await;
        assert_eq!((error.kind(), requests), (ErrorKind::ServerUnavailable, 1));
    });
}

#[test]
fn the_versions_of_many_are_asked_for_again_as_reads_are() {
    block_on(async {
        let server = server().await;
        let at = "/api/v1/Packages/versions/query";
        let busy = ResponseTemplate::new(503).insert_header("Retry-After", "0");
        on("POST", at, busy).up_to_n_times(2).mount(&server).await;
        on("POST", at, versions_answer()).mount(&server).await;
        assert_eq!(user_of(&server).versions_of(&context(), &["a".into()]).await.unwrap().len(), 1);
        assert_eq!(asked(&server, at).await.len(), 3);
        let broken = Raw::answering("", After::Close);
        anonymous(&broken.url()).versions_of(&context(), &["a".into()]).await.unwrap_err();
        assert_eq!(broken.connections(), 3);
    });
}

#[test]
fn what_changes_something_is_never_sent_twice() {
    block_on(async {
        let server = server().await;
        let busy = ResponseTemplate::new(503).insert_header("Retry-After", "0");
        on("POST", "/api/v1/Packages", busy.clone()).mount(&server).await;
        on("DELETE", "/api/v1/Packages", busy).mount(&server).await;
        let service = user_of(&server);
        let error = publish(&service, None).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::ServerUnavailable, Some(Duration::ZERO)));
        assert!(service.delete(&context(), "a", "1.0").await.is_err());
        assert_eq!(asked(&server, "/api/v1/Packages").await.len(), 2);
    });
}

#[test]
fn a_redirect_to_another_origin_gets_the_question_and_not_the_credential() {
    block_on(async {
        let (server, other) = (server().await, MockServer::start().await);
        on("GET", "/elsewhere", versions_answer()).mount(&other).await;
        let location = format!("{}/elsewhere", other.uri());
        let moved = ResponseTemplate::new(302).insert_header("Location", location);
        on("GET", VERSIONS, moved).mount(&server).await;
        assert_eq!(user_of(&server).versions(&context(), "a").await.unwrap().len(), 1);
        let requests = other.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1);
        for name in ["authorization", "referer", "cookie"] {
            assert!(!requests[0].headers.contains_key(name), "{name}");
        }
    });
}

#[test]
fn a_redirect_on_the_same_server_keeps_the_credential() {
    block_on(async {
        let server = server().await;
        on("GET", VERSIONS, ResponseTemplate::new(307).insert_header("Location", "/moved")).mount(&server).await;
        let signed = header("authorization", "Bearer bearer-1");
        Mock::given(path("/moved")).and(signed).respond_with(versions_answer()).mount(&server).await;
        assert_eq!(user_of(&server).versions(&context(), "a").await.unwrap().len(), 1);
    });
}

#[test]
fn redirects_in_a_circle_end() {
    block_on(async {
        let (error, requests) = versions_error(ResponseTemplate::new(302).insert_header("Location", VERSIONS)).await;
        assert_eq!((error.kind(), requests), (ErrorKind::ProtocolViolation, 6));
    });
}

#[test]
fn the_exchange_is_never_redirected() {
    block_on(async {
        let (server, other) = (MockServer::start().await, MockServer::start().await);
        let moved = ResponseTemplate::new(307).insert_header("Location", format!("{}{EXCHANGE}", other.uri()));
        on("POST", EXCHANGE, moved).mount(&server).await;
        let error = user_of(&server).versions(&context(), "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
        assert!(error.message().contains(&other.uri()), "{error}");
        assert!(other.received_requests().await.unwrap().is_empty());
    });
}

#[test]
fn the_exchange_is_sent_once_even_where_a_route_file_makes_it_a_get() {
    block_on(async {
        for answer in [
            ResponseTemplate::new(302).insert_header("Location", "/elsewhere?personalToken=token"),
            ResponseTemplate::new(503),
        ] {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), r#"{"exchange":{"method":"GET"}}"#).unwrap();
            let url = ServerUrl::parse(&server.uri(), false).unwrap();
            let credential = Credential { user_name: "once".into(), token: Secret::new("token".into()) };
            let routes = Routes::read(file.path()).unwrap();
            let service = UpdateService::open(url, Some(credential), options(), routes).unwrap();
            service.versions(&context(), "a").await.unwrap_err();
            assert_eq!(server.received_requests().await.unwrap().len(), 1);
        }
    });
}

#[test]
fn a_bearer_that_a_server_echoes_in_a_header_is_not_logged() {
    block_on(async {
        let server = server().await;
        let echo = r#"Bearer error="invalid_token", error_description="bearer-1 is revoked, as is token""#;
        on("GET", VERSIONS, ResponseTemplate::new(401).insert_header("WWW-Authenticate", echo)).mount(&server).await;
        let context = Context::new(Log::new(LogLevel::Debug));
        user_of(&server).versions(&context, "a").await.unwrap_err();
        let log = format!("{:?}", context.log().drain());
        assert!(log.contains("[redacted] is revoked") && !log.contains("bearer-1"), "{log}");
    });
}

#[test]
fn the_pages_of_packages_are_followed_on_this_server_alone() {
    block_on(async {
        let package = |id: &str| json!([{ "id": id, "version": "1.0" }]);
        let page =
            |id: &str, link: &str| ResponseTemplate::new(200).set_body_json(package(id)).insert_header("Link", link);
        let server = server().await;
        let next = r#"</api/v1/Packages?after=a>; rel="next""#;
        let second = Mock::given(path("/api/v1/Packages")).and(query_param("after", "a"));
        second
            .respond_with(ResponseTemplate::new(200).set_body_json(package("b")))
            .with_priority(1)
            .mount(&server)
            .await;
        on("GET", "/api/v1/Packages", page("a", next)).mount(&server).await;
        let packages = user_of(&server).packages(&context(), Some("a b")).await.unwrap();
        assert_eq!(packages.iter().map(|package| package.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);

        for link in [r#"<http://127.0.0.1:1/x>; rel="next""#, r#"<?limit=1000>; rel="next""#] {
            let server = self::server().await;
            on("GET", "/api/v1/Packages", page("a", link)).mount(&server).await;
            let error = user_of(&server).packages(&context(), None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{link}");
        }
    });
}

#[test]
fn many_packages_are_asked_singly_where_the_server_has_no_call_for_many() {
    block_on(async {
        let server = server().await;
        on("POST", "/api/v1/Packages/versions/query", ResponseTemplate::new(405)).expect(1).mount(&server).await;
        let known = Mock::given(path(VERSIONS)).and(query_param("packageId", "a"));
        known.respond_with(versions_answer()).mount(&server).await;
        let service = user_of(&server);
        for _ in 0..2 {
            let found = service.versions_of(&context(), &["a".into(), "gone".into()]).await.unwrap();
            assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
        }
    });
}

#[test]
fn many_packages_are_asked_in_batches_of_500() {
    block_on(async {
        let server = server().await;
        let empty = ResponseTemplate::new(200).set_body_json(json!([]));
        let last = Mock::given(body_json(json!({ "packageIds": ["p1000"] })));
        last.respond_with(empty).with_priority(1).expect(1).mount(&server).await;
        on("POST", "/api/v1/Packages/versions/query", versions_answer()).expect(2).mount(&server).await;
        let ids: Vec<String> = (0..1001).map(|n| format!("p{n}")).collect();
        assert_eq!(user_of(&server).versions_of(&context(), &ids).await.unwrap()["a"].len(), 2);
    });
}

struct Head {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

async fn content(
    head: Head,
    from: u64,
    if_match: Option<&str>,
) -> Result<(u64, Option<u64>, Result<String, ErrorKind>), Error> {
    let server = server().await;
    let mut answer = ResponseTemplate::new(head.status).set_body_string(head.body);
    for (name, value) in head.headers {
        answer = answer.insert_header(*name, *value);
    }
    on("GET", CONTENT, answer).mount(&server).await;
    let content = user_of(&server).content(&context(), "a", "1.0", from, if_match).await?;
    let bytes: Result<Vec<Bytes>, Error> = content.body.try_collect().await;
    let text = bytes.map(|chunks| String::from_utf8(chunks.concat()).unwrap()).map_err(|error| error.kind());
    Ok((content.status_from, content.total, text))
}

#[test]
fn content_goes_on_where_it_was_asked_to() {
    block_on(async {
        let headers = &[("content-range", "bytes 4-9/10"), ("etag", "\"x\"")];
        let part = content(Head { status: 206, headers, body: "456789" }, 4, Some("\"x\"")).await.unwrap();
        assert_eq!(part, (4, Some(10), Ok("456789".into())));
    });
}

#[test]
fn the_whole_content_is_joined_only_if_it_is_the_same_for_certain() {
    block_on(async {
        let whole =
            |tag: &'static [(&'static str, &'static str)]| Head { status: 200, headers: tag, body: "0123456789" };
        let same = content(whole(&[("etag", "\"x\"")]), 4, Some("\"x\"")).await.unwrap();
        assert_eq!(same, (4, Some(10), Ok("456789".into())));
        for tag in [&[("etag", "\"y\"")][..], &[("etag", "W/\"x\"")][..], &[]] {
            let other = content(whole(tag), 4, Some("\"x\"")).await.unwrap();
            assert_eq!(other, (0, Some(10), Ok("0123456789".into())), "{tag:?}");
        }
        let weak = content(whole(&[("etag", "W/\"x\"")]), 4, Some("W/\"x\"")).await.unwrap();
        assert_eq!(weak.0, 0, "a weak tag proves nothing");
    });
}

#[test]
fn content_that_changed_is_told() {
    block_on(async {
        for (status, headers) in [
            (412, &[][..]),
            (416, &[("content-range", "bytes */3")][..]),
            (206, &[("content-range", "bytes 4-9/10"), ("etag", "\"y\"")][..]),
        ] {
            let error = content(Head { status, headers, body: "456789" }, 4, Some("\"x\"")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SourceChanged, "{status}");
            assert!(error.message().starts_with("Reading a 1.0: "), "{error}");
        }
    });
}

#[test]
fn content_that_is_not_what_was_asked_for_is_refused() {
    block_on(async {
        for (status, headers) in [
            (206, &[("content-range", "bytes 5-9/10")][..]),
            (206, &[("content-range", "bytes 4-19/10")][..]),
            (206, &[][..]),
            (200, &[("content-encoding", "gzip")][..]),
        ] {
            let error = content(Head { status, headers, body: "456789" }, 4, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{headers:?}");
        }
        let short = &[("content-range", "bytes 4-9/10")];
        let short = content(Head { status: 206, headers: short, body: "45" }, 4, None).await.unwrap();
        assert_eq!(short.2, Err(ErrorKind::ConnectionFailed), "fewer bytes than the range has");
        let long = &[("content-range", "bytes 4-9/10")];
        let long = content(Head { status: 206, headers: long, body: "4567890" }, 4, None).await.unwrap();
        assert_eq!(long.2, Err(ErrorKind::ProtocolViolation), "more bytes than the range has");
    });
}

#[test]
fn a_broken_connection_is_tried_again_for_reads() {
    block_on(async {
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,"] {
            let server = Raw::answering(answer, After::Close);
            let error = anonymous(&server.url()).versions(&context(), "a").await.unwrap_err();
            assert_eq!((error.kind(), server.connections()), (ErrorKind::ConnectionFailed, 3), "{error}");
            assert_eq!(error.retry_after(), Some(Duration::ZERO));
        }
    });
}

#[test]
fn what_cannot_get_better_is_reported_at_once() {
    block_on(async {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let context = context();
        let error = anonymous(&format!("http://{free}")).versions(&context, "a").await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::ConnectionFailed, None));
        assert!(error.message().contains("refused"), "{error}");
        assert_eq!(verbose_lines(&context).len(), 1);

        let error = anonymous("http://no-such-host.invalid").versions(&context, "a").await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::NameNotResolved, None), "{error}");
    });
}

#[test]
fn what_is_not_http_is_a_protocol_violation() {
    block_on(async {
        let server = Raw::answering(&b"\x15\x03\x01\x00\x02\x02\x16 SSH-2.0-x\r\n\r\n"[..], After::Close);
        let error = anonymous(&server.url()).versions(&context(), "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{error}");
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn plain_http_behind_an_https_address_is_a_tls_failure_that_says_so() {
    block_on(async {
        let server = server().await;
        // A certificate check would need the machine's roots; the handshake ends before it.
        let options = TransportOptions { skip_certificate_check: true, ..options() };
        let service = client_with(&server.uri().replace("http:", "https:"), "u", "token", options).unwrap();
        let error = service.versions(&context(), "a").await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::TlsFailed, None), "{error}");
        assert!(error.message().contains("does not speak TLS"), "{error}");
    });
}

#[test]
fn silence_is_bounded_for_calls_and_contents() {
    block_on(async {
        let options = TransportOptions { timeout: Duration::from_millis(200), ..options() };
        let silent = Raw::answering("", After::Silence);
        let service = UpdateService::open(
            ServerUrl::parse(&silent.url(), false).unwrap(),
            None,
            options.clone(),
            Default::default(),
        );
        let error = service.unwrap().versions(&context(), "a").await.unwrap_err();
        assert_eq!((error.kind(), silent.connections()), (ErrorKind::Timeout, 1));

        let stalls = Raw::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012", After::Silence);
        let service =
            UpdateService::open(ServerUrl::parse(&stalls.url(), false).unwrap(), None, options, Default::default())
                .unwrap();
        let mut body = service.content(&context(), "a", "1.0", 0, None).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "012");
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Stalled, Some(Duration::ZERO)));
        assert!(body.next().await.is_none());
    });
}

#[test]
fn an_answer_before_the_body_is_read_ends_the_upload() {
    block_on(async {
        let problem = r#"{"type":"urn:uss:problem:package-already-exists","detail":"Package already exists: a 1.0"}"#;
        let answer = format!("HTTP/1.1 409 Conflict\r\nContent-Length: {}\r\n\r\n{problem}", problem.len());
        let server = Raw::answering(answer, After::Silence);
        // Without end: only the early answer can stop it.
        let endless = stream::repeat_with(|| Ok(Bytes::from(vec![7; 64 * 1024])));
        let publish = Publish { id: "a".into(), version: "1.0".into(), sha256: None, force: false, length: None };
        let error = anonymous(&server.url()).publish(&context(), publish, endless).await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::PackageAlreadyExists, Some(409)), "{error}");
        assert!(error.message().contains("Package already exists: a 1.0"), "{error}");
    });
}

#[test]
fn a_body_that_fails_is_the_publishs_failure() {
    block_on(async {
        let server = server().await;
        on("POST", "/api/v1/Packages", ResponseTemplate::new(201)).mount(&server).await;
        let publish = Publish { id: "a".into(), version: "1.0".into(), sha256: None, force: false, length: None };
        let broken = Error::new(ErrorKind::ChecksumMismatch, "The digest differs.");
        let body = stream::iter([Ok(Bytes::from_static(b"abc")), Err(broken)]);
        let error = user_of(&server).publish(&context(), publish, body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
        assert!(asked(&server, "/api/v1/Packages").await.is_empty(), "no whole request may arrive");
        for announced in [4, 2] {
            let error = self::publish(&user_of(&server), Some(announced)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SourceChanged, "{announced} bytes announced: {error}");
        }
    });
}

#[test]
fn the_length_travels_where_it_is_known() {
    block_on(async {
        let server = server().await;
        on("POST", "/api/v1/Packages", ResponseTemplate::new(201)).mount(&server).await;
        assert!(matches!(publish(&user_of(&server), Some(3)).await, Ok(Published::Created(_))));
        assert!(matches!(publish(&user_of(&server), None).await, Ok(Published::Created(_))));
        let requests = asked(&server, "/api/v1/Packages").await;
        assert_eq!(requests[0].headers["content-length"], "3");
        assert!(!requests[1].headers.contains_key("content-length"));
        assert_eq!(requests[1].body, b"abc");
    });
}

#[test]
fn this_machine_is_reached_without_the_proxy() {
    block_on(async {
        let server = server().await;
        on("GET", VERSIONS, versions_answer()).mount(&server).await;
        let proxy = ProxyChoice::Through(Proxy::new("http://127.0.0.1:1", None).unwrap());
        let options = TransportOptions { proxy, ..options() };
        let service = client_with(&server.uri(), "u", "token", options).unwrap();
        assert_eq!(service.versions(&context(), "a").await.unwrap().len(), 1);
    });
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    block_on(async {
        for (address, kind) in [
            ("http://127.0.0.1:1", ErrorKind::ConnectionFailed),
            ("http://proxy.invalid:3128", ErrorKind::NameNotResolved),
        ] {
            let proxy = ProxyChoice::Through(Proxy::new(address, None).unwrap());
            let options = TransportOptions { proxy, ..options() };
            let service = client_with("https://updates.invalid", "u", "token", options).unwrap();
            let error = service.versions(&context(), "a").await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.message().ends_with(&format!("through the proxy {address}.")), "{error}");
        }
    });
}

#[test]
fn a_proxy_that_wants_a_credential_is_told_apart() {
    block_on(async {
        let through = |address: &str, credential| {
            let proxy = ProxyChoice::Through(Proxy::new(address, credential).unwrap());
            TransportOptions { proxy, ..options() }
        };
        let refuses =
            Raw::answering("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", After::Close);
        for server in ["http://far.example", "https://far.example"] {
            let service = client_with(server, "u", "token", through(&refuses.address, None)).unwrap();
            let error = service.versions(&context(), "a").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProxyAuthenticationRequired, "{server}: {error}");
        }
        let proxy = MockServer::start().await;
        let signed = Mock::given(header("proxy-authorization", "Basic dTpo"));
        signed.and(header_exists("host")).respond_with(versions_answer()).mount(&proxy).await;
        let credential = Some(("u".to_owned(), uss::Secret::new("h".into())));
        let options = through(&proxy.uri(), credential);
        let server = ServerUrl::parse("http://far.example", true).unwrap();
        let service = UpdateService::open(server, None, options, Default::default()).unwrap();
        assert_eq!(service.versions(&context(), "a").await.unwrap().len(), 1);
    });
}

#[test]
fn a_call_of_ones_own_stays_on_this_server() {
    block_on(async {
        let server = server().await;
        on("GET", "/api/x", ResponseTemplate::new(200).set_body_json(json!({ "n": 1 }))).mount(&server).await;
        let service = user_of(&server);
        let call = |path: &str| Invocation { path: path.into(), ..Invocation::default() };
        for path in ["/api/x", "api/x?y=http://z", &format!("{}/api/x", server.uri())] {
            let answer = service.invoke(&context(), call(path)).await.unwrap();
            assert_eq!(answer, uss::update_service::Invoked::Json(json!({ "n": 1 })), "{path}");
        }
        let requests = server.received_requests().await.unwrap().len();
        for path in ["http://127.0.0.1:1/api/x", "//127.0.0.1:1/x", "https://b.example", "\\\\b\\x", "@b.example/x"] {
            let refused = service.invoke(&context(), call(path)).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument, "{path}");
        }
        // `@b.example/x` is a path on this server, where it does not exist; nothing else was sent.
        assert_eq!(server.received_requests().await.unwrap().len(), requests + 1);
    });
}

#[test]
fn a_call_of_ones_own_reads_and_writes_files() {
    block_on(async {
        let server = server().await;
        on("PUT", "/api/file", ResponseTemplate::new(200).set_body_string("stored")).mount(&server).await;
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("in.bin"), folder.path().join("out.txt"));
        std::fs::write(&source, vec![9; 700_000]).unwrap();
        let invocation = Invocation {
            path: "/api/file".into(),
            method: "put".into(),
            body: uss::update_service::InvokeBody::File(source),
            out_file: Some(target.clone()),
            content_type: None,
        };
        let answer = user_of(&server).invoke(&context(), invocation).await.unwrap();
        assert_eq!(answer, uss::update_service::Invoked::Nothing);
        assert_eq!(std::fs::read_to_string(target).unwrap(), "stored");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no rest stays behind");
        assert_eq!(asked(&server, "/api/file").await[0].body.len(), 700_000);
    });
}

#[test]
fn an_id_that_would_make_another_call_of_its_route_is_unknown_and_nothing_is_sent() {
    block_on(async {
        let server = server().await;
        let service = user_of(&server);
        for id in [".", ".."] {
            let removed = service.remove_token(&context(), id).await.unwrap_err();
            let read = service.installer_content(&context(), id, 0, None).await.unwrap_err();
            assert_eq!([removed.kind(), read.kind()], [ErrorKind::TokenNotFound, ErrorKind::InstallerNotFound], "{id}");
        }
        assert!(server.received_requests().await.unwrap().is_empty());
    });
}
