//! The client of the platform against the real server's dialect of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::{Server, block_on, context, options, verbose_lines};
use uss::http::TransportOptions;
use uss::virtuozzo::methods::{self, Kind};
use uss::virtuozzo::{Action, Call, Platform, SignIn, Status, TokenChanges, TokenScope};
use uss::{Error, ErrorKind, Secret, ServerUrl};

const PASSWORD: &str = "correct horse battery staple";
const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

/// A server with the demo's environments and a person, whose changes take so many milliseconds.
fn start(milliseconds: &str) -> Server {
    let server = Server::start_with(&["--demo", "--state-time", milliseconds]);
    server.user_with_password("ada", PASSWORD);
    server
}

fn open(server: &Server, sign_in: SignIn, options: &TransportOptions) -> Platform {
    Platform::open(ServerUrl::parse(server.url(), false).unwrap(), Some(sign_in), options).unwrap()
}

/// By login and password.
fn ada(server: &Server) -> Platform {
    let sign_in = SignIn::Password { login: "ada".into(), password: Secret::new(PASSWORD.into()) };
    open(server, sign_in, &options())
}

/// By a token that may do this.
fn with_token(server: &Server, scope: &TokenScope) -> (Platform, i64) {
    let (token, value) = block_on(ada(server).create_token(&context(), "test", None, scope, None)).unwrap();
    (open(server, SignIn::Token(value), &options()), token.id)
}

fn everything() -> TokenScope {
    TokenScope::Set("Extended Access".into())
}

fn only(list: &[&str]) -> TokenScope {
    TokenScope::Methods(list.iter().map(|method| (*method).to_owned()).collect())
}

fn platform_code(error: &Error) -> Option<i64> {
    match error.kind() {
        ErrorKind::PlatformError { code } => Some(code),
        _ => None,
    }
}

#[test]
fn a_token_for_stopping_and_starting_does_that_and_nothing_else() {
    let server = start("1");
    let scope =
        only(&["environment/control/stopenv", "environment/control/startenv", "environment.control.GetEnvInfo"]);
    let (platform, _) = with_token(&server, &scope);
    let context = context();
    let stopped = block_on(platform.change_environment(&context, "my-project", Action::Stop, LIMIT)).unwrap();
    assert_eq!((stopped.status, stopped.status_code, stopped.nodes.len()), (Status::Down, 2, 4));
    assert_eq!(stopped.domain, "my-project.localhost");
    let started = block_on(platform.change_environment(&context, "my-project", Action::Start, LIMIT)).unwrap();
    assert_eq!(started.status, Status::Running);
    let error = block_on(platform.change_environment(&context, "my-project", Action::Sleep, LIMIT)).unwrap_err();
    assert_eq!(platform_code(&error), Some(8202));
    assert!(error.message().contains("sleepenv") && error.hint().contains("API set"), "{error}");
    assert!(verbose_lines(&context).iter().all(|line| !line.contains('?')), "no query is sent");
}

#[test]
fn a_token_that_may_stop_and_not_look_stops() {
    let server = start("1");
    let (platform, _) = with_token(&server, &only(&["environment/control/stopenv"]));
    block_on(platform.change_environment_unseen(&context(), "my-project", Action::Stop)).unwrap();
    assert_eq!(server.requests("POST /1.0/environment/control/rest/getenvinfo"), 0);
    let (seeing, _) = with_token(&server, &everything());
    let stopped = block_on(seeing.environment(&context(), "my-project")).unwrap();
    assert!(matches!(stopped.status, Status::Down | Status::Stopping), "{stopped:?}");
    let error = block_on(platform.change_environment_unseen(&context(), "nowhere", Action::Stop)).unwrap_err();
    assert_eq!((platform_code(&error), error.target()), (Some(11), "nowhere"));
}

#[test]
fn a_token_lives_from_create_to_delete() {
    let server = start("1");
    let (platform, context) = (ada(&server), context());
    let account = block_on(platform.connect(&context)).unwrap().unwrap();
    assert_eq!(account.email, "ada@example.com");
    let expires = Timestamp::now() + SignedDuration::from_hours(48);
    let (token, value) = block_on(platform.create_token(
        &context,
        "nightly",
        Some(expires),
        &TokenScope::Set("IDE Plugins".into()),
        None,
    ))
    .unwrap();
    assert_eq!((token.description.as_str(), token.set.as_deref()), ("nightly", Some("IDE Plugins")));
    assert_eq!(token.expires.map(Timestamp::as_second), Some(expires.as_second()));
    assert!(token.methods.iter().any(|method| method == "environment/control/stopenv"));
    let by_token = open(&server, SignIn::Token(value.clone()), &options());
    block_on(by_token.connect(&context)).unwrap().unwrap();

    let changes = TokenChanges {
        description: Some("weekly".into()),
        expires: Some(None),
        scope: Some(only(&["environment/control/getenvs"])),
    };
    let edited = block_on(platform.edit_token(&context, token.id, &changes, None)).unwrap();
    assert_eq!((edited.description.as_str(), edited.expires, edited.set), ("weekly", None, None));
    assert_eq!(edited.methods, ["environment/control/getenvs"]);
    assert!(block_on(by_token.connect(&context)).unwrap().is_none(), "good, though it may not tell whose it is");
    assert_eq!(block_on(by_token.environments(&context)).unwrap().len(), 3);

    let (copy, copied) = block_on(platform.copy_token(&context, token.id, &TokenChanges::default(), None)).unwrap();
    assert_eq!((copy.description.as_str(), &copy.methods), ("weekly", &edited.methods));
    assert!(copy.id != token.id && copied.expose() != value.expose());

    let (_, anew) = block_on(platform.regenerate_token(&context, token.id, None)).unwrap();
    let error = block_on(by_token.environments(&context)).unwrap_err();
    assert_eq!(platform_code(&error), Some(702), "the old value is over");
    let by_new = open(&server, SignIn::Token(anew), &options());
    assert_eq!(block_on(by_new.environments(&context)).unwrap().len(), 3);

    let ids: Vec<i64> = block_on(platform.tokens(&context)).unwrap().iter().map(|token| token.id).collect();
    assert_eq!(ids.len(), 2);
    block_on(platform.delete_tokens(&context, &ids, None)).unwrap();
    assert!(block_on(platform.tokens(&context)).unwrap().is_empty());
    assert_eq!(platform_code(&block_on(by_new.environments(&context)).unwrap_err()), Some(702));
}

#[test]
fn tokens_are_managed_with_a_password_and_never_with_a_token() {
    let server = start("1");
    let (platform, id) = with_token(&server, &everything());
    let context = context();
    let before = server.requests_below("POST /1.0/");
    for refused in [
        block_on(platform.tokens(&context)).map(drop),
        block_on(platform.token_sets(&context)).map(drop),
        block_on(platform.create_token(&context, "x", None, &everything(), None)).map(drop),
        block_on(platform.regenerate_token(&context, id, None)).map(drop),
        block_on(platform.delete_tokens(&context, &[id], None)),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.hint().contains("-SignIn"), "{error}");
    }
    assert_eq!(server.requests_below("POST /1.0/"), before, "nothing was sent");
    let call = Call::new("users/authentication/createtoken").with("description", "x").with("tokenTemplate", "1");
    assert_eq!(platform_code(&block_on(platform.call(&context, &call)).unwrap_err()), Some(8202), "nor by a bare call");
}

#[test]
fn sets_and_methods_can_be_chosen_from() {
    let server = start("1");
    let (platform, context) = (ada(&server), context());
    let sets = block_on(platform.token_sets(&context)).unwrap();
    let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["Extended Access", "IDE Plugins", "Marketplace", "Maven Plugin"]);
    let found = block_on(platform.token_methods(&context, "stopenv")).unwrap();
    assert_eq!(found, ["environment/control/stopenv"]);
    assert_eq!(block_on(platform.token_methods(&context, "")).unwrap().len(), sets[0].methods.len());
}

#[test]
fn a_call_that_outlives_the_clients_time_out_is_never_sent_twice() {
    let server = start("2500");
    let (_, value) = block_on(ada(&server).create_token(&context(), "test", None, &everything(), None)).unwrap();
    let impatient = TransportOptions { timeout: Duration::from_millis(700), ..options() };
    let platform = open(&server, SignIn::Token(value), &impatient);
    let context = context();
    let stopped = block_on(platform.change_environment(&context, "my-project", Action::Stop, LIMIT)).unwrap();
    assert_eq!(stopped.status, Status::Down);
    assert_eq!(server.requests("POST /1.0/environment/control/rest/stopenv"), 1);
    assert!(server.requests("POST /1.0/environment/control/rest/getenvinfo") > 0);

    let start = Call::new("environment/control/startenv").with("envName", "my-project");
    let error = block_on(platform.call(&context, &start)).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Timeout, None));
    assert!(error.message().contains("is not known") && error.hint().contains("sent once"), "{error}");
    assert_eq!(server.requests("POST /1.0/environment/control/rest/startenv"), 1);
}

#[test]
fn an_answer_that_gets_lost_is_found_in_the_state_and_the_call_is_not_sent_again() {
    let server = start("300");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    server.fault(json!({ "path": "/rest/stopenv", "action": "forget" }));
    let stopped = block_on(platform.change_environment(&context, "my-project", Action::Stop, LIMIT)).unwrap();
    assert_eq!(stopped.status, Status::Down);
    server.fault(json!({ "path": "/rest/startenv", "action": { "status": { "code": 504 } } }));
    let error = block_on(platform.change_environment(&context, "my-project", Action::Start, LIMIT)).unwrap_err();
    assert_eq!((error.kind(), error.target()), (ErrorKind::ServerUnavailable, "my-project"));
    assert!(error.message().ends_with("'my-project' is still Down."), "{error}");
    for method in ["stopenv", "startenv"] {
        assert_eq!(server.requests(&format!("POST /1.0/environment/control/rest/{method}")), 1);
    }
}

#[test]
fn a_state_is_read_again_after_the_connection_broke() {
    let server = start("1000");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    server.fault(json!({ "path": "/rest/stopenv", "action": "forget" }));
    server.fault(json!({ "path": "/rest/getenvinfo", "count": 4, "action": { "reset": 0 } }));
    let stopped = block_on(platform.change_environment(&context, "my-project", Action::Stop, LIMIT)).unwrap();
    assert_eq!(stopped.status, Status::Down);
    assert_eq!(server.requests("POST /1.0/environment/control/rest/stopenv"), 1);
}

#[test]
fn failures_inside_of_an_answer_are_failures() {
    let server = start("1");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    let create = Call::new("environment/control/createenvironment")
        .with("env", r#"{"shortdomain":"my-project"}"#)
        .with("nodes", r#"{"nodeType":"nginx"}"#);
    let error = block_on(platform.call(&context, &create)).unwrap_err();
    assert_eq!((platform_code(&error), error.target()), (Some(2330), "environment/control/createenvironment"));
    assert!(error.hint().contains("another name"), "{error}");
    let restart = Call::new("environment/control/restartservices").with("envName", "reports");
    let error = block_on(platform.call(&context, &restart)).unwrap_err();
    assert_eq!(platform_code(&error), Some(4099));
    assert!(error.message().contains("1 of 1 failed: node ") && error.message().contains("stopped"), "{error}");
}

#[test]
fn what_the_description_does_not_know_is_refused_before_anything_is_sent() {
    let server = start("1");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    let before = server.requests_below("POST /1.0/");
    for call in [
        Call::new("environment/control/stopenvs").with("envName", "my-project"),
        Call::new("environment/control/stopenv"),
        Call::new("environment/control/stopenv").with("envname2", "my-project"),
        Call::new("environment/control/restartnodebyid").with("envName", "my-project").with("nodeId", "seven"),
    ] {
        assert_eq!(
            block_on(platform.call(&context, &call)).unwrap_err().kind(),
            ErrorKind::InvalidArgument,
            "{call:?}"
        );
    }
    assert_eq!(server.requests_below("POST /1.0/"), before);
    let forced = Call { force: true, ..Call::new("environment/control/stopenv") };
    assert_eq!(platform_code(&block_on(platform.call(&context, &forced)).unwrap_err()), Some(3), "asked all the same");
}

#[test]
fn expired_revoked_narrow_and_wrong_tokens_have_one_clear_error_each() {
    let server = start("1");
    let (by_password, context) = (ada(&server), context());
    let soon = Timestamp::now() + SignedDuration::from_secs(2);
    let (_, short) = block_on(by_password.create_token(&context, "short", Some(soon), &everything(), None)).unwrap();
    let (_, narrow) =
        block_on(by_password.create_token(&context, "narrow", None, &only(&["billing/account/getaccount"]), None))
            .unwrap();
    let (gone, removed) = block_on(by_password.create_token(&context, "gone", None, &everything(), None)).unwrap();
    block_on(by_password.delete_tokens(&context, &[gone.id], None)).unwrap();
    let look = |token: Secret| {
        let platform = open(&server, SignIn::Token(token), &options());
        block_on(platform.environments(&context)).unwrap_err()
    };
    for (token, code, says) in [
        (narrow, 8202, "getenvs"),
        (removed, 702, "not valid"),
        (Secret::new("canary-of-a-wrong-token".into()), 702, "not valid"),
    ] {
        let error = look(token);
        assert_eq!(platform_code(&error), Some(code));
        assert!(error.message().contains(says) && !error.hint().is_empty(), "{error}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
    }
    while Timestamp::now() <= soon {
        std::thread::sleep(Duration::from_millis(100));
    }
    let error = look(short);
    assert!(platform_code(&error) == Some(702) && error.message().contains("expired"), "{error}");
    let wrong = SignIn::Password { login: "ada".into(), password: Secret::new("wrong".into()) };
    let error = block_on(open(&server, wrong, &options()).tokens(&context)).unwrap_err();
    assert_eq!((platform_code(&error), error.target()), (Some(701), "ada"));
}

#[test]
fn a_session_that_ended_is_begun_anew_once_and_signout_ends_it() {
    let server = start("1");
    let (platform, context) = (ada(&server), context());
    let sign_ins = || server.requests("POST /1.0/users/authentication/rest/signin");
    block_on(platform.environments(&context)).unwrap();
    block_on(platform.environments(&context)).unwrap();
    assert_eq!(sign_ins(), 1);
    // The platform ends it: another client of the same session signs out.
    block_on(platform.call(&context, &Call::new("users/authentication/signout"))).unwrap();
    block_on(platform.environments(&context)).unwrap();
    assert_eq!(sign_ins(), 2);
    block_on(platform.disconnect(&context)).unwrap();
    block_on(platform.disconnect(&context)).unwrap();
    assert_eq!(server.requests("POST /1.0/users/authentication/rest/signout"), 2);
}

#[test]
fn no_credential_is_said_before_anything_is_sent() {
    let server = start("1");
    let platform = Platform::open(ServerUrl::parse(server.url(), false).unwrap(), None, &options()).unwrap();
    let error = block_on(platform.environments(&context())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialMissing);
    assert_eq!(server.requests_below("POST /1.0/"), 0);
    block_on(platform.call(&context(), &Call::new("environment/tracking/getserverutctime"))).unwrap();
    let empty = SignIn::Token(Secret::new(String::new()));
    let refused = Platform::open(ServerUrl::parse(server.url(), false).unwrap(), Some(empty), &options());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn reading_is_tried_again_and_changing_is_not() {
    let server = start("1");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    server.fault(json!({ "path": "/rest/getenvs", "count": 2, "action": { "status": { "code": 503 } } }));
    assert_eq!(block_on(platform.environments(&context)).unwrap().len(), 3);
    assert_eq!(server.requests("POST /1.0/environment/control/rest/getenvs"), 3);
    server.fault(json!({ "path": "/rest/restartnodes", "action": { "status": { "code": 503 } } }));
    let error = block_on(platform.restart_environment(&context, "my-project", None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerUnavailable);
    assert_eq!(server.requests("POST /1.0/environment/control/rest/restartnodes"), 1);
    block_on(platform.restart_environment(&context, "my-project", None)).unwrap();
}

#[test]
fn the_commonest_calls_succeed_by_the_generic_call() {
    let server = start("1");
    let (platform, context) = (ada(&server), context());
    let node = block_on(platform.environment(&context, "my-project")).unwrap().nodes[0].id;
    let name = |method: &str| Call::new(&format!("environment/control/{method}")).with("envName", "my-project");
    let calls = [
        Call::new("users/account/getuserinfo"),
        Call::new("billing/account/getaccount"),
        Call::new("users/authentication/gettokens"),
        Call::new("users/authentication/gettokentemplates"),
        Call::new("users/authentication/gettokenapilist"),
        Call::new("environment/control/getenvs"),
        Call::new("environment/control/getbasicenvsinfo"),
        Call::new("environment/control/getregions"),
        name("getenvinfo"),
        name("getnodegroups"),
        name("stopenv"),
        name("startenv"),
        name("restartnodes"),
        name("restartnodebyid").with("nodeId", node),
        name("restartcontainerbyid").with("nodeid", node),
        name("restartservices").with("nodeGroup", "cp"),
        name("setenvdisplayname").with("displayName", "Mine"),
        name("setnodedisplayname").with("nodeId", node).with("displayName", "Front"),
        name("sleepenv"),
        Call::new("environment/binder/checkdomain").with("domain", "free"),
        Call::new("environment/control/createenvironment")
            .with("env", r#"{"shortdomain":"free"}"#)
            .with("nodes", r#"[{"nodeType":"tomcat"}]"#),
        Call::new("environment/control/cloneenv").with("srcEnvName", "free").with("dstEnvName", "second"),
        Call::new("environment/control/deleteenv")
            .with("envName", "free")
            .with("password", Secret::new(PASSWORD.into())),
    ];
    for call in calls {
        block_on(platform.call(&context, &call)).unwrap_or_else(|error| panic!("{}: {error}", call.method));
    }
    let names: Vec<_> =
        block_on(platform.environments(&context)).unwrap().into_iter().map(|one| (one.name, one.status)).collect();
    assert!(
        names.contains(&("my-project".into(), Status::Sleep)) && names.contains(&("second".into(), Status::Running))
    );
    assert!(!names.iter().any(|(name, _)| name == "free"), "{names:?}");
}

#[test]
fn each_of_the_310_methods_can_be_called_with_what_the_description_requires() {
    let server = start("1");
    let (platform, _) = with_token(&server, &everything());
    let context = context();
    for method in methods::all() {
        let mut call = Call::new(&method.path());
        for parameter in method.parameters.iter().filter(|parameter| parameter.required) {
            let sample = match parameter.kind {
                Kind::Text => "none",
                Kind::Int32 | Kind::Int64 => "7",
                Kind::Boolean => "true",
                Kind::Json => "{}",
                Kind::List => "[1]",
            };
            call = call.with(parameter.name, sample);
        }
        match block_on(platform.call(&context, &call)) {
            Ok(_) => {}
            // Refused for a reason of the platform's, not for how it was called.
            Err(error) => match platform_code(&error) {
                Some(3 | 5) if call.method.contains("createenvironment") => {}
                Some(code) => assert!(![3, 5].contains(&code), "{}: {error}", call.method),
                None => panic!("{}: {error}", call.method),
            },
        }
    }
    assert!(server.requests_below("POST /1.0/") >= 310);
}
