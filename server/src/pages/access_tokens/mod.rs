//! Access Tokens: what the platform's calls are made with. A toolbar over the list, a form with the methods that a
//! token may call, and one's password before anything changes.

mod draft;
mod methods;
mod table;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account::too_many;
use super::field;
use super::form::{Fields, Sent};
use super::layout::{self, Place, Question};
use super::visitor::Visitor;
use super::{Refusal, shown, when};
use crate::api::App;
use crate::api::params::Params;
use crate::people::{self, SignIn};
use crate::store::tokens::{Status, Token};
use crate::tokens::{self, Changes, Kind, TokenError};
use draft::Draft;
pub use methods::document;

/// The list's address.
const LIST: &str = "/settings/tokens";

/// `GET /settings/tokens`
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Refusal> {
    let tokens = tokens::list(&app.store, &visitor.user, &[Kind::Access]).await?;
    let done = match params.get("done") {
        Some("saved") => Some("The token is saved."),
        Some("removed") => Some("Removed: whoever uses it is refused from now on."),
        _ => None,
    };
    let content = html! {
        (layout::heading(
            "Access Tokens",
            "For calls of the platform: each may call a set of methods, and nothing else.",
            &html! {},
        ))
        (layout::done(done))
        (table::show(&tokens))
    };
    Ok(layout::page(&visitor, Place::AccessTokens, "Access Tokens", &content))
}

/// `GET /settings/tokens/generate`
pub async fn new(visitor: Visitor) -> Response {
    form(StatusCode::OK, &visitor, &Draft::default(), &New)
}

/// `POST /settings/tokens/generate`
pub async fn create(State(app): State<App>, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let mut draft = Draft::read(&fields, None);
    if draft.is_ready() && confirmed(&app, &visitor, &fields, &mut draft).await? {
        match tokens::create(&app.store, &visitor.user, Kind::Access, draft.settings(), &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::AccessTokens, &token, &value, LIST)),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(draft.status(), &visitor, &draft, &New))
}

/// `GET /settings/tokens/edit?id=`
pub async fn edit(State(app): State<App>, visitor: Visitor, params: Ids) -> Result<Response, Refusal> {
    let token = one(&app, &visitor, &params).await?;
    Ok(form(StatusCode::OK, &visitor, &Draft::of(&token), &Edit(&token)))
}

/// `POST /settings/tokens/edit?id=`
pub async fn save(State(app): State<App>, params: Ids, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let token = one(&app, &visitor, &params).await?;
    let mut draft = Draft::read(&fields, Some(&token));
    if draft.is_ready() && confirmed(&app, &visitor, &fields, &mut draft).await? {
        let changes = draft.changes(&token);
        match tokens::edit(&app.store, &visitor.user, &token.id, changes, &visitor.entry).await {
            Ok(_) => return Ok(Redirect::to("/settings/tokens?done=saved").into_response()),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(draft.status(), &visitor, &draft, &Edit(&token)))
}

/// `GET /settings/tokens/copy?id=`
pub async fn copy(State(app): State<App>, visitor: Visitor, params: Ids) -> Result<Response, Refusal> {
    let token = one(&app, &visitor, &params).await?;
    Ok(form(StatusCode::OK, &visitor, &Draft::copy_of(&token), &Copy(&token)))
}

/// `POST /settings/tokens/copy?id=`
pub async fn create_copy(State(app): State<App>, params: Ids, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let token = one(&app, &visitor, &params).await?;
    let mut draft = Draft::read(&fields, None);
    if draft.is_ready() && confirmed(&app, &visitor, &fields, &mut draft).await? {
        match tokens::copy(&app.store, &visitor.user, &token.id, draft.all(), &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::AccessTokens, &token, &value, LIST)),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(form(draft.status(), &visitor, &draft, &Copy(&token)))
}

/// `GET /settings/tokens/regenerate?id=`
pub async fn ask_regenerate(State(app): State<App>, visitor: Visitor, params: Ids) -> Result<Response, Refusal> {
    let token = one(&app, &visitor, &params).await?;
    Ok(question(StatusCode::OK, &visitor, &token, &Draft::of(&token)))
}

/// `POST /settings/tokens/regenerate?id=`; where the token has expired, with a new day.
pub async fn regenerate(State(app): State<App>, params: Ids, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let token = one(&app, &visitor, &params).await?;
    let (mut draft, mut changes) = (Draft::of(&token), Changes::default());
    if token.status() == Status::Expired {
        draft.read_expiry(&fields, None);
        changes.expires_at = Some(draft.expires_at);
    }
    if draft.errors.is_empty() && confirmed(&app, &visitor, &fields, &mut draft).await? {
        match tokens::regenerate(&app.store, &visitor.user, &token.id, changes, &visitor.entry).await {
            Ok((token, value)) => return Ok(shown::page(&visitor, Place::AccessTokens, &token, &value, LIST)),
            Err(error) => draft.take(error)?,
        }
    }
    Ok(question(draft.status(), &visitor, &token, &draft))
}

/// `GET /settings/tokens/remove?id=&id=`
pub async fn ask_remove(State(app): State<App>, visitor: Visitor, params: Ids) -> Result<Response, Refusal> {
    let chosen = several(&app, &visitor, &params).await?;
    Ok(ask_to_remove(StatusCode::OK, &visitor, &chosen, &Draft::default()))
}

/// `POST /settings/tokens/remove?id=&id=`: all of them, or none.
pub async fn remove(State(app): State<App>, params: Ids, sent: Sent) -> Result<Response, Refusal> {
    let Sent { visitor, fields } = sent;
    let chosen = several(&app, &visitor, &params).await?;
    let mut draft = Draft::default();
    if confirmed(&app, &visitor, &fields, &mut draft).await? {
        let ids: Vec<String> = chosen.into_iter().map(|token| token.id).collect();
        tokens::remove(&app.store, &visitor.user, &ids, &visitor.entry).await.map_err(refusal)?;
        return Ok(Redirect::to("/settings/tokens?done=removed").into_response());
    }
    Ok(ask_to_remove(draft.status(), &visitor, &chosen, &draft))
}

/// Whether the form holds the visitor's password; says at its field what is wrong otherwise.
async fn confirmed(app: &App, visitor: &Visitor, fields: &Fields, draft: &mut Draft) -> Result<bool, Refusal> {
    if fields.get("password").is_empty() {
        draft.errors.add("password", "Each change takes your password.");
        return Ok(false);
    }
    match people::confirm(&app.store, &visitor.user, &fields.secret("password"), &visitor.entry).await? {
        SignIn::Accepted(_) => return Ok(true),
        SignIn::Refused => draft.errors.add("password", "This is not your password."),
        SignIn::Limited(seconds) => {
            draft.wait = Some(seconds);
            draft.errors.add("password", too_many(seconds));
        }
    }
    Ok(false)
}

/// The ids in a page's address: the list's checkboxes send one each.
pub struct Ids(Vec<String>);

impl<S: Sync> axum::extract::FromRequestParts<S> for Ids {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "id");
        let mut ids: Vec<String> = pairs.map(|(_, id)| id.into_owned()).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(Self(ids))
    }
}

async fn several(app: &App, visitor: &Visitor, Ids(ids): &Ids) -> Result<Vec<Token>, Refusal> {
    let tokens = tokens::list(&app.store, &visitor.user, &[Kind::Access]).await?;
    let chosen: Vec<Token> = tokens.into_iter().filter(|token| ids.contains(&token.id)).collect();
    match (ids.len(), chosen.len()) {
        (0, _) => Err(choose("Choose at least one token in the list first.")),
        (asked, found) if asked == found => Ok(chosen),
        _ => Err(unknown()),
    }
}

async fn one(app: &App, visitor: &Visitor, ids: &Ids) -> Result<Token, Refusal> {
    let mut chosen = several(app, visitor, ids).await?;
    match (chosen.pop(), chosen.is_empty()) {
        (Some(token), true) => Ok(token),
        _ => Err(choose("This is for one token at a time: choose one in the list.")),
    }
}

fn choose(text: &str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Choose a token", text).back(LIST, "Go to the list")
}

fn unknown() -> Refusal {
    Refusal::not_found("There is no such token", "It was removed, or it is not yours. Nothing was changed.")
        .back(LIST, "Go to the list")
}

/// Errors that no field is to blame for.
fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::Store(error) => error.into(),
        TokenError::Unknown { .. } => unknown(),
        other => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Not possible", field::sentence(&other.to_string()))
            .back(LIST, "Go to the list"),
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
        New => ("Generate access token", format!("{LIST}/generate"), "Generate", "The token was not generated."),
        Edit(token) => {
            ("Edit access token", format!("{LIST}/edit?id={}", token.id), "Save", "The token was not changed.")
        }
        Copy(token) => {
            ("Copy access token", format!("{LIST}/copy?id={}", token.id), "Generate copy", "No copy was generated.")
        }
    };
    let content = html! {
        section.card.broad {
            h1 { (title) }
            (draft.errors.summary(failed))
            form method="post" action=(action) novalidate {
                (visitor.seal())
                // Enter in a field presses the first button: that must not be the one that only looks for methods.
                button.hidden type="submit" tabindex="-1" aria-hidden="true" { (button) }
                (draft.fields())
                (methods::choice(draft))
                (password(draft))
                div.actions {
                    button.primary type="submit" { (button) }
                    a.button href=(LIST) { "Cancel" }
                }
            }
            @if let Edit(token) = purpose {
                p.soft {
                    "Value lost? " a href={ (LIST) "/regenerate?id=" (token.id) } { "Regenerate the token" }
                    ": it gets a new value, and the old one stops working."
                }
            }
        }
    };
    answer(status, visitor, draft, title, &content)
}

fn question(status: StatusCode, visitor: &Visitor, token: &Token, draft: &Draft) -> Response {
    let content = Question {
        title: "Regenerate this token?",
        text: html! {
            (subject(token))
            p { "It gets a new value and keeps its settings. The old value stops working at once." }
            (draft.errors.summary("The token was not regenerated."))
        },
        action: &format!("{LIST}/regenerate?id={}", token.id),
        fields: html! {
            @if token.status() == Status::Expired { (draft.expiry_field()) }
            (password(draft))
        },
        button: "Regenerate",
        danger: false,
        back: LIST,
    };
    answer(status, visitor, draft, "Regenerate a token", &content.show(visitor))
}

fn ask_to_remove(status: StatusCode, visitor: &Visitor, chosen: &[Token], draft: &Draft) -> Response {
    let query: Vec<String> = chosen.iter().map(|token| format!("id={}", token.id)).collect();
    let content = Question {
        title: if chosen.len() == 1 { "Remove this token?" } else { "Remove these tokens?" },
        text: html! {
            ul { @for token in chosen { li { (subject(token)) } } }
            p { "Whoever uses one is refused at once. This can't be undone." }
            (draft.errors.summary("Nothing was removed."))
        },
        action: &format!("{LIST}/remove?{}", query.join("&")),
        fields: password(draft),
        button: "Remove",
        danger: true,
        back: LIST,
    };
    answer(status, visitor, draft, "Remove tokens", &content.show(visitor))
}

fn answer(status: StatusCode, visitor: &Visitor, draft: &Draft, title: &str, content: &Markup) -> Response {
    let mut response = layout::page_with(status, visitor, Place::AccessTokens, title, content);
    if let Some(seconds) = draft.wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn password(draft: &Draft) -> Markup {
    field::password("password", "Your password", "Each change of a token takes it.", draft.errors.of("password"))
}

fn subject(token: &Token) -> Markup {
    html! {
        p.subject { strong { (token.name) } " " (layout::status(token.status())) }
        @if let Some(at) = token.expires_at { p.soft { "Expires " (when::day(at)) } }
    }
}
