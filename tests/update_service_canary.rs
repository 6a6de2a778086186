//! No secret leaves by an error, a log line or Debug, on no path of failure, in no form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use support::canary::{Seen, echo, forms};
use support::raw::{After, Raw};
use support::{block_on, client, client_with, context, options, person};
use uss::Secret;
use uss::http::{Proxy, ProxyChoice, TransportOptions};
use uss::update_service::{Invocation, NewToken, Publish, Publishing, TokenChanges, UpdateService};
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "CANARYzBI2NWnAy9EWhXfrqZTgm/yV662yLXYc+Y1Hjoq8X1xkurgYKM2RtogIh0jqdm8DWZuVtdCpRQo2X0C02ZRyjw==";
const BEARER: &str =
    "CANARYeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PROXY: &str = "CANARYproxy/pass+word==";
const PASSWORD: &str = "CANARY pass\"word\\/+zBI2NWnAy9EWhXfrqZTgm";
const EXCHANGE: &str = "/api/v1/PersonalTokens/authenticate";
const SIGN_IN: &str = "/api/v1/Account/signin";

const SECRETS: &[&str] = &[TOKEN, BEARER, PROXY, PASSWORD];

/// Every kind of call, whatever comes of it; at least one of them fails.
async fn all_calls(service: &UpdateService, seen: &mut Seen) {
    let context = context();
    let publish = || Publish { id: "a".into(), version: "1".into(), sha256: Some([7; 32]), force: true, length: None };
    let body = || stream::iter([Ok(Bytes::from_static(b"abc"))]);
    let mut errors = Vec::new();
    errors.extend(service.connect(&context).await.err());
    errors.extend(service.packages(&context, Some("x")).await.err());
    errors.extend(service.versions(&context, "a").await.err());
    errors.extend(service.versions_of(&context, &["a".into()]).await.err());
    errors.extend(service.delete(&context, "a", "1").await.err());
    errors.extend(service.installers(&context).await.err());
    errors.extend(service.installer(&context, "x").await.err());
    errors.extend(service.tokens(&context).await.err());
    let new = NewToken { name: "ci".into(), ..NewToken::default() };
    match service.new_token(&context, &new).await {
        Ok(shown) => seen.text(format!("{shown:?}")),
        Err(error) => errors.push(error),
    }
    errors.extend(service.set_token(&context, "x", &TokenChanges::default()).await.err());
    errors.extend(service.reset_token(&context, "x").await.err());
    errors.extend(service.copy_token(&context, "x", &TokenChanges::default()).await.err());
    errors.extend(service.revoke_token(&context, "x").await.err());
    errors.extend(service.remove_token(&context, "x").await.err());
    service.sign_out(&context).await;
    errors.extend(service.publish(&context, publish(), body()).await.err());
    let large = Publishing::Package(Publish { length: Some(3), ..publish() });
    let address = format!("{}/files/7", service.server());
    errors.extend(service.begin_upload(&context, &large).await.err());
    errors.extend(service.upload_offset(&context, &address).await.err());
    errors.extend(service.append_upload(&context, &large, &address, 0, body()).await.err());
    errors.extend(service.abandon_upload(&context, &address).await.err());
    match service.content(&context, "a", "1", 3, Some("\"x\"")).await {
        Ok(mut content) => {
            seen.text(format!("{content:?}"));
            errors.extend(content.body.next().await.and_then(Result::err));
        }
        Err(error) => errors.push(error),
    }
    let path = format!("/api/x?token={}", utf8_percent_encode(TOKEN, NON_ALPHANUMERIC));
    errors.extend(service.invoke(&context, Invocation { path, ..Invocation::default() }).await.err());
    assert!(!errors.is_empty(), "nothing failed");
    errors.iter().for_each(|error| seen.error(error));
    seen.text(format!("{service:?} {context:?}"));
    context.log().drain().into_iter().for_each(|record| seen.text(format!("{record:?}")));
}

fn answers(secrets: &[&str]) -> Vec<ResponseTemplate> {
    let echo = echo(secrets);
    let page = format!("<html><head><title>{echo}</title></head><body>{echo}</body></html>");
    let problem = json!({ "type": "urn:x", "title": echo, "detail": echo, "status": 400 });
    let mut answers = Vec::new();
    for status in [400, 401, 403, 404, 407, 409, 412, 416, 422, 429, 500, 507] {
        // Nobody waits for an hour: no call is tried again.
        let answer = ResponseTemplate::new(status).insert_header("Retry-After", "3600");
        answers.push(answer.clone().set_body_json(&problem));
        answers.push(answer.set_body_string(&echo));
    }
    answers.push(ResponseTemplate::new(200).set_body_raw(page.clone(), "text/html"));
    answers.push(ResponseTemplate::new(401).set_body_raw(page, "text/html"));
    answers.push(ResponseTemplate::new(200).set_body_string(&echo));
    answers.push(ResponseTemplate::new(200).set_body_json(json!({ "token": BEARER, "version": BEARER })));
    answers.push(ResponseTemplate::new(200).set_body_json(json!([{ "id": 1, "version": BEARER }])));
    let location = format!("https://127.0.0.1:1/x?token={}", utf8_percent_encode(TOKEN, NON_ALPHANUMERIC));
    answers.push(ResponseTemplate::new(307).insert_header("Location", location.clone()));
    let token = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC);
    for location in [location, format!("/files/{BEARER}?token={token}")] {
        let tus = ResponseTemplate::new(201).insert_header("Tus-Version", "1.0.0").insert_header("Location", location);
        answers.push(tus.insert_header("Tus-Extension", "creation,termination"));
    }
    answers.push(ResponseTemplate::new(400).insert_header("Set-Cookie", BEARER).insert_header("X-Echo", TOKEN));
    // Headers that the log shows.
    let all = secrets.join(" ");
    let refused = ResponseTemplate::new(409).insert_header("Server", all.as_str()).insert_header("ETag", all.as_str());
    answers.push(refused.insert_header("WWW-Authenticate", format!("Bearer error_description=\"{all}\"")));
    // Read up to a place in the middle of a secret.
    answers.push(ResponseTemplate::new(400).set_body_string(format!("x{}{all}", " ".repeat(64 * 1024 - 41))));
    answers
}

#[test]
fn the_search_finds_each_form_in_what_repeats_everything() {
    let said = echo(SECRETS);
    let missed: Vec<_> = forms(SECRETS).into_iter().filter(|form| !said.contains(form)).collect();
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn no_secret_leaves_on_any_path_of_failure() {
    block_on(async {
        let mut seen = Seen::new(SECRETS);
        // The exchange itself fails; the server cannot know a bearer yet.
        for (case, answer) in answers(&[TOKEN]).into_iter().enumerate() {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&client(&server.uri(), &format!("exchange-{case}"), TOKEN), &mut seen).await;
        }
        // The calls after it fail.
        for (case, answer) in answers(&[TOKEN, BEARER]).into_iter().enumerate() {
            let server = MockServer::start().await;
            let signed = json!({ "token": BEARER, "tokenExpires": "2099-01-01T00:00:00Z" });
            let exchange = Mock::given(method("POST")).and(path(EXCHANGE));
            let signed = exchange.respond_with(ResponseTemplate::new(200).set_body_json(signed));
            signed.with_priority(1).mount(&server).await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&client(&server.uri(), &format!("call-{case}"), TOKEN), &mut seen).await;
        }
        seen.check();
    });
}

#[test]
fn no_password_leaves_on_any_path_of_failure() {
    block_on(async {
        let mut seen = Seen::new(SECRETS);
        for (case, answer) in answers(&[PASSWORD]).into_iter().enumerate() {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&person(&server.uri(), &format!("sign-in-{case}"), PASSWORD), &mut seen).await;
        }
        for (case, answer) in answers(&[PASSWORD, BEARER]).into_iter().enumerate() {
            let server = MockServer::start().await;
            let signed = json!({ "token": BEARER, "expires": "2099-01-01T00:00:00Z" });
            let sign_in = Mock::given(method("POST")).and(path(SIGN_IN));
            let signed = sign_in.respond_with(ResponseTemplate::new(200).set_body_json(signed));
            signed.with_priority(1).mount(&server).await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&person(&server.uri(), &format!("person-{case}"), PASSWORD), &mut seen).await;
        }
        seen.check();
    });
}

#[test]
fn no_secret_leaves_when_there_is_no_answer() {
    block_on(async {
        let mut seen = Seen::new(SECRETS);
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let broken = Raw::answering("", After::Close);
        let garbage = Raw::answering(format!("{TOKEN}\r\n\r\n"), After::Close);
        let proxy_wants = Raw::answering("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", After::Close);
        let said = echo(&[TOKEN, PROXY]);
        let refused = format!("HTTP/1.1 403 No\r\nVia: {PROXY}\r\nContent-Length: {}\r\n\r\n{said}", said.len());
        let proxy_repeats = Raw::answering(refused, After::Close);
        let through = |address: &str| {
            let credential = Some(("u".to_owned(), Secret::new(PROXY.into())));
            TransportOptions { proxy: ProxyChoice::Through(Proxy::new(address, credential).unwrap()), ..options() }
        };
        let proxied = through(&proxy_wants.address);
        let trusting = TransportOptions { skip_certificate_check: true, ..options() };
        for (server, options) in [
            (format!("http://{closed}"), options()),
            (broken.url(), options()),
            (garbage.url(), options()),
            ("http://no-such-host.invalid".into(), options()),
            ("http://far.example".into(), proxied.clone()),
            ("http://far.example".into(), through(&proxy_repeats.address)),
            ("https://far.example".into(), TransportOptions { skip_certificate_check: true, ..proxied }),
            (format!("https://{closed}"), trusting),
        ] {
            let service = client_with(&server, "canary", TOKEN, options).unwrap();
            all_calls(&service, &mut seen).await;
        }
        seen.check();
    });
}
