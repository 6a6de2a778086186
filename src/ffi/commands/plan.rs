//! `plan-copy`, `plan-copy-installer`, `plan-save`, `plan-import`: what a copy would do, and all that stands in its way,
//! before the first byte. Cmdlets: Copy-UssPackageFromServer, Copy-UssInstallerFromServer, Save-UssPackage,
//! Import-UssPackage.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Command, Names, copy_requests, fieldset, problems};
use crate::copy::{self, Destination, InstallerChoice, Plan, PlanOptions, Source};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{CopyPlan, CopyResult};
use crate::ffi::operation::{AnyPlan, Run};
use crate::folder::{Folder, ImportOptions, PackageFiles, plan_import};
use crate::update_service::UpdateService;

const ROWS: &str = "a Uss.CopyPlan for each destination, then, unless summaryOnly, Uss.CopyResult with the status \
                    WouldCopy, WouldSkip or WouldReplace. With problems: each as an error item, then the operation fails.";

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
        /// Only the Uss.CopyPlan of each destination.
        summary_only: bool,
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
        shown(&run, plan, self.summary_only, "Nothing was copied", AnyPlan::Servers)
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
        /// Only the Uss.CopyPlan of each destination.
        summary_only: bool,
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
        shown(&run, plan, self.summary_only, "Nothing was copied", AnyPlan::Servers)
    }
}

fieldset! {
    /// Plans to save packages and what they need in a folder. The operation holds the plan for the command copy.
    pub(super) struct PlanSave as "plan-save" {
        /// Where they come from.
        source: Arc<Connection>,
        /// The folder, which exists. Each package becomes ID-VERSION.zip, with _ for each slash of the id.
        output_dir: PathBuf,
        /// The packages.
        package_id: Names,
        /// Which version of each, in the same order; empty is the newest. If not given: the newest of all.
        version_query: Vec<String>,
        /// Replaces files with other bytes.
        force: bool,
        /// Only what is named, not what it needs.
        skip_dependency_check: bool,
        /// Dependencies that are not needed to work, too.
        include_optional: bool,
        /// Only the Uss.CopyPlan of each destination.
        summary_only: bool,
    }
}

impl Command for PlanSave {
    const ROWS: &'static str = ROWS;

    async fn run(self, run: Run) -> Result<(), Error> {
        let wanted = copy_requests(self.package_id, self.version_query)?;
        let options = PlanOptions {
            force: self.force,
            skip_dependency_check: self.skip_dependency_check,
            include_optional: self.include_optional,
        };
        let folder = Folder::open(&self.output_dir)?;
        let folders = std::slice::from_ref(&folder);
        let plan = copy::plan(&run.context, &self.source.service, folders, &wanted, &options).await;
        shown(&run, plan, self.summary_only, "Nothing was saved", |plan| AnyPlan::Save(plan, folder.clone()))
    }
}

fieldset! {
    /// Plans to publish package files. What a file needs is among them, or at each destination already. The operation
    /// holds the plan for the command copy.
    pub(super) struct PlanImport as "plan-import" {
        /// The files.
        input_path: Vec<PathBuf>,
        /// Where they go; each gets all of them.
        destination: Vec<Arc<Connection>>,
        /// Replaces other bytes under the same id and version.
        force: bool,
        /// Publishes the files in their order, whatever they need.
        skip_dependency_check: bool,
        /// Only the Uss.CopyPlan of each destination.
        summary_only: bool,
    }
}

impl Command for PlanImport {
    const ROWS: &'static str = ROWS;

    async fn run(self, run: Run) -> Result<(), Error> {
        if self.input_path.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "No file was given.").with_target("inputPath"));
        }
        let destinations = services(&self.destination);
        let options = ImportOptions { force: self.force, skip_dependency_check: self.skip_dependency_check };
        let plan = match PackageFiles::read(&run.context, &self.input_path).await {
            Ok(files) => plan_import(&run.context, &files, &destinations, options).await,
            Err(problems) => Err(problems),
        };
        shown(&run, plan, self.summary_only, "Nothing was published", AnyPlan::Import)
    }
}

fn services(connections: &[Arc<Connection>]) -> Vec<UpdateService> {
    connections.iter().map(|connection| connection.service.clone()).collect()
}

/// Gives a plan's rows and keeps it, or says what is wrong with it.
fn shown<S: Source, D: Destination>(
    run: &Run,
    plan: Result<Plan<S, D>, Vec<Error>>,
    summary_only: bool,
    failed: &str,
    keep: impl FnOnce(Plan<S, D>) -> AnyPlan,
) -> Result<(), Error> {
    let plan = plan.map_err(|found| problems(run, found, failed))?;
    run.rows(plan.summaries().into_iter().map(CopyPlan::from));
    if !summary_only {
        run.rows(plan.rows().into_iter().map(CopyResult::from));
    }
    run.keep_plan(keep(plan));
    Ok(())
}
