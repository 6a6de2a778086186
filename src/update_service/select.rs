//! Which versions callers mean: their queries, answered from what the server has.

use std::collections::HashMap;

use super::UpdateService;
use super::model::PackageVersion;
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::selection;
use crate::version_query::VersionQuery;

/// A package and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `bundle/my-pos`.
    pub package_id: String,
    /// Empty: the newest.
    pub version_query: String,
}

/// What one [`Wanted`] selects.
pub type Selected = Result<Vec<PackageVersion>, Error>;

impl UpdateService {
    /// The version that each of `wanted` selects, or with `all` every one that it admits, newest first. One request for
    /// one package, a request for 500 of many; none for a query that does not parse.
    ///
    /// Each of `wanted` has its answer, in order, which may be its error: `InvalidVersionQuery`, `PackageNotFound`,
    /// `NoPackageInRange`.
    ///
    /// # Errors
    /// As a request fails.
    pub async fn select(&self, context: &Context, wanted: &[Wanted], all: bool) -> Result<Vec<Selected>, Error> {
        let parses = |wanted: &&Wanted| VersionQuery::parse(&wanted.version_query).is_ok();
        let mut ids: Vec<String> = wanted.iter().filter(parses).map(|wanted| wanted.package_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let server = self.server().to_string();
        let (existing, missing) = match ids.as_slice() {
            [id] => match self.versions(context, id).await {
                Err(error) if error.kind() == ErrorKind::PackageNotFound => (HashMap::new(), Some(error)),
                versions => (HashMap::from([(id.clone(), versions?)]), None),
            },
            ids => (self.versions_of(context, ids).await?, None),
        };
        let select = |Wanted { package_id, version_query }: &Wanted| {
            let query = VersionQuery::parse(version_query).map_err(|error| error.with_target(package_id))?;
            match existing.get(package_id) {
                Some(versions) => selection::versions(versions, package_id, &query, all, &server),
                None => Err(missing.clone().unwrap_or_else(|| selection::package_not_found(package_id, &server))),
            }
        };
        Ok(wanted.iter().map(select).collect())
    }
}
