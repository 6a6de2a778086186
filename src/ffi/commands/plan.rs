//! `plan-copy`, `plan-copy-installer`: what a copy would do, and all that stands in its way, before the first byte.
//! Cmdlets: Copy-UssPackageFromServer, Copy-UssInstallerFromServer.

use std::sync::Arc;

use super::{Command, Names, copy_requests, fieldset, problems};
use crate::copy::{self, InstallerChoice, PlanOptions};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{CopyPlan, CopyResult};
use crate::ffi::operation::{Run, ServerPlan};
use crate::update_service::UpdateService;

const ROWS: &str = "a Uss.CopyPlan for each destination, then Uss.CopyResult with the status WouldCopy, WouldSkip or \
                    WouldReplace. With problems: each as an error item, then the operation fails.";

fieldset! {
    /// Plans a copy of packages and what they need. The operation holds the plan for the command copy.
    pub(super) struct PlanCopy as "plan-copy" {
        /// Where they come from.
        source: Arc<Connection>,
        /// Where they go; each gets all of them.
        destination: Vec<Arc<Connection>>,
        /// The packages.
        package_id: Names,
        /// Which version of each, in the same order; empty is the newest. If not given: the newest of all.
        version_query: Vec<String>,
        /// Replaces other bytes under the same id and version.
        force: bool,
        /// Only what is named, not what it needs.
        skip_dependency_check: bool,
        /// Dependencies that are not needed to work, too.
        include_optional: bool,
    }
}

impl Command for PlanCopy {
    const ROWS: &'static str = ROWS;

    async fn run(self, run: Run) -> Result<(), Error> {
        let wanted = copy_requests(self.package_id, self.version_query)?;
        let options = PlanOptions {
            force: self.force,
            skip_dependency_check: self.skip_dependency_check,
            include_optional: self.include_optional,
        };
        let destinations = services(&self.destination);
        let plan = copy::plan(&run.context, &self.source.service, &destinations, &wanted, &options).await;
        shown(&run, plan)
    }
}

fieldset! {
    /// Plans a copy of installers. The operation holds the plan for the command copy.
    pub(super) struct PlanCopyInstaller as "plan-copy-installer" {
        /// Where they come from.
        source: Arc<Connection>,
        /// Where they go; each gets all of them.
        destination: Vec<Arc<Connection>>,
        /// GUIDs of installers. Give these or names.
        installer_id: Vec<String>,
        /// Names of installers; `*` is any text, `?` any character. A name without them must exist.
        name: Vec<String>,
        /// Replaces other bytes of the same installer.
        force: bool,
    }
}

impl Command for PlanCopyInstaller {
    const ROWS: &'static str = ROWS;

    async fn run(self, run: Run) -> Result<(), Error> {
        let choice = match (self.installer_id.is_empty(), self.name.is_empty()) {
            (false, true) => InstallerChoice::Ids(self.installer_id),
            (true, false) => InstallerChoice::Names(self.name),
            _ => {
                let message = "Either ids or names of installers are needed.";
                return Err(Error::new(ErrorKind::InvalidArgument, message).with_target("installerId"));
            }
        };
        let destinations = services(&self.destination);
        let plan = copy::plan_installers(&run.context, &self.source.service, &destinations, &choice, self.force).await;
        shown(&run, plan)
    }
}

fn services(connections: &[Arc<Connection>]) -> Vec<UpdateService> {
    connections.iter().map(|connection| connection.service.clone()).collect()
}

fn shown(run: &Run, plan: Result<ServerPlan, Vec<Error>>) -> Result<(), Error> {
    let plan = plan.map_err(|found| problems(run, found, "Nothing was copied"))?;
    run.rows(plan.summaries().into_iter().map(CopyPlan::from));
    run.rows(plan.rows().into_iter().map(CopyResult::from));
    run.keep_plan(plan);
    Ok(())
}
