//! Personal Tokens: what scripts sign in with. The list, a form to make and edit, and pages that ask before something
//! ends.

mod draft;
mod table;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::form::Sent;
use super::layout::{self, Place, Question};
use super::visitor::Visitor;
use super::{Refusal, shown, when};
use crate::api::App;
use crate::api::params::Params;
use crate::store::tokens::{Status, Token};
use crate::tokens::{self, Changes, TokenError, UPDATE_SERVICE};
use draft::Draft;

/// `GET /tokens?filter=&status=`
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Refusal> {
    let tokens = tokens::list(&app.store, &visitor.user, &UPDATE_SERVICE).await?;
    let done = match params.get("done") {
        Some("saved") => Some("The token is saved."),
        Some("revoked") => Some("The token is revoked: whoever uses it is refused from now on."),
        Some("removed") => Some("The token is removed."),
        _ => None,
    };
    let wanted = table::Wanted::of(&params);
    let content = html! {
        (layout::heading(
            "Personal Tokens",
            "Scripts and PowerShell sign in with a personal access token instead of your password.",
            &html! { a.button.primary href="/tokens/new" { "New token" } },
        ))
        (layout::done(done))
        (table::show(&tokens, &wanted))
    };
    Ok(layout::page(&visitor, Place::PersonalTokens, "Personal Tokens", &content))
}

/// `GET /tokens/new`
pub async fn new(visitor: Visitor) -> Response {
    form(StatusCode::OK, &visitor, &Draft::default(), &New)
}

/// `POST /tokens/new`
pub async fn create(State(app): State<App>, sent: Sent) -> Result<Response, Refusal> {
    let visitor = sent.visitor;
    let mut draft = Draft::read(&sent.fields, None);
    if draft.errors.is_empty() {
        match tokens::create(&app.store, &visitor.user, draft.kind(), draft.settings(), &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::PersonalTokens, &token, &value, "/tokens")),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &visitor, &draft, &New))
}

/// `GET /tokens/{id}/edit`
pub async fn edit(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let token = find(&app, &visitor, &id).await?;
    Ok(form(StatusCode::OK, &visitor, &Draft::of(&token), &Edit(&token)))
}

/// `POST /tokens/{id}/edit`
pub async fn save(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Refusal> {
    let visitor = sent.visitor;
    let token = find(&app, &visitor, &id).await?;
    let mut draft = Draft::read(&sent.fields, Some(&token));
    if draft.errors.is_empty() {
        match tokens::edit(&app.store, &visitor.user, &id, draft.changes(&token), &visitor.entry).await {
            Ok(_) => return Ok(Redirect::to("/tokens?done=saved").into_response()),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &visitor, &draft, &Edit(&token)))
}

/// `GET /tokens/{id}/copy`
pub async fn copy(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let token = find(&app, &visitor, &id).await?;
    Ok(form(StatusCode::OK, &visitor, &Draft::copy_of(&token), &Copy(&token)))
}

/// `POST /tokens/{id}/copy`
pub async fn create_copy(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Refusal> {
    let visitor = sent.visitor;
    let token = find(&app, &visitor, &id).await?;
    let mut draft = Draft::read(&sent.fields, None);
    if draft.errors.is_empty() {
        match tokens::copy(&app.store, &visitor.user, &id, draft.all(), &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::PersonalTokens, &token, &value, "/tokens")),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &visitor, &draft, &Copy(&token)))
}

/// `GET /tokens/{id}/regenerate`
pub async fn ask_regenerate(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let token = find(&app, &visitor, &id).await?;
    Ok(question(StatusCode::OK, &visitor, &token, &Draft::of(&token)))
}

/// `POST /tokens/{id}/regenerate`; where the token has expired, with a new day.
pub async fn regenerate(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Refusal> {
    let visitor = sent.visitor;
    let token = find(&app, &visitor, &id).await?;
    let (mut draft, mut changes) = (Draft::of(&token), Changes::default());
    if token.status() == Status::Expired {
        draft.read_expiry(&sent.fields, None);
        changes.expires_at = Some(draft.expires_at);
    }
    if draft.errors.is_empty() {
        match tokens::regenerate(&app.store, &visitor.user, &id, changes, &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::PersonalTokens, &token, &value, "/tokens")),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(question(StatusCode::UNPROCESSABLE_ENTITY, &visitor, &token, &draft))
}

/// `GET /tokens/{id}/revoke`
pub async fn ask_revoke(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let token = find(&app, &visitor, &id).await?;
    let content = Question {
        title: "Revoke this token?",
        text: html! {
            (subject(&token))
            p { "Whoever uses it is refused at once, and so is every bearer it was exchanged for. This can't be undone." }
        },
        action: &format!("/tokens/{id}/revoke"),
        fields: html! {},
        button: "Revoke",
        danger: true,
        back: "/tokens",
    };
    Ok(layout::page(&visitor, Place::PersonalTokens, "Revoke a token", &content.show(&visitor)))
}

/// `POST /tokens/{id}/revoke`
pub async fn revoke(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Refusal> {
    find(&app, &sent.visitor, &id).await?;
    tokens::revoke(&app.store, &sent.visitor.user, &id, &sent.visitor.entry).await.map_err(refusal)?;
    Ok(Redirect::to("/tokens?done=revoked").into_response())
}

/// `GET /tokens/{id}/remove`
pub async fn ask_remove(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let token = find(&app, &visitor, &id).await?;
    let content = Question {
        title: "Remove this token?",
        text: html! {
            (subject(&token))
            p { "It disappears from the list. The audit table keeps what was done with it. This can't be undone." }
        },
        action: &format!("/tokens/{id}/remove"),
        fields: html! {},
        button: "Remove",
        danger: true,
        back: "/tokens",
    };
    Ok(layout::page(&visitor, Place::PersonalTokens, "Remove a token", &content.show(&visitor)))
}

/// `POST /tokens/{id}/remove`
pub async fn remove(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Refusal> {
    find(&app, &sent.visitor, &id).await?;
    tokens::remove(&app.store, &sent.visitor.user, &[id], &sent.visitor.entry).await.map_err(refusal)?;
    Ok(Redirect::to("/tokens?done=removed").into_response())
}

/// One of the visitor's own; somebody else's is as unknown as one that never was.
async fn find(app: &App, visitor: &Visitor, id: &str) -> Result<Token, Refusal> {
    tokens::find(&app.store, &visitor.user, &UPDATE_SERVICE, id).await.map_err(refusal)
}

fn unknown() -> Refusal {
    Refusal::not_found("There is no such token", "It was removed, or it is not yours. Nothing was changed.")
        .back("/tokens", "Go to your tokens")
}

/// Errors that no field is to blame for.
fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::Store(error) => error.into(),
        TokenError::Unknown { .. } => unknown(),
        TokenError::TooMany => {
            Refusal::new(StatusCode::CONFLICT, "Too many tokens", draft::TOO_MANY).back("/tokens", "Go to your tokens")
        }
        TokenError::Invalid { reason, .. } => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Not possible", reason).back("/tokens", "Go to your tokens")
        }
    }
}

/// What a form is for.
use Purpose::{Copy, Edit, New};
enum Purpose<'a> {
    New,
    Edit(&'a Token),
    Copy(&'a Token),
}

fn form(status: StatusCode, visitor: &Visitor, draft: &Draft, purpose: &Purpose<'_>) -> Response {
    let (title, action, button, failed) = match purpose {
        New => ("New token", "/tokens/new".to_owned(), "Create token", "The token was not created."),
        Edit(token) => ("Edit token", format!("/tokens/{}/edit", token.id), "Save", "The token was not changed."),
        Copy(token) => ("Copy token", format!("/tokens/{}/copy", token.id), "Create copy", "No copy was created."),
    };
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            @match purpose {
                New => p.soft { "Its value is shown once, on the next page." },
                Copy(token) => p.soft {
                    "A new token with the settings of “" (token.name) "”. Its value is shown once, on the next page."
                },
                Edit(token) => p.soft {
                    "Created " (when::day(token.created_at)) ". The value stays as it is; to get another, "
                    a href={ "/tokens/" (token.id) "/regenerate" } { "regenerate it" } "."
                },
            }
            (draft.errors.summary(failed))
            form method="post" action=(action) novalidate {
                (visitor.seal())
                (draft.fields(matches!(purpose, New)))
                div.actions {
                    button.primary type="submit" { (button) }
                    a.button href="/tokens" { "Cancel" }
                }
            }
        }
    };
    layout::page_with(status, visitor, Place::PersonalTokens, title, &content)
}

fn question(status: StatusCode, visitor: &Visitor, token: &Token, draft: &Draft) -> Response {
    let content = Question {
        title: "Regenerate this token?",
        text: html! {
            (subject(token))
            p {
                "It gets a new value and keeps its settings. The old value stops working at once, so change it "
                "wherever it is used."
            }
            (draft.errors.summary("The token was not regenerated."))
        },
        action: &format!("/tokens/{}/regenerate", token.id),
        fields: html! { @if token.status() == Status::Expired { (draft.expiry_field()) } },
        button: "Regenerate",
        danger: false,
        back: "/tokens",
    };
    layout::page_with(status, visitor, Place::PersonalTokens, "Regenerate a token", &content.show(visitor))
}

fn subject(token: &Token) -> maud::Markup {
    html! {
        p.subject { strong { (token.name) } " " (layout::status(token.status())) }
        @if !token.description.is_empty() { p.soft { (token.description) } }
    }
}
