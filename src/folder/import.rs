//! The plan of an import: files to servers, dependencies first.

use std::collections::HashMap;

use super::PackageFiles;
use crate::copy::{self, Destination, Plan, PlanOptions};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::update_service::model::{Dependency, PackageVersion};
use crate::version::Version;
use crate::version_query::VersionQuery;

/// How an import is planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Replace other bytes of the same name.
    pub force: bool,
    /// Do not look at what the packages need: neither for their order, nor whether it is there.
    pub skip_dependency_check: bool,
}

/// Plans to publish files. What a file needs goes before it if it is among the files, and else must be at each
/// destination already.
///
/// # Errors
/// Every problem there is: `DependencyUnresolved`, `DependencyCycle`, `PackageAlreadyExists` (without `force`), and what
/// asking the servers failed with.
pub async fn plan_import<D: Destination>(
    context: &Context,
    files: &PackageFiles,
    destinations: &[D],
    options: ImportOptions,
) -> Result<Plan<PackageFiles, D>, Vec<Error>> {
    let ImportOptions { force, skip_dependency_check } = options;
    let mut problems = Vec::new();
    if !skip_dependency_check && !files.missing().is_empty() {
        let mut ids: Vec<String> = files.missing().iter().map(|(_, need)| need.package_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        for destination in destinations {
            match destination.versions_of(context, &ids).await {
                Ok(there) => {
                    let name = destination.name();
                    problems.extend(files.missing().iter().filter_map(|(who, need)| lacks(who, need, &there, &name)));
                }
                Err(error) => problems.push(error),
            }
        }
    }
    // Optional ones among the files set the order, too.
    let options = PlanOptions { force, skip_dependency_check, include_optional: true };
    match copy::plan(context, files, destinations, &files.requests(), &options).await {
        Ok(plan) if problems.is_empty() => Ok(plan),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// That a destination has nothing that a dependency could be.
fn lacks(
    who: &str,
    need: &Dependency,
    there: &HashMap<String, Vec<PackageVersion>>,
    destination: &str,
) -> Option<Error> {
    let Dependency { package_id: id, version_query: query, .. } = need;
    let parsed = |all: &Vec<PackageVersion>| all.iter().filter_map(|v| Version::parse(&v.version).ok()).collect();
    let versions: Vec<Version> = there.get(id).map(parsed).unwrap_or_default();
    let why = match VersionQuery::parse(query) {
        Ok(query) if query.select(&versions).is_some() => return None,
        Ok(query) if !versions.is_empty() => query.nothing_selected(id, &versions).message().to_owned(),
        Ok(_) => format!("{destination} has no package {id}."),
        Err(error) => error.message().to_owned(),
    };
    let wanted = if query.is_empty() { id.clone() } else { format!("{id} '{query}'") };
    let message = format!("{who} needs {wanted}, which is not among the files: {why}");
    Some(
        Error::new(ErrorKind::DependencyUnresolved, message)
            .with_hint("Import it too, or use -SkipDependencyCheck.")
            .with_target(id)
            .with_server(destination),
    )
}
