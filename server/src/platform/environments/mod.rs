//! Environments: rows with states that take time. A call that changes one answers when the change is done, as the
//! platform does; whoever goes away in between finds it done all the same.

mod definition;
pub mod demo;
mod describe;
pub mod nodes;
mod state;
mod store;
mod topology;

use std::time::Duration;

use serde_json::{Value, json};

pub use state::{Change, State};
pub use store::{Environment, Node, list as those_of};
pub use topology::change as change_topology;

use super::answer::{Answer, Outcome, Refusal, code};
use super::authentication::confirm;
use super::call::Call;
use super::caller::Caller;
use crate::api::App;
use crate::instant;
use crate::store::users::User;
use crate::store::{Store, StoreError};
use definition::read_name;
use store::{Begun, Made, NewEnvironment, NewNode};

/// What the domains of environments end with: a name that is reserved for tests (RFC 6761, section 6.3), as nothing
/// is served there.
const DOMAIN: &str = "localhost";

/// The one region.
const REGION: &str = "default";

/// The user's environments and everybody's, by name.
pub async fn all(store: &Store, user: &User) -> Result<Vec<Environment>, StoreError> {
    store::list(store, user).await
}

/// `environment/control/createenvironment`. Its failures come inside of `response`, as those of the platform's scripts do.
pub async fn create(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let new = definition::read(call, &caller.user)?;
    let answered = match make(app, caller, &new).await {
        Ok(environment) => describe::whole(&environment),
        Err(refusal) => refusal.into_value(),
    };
    Ok(Answer::ok().with("response", answered))
}

/// `environment/control/cloneenv`
pub async fn clone(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let source = found(app, caller, call.required("srcEnvName")?).await?;
    let name = read_name("dstEnvName", call.required("dstEnvName")?)?;
    if source.settles_at.is_some() {
        return Err(wrong_state(source.state));
    }
    let copy = |node: &Node| NewNode {
        layer: node.layer.clone(),
        kind: node.kind.clone(),
        display_name: node.display_name.clone(),
        fixed_cloudlets: node.fixed_cloudlets,
        flexible_cloudlets: node.flexible_cloudlets,
        tag: node.tag.clone(),
    };
    let new = NewEnvironment {
        display_name: source.display_name.clone(),
        user_id: Some(caller.user.id.clone()),
        states: (State::Cloning, source.state),
        nodes: source.nodes.iter().map(copy).collect(),
        name,
    };
    let environment = make(app, caller, &new).await?;
    Ok(describe::answer(&environment))
}

async fn make(app: &App, caller: &Caller, new: &NewEnvironment) -> Result<Environment, Refusal> {
    match store::make(&app.store, new, takes(app), &caller.entry).await? {
        Made::Until(at) => wait(at).await,
        Made::NameTaken => return Err(busy(&new.name)),
        Made::TooMany => {
            let what = format!("the account holds {} environments, and may not have more", store::MOST);
            return Err(Refusal::new(code::TOO_MANY, what));
        }
    }
    found(app, caller, &new.name).await
}

/// `environment/control/startenv`
pub async fn start(app: &App, caller: &Caller, call: &Call) -> Outcome {
    change(app, caller, call, Change::Start).await
}

/// `environment/control/stopenv`
pub async fn stop(app: &App, caller: &Caller, call: &Call) -> Outcome {
    change(app, caller, call, Change::Stop).await
}

/// `environment/control/sleepenv`
pub async fn sleep(app: &App, caller: &Caller, call: &Call) -> Outcome {
    change(app, caller, call, Change::Sleep).await
}

/// `environment/control/deleteenv`; a password, where one is given, has to be the account's.
pub async fn delete(app: &App, caller: &Caller, call: &Call) -> Outcome {
    if call.text("password").is_some() {
        confirm(app, caller, call).await?;
    }
    change(app, caller, call, Change::Delete).await
}

async fn change(app: &App, caller: &Caller, call: &Call, change: Change) -> Outcome {
    let name = call.required("envName")?;
    settled(name, store::begin(&app.store, &caller.user, name, change, takes(app), &caller.entry).await?).await
}

/// Waits until what has begun is done.
async fn settled(name: &str, begun: Begun) -> Outcome {
    match begun {
        Begun::Until(at) => {
            wait(at).await;
            Ok(Answer::ok())
        }
        Begun::Already => Ok(Answer::ok()),
        Begun::In(state) => Err(wrong_state(state)),
        Begun::Unknown => Err(no_such_environment(name)),
    }
}

/// `environment/control/getenvs`
pub async fn list(app: &App, caller: &Caller) -> Outcome {
    let infos: Vec<Value> = all(&app.store, &caller.user).await?.iter().map(describe::whole).collect();
    Ok(Answer::ok().with("infos", infos))
}

/// `environment/control/getbasicenvsinfo`: the same without nodes.
pub async fn basics(app: &App, caller: &Caller) -> Outcome {
    let infos: Vec<Value> = all(&app.store, &caller.user).await?.iter().map(describe::basic).collect();
    Ok(Answer::ok().with("infos", infos))
}

/// `environment/control/getenvinfo`
pub async fn info(app: &App, caller: &Caller, call: &Call) -> Outcome {
    Ok(describe::answer(&found(app, caller, call.required("envName")?).await?))
}

/// `environment/control/getnodegroups`
pub async fn node_groups(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let environment = found(app, caller, call.required("envName")?).await?;
    let mut layers: Vec<&str> = Vec::new();
    for node in &environment.nodes {
        if !layers.contains(&node.layer.as_str()) {
            layers.push(&node.layer);
        }
    }
    let groups: Vec<Value> = layers.iter().map(|layer| json!({ "name": layer, "isSLBAccessEnabled": true })).collect();
    Ok(Answer::ok().with("object", groups))
}

/// `environment/control/getregions`
pub fn regions() -> Answer {
    let region = json!({
        "uniqueName": REGION,
        "displayName": "Default",
        "domain": DOMAIN,
        "isDefault": true,
        "status": "ACTIVE",
    });
    Answer::ok().with("array", vec![region])
}

/// `environment/control/setenvdisplayname`
pub async fn rename(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let name = call.required("envName")?;
    let display_name = definition::read_display_name(call.text("displayName").unwrap_or(name))?;
    if store::rename(&app.store, &caller.user, name, None, &display_name, &caller.entry).await? {
        return Ok(Answer::ok());
    }
    Err(no_such_environment(name))
}

/// `environment/binder/checkdomain`
pub async fn check_domain(app: &App, call: &Call) -> Outcome {
    let domain = call.required("domain")?;
    let name = read_name("domain", domain.strip_suffix(&format!(".{DOMAIN}")).unwrap_or(domain))?;
    if store::is_taken(&app.store, &name).await? { Err(busy(&name)) } else { Ok(Answer::ok()) }
}

/// The caller's environment of this name.
async fn found(app: &App, caller: &Caller, name: &str) -> Result<Environment, Refusal> {
    store::find(&app.store, &caller.user, name).await?.ok_or_else(|| no_such_environment(name))
}

fn takes(app: &App) -> i64 {
    i64::try_from(app.platform.state_time.as_micros()).unwrap_or(i64::MAX)
}

/// Waits until this time; the row settles by itself.
async fn wait(until: i64) {
    let left = (until - instant::now()).max(0).unsigned_abs();
    tokio::time::sleep(Duration::from_micros(left)).await;
}

fn no_such_environment(name: &str) -> Refusal {
    let name: String = name.chars().take(100).collect();
    Refusal::new(code::NO_SUCH_ENVIRONMENT, format!("the account has no environment '{name}'"))
}

fn wrong_state(state: State) -> Refusal {
    Refusal::new(code::WRONG_STATE, format!("the environment is {}, and this cannot be done now", state.text()))
}

fn busy(name: &str) -> Refusal {
    Refusal::new(code::DOMAIN_BUSY, format!("the domain {name}.{DOMAIN} is in use"))
}
