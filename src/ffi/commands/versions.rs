//! `versions`: what versions of packages a server has. Cmdlet: Get-UssPackageVersion.

use std::sync::Arc;

use super::{Command, Names, fieldset, requests};
use crate::copy;
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::PackageVersion;
use crate::ffi::operation::Run;

fieldset! {
    /// The versions of packages that queries select.
    pub(super) struct Versions as "versions" {
        /// Whose.
        connection: Arc<Connection>,
        /// The packages.
        package_id: Names,
        /// Which version of each, in the same order; empty is the newest. If not given: the newest of all.
        version_query: Vec<String>,
        /// Every version that a query admits, newest first, instead of the one that it selects.
        all: bool,
        /// Also what the versions need, in the order in which a copy would send them.
        include_dependencies: bool,
    }
}

impl Command for Versions {
    const ROWS: &'static str = "Uss.PackageVersion; an error item for a package that fails, in its place.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let service = &self.connection.service;
        let wanted = requests(self.package_id, self.version_query)?;
        let mut selected = Vec::new();
        for versions in service.select(&run.context, &wanted, self.all).await? {
            match versions {
                Ok(versions) if self.include_dependencies => selected.extend(versions),
                Ok(versions) => run.rows(versions.into_iter().map(PackageVersion::from)),
                Err(error) => run.fail(error),
            }
        }
        if selected.is_empty() {
            return Ok(());
        }
        let exactly = |version: crate::update_service::model::PackageVersion| copy::Request {
            package_id: version.package_id,
            version_query: version.version,
        };
        let exactly: Vec<_> = selected.into_iter().map(exactly).collect();
        match copy::resolve(&run.context, service, &exactly, false).await {
            Ok(versions) => run.rows(versions.into_iter().map(PackageVersion::from)),
            Err(problems) => problems.into_iter().for_each(|problem| run.fail(problem)),
        }
        Ok(())
    }
}
