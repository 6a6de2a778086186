//! Which packages, versions and installers a caller means, out of those that a server has.
//!
//! A name without a wildcard must exist; a pattern may match nothing.

use crate::error::{Error, ErrorKind};
use crate::update_service::model::{Installer, Package, PackageVersion, PersonalToken};
use crate::version::Version;
use crate::version_query::VersionQuery;
use crate::wildcard;

/// The packages that `ids` name, in their order, each once; all without any. An unknown id is its error.
#[must_use]
pub fn packages(existing: Vec<Package>, ids: &[String], server: &str) -> Vec<Result<Package, Error>> {
    let named = |package: &Package, id: &str| wildcard::matches(id, &package.id);
    chosen(existing, ids, named, |id| package_not_found(id, server))
}

/// The installers that `ids` or the patterns `names` mean, in their order, each once; all without any.
#[must_use]
pub fn installers(
    existing: Vec<Installer>,
    ids: &[String],
    names: &[String],
    server: &str,
) -> Vec<Result<Installer, Error>> {
    let not_found = |wanted: &str| {
        Error::new(ErrorKind::InstallerNotFound, format!("{server} has no installer '{wanted}'."))
            .with_hint("Get-UssInstaller lists what the server has.")
            .with_target(wanted)
            .with_server(server)
    };
    if ids.is_empty() {
        return chosen(existing, names, |installer, name| wildcard::matches(name, &installer.name), not_found);
    }
    chosen(existing, ids, |installer, id| installer.id.eq_ignore_ascii_case(id), not_found)
}

/// The tokens that `ids` or the patterns `names` mean, in their order, each once; all without any.
#[must_use]
pub fn tokens(
    existing: Vec<PersonalToken>,
    ids: &[String],
    names: &[String],
    not_found: impl Fn(&str) -> Error,
) -> Vec<Result<PersonalToken, Error>> {
    if ids.is_empty() {
        return chosen(existing, names, |token, name| wildcard::matches(name, &token.name), not_found);
    }
    chosen(existing, ids, |token, id| token.id.eq_ignore_ascii_case(id), not_found)
}

/// The version that `query` selects, or with `all` every one that it admits, newest first.
///
/// # Errors
/// `NoPackageInRange` when it selects nothing.
pub fn versions(
    existing: &[PackageVersion],
    package_id: &str,
    query: &VersionQuery,
    all: bool,
    server: &str,
) -> Result<Vec<PackageVersion>, Error> {
    // What cannot be read as a version no query can select.
    let readable = existing.iter().filter_map(|version| Some((Version::parse(&version.version).ok()?, version)));
    let (versions, rows): (Vec<Version>, Vec<&PackageVersion>) = readable.unzip();
    let selected = if all { query.select_all(&versions) } else { query.select(&versions).into_iter().collect() };
    if selected.is_empty() {
        return Err(query.nothing_selected(package_id, &versions).with_server(server));
    }
    Ok(selected.into_iter().filter_map(|index| rows.get(index).copied().cloned()).collect())
}

/// The error about a package that a server does not have.
#[must_use]
pub fn package_not_found(id: &str, server: &str) -> Error {
    Error::new(ErrorKind::PackageNotFound, format!("{server} has no package '{id}'."))
        .with_hint("Check the spelling; Get-UssPackage lists what the server has.")
        .with_target(id)
        .with_server(server)
}

fn chosen<T: Clone>(
    existing: Vec<T>,
    wanted: &[String],
    means: impl Fn(&T, &str) -> bool,
    not_found: impl Fn(&str) -> Error,
) -> Vec<Result<T, Error>> {
    if wanted.is_empty() {
        return existing.into_iter().map(Ok).collect();
    }
    let mut left: Vec<(T, bool)> = existing.into_iter().map(|item| (item, false)).collect();
    let mut rows = Vec::new();
    for name in wanted {
        let mut found = false;
        for (item, given) in left.iter_mut().filter(|(item, _)| means(item, name)) {
            found = true;
            if !std::mem::replace(given, true) {
                rows.push(Ok(item.clone()));
            }
        }
        if !found && !wildcard::is_pattern(name) {
            rows.push(Err(not_found(name)));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(id: &str) -> Package {
        let (name, display_name, description, size, sha256, published) = (None, None, None, None, None, None);
        Package { id: id.into(), name, display_name, description, version: "1.0".into(), size, sha256, published }
    }

    fn version(version: &str) -> PackageVersion {
        let (size, sha256, published) = (None, None, None);
        let (package_id, version) = ("a".into(), version.into());
        PackageVersion { package_id, version, size, sha256, published, dependencies: Vec::new() }
    }

    fn ids(wanted: &[&str]) -> Vec<Result<String, ErrorKind>> {
        let wanted: Vec<String> = wanted.iter().map(|id| (*id).to_owned()).collect();
        let rows = packages(["a", "bundle/a", "bundle/b"].map(package).into(), &wanted, "http://localhost");
        rows.into_iter().map(|row| row.map(|package| package.id).map_err(|error| error.kind())).collect()
    }

    #[test]
    fn each_package_comes_once_in_the_order_in_which_it_was_named() {
        let all = [Ok("bundle/b".to_owned()), Ok("a".to_owned()), Ok("bundle/a".to_owned())];
        assert_eq!(ids(&["bundle/b", "a", "*", "a"]), all);
        assert_eq!(ids(&[]).len(), 3);
    }

    #[test]
    fn a_name_must_exist_and_a_pattern_may_match_nothing() {
        assert_eq!(ids(&["x*", "x", "a"]), [Err(ErrorKind::PackageNotFound), Ok("a".to_owned())]);
    }

    #[test]
    fn a_query_selects_one_version_or_with_all_every_one_that_it_admits() {
        let existing = ["1.0", "2.0-rc", "not a version", "1.5"].map(version);
        let select = |query, all| {
            let selected = versions(&existing, "a", &VersionQuery::parse(query).unwrap(), all, "http://localhost");
            selected.map(|rows| rows.into_iter().map(|row| row.version).collect::<Vec<_>>()).map_err(|e| e.kind())
        };
        assert_eq!(select("", false), Ok(vec!["1.5".to_owned()]));
        assert_eq!(select("*", true), Ok(["2.0-rc", "1.5", "1.0"].map(str::to_owned).to_vec()));
        assert_eq!(select(">3.0", false), Err(ErrorKind::NoPackageInRange));
    }
}
