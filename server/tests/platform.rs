//! The platform's dialect: sessions, access tokens and their sets, as its calls answer them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::*;

fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// A call by POST: always HTTP 200, and JSON that nobody may keep.
async fn call(server: &Server, method: &str, parameters: &[(&str, &str)]) -> Value {
    let (service, name) = method.rsplit_once('/').unwrap();
    let request = server.request(Method::POST, &format!("/1.0/{service}/rest/{name}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(parameters));
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), header(response.headers(), "cache-control")),
        (200, "no-store"),
        "{method}"
    );
    support::json(response, 200).await
}

/// The same; it must succeed.
async fn done(server: &Server, method: &str, parameters: &[(&str, &str)]) -> Value {
    let answer = call(server, method, parameters).await;
    assert_eq!(answer["result"], 0, "{method}: {answer}");
    answer
}

/// The same; it must fail with this result, and say so.
async fn refused(server: &Server, method: &str, parameters: &[(&str, &str)], result: i64, says: &str) {
    let answer = call(server, method, parameters).await;
    let said = answer["error"].as_str().unwrap_or_default();
    assert!(answer["result"] == result && said.contains(says), "{method}: {answer}");
    assert!(answer["source"].is_string(), "{answer}");
}

async fn sign_in(server: &Server, name: &str) -> String {
    let answer = done(server, "users/authentication/signin", &[("login", name), ("password", PASSWORD)]).await;
    answer["session"].as_str().unwrap().to_owned()
}

/// Makes a token; gives its id and value.
async fn token(server: &Server, session: &str, more: &[(&str, &str)]) -> (String, String) {
    let parameters = [&[("session", session), ("password", PASSWORD), ("description", "for a test")], more].concat();
    let made = done(server, "users/authentication/createtoken", &parameters).await;
    (made["token"]["id"].to_string(), made["token"]["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_with_signout() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada@example.com").await;
    let who = done(&server, "users/account/getuserinfo", &[("session", &session)]).await;
    assert_eq!((&who["email"], &who["status"]), (&json!("ada@example.com"), &json!("ENABLED")));
    assert!(who["uid"].as_i64().is_some_and(|uid| (0..=i64::from(i32::MAX)).contains(&uid)), "{who}");
    done(&server, "billing/account/getaccount", &[("session", &session)]).await;
    done(&server, "users/authentication/signout", &[("session", &session)]).await;
    refused(&server, "users/account/getuserinfo", &[("session", &session)], 702, "not authenticated").await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_numbers() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "eve", &[]);
    let (first, eve) = (sign_in(&server, "ada").await, sign_in(&server, "eve").await);
    let path = "/1.0/users/authentication/rest/signin";
    let body = form(&[("login", "ada"), ("password", PASSWORD)]);
    let request = server.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.header("user-agent", "nightly/2.1").body(body).send().await.unwrap();
    let second = support::json(answer, 200).await["session"].as_str().unwrap().to_owned();

    let who = done(&server, "users/account/getuserinfo", &[("session", &second)]).await;
    let list = done(&server, "users/authentication/getsessions", &[("session", &second)]).await;
    let sessions = list["sessions"].as_array().unwrap();
    let current: Vec<_> = sessions.iter().map(|session| (&session["current"], &session["userAgent"])).collect();
    assert_eq!(current, [(&json!(false), &json!("")), (&json!(true), &json!("nightly/2.1"))], "{list}");
    for session in sessions {
        assert_eq!((&session["uid"], &session["host"]), (&who["uid"], &json!("127.0.0.1")), "{list}");
        assert!(session["id"].as_i64().is_some_and(|id| (0..=i64::from(i32::MAX)).contains(&id)), "{list}");
        for name in ["createdOn", "lastAccess"] {
            let date = session[name].as_str().unwrap();
            assert!(date.len() == 19 && date.starts_with("20") && &date[10..11] == " ", "{name}: {date}");
        }
    }
    assert!(!list.to_string().contains(&first) && !list.to_string().contains(&second), "no session's value is shown");

    let of_eve = done(&server, "users/authentication/getsessions", &[("session", &eve)]).await;
    let (id, foreign) = (sessions[0]["id"].to_string(), of_eve["sessions"][0]["id"].to_string());
    let both = format!("{id},{foreign}");
    for (ids, result, says) in [(&*both, 5, "no session"), ("x", 3, "getsessions shows"), ("", 3, "'ids' is missing")] {
        let parameters = [("session", &*second), ("ids", ids)];
        refused(&server, "users/authentication/signoutsessions", &parameters, result, says).await;
    }
    done(&server, "users/account/getuserinfo", &[("session", &first)]).await;
    done(&server, "users/authentication/signoutsessions", &[("session", &second), ("ids", &id)]).await;
    refused(&server, "users/account/getuserinfo", &[("session", &first)], 702, "not authenticated").await;
    done(&server, "users/account/getuserinfo", &[("session", &second)]).await;
    let left = done(&server, "users/authentication/getsessions", &[("session", &second)]).await;
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1, "{left}");
}

#[tokio::test]
async fn who_is_not_signed_in_gets_701_or_702_in_an_answer_with_http_200() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    for (login, password) in [("ada", "wrong"), ("nobody", PASSWORD)] {
        let parameters = [("login", login), ("password", password)];
        refused(&server, "users/authentication/signin", &parameters, 701, "login or password is wrong").await;
    }
    refused(&server, "users/authentication/signin", &[("login", "ada")], 3, "'password' is missing").await;
    for session in [None, Some(""), Some("nonsense"), Some(&*"x".repeat(10_000))] {
        let parameters: Vec<_> = session.map(|session| ("session", session)).into_iter().collect();
        refused(&server, "environment/control/getenvs", &parameters, 702, "not authenticated").await;
    }
}

#[tokio::test]
async fn an_update_service_token_and_its_bearer_open_nothing_here() {
    let server = Server::start();
    let personal = server.user("ada", true);
    let bearer = server.sign_in("ada", &personal).await.bearer;
    for session in [&personal, &bearer] {
        refused(&server, "users/account/getuserinfo", &[("session", session)], 702, "not authenticated").await;
    }
}

#[tokio::test]
async fn an_access_token_lives_from_create_to_delete() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let made = done(
        &server,
        "users/authentication/createtoken",
        &[
            ("session", &session),
            ("password", PASSWORD),
            ("description", "nightly"),
            ("expiresAt", "2999-12-31 18:00:00"),
            ("tokenTemplate", "Extended Access"),
        ],
    )
    .await;
    let (id, value) = (made["token"]["id"].to_string(), made["token"]["key"].as_str().unwrap().to_owned());
    assert_eq!(value.len(), 88);
    assert!(id.parse::<i32>().is_ok_and(|id| id > 0), "{id}");
    assert_eq!(made["token"]["expiresAt"], "2999-12-31 18:00:00");
    assert_eq!(made["token"]["tokenTemplate"]["name"], "Extended Access");
    assert_eq!(made["token"]["lastUsed"], Value::Null);
    done(&server, "users/account/getuserinfo", &[("session", &value)]).await;

    let list = done(&server, "users/authentication/gettokens", &[("session", &session)]).await;
    assert_eq!((list["apiTokens"].as_array().unwrap().len(), list["apiTokens"][0]["id"].to_string()), (1, id.clone()));
    assert!(list["apiTokens"][0]["lastUsed"].is_string() && !list.to_string().contains(&value), "{list}");

    let change = [("session", &*session), ("password", PASSWORD), ("id", &*id)];
    let edited = [&change[..], &[("description", "weekly"), ("expiresAt", "")]].concat();
    let edited = done(&server, "users/authentication/edittoken", &edited).await;
    assert_eq!((&edited["token"]["description"], &edited["token"]["expiresAt"]), (&json!("weekly"), &Value::Null));
    assert_eq!(edited["token"]["tokenTemplate"]["name"], "Extended Access", "what is not given stays");
    assert_eq!(edited["token"]["key"], Value::Null);

    let anew = done(&server, "users/authentication/regeneratetoken", &change).await;
    let anew = anew["token"]["key"].as_str().unwrap();
    refused(&server, "users/account/getuserinfo", &[("session", &value)], 702, "not authenticated").await;
    done(&server, "users/account/getuserinfo", &[("session", anew)]).await;

    let ids = [("session", &*session), ("password", PASSWORD), ("ids", &*id)];
    done(&server, "users/authentication/deletetokens", &ids).await;
    refused(&server, "users/account/getuserinfo", &[("session", anew)], 702, "not authenticated").await;
    let list = done(&server, "users/authentication/gettokens", &[("session", &session)]).await;
    assert_eq!(list["apiTokens"], json!([]));
}

#[tokio::test]
async fn a_tokens_set_is_enforced_on_every_call() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let list = "environment/control/stopenv, environment.control.StartEnv";
    let (_, narrow) = token(&server, &session, &[("apiList", list)]).await;
    for method in ["environment/control/startenv", "environment/control/StopEnv"] {
        refused(&server, method, &[("session", &narrow), ("envName", "none")], 11, "no environment 'none'").await;
    }
    for method in ["environment/control/getenvs", "users/account/getuserinfo", "marketplace/app/install"] {
        refused(&server, method, &[("session", &narrow)], 8202, "does not hold the method").await;
    }
    let (_, maven) = token(&server, &session, &[("tokenTemplate", "maven plugin")]).await;
    done(&server, "users/account/getuserinfo", &[("session", &maven)]).await;
    refused(&server, "environment/control/stopenv", &[("session", &maven), ("envName", "x")], 8202, "stopenv").await;
}

#[tokio::test]
async fn a_token_makes_no_tokens_and_no_sessions() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let (id, wide) = token(&server, &session, &[("tokenTemplate", "Extended Access")]).await;
    let parameters = [
        ("session", &*wide),
        ("password", PASSWORD),
        ("description", "more"),
        ("tokenTemplate", "Extended Access"),
        ("id", &*id),
        ("ids", &*id),
    ];
    for method in [
        "createtoken",
        "edittoken",
        "regeneratetoken",
        "deletetokens",
        "gettokens",
        "gettokenapilist",
        "gettokentemplates",
        "getsessions",
        "signoutsessions",
        "signout",
    ] {
        refused(&server, &format!("users/authentication/{method}"), &parameters, 8202, method).await;
    }
    done(&server, "users/account/getuserinfo", &[("session", &wide)]).await;
    let forged = [
        ("session", &*session),
        ("password", PASSWORD),
        ("description", "x"),
        ("apiList", "users/authentication/createtoken"),
    ];
    refused(&server, "users/authentication/createtoken", &forged, 3, "no method that a token can be made for").await;
}

#[tokio::test]
async fn bad_input_for_a_token_is_refused_and_nothing_is_changed() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let (long, set) = ("x".repeat(10_000), ("tokenTemplate", "IDE Plugins"));
    let base = [("session", &*session), ("password", PASSWORD)];
    for (more, says) in [
        (vec![set], "'description' is missing"),
        (vec![("description", ""), set], "'description' is missing"),
        (vec![("description", "a\u{7}b"), set], "'description'"),
        (vec![("description", "<script>alert(1)</script>"), set], "'description'"),
        (vec![("description", &*long), set], "'description'"),
        (vec![("description", "a"), set, ("expiresAt", "2020-01-01 00:00:00")], "'expiresAt'"),
        (vec![("description", "a"), set, ("expiresAt", "31-12-2999")], "'expiresAt' is no date"),
        (vec![("description", "a"), ("tokenTemplate", "Everything")], "'tokenTemplate' is none of the sets"),
        (vec![("description", "a"), ("apiList", "environment/control/stopenvs")], "environment/control/stopenv"),
        (vec![("description", "a"), set, ("apiList", "environment/control/stopenv")], "a set or a list"),
        (vec![("description", "a")], "a set or a list of methods"),
    ] {
        refused(&server, "users/authentication/createtoken", &[&base[..], &more].concat(), 3, says).await;
    }
    let good = [("description", "a"), set];
    let wrong = [&[("session", &*session), ("password", "wrong")], &good[..]].concat();
    refused(&server, "users/authentication/createtoken", &wrong, 701, "wrong").await;
    let without = [&[("session", &*session)], &good[..]].concat();
    refused(&server, "users/authentication/createtoken", &without, 3, "'password' is missing").await;
    let list = done(&server, "users/authentication/gettokens", &[("session", &session)]).await;
    assert_eq!(list["apiTokens"], json!([]));
}

#[tokio::test]
async fn anothers_token_is_unknown_and_a_list_with_it_removes_none() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    person(server.data(), "eve", &[]);
    let (ada, eve) = (sign_in(&server, "ada").await, sign_in(&server, "eve").await);
    let (ada_id, ada_value) = token(&server, &ada, &[("tokenTemplate", "Extended Access")]).await;
    let (eve_id, eve_value) = token(&server, &eve, &[("tokenTemplate", "Extended Access")]).await;
    let both = format!("{eve_id},{ada_id}");
    let parameters = [("session", &*eve), ("password", PASSWORD), ("id", &*ada_id), ("ids", &*both)];
    for method in ["edittoken", "regeneratetoken", "deletetokens"] {
        refused(&server, &format!("users/authentication/{method}"), &parameters, 5, &ada_id).await;
    }
    refused(&server, "users/authentication/gettokens", &[("session", &eve), ("ids", &both)], 5, &ada_id).await;
    for value in [&ada_value, &eve_value] {
        done(&server, "users/account/getuserinfo", &[("session", value)]).await;
    }
}

#[tokio::test]
async fn the_hundred_and_first_token_is_refused() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    for _ in 0..100 {
        server.token("ada");
    }
    // After them: on a busy machine they take longer than a connection may be idle.
    let session = sign_in(&server, "ada").await;
    let parameters =
        [("session", &*session), ("password", PASSWORD), ("description", "one more"), ("tokenTemplate", "1")];
    refused(&server, "users/authentication/createtoken", &parameters, 8203, "100 tokens").await;
}

#[tokio::test]
async fn sets_and_methods_can_be_chosen_from() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let sets = done(&server, "users/authentication/gettokentemplates", &[("session", &session)]).await;
    let names: Vec<_> = sets["templates"].as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Extended Access", "IDE Plugins", "Marketplace", "Maven Plugin"]);
    let found =
        done(&server, "users/authentication/gettokenapilist", &[("session", &session), ("search", "StopEnv")]).await;
    assert_eq!(found["tokenPermissions"].as_array().unwrap().len(), 1);
    assert_eq!(found["tokenPermissions"][0]["method"], "environment/control/stopenv");
    // What the list numbers can be asked for by number.
    let number = found["tokenPermissions"][0]["id"].to_string();
    let (_, value) = token(&server, &session, &[("apiList", &format!("[{number}]"))]).await;
    refused(&server, "environment/control/stopenv", &[("session", &value), ("envName", "x")], 11, "'x'").await;
}

#[tokio::test]
async fn unknown_methods_bring_near_ones_and_known_ones_are_checked_by_the_description() {
    let server = Server::start();
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    refused(&server, "environment/control/stopenvs", &[("session", &session)], 5, "environment/control/stopenv").await;
    refused(&server, "environment/control/stopenv", &[("session", &session)], 3, "'envName' is missing").await;
    let ill = [("session", &*session), ("envName", "x"), ("nodeId", "seven")];
    refused(&server, "environment/control/restartnodebyid", &ill, 3, "'nodeId' is not a whole number").await;
    refused(&server, "marketplace/app/getcategories", &[("session", &session)], 98, "does not have").await;
    done(&server, "environment/tracking/getserverutctime", &[]).await;
    let route = "/1.0/users/account/rest/getuserinfo";
    let json = server.request(Method::POST, route).header("content-type", "application/json").body("{}");
    assert_eq!(support::json(json.send().await.unwrap(), 200).await["result"], 3);
    for (method, status) in [(Method::HEAD, 405), (Method::DELETE, 405)] {
        assert_eq!(server.request(method, route).send().await.unwrap().status(), status);
    }
    assert_eq!(server.request(Method::GET, "/1.0/users/account/getuserinfo").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn no_answer_and_no_log_holds_a_session_or_a_value() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let server = Server::start_with_log(log.reopen().unwrap());
    person(server.data(), "ada", &[]);
    let session = sign_in(&server, "ada").await;
    let (_, value) = token(&server, &session, &[("tokenTemplate", "Extended Access")]).await;
    for secret in [&session, &value] {
        let path = format!("/1.0/users/account/rest/getuserinfo?{}", form(&[("session", secret)]));
        let answer = support::json(server.request(Method::GET, &path).send().await.unwrap(), 200).await;
        assert!(answer["result"] == 0 && !answer.to_string().contains(secret.as_str()), "{answer}");
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("getuserinfo") && !log.contains(secret.as_str()) && !log.contains("session="), "{log}");
    }
}
