//! One generic call: parameters checked by the platform's description, sent once, and its answer judged.

use std::fmt;

use serde_json::{Map, Value as Json};
use url::form_urlencoded::Serializer;

use super::methods::{self, Kind, Method};
use super::{Platform, SignIn, results};
use crate::error::{Error, ErrorKind};
use crate::http::{Body, HeaderValue, MAX_JSON, Method as HttpMethod, Request, Signature};
use crate::operation::Context;
use crate::secret::Secret;

/// A call to make.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// `environment/control/stopenv`, or as [`methods::find`] reads it.
    pub method: String,
    /// Names and values.
    pub parameters: Vec<(String, Value)>,
    /// Sends it though the platform's description does not know it so.
    pub force: bool,
}

/// The value of a parameter.
#[derive(Clone)]
pub enum Value {
    /// A text, or the text of a number, a flag or JSON.
    Text(String),
    /// A password or token.
    Secret(Secret),
}

impl Value {
    fn expose(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl Call {
    /// A call of this method, with no parameters yet.
    #[must_use]
    pub fn new(method: &str) -> Self {
        Self { method: method.to_owned(), ..Self::default() }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// What the description says of it.
    fn checked(&self) -> Result<Checked, Error> {
        for (name, _) in &self.parameters {
            if name.eq_ignore_ascii_case("session") {
                return Err(invalid("The parameter 'session' comes from the connection.", name)
                    .with_hint("Leave it out; the connection's token goes with the call."));
            }
        }
        let known = methods::find(&self.method);
        match known {
            Some(method) => Ok(Checked {
                path: method.path(),
                route: method.route(),
                needs_session: method.needs_session,
                asks: method.asks(),
                parameters: if self.force { self.as_given() } else { self.fitted(method)? },
            }),
            None if self.force => self.unknown(),
            None => {
                let near: Vec<String> = methods::nearest(&self.method).into_iter().map(Method::path).collect();
                let near = if near.is_empty() { String::new() } else { format!("Near it: {}. ", near.join(", ")) };
                let message = format!("The platform's description has no method '{}'.", shown(&self.method));
                Err(invalid(&message, &self.method).with_hint(format!("{near}-Force sends it all the same.")))
            }
        }
    }

    fn as_given(&self) -> Vec<(String, String)> {
        self.parameters.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }

    /// A method that the description lacks; its three parts must be such that they stay in the path.
    fn unknown(&self) -> Result<Checked, Error> {
        let path = methods::normal(&self.method);
        let parts: Vec<&str> = path.split('/').collect();
        let plain =
            |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        match parts.as_slice() {
            [group, service, method] if parts.iter().all(plain) => Ok(Checked {
                route: format!("/1.0/{group}/{service}/rest/{method}"),
                needs_session: true,
                asks: false,
                parameters: self.as_given(),
                path: path.clone(),
            }),
            _ => Err(invalid(&format!("'{}' is no method.", shown(&self.method)), &self.method)
                .with_hint("Write it like environment/control/stopenv: group, service and method.")),
        }
    }

    /// The parameters as the method takes them: spelled as it does, all that it needs, each of its type.
    fn fitted(&self, method: &Method) -> Result<Vec<(String, String)>, Error> {
        let path = method.path();
        let mut fitted: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.parameters {
            let Some(parameter) = method.parameter(name) else {
                let near = method.nearest_parameters(name);
                let near = if near.is_empty() { String::new() } else { format!("Near it: {}. ", near.join(", ")) };
                let hint = format!("{near}{} -Force sends it all the same.", takes(method));
                return Err(invalid(&format!("{path} has no parameter '{}'.", shown(name)), name).with_hint(hint));
            };
            if fitted.iter().any(|(other, _)| other == parameter.name) {
                return Err(invalid(&format!("The parameter '{}' is given twice.", parameter.name), parameter.name));
            }
            let text = value.expose();
            if parameter.required && text.is_empty() {
                return Err(invalid(
                    &format!("The parameter '{}' of {path} is empty.", parameter.name),
                    parameter.name,
                )
                .with_hint(takes(method)));
            }
            if !parameter.kind.accepts(text) {
                let (name, kind) = (parameter.name, parameter.kind);
                return Err(invalid(&format!("The parameter '{name}' of {path} has to be {kind}."), name)
                    .with_hint(takes(method)));
            }
            let text = match parameter.kind {
                Kind::Boolean => text.trim().to_ascii_lowercase(),
                Kind::Int32 | Kind::Int64 => text.trim().to_owned(),
                _ => text.to_owned(),
            };
            fitted.push((parameter.name.to_owned(), text));
        }
        let missing: Vec<&str> = method
            .parameters
            .iter()
            .filter(|parameter| parameter.required && !fitted.iter().any(|(name, _)| name == parameter.name))
            .map(|parameter| parameter.name)
            .collect();
        match missing.as_slice() {
            [] => Ok(fitted),
            [first, ..] => {
                Err(invalid(&format!("{path} lacks {}.", missing.join(", ")), first).with_hint(takes(method)))
            }
        }
    }

    fn secrets(&self) -> impl Iterator<Item = Secret> + '_ {
        self.parameters.iter().filter_map(|(_, value)| match value {
            Value::Secret(secret) => Some(secret.clone()),
            Value::Text(_) => None,
        })
    }
}

/// `It takes envName, [nodeId].`
fn takes(method: &Method) -> String {
    let name = |parameter: &methods::Parameter| match parameter.required {
        true => parameter.name.to_owned(),
        false => format!("[{}]", parameter.name),
    };
    match method.parameters.as_slice() {
        [] => "It takes no parameters.".to_owned(),
        parameters => format!("It takes {}.", parameters.iter().map(name).collect::<Vec<_>>().join(", ")),
    }
}

fn invalid(message: &str, target: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{message} Nothing was sent.")).with_target(shown(target))
}

/// What somebody typed, in a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// A call that can be sent.
pub(super) struct Checked {
    pub(super) path: String,
    route: String,
    needs_session: bool,
    asks: bool,
    parameters: Vec<(String, String)>,
}

impl Checked {
    /// What is sent.
    fn form(&self, session: Option<&Secret>) -> String {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if let Some(session) = session {
            form.append_pair("session", session.expose()); // the one place where it leaves
        }
        form.finish()
    }
}

/// A call that failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// The platform may have done it, or be doing it still.
    pub(super) may_be_done: bool,
}

impl Failure {
    /// The session is none, or over: nothing was done.
    pub(super) fn is_not_authenticated(&self) -> bool {
        self.error.kind() == ErrorKind::PlatformError { code: results::NOT_AUTHENTICATED }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, may_be_done: false }
    }
}

/// An answer with result 0, in itself and in what it holds.
#[derive(Clone, PartialEq)]
pub struct Answer(Map<String, Json>);

impl Answer {
    pub(super) fn new(fields: Map<String, Json>) -> Self {
        Self(fields)
    }

    /// A field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// A field that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A field that is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// A field that is a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).filter(|text| !text.is_empty()).map(|text| Secret::new(text.to_owned()))
    }

    /// A field that is a list; none counts as empty.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Json] {
        self.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }

    /// All fields.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Json> {
        self.0
    }
}

impl fmt::Debug for Answer {
    /// The names alone: a value may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Platform {
    /// Makes a call.
    ///
    /// It is sent once. A session that is over is begun anew first, as the platform has done nothing then; what only
    /// asks is tried again after a broken connection.
    ///
    /// # Errors
    /// `InvalidArgument` for a method or parameters that the description does not know, before anything is sent.
    /// `PlatformError` with the platform's result, its own or that of a response in the answer. `ProtocolViolation` for
    /// an answer that is none: a web page, no JSON, no `result`, more than 64 MiB. `Timeout` and `ConnectionFailed`
    /// when the answer did not come: the platform may do it all the same, and the message says so.
    pub async fn call(&self, context: &Context, call: &Call) -> Result<Answer, Error> {
        self.try_call(context, call).await.map_err(|failure| failure.error)
    }

    pub(super) async fn try_call(&self, context: &Context, call: &Call) -> Result<Answer, Failure> {
        let checked = call.checked()?;
        if !checked.needs_session {
            return self.send(context, &checked, call, None).await;
        }
        let session = self.session(context).await?;
        match self.send(context, &checked, call, Some(&session)).await {
            Err(failure) if failure.is_not_authenticated() && self.has_password() => {
                context.log().verbose(|| format!("Signing in again: {}", failure.error.message()));
                self.forget(&session).await;
                let session = self.session(context).await?;
                self.send(context, &checked, call, Some(&session)).await
            }
            outcome => outcome,
        }
    }

    /// Sends a call with this session, or none.
    pub(super) async fn send_with(
        &self,
        context: &Context,
        call: &Call,
        session: Option<Secret>,
    ) -> Result<Answer, Failure> {
        let checked = call.checked()?;
        self.send(context, &checked, call, session.as_ref()).await
    }

    async fn send(
        &self,
        context: &Context,
        checked: &Checked,
        call: &Call,
        session: Option<&Secret>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::new(HttpMethod::POST, self.server().join(&checked.route)?);
        request.asks = checked.asks;
        request.headers.insert("accept", HeaderValue::from_static("application/json"));
        request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = Body::Bytes(checked.form(session).into());
        let mut secrets: Vec<Secret> = session.cloned().into_iter().chain(call.secrets()).collect();
        if let Some(SignIn::Password { password, .. }) = &self.0.sign_in {
            secrets.push(password.clone());
        }
        let signature = Signature { authorization: None, secrets };
        match self.0.transport.fetch(context.log(), &request, &signature, MAX_JSON).await {
            Ok(fetched) => results::judge(&checked.path, &fetched).map_err(Failure::from),
            Err(error) => Err(results::lost(checked.asks, &checked.path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &Call) -> Error {
        let error = call.checked().map(|checked| checked.path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().ends_with("Nothing was sent."), "{error}");
        error
    }

    #[test]
    fn an_unknown_method_is_refused_with_near_ones_unless_forced() {
        let call = Call::new("environment/control/stopenvs").with("x", "1");
        let error = refused(&call);
        assert!(error.hint().contains("environment/control/stopenv") && error.hint().contains("-Force"), "{error}");
        let forced = Call { force: true, ..call }.checked().unwrap();
        assert_eq!(forced.route, "/1.0/environment/control/rest/stopenvs");
        assert_eq!(forced.parameters, [("x".to_owned(), "1".to_owned())]);
        for method in ["", "a/b", "a/b/../c", "a/b/c?x=1", "https://evil.example/x", "a/b/c#d", "a//c", "a/b/c/d"] {
            refused(&Call { force: true, ..Call::new(method) });
        }
    }

    #[test]
    fn parameters_are_checked_by_the_description() {
        let call = || Call::new("environment/control/restartnodebyid");
        let cases = [
            (call(), "envName", "lacks envName, nodeId"),
            (call().with("envName", "a"), "nodeId", "lacks nodeId"),
            (call().with("envName", "").with("nodeId", 7), "envName", "is empty"),
            (call().with("envName", "a").with("nodeId", "seven"), "nodeId", "whole number"),
            (call().with("envName", "a").with("nodeId", 7).with("node", "x"), "node", "no parameter 'node'"),
            (call().with("envName", "a").with("ENVNAME", "b").with("nodeId", 7), "envName", "given twice"),
            (call().with("session", "a"), "session", "comes from the connection"),
        ];
        for (call, target, says) in cases {
            let error = refused(&call);
            assert!(error.target() == target && error.message().contains(says), "{error:?}");
        }
        let error = refused(&call().with("envName", "a").with("node", "x"));
        assert!(error.hint().contains("Near it: nodeId.") && error.hint().contains("envName, nodeId"), "{error}");
    }

    #[test]
    fn names_are_sent_as_the_description_spells_them() {
        let call = Call::new("Environment.Control.CloneEnv").with("srcenvname", "a").with("DSTENVNAME", "b");
        let checked = call.with("useExternalMounts", "True").checked().unwrap();
        let pairs = [("srcEnvName", "a"), ("dstEnvName", "b"), ("useExternalMounts", "true")];
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(checked.parameters, pairs);
        assert_eq!(checked.path, "environment/control/cloneenv");
    }

    #[test]
    fn nothing_shows_a_secret() {
        let call = Call::new("users/authentication/deletetokens").with("password", Secret::new("canary".into()));
        assert!(!format!("{call:?}").contains("canary"));
        let error = refused(&call.with("wrong", Secret::new("canary".into())));
        assert!(!format!("{error:?} {error}").contains("canary"));
        let answer = Answer(Map::from_iter([("session".to_owned(), "canary".into())]));
        assert_eq!(format!("{answer:?}"), r#"{"session"}"#);
    }
}
