//! What the source has, as far as it was asked, and which of its versions a dependency gets.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem::size_of;

use super::{Missing, Place};
use crate::copy::plan::BATCH;
use crate::copy::{Catalogue, Request};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::selection;
use crate::update_service::model::{Dependency, PackageVersion};
use crate::version::Version;
use crate::version_query::VersionQuery;

/// Packages in one plan at most, those that are missing included, and versions to be copied.
const PACKAGES: usize = 100_000;

/// Bytes of versions and their dependencies that are kept for one plan at most. Walking them takes a few times as much.
const BYTES: usize = 256 << 20;

/// Characters of a package's name in a message at most.
const SHOWN: usize = 200;

/// A package's queries; true: it only restricts.
type QueriesOfOne = BTreeSet<(bool, String)>;

pub(super) struct Known {
    pub(super) source: String,
    packages: HashMap<String, Option<Versions>>,
    queries: HashMap<String, Result<VersionQuery, Error>>,
    bytes: usize,
}

/// A package's versions, and the same parsed.
struct Versions {
    listed: Vec<PackageVersion>,
    parsed: Vec<Version>,
}

/// What all queries of a package together come to.
pub(super) struct Agreement {
    /// The version that they agree on; none: they do not.
    version: Option<usize>,
    /// What the restrictions leave; none: there are none.
    unrestricted: Option<BTreeSet<usize>>,
}

impl Known {
    pub(super) fn new(source: String) -> Self {
        Self { source, packages: HashMap::new(), queries: HashMap::new(), bytes: 0 }
    }

    /// Asks for those packages that were not asked for yet.
    ///
    /// # Errors
    /// `PlanTooLarge`; else what asking the source failed with.
    pub(super) async fn fetch<C: Catalogue>(
        &mut self,
        context: &Context,
        source: &C,
        ids: &mut Vec<String>,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        ids.retain(|id| !self.packages.contains_key(id) && seen.insert(id.clone()));
        self.check(self.packages.len() + ids.len())?;
        for batch in ids.chunks(BATCH) {
            let mut found = source.versions_of(context, batch).await?;
            for id in batch {
                let versions = found.remove(id).map(|all| Versions::of(context, id, all));
                self.bytes += id.len() + versions.as_ref().map(Versions::bytes).unwrap_or_default();
                self.packages.insert(id.clone(), versions);
            }
            if self.bytes > BYTES {
                let what = format!("are described in more than {} MiB", BYTES >> 20);
                return Err(self.too_large(self.packages.len(), &what));
            }
        }
        ids.clear();
        Ok(())
    }

    /// Refuses a plan of more packages than one may have.
    pub(super) fn check(&self, packages: usize) -> Result<(), Error> {
        if packages > PACKAGES {
            return Err(self.too_large(packages, &format!("are more than the {PACKAGES} that one copy takes")));
        }
        Ok(())
    }

    fn too_large(&self, packages: usize, what: &str) -> Error {
        let (source, versions) = (&self.source, self.packages.values().flatten().map(|all| all.listed.len()));
        let versions: usize = versions.sum();
        let message = format!(
            "Looking up dependencies on {source} was given up: the {packages} packages found so far, with {versions} \
             versions, {what}. Nothing was sent."
        );
        Error::new(ErrorKind::PlanTooLarge, message)
            .with_hint(
                "Copy it in parts, each with -SkipDependencyCheck. If it should not be that large, the source may name \
                 dependencies without end: look at some with Get-UssPackageVersion.",
            )
            .with_server(source)
    }

    /// What the requests select, each once, and what is wrong with them.
    pub(super) fn roots(&mut self, requests: &[Request]) -> (Vec<Place>, Vec<Error>) {
        let mut roots = Vec::new();
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        for request in requests.iter().filter(|request| seen.insert(*request)) {
            let Request { package_id: id, version_query } = request;
            let selected = self.query(version_query).clone().and_then(|query| match self.packages.get(id) {
                Some(Some(versions)) => {
                    query.select(&versions.parsed).ok_or_else(|| query.nothing_selected(id, &versions.parsed))
                }
                _ => Err(selection::package_not_found(id, &self.source)),
            });
            match selected {
                Ok(version) => {
                    let place = (id.clone(), version);
                    if !roots.contains(&place) {
                        roots.push(place);
                    }
                }
                Err(error) => problems.push(error.with_target(id).with_server(&self.source)),
            }
        }
        (roots, problems)
    }

    /// What all queries of a package come to. They were parsed when they were met.
    pub(super) fn agree(&self, id: &str, queries: Option<&QueriesOfOne>, roots: &[Place]) -> Agreement {
        let none = Agreement { version: None, unrestricted: None };
        let Some(Some(versions)) = self.packages.get(id) else { return none };
        let parsed = &versions.parsed;
        let queries = self.parsed(queries);
        let needing = || queries.iter().filter(|(restricts, _)| !restricts).map(|(_, query)| *query);
        let restricting = || queries.iter().filter(|(restricts, _)| *restricts).map(|(_, query)| *query);
        let unrestricted = restricting().next().map(|_| admitted_by_all(restricting(), parsed));
        Agreement { version: agreed(id, needing, restricting, parsed, roots), unrestricted }
    }

    /// The version that a dependency gets. `all` are all queries of its package, and `agreement` what they come to.
    pub(super) fn choose(
        &self,
        id: &str,
        query: &str,
        all: Option<&QueriesOfOne>,
        agreement: &Agreement,
        roots: &[Place],
    ) -> Option<usize> {
        let (own, parsed) = (self.queries.get(query)?.as_ref().ok()?, &self.packages.get(id)?.as_ref()?.parsed);
        let by_itself = own.select(parsed)?;
        let together = if all.is_some_and(|all| all.contains(&(false, query.to_owned()))) {
            agreement.version
        } else {
            let others = self.parsed(all);
            let needing =
                || [own].into_iter().chain(others.iter().filter(|(restricts, _)| !restricts).map(|(_, q)| *q));
            let restricting = || others.iter().filter(|(restricts, _)| *restricts).map(|(_, query)| *query);
            agreed(id, needing, restricting, parsed, roots)
        };
        let within_restrictions = || {
            let admitted: BTreeSet<usize> = own.select_all(parsed).into_iter().collect();
            let left = match &agreement.unrestricted {
                Some(unrestricted) => admitted.intersection(unrestricted).copied().collect(),
                None => admitted,
            };
            select_among(own, &left, parsed)
        };
        together.or_else(within_restrictions).or(Some(by_itself))
    }

    /// The version that a dependency gets when only its own query counts.
    pub(super) fn choose_alone(&self, id: &str, query: &str) -> Option<usize> {
        self.queries.get(query)?.as_ref().ok()?.select(&self.packages.get(id)?.as_ref()?.parsed)
    }

    fn parsed(&self, queries: Option<&QueriesOfOne>) -> Vec<(bool, &VersionQuery)> {
        let parse = |text: &str| self.queries.get(text).and_then(|query| query.as_ref().ok());
        queries.into_iter().flatten().filter_map(|(restricts, text)| Some((*restricts, parse(text)?))).collect()
    }

    pub(super) fn query(&mut self, text: &str) -> &Result<VersionQuery, Error> {
        self.queries.entry(text.to_owned()).or_insert_with_key(|text| VersionQuery::parse(text))
    }

    pub(super) fn version(&self, (id, version): &Place) -> Option<&PackageVersion> {
        self.packages.get(id)?.as_ref()?.listed.get(*version)
    }

    pub(super) fn label(&self, place: &Place) -> String {
        let version = self.version(place);
        version.map(|version| format!("{} {}", shown(&version.package_id), shown(&version.version))).unwrap_or_default()
    }

    /// That something cannot be had; `who_needs` says for whom.
    pub(super) fn unresolved(&self, who_needs: &str, (id, query): &Missing) -> Error {
        let name = shown(id);
        let wanted = if query.is_empty() { name.clone() } else { format!("{name} '{}'", shown(query)) };
        let why = match (self.queries.get(query), self.packages.get(id)) {
            (Some(Err(error)), _) => error.message().to_owned(),
            (Some(Ok(query)), Some(Some(versions))) => {
                query.nothing_selected(&name, &versions.parsed).message().to_owned()
            }
            _ => format!("{} has no package {name}.", self.source),
        };
        Error::new(ErrorKind::DependencyUnresolved, format!("{who_needs} {wanted}: {why}"))
            .with_hint("Publish what is missing on the source, or copy without dependencies: -SkipDependencyCheck.")
            .with_target(name)
            .with_server(&self.source)
    }

    pub(super) fn more_problems(&self, more: usize) -> Error {
        let message = format!("On {}, there are {more} more problems of this kind.", self.source);
        Error::new(ErrorKind::DependencyUnresolved, message)
            .with_hint("Correct those that are told, and try again.")
            .with_server(&self.source)
    }
}

impl Versions {
    fn of(context: &Context, id: &str, all: Vec<PackageVersion>) -> Self {
        // What cannot be compared cannot be selected.
        let readable = all.into_iter().filter_map(|version| {
            let parsed = Version::parse(&version.version);
            if let Err(error) = &parsed {
                context.log().verbose(|| format!("{id}: left out a version. {}", error.message()));
            }
            Some((version, parsed.ok()?))
        });
        let (listed, parsed) = readable.unzip();
        Self { listed, parsed }
    }

    /// What they take in memory.
    fn bytes(&self) -> usize {
        let of_one = |version: &PackageVersion| {
            let texts = version.package_id.len() + 2 * version.version.len();
            let texts = texts + version.sha256.as_ref().map(String::len).unwrap_or_default();
            let dependencies = version.dependencies.iter().map(|dependency| {
                size_of::<Dependency>() + dependency.package_id.len() + dependency.version_query.len()
            });
            size_of::<PackageVersion>() + size_of::<Version>() + texts + dependencies.sum::<usize>()
        };
        self.listed.iter().map(of_one).sum()
    }
}

/// The version that queries agree on.
fn agreed<'a, N, R>(
    id: &str,
    needing: impl Fn() -> N,
    restricting: impl Fn() -> R,
    parsed: &[Version],
    roots: &[Place],
) -> Option<usize>
where
    N: Iterator<Item = &'a VersionQuery>,
    R: Iterator<Item = &'a VersionQuery>,
{
    let agreed = admitted_by_all(needing().chain(restricting()), parsed);
    // A version that is copied anyway is better than one more.
    let asked_for = roots.iter().filter(|(root, place)| root == id && agreed.contains(place)).map(|(_, place)| *place);
    newest(asked_for, parsed)
        .or_else(|| newest(needing().filter_map(|query| select_among(query, &agreed, parsed)), parsed))
}

fn admitted_by_all<'a>(queries: impl Iterator<Item = &'a VersionQuery>, versions: &[Version]) -> BTreeSet<usize> {
    let sets = queries.map(|query| query.select_all(versions).into_iter().collect::<BTreeSet<_>>());
    sets.reduce(|all, one| all.intersection(&one).copied().collect()).unwrap_or_default()
}

fn select_among(query: &VersionQuery, places: &BTreeSet<usize>, versions: &[Version]) -> Option<usize> {
    let (places, some): (Vec<usize>, Vec<Version>) =
        places.iter().filter_map(|place| Some((*place, versions.get(*place)?.clone()))).unzip();
    places.get(query.select(&some)?).copied()
}

fn newest(places: impl Iterator<Item = usize>, versions: &[Version]) -> Option<usize> {
    places.max_by_key(|place| versions.get(*place))
}

/// A name that a source may have made as long as it likes.
fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}
