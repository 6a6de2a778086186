//! The query of a request, form-decoded: `+` is a space (URL Standard, application/x-www-form-urlencoded).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uss::Version;

use super::problem::Problem;

/// Characters of a search at most.
const LONGEST_SEARCH: usize = 200;

/// Names and values in their order. Names count without case, as ASP.NET's do.
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Params {
    /// The first value of this name, if it isn't empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A value that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::bad_request(format!("The query lacks '{name}'.")))
    }

    /// `true`, `1` or nothing.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(Problem::bad_request(format!("'{name}' in the query is neither true nor false."))),
        }
    }

    /// `limit`: how many a page holds; `usual` where nobody says, at most `largest`.
    pub fn limit(&self, usual: i64, largest: i64) -> Result<i64, Problem> {
        let Some(text) = self.get("limit") else { return Ok(usual) };
        let limit = text.parse().ok().filter(|limit| (1..=largest).contains(limit));
        limit.ok_or_else(|| Problem::bad_request(format!("'limit' in the query is no number from 1 to {largest}.")))
    }

    /// A text to search for, where one is given.
    pub fn search(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.get(name) {
            Some(text) if text.chars().count() > LONGEST_SEARCH => {
                let detail = format!("'{name}' in the query is longer than {LONGEST_SEARCH} characters.");
                Err(Problem::bad_request(detail))
            }
            found => Ok(found),
        }
    }

    /// A version, where one is given.
    pub fn version(&self, name: &str) -> Result<Option<Version>, Problem> {
        let parse = |text| Version::parse(text).map_err(|error| Problem::bad_request(error.message()));
        self.get(name).map(parse).transpose()
    }
}
