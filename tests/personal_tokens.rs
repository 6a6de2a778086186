//! A person's sign-in and the life of a token, against the real server; and what other servers might say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::{Server, block_on, client, context, options, person, verbose_lines};
use uss::connection::{Credential, Identity};
use uss::update_service::{NewToken, Routes, TokenChanges, UpdateService};
use uss::{Error, ErrorKind, Secret, ServerUrl};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PASSWORD: &str = "p \"ä/+{word}\\";
const EXCHANGE: &str = "/api/v1/PersonalTokens/authenticate";

/// A server, and its user anna as a person.
fn server() -> (Server, UpdateService) {
    let server = Server::start();
    server.user_with_password("anna", PASSWORD);
    let anna = person(server.url(), "anna", PASSWORD);
    (server, anna)
}

fn named(name: &str) -> NewToken {
    NewToken { name: name.into(), ..NewToken::default() }
}

/// Whether a token signs in.
async fn signs_in(server: &Server, value: &Secret) -> Result<(), Error> {
    client(server.url(), "anna", value.expose()).packages(&context(), None).await.map(drop)
}

#[test]
fn a_token_is_made_changed_copied_reset_revoked_and_removed() {
    let (server, anna) = server();
    let ends: Timestamp = "2099-05-06T07:08:09Z".parse().unwrap();
    block_on(async {
        let context = context();
        let new = NewToken { description: Some("why".into()), expires: Some(ends), ..named("ci") };
        let made = anna.new_token(&context, &new).await.unwrap();
        assert_eq!((made.token.name.as_str(), made.token.expires), ("ci", Some(ends)));
        assert_eq!((made.token.status.as_str(), made.token.kind.as_deref()), ("Active", Some("personal")));
        signs_in(&server, &made.value).await.unwrap();

        let id = made.token.id.as_str();
        let never = TokenChanges { name: Some("ci 2".into()), expires: Some(None), ..TokenChanges::default() };
        let changed = anna.set_token(&context, id, &never).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.expires), ("ci 2", None));
        assert_eq!(changed.description.as_deref(), Some("why"));

        let copied = anna.copy_token(&context, id, &TokenChanges::default()).await.unwrap();
        assert_eq!((copied.token.description.as_deref(), copied.token.expires), (Some("why"), None));
        assert_ne!(copied.token.id, id);
        signs_in(&server, &copied.value).await.unwrap();

        let reset = anna.reset_token(&context, id).await.unwrap();
        assert_eq!(reset.token.id, id);
        assert_eq!(signs_in(&server, &made.value).await.unwrap_err().kind(), ErrorKind::AuthenticationFailed);
        signs_in(&server, &reset.value).await.unwrap();

        assert_eq!(anna.revoke_token(&context, id).await.unwrap().status, "Revoked");
        assert_eq!(signs_in(&server, &reset.value).await.unwrap_err().kind(), ErrorKind::AuthenticationFailed);
        anna.remove_token(&context, id).await.unwrap();
        let left: Vec<String> = anna.tokens(&context).await.unwrap().into_iter().map(|token| token.id).collect();
        assert_eq!(left, [copied.token.id]);
    });
    assert_eq!(server.requests("POST /api/v1/Account/signin"), 1, "a person signs in once");
}

#[test]
fn what_the_server_refuses_is_named_and_changes_nothing() {
    let (_server, anna) = server();
    block_on(async {
        let context = context();
        let kept = anna.new_token(&context, &named("kept")).await.unwrap().token;
        let past = Some(Timestamp::now() - SignedDuration::from_hours(1));
        for (new, target) in [
            (named(&"n".repeat(10_000)), "name"),
            (named("two\nlines"), "name"),
            (NewToken { description: Some("d".repeat(10_000)), ..named("x") }, "description"),
            (NewToken { expires: past, ..named("x") }, "expires"),
        ] {
            let error = anna.new_token(&context, &new).await.unwrap_err();
            assert_eq!((error.kind(), error.target()), (ErrorKind::InvalidArgument, target), "{error}");
            assert!(error.hint().contains("Nothing was changed") && error.to_string().len() < 1_500, "{error}");
        }
        let changes = TokenChanges { expires: Some(past), ..TokenChanges::default() };
        let error = anna.set_token(&context, &kept.id, &changes).await.unwrap_err();
        assert_eq!((error.kind(), error.target()), (ErrorKind::InvalidArgument, "expires"));
        for id in ["nothing", "..", "a/b?c#d"] {
            let error = anna.revoke_token(&context, id).await.unwrap_err();
            assert_eq!((error.kind(), error.target()), (ErrorKind::TokenNotFound, id), "{error}");
            assert!(!error.hint().is_empty());
        }
        assert_eq!(anna.tokens(&context).await.unwrap(), [kept]);
    });
}

#[test]
fn a_token_signs_nobody_in_as_a_person_and_a_password_is_no_token() {
    let (server, anna) = server();
    block_on(async {
        let value = anna.new_token(&context(), &named("ci")).await.unwrap().value;
        let error = person(server.url(), "anna", value.expose()).tokens(&context()).await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(401)));
        assert!(error.hint().contains("password"), "{error}");
        let error = client(server.url(), "anna", PASSWORD).connect(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        let error = client(server.url(), "anna", value.expose()).new_token(&context(), &named("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::PermissionDenied, Some(403)));
        assert!(error.hint().contains("password"), "{error}");
        assert_eq!(anna.tokens(&context()).await.unwrap().len(), 1);
    });
}

#[test]
fn a_client_services_token_connects_and_only_reads() {
    let (server, anna) = server();
    server.add_package("app", "1.0.0", &[], 100);
    block_on(async {
        let new = NewToken { kind: Some("client-service"), ..named("shop") };
        let made = anna.new_token(&context(), &new).await.unwrap();
        assert_eq!(made.token.kind.as_deref(), Some("client-service"));
        let months = made.token.expires.unwrap().duration_since(Timestamp::now());
        assert!((365..=366).contains(&(months.as_hours() / 24 + 1)), "{months:?}");
        let shop = client(server.url(), "anna", made.value.expose());
        shop.connect(&context()).await.unwrap();
        assert_eq!(shop.versions(&context(), "app").await.unwrap().len(), 1);
        let error = shop.delete(&context(), "app", "1.0.0").await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::PermissionDenied, Some(403)), "{error}");
        assert_eq!(shop.versions(&context(), "app").await.unwrap().len(), 1);
    });
}

/// One secret that is a token and a password, on a server whose routes send both to one address.
#[test]
fn a_password_and_a_token_never_share_a_sign_in() {
    block_on(async {
        let server = MockServer::start().await;
        let signs_in = |bearer: &str, ends: &str| {
            ResponseTemplate::new(200).set_body_json(json!({ "token": bearer, ends: "2099-01-01T00:00:00Z" }))
        };
        let exchange = || Mock::given(method("POST")).and(path(EXCHANGE));
        let token = exchange().and(query_param("personalToken", "same")).and(query_param("username", "anna"));
        token.respond_with(signs_in("of-the-token", "tokenExpires")).expect(1).mount(&server).await;
        let password = exchange().and(body_json(json!({ "userName": "anna", "password": "same" })));
        password.respond_with(signs_in("of-the-person", "expires")).expect(1).with_priority(9).mount(&server).await;
        for (call, bearer) in [("/api/v1/Packages", "Bearer of-the-token"), (TOKENS, "Bearer of-the-person")] {
            let answer = Mock::given(path(call)).and(header("authorization", bearer));
            answer.respond_with(ResponseTemplate::new(200).set_body_json(json!([]))).mount(&server).await;
        }
        let mut routes = Routes::default();
        routes.sign_in = routes.exchange.clone();
        let open = |identity: fn(Credential) -> Identity| {
            let credential = Credential { user_name: "anna".into(), token: Secret::new("same".into()) };
            let url = ServerUrl::parse(&server.uri(), false).unwrap();
            UpdateService::open_as(url, identity(credential), options(), routes.clone()).unwrap()
        };
        // While one of them is open, they share; the last that is closed ends a person's session.
        let services = [(); 2].map(|()| (open(Identity::Token), open(Identity::Person)));
        for (token, person) in &services {
            token.packages(&context(), None).await.unwrap();
            person.tokens(&context()).await.unwrap();
        }
    });
}

const TOKENS: &str = "/api/v1/PersonalTokens";

#[test]
fn the_last_of_a_persons_connections_ends_the_session_and_none_before() {
    let (server, first) = server();
    let second = person(server.url(), "anna", PASSWORD);
    block_on(async {
        for service in [&first, &second] {
            service.tokens(&context()).await.unwrap();
        }
    });
    assert_eq!(server.sessions(), (1, 0), "they share one");
    block_on(first.sign_out(&context()));
    assert_eq!(server.sessions(), (1, 0), "one still uses it");
    block_on(async {
        second.tokens(&context()).await.unwrap();
        second.sign_out(&context()).await;
    });
    assert_eq!(server.sessions(), (1, 1));
    block_on(async {
        second.sign_out(&context()).await;
        first.sign_out(&context()).await;
    });
    assert_eq!(server.requests("POST /api/v1/Account/signout"), 1, "it is ended once");
    block_on(async {
        first.tokens(&context()).await.unwrap();
        first.sign_out(&context()).await;
    });
    assert_eq!(server.sessions(), (2, 2), "whoever goes on signs in anew");
}

#[test]
fn a_connection_that_is_dropped_ends_its_session() {
    let (server, anna) = server();
    block_on(anna.tokens(&context())).unwrap();
    drop(anna);
    // Nobody waits for it, so the test does.
    for _ in 0..500 {
        if server.sessions() == (1, 1) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{:?}", server.sessions());
}

#[test]
fn a_session_that_cannot_be_ended_is_a_verbose_line_and_no_error() {
    block_on(async {
        for (answer, line) in [
            (None, Some("404")),
            (Some(ResponseTemplate::new(503)), Some("503")),
            (Some(ResponseTemplate::new(401)), None),
            (Some(ResponseTemplate::new(204)), None),
        ] {
            let server = MockServer::start().await;
            let signed_in = json!({ "token": "canary-bearer", "expires": "2099-01-01T00:00:00Z" });
            let sign_in = Mock::given(path("/api/v1/Account/signin"));
            sign_in.respond_with(ResponseTemplate::new(200).set_body_json(signed_in)).mount(&server).await;
            let empty = ResponseTemplate::new(200).set_body_json(json!([]));
            Mock::given(path(TOKENS)).respond_with(empty).mount(&server).await;
            if let Some(answer) = answer {
                let sign_out = Mock::given(method("POST")).and(path("/api/v1/Account/signout"));
                let sign_out = sign_out.and(header("authorization", "Bearer canary-bearer"));
                sign_out.respond_with(answer).expect(1).mount(&server).await;
            }
            let anna = person(&server.uri(), "anna", "pass");
            anna.tokens(&context()).await.unwrap();
            let context = context();
            anna.sign_out(&context).await;
            let lines = verbose_lines(&context);
            let told: Vec<&String> = lines.iter().filter(|line| line.contains("was not ended")).collect();
            assert_eq!(told.len(), usize::from(line.is_some()), "{lines:?}");
            assert!(told.iter().all(|told| line.is_none_or(|line| told.contains(line))), "{lines:?}");
            assert!(!lines.concat().contains("canary"), "{lines:?}");
        }
    });
}

#[test]
fn a_server_that_is_gone_keeps_nobody_from_signing_out() {
    let (mut server, anna) = server();
    block_on(anna.tokens(&context())).unwrap();
    server.kill();
    let context = context();
    block_on(anna.sign_out(&context));
    let lines = verbose_lines(&context);
    assert!(lines.iter().any(|line| line.contains("was not ended")), "{lines:?}");
}

#[test]
fn a_route_file_says_where_a_session_is_ended() {
    let (server, _) = server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.json");
    std::fs::write(&file, r#"{"signOut": {"uri": "/api/v1/Account/signout?everywhere=true"}}"#).unwrap();
    let credential = Credential { user_name: "anna".into(), token: Secret::new(PASSWORD.into()) };
    let url = ServerUrl::parse(server.url(), false).unwrap();
    let routes = Routes::read(&file).unwrap();
    let anna = UpdateService::open_as(url, Identity::Person(credential), options(), routes).unwrap();
    block_on(async {
        anna.tokens(&context()).await.unwrap();
        anna.sign_out(&context()).await;
    });
    assert_eq!(server.audit("session.end")[0]["target"], "all of anna");
}

#[test]
fn a_server_that_does_not_tell_when_a_token_ends_is_told_apart_from_never() {
    block_on(async {
        for (account, told) in [
            (ResponseTemplate::new(200).set_body_json(json!({ "user": {}, "personalTokenExpires": null })), true),
            (ResponseTemplate::new(200).set_body_json(json!({ "user": {} })), false),
            (ResponseTemplate::new(404), false),
        ] {
            let server = MockServer::start().await;
            let bearer = json!({ "token": "b", "tokenExpires": "2099-01-01T00:00:00Z" });
            let exchange = Mock::given(path(EXCHANGE)).respond_with(ResponseTemplate::new(200).set_body_json(bearer));
            exchange.mount(&server).await;
            Mock::given(path("/api/v1/Account")).respond_with(account).mount(&server).await;
            let session = client(&server.uri(), "anna", "t").connect(&context()).await.unwrap();
            assert_eq!((session.personal_token_expires, session.tells_end), (None, told));
        }
    });
}
