//! Signing in with login and password, and out; the sessions in between.

use serde_json::{Value, json};

use super::account::number;
use super::answer::{Answer, Outcome, Refusal, code, date};
use super::call::Call;
use super::caller::Caller;
use crate::api::App;
use crate::people::{self, SignIn};
use crate::sessions::{self, Kind, Session};
use crate::store::users::User;

/// `users/authentication/signin`
pub async fn sign_in(app: &App, call: &Call) -> Outcome {
    let login = call.required("login")?;
    let password = call.secret("password").ok_or_else(|| Refusal::parameter("password", "is missing"))?;
    let user = accepted(people::sign_in(&app.store, login, &password, &call.address).await?)?;
    let (_, session) = sessions::begin(&app.store, &user, Kind::Platform, &call.address, &call.agent).await?;
    Ok(described(&user).with("session", session.expose()))
}

/// `users/authentication/signout`
pub async fn sign_out(app: &App, caller: &Caller) -> Outcome {
    // A token never comes here: no set holds this method.
    if let Some(session) = &caller.session {
        sessions::end(&app.store, std::slice::from_ref(session), &caller.entry).await?;
    }
    Ok(Answer::ok())
}

/// `users/authentication/getsessions`: those that signin began; what a browser or the Update Service's side has is none
/// of the platform's.
pub async fn list(app: &App, caller: &Caller) -> Outcome {
    let all = sessions::list(&app.store, &caller.user, Kind::Platform).await?;
    let current = caller.session.as_ref().map(|session| &session.id_hash);
    let described = all.iter().map(|session| {
        json!({
            "id": number(&session.id_hash),
            "uid": number(&caller.user.id),
            "current": Some(&session.id_hash) == current,
            "host": session.address,
            "userAgent": session.agent,
            "createdOn": date(session.created_at),
            "lastAccess": date(session.last_seen_at),
        })
    });
    let described: Vec<Value> = described.collect();
    Ok(Answer::ok().with("sessions", described))
}

/// `users/authentication/signoutsessions`: all of these, or none.
pub async fn sign_out_sessions(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let wanted = call.ids("ids", "getsessions")?.unwrap_or_default();
    let all = sessions::list(&app.store, &caller.user, Kind::Platform).await?;
    let is = |session: &Session, id: i64| number(&session.id_hash) == id;
    if let Some(id) = wanted.iter().find(|id| !all.iter().any(|session| is(session, **id))) {
        return Err(Refusal::new(code::NOT_FOUND, format!("the account has no session {id}")));
    }
    let ending: Vec<Session> = all.into_iter().filter(|session| wanted.iter().any(|id| is(session, *id))).collect();
    sessions::end(&app.store, &ending, &caller.entry).await?;
    Ok(Answer::ok())
}

/// Takes the account's password again, as each change of a token does.
pub async fn confirm(app: &App, caller: &Caller, call: &Call) -> Result<(), Refusal> {
    let missing = "is missing: each change takes the account's password";
    let password = call.secret("password").ok_or_else(|| Refusal::parameter("password", missing))?;
    accepted(people::confirm(&app.store, &caller.user, &password, &caller.entry).await?)?;
    Ok(())
}

fn accepted(sign_in: SignIn) -> Result<User, Refusal> {
    match sign_in {
        SignIn::Accepted(user) => Ok(user),
        SignIn::Refused => Err(Refusal::new(code::AUTHENTICATION_FAILED, "login or password is wrong")),
        SignIn::Limited(seconds) => {
            let what = format!("too many wrong passwords; wait {seconds} s before trying again");
            Err(Refusal::new(code::AUTHENTICATION_FAILED, what).with("attemptsLeft", 0))
        }
    }
}

/// A user as the platform's AuthenticationResponse tells it.
pub fn described(user: &User) -> Answer {
    Answer::ok()
        .with("uid", number(&user.id))
        .with("email", user.email.clone())
        .with("name", user.full_name())
        .with("status", if user.enabled { "ENABLED" } else { "SUSPENDED" })
        .with("authType", "BASIC")
        .with("accessType", "FULL_ACCESS")
}
