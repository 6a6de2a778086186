//! The life of a person's tokens: made, changed, given a new value, copied, ended, removed.
//!
//! Every call needs a sign-in with a person's password: a token cannot make tokens.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::UpdateService;
use super::model::PersonalToken;
use super::routes::Route;
use crate::error::{Error, ErrorKind};
use crate::http::{Body, HeaderValue, MAX_JSON, Request};
use crate::operation::Context;
use crate::secret::Secret;

/// A token that is to be made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewToken {
    /// What its owner calls it: 1 to 100 characters.
    pub name: String,
    /// What it is for: at most 1,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it ends; none: the server decides, which is never for a personal one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// `client-service` for a client that only reads; none: personal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// What is to be different; none: as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenChanges {
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it ends; the inner none: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Option<Timestamp>>,
}

/// A token with its value, which the server shows this once.
#[derive(Clone, Debug, Deserialize)]
pub struct Shown {
    /// The token.
    #[serde(flatten)]
    pub token: PersonalToken,
    /// Its value.
    #[serde(deserialize_with = "secret")]
    pub value: Secret,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

impl UpdateService {
    /// The signed-in person's tokens, as the server orders them.
    ///
    /// # Errors
    /// `PermissionDenied` for who signed in with a token; else as the request fails.
    pub async fn tokens(&self, context: &Context) -> Result<Vec<PersonalToken>, Error> {
        let tokens = self.json(context, &self.request(&self.routes().tokens, &[])?).await;
        tokens.map_err(|error| of_token(error, "Reading the personal tokens", ""))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// `InvalidArgument` for settings that the server refuses, `TooManyTokens`; else as the request fails.
    pub async fn new_token(&self, context: &Context, new: &NewToken) -> Result<Shown, Error> {
        let mut request = self.request(&self.routes().new_token, &[])?;
        set_json(&mut request, new)?;
        let shown = self.json(context, &request).await;
        // A name may be refused because of its length.
        let name: String = new.name.chars().take(100).collect();
        shown.map_err(|error| of_token(error, &format!("Making the token '{name}'"), &name))
    }

    /// Changes a token's settings; its value stays.
    ///
    /// # Errors
    /// `TokenNotFound`, `InvalidArgument` for settings that the server refuses; else as the request fails.
    pub async fn set_token(&self, context: &Context, id: &str, to: &TokenChanges) -> Result<PersonalToken, Error> {
        let mut request = self.about_token(&self.routes().change_token, id)?;
        set_json(&mut request, to)?;
        self.json(context, &request).await.map_err(|error| self.about(error, "Changing", id))
    }

    /// Gives a token a new value; the old one is refused from now on.
    ///
    /// # Errors
    /// `TokenNotFound`; else as the request fails.
    pub async fn reset_token(&self, context: &Context, id: &str) -> Result<Shown, Error> {
        let request = self.about_token(&self.routes().reset_token, id)?;
        self.json(context, &request).await.map_err(|error| self.about(error, "Resetting", id))
    }

    /// Makes a token with another one's settings, but for `changes`.
    ///
    /// # Errors
    /// As [`Self::set_token`], and `TooManyTokens`.
    pub async fn copy_token(&self, context: &Context, id: &str, changes: &TokenChanges) -> Result<Shown, Error> {
        let mut request = self.about_token(&self.routes().copy_token, id)?;
        set_json(&mut request, changes)?;
        self.json(context, &request).await.map_err(|error| self.about(error, "Copying", id))
    }

    /// Ends a token, and every sign-in with it, at once.
    ///
    /// # Errors
    /// `TokenNotFound`; else as the request fails.
    pub async fn revoke_token(&self, context: &Context, id: &str) -> Result<PersonalToken, Error> {
        let request = self.about_token(&self.routes().revoke_token, id)?;
        self.json(context, &request).await.map_err(|error| self.about(error, "Revoking", id))
    }

    /// Removes a token, and ends it if it was active.
    ///
    /// # Errors
    /// `TokenNotFound`; else as the request fails.
    pub async fn remove_token(&self, context: &Context, id: &str) -> Result<(), Error> {
        let request = self.about_token(&self.routes().remove_token, id)?;
        let removed = self.0.connection.fetch(context.log(), &request, MAX_JSON).await;
        removed.map(drop).map_err(|error| self.about(error, "Removing", id))
    }

    /// The error about a token that the person does not have.
    #[must_use]
    pub fn token_not_found(&self, wanted: &str) -> Error {
        let server = self.name();
        Error::new(ErrorKind::TokenNotFound, format!("You have no token '{wanted}' on {server}."))
            .with_hint("Get-UssPersonalToken lists your tokens with their ids.")
            .with_target(wanted)
            .with_server(server)
    }

    fn about_token(&self, route: &Route, id: &str) -> Result<Request, Error> {
        // What is no segment of a path is no token's id.
        let mut request = self.request(route, &[("id", id)]).map_err(|_| self.token_not_found(id))?;
        request.missing = ErrorKind::TokenNotFound;
        request.conflict = ErrorKind::TooManyTokens;
        Ok(request)
    }

    fn about(&self, error: Error, doing: &str, id: &str) -> Error {
        match (error.kind(), error.http_status()) {
            (ErrorKind::TokenNotFound, Some(status)) => self.token_not_found(id).with_http_status(status),
            _ => of_token(error, &format!("{doing} the token {id}"), id),
        }
    }
}

/// The error with what was tried, and with what to do where that is about tokens.
fn of_token(error: Error, doing: &str, target: &str) -> Error {
    let error = error.within(doing);
    let error = if error.target().is_empty() { error.with_target(target) } else { error };
    match error.kind() {
        ErrorKind::InvalidArgument => error.with_hint(
            "Nothing was changed. A name has 1 to 100 characters and neither < nor >, a description at most 1,000, both \
             without control characters; the end lies in the future.",
        ),
        ErrorKind::TooManyTokens => {
            error.with_hint("Remove tokens that nothing uses: Get-UssPersonalToken shows when each was used last.")
        }
        ErrorKind::PermissionDenied => {
            error.with_hint("Tokens are managed with your password in -Credential: a token cannot make tokens.")
        }
        _ => error,
    }
}

fn set_json(request: &mut Request, body: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_vec(body)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("The request cannot be written: {error}.")))?;
    request.headers.insert("content-type", HeaderValue::from_static("application/json"));
    request.body = Body::Bytes(Bytes::from(json));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_is_not_sent_and_never_is_null() {
        let json = |changes: &TokenChanges| serde_json::to_string(changes).unwrap();
        assert_eq!(json(&TokenChanges::default()), "{}");
        let ends = Some("2099-05-06T00:00:00Z".parse().unwrap());
        assert_eq!(
            json(&TokenChanges { expires: Some(ends), ..Default::default() }),
            r#"{"expires":"2099-05-06T00:00:00Z"}"#
        );
        assert_eq!(json(&TokenChanges { expires: Some(None), ..Default::default() }), r#"{"expires":null}"#);
    }

    #[test]
    fn a_value_that_is_shown_is_a_secret_at_once() {
        let answer = r#"{"id":"t1","name":"ci","kind":"personal","status":"Active","value":"hunter2+/=="}"#;
        let shown: Shown = serde_json::from_str(answer).unwrap();
        assert_eq!((shown.token.id.as_str(), shown.value.expose()), ("t1", "hunter2+/=="));
        assert!(!format!("{shown:?}").contains("hunter2"));
    }
}
