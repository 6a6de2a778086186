//! One's own account: who one is, the password, and an end to every session.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::field::{self, Errors};
use super::form::Sent;
use super::layout::{self, Place};
use super::visitor::{SESSION, Visitor};
use super::{Refusal, when};
use crate::api::App;
use crate::people::{self, SignIn};
use crate::sessions;

/// `GET /account`
pub async fn show(visitor: Visitor) -> Response {
    page(StatusCode::OK, &visitor, &Errors::default())
}

/// `POST /account/password`
pub async fn set_password(State(app): State<App>, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let mut errors = Errors::default();
    let (old, new) = (fields.secret("password"), fields.secret("new-password"));
    if new.expose() != fields.get("new-password-again") {
        errors.add("new-password-again", "The two new passwords are not the same.");
    }
    // What is wrong with a form is told before the password is looked at: a mistake elsewhere is no failed attempt.
    let mut wait = None;
    if errors.is_empty() {
        match people::confirm(&app.store, &visitor.user, &old, &visitor.entry).await? {
            SignIn::Accepted(_) => match people::set_password(&app.store, &visitor.user, &new, &visitor.entry).await {
                Ok(()) => {
                    let mut response = Redirect::to("/sign-in?done=password").into_response();
                    SESSION.clear(&mut response, app.pages);
                    return Ok(response);
                }
                Err(error) => errors.add("new-password", password_error(error)?),
            },
            SignIn::Refused => errors.add("password", "This is not your password."),
            SignIn::Limited(seconds) => {
                wait = Some(seconds);
                errors.add("password", too_many(seconds));
            }
        }
    }
    let status = if wait.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut response = page(status, &visitor, &errors);
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// Said at a password's field.
pub fn too_many(seconds: u64) -> String {
    format!("Too many wrong passwords. Wait {} before you try again.", when::wait(seconds))
}

/// What is wrong with a new password, as a sentence for its field.
pub fn password_error(error: people::PasswordError) -> Result<String, Refusal> {
    match error {
        people::PasswordError::Store(error) => Err(error.into()),
        other => Ok(field::sentence(&other.to_string())),
    }
}

/// `POST /account/sign-out-everywhere`
pub async fn sign_out_everywhere(State(app): State<App>, sent: Sent) -> Result<Response, Refusal> {
    sessions::end_all(&app.store, &sent.visitor.user, &sent.visitor.entry).await?;
    let mut response = Redirect::to("/sign-in?done=everywhere").into_response();
    SESSION.clear(&mut response, app.pages);
    Ok(response)
}

fn page(status: StatusCode, visitor: &Visitor, errors: &Errors) -> Response {
    let user = &visitor.user;
    let content = html! {
        (layout::heading("Account", "", &html! {}))
        section.card.narrow aria-labelledby="you" {
            h2 #you { "You" }
            dl.facts {
                (fact("Name", &html! { (user.name) }))
                @if user.full_name() != user.name { (fact("Full name", &html! { (user.full_name()) })) }
                (fact("E-mail", &html! { (user.email) }))
                (fact("Role", &html! {
                    @if user.admin { "Administrator: may publish, delete and read the audit table" }
                    @else { "User: may read" }
                }))
            }
        }
        section.card.narrow aria-labelledby="change" {
            h2 #change { "Change your password" }
            (errors.summary("Your password was not changed."))
            form method="post" action="/account/password" novalidate {
                (visitor.seal())
                // Password keepers look for the name that a new password belongs to.
                input.hidden type="text" name="username" value=(user.name) autocomplete="username" tabindex="-1"
                    aria-hidden="true" readonly;
                (field::password("password", "Current password", "", errors.of("password")))
                (field::password("new-password", "New password", NEW_PASSWORD, errors.of("new-password")))
                (field::password("new-password-again", "New password again", "", errors.of("new-password-again")))
                p.hint { "All your sessions end, this one too. Tokens go on working." }
                div.actions { button.primary type="submit" { "Change password" } }
            }
        }
        section.card.narrow aria-labelledby="everywhere" {
            h2 #everywhere { "Sign out everywhere" }
            p { "Ends every session of yours, in this browser and in all others. Tokens go on working." }
            form method="post" action="/account/sign-out-everywhere" {
                (visitor.seal())
                div.actions { button.danger type="submit" { "Sign out everywhere" } }
            }
        }
    };
    layout::page_with(status, visitor, Place::Account, "Account", &content)
}

/// The hint at a new password.
pub const NEW_PASSWORD: &str = "A few words that nobody would guess make a good one.";

fn fact(name: &str, value: &Markup) -> Markup {
    html! { dt { (name) } dd { (value) } }
}
