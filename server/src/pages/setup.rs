//! The first administrator. The server prints a link with a key that is good once, behind a `#`: no browser sends that
//! to a server, so the key stands in no log. The script moves it from the address into the form, and out of the
//! address; whoever has no script copies it there.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::field::{self, Errors, Field};
use super::form::{Fields, SentByStranger};
use super::visitor::{Stranger, VISIT};
use super::{Refusal, account, layout};
use crate::api::{App, auth};
use crate::people::{self, Invited};
use crate::store::users::NewUser;

/// `GET /setup`
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    form(StatusCode::OK, &Stranger::of(&headers, &app), &Typed::default(), &Errors::default())
}

/// `POST /setup`
pub async fn send(State(app): State<App>, sent: SentByStranger) -> Result<Response, Refusal> {
    let SentByStranger { stranger, fields, parts } = sent;
    let typed = Typed::read(&fields);
    let mut errors = typed.judge();
    let password = fields.secret("new-password");
    if password.expose() != fields.get("new-password-again") {
        errors.add("new-password-again", "The two passwords are not the same.");
    }
    // Before anything else: who has no key need not know what else is wrong.
    if !people::is_invited(&app.store, &typed.key).await? {
        return Err(void());
    }
    if errors.is_empty() {
        let address = auth::address(&parts);
        match people::accept_invitation(&app.store, &typed.key, typed.user(), &password, &address).await {
            Ok(Invited::Accepted) => {
                let mut response = Redirect::to("/sign-in?done=setup").into_response();
                VISIT.clear(&mut response, app.pages);
                return Ok(response);
            }
            Ok(Invited::Void) => return Err(void()),
            Err(error) => errors.add("new-password", account::password_error(error)?),
        }
    }
    Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &stranger, &typed, &errors))
}

fn void() -> Refusal {
    let text = "The key of the link was used, is too old or never was, or somebody has an account already. While nobody \
                has one, each start of the server prints a link.";
    Refusal::new(StatusCode::FORBIDDEN, "The link does not open", text).back("/sign-in", "Go to the sign-in page")
}

#[derive(Default)]
struct Typed {
    key: String,
    name: String,
    email: String,
    first: String,
    last: String,
}

impl Typed {
    fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self {
            key: text("key"),
            name: text("name"),
            email: text("email"),
            first: text("first-name"),
            last: text("last-name"),
        }
    }

    fn judge(&self) -> Errors {
        let mut errors = Errors::default();
        let odd = |text: &str| text.chars().count() > 100 || text.chars().any(char::is_control);
        if self.name.is_empty() || odd(&self.name) {
            errors.add("name", "Choose a name of 1 to 100 characters to sign in with.");
        }
        let parts = self.email.split_once('@');
        if odd(&self.email) || !parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) {
            errors.add("email", "This is no e-mail address. Write it as ada@example.com.");
        }
        for (field, text) in [("first-name", &self.first), ("last-name", &self.last)] {
            if odd(text) {
                errors.add(field, "This is too long, or holds a character that cannot be shown.");
            }
        }
        errors
    }

    fn user(&self) -> NewUser {
        NewUser {
            name: self.name.clone(),
            email: self.email.clone(),
            first_name: self.first.clone(),
            last_name: self.last.clone(),
            admin: true,
            password_hash: None,
        }
    }
}

fn form(status: StatusCode, stranger: &Stranger, typed: &Typed, errors: &Errors) -> Response {
    let text = |name, label, value, complete, optional| -> Markup {
        Field { name, label, value, complete, optional, error: errors.of(name), ..Field::default() }.show()
    };
    let content = html! {
        div.alone {
            section.card {
                h1 { "Welcome" }
                p.soft { "Nobody has an account here yet. Yours will be the first, and an administrator's." }
                (errors.summary("The account was not made."))
                form method="post" action="/setup" novalidate {
                    (stranger.seal())
                    // Kept when the form comes back: it is good once, and the address has it no more.
                    div data-from-address="key" {
                        (Field {
                            name: "key", label: "Key", value: &typed.key,
                            hint: "What stands behind the # of the link that the server printed.", ..Field::default()
                        }.show())
                    }
                    (text("name", "Name", typed.name.as_str(), "username", false))
                    (text("email", "E-mail", typed.email.as_str(), "email", false))
                    (text("first-name", "First name", typed.first.as_str(), "given-name", true))
                    (text("last-name", "Last name", typed.last.as_str(), "family-name", true))
                    (field::password("new-password", "Password", account::NEW_PASSWORD, errors.of("new-password")))
                    (field::password("new-password-again", "Password again", "", errors.of("new-password-again")))
                    div.actions { button.primary.wide type="submit" { "Create account" } }
                }
            }
        }
    };
    stranger.answer((status, Html(layout::bare("First administrator", &content).into_string())).into_response())
}
