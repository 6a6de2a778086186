//! The platform side's environments and their state, so that a call can be seen to have changed one.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, Place};
use super::visitor::Visitor;
use super::{Refusal, when};
use crate::api::App;
use crate::instant;
use crate::platform::environments::{self, Environment, State as EnvironmentState};

/// `GET /environments`
pub async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Refusal> {
    let found = environments::those_of(&app.store, &visitor.user).await?;
    let content = html! {
        (layout::heading(
            "Environments",
            "The platform's side: what its calls start, stop and change.",
            &html! { a.button href="/environments" { "Refresh" } },
        ))
        @if found.is_empty() {
            div.empty.card {
                h2 { "No environments yet" }
                p { "The platform's call " code { "environment/control/createenvironment" } " makes one." }
            }
        } @else {
            div.card.flush {
                table role="table" {
                    caption.hidden { "Environments" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "Environment" }
                            th role="columnheader" scope="col" { "State" }
                            th role="columnheader" scope="col" { "Nodes" }
                            th role="columnheader" scope="col" { "Created" }
                        }
                    }
                    tbody role="rowgroup" { @for environment in &found { (row(environment)) } }
                }
            }
        }
    };
    Ok(layout::page(&visitor, Place::Environments, "Environments", &content))
}

fn row(environment: &Environment) -> Markup {
    html! {
        tr role="row" {
            th role="rowheader" scope="row" {
                (environment.name)
                @if environment.user_id.is_none() { " " span.tag { "everybody's" } }
                @if environment.display_name != environment.name { p.soft { (environment.display_name) } }
                p.soft.mono { (environment.domain()) }
            }
            td role="cell" data-label="State" { (state(environment.state)) }
            td role="cell" data-label="Nodes" {
                ul.plain {
                    @for node in &environment.nodes {
                        li {
                            (node.kind) " " span.soft { (node.layer) }
                            @if node.ready_at > instant::now() { " " span.tag { "restarting" } }
                        }
                    }
                }
            }
            td role="cell" data-label="Created" { (when::ago(environment.created_at)) }
        }
    }
}

/// By a word, a shape and a colour.
fn state(state: EnvironmentState) -> Markup {
    let class = match state {
        EnvironmentState::Running => "good",
        EnvironmentState::Broken | EnvironmentState::NotExists => "bad",
        EnvironmentState::Down | EnvironmentState::Sleep => "calm",
        _ => "warn",
    };
    html! { span class={ "pill " (class) } { (super::field::capital(state.text())) } }
}
