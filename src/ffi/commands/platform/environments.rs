//! `platform-environments`, `platform-change`, `platform-restart`. Cmdlets: Get-, Start-, Stop-, Suspend- and
//! Restart-VapEnvironment.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Command, Names, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::PlatformEnvironment;
use crate::ffi::operation::Run;
use crate::operation::Delivery;
use crate::virtuozzo::Action;
use crate::wildcard;

/// How long an end is awaited unless it is said.
const LIMIT: Duration = Duration::from_secs(900);

fieldset! {
    /// The account's environments.
    pub(in super::super) struct PlatformEnvironments as "platform-environments" {
        /// The platform.
        connection: Arc<Connection>,
        /// Only those of these names; `*` is any text, `?` any character. A name without them must exist.
        name: Vec<String>,
    }
}

impl Command for PlatformEnvironments {
    const ROWS: &'static str = "Vap.Environment; an error item for a name that there is none of.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let platform = self.connection.platform()?;
        if let [name] = self.name.as_slice()
            && !wildcard::is_pattern(name)
        {
            run.row(PlatformEnvironment::from(platform.environment(&run.context, name).await?));
            return Ok(());
        }
        let found = platform.environments(&run.context).await?;
        if self.name.is_empty() {
            run.rows(found.into_iter().map(PlatformEnvironment::from));
            return Ok(());
        }
        for name in &self.name {
            let mut any = wildcard::is_pattern(name);
            for environment in found.iter().filter(|environment| wildcard::matches(name, &environment.name)) {
                any = true;
                run.row(PlatformEnvironment::from(environment.clone()));
            }
            if !any {
                // The platform's own words for it.
                match platform.environment(&run.context, name).await {
                    Ok(environment) => run.row(PlatformEnvironment::from(environment)),
                    Err(error) => run.fail(error),
                }
            }
        }
        Ok(())
    }
}

fieldset! {
    /// Starts environments, stops them or puts them to sleep, one after the other. A call without an answer is not sent
    /// again: what became of it is read from the state.
    pub(in super::super) struct PlatformChange as "platform-change" {
        /// The platform.
        connection: Arc<Connection>,
        /// The environments.
        name: Names,
        /// start, stop or sleep.
        action: String,
        /// Waits until each state is reached, and not only until the platform answers.
        wait: bool,
        /// How long that may take, for each; 900 if not given.
        limit: Option<Duration>,
        /// Gives each environment as it is then, which needs a token that may read it; waiting does so anyway.
        show: bool,
    }
}

impl Command for PlatformChange {
    const ROWS: &'static str = "Vap.Environment as each is then, if asked for; an error item for one that failed.";
    const DELIVERY: Delivery = Delivery::Streaming;

    async fn run(self, run: Run) -> Result<(), Error> {
        let action = match self.action.as_str() {
            "start" => Action::Start,
            "stop" => Action::Stop,
            "sleep" => Action::Sleep,
            _ => {
                let message = "The field 'action' must be start, stop or sleep.";
                return Err(Error::new(ErrorKind::InvalidArgument, message).with_target("action"));
            }
        };
        let platform = self.connection.platform()?;
        let limit = self.wait.then(|| self.limit.unwrap_or(LIMIT));
        run.context.progress().set_total(self.name.0.len() as u64, 0);
        for name in &self.name.0 {
            if self.wait || self.show {
                let changed = platform.change_environment(&run.context, name, action, limit).await;
                run.output.push(changed.map(|environment| PlatformEnvironment::from(environment).into()));
            } else if let Err(error) = platform.change_environment_unseen(&run.context, name, action).await {
                run.fail(error);
            }
            run.context.progress().item_done();
        }
        Ok(())
    }
}

fieldset! {
    /// Restarts nodes of environments.
    pub(in super::super) struct PlatformRestart as "platform-restart" {
        /// The platform.
        connection: Arc<Connection>,
        /// The environments.
        name: Names,
        /// One node of one environment; all nodes if not given.
        node_id: Option<u64>,
        /// Gives each environment as it is then, which needs a token that may read it.
        show: bool,
    }
}

impl Command for PlatformRestart {
    const ROWS: &'static str = "Vap.Environment as each is then, if asked for; an error item for one that failed.";
    const DELIVERY: Delivery = Delivery::Streaming;

    async fn run(self, run: Run) -> Result<(), Error> {
        let node = self.node_id.and_then(|id| i64::try_from(id).ok());
        if node.is_some() && self.name.0.len() > 1 {
            let message = "A node belongs to one environment, and several are given. Nothing was sent.";
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_target("nodeId"));
        }
        let platform = self.connection.platform()?;
        run.context.progress().set_total(self.name.0.len() as u64, 0);
        for name in &self.name.0 {
            match platform.restart_environment(&run.context, name, node).await {
                Ok(()) if self.show => {
                    let shown = platform.environment(&run.context, name).await;
                    run.output.push(shown.map(|environment| PlatformEnvironment::from(environment).into()));
                }
                Ok(()) => {}
                Err(error) => run.fail(error),
            }
            run.context.progress().item_done();
        }
        Ok(())
    }
}
