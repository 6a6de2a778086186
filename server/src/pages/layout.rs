//! The frame of every page: where one is, where one can go, who one is.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::ASSETS;
use super::visitor::Visitor;
use crate::store::tokens::Status;

/// The parts of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What the server holds.
    Packages,
    /// The platform side's.
    Environments,
    /// Who did what.
    Audit,
    /// The user menu's.
    PersonalTokens,
    /// The settings'.
    AccessTokens,
    /// One's own.
    Account,
}

/// A page of somebody who is signed in.
pub fn page(visitor: &Visitor, place: Place, title: &str, content: &Markup) -> Response {
    page_with(StatusCode::OK, visitor, place, title, content)
}

/// The same with a status: a form that could not be taken is shown again.
pub fn page_with(status: StatusCode, visitor: &Visitor, place: Place, title: &str, content: &Markup) -> Response {
    let body = html! {
        (top(visitor, place))
        main #main tabindex="-1" { (content) }
    };
    (status, Html(document(title, &body).into_string())).into_response()
}

/// A page of nobody in particular.
pub fn bare(title: &str, content: &Markup) -> Markup {
    document(title, &html! { main #main.bare tabindex="-1" { (mark()) (content) } })
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · uss" }
                link rel="stylesheet" href=(ASSETS.style.path());
                link rel="icon" type="image/svg+xml" href=(ASSETS.icon.path());
                script src=(ASSETS.script.path()) defer {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (body)
            }
        }
    }
}

fn mark() -> Markup {
    html! { a.mark href="/" { img src=(ASSETS.icon.path()) alt="" width="28" height="28"; span { "uss" } } }
}

fn top(visitor: &Visitor, here: Place) -> Markup {
    let link = |place: Place, path: &str, words: &str| {
        html! { a href=(path) aria-current=[(place == here).then_some("page")] { (words) } }
    };
    html! {
        header.top {
            div.inner {
                (mark())
                nav aria-label="Main" {
                    (link(Place::Packages, "/packages", "Packages"))
                    (link(Place::Environments, "/environments", "Environments"))
                    @if visitor.user.admin { (link(Place::Audit, "/audit", "Audit")) }
                }
                details.menu {
                    summary { span.hidden { "User menu: " } span.who { (visitor.user.full_name()) } }
                    div.items {
                        p.soft { "Signed in as " strong { (visitor.user.name) } }
                        nav aria-label="User" {
                            (link(Place::PersonalTokens, "/tokens", "Personal Tokens"))
                            (link(Place::AccessTokens, "/settings/tokens", "Access Tokens"))
                            (link(Place::Account, "/account", "Account"))
                        }
                        form method="post" action="/sign-out" {
                            (visitor.seal())
                            button.quiet type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }
}

/// A heading with what can be done about the page's subject.
pub fn heading(title: &str, intro: &str, actions: &Markup) -> Markup {
    html! {
        div.heading {
            div { h1 { (title) } @if !intro.is_empty() { p.soft { (intro) } } }
            div.actions { (actions) }
        }
    }
}

/// What has just been done.
pub fn done(text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text { div.notice.good role="status" tabindex="-1" data-result { p { (text) } } }
    }
}

/// A token's status, by a word, a shape and a colour.
pub fn status(status: Status) -> Markup {
    let (class, word) = match status {
        Status::Active => ("good", "Active"),
        Status::Expired => ("warn", "Expired"),
        Status::Revoked => ("bad", "Revoked"),
    };
    html! { span class={ "pill " (class) } { (word) } }
}

/// A page that asks before something is done: a sentence, a button, and a way back.
pub struct Question<'a> {
    /// In the heading.
    pub title: &'a str,
    /// What will happen.
    pub text: Markup,
    /// Where it is sent.
    pub action: &'a str,
    /// More of the form.
    pub fields: Markup,
    /// On the button.
    pub button: &'a str,
    /// It cannot be undone.
    pub danger: bool,
    /// Where to go instead.
    pub back: &'a str,
}

impl Question<'_> {
    /// The content of the page.
    pub fn show(&self, visitor: &Visitor) -> Markup {
        html! {
            section.card.narrow {
                h1 { (self.title) }
                (self.text)
                form method="post" action=(self.action) novalidate {
                    (visitor.seal())
                    (self.fields)
                    div.actions {
                        button class=(if self.danger { "danger" } else { "primary" }) type="submit" { (self.button) }
                        a.button href=(self.back) { "Cancel" }
                    }
                }
            }
        }
    }
}
