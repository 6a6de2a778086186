//! Access tokens: made, listed, changed, made anew, copied, removed. All of it needs login and password, and each change
//! takes the password again: the one that is given, else the connection's.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value as Json;

use super::{Answer, Call, Platform, SignIn, results};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::secret::Secret;

/// Dates are in UTC and in this form.
const DATE: &str = "%Y-%m-%d %H:%M:%S";

/// An access token, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The platform's number of it.
    pub id: i64,
    /// For people to tell it from others.
    pub description: String,
    /// None: never.
    pub expires: Option<Timestamp>,
    /// None: not yet, or the platform does not tell.
    pub last_used: Option<Timestamp>,
    /// The set that it was made for; none: a list of its own.
    pub set: Option<String>,
    /// The methods that it holds.
    pub methods: Vec<String>,
    /// Made by the platform itself.
    pub is_system: bool,
}

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// A set by its name: `IDE Plugins`.
    Set(String),
    /// These methods, as [`super::methods::find`] reads them.
    Methods(Vec<String>),
}

/// What a token becomes; what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChanges {
    /// For people to tell it from others.
    pub description: Option<String>,
    /// `Some(None)`: it never ends.
    pub expires: Option<Option<Timestamp>>,
    /// What it may do.
    pub scope: Option<TokenScope>,
}

/// A set of methods that a token can be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The platform's number of it.
    pub id: i64,
    /// `IDE Plugins`.
    pub name: String,
    /// What it holds.
    pub methods: Vec<String>,
}

impl Platform {
    /// The account's tokens.
    ///
    /// # Errors
    /// `InvalidArgument` without login and password; else as [`Platform::call`].
    pub async fn tokens(&self, context: &Context) -> Result<Vec<AccessToken>, Error> {
        self.password()?;
        let answer = self.call(context, &Call::new("users/authentication/gettokens")).await?;
        answer.list("apiTokens").iter().map(|token| self.read_token(token)).collect()
    }

    /// The sets that a token can be made for.
    ///
    /// # Errors
    /// As [`Platform::tokens`].
    pub async fn token_sets(&self, context: &Context) -> Result<Vec<TokenSet>, Error> {
        self.password()?;
        let answer = self.call(context, &Call::new("users/authentication/gettokentemplates")).await?;
        let sets = answer.list("templates").iter().map(|set| {
            let name = set.get("name")?.as_str()?.to_owned();
            Some(TokenSet { id: set.get("id")?.as_i64()?, name, methods: methods_of(set) })
        });
        sets.collect::<Option<_>>().ok_or_else(|| self.unreadable("a set of methods without name or id"))
    }

    /// The methods that a token can be made for; those alone that hold `search`, if that is not empty.
    ///
    /// # Errors
    /// As [`Platform::tokens`].
    pub async fn token_methods(&self, context: &Context, search: &str) -> Result<Vec<String>, Error> {
        self.password()?;
        let mut call = Call::new("users/authentication/gettokenapilist");
        if !search.is_empty() {
            call = call.with("search", search);
        }
        let answer = self.call(context, &call).await?;
        Ok(answer.list("tokenPermissions").iter().filter_map(method_of).collect())
    }

    /// Makes a token; its value is told this once.
    ///
    /// # Errors
    /// As [`Platform::tokens`]. After a `Timeout` the token may be there: [`Platform::tokens`] shows whether it is.
    pub async fn create_token(
        &self,
        context: &Context,
        description: &str,
        expires: Option<Timestamp>,
        scope: &TokenScope,
        password: Option<&Secret>,
    ) -> Result<(AccessToken, Secret), Error> {
        let mut call = Call::new("users/authentication/createtoken").with("description", description);
        if let Some(expires) = expires {
            call = call.with("expiresAt", date(expires));
        }
        self.valued(context, with_scope(call, scope), password).await
    }

    /// Changes a token.
    ///
    /// # Errors
    /// As [`Platform::tokens`].
    pub async fn edit_token(
        &self,
        context: &Context,
        id: i64,
        changes: &TokenChanges,
        password: Option<&Secret>,
    ) -> Result<AccessToken, Error> {
        let mut call = Call::new("users/authentication/edittoken").with("id", id);
        if let Some(description) = &changes.description {
            call = call.with("description", description.as_str());
        }
        if let Some(expires) = changes.expires {
            call = call.with("expiresAt", expires.map(date).unwrap_or_default());
        }
        if let Some(scope) = &changes.scope {
            call = with_scope(call, scope);
        }
        let answer = self.confirmed(context, call, password).await?;
        self.token_of(&answer)
    }

    /// Makes a new value; the old one is over at once.
    ///
    /// # Errors
    /// As [`Platform::tokens`].
    pub async fn regenerate_token(
        &self,
        context: &Context,
        id: i64,
        password: Option<&Secret>,
    ) -> Result<(AccessToken, Secret), Error> {
        self.valued(context, Call::new("users/authentication/regeneratetoken").with("id", id), password).await
    }

    /// Makes a token with the settings of another one, but for these changes.
    ///
    /// # Errors
    /// As [`Platform::tokens`]; `PlatformError` 5 when there is no such token.
    pub async fn copy_token(
        &self,
        context: &Context,
        id: i64,
        changes: &TokenChanges,
        password: Option<&Secret>,
    ) -> Result<(AccessToken, Secret), Error> {
        self.password()?;
        let asked = Call::new("users/authentication/gettokens").with("ids", id);
        let answer = self.call(context, &asked).await?;
        let model =
            answer.list("apiTokens").iter().map(|token| self.read_token(token)).collect::<Result<Vec<_>, _>>()?;
        let Some(model) = model.into_iter().find(|token| token.id == id) else {
            let message = format!("{} has no access token {id} of this account.", self.server());
            return Err(Error::new(ErrorKind::PlatformError { code: 5 }, message).with_target(id.to_string()));
        };
        let scope = changes.scope.clone().unwrap_or(match model.set {
            Some(set) => TokenScope::Set(set),
            None => TokenScope::Methods(model.methods),
        });
        let description = changes.description.clone().unwrap_or(model.description);
        let expires = changes.expires.unwrap_or(model.expires);
        self.create_token(context, &description, expires, &scope, password).await
    }

    /// Removes tokens: all of these, or none.
    ///
    /// # Errors
    /// `InvalidArgument` for no ids; else as [`Platform::tokens`].
    pub async fn delete_tokens(&self, context: &Context, ids: &[i64], password: Option<&Secret>) -> Result<(), Error> {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let call = Call::new("users/authentication/deletetokens").with("ids", ids.join(","));
        self.confirmed(context, call, password).await.map(drop)
    }

    /// A change: with the password.
    async fn confirmed(&self, context: &Context, call: Call, password: Option<&Secret>) -> Result<Answer, Error> {
        let of_connection = self.password()?;
        let password = password.cloned().unwrap_or(of_connection);
        self.call(context, &call.with("password", password)).await
    }

    /// A change that tells a value.
    async fn valued(
        &self,
        context: &Context,
        call: Call,
        password: Option<&Secret>,
    ) -> Result<(AccessToken, Secret), Error> {
        let answer = self.confirmed(context, call, password).await?;
        let value = answer.get("token").and_then(|token| token.get("key")).and_then(Json::as_str);
        let value = value.filter(|value| !value.is_empty()).map(|value| Secret::new(value.to_owned()));
        let value = value.ok_or_else(|| self.unreadable("a token without its value"))?;
        Ok((self.token_of(&answer)?, value))
    }

    fn password(&self) -> Result<Secret, Error> {
        match &self.0.sign_in {
            Some(SignIn::Password { password, .. }) => Ok(password.clone()),
            _ => {
                let message =
                    format!("Tokens on {} are managed with login and password. Nothing was sent.", self.server());
                Err(Error::new(ErrorKind::InvalidArgument, message)
                    .with_hint(
                        "Connect with -SignIn, and login and password as the credential: a token cannot make tokens.",
                    )
                    .with_target("credential")
                    .with_server(self.server().to_string()))
            }
        }
    }

    fn token_of(&self, answer: &Answer) -> Result<AccessToken, Error> {
        let token = answer.get("token").ok_or_else(|| self.unreadable("no token"))?;
        self.read_token(token)
    }

    fn read_token(&self, token: &Json) -> Result<AccessToken, Error> {
        let text = |name: &str| token.get(name).and_then(Json::as_str).unwrap_or_default();
        let date = |name: &str| match token.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => {
                read_date(value).map(Some).ok_or_else(|| self.unreadable("a token with a date of another form"))
            }
        };
        let set = token.get("tokenTemplate").filter(|set| !set.is_null());
        Ok(AccessToken {
            id: token.get("id").and_then(Json::as_i64).ok_or_else(|| self.unreadable("a token without id"))?,
            description: text("description").to_owned(),
            expires: date("expiresAt")?,
            last_used: date("lastUsed")?,
            set: set.and_then(|set| set.get("name")?.as_str()).map(str::to_owned),
            methods: methods_of(set.unwrap_or(token)),
            is_system: token.get("isSystem").and_then(Json::as_bool).unwrap_or_default(),
        })
    }

    fn unreadable(&self, what: &str) -> Error {
        let server = self.server().to_string();
        Error::new(ErrorKind::ProtocolViolation, format!("{server} answered with {what}."))
            .with_hint(results::WRONG_ADDRESS)
            .with_server(server)
    }
}

fn with_scope(call: Call, scope: &TokenScope) -> Call {
    match scope {
        TokenScope::Set(name) => call.with("tokenTemplate", name.as_str()),
        TokenScope::Methods(methods) => call.with("apiList", methods.join(",")),
    }
}

fn methods_of(holder: &Json) -> Vec<String> {
    let items = holder.get("apiListItems").and_then(Json::as_array).into_iter().flatten();
    items.filter_map(method_of).collect()
}

/// An ApiListItem's method.
fn method_of(item: &Json) -> Option<String> {
    item.get("method")?.as_str().map(str::to_owned)
}

/// `yyyy-MM-dd HH:mm:ss` in UTC.
fn date(at: Timestamp) -> String {
    at.strftime(DATE).to_string()
}

/// The same, or the milliseconds since 1970 that the platform's older calls tell.
fn read_date(value: &Json) -> Option<Timestamp> {
    match value {
        Json::String(text) => {
            let time = DateTime::strptime(DATE, text.trim()).ok()?;
            Offset::UTC.to_timestamp(time).ok()
        }
        value => Timestamp::from_millisecond(value.as_i64()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_date_is_text_in_utc_or_milliseconds() {
        let at: Timestamp = "2027-01-31T08:09:10Z".parse().unwrap();
        assert_eq!(date(at), "2027-01-31 08:09:10");
        assert_eq!(read_date(&json!("2027-01-31 08:09:10")), Some(at));
        assert_eq!(read_date(&json!(at.as_millisecond())), Some(at));
        for bad in [json!("31-01-2027"), json!(""), json!(true), json!({})] {
            assert_eq!(read_date(&bad), None, "{bad}");
        }
    }
}
