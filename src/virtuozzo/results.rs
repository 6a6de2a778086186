//! What the platform's answers mean: the one place where a `result` becomes an error, with its hint.

use serde_json::{Map, Value};

use super::call::{Answer, Failure};
use crate::error::{Error, ErrorKind};
use crate::http::Fetched;

/// No session, or one that is over.
pub(super) const NOT_AUTHENTICATED: i64 = 702;
/// The token's API set does not hold the method.
pub(super) const NOT_IN_API_SET: i64 = 8202;

/// What to do about an answer that is none.
pub(super) const WRONG_ADDRESS: &str = "Check that the address is the platform's own, like https://app.example.com, and that no proxy or login page \
     stands in between.";

/// Responses of an answer that a message names.
const SHOWN: usize = 3;

/// What to do about the results that are common.
fn hint(code: i64) -> &'static str {
    match code {
        3 => "Check the parameter that the text names.",
        5 => "Check the name or id; list what the account has.",
        8 => "The account may not do this: ask its owner, or an administrator of the platform.",
        11 => "Check the environment's name; Get-VapEnvironment lists those of the account.",
        701 => "Check login and password.",
        NOT_AUTHENTICATED => {
            "The token or session is wrong, expired or revoked: make a new token, or sign in again with \
             Connect-VapPlatform."
        }
        2330 => "Choose another name for the environment.",
        4099 => "Look at the node's log, and whether its environment runs.",
        NOT_IN_API_SET => "Use a token whose API set holds this method; Get-VapTokenScope lists the sets.",
        _ => "",
    }
}

/// Makes an answer of one that says 0, in itself and in the responses that it holds.
pub(super) fn judge(path: &str, fetched: &Fetched) -> Result<Answer, Error> {
    let server = fetched.server();
    let broken = |error: Error| error.with_hint(WRONG_ADDRESS);
    // A page may be labelled as anything, and JSON as HTML: what it is counts.
    let fields: Map<String, Value> = fetched.json().map_err(broken)?;
    let Some(result) = fields.get("result").and_then(Value::as_i64) else {
        let message = format!("{server} answered {path} without a number for its result.");
        return Err(broken(Error::new(ErrorKind::ProtocolViolation, message).with_server(server)));
    };
    let failed = |code: i64, text: String| {
        let message = format!("{path} failed on {server}: {text} (result {code}).");
        Error::new(ErrorKind::PlatformError { code }, message)
            .with_hint(hint(code))
            .with_http_status(fetched.status.as_u16())
            .with_target(path)
            .with_server(server)
    };
    if result != 0 {
        return Err(failed(result, said(&fields, fetched)));
    }
    if let Some((code, text)) = fields.get("response").and_then(|response| failure(response, fetched)) {
        return Err(failed(code, text));
    }
    let responses = fields.get("responses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let bad: Vec<_> = responses.iter().filter_map(|response| Some((response, failure(response, fetched)?))).collect();
    let Some((_, (code, _))) = bad.first() else { return Ok(Answer::new(fields)) };
    let mut texts: Vec<String> = bad.iter().take(SHOWN).map(|(response, (_, text))| named(response, text)).collect();
    if bad.len() > SHOWN {
        texts.push(format!("and {} more", bad.len() - SHOWN));
    }
    Err(failed(*code, format!("{} of {} failed: {}", bad.len(), responses.len(), texts.join("; "))))
}

/// The failure that a part of an answer tells; a part without a result tells none.
fn failure(part: &Value, fetched: &Fetched) -> Option<(i64, String)> {
    let fields = part.as_object()?;
    let code = fields.get("result")?.as_i64().filter(|code| *code != 0)?;
    Some((code, said(fields, fetched)))
}

/// `node 7: …`
fn named(response: &Value, text: &str) -> String {
    match response.get("nodeId").or_else(|| response.get("nodeid")) {
        Some(Value::Number(id)) => format!("node {id}: {text}"),
        _ => text.to_owned(),
    }
}

/// The platform's own words, without the secrets that went with the call.
fn said(fields: &Map<String, Value>, fetched: &Fetched) -> String {
    let words = ["error", "message", "errOut", "reason"];
    let text = words.iter().filter_map(|name| fields.get(*name)?.as_str()).find(|text| !text.trim().is_empty());
    let text = text.map_or_else(String::new, |text| fetched.shown(text));
    if text.is_empty() { "no reason was given".to_owned() } else { text.trim_end_matches('.').to_owned() }
}

/// A call that brought no answer of the platform's: whether it may be done is said, and it is not sent again.
pub(super) fn lost(asks: bool, path: &str, error: Error) -> Failure {
    let error = match error.kind() {
        ErrorKind::ProtocolViolation => error.with_hint(WRONG_ADDRESS),
        _ => error,
    };
    // A connection that was never made carried nothing; that a try again may succeed is said of those that broke.
    let after_sending = match error.kind() {
        ErrorKind::Timeout | ErrorKind::Stalled => true,
        ErrorKind::ConnectionFailed => error.retry_after().is_some(),
        // A gateway on the way that gave up, in whichever dress.
        _ => matches!(error.http_status(), Some(500 | 502 | 504)),
    };
    if asks || !after_sending {
        return Failure::from(error);
    }
    let message = format!("{} Whether {path} was done is not known.", error.message());
    let told = Error::new(error.kind(), message)
        .with_hint("The platform may still be at it. Look at the state before you run it again; it was sent once.")
        .with_target(path)
        .with_server(error.server());
    let told = match error.http_status() {
        Some(status) => told.with_http_status(status),
        None => told,
    };
    Failure { error: told, may_be_done: true }
}
