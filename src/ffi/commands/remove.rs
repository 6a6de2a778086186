//! `remove`: removes versions of packages from a server. Cmdlet: Remove-UssPackage.

use std::sync::Arc;

use super::{Command, Names, fieldset, requests};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::operation::Run;
use crate::update_service::Wanted;
use crate::version_query::VersionQuery;

fieldset! {
    /// Removes versions of packages.
    pub(super) struct Remove as "remove" {
        /// From where.
        connection: Arc<Connection>,
        /// The packages.
        package_id: Names,
        /// An exact version of each, in the same order. Give these or all.
        version_query: Vec<String>,
        /// Every version of each, pre-releases too.
        all: bool,
    }
}

impl Command for Remove {
    const ROWS: &'static str = "none; an error item for each that was not removed.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let given = self.version_query.iter().any(|query| !query.is_empty());
        let mut wanted = requests(self.package_id, self.version_query)?;
        if self.all {
            if given {
                return Err(invalid("Either exact versions or all are removed, not both.".into(), "versionQuery"));
            }
            wanted.iter_mut().for_each(|wanted| wanted.version_query = "*".into());
        } else {
            wanted.iter().try_for_each(exact)?;
        }
        let service = &self.connection.service;
        for versions in service.select(&run.context, &wanted, self.all).await? {
            match versions {
                Ok(versions) => {
                    for version in versions {
                        let removed = service.delete(&run.context, &version.package_id, &version.version).await;
                        removed.unwrap_or_else(|error| run.fail(error));
                    }
                }
                Err(error) => run.fail(error),
            }
        }
        Ok(())
    }
}

/// Nothing is removed by a range: what it selects changes with what is published.
fn exact(wanted: &Wanted) -> Result<(), Error> {
    let Wanted { package_id, version_query } = wanted;
    let query = VersionQuery::parse(version_query).map_err(|error| error.with_target(package_id))?;
    query.exact().map(drop).ok_or_else(|| {
        invalid(
            format!("'{version_query}' is not an exact version of '{package_id}'. Nothing was removed."),
            package_id,
        )
    })
}

fn invalid(message: String, target: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
        .with_hint("Give one version, like 1.2.3, or -All to remove every version.")
        .with_target(target)
}
