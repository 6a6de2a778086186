//! The commands of tokens and the keyring, called as a C program calls them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code)]

mod abi;
mod support;

use abi::*;
use serde_json::{Value, json};
use support::Server;
use uss::ffi::connection::uss_connection_close;
use uss::ffi::operation::{uss_op_cancel, uss_op_free};
use uss::ffi::secret::uss_secret_take;
use uss::ffi::{USS_FAILED, USS_OK};

const PASSWORD: &str = "correct horse / battery+";

/// The rows of a command on one connection, as JSON.
fn rows(connection: u64, command: &[(&str, &str)]) -> Vec<Value> {
    let connection = connection.to_string();
    let fields = [command, &[("connection", connection.as_str()), ("format", "json")]].concat();
    serde_json::from_str(&run(&fields).unwrap()).unwrap()
}

fn take(row: &Value) -> Result<String, i32> {
    let (secret, length) = (row["Secret"].as_u64().unwrap(), row["Length"].as_u64().unwrap());
    let mut units = vec![0_u16; usize::try_from(length).unwrap()];
    // SAFETY: the vector has room for as many units as it is said to have.
    match unsafe { uss_secret_take(secret, units.as_mut_ptr(), u32::try_from(length).unwrap()) } {
        USS_OK => Ok(String::from_utf16(&units).unwrap()),
        status => Err(status),
    }
}

#[test]
fn a_value_is_an_id_that_is_taken_once_and_never_text() {
    let server = Server::start();
    server.user_with_password("anna", PASSWORD);
    let fields = [("server", server.url()), ("user", "anna"), ("person", "true")];
    let anna = open_with(&fields, PASSWORD).unwrap();
    let made = rows(anna, &[("command", "new-token"), ("name", "ci"), ("expires", "2099-05-06T00:00:00Z")]);
    assert_eq!((made[0]["Token"]["Name"].as_str(), made[0]["Token"]["Status"].as_str()), (Some("ci"), Some("Active")));
    assert_eq!(made[0]["Token"]["Expires"], "2099-05-06T00:00:00Z");
    let value = take(&made[0]).unwrap();
    assert_eq!(take(&made[0]), Err(USS_FAILED));
    assert!(!made[0].to_string().contains(&value));

    let id = made[0]["Token"]["Id"].as_str().unwrap();
    let listed = rows(anna, &[("command", "tokens"), ("name", "C*")]);
    assert_eq!((listed.len(), listed[0]["Id"].as_str()), (1, Some(id)));
    assert!(!listed[0].to_string().contains(&value) && listed[0].get("Secret").is_none());
    let reset = rows(anna, &[("command", "reset-token"), ("id", id), ("id", "nothing")]);
    assert_ne!(take(&reset[0]).unwrap(), value);
    assert_eq!(reset[1]["Error"]["Code"], "TokenNotFound");
    assert_eq!(rows(anna, &[("command", "revoke-token"), ("id", id)])[0]["Status"], "Revoked");
    assert_eq!(rows(anna, &[("command", "remove-token"), ("id", id)]), Vec::<Value>::new());
}

#[test]
fn a_cancelled_command_leaves_no_session_behind() {
    let server = Server::start();
    server.user_with_password("anna", PASSWORD);
    let fields = [("server", server.url()), ("user", "anna"), ("person", "true")];
    // Stopped during the sign-in, which goes on, and after it.
    for (sessions, slow) in [(1, "/api/v1/Account/signin"), (2, "/api/v1/PersonalTokens")] {
        let anna = open_with(&fields, PASSWORD).unwrap().to_string();
        server.fault(json!({ "path": slow, "action": { "delay": 1_000 } }));
        let operation = start(&[("command", "tokens"), ("connection", &anna)]).unwrap();
        let asked = format!("{} {slow}", if slow.ends_with("signin") { "POST" } else { "GET" });
        for _ in 0..10_000 {
            if server.requests(&asked) > 0 {
                break;
            }
        }
        assert_eq!(server.requests(&asked), 1);
        assert_eq!(uss_op_cancel(operation), USS_OK);
        assert_eq!(uss_op_free(operation), USS_OK);
        assert_eq!(run(&[("command", "sign-out"), ("connection", &anna), ("format", "json")]).unwrap(), "[]");
        assert_eq!(server.sessions(), (sessions, sessions), "{slow}");
        assert_eq!(uss_connection_close(anna.parse().unwrap()), USS_OK);
    }
}

#[test]
fn what_contradicts_itself_is_refused_before_the_network() {
    let server = "http://127.0.0.1:1";
    let refused = |fields: &[(&str, &str)], secret: &str| {
        let error = open_with(&[&[("server", server)], fields].concat(), secret).unwrap_err();
        assert_eq!(error.code, "InvalidArgument", "{error:?}");
        error.target
    };
    assert_eq!(refused(&[("person", "true")], ""), "user");
    assert_eq!(refused(&[("user", "anna"), ("keyring", "true")], "t"), "keyring");
    assert_eq!(refused(&[("user", "anna"), ("person", "true")], ""), "secret");
    let anna = open_with(&[("server", server), ("user", "anna"), ("person", "true")], "p").unwrap().to_string();
    let failure = |command: &[(&str, &str)]| {
        let error = run(&[command, &[("connection", anna.as_str())]].concat()).unwrap_err();
        assert_eq!(error.code, "InvalidArgument", "{error:?}");
        error.target
    };
    assert_eq!(failure(&[("command", "new-token")]), "name");
    assert_eq!(failure(&[("command", "new-token"), ("name", "x"), ("expires", "tomorrow")]), "expires");
    assert_eq!(failure(&[("command", "set-token"), ("id", "x")]), "name");
    let both = [("command", "copy-token"), ("id", "x"), ("expires", "2099-01-01T00:00:00Z"), ("neverExpires", "true")];
    assert_eq!(failure(&both), "neverExpires");
    assert_eq!(failure(&[("command", "remove-token")]), "id");
    let error = run(&[("command", "forget"), ("server", "ftp://x")]).unwrap_err();
    assert_eq!(error.code, "InvalidArgument");
}
