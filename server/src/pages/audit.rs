//! Who did what, when, from where. For administrators.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::layout::{self, Place};
use super::visitor::Visitor;
use super::{Refusal, when};
use crate::api::App;
use crate::api::params::Params;
use crate::store::audit::{self, Line, Search};

/// Lines in a page.
const PAGE: i64 = 100;

/// `GET /audit?actor=&action=&text=&before=`
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Refusal> {
    visitor.require_admin()?;
    let text = |name| params.get(name).unwrap_or_default().trim().chars().take(200).collect::<String>();
    let (actor, action) = (text("actor"), text("action"));
    let before = params.get("before").and_then(audit::place);
    let search = Search { actor: actor.clone(), action: action.clone(), before: before.clone(), limit: PAGE };
    let lines = audit::list(&app.store.database, &search).await?;
    let next = lines.end().map(|last| address(&actor, &action, &last.place()));
    let content = html! {
        (layout::heading("Audit", "Each change, and each sign-in that was refused. Newest first, times in UTC.", &html! {}))
        form.filter role="search" method="get" action="/audit" {
            div { label for="actor" { "Who" } input #actor type="search" name="actor" value=(actor) autocomplete="off"; }
            div {
                label for="action" { "What" }
                input #action type="search" name="action" value=(action) autocomplete="off" placeholder="token, package, user …";
            }
            button type="submit" { "Filter" }
        }
        @if lines.rows.is_empty() {
            div.empty.card { h2 { "Nothing found" } p { a href="/audit" { "Show all" } } }
        } @else {
            div.card.flush {
                table role="table" {
                    caption.hidden { "Audit" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "When" }
                            th role="columnheader" scope="col" { "Who" }
                            th role="columnheader" scope="col" { "What" }
                            th role="columnheader" scope="col" { "On" }
                            th role="columnheader" scope="col" { "Outcome" }
                            th role="columnheader" scope="col" { "From" }
                        }
                    }
                    tbody role="rowgroup" { @for line in &lines.rows { (row(line)) } }
                }
            }
            nav.pages aria-label="Pages" {
                @if before.is_some() { a.button href=(address(&actor, &action, "")) { "Newest" } }
                @if let Some(next) = next { a.button href=(next) { "Older" } }
            }
        }
    };
    Ok(layout::page(&visitor, Place::Audit, "Audit", &content))
}

fn address(actor: &str, action: &str, before: &str) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in [("actor", actor), ("action", action), ("before", before)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("/audit?{}", query.finish())
}

fn row(line: &Line) -> Markup {
    html! {
        tr role="row" {
            td role="cell" data-label="When" {
                time.short datetime=(crate::instant::round_trip(line.at)) { (when::moment(line.at)) }
            }
            td role="cell" data-label="Who" { span.short { (line.actor) } }
            td role="cell" data-label="What" { code.short { (line.action) } }
            td role="cell" data-label="On" { span { (line.target) } }
            td role="cell" data-label="Outcome" { span.short { (line.outcome) } }
            td role="cell" data-label="From" {
                @match &line.address { Some(address) => span { (address) }, None => span.soft.short { "This machine" } }
            }
        }
    }
}
