//! The list of access tokens under its toolbar. Each row has a checkbox, so that it works with plain forms; the script
//! adds choosing by click, Ctrl and Shift.

use maud::{Markup, html};

use super::super::{layout, when};
use super::LIST;
use crate::store::tokens::Token;

/// Toolbar and table.
pub fn show(tokens: &[Token]) -> Markup {
    html! {
        form method="get" action={ (LIST) "/edit" } {
            div.tools role="group" aria-label="Tools" {
                a.button.primary href={ (LIST) "/generate" } { "Generate" }
                button type="submit" formaction={ (LIST) "/edit" } data-needs="one" { "Edit" }
                button type="submit" formaction={ (LIST) "/copy" } data-needs="one" { "Copy" }
                button type="submit" formaction={ (LIST) "/remove" } data-needs="some" { "Remove" }
                a.button href=(LIST) { "Refresh" }
            }
            @if tokens.is_empty() {
                div.empty.card {
                    h2 { "No access tokens yet" }
                    p { "Generate one for each script, with just the methods that it calls." }
                }
            } @else {
                div.card.flush {
                    table role="table" data-choose {
                        caption.hidden { "Your access tokens" }
                        thead role="rowgroup" {
                            tr role="row" {
                                th role="columnheader" scope="col" { span.hidden { "Chosen" } }
                                th role="columnheader" scope="col" { "Description" }
                                th role="columnheader" scope="col" { "API" }
                                th role="columnheader" scope="col" { "Status" }
                                th role="columnheader" scope="col" { "Expires at" }
                                th role="columnheader" scope="col" { "Last used" }
                            }
                        }
                        tbody role="rowgroup" { @for token in tokens.iter().rev() { (row(token)) } }
                    }
                }
                p.hint { "Choose several with Shift and Ctrl, or check them." }
            }
        }
    }
}

fn row(token: &Token) -> Markup {
    let id = format!("token-{}", token.id);
    html! {
        tr role="row" {
            td.tick role="cell" {
                input type="checkbox" name="id" value=(token.id) aria-labelledby=(id) data-row autocomplete="off";
            }
            th role="rowheader" scope="row" id=(id) { (token.description) }
            td role="cell" data-label="API" { span { (scope(token)) } }
            td role="cell" data-label="Status" { (layout::status(token.status())) }
            td role="cell" data-label="Expires at" {
                @match token.expires_at {
                    Some(at) => span { (when::dashed_day(at)) },
                    None => "Never",
                }
            }
            td role="cell" data-label="Last used" {
                @match token.last_used_at { Some(at) => (when::ago(at)), None => span.soft { "Never" } }
            }
        }
    }
}

fn scope(token: &Token) -> String {
    match (&token.scope.template, &token.scope.methods) {
        (_, Some(list)) => format!("Custom, {} method{}", list.len(), if list.len() == 1 { "" } else { "s" }),
        (Some(name), None) => name.clone(),
        (None, None) => "Everything".into(),
    }
}
