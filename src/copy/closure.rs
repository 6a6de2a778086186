//! Which versions a copy needs: what was asked for, and all that it depends on, resolved against the source.
//!
//! Where several packages need the same one, their queries and the restrictions of `OnlyRestrictVersion` are put
//! together: one version where they agree on one, else each query's own. As the choice of a version decides which
//! further queries there are, the graph is walked again with all queries known, until nothing changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::order::order;
use super::{Catalogue, PlanOptions, Request};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::selection;
use crate::update_service::model::PackageVersion;
use crate::version::Version;
use crate::version_query::VersionQuery;

/// Walks after which queries that still do not settle get each their own version.
const WALKS: usize = 8;

/// Names in one message at most.
const NAMED: usize = 3;

/// What is to be copied, and what stands in the way.
pub(super) struct Closure {
    /// In copy order.
    pub(super) nodes: Vec<Node>,
    /// Everything that is wrong with it.
    pub(super) problems: Vec<Error>,
}

/// One version to be copied.
pub(super) struct Node {
    pub(super) version: PackageVersion,
    /// Places in [`Closure::nodes`] of what it needs.
    pub(super) needs: Vec<usize>,
    /// Named by the caller, not brought in.
    pub(super) requested: bool,
}

/// Resolves `requests` and their dependencies on `source`.
///
/// # Errors
/// Only what asking the source failed with; what is wrong with the packages is among the problems.
pub(super) async fn close<C: Catalogue>(
    context: &Context,
    source: &C,
    requests: &[Request],
    options: &PlanOptions,
) -> Result<Closure, Error> {
    let mut known = Known::new(source.name());
    let mut ids: Vec<String> = requests.iter().map(|request| request.package_id.clone()).collect();
    known.fetch(context, source, &mut ids).await?;
    let (roots, mut problems) = known.roots(requests);

    let mut walk = Walk::default();
    if options.skip_dependency_check {
        for root in &roots {
            walk.visit(root);
        }
    } else {
        let mut queries = Some(Queries::new());
        for round in 0..=WALKS {
            if round == WALKS {
                context.log().verbose(|| "The dependencies' version queries do not settle; each gets its own.".into());
                queries = None;
            }
            walk = walk_once(context, source, &mut known, &roots, queries.as_ref(), options).await?;
            if queries.as_ref().is_none_or(|queries| *queries == walk.queries) {
                break;
            }
            queries = Some(std::mem::take(&mut walk.queries));
        }
    }

    let requested: HashSet<&Place> = roots.iter().collect();
    let places: Vec<usize> = (0..roots.len()).collect();
    let (sorted, circles) = order(&walk.needs, &places);
    problems.extend(walk.missing.iter().map(|(missing, needers)| known.unresolved(missing, needers)));
    problems.extend(circles.iter().map(|circle| walk.circle(&known, circle)));

    let mut moved = vec![0; sorted.len()];
    sorted.iter().enumerate().for_each(|(new, old)| {
        if let Some(place) = moved.get_mut(*old) {
            *place = new;
        }
    });
    let nodes = sorted.iter().filter_map(|old| {
        let place = walk.places.get(*old)?;
        let needs = walk.needs.get(*old)?.iter().filter_map(|need| moved.get(*need).copied()).collect();
        Some(Node { version: known.version(place)?.clone(), needs, requested: requested.contains(place) })
    });
    Ok(Closure { nodes: nodes.collect(), problems })
}

/// A version: its package's id, and its place among that package's versions.
type Place = (String, usize);

/// Each package's queries; true: it only restricts.
type Queries = BTreeMap<String, BTreeSet<(bool, String)>>;

/// A dependency that cannot be had: the package and the query.
type Missing = (String, String);

#[derive(Default)]
struct Walk {
    places: Vec<Place>,
    needs: Vec<Vec<usize>>,
    index: HashMap<Place, usize>,
    queries: Queries,
    /// Who needs what is missing.
    missing: BTreeMap<Missing, Vec<String>>,
}

impl Walk {
    /// The node of a place, and whether it is new.
    fn visit(&mut self, place: &Place) -> (usize, bool) {
        if let Some(node) = self.index.get(place) {
            return (*node, false);
        }
        let node = self.places.len();
        self.places.push(place.clone());
        self.needs.push(Vec::new());
        self.index.insert(place.clone(), node);
        (node, true)
    }

    fn circle(&self, known: &Known, circle: &[usize]) -> Error {
        let names: Vec<String> = circle.iter().filter_map(|node| Some(known.label(self.places.get(*node)?))).collect();
        let path = names.join(" -> ");
        Error::new(ErrorKind::DependencyCycle, format!("On {}, packages need each other: {path}.", known.source))
            .with_hint("Correct one of these packages' dependencies, or copy them with -SkipDependencyCheck.")
            .with_target(names.first().cloned().unwrap_or_default())
            .with_server(&known.source)
    }
}

/// Walks breadth first, so that a level of the graph costs one look-up, however wide it is.
async fn walk_once<C: Catalogue>(
    context: &Context,
    source: &C,
    known: &mut Known,
    roots: &[Place],
    queries: Option<&Queries>,
    options: &PlanOptions,
) -> Result<Walk, Error> {
    let mut walk = Walk::default();
    let mut chosen: HashMap<Missing, Option<usize>> = HashMap::new();
    let mut level: Vec<usize> = roots.iter().map(|root| walk.visit(root).0).collect();
    while !level.is_empty() {
        let mut ids = Vec::new();
        let mut wanted = Vec::new();
        for node in std::mem::take(&mut level) {
            let Some(place) = walk.places.get(node) else { continue };
            let label = known.label(place);
            let dependencies = known.version(place).map(|version| version.dependencies.clone()).unwrap_or_default();
            for dependency in dependencies {
                let (id, query) = (dependency.package_id, dependency.version_query);
                let restricts = dependency.only_restrict_version;
                if dependency.optional && !options.include_optional && !restricts {
                    continue;
                }
                walk.queries.entry(id.clone()).or_default().insert((restricts, query.clone()));
                let readable = known.query(&query).is_ok();
                if !restricts {
                    ids.push(id.clone());
                    wanted.push((node, (id, query)));
                } else if !readable {
                    walk.missing.entry((id, query)).or_default().push(label.clone());
                }
            }
        }
        known.fetch(context, source, &mut ids).await?;
        for (node, need) in wanted {
            let choice = *chosen.entry(need.clone()).or_insert_with_key(|(id, query)| {
                known.choose(id, query, queries.map(|queries| queries.get(id)), roots)
            });
            let Some(version) = choice else {
                let label = walk.places.get(node).map(|place| known.label(place)).unwrap_or_default();
                walk.missing.entry(need).or_default().push(label);
                continue;
            };
            let (needed, new) = walk.visit(&(need.0, version));
            if let Some(needs) = walk.needs.get_mut(node).filter(|needs| !needs.contains(&needed)) {
                needs.push(needed);
            }
            if new {
                level.push(needed);
            }
        }
    }
    Ok(walk)
}

/// What the source has, as far as it was asked.
struct Known {
    source: String,
    packages: HashMap<String, Option<Versions>>,
    queries: HashMap<String, Result<VersionQuery, Error>>,
}

/// A package's versions, and the same parsed.
struct Versions {
    listed: Vec<PackageVersion>,
    parsed: Vec<Version>,
}

impl Known {
    fn new(source: String) -> Self {
        Self { source, packages: HashMap::new(), queries: HashMap::new() }
    }

    async fn fetch<C: Catalogue>(&mut self, context: &Context, source: &C, ids: &mut Vec<String>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        ids.retain(|id| !self.packages.contains_key(id) && seen.insert(id.clone()));
        if ids.is_empty() {
            return Ok(());
        }
        let mut found = source.versions_of(context, ids).await?;
        for id in ids.drain(..) {
            let versions = found.remove(&id).map(|all| {
                // What cannot be compared cannot be selected.
                let readable = all.into_iter().filter_map(|version| {
                    let parsed = Version::parse(&version.version);
                    if let Err(error) = &parsed {
                        context.log().verbose(|| format!("{id}: left out a version. {}", error.message()));
                    }
                    Some((version, parsed.ok()?))
                });
                let (listed, parsed) = readable.unzip();
                Versions { listed, parsed }
            });
            self.packages.insert(id, versions);
        }
        Ok(())
    }

    /// What the requests select, each once, and what is wrong with them.
    fn roots(&mut self, requests: &[Request]) -> (Vec<Place>, Vec<Error>) {
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

    /// The version that a dependency gets. `queries` are all of that package's, parsed when they were met; none: only
    /// its own counts.
    fn choose(
        &self,
        id: &str,
        query: &str,
        queries: Option<Option<&BTreeSet<(bool, String)>>>,
        roots: &[Place],
    ) -> Option<usize> {
        let parse = |text: &str| self.queries.get(text).and_then(|query| query.as_ref().ok());
        let own = parse(query)?;
        let parsed = &self.packages.get(id)?.as_ref()?.parsed;
        let by_itself = own.select(parsed)?;
        let Some(queries) = queries else { return Some(by_itself) };

        let others: Vec<(bool, &VersionQuery)> =
            queries.into_iter().flatten().filter_map(|(restricts, text)| Some((*restricts, parse(text)?))).collect();
        let needing = || std::iter::once(own).chain(others.iter().filter(|(restricts, _)| !restricts).map(|(_, q)| *q));
        let restricting = || others.iter().filter(|(restricts, _)| *restricts).map(|(_, query)| *query);

        let agreed = admitted_by_all(needing().chain(restricting()), parsed);
        // A version that is copied anyway is better than one more.
        let asked_for =
            roots.iter().filter(|(root, place)| root == id && agreed.contains(place)).map(|(_, place)| *place);
        newest(asked_for, parsed)
            .or_else(|| newest(needing().filter_map(|query| select_among(query, &agreed, parsed)), parsed))
            .or_else(|| {
                let restricted = admitted_by_all(std::iter::once(own).chain(restricting()), parsed);
                select_among(own, &restricted, parsed)
            })
            .or(Some(by_itself))
    }

    fn query(&mut self, text: &str) -> &Result<VersionQuery, Error> {
        self.queries.entry(text.to_owned()).or_insert_with_key(|text| VersionQuery::parse(text))
    }

    fn version(&self, (id, version): &Place) -> Option<&PackageVersion> {
        self.packages.get(id)?.as_ref()?.listed.get(*version)
    }

    fn label(&self, place: &Place) -> String {
        self.version(place).map(|version| format!("{} {}", version.package_id, version.version)).unwrap_or_default()
    }

    fn unresolved(&self, (id, query): &Missing, needers: &[String]) -> Error {
        let who = match needers.len().saturating_sub(NAMED) {
            0 => needers.join(", "),
            more => format!("{} and {more} more", needers.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ")),
        };
        let verb = if needers.len() == 1 { "needs" } else { "need" };
        let wanted = if query.is_empty() { id.clone() } else { format!("{id} '{query}'") };
        let why = match (self.queries.get(query), self.packages.get(id)) {
            (Some(Err(error)), _) => error.message().to_owned(),
            (Some(Ok(query)), Some(Some(versions))) => {
                query.nothing_selected(id, &versions.parsed).message().to_owned()
            }
            _ => format!("{} has no package {id}.", self.source),
        };
        Error::new(ErrorKind::DependencyUnresolved, format!("{who} {verb} {wanted}: {why}"))
            .with_hint("Publish what is missing on the source, or copy without dependencies: -SkipDependencyCheck.")
            .with_target(id)
            .with_server(&self.source)
    }
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
