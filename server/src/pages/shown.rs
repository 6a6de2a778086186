//! A token's value, on the one page that ever shows it. The page answers the form that made the value, so there is no
//! address to come back to: the form counts once, and the browser is told to keep nothing.

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use url::form_urlencoded::byte_serialize;
use uss::Secret;

use super::layout::{self, Place};
use super::visitor::Visitor;
use crate::store::tokens::Token;

/// The page. `list` is where the token is from now on.
pub fn page(visitor: &Visitor, place: Place, token: &Token, value: &Secret, list: &'static str) -> Response {
    let value = value.expose();
    let encoded: String = byte_serialize(value.as_bytes()).collect();
    let file: String =
        token.name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).take(40).collect();
    let content = html! {
        section.card.narrow data-once=(list) {
            h1 tabindex="-1" data-result { "Copy the value now" }
            p.subject { strong { (token.name) } " " (layout::status(token.status())) }
            div.notice.warn { p { "This is the only time that it is shown. Keep it like a password." } }
            div.field {
                label for="value" { "Value of the token" }
                textarea.value #value readonly rows="3" autocomplete="off" spellcheck="false" { (value) }
            }
            div.actions {
                button.primary type="button" data-copy="value" hidden { "Copy" }
                // A link with the value in it: no second request, so no second chance to see it.
                a.button download={ (file) ".token.txt" } href={ "data:text/plain;charset=utf-8," (encoded) } { "Download" }
                a.button href=(list) { "Done" }
            }
            p.soft role="status" data-copied hidden { "Copied." }
            @if place == Place::PersonalTokens {
                h2 { "Use it in PowerShell" }
                pre tabindex="0" aria-label="Example" {
                    "$Credential = Get-Credential -UserName '" (visitor.user.name.replace('\'', "''")) "'   # paste the value\n"
                    "Connect-UssServer -Server '" (visitor.origin) "' -Credential $Credential"
                }
            } @else {
                h2 { "Use it" }
                p.soft { "Give it as the parameter " code { "session" } " of a call." }
            }
        }
    };
    layout::page_with(StatusCode::OK, visitor, place, "Value of a token", &content)
}
