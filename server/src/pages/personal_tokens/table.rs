//! The list of tokens: narrowed by words and by status, by the server or while one types.

use maud::{Markup, html};

use super::super::{layout, when};
use crate::api::params::Params;
use crate::store::tokens::{Status, Token};
use crate::tokens::Kind;

/// Which tokens are to be seen.
pub struct Wanted {
    words: String,
    status: Option<Status>,
}

impl Wanted {
    /// From the page's address.
    pub fn of(params: &Params) -> Self {
        let status = match params.get("status") {
            Some("active") => Some(Status::Active),
            Some("expired") => Some(Status::Expired),
            Some("revoked") => Some(Status::Revoked),
            _ => None,
        };
        Self { words: params.get("filter").unwrap_or_default().chars().take(200).collect(), status }
    }

    fn holds(&self, token: &Token) -> bool {
        let text = format!("{} {}", token.name, token.description).to_lowercase();
        self.status.is_none_or(|status| status == token.status())
            && self.words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// Filter and table.
pub fn show(tokens: &[Token], wanted: &Wanted) -> Markup {
    // Newest first: what was just made is on top.
    let seen: Vec<&Token> = tokens.iter().rev().filter(|token| wanted.holds(token)).collect();
    let count = match (seen.len(), tokens.len()) {
        (1, 1) => "1 token".to_owned(),
        (seen, all) if seen == all => format!("{all} tokens"),
        (seen, all) => format!("{seen} of {all} tokens"),
    };
    html! {
        @if tokens.is_empty() {
            div.empty.card {
                h2 { "No tokens yet" }
                p { "Make one for each script or machine, so that you can revoke it without touching the others." }
            }
        } @else {
            form.filter role="search" method="get" action="/tokens" {
                div {
                    label for="filter" { "Filter" }
                    input #filter type="search" name="filter" value=(wanted.words) autocomplete="off"
                        placeholder="Name or description" data-filter="tokens";
                }
                div {
                    label for="status" { "Status" }
                    select #status name="status" data-filter-status="tokens" {
                        (option("", "All", wanted.status.is_none()))
                        (option("active", "Active", wanted.status == Some(Status::Active)))
                        (option("expired", "Expired", wanted.status == Some(Status::Expired)))
                        (option("revoked", "Revoked", wanted.status == Some(Status::Revoked)))
                    }
                }
                button type="submit" { "Apply" }
                p.count role="status" data-count="tokens" { (count) }
            }
            div.card.flush {
                table #tokens role="table" data-whole=[(seen.len() == tokens.len()).then_some("token")] {
                    caption.hidden { "Your personal tokens" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "Name" }
                            th role="columnheader" scope="col" { "Status" }
                            th role="columnheader" scope="col" { "Expires" }
                            th role="columnheader" scope="col" { "Last used" }
                            th role="columnheader" scope="col" { span.hidden { "Actions" } }
                        }
                    }
                    tbody role="rowgroup" { @for token in &seen { (row(token)) } }
                }
                p.nothing hidden[!seen.is_empty()] data-nothing="tokens" { "No token is like that." }
            }
        }
    }
}

fn option(value: &str, words: &str, chosen: bool) -> Markup {
    html! { option value=(value) selected[chosen] { (words) } }
}

fn row(token: &Token) -> Markup {
    let status = token.status();
    let word = format!("{status:?}").to_lowercase();
    html! {
        tr role="row" data-status=(word) {
            th.name role="rowheader" scope="row" {
                span data-text { (token.name) }
                @if token.kind == Kind::ClientService { " " span.tag { "client service" } }
                @if !token.description.is_empty() { p.soft data-text { (token.description) } }
            }
            td role="cell" data-label="Status" { (layout::status(status)) }
            td role="cell" data-label="Expires" {
                @match token.expires_at { Some(at) => { (when::day_and_distance(at)) } None => { "Never" } }
            }
            td role="cell" data-label="Last used" {
                @match token.last_used_at {
                    Some(at) => span {
                        (when::ago(at))
                        @if let Some(from) = &token.last_used_from { " " span.soft { "from " (from) } }
                    },
                    None => { span.soft { "Never" } }
                }
            }
            td.links role="cell" {
                @if status != Status::Revoked {
                    (link(token, "edit", "Edit"))
                    (link(token, "regenerate", "Regenerate"))
                }
                (link(token, "copy", "Copy"))
                @if status == Status::Revoked { (link(token, "remove", "Remove")) } @else {
                    (link(token, "revoke", "Revoke"))
                }
            }
        }
    }
}

/// Links of one word are told apart by the token's name, for those who hear them.
fn link(token: &Token, path: &str, words: &str) -> Markup {
    html! { a href={ "/tokens/" (token.id) "/" (path) } { (words) span.hidden { " " (token.name) } } }
}
