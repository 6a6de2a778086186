//! `test`: whether a server has packages. Cmdlet: Test-UssPackage.

use std::sync::Arc;

use super::{Command, Names, fieldset, requests};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::operation::Run;

fieldset! {
    /// Whether a server has a version of each package that its query selects.
    pub(super) struct Test as "test" {
        /// The server.
        connection: Arc<Connection>,
        /// The packages.
        package_id: Names,
        /// Which version of each, in the same order; empty is any release.
        version_query: Vec<String>,
    }
}

impl Command for Test {
    const ROWS: &'static str = "a boolean for each package; an error item in its place where that cannot be told.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let wanted = requests(self.package_id, self.version_query)?;
        for selected in self.connection.service.select(&run.context, &wanted, false).await? {
            match selected {
                Ok(_) => run.row(true),
                Err(e) if matches!(e.kind(), ErrorKind::PackageNotFound | ErrorKind::NoPackageInRange) => {
                    run.row(false)
                }
                Err(error) => run.fail(error),
            }
        }
        Ok(())
    }
}
