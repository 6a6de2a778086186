//! No token, session or password of the platform leaves by an error, a log line or Debug, whatever fails, in any form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use support::canary::{Seen, echo, forms};
use support::raw::{After, Raw};
use support::{block_on, context, options};
use uss::http::TransportOptions;
use uss::virtuozzo::{Action, Call, Platform, SignIn, TokenChanges, TokenScope};
use uss::{Secret, ServerUrl};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "CANARYtBI2NWnAy9EWhXfrqZTgm/yV662yLXYc+Y1Hjoq8X1xkurgYKM2RtogIh0jqdm8DWZuVtdCpRQo2X0C02ZRyjw==";
const SESSION: &str = "CANARYsession/4e1+3bd2c09fe5c5a7f90=c0d1e2f3a4b5c6d7";
const PASSWORD: &str = "CANARY pass\"word\\/+zBI2NWnAy9EWhXfrqZTgm";

const SECRETS: &[&str] = &[TOKEN, SESSION, PASSWORD];

fn answers(secrets: &[&str]) -> Vec<ResponseTemplate> {
    let said = echo(secrets);
    let page = format!("<html><head><title>{said}</title></head><body>{said}</body></html>");
    let answer = |status: u16| ResponseTemplate::new(status).insert_header("Retry-After", "3600");
    let mut answers = Vec::new();
    for result in [3, 5, 8, 11, 701, 702, 2330, 4099, 8202, 12_345] {
        let told = json!({ "result": result, "error": said, "source": said, "reason": said });
        answers.push(answer(200).set_body_json(told));
    }
    let inner = json!({ "result": 4099, "nodeId": 7, "errOut": said, "out": said });
    answers.push(answer(200).set_body_json(json!({ "result": 0, "response": inner })));
    answers.push(answer(200).set_body_json(json!({ "result": 0, "responses": [inner, inner, inner, inner] })));
    answers.push(answer(200).set_body_json(json!({ "result": said, "error": said })));
    answers.push(answer(200).set_body_json(json!({ "error": said })));
    answers.push(answer(200).set_body_json(json!([said])));
    answers.push(answer(200).set_body_string(&*said));
    for status in [200, 302, 400, 401, 403, 404, 407, 429, 500, 502, 503, 504] {
        answers.push(answer(status).set_body_raw(page.clone(), "text/html"));
        answers.push(answer(status).set_body_json(json!({ "title": said, "detail": said })));
    }
    let query = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC);
    let elsewhere = format!("https://127.0.0.1:1/x?session={query}");
    answers.push(answer(307).insert_header("Location", elsewhere));
    let all = secrets.iter().map(|secret| secret.replace('\n', "")).collect::<Vec<_>>().join(" ");
    answers.push(answer(403).insert_header("Server", &*all).insert_header("X-Echo", &*all));
    // Read up to a place in the middle of a secret.
    answers.push(answer(400).set_body_string(format!("x{}{all}", " ".repeat(64 * 1024 - 41))));
    answers
}

fn open(url: &str, sign_in: SignIn, options: &TransportOptions) -> Platform {
    Platform::open(ServerUrl::parse(url, true).unwrap(), Some(sign_in), options).unwrap()
}

fn by_token() -> SignIn {
    SignIn::Token(Secret::new(TOKEN.into()))
}

fn by_password() -> SignIn {
    SignIn::Password { login: "ada".into(), password: Secret::new(PASSWORD.into()) }
}

fn delete() -> Call {
    let call = Call::new("environment/control/deleteenv").with("envName", "my-project");
    call.with("password", Secret::new(PASSWORD.into()))
}

/// Every kind of call, whatever comes of it; at least one of them fails.
async fn all_calls(platform: &Platform, seen: &mut Seen) {
    let context = context();
    let own = Secret::new(PASSWORD.into());
    let password = Some(&own);
    let scope = TokenScope::Set("IDE Plugins".into());
    let mut errors = Vec::new();
    errors.extend(platform.connect(&context).await.err());
    errors.extend(platform.environments(&context).await.err());
    errors.extend(platform.environment(&context, "my-project").await.err());
    errors.extend(platform.change_environment_unseen(&context, "my-project", Action::Stop).await.err());
    errors.extend(platform.restart_environment(&context, "my-project", Some(7)).await.err());
    errors.extend(platform.tokens(&context).await.err());
    errors.extend(platform.token_sets(&context).await.err());
    errors.extend(platform.token_methods(&context, "stop").await.err());
    match platform.create_token(&context, "x", None, &scope, password).await {
        Ok(made) => seen.text(format!("{made:?}")),
        Err(error) => errors.push(error),
    }
    errors.extend(platform.edit_token(&context, 7, &TokenChanges::default(), password).await.err());
    errors.extend(platform.regenerate_token(&context, 7, password).await.err());
    errors.extend(platform.delete_tokens(&context, &[7], password).await.err());
    seen.text(format!("{:?}", delete()));
    match platform.call(&context, &delete()).await {
        Ok(answer) => seen.text(format!("{answer:?}")),
        Err(error) => errors.push(error),
    }
    let unknown = Call::new("environment/control/none").with("password", Secret::new(PASSWORD.into()));
    errors.extend(platform.call(&context, &unknown).await.err());
    errors.extend(platform.call(&context, &Call { force: true, ..unknown }).await.err());
    errors.extend(platform.disconnect(&context).await.err());
    assert!(errors.iter().any(|error| !error.server().is_empty()), "nothing was sent: {errors:?}");
    errors.iter().for_each(|error| seen.error(error));
    seen.text(format!("{platform:?} {:?} {context:?}", by_password()));
    context.log().drain().into_iter().for_each(|record| seen.text(format!("{record:?}")));
}

#[test]
fn the_search_finds_each_form_in_what_repeats_everything() {
    let said = echo(SECRETS);
    let missed: Vec<_> = forms(SECRETS).into_iter().filter(|form| !said.contains(form)).collect();
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn no_token_leaves_on_any_path_of_failure() {
    block_on(async {
        let mut seen = Seen::new(SECRETS);
        for answer in answers(&[TOKEN]) {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&open(&server.uri(), by_token(), &options()), &mut seen).await;
        }
        // A call may hold a password beside the token.
        for answer in answers(&[TOKEN, PASSWORD]) {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let platform = open(&server.uri(), by_token(), &options());
            seen.error(&platform.call(&context(), &delete()).await.unwrap_err());
        }
        seen.check();
    });
}

#[test]
fn neither_the_password_nor_its_session_leaves_on_any_path_of_failure() {
    block_on(async {
        let mut seen = Seen::new(SECRETS);
        // The sign-in fails; the platform has given no session yet.
        for answer in answers(&[PASSWORD]) {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&open(&server.uri(), by_password(), &options()), &mut seen).await;
        }
        // The calls after it fail.
        for answer in answers(&[PASSWORD, SESSION]) {
            let server = MockServer::start().await;
            let signed = ResponseTemplate::new(200).set_body_json(json!({ "result": 0, "session": SESSION }));
            let sign_in = Mock::given(path("/1.0/users/authentication/rest/signin")).respond_with(signed);
            sign_in.with_priority(1).mount(&server).await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            all_calls(&open(&server.uri(), by_password(), &options()), &mut seen).await;
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
        let garbage = Raw::answering(format!("{TOKEN}\r\n{PASSWORD}\r\n\r\n"), After::Close);
        let trusting = TransportOptions { skip_certificate_check: true, ..options() };
        for (url, options) in [
            (format!("http://{closed}"), options()),
            (broken.url(), options()),
            (garbage.url(), options()),
            ("http://no-such-host.invalid".into(), options()),
            (format!("https://{closed}"), trusting),
        ] {
            for sign_in in [by_token(), by_password()] {
                all_calls(&open(&url, sign_in, &options), &mut seen).await;
            }
        }
        seen.check();
    });
}
