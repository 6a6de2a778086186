//! Answers that the real server's dialect of the platform never gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::TcpListener;

use serde_json::{Value, json};
use support::{block_on, context, options};
use uss::virtuozzo::{Answer, Call, Platform, SignIn};
use uss::{Error, ErrorKind, Secret, ServerUrl};
use wiremock::matchers::{any, body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "canary/value+of=a-token";

fn platform(url: &str) -> Platform {
    let sign_in = SignIn::Token(Secret::new(TOKEN.into()));
    Platform::open(ServerUrl::parse(url, false).unwrap(), Some(sign_in), &options()).unwrap()
}

/// What comes of stopenv answered so, and how often it was sent.
fn answered(answer: ResponseTemplate) -> (Result<Answer, Error>, usize) {
    block_on(async {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let call = Call::new("environment/control/stopenv").with("envName", "my-project");
        let outcome = platform(&server.uri()).call(&context(), &call).await;
        (outcome, server.received_requests().await.unwrap().len())
    })
}

fn failed(answer: ResponseTemplate) -> Error {
    let (outcome, requests) = answered(answer);
    assert_eq!(requests, 1);
    let error = outcome.unwrap_err();
    for form in [TOKEN, "canary", "canary%2Fvalue"] {
        assert!(!format!("{error} {error:?}").contains(form), "{error}");
    }
    error
}

fn json_answer(value: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(value)
}

#[test]
fn a_call_is_a_form_with_the_session_in_it_and_never_in_the_url() {
    block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/1.0/environment/control/rest/stopenv"))
            .and(header("content-type", "application/x-www-form-urlencoded"))
            .and(body_string_contains("envName=%C3%A4+%26"))
            .and(body_string_contains("session=canary%2Fvalue%2Bof%3Da-token"))
            .respond_with(json_answer(&json!({ "result": 0, "extra": [1] })))
            .mount(&server)
            .await;
        let call = Call::new("environment/control/stopenv").with("envName", "ä &");
        let answer = platform(&server.uri()).call(&context(), &call).await.unwrap();
        assert_eq!(answer.list("extra"), [json!(1)]);
        let requests = server.received_requests().await.unwrap();
        assert!(
            requests.iter().all(|request| request.url.query().is_none() && !request.headers.contains_key("referer"))
        );
    });
}

#[test]
fn a_web_page_is_no_answer() {
    let page = format!("<!DOCTYPE html><html><title>Sign in, {TOKEN}</title></html>");
    for status in [200, 404, 502] {
        let error = failed(ResponseTemplate::new(status).set_body_raw(page.clone(), "text/html"));
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{status}");
        assert!(error.message().contains("Sign in, [redacted]"), "{error}");
        // A gateway's page may come while the platform is at it.
        let (hint, unknown) = if status == 502 { ("sent once", true) } else { ("the platform's own", false) };
        assert!(error.hint().contains(hint) && error.message().contains("is not known") == unknown, "{error}");
    }
}

#[test]
fn what_has_no_result_that_is_a_number_is_no_answer() {
    for body in [json!({}), json!({ "result": null }), json!({ "result": "0" }), json!({ "result": 0.5 })] {
        let error = failed(json_answer(&body));
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{body}");
        assert!(error.message().contains("without a number"), "{error}");
    }
    for body in [json!([]), json!("ok"), json!(0), json!(null)] {
        assert_eq!(failed(json_answer(&body)).kind(), ErrorKind::ProtocolViolation, "{body}");
    }
    let deep = format!("{{\"result\":0,\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["", "{", "result=0", &deep] {
        let error = failed(ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json"));
        assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{:.20}", body);
    }
}

#[test]
fn a_huge_answer_is_not_read_to_its_end() {
    let body = format!("{{\"result\":0,\"a\":\"{}\"}}", "x".repeat(64 * 1024 * 1024));
    let error = failed(ResponseTemplate::new(200).set_body_raw(body, "application/json"));
    assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
    assert!(error.message().contains("more than"), "{error}");
}

#[test]
fn another_hosts_redirect_is_named_and_not_followed() {
    let answer = ResponseTemplate::new(302).insert_header("location", "https://app.example.com/x?session=1");
    let error = failed(answer);
    assert_eq!(error.kind(), ErrorKind::ProtocolViolation);
    assert!(error.message().contains("https://app.example.com,"), "{error}");
}

#[test]
fn each_result_is_told_with_the_platforms_text_and_a_hint() {
    for (code, hint) in [
        (3, "parameter"),
        (5, "name or id"),
        (8, "may not"),
        (11, "Get-VapEnvironment"),
        (701, "password"),
        (702, "revoked"),
        (2330, "another name"),
        (4099, "node's log"),
        (8202, "Get-VapTokenScope"),
    ] {
        let error = failed(json_answer(&json!({ "result": code, "error": format!("No {TOKEN}\n here.") })));
        assert_eq!(error.kind(), ErrorKind::PlatformError { code });
        assert!(error.message().contains(&format!("No [redacted] here (result {code}).")), "{error}");
        assert!(error.hint().contains(hint), "{error}");
        assert_eq!(error.target(), "environment/control/stopenv");
    }
    let silent = failed(json_answer(&json!({ "result": 12_345 })));
    assert!(silent.message().contains("no reason was given (result 12345)"), "{silent}");
}

#[test]
fn failures_that_an_answer_holds_are_told_a_few_by_name() {
    let bad = |node: i64| json!({ "result": 4099, "nodeId": node, "errOut": "disk full" });
    let responses = [vec![json!({ "result": 0, "nodeId": 1 })], (2..8).map(bad).collect()].concat();
    let error = failed(json_answer(&json!({ "result": 0, "responses": responses })));
    assert_eq!(error.kind(), ErrorKind::PlatformError { code: 4099 });
    assert!(
        error.message().contains("6 of 7 failed: node 2: disk full; node 3: disk full; node 4: disk full; and 3 more")
    );
    let inner = json!({ "result": 0, "response": { "result": 2330, "message": "busy" } });
    assert_eq!(failed(json_answer(&inner)).kind(), ErrorKind::PlatformError { code: 2330 });
    for fine in
        [json!({ "result": 0, "response": "text" }), json!({ "result": 0, "responses": [{}, 1, { "result": 0 }] })]
    {
        assert!(answered(json_answer(&fine)).0.is_ok(), "{fine}");
    }
}

#[test]
fn where_nobody_listens_nothing_was_sent_and_nothing_is_left_open() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let call = Call::new("environment/control/stopenv").with("envName", "my-project");
    let error = block_on(platform(&format!("http://127.0.0.1:{port}")).call(&context(), &call)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionFailed);
    assert!(!error.message().contains("not known"), "{error}");
}
