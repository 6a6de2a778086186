//! Calls about an environment's nodes. A node restarts, or is deployed anew, only where its environment runs: anything
//! else is the platform's "node operation failed".

use serde_json::{Value, json};

use super::super::answer::{Answer, Outcome, Refusal, code};
use super::super::call::Call;
use super::super::caller::Caller;
use super::store::{self, Begun};
use super::{Environment, Node, State, definition, found, no_such_environment, takes, wait};
use crate::api::App;

/// `environment/control/restartnodes`: of a layer, or one, or all.
pub async fn restart(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let chosen = chosen(&environment, call)?;
    for outcome in restarted(app, caller, &environment, &chosen, None).await? {
        outcome?;
    }
    Ok(Answer::ok())
}

/// `environment/control/restartnodebyid`
pub async fn restart_one(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let node = node(&environment, call.required_number("nodeId")?)?;
    for outcome in restarted(app, caller, &environment, &[node], None).await? {
        outcome?;
    }
    Ok(Answer::ok()
        .with("nodeId", node.id)
        .with("name", "restart")
        .with("out", "")
        .with("errOut", "")
        .with("exitStatus", 0))
}

/// `environment/control/restartcontainerbyid`
pub async fn restart_container(app: &App, caller: &Caller, call: &Call) -> Outcome {
    restart_one(app, caller, call).await.map(|_| Answer::ok())
}

/// `environment/control/restartservices`: each node's failure stands in its own response.
pub async fn restart_services(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let chosen = chosen(&environment, call)?;
    let outcomes = restarted(app, caller, &environment, &chosen, None).await?;
    Ok(responses(&chosen, outcomes))
}

/// `environment/control/redeploycontainerbyid`, `redeploycontainersbygroup`, and `redeploycontainers`, which is either:
/// each node's failure stands in its own response. Nodes hold no data here, so nothing becomes of volumes.
pub async fn redeploy(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let tag = call.required("tag")?;
    if !definition::is_word(tag) {
        return Err(Refusal::parameter("tag", definition::WORD));
    }
    let environment = found(app, caller, call.required("envName")?).await?;
    if call.text("nodeId").or(call.text("nodeGroup")).is_none() {
        return Err(Refusal::parameter("nodeGroup", "is missing, and so is 'nodeId': one of them says what to deploy"));
    }
    let chosen = chosen(&environment, call)?;
    let outcomes = restarted(app, caller, &environment, &chosen, Some(tag)).await?;
    Ok(responses(&chosen, outcomes))
}

/// `environment/control/execcmdbyid` and `execcmdbygroup`: refused, after what the platform would check too. No
/// machine stands behind a node, and a made-up output would have a script believe what did not happen.
pub async fn execute(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    chosen(&environment, call)?;
    let commands = definition::json(call, "commandList")?;
    let is_command =
        |command: &Value| command.get("command").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let are_commands = match commands.as_array() {
        Some(commands) => !commands.is_empty() && commands.iter().all(is_command),
        None => is_command(&commands),
    };
    if !are_commands {
        return Err(Refusal::parameter(
            "commandList",
            "is no list of commands like [{\"command\":\"…\",\"params\":\"…\"}]",
        ));
    }
    if environment.state != State::Running {
        return Err(failed("run a command", environment.state));
    }
    let what = "this server runs no commands: no machine stands behind its nodes, and nothing was done";
    Err(Refusal::new(code::NOT_SERVED, what))
}

/// `{responses: […]}`: what became of each node.
fn responses(nodes: &[&Node], outcomes: Vec<Result<(), Refusal>>) -> Answer {
    let responses = nodes.iter().zip(outcomes).map(|(node, outcome)| {
        let mut response = match outcome {
            Ok(()) => json!({ "result": 0, "out": "", "errOut": "", "exitStatus": 0 }),
            Err(refusal) => refusal.into_value(),
        };
        if let Some(fields) = response.as_object_mut() {
            fields.insert("nodeId".into(), node.id.into());
        }
        response
    });
    Answer::ok().with("responses", responses.collect::<Vec<Value>>())
}

/// `environment/control/setnodedisplayname`
pub async fn rename(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let node = node(&environment, call.required_number("nodeId")?)?;
    let display_name = definition::read_display_name(call.text("displayName").unwrap_or_default())?;
    let (user, entry) = (&caller.user, &caller.entry);
    if store::rename(&app.store, user, &environment.name, Some(node.id), &display_name, entry).await? {
        return Ok(Answer::ok());
    }
    Err(no_such_environment(&environment.name))
}

/// The node of `nodeId`, those of `nodeGroup`, or all.
fn chosen<'e>(environment: &'e Environment, call: &Call) -> Result<Vec<&'e Node>, Refusal> {
    if let Some(id) = call.number("nodeId")? {
        return Ok(vec![node(environment, id)?]);
    }
    let Some(layer) = call.text("nodeGroup") else { return Ok(environment.nodes.iter().collect()) };
    let chosen: Vec<_> = environment.nodes.iter().filter(|node| node.layer.eq_ignore_ascii_case(layer)).collect();
    if chosen.is_empty() {
        let layer: String = layer.chars().take(100).collect();
        let what = format!("the environment '{}' has no layer '{layer}'", environment.name);
        return Err(Refusal::new(code::NOT_FOUND, what));
    }
    Ok(chosen)
}

fn node(environment: &Environment, id: i64) -> Result<&Node, Refusal> {
    let found = environment.nodes.iter().find(|node| node.id == id);
    let what = || format!("the environment '{}' has no node {id}", environment.name);
    found.ok_or_else(|| Refusal::new(code::NOT_FOUND, what()))
}

/// Restarts nodes, from another version where a tag names one, and waits until they are ready: what became of each.
async fn restarted(
    app: &App,
    caller: &Caller,
    environment: &Environment,
    nodes: &[&Node],
    tag: Option<&str>,
) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let ids: Vec<i64> = nodes.iter().map(|node| node.id).collect();
    let (user, name) = (&caller.user, &environment.name);
    let begun = store::restart(&app.store, user, name, &ids, tag, takes(app), &caller.entry).await?;
    match begun {
        Begun::Until(at) => wait(at).await,
        Begun::Already => {}
        Begun::In(state) => return Ok(nodes.iter().map(|_| Err(failed("restart", state))).collect()),
        Begun::Unknown => return Err(no_such_environment(&environment.name)),
    }
    Ok(nodes.iter().map(|_| Ok(())).collect())
}

/// Without the node's number: an answer names each of its responses by it.
fn failed(to: &str, state: State) -> Refusal {
    Refusal::new(code::NODE_FAILED, format!("the environment is {}, and its nodes cannot {to}", state.text()))
}
