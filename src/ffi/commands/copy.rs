//! `copy`: does what a plan says. Cmdlets: Copy-UssPackageFromServer, Copy-UssInstallerFromServer, Save-UssPackage,
//! Import-UssPackage.

use std::sync::Arc;

use super::{Command, fieldset};
use crate::copy::{self, FolderJournal, RunOptions};
use crate::error::{Error, ErrorKind};
use crate::ffi::model::{CopyResult, PackageFile, Row};
use crate::ffi::operation::{AnyPlan, Operation, Run};
use crate::operation::Delivery;

fieldset! {
    /// Copies what a plan shows. A plan is copied once.
    pub(super) struct Copy as "copy" {
        /// The ended operation of plan-copy, plan-copy-installer, plan-save or plan-import, not yet freed.
        plan: Arc<Operation>,
        /// Transfers at once; 4 if not given.
        throttle_limit: Option<u64>,
        /// Bytes per second, all transfers together; as fast as it goes if not given.
        max_bytes_per_second: Option<u64>,
        /// Leaves nothing to go on with of what is cancelled or fails; else it stays at the destination for a while.
        clean_up: bool,
    }
}

impl Command for Copy {
    const ROWS: &'static str = "Uss.CopyResult as each package ends, with the status Copied, Skipped or Replaced; an \
                                error item for each that fails, and for each that needs one that failed. Of a plan \
                                of plan-save: Uss.PackageFile instead.";
    const DELIVERY: Delivery = Delivery::Streaming;

    async fn run(self, run: Run) -> Result<(), Error> {
        let plan = self.plan.take_plan().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "The operation holds no plan.")
                .with_hint("Give a planning operation that has ended well, and copy its plan once.")
                .with_target("plan")
        })?;
        let standard = RunOptions::default();
        let limit = self.throttle_limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let options = RunOptions {
            throttle_limit: limit.unwrap_or(standard.throttle_limit),
            max_bytes_per_second: self.max_bytes_per_second,
            clean_up: self.clean_up,
            ..standard
        };
        let copied = |row: Result<copy::CopyResult, Error>| {
            run.output.push(row.map(|row| Row::from(CopyResult::from(row))));
        };
        let journal = FolderJournal::new();
        match plan {
            AnyPlan::Servers(plan) => copy::run(&run.context, plan, &journal, &options, copied).await,
            AnyPlan::Import(plan) => copy::run(&run.context, plan, &journal, &options, copied).await,
            AnyPlan::Save(plan, folder) => {
                let saved = |row: Result<copy::CopyResult, Error>| {
                    let file = row.and_then(|row| PackageFile::saved(row, &folder));
                    run.output.push(file.map(Row::from));
                };
                copy::run(&run.context, plan, &journal, &options, saved).await
            }
        }
    }
}
