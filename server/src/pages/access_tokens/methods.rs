//! What a token may call: a set that has a name, or a list of one's own; and what each method is.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use uss::virtuozzo::methods::Method;

use super::super::Refusal;
use super::super::layout::{self, Place};
use super::super::visitor::Visitor;
use super::draft::{CUSTOM, Draft};
use crate::platform::methods;

/// Sets as radio buttons, and the list behind the last of them.
pub fn choice(draft: &Draft) -> Markup {
    let error = draft.errors.of("methods");
    html! {
        fieldset.choices #methods role="radiogroup" tabindex="-1" aria-describedby=[error.map(|_| "methods-error")]
            aria-invalid=[error.map(|_| "true")] {
            legend { "API" }
            @if let Some(error) = error { p.error #methods-error { (error) } }
            @for template in methods::templates() {
                (set(draft, template.name, template.name, &format!("{} {} methods.", template.summary, template.methods().count())))
            }
            (set(draft, CUSTOM, "Custom", "The methods that you check."))
        }
        div.field data-custom { (list(draft)) }
    }
}

fn set(draft: &Draft, value: &str, label: &str, hint: &str) -> Markup {
    let id = format!("set-{}", value.to_lowercase().replace(' ', "-"));
    html! {
        div.choice {
            input type="radio" name="set" id=(id) value=(value) checked[draft.set == value]
                aria-describedby={ (id) "-hint" };
            label for=(id) { (label) }
            p.hint id={ (id) "-hint" } { (hint) }
        }
    }
}

/// Methods by service. Where there is no script, those that are not to be seen keep their check in hidden fields.
fn list(draft: &Draft) -> Markup {
    let words: Vec<&str> = draft.search.split_whitespace().collect();
    let seen = |method: &Method| {
        let path = method.path();
        words.iter().all(|word| path.contains(word) || method.summary.to_lowercase().contains(word))
            && (!draft.only_checked || draft.chosen.contains(&path))
    };
    let (shown, unseen): (Vec<&Method>, Vec<&Method>) = methods::all().partition(|method| seen(method));
    let mut service = "";
    html! {
        @for method in unseen {
            @if draft.chosen.contains(&method.path()) { input type="hidden" name="method" value=(method.path()); }
        }
        div.filter {
            div {
                label for="search" { "Search methods" }
                input #search type="search" name="search" value=(draft.search) autocomplete="off" data-method-search;
            }
            div.inline {
                input #only-checked type="checkbox" name="only-checked" checked[draft.only_checked] data-only-checked;
                label for="only-checked" { "Only checked" }
            }
            button type="submit" name="do" value="look" data-without-script { "Show" }
            p.count role="status" data-method-count {
                (draft.chosen.len()) " of " (methods::all().count()) " methods checked"
            }
        }
        // By keyboard, the form goes on behind hundreds of methods.
        a.skip href="#password" { "Skip the methods" }
        div.methods role="group" aria-label="Methods" data-methods tabindex="0" {
            @for method in shown {
                @if method.service != service { p.group { (method.service) } }
                ({ service = method.service; html! {} })
                (line(method, draft))
            }
        }
    }
}

fn line(method: &Method, draft: &Draft) -> Markup {
    let path = method.path();
    let id = path.replace('/', "-");
    html! {
        div.method {
            input type="checkbox" name="method" id=(id) value=(path) checked[draft.chosen.contains(&path)];
            label for=(id) { (method.name) @if !method.summary.is_empty() { " " span.soft { (method.summary) } } }
            a href={ "/settings/methods/" (path) } target="_blank" rel="noopener" {
                "Docs" span.hidden { " of " (path) ", in a new tab" }
            }
        }
    }
}

/// `GET /settings/methods/{group}/{service}/{name}`: what a method takes and does.
pub async fn document(visitor: Visitor, Path(parts): Path<(String, String, String)>) -> Result<Response, Refusal> {
    let path = format!("{}/{}/{}", parts.0, parts.1, parts.2);
    let Some(method) = methods::all().find(|method| method.path() == path) else {
        return Err(Refusal::not_found("There is no such method", "No token can be made for a method of this name.")
            .back("/settings/tokens", "Go to the access tokens"));
    };
    let sets: Vec<&str> = methods::templates().iter().filter(|set| set.holds(method)).map(|set| set.name).collect();
    let content = html! {
        (layout::heading(&path, method.summary, &html! {}))
        dl.facts.card {
            dt { "Address" } dd { code { (method.route()) } }
            dt { "Changes something" } dd { (if method.asks() { "No, it only asks" } else { "Yes" }) }
            dt { "In the sets" } dd { (sets.join(", ")) }
        }
        @if !method.parameters.is_empty() {
            div.card.flush {
                table role="table" {
                    caption.hidden { "Parameters" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "Parameter" }
                            th role="columnheader" scope="col" { "Needed" }
                            th role="columnheader" scope="col" { "Holds" }
                        }
                    }
                    tbody role="rowgroup" {
                        @for parameter in &method.parameters {
                            tr role="row" {
                                th role="rowheader" scope="row" { code { (parameter.name) } }
                                td role="cell" data-label="Needed" { span { (if parameter.required { "Yes" } else { "No" }) } }
                                td role="cell" data-label="Holds" { span { (parameter.kind) } }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(layout::page(&visitor, Place::AccessTokens, &path, &content))
}
