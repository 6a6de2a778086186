//! The exchange, bearers, tokens and who may do what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::Value;
use support::*;

#[tokio::test]
async fn the_exchange_answers_as_the_guide_shows() {
    let server = Server::start();
    server.run(&["user", "add", "ada", "--email", "Ada@Example.com", "--first-name", "Ada", "--last-name", "King"]);
    let token = server.token("ada@example.com");
    for name in ["ada", "ADA", "ada@example.com", "Ada@Example.com"] {
        let response = server.exchange(name, &token).await;
        assert_eq!(header(response.headers(), "cache-control"), "no-store");
        let answer = json(response, 200).await;
        let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["token", "tokenExpires", "user"]);
        let user = &answer["user"];
        assert_eq!(user.as_object().unwrap().len(), 6);
        assert_eq!((&user["email"], &user["fullName"]), (&"Ada@Example.com".into(), &"Ada King".into()));
        assert_eq!((&user["firstName"], &user["lastName"]), (&"Ada".into(), &"King".into()));
        assert_eq!(user["enabled"], true);
        assert!(!user["userId"].as_str().unwrap().is_empty());
        let expires = answer["tokenExpires"].as_str().unwrap();
        assert_eq!((expires.len(), &expires[19..20], &expires[27..]), (33, ".", "+00:00"), "{expires}");
        assert_eq!(answer["token"].as_str().unwrap().split('.').count(), 3);
    }
}

#[tokio::test]
async fn tokens_of_every_character_of_base64_sign_in() {
    let server = Server::start();
    let mut seen = String::new();
    let mut token = server.user("ada", false);
    // 88 characters each: a slash and a plus come soon.
    for _ in 0..50 {
        assert_eq!((token.len(), token.ends_with("==")), (88, true));
        assert_eq!(server.exchange("ada", &token).await.status(), 200);
        seen.push_str(&token);
        if seen.contains('/') && seen.contains('+') {
            return;
        }
        token = server.token("ada");
    }
    panic!("no token with / and +");
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same_401() {
    let server = Server::start();
    let (ada, bob) = (server.user("ada", false), server.user("bob", false));
    let mut answers = Vec::new();
    let spaces = ada.replace('+', " ") + " ";
    for (name, value) in [("ada", bob.as_str()), ("nobody", &ada), ("ada", "x"), ("", ""), ("ada", &spaces)] {
        let response = server.exchange(name, value).await;
        let challenge = header(response.headers(), "www-authenticate").to_owned();
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        answers.push((challenge, problem(response, 401, "invalid-token").await.to_string()));
    }
    let missing = server.request(Method::POST, "/api/v1/PersonalTokens/authenticate").send().await.unwrap();
    let challenge = header(missing.headers(), "www-authenticate").to_owned();
    answers.push((challenge, problem(missing, 401, "invalid-token").await.to_string()));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn expired_and_revoked_are_told_to_the_holder_of_the_value_alone() {
    let server = Server::start();
    let revoked = server.user("ada", false);
    let expired = server.run(&["token", "create", "--user", "ada", "--name", "old", "--expires", "2020-01-01"]);
    let id = token_id(&server, "test");
    server.run(&["token", "revoke", &id]);
    let detail = async |name: &str, value: &str| {
        let problem = problem(server.exchange(name, value).await, 401, "invalid-token").await;
        problem["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("ada", &revoked).await.contains("revoked"));
    assert!(detail("ada", &expired).await.contains("expired"));
    let wrong = detail("ada", "x").await;
    assert_eq!(detail("bob", &revoked).await, wrong);
    assert_eq!(detail("bob", &expired).await, wrong);
}

#[tokio::test]
async fn too_many_failures_are_429_but_never_for_the_holder_of_the_value() {
    let server = Server::start_with(&["--failure-limit", "3"]);
    let token = server.user("ada", false);
    for _ in 0..3 {
        problem(server.exchange("ada", "x").await, 401, "invalid-token").await;
    }
    for name in ["ada", "ADA"] {
        let response = server.exchange(name, "x").await;
        let wait: u64 = header(response.headers(), "retry-after").parse().unwrap();
        assert!((1..=300).contains(&wait), "{wait}");
        problem(response, 429, "too-many-failures").await;
    }
    assert_eq!(server.exchange("ada", &token).await.status(), 200);
    // Other names from this address have five times the limit.
    for n in 0..12 {
        problem(server.exchange(&format!("x{n}"), "x").await, 401, "invalid-token").await;
    }
    problem(server.exchange("y", "x").await, 429, "too-many-failures").await;
}

#[tokio::test]
async fn revoking_ends_the_bearers_at_once() {
    let server = Server::start();
    let token = server.user("ada", false);
    let session = server.sign_in("ada", &token).await;
    assert_eq!(session.get("/api/v1/Packages").await.status(), 200);
    server.run(&["token", "revoke", &token_id(&server, "test")]);
    let response = session.get("/api/v1/Packages").await;
    assert!(header(response.headers(), "www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    problem(response, 401, "invalid-token").await;
    assert!(fail(server.data(), &["token", "revoke", "nix"]).contains("there is no token"));
}

#[tokio::test]
async fn forged_bearers_are_refused() {
    let server = Server::start();
    let token = server.user("ada", false);
    let good = server.sign_in("ada", &token).await.bearer;
    let parts: Vec<_> = good.split('.').collect();
    let header_of = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let mut header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(header["alg"], "HS256");
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    for claim in ["iss", "aud", "exp", "jti", "sub", "tid"] {
        assert!(!claims[claim].is_null(), "{claim}");
    }
    header["alg"] = "none".into();
    claims["exp"] = 4_102_444_800_i64.into();
    let none = header_of(&header.to_string());
    let longer = URL_SAFE_NO_PAD.encode(claims.to_string());
    for bearer in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{longer}.{}", parts[0], parts[2]),
        good[..good.len() - 3].to_owned(),
        token.clone(),
        "x".into(),
    ] {
        let response = server.request(Method::GET, "/api/v1/Account").bearer_auth(&bearer).send().await.unwrap();
        problem(response, 401, "invalid-token").await;
    }
    let response = server.request(Method::GET, "/api/v1/Account").send().await.unwrap();
    assert_eq!(support::header(response.headers(), "www-authenticate"), "Bearer realm=\"Update Service\"");
    problem(response, 401, "unauthenticated").await;
}

#[tokio::test]
async fn a_bearer_that_the_server_signed_itself_is_over_when_it_says_so() {
    let server = Server::start();
    let token = server.user("ada", false);
    let good = server.sign_in("ada", &token).await.bearer;
    let keys: Value = serde_json::from_slice(&std::fs::read(server.data().join("keys.json")).unwrap()).unwrap();
    let key = EncodingKey::from_base64_secret(keys["bearer"].as_str().unwrap()).unwrap();
    let claims = good.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let expires = claims["exp"].as_i64().unwrap();
    let now = claims["iat"].as_i64().unwrap();
    assert!(expires > now);
    let sign = |algorithm, exp: i64| {
        let mut claims = claims.clone();
        claims["exp"] = exp.into();
        let header = Header { kid: Some(keys["kid"].as_str().unwrap().to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let answer =
        async |bearer: String| server.request(Method::GET, "/api/v1/Account").bearer_auth(bearer).send().await.unwrap();
    assert_eq!(answer(sign(Algorithm::HS256, expires)).await.status(), 200);
    // No grace, however little: a client whose clock is behind is refused as any other.
    for (algorithm, exp) in [
        (Algorithm::HS256, now - 1),
        (Algorithm::HS256, now - 24 * 3600),
        (Algorithm::HS256, 0),
        (Algorithm::HS384, expires),
        (Algorithm::HS512, expires),
    ] {
        problem(answer(sign(algorithm, exp)).await, 401, "invalid-token").await;
    }
}

#[tokio::test]
async fn every_call_but_the_exchange_and_the_settings_needs_a_bearer() {
    let server = Server::start();
    for (method, path) in [
        (Method::GET, "/api/v1/Packages"),
        (Method::POST, "/api/v1/Packages"),
        (Method::DELETE, "/api/v1/Packages?packageId=a&version=1.0"),
        (Method::GET, "/api/v1/Packages/versions?packageId=a"),
        (Method::POST, "/api/v1/Packages/versions/query"),
        (Method::GET, "/api/v1/Packages/content?packageId=a&version=1.0"),
        (Method::GET, "/api/v1/installers"),
        (Method::POST, "/api/v1/installers?name=a"),
        (Method::GET, "/api/v1/installers/x"),
        (Method::GET, "/api/v1/installers/x/download"),
        (Method::GET, "/api/v1/Account"),
    ] {
        problem(server.request(method, path).send().await.unwrap(), 401, "unauthenticated").await;
    }
    let settings = json(server.request(Method::GET, "/api/v1/Settings/server").send().await.unwrap(), 200).await;
    assert_eq!(settings["clientAuthentication"], true);
}

#[tokio::test]
async fn without_client_authentication_content_alone_is_open() {
    let server = Server::start_with(&["--client-authentication", "off"]);
    let bytes = package("a", "1.0", &[], 1_000);
    assert_eq!(server.admin().await.publish("", bytes.clone()).await.status(), 201);
    let get = |path: String| server.request(Method::GET, &path).send();
    assert!(get(content("a", "1.0")).await.unwrap().bytes().await.unwrap() == bytes);
    assert_eq!(get("/api/v1/installers/x/download".into()).await.unwrap().status(), 404);
    for path in ["/api/v1/Packages", "/api/v1/installers", "/api/v1/Packages/versions?packageId=a"] {
        assert_eq!(get(path.into()).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn a_user_who_is_no_administrator_reads_and_changes_nothing() {
    let server = Server::start();
    server.admin().await.publish("", package("a", "1.0", &[], 10)).await;
    let token = server.user("ada", false);
    let ada = server.sign_in("ada", &token).await;
    assert_eq!(ada.content("a", "1.0").await.status(), 200);
    problem(ada.publish("", package("b", "1.0", &[], 10)).await, 403, "forbidden").await;
    let delete = ada.request(Method::DELETE, "/api/v1/Packages?packageId=a&version=1.0").send().await.unwrap();
    problem(delete, 403, "forbidden").await;
    let post = ada.request(Method::POST, "/api/v1/installers?name=x").body("x").send().await.unwrap();
    problem(post, 403, "forbidden").await;
}

#[tokio::test]
async fn the_first_user_is_an_administrator_and_the_next_is_not() {
    let server = Server::start();
    let (first, next) = (server.user("ada", false), server.user("bob", false));
    let delete = "/api/v1/Packages?packageId=a&version=1.0";
    let ada = server.sign_in("ada", &first).await;
    problem(ada.request(Method::DELETE, delete).send().await.unwrap(), 404, "package-not-found").await;
    let bob = server.sign_in("bob", &next).await;
    problem(bob.request(Method::DELETE, delete).send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test]
async fn the_account_tells_when_the_token_ends_and_bearers_end_no_later() {
    let server = Server::start();
    let never = server.user("ada", false);
    let account = json(server.sign_in("ada", &never).await.get("/api/v1/Account").await, 200).await;
    assert_eq!(
        (&account["user"]["email"], &account["personalTokenExpires"]),
        (&"ada@example.com".into(), &Value::Null)
    );
    let until = "2999-12-31T18:00:00Z";
    let ending = server.run(&["token", "create", "--user", "ada", "--name", "e", "--expires", until]);
    let account = json(server.sign_in("ada", &ending).await.get("/api/v1/Account").await, 200).await;
    assert_eq!(account["personalTokenExpires"], "2999-12-31T18:00:00.0000000+00:00");
}

#[tokio::test]
async fn a_list_of_tokens_shows_their_state_and_never_their_value() {
    let server = Server::start();
    let token = server.user("ada", false);
    server.run(&["token", "create", "--user", "ada", "--name", "old", "--expires", "2020-01-01"]);
    assert!(server.run(&["token", "list"]).lines().next().unwrap().contains("\tActive\tada\ttest\t"));
    server.exchange("ada", &token).await;
    server.run(&["token", "revoke", &token_id(&server, "test")]);
    let list = server.run(&["token", "list", "--user", "ada@example.com"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].contains("\tRevoked\tada\ttest\t") && lines[0].contains(" from 127.0.0.1"), "{list}");
    assert!(lines[1].contains("\tExpired\tada\told\t") && lines[1].ends_with("\tnever\t\tpersonal"), "{list}");
    assert!(!list.contains(&token));
    let stored = files(server.data()).into_iter().map(|path| std::fs::read(path).unwrap());
    for bytes in stored {
        assert!(!String::from_utf8_lossy(&bytes).contains(&token), "a value at rest");
    }
}

fn token_id(server: &Server, name: &str) -> String {
    let list = server.run(&["token", "list"]);
    let line = list.lines().find(|line| line.split('\t').nth(3) == Some(name)).unwrap();
    line.split('\t').next().unwrap().to_owned()
}
