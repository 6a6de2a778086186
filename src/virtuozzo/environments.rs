//! Environments: listed, and changed with the end of the change awaited.
//!
//! The platform answers a change when it is done, which can take minutes. A call that brings no answer is never sent
//! again: what became of it is read from the environment's state.

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::call::Failure;
use super::{Call, Platform, results};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;

/// Between two looks at a state, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LAST_LOOK: Duration = Duration::from_secs(5);

/// How long a state may stay as it was after a call without an answer, before the call counts as never begun.
const UNBEGUN: Duration = Duration::from_secs(5);

/// Looks in a row that may fail.
const FAILED_LOOKS: u32 = 3;

/// A state, by the platform's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 1
    Running,
    /// 2
    Down,
    /// 3
    Launching,
    /// 4
    Sleep,
    /// 5, and every number that is not known
    Unknown,
    /// 6
    Creating,
    /// 7
    Cloning,
    /// 8
    NotExists,
    /// 9
    Exporting,
    /// 10
    Migrating,
    /// 11
    Broken,
    /// 12
    Updating,
    /// 13
    Stopping,
    /// 14
    GoingToSleep,
    /// 15
    Restoring,
}

impl Status {
    /// The state of this number.
    #[must_use]
    pub fn of(code: i64) -> Self {
        match code {
            1 => Self::Running,
            2 => Self::Down,
            3 => Self::Launching,
            4 => Self::Sleep,
            6 => Self::Creating,
            7 => Self::Cloning,
            8 => Self::NotExists,
            9 => Self::Exporting,
            10 => Self::Migrating,
            11 => Self::Broken,
            12 => Self::Updating,
            13 => Self::Stopping,
            14 => Self::GoingToSleep,
            15 => Self::Restoring,
            _ => Self::Unknown,
        }
    }

    /// Whether it ends by itself.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::Launching
                | Self::Creating
                | Self::Cloning
                | Self::Exporting
                | Self::Migrating
                | Self::Updating
                | Self::Stopping
                | Self::GoingToSleep
                | Self::Restoring
        )
    }
}

impl fmt::Display for Status {
    /// `GoingToSleep`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `my-project`
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Its state.
    pub status: Status,
    /// The platform's number of the state.
    pub status_code: i64,
    /// `my-project.example.com`; may be empty.
    pub domain: String,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The platform's number of it.
    pub id: i64,
    /// `cp`: its layer.
    pub group: String,
    /// `nginx`
    pub kind: String,
    /// What people call it; may be empty.
    pub display_name: String,
}

/// A change of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To running.
    Start,
    /// To down.
    Stop,
    /// To sleep.
    Sleep,
}

impl Action {
    fn method(self) -> &'static str {
        match self {
            Self::Start => "environment/control/startenv",
            Self::Stop => "environment/control/stopenv",
            Self::Sleep => "environment/control/sleepenv",
        }
    }

    fn goal(self) -> Status {
        match self {
            Self::Start => Status::Running,
            Self::Stop => Status::Down,
            Self::Sleep => Status::Sleep,
        }
    }
}

impl Platform {
    /// The account's environments.
    ///
    /// # Errors
    /// As [`Platform::call`].
    pub async fn environments(&self, context: &Context) -> Result<Vec<Environment>, Error> {
        let answer = self.call(context, &Call::new("environment/control/getenvs")).await?;
        answer.list("infos").iter().map(|info| self.read_environment(info.get("env"), info.get("nodes"))).collect()
    }

    /// One environment.
    ///
    /// # Errors
    /// `PlatformError` 11 when the account has none of this name; else as [`Platform::call`].
    pub async fn environment(&self, context: &Context, name: &str) -> Result<Environment, Error> {
        let call = Call::new("environment/control/getenvinfo").with("envName", name);
        let answer = self.call(context, &call).await.map_err(|error| error.with_target(name))?;
        self.read_environment(answer.get("env"), answer.get("nodes"))
    }

    /// Changes an environment: the environment as it is then. Waits for the end at most `limit`; without one, only as
    /// long as the platform takes to answer.
    ///
    /// # Errors
    /// As [`Platform::call`]; `Timeout` when the end did not come in `limit`. When no answer came, and the state shows
    /// that nothing has begun, the error that the call was lost by.
    pub async fn change_environment(
        &self,
        context: &Context,
        name: &str,
        action: Action,
        limit: Option<Duration>,
    ) -> Result<Environment, Error> {
        let lost = self.send_change(context, name, action).await?;
        self.await_environment(context, name, action.goal(), lost, limit).await
    }

    /// The same for a token that may do this and no more: once the platform has answered, no state is read.
    ///
    /// # Errors
    /// As [`Platform::change_environment`], which is what happens when no answer came.
    pub async fn change_environment_unseen(&self, context: &Context, name: &str, action: Action) -> Result<(), Error> {
        match self.send_change(context, name, action).await? {
            None => Ok(()),
            lost => self.await_environment(context, name, action.goal(), lost, None).await.map(drop),
        }
    }

    /// Sends a change, once. A failure that is given is one of the way: whether it was done is not known.
    async fn send_change(&self, context: &Context, name: &str, action: Action) -> Result<Option<Failure>, Error> {
        let call = Call::new(action.method()).with("envName", name);
        match self.try_call(context, &call).await {
            Ok(_) => Ok(None),
            Err(failure) if failure.may_be_done => {
                context.log().verbose(|| format!("{} Its state is read instead.", failure.error.message()));
                Ok(Some(failure))
            }
            Err(failure) => Err(failure.error.with_target(name)),
        }
    }

    /// Restarts all nodes of an environment, or one.
    ///
    /// # Errors
    /// As [`Platform::call`]. After a `Timeout` nothing tells whether the nodes restarted: they ran before, and run after.
    pub async fn restart_environment(&self, context: &Context, name: &str, node: Option<i64>) -> Result<(), Error> {
        let call = match node {
            Some(node) => Call::new("environment/control/restartnodebyid").with("envName", name).with("nodeId", node),
            None => Call::new("environment/control/restartnodes").with("envName", name),
        };
        self.call(context, &call).await.map(drop).map_err(|error| error.with_target(name))
    }

    /// Looks until the state is the one that is wanted, or one that stays.
    async fn await_environment(
        &self,
        context: &Context,
        name: &str,
        goal: Status,
        lost: Option<Failure>,
        limit: Option<Duration>,
    ) -> Result<Environment, Error> {
        let begun = Instant::now();
        let (waits, limit) = (limit.is_some(), limit.unwrap_or(2 * UNBEGUN));
        let (mut pause, mut failed, mut seen_passing) = (FIRST_LOOK, 0, false);
        loop {
            match self.environment(context, name).await {
                Ok(found) if found.status == goal || (found.status.passes() && !waits) => return Ok(found),
                Ok(found) if begun.elapsed() >= limit => return Err(self.not_in_time(name, goal, &found, limit)),
                Ok(found) if found.status.passes() => (failed, seen_passing) = (0, true),
                Ok(found) => match &lost {
                    // It was answered that it is done; that somebody else changed it since is no failure.
                    None => return Ok(found),
                    Some(lost) if seen_passing || begun.elapsed() >= UNBEGUN => {
                        return Err(self.not_done(name, &found, lost, seen_passing));
                    }
                    Some(_) => failed = 0,
                },
                // The way to the platform may be back in a moment; what the platform itself says stays so.
                Err(error) if passing(&error) && failed < FAILED_LOOKS && begun.elapsed() < limit => failed += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_LOOK);
        }
    }

    fn not_done(&self, name: &str, found: &Environment, lost: &Failure, begun: bool) -> Error {
        let (became, hint) = match begun {
            true => ("became", "Look at the platform's log of the environment."),
            false => {
                ("is still", "Run it again if nobody else is at it; it was sent once, and seems not to have begun.")
            }
        };
        let message = format!("{} '{name}' {became} {}.", lost.error.message(), found.status);
        let error = Error::new(lost.error.kind(), message).with_hint(hint).with_target(name);
        error.with_server(self.server().to_string())
    }

    fn not_in_time(&self, name: &str, goal: Status, found: &Environment, limit: Duration) -> Error {
        let message = format!(
            "'{name}' on {} did not become {goal} in {} s; it is {}.",
            self.server(),
            limit.as_secs(),
            found.status
        );
        Error::new(ErrorKind::Timeout, message)
            .with_hint("The platform may still be at it: look with Get-VapEnvironment.")
            .with_target(name)
            .with_server(self.server().to_string())
    }

    fn read_environment(&self, env: Option<&Json>, nodes: Option<&Json>) -> Result<Environment, Error> {
        let unreadable = |what: &str| {
            let server = self.server().to_string();
            Error::new(ErrorKind::ProtocolViolation, format!("{server} answered with an environment without {what}."))
                .with_hint(results::WRONG_ADDRESS)
                .with_server(server)
        };
        let env = env.ok_or_else(|| unreadable("its description"))?;
        let text = |names: &[&str]| {
            let texts = names.iter().filter_map(|name| env.get(*name)?.as_str());
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
        };
        let name = text(&["envName", "shortdomain", "appname"]);
        if name.is_empty() {
            return Err(unreadable("its name"));
        }
        // The product has the domain as a text, its description has it as an object.
        let inner = env.get("domain").and_then(|domain| domain.get("domain")?.as_str());
        let domain = inner.map_or_else(|| text(&["domain", "fullDomain"]), str::to_owned);
        let status_code = env.get("status").and_then(Json::as_i64).ok_or_else(|| unreadable("its status"))?;
        let nodes = nodes.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        Ok(Environment {
            display_name: text(&["displayName", "envName", "shortdomain"]),
            status: Status::of(status_code),
            status_code,
            domain,
            nodes: nodes.iter().filter_map(read_node).collect(),
            name,
        })
    }
}

/// A node without a number cannot be named in any call, and is left out.
fn read_node(node: &Json) -> Option<Node> {
    let text = |name: &str| node.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    Some(Node {
        id: node.get("id").or_else(|| node.get("ctid"))?.as_i64()?,
        group: text("nodeGroup"),
        kind: text("nodeType"),
        display_name: text("displayName"),
    })
}

fn passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Timeout
            | ErrorKind::Stalled
            | ErrorKind::ConnectionFailed
            | ErrorKind::ServerUnavailable
            | ErrorKind::RateLimited
    )
}
