//! Who calls: a session that began with login and password, or an access token, which stands for one in every call.

use uss::virtuozzo::methods::Method;

use super::answer::{Refusal, code};
use super::call::Call;
use super::methods;
use crate::api::App;
use crate::sessions::{self, Kind, Session};
use crate::store::audit::Entry;
use crate::store::tokens::Status;
use crate::store::users::User;
use crate::tokens::{self, Exchange, Scope};

/// A caller who may call the method.
pub struct Caller {
    /// Whose account it is.
    pub user: User,
    /// The session; none where a token stands for it.
    pub session: Option<Session>,
    /// For the audit table.
    pub entry: Entry,
}

/// Finds who calls, and refuses a token whose set does not hold the method.
pub async fn identify(app: &App, call: &Call) -> Result<Caller, Refusal> {
    let value = call.secret("session").ok_or_else(|| not_authenticated("the call has no session"))?;
    let entry = |user: &User| Entry { actor: user.name.clone(), address: Some(call.address.clone()) };
    if let Some((session, user)) = sessions::find(&app.store, Kind::Platform, value.expose()).await? {
        if !user.enabled {
            return Err(not_authenticated("the account is disabled"));
        }
        return Ok(Caller { entry: entry(&user), user, session: Some(session) });
    }
    let found = tokens::authenticate(&app.store, value.expose(), tokens::Kind::Access, &call.address).await?;
    match found {
        Exchange::Accepted(found) => {
            let (token, user) = *found;
            if !holds(&token.scope, call.method) {
                let what = format!("the token's API set does not hold the method {}", call.method.path());
                return Err(Refusal::new(code::NOT_IN_API_SET, what));
            }
            Ok(Caller { entry: entry(&user), user, session: None })
        }
        Exchange::Refused => Err(not_authenticated("the session or token is not valid")),
        Exchange::Ended(Status::Revoked) => Err(not_authenticated("the access token was revoked")),
        Exchange::Ended(_) => Err(not_authenticated("the access token has expired")),
        Exchange::Disabled => Err(not_authenticated("the account is disabled")),
        Exchange::Limited(seconds) => {
            Err(not_authenticated(&format!("too many wrong sessions from here; wait {seconds} s")))
        }
    }
}

fn not_authenticated(what: &str) -> Refusal {
    Refusal::new(code::NOT_AUTHENTICATED, format!("not authenticated: {what}"))
}

/// Whether a token of this scope may call the method. None may make sessions or tokens.
fn holds(scope: &Scope, method: &Method) -> bool {
    method.is_for_tokens()
        && match (&scope.template, &scope.methods) {
            (None, None) => true,
            (Some(name), _) => methods::template(name).is_some_and(|template| template.holds(method)),
            (None, Some(list)) => list.iter().any(|path| *path == method.path()),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uss::virtuozzo::methods::find;

    #[test]
    fn a_scope_holds_what_it_names_and_nothing_that_makes_tokens() {
        let scope = |template: Option<&str>, methods: Option<&[&str]>| Scope {
            template: template.map(str::to_owned),
            methods: methods.map(|list| list.iter().map(|path| (*path).to_owned()).collect()),
        };
        let (stop, create) =
            (find("environment/control/stopenv").unwrap(), find("users/authentication/createtoken").unwrap());
        let list = ["environment/control/stopenv", "users/authentication/createtoken"];
        for (scope, may_stop) in [
            (scope(None, None), true),
            (scope(Some("Extended Access"), None), true),
            (scope(Some("Maven Plugin"), None), false),
            (scope(Some("gone"), None), false),
            (scope(None, Some(&list)), true),
            (scope(None, Some(&[])), false),
            // A set that is there wins over a list: the narrower reading of a row that should not be.
            (scope(Some("Maven Plugin"), Some(&list)), false),
        ] {
            assert_eq!(holds(&scope, stop), may_stop, "{scope:?}");
            assert!(!holds(&scope, create), "{scope:?}");
        }
    }
}
