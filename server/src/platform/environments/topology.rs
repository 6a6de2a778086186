//! `environment/control/changetopology`: which nodes an environment is to have. `nodes` tells of all of them, as scripts
//! do that read getenvinfo, change a count, and send it back: what it does not tell of goes.

use super::super::answer::{Answer, Outcome, Refusal};
use super::super::call::Call;
use super::super::caller::Caller;
use super::definition::{self, Wanted};
use super::store::{self, Begun, NewNode, Node};
use super::{State, describe, found, settled, takes};
use crate::api::App;
use crate::instant;
use crate::store::audit::{self, Entry};
use crate::store::users::User;
use crate::store::{Store, StoreError};

/// What becomes of an environment's nodes.
#[derive(Debug)]
struct Arranged {
    /// In their places: a node that stays, by its id, or a new one.
    nodes: Vec<(Option<i64>, NewNode)>,
    /// Those that go.
    gone: Vec<i64>,
}

/// Answers when it is done; the environment then is in the state that it was in.
pub async fn change(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let wanted = definition::read_nodes(call)?;
    let env = definition::json(call, "env")?;
    let text = |name: &str| env.get(name).and_then(serde_json::Value::as_str);
    if text("shortdomain").is_some_and(|name| !name.eq_ignore_ascii_case(&environment.name)) {
        return Err(Refusal::parameter("env.shortdomain", "is another one; an environment keeps its name"));
    }
    let display_name = text("displayName").map(definition::read_display_name).transpose()?;
    let name = &environment.name;
    let begun = begin(&app.store, &caller.user, name, &wanted, display_name, takes(app), &caller.entry).await?;
    settled(name, begun).await?;
    Ok(Answer::ok().with("response", describe::whole(&found(app, caller, name).await?)))
}

/// Whom a node is taken for goes by layer and type; of a layer that gets smaller, the last nodes go.
fn arrange(wanted: &[Wanted], current: &[Node]) -> Arranged {
    let mut left: Vec<&Node> = current.iter().collect();
    let mut nodes = Vec::new();
    for wanted in wanted {
        for _ in 0..wanted.count {
            let at = left.iter().position(|node| wanted.is_of(node));
            let stays = at.map(|at| left.remove(at));
            // A new node is like the others of its layer.
            let mut node = wanted.node(stays.or_else(|| current.iter().find(|node| wanted.is_of(node))));
            if let Some(stays) = stays.filter(|_| node.display_name.is_empty()) {
                node.display_name.clone_from(&stays.display_name);
            }
            nodes.push((stays.map(|node| node.id), node));
        }
    }
    Arranged { nodes, gone: left.iter().map(|node| node.id).collect() }
}

/// Begins the change, which takes `takes` microseconds. The nodes are what they will be from now on; the state tells
/// that they are not ready.
async fn begin(
    store: &Store,
    user: &User,
    name: &str,
    wanted: &[Wanted],
    display_name: Option<String>,
    takes: i64,
    by: &Entry,
) -> Result<Begun, StoreError> {
    let mut transaction = store.database.write().await?;
    let Some(environment) = store::find_in(&mut transaction, user, name).await? else { return Ok(Begun::Unknown) };
    if !matches!(environment.state, State::Running | State::Down | State::Sleep) {
        return Ok(Begun::In(environment.state));
    }
    let arranged = arrange(wanted, &store::nodes_of(&mut *transaction, &environment.id).await?);
    for id in &arranged.gone {
        sqlx::query("DELETE FROM nodes WHERE id = $1").bind(*id).execute(&mut *transaction).await?;
    }
    for (place, (id, node)) in (0..).zip(&arranged.nodes) {
        let Some(id) = id else {
            store::insert(&mut transaction, &environment.id, place, node).await?;
            continue;
        };
        sqlx::query(
            "UPDATE nodes SET place = $1, display_name = $2, fixed_cloudlets = $3, flexible_cloudlets = $4, tag = $5 \
             WHERE id = $6",
        )
        .bind(place)
        .bind(node.display_name.clone())
        .bind(node.fixed_cloudlets)
        .bind(node.flexible_cloudlets)
        .bind(node.tag.clone())
        .bind(*id)
        .execute(&mut *transaction)
        .await?;
    }
    let until = instant::now() + takes;
    sqlx::query("UPDATE environments SET state = $1, settled = $2, settles_at = $3, display_name = $4 WHERE id = $5")
        .bind(State::Updating.number())
        .bind(environment.state.number())
        .bind(until)
        .bind(display_name.unwrap_or(environment.display_name))
        .bind(environment.id)
        .execute(&mut *transaction)
        .await?;
    let target = format!("{} ({} nodes)", environment.name, arranged.nodes.len());
    audit::write_in(&mut transaction, by, "environment.change", &target, "begun").await?;
    transaction.commit().await?;
    Ok(Begun::Until(until))
}
