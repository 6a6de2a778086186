//! `resolve`: what packages need. Cmdlet: Resolve-UssDependency.

use std::sync::Arc;

use super::{Command, Names, copy_requests, fieldset, problems};
use crate::copy;
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::PackageVersion;
use crate::ffi::operation::Run;

fieldset! {
    /// What packages need, themselves included, resolved against a server.
    pub(super) struct Resolve as "resolve" {
        /// The server.
        connection: Arc<Connection>,
        /// The packages.
        package_id: Names,
        /// Which version of each, in the same order; empty is the newest. If not given: the newest of all.
        version_query: Vec<String>,
        /// Dependencies that are not needed to work, too.
        include_optional: bool,
    }
}

impl Command for Resolve {
    const ROWS: &'static str = "Uss.PackageVersion, dependencies before what needs them. With problems: each as an \
                                error item, then the operation fails.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let wanted = copy_requests(self.package_id, self.version_query)?;
        let service = &self.connection.service;
        match copy::resolve(&run.context, service, &wanted, self.include_optional).await {
            Ok(versions) => run.rows(versions.into_iter().map(PackageVersion::from)),
            Err(found) => return Err(problems(&run, found, "The dependencies cannot be resolved")),
        }
        Ok(())
    }
}
