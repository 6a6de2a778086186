//! Answers in the platform's shape: HTTP 200 and `{result, error, source, …}`, whatever happened.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use crate::store::StoreError;

/// Results other than 0. The API description names none; those marked [ours] are this project's choice, the others are
/// what the platform answers.
pub mod code {
    /// A parameter is missing, ill-typed or out of its range.
    pub const INVALID_PARAMETER: i64 = 3;
    /// There is no such thing.
    pub const NOT_FOUND: i64 = 5;
    /// The caller may not do this.
    pub const PERMISSION_DENIED: i64 = 8;
    /// There is no such environment, or it is another account's.
    pub const NO_SUCH_ENVIRONMENT: i64 = 11;
    /// The server could not do it [ours].
    pub const INTERNAL: i64 = 99;
    /// The method is one of the platform's, and this server does not have it [ours].
    pub const NOT_SERVED: i64 = 98;
    /// Login or password is wrong.
    pub const AUTHENTICATION_FAILED: i64 = 701;
    /// No session, or one that is over.
    pub const NOT_AUTHENTICATED: i64 = 702;
    /// The environment's name is taken.
    pub const DOMAIN_BUSY: i64 = 2330;
    /// The environment is being changed already, or its state does not allow this [ours].
    pub const WRONG_STATE: i64 = 2308;
    /// A node did not do what it was asked.
    pub const NODE_FAILED: i64 = 4099;
    /// The token's API set does not hold this method.
    pub const NOT_IN_API_SET: i64 = 8202;
    /// The account has as many tokens, or environments, as it may [ours].
    pub const TOO_MANY: i64 = 8203;
}

/// Who answers.
const SOURCE: &str = "uss-server";

/// A success.
#[derive(Debug, Default)]
pub struct Answer(Map<String, Value>);

impl Answer {
    /// `{"result": 0, …}`.
    pub fn ok() -> Self {
        Self::default()
    }

    /// The same with one more field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// As a part of another answer.
    pub fn into_value(mut self) -> Value {
        self.0.insert("result".into(), 0.into());
        self.0.insert("source".into(), SOURCE.into());
        Value::Object(self.0)
    }
}

/// A failure.
#[derive(Debug)]
pub struct Refusal {
    result: i64,
    error: String,
    more: Map<String, Value>,
}

impl Refusal {
    /// `error` is for people.
    pub fn new(result: i64, error: impl Into<String>) -> Self {
        Self { result, error: error.into(), more: Map::new() }
    }

    /// A parameter cannot be used.
    pub fn parameter(name: &str, what: &str) -> Self {
        Self::new(code::INVALID_PARAMETER, format!("parameter '{name}' {what}"))
    }

    /// The same with one more field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// As a part of another answer.
    pub fn into_value(self) -> Value {
        let mut fields = self.more;
        fields.insert("result".into(), self.result.into());
        fields.insert("error".into(), self.error.into());
        fields.insert("source".into(), SOURCE.into());
        Value::Object(fields)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let said = match error {
            StoreError::Full => "the server has no space left; nothing was changed",
            StoreError::Busy => "the server is busy, try again; nothing was changed",
            StoreError::Unreachable(_) => "the server cannot reach its store, try again",
            StoreError::Text => "what was sent holds the character U+0000, which no name has; nothing was changed",
            _ => "the server could not do this; its log says why",
        };
        tracing::error!(%error, "a call of the platform's failed");
        Self::new(code::INTERNAL, said)
    }
}

/// What a call comes to.
pub type Outcome = Result<Answer, Refusal>;

/// The HTTP answer.
pub fn respond(outcome: Outcome) -> Response {
    let body = match outcome {
        Ok(answer) => answer.into_value(),
        Err(refusal) => refusal.into_value(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `yyyy-MM-dd HH:mm:ss` in UTC, as the platform writes dates.
const DATE: &str = "%Y-%m-%d %H:%M:%S";

/// A time in microseconds as the platform writes it.
pub fn date(micros: i64) -> String {
    let timestamp = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    timestamp.strftime(DATE).to_string()
}

/// The same for one that may be missing.
pub fn date_or_null(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |micros| json!(date(micros)))
}

/// Reads `yyyy-MM-dd HH:mm:ss` in UTC, or a day alone, which is its start; gives microseconds.
pub fn read_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = DateTime::strptime(DATE, text).or_else(|_| Date::strptime("%Y-%m-%d", text).map(DateTime::from)).ok()?;
    Offset::UTC.to_timestamp(time).ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_and_read_as_the_platform_does() {
        let at = read_date("2027-01-31 08:09:10").unwrap();
        assert_eq!(date(at), "2027-01-31 08:09:10");
        assert_eq!(read_date("2027-01-31").map(date).as_deref(), Some("2027-01-31 00:00:00"));
        for bad in ["", "31-01-2027", "2027-02-30", "2027-01-31T08:09:10Z", "2027-01-31 25:00:00", "never"] {
            assert_eq!(read_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_have_the_platforms_shape() {
        let answer = Answer::ok().with("session", "x").into_value();
        assert_eq!(answer, json!({ "result": 0, "source": SOURCE, "session": "x" }));
        let refusal = Refusal::parameter("id", "is missing").into_value();
        assert_eq!(refusal, json!({ "result": 3, "source": SOURCE, "error": "parameter 'id' is missing" }));
    }
}
