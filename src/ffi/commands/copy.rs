//! `copy`: does what a plan says. Cmdlets: Copy-UssPackageFromServer, Copy-UssInstallerFromServer.

use std::sync::Arc;

use super::{Command, fieldset};
use crate::copy::{self, RunOptions};
use crate::error::{Error, ErrorKind};
use crate::ffi::model::{CopyResult, Row};
use crate::ffi::operation::{Operation, Run};
use crate::operation::Delivery;

fieldset! {
    /// Copies what a plan shows. A plan is copied once.
    pub(super) struct Copy as "copy" {
        /// The ended operation of plan-copy or plan-copy-installer, not yet freed.
        plan: Arc<Operation>,
        /// Transfers at once; 4 if not given.
        throttle_limit: Option<u64>,
        /// Bytes per second, all transfers together; as fast as it goes if not given.
        max_bytes_per_second: Option<u64>,
    }
}

impl Command for Copy {
    const ROWS: &'static str = "Uss.CopyResult as each package ends, with the status Copied, Skipped or Replaced; an \
                                error item for each that fails, and for each that needs one that failed.";
    const DELIVERY: Delivery = Delivery::Streaming;

    async fn run(self, run: Run) -> Result<(), Error> {
        let plan = self.plan.take_plan().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "The operation holds no plan.")
                .with_hint("Give an operation of plan-copy that has ended well, and copy its plan once.")
                .with_target("plan")
        })?;
        let standard = RunOptions::default();
        let limit = self.throttle_limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let options = RunOptions {
            throttle_limit: limit.unwrap_or(standard.throttle_limit),
            max_bytes_per_second: self.max_bytes_per_second,
            ..standard
        };
        let on_row = |row: Result<copy::CopyResult, Error>| {
            run.output.push(row.map(|row| Row::from(CopyResult::from(row))));
        };
        copy::run(&run.context, plan, &options, on_row).await
    }
}
