//! Signing in and out.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::field::Field;
use super::form::{Sent, SentByStranger};
use super::visitor::{SESSION, Stranger, VISIT, own_path};
use super::{Refusal, layout, when};
use crate::api::params::Params;
use crate::api::{App, auth};
use crate::people::{self, SignIn};
use crate::sessions;

/// `GET /sign-in?next=`
pub async fn show(State(app): State<App>, headers: HeaderMap, params: Params) -> Response {
    let stranger = Stranger::of(&headers, &app);
    let told = match params.get("done") {
        Some("signed-out") => layout::done(Some("You are signed out.")),
        Some("everywhere") => layout::done(Some("All your sessions have ended, this one too.")),
        Some("password") => layout::done(Some("Your password is changed. Sign in with the new one.")),
        Some("setup") => layout::done(Some("Your account is ready. Sign in.")),
        _ => html! {},
    };
    page(&stranger, StatusCode::OK, "", params.get("next").unwrap_or_default(), &told)
}

/// `POST /sign-in`
pub async fn send(State(app): State<App>, sent: SentByStranger) -> Result<Response, Refusal> {
    let SentByStranger { stranger, fields, parts } = sent;
    let (name, next) = (fields.get("name").trim(), fields.get("next"));
    let address = auth::address(&parts);
    let bad = |text: &str| html! { div.notice.bad #problem role="alert" { p { (text) } } };
    match people::sign_in(&app.store, name, &fields.secret("password"), &address).await? {
        SignIn::Accepted(user) => {
            // What the browser had before is worth nothing from now on: nobody can plant a session to share.
            let agent = auth::agent(&parts);
            let (_, value) = sessions::begin(&app.store, &user, sessions::Kind::Page, &address, &agent).await?;
            let mut response = Redirect::to(own_path(next).unwrap_or("/packages")).into_response();
            SESSION.set(&mut response, app.pages, value.expose());
            VISIT.clear(&mut response, app.pages);
            Ok(response)
        }
        SignIn::Refused => {
            let text = bad("The name or the password is wrong.");
            Ok(page(&stranger, StatusCode::UNAUTHORIZED, name, next, &text))
        }
        SignIn::Limited(seconds) => {
            let text = format!("Too many attempts. Wait {} before you try again.", when::wait(seconds));
            let mut response = page(&stranger, StatusCode::TOO_MANY_REQUESTS, name, next, &bad(&text));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
    }
}

/// `POST /sign-out`
pub async fn sign_out(State(app): State<App>, sent: Sent) -> Result<Response, Refusal> {
    sessions::end(&app.store, std::slice::from_ref(&sent.visitor.session), &sent.visitor.entry).await?;
    let mut response = Redirect::to("/sign-in?done=signed-out").into_response();
    SESSION.clear(&mut response, app.pages);
    Ok(response)
}

/// After a failed try the cursor is where one tries again.
fn page(stranger: &Stranger, status: StatusCode, name: &str, next: &str, told: &Markup) -> Response {
    let problem = (status != StatusCode::OK).then_some("problem");
    let content = html! {
        div.alone {
            section.card {
                h1 { "Sign in" }
                (told)
                form method="post" action="/sign-in" novalidate {
                    (stranger.seal())
                    @if let Some(next) = own_path(next) { input type="hidden" name="next" value=(next); }
                    (Field {
                        name: "name", label: "Name or e-mail", value: name, complete: "username",
                        first: name.is_empty(), problem, ..Field::default()
                    }.show())
                    (Field {
                        name: "password", label: "Password", kind: "password", complete: "current-password",
                        first: !name.is_empty(), problem, ..Field::default()
                    }.show())
                    div.actions { button.primary.wide type="submit" { "Sign in" } }
                }
            }
        }
    };
    let response = (status, Html(layout::bare("Sign in", &content).into_string())).into_response();
    stranger.answer(response)
}
