//! Signing in, against the real server: one exchange however many ask, renewal, refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::json;
use support::{Server, anonymous, block_on, client, context};
use uss::ErrorKind;
use uss::update_service::{Publish, UpdateService};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const EXCHANGE: &str = "/api/v1/PersonalTokens/authenticate";

/// Runs `count` calls at the same time, each as a task of its own.
async fn at_once(count: usize, service: impl Fn(usize) -> UpdateService) -> Vec<Result<usize, ErrorKind>> {
    let calls = (0..count).map(|n| {
        let service = service(n);
        tokio::spawn(async move {
            let packages = service.packages(&context(), None).await;
            packages.map(|packages| packages.len()).map_err(|error| error.kind())
        })
    });
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_hundred_tasks_at_once_exchange_once_whoever_made_their_connection() {
    let server = Server::start();
    let token = server.reader("reader");
    assert!(token.contains(['/', '+', '=']), "tokens hold what must be encoded in a URL");
    let answers = block_on(at_once(100, |_| server.client("reader", &token)));
    assert_eq!(answers, vec![Ok(0); 100]);
    assert_eq!(server.exchanges(), 1);
}

#[test]
fn users_and_servers_do_not_share_bearers() {
    let (a, b) = (Server::start(), Server::start());
    let (first, second, third) = (a.reader("first"), a.reader("second"), b.reader("first"));
    block_on(async {
        let of = |n: usize| match n % 3 {
            0 => a.client("first", &first),
            1 => a.client("second", &second),
            _ => b.client("first", &third),
        };
        assert_eq!(at_once(30, of).await, vec![Ok(0); 30]);
        for (service, email) in [(of(0), "first@example.com"), (of(1), "second@example.com")] {
            assert_eq!(service.connect(&context()).await.unwrap().user.email, email);
        }
    });
    assert_eq!((a.exchanges(), b.exchanges()), (2, 1));
}

#[test]
fn a_hundred_calls_refused_with_one_bearer_exchange_once_more() {
    let server = Server::start();
    let token = server.reader("reader");
    let service = server.client("reader", &token);
    block_on(service.packages(&context(), None)).unwrap();
    // Hits the first of the hundred; the bearer is over for all of them.
    server.fault(json!({ "path": "/api/v1/Packages", "action": "expireBearers" }));
    assert_eq!(block_on(at_once(100, |_| service.clone())), vec![Ok(0); 100]);
    assert_eq!(server.exchanges(), 2);
}

#[test]
fn a_refused_credential_is_told_with_the_servers_reason() {
    let server = Server::start();
    let token = server.reader("reader");
    let expired = server.token("reader", &["--expires", "2020-01-01"]);
    for (user, token, reason) in [
        ("reader", "no-such-token", "wrong"),
        ("nobody", token.as_str(), "wrong"),
        ("reader", expired.as_str(), "expired"),
    ] {
        let error = block_on(server.client(user, token).connect(&context())).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(401)));
        assert!(error.message().contains(reason) && !error.to_string().contains(token), "{error}");
        assert_eq!(error.retry_after(), None);
    }
    let error = block_on(anonymous(server.url()).packages(&context(), None)).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::CredentialMissing, Some(401)));
}

#[test]
fn a_revoked_token_ends_with_the_next_call() {
    let server = Server::start();
    let token = server.reader("reader");
    let service = server.client("reader", &token);
    let session = block_on(service.connect(&context())).unwrap();
    assert_eq!(session.personal_token_expires, None);
    server.revoke_tokens("reader");
    for _ in 0..2 {
        let error = block_on(service.packages(&context(), None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(error.message().contains("revoked"), "{error}");
    }
    // The failure is not kept: both calls have asked.
    assert_eq!(server.exchanges(), 3);
}

#[test]
fn a_token_that_ends_says_when() {
    let server = Server::start();
    server.reader("reader");
    let token = server.token("reader", &["--expires", "2099-05-06"]);
    let session = block_on(server.client("reader", &token).connect(&context())).unwrap();
    assert_eq!(session.personal_token_expires.unwrap().to_string(), "2099-05-06T00:00:00Z");
    assert!(session.token_expires > jiff::Timestamp::now());
}

#[test]
fn an_upload_whose_bearer_ends_is_to_be_sent_again_and_then_succeeds() {
    let server = Server::start();
    let token = server.admin("admin");
    let service = server.client("admin", &token);
    block_on(service.connect(&context())).unwrap();
    let file = Bytes::from(std::fs::read(server.make_package("a", "1.0.0", &[], 100_000)).unwrap());
    server.fault(json!({ "method": "POST", "path": "/api/v1/Packages", "action": "expireBearers" }));
    let publish = || {
        let publish = Publish { id: "a".into(), version: "1.0.0".into(), sha256: None, force: false, length: None };
        block_on(service.publish(&context(), publish, stream::iter([Ok(file.clone())])))
    };
    let error = publish().unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::AuthenticationFailed, Some(Duration::ZERO)));
    publish().unwrap();
    assert_eq!(server.exchanges(), 2);
}

/// A server whose clock is `ahead` seconds before ours and whose bearers live an hour by it.
async fn server_with_clock(ahead: i64, life: Duration) -> MockServer {
    let server = MockServer::start().await;
    let now = SystemTime::now();
    let offset = Duration::from_secs(ahead.unsigned_abs());
    let now = if ahead < 0 { now - offset } else { now + offset };
    let expires = jiff::Timestamp::try_from(now + life).unwrap().to_string();
    let answer = ResponseTemplate::new(200)
        .set_body_json(json!({ "token": "bearer", "tokenExpires": expires }))
        .insert_header("Date", httpdate::fmt_http_date(now));
    Mock::given(method("POST")).and(path(EXCHANGE)).respond_with(answer).mount(&server).await;
    let empty = ResponseTemplate::new(200).set_body_json(json!([]));
    Mock::given(path("/api/v1/Packages")).respond_with(empty).mount(&server).await;
    server
}

async fn exchanges(server: &MockServer) -> usize {
    let requests = server.received_requests().await.unwrap();
    requests.iter().filter(|request| request.url.path() == EXCHANGE).count()
}

#[test]
fn a_bearer_lives_by_the_servers_clock_alone() {
    const YEARS: i64 = 10 * 365 * 24 * 3_600;
    block_on(async {
        for (case, ahead) in [YEARS, -YEARS].into_iter().enumerate() {
            let server = server_with_clock(ahead, Duration::from_secs(3_600)).await;
            let service = client(&server.uri(), &format!("clock-{case}"), "token");
            for _ in 0..3 {
                service.packages(&context(), None).await.unwrap();
            }
            assert_eq!(exchanges(&server).await, 1, "{ahead} s ahead");
        }
        let over = server_with_clock(0, Duration::ZERO).await;
        let service = client(&over.uri(), "clock-over", "token");
        for _ in 0..3 {
            service.packages(&context(), None).await.unwrap();
        }
        assert_eq!(exchanges(&over).await, 3, "a bearer that is over at once serves one call each");
    });
}

#[test]
fn a_server_that_refuses_every_bearer_is_not_asked_in_a_circle() {
    block_on(async {
        let server = server_with_clock(0, Duration::from_secs(3_600)).await;
        let no = ResponseTemplate::new(401).insert_header("WWW-Authenticate", "Bearer error=\"invalid_token\"");
        Mock::given(path("/api/v1/installers")).respond_with(no).mount(&server).await;
        let error = client(&server.uri(), "circle", "token").installers(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert_eq!((exchanges(&server).await, server.received_requests().await.unwrap().len()), (2, 4));
    });
}

#[test]
fn a_server_that_fails_to_sign_in_is_asked_again_by_the_next_call() {
    block_on(async {
        let server = MockServer::start().await;
        let busy = ResponseTemplate::new(503);
        Mock::given(path(EXCHANGE)).respond_with(busy).up_to_n_times(1).mount(&server).await;
        let service = client(&server.uri(), "busy", "token");
        let error = service.packages(&context(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerUnavailable);
        let answer = json!({ "token": "bearer", "tokenExpires": "2099-01-01T00:00:00Z" });
        Mock::given(path(EXCHANGE)).respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(&server).await;
        let empty = ResponseTemplate::new(200).set_body_json(json!([]));
        Mock::given(path("/api/v1/Packages")).respond_with(empty).mount(&server).await;
        service.packages(&context(), None).await.unwrap();
    });
}

#[test]
fn an_exchange_answer_that_cannot_be_used_is_a_protocol_violation() {
    block_on(async {
        for (case, body) in [
            json!({}),
            json!({ "token": "", "tokenExpires": "2099-01-01T00:00:00Z" }),
            json!({ "token": "a\nb", "tokenExpires": "2099-01-01T00:00:00Z" }),
            json!({ "token": "canary", "tokenExpires": "canary" }),
        ]
        .into_iter()
        .enumerate()
        {
            let server = MockServer::start().await;
            Mock::given(path(EXCHANGE))
                .respond_with(ResponseTemplate::new(200).set_body_json(body))
                .mount(&server)
                .await;
            let service = client(&server.uri(), &format!("unusable-{case}"), "token");
            let error = service.packages(&context(), None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "case {case}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    });
}
