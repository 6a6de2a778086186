//! Environments as the platform's answers tell them: the fields of its description that this server has something to
//! say in, and beside them those that the product answers and scripts read (`envName`, `shortdomain`, a node's `id`).

use serde_json::{Value, json};

use super::super::account::number;
use super::super::answer::{Answer, date};
use super::store::{Environment, Node};
use super::{DOMAIN, REGION, State};
use crate::instant;

impl Environment {
    /// `my-project.localhost`
    pub fn domain(&self) -> String {
        format!("{}.{DOMAIN}", self.name)
    }
}

impl Node {
    /// Whether it restarts now.
    pub fn is_restarting(&self) -> bool {
        self.ready_at > instant::now()
    }
}

/// `{result, env, nodes, envGroups}`, as getenvinfo answers and getenvs lists.
pub fn answer(environment: &Environment) -> Answer {
    let nodes: Vec<Value> = environment.nodes.iter().map(|each| node(environment, each)).collect();
    Answer::ok().with("env", env(environment)).with("nodes", nodes).with("envGroups", Vec::<Value>::new())
}

/// The same inside of another answer.
pub fn whole(environment: &Environment) -> Value {
    answer(environment).into_value()
}

/// The same without nodes.
pub fn basic(environment: &Environment) -> Value {
    Answer::ok().with("env", env(environment)).with("envGroups", Vec::<Value>::new()).into_value()
}

fn env(environment: &Environment) -> Value {
    json!({
        "appid": environment.id,
        "envName": environment.name,
        "appname": environment.name,
        "shortdomain": environment.name,
        "displayName": environment.display_name,
        "domain": { "domain": environment.domain() },
        "fullDomain": environment.domain(),
        "region": REGION,
        "status": environment.state.number(),
        "createdOn": date(environment.created_at),
        "isTransferring": false,
        "isShared": environment.user_id.is_none(),
        "isBroken": false,
        "uid": environment.user_id.as_deref().map(number),
    })
}

fn node(environment: &Environment, node: &Node) -> Value {
    let first = environment.nodes.iter().find(|other| other.layer == node.layer);
    json!({
        "id": node.id,
        "ctid": node.id,
        "envId": environment.id,
        "nodeGroup": node.layer,
        "nodeType": node.kind,
        "displayName": node.display_name,
        "isMaster": first.is_some_and(|first| first.id == node.id),
        "fixedCloudlets": node.fixed_cloudlets,
        "flexibleCloudlets": node.flexible_cloudlets,
        "dockerTag": node.tag,
        "status": if node.is_restarting() { State::Launching.number() } else { environment.state.number() },
        "url": format!("http://node{}-{}", node.id, environment.domain()),
        "vType": "CT",
    })
}
