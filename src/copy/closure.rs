//! Which versions a copy needs: what was asked for, and all that it depends on, resolved against the source.
//!
//! Where several packages need the same one, their queries and the restrictions of `OnlyRestrictVersion` are put
//! together: one version where they agree on one, else each query's own. As the choice of a version decides which
//! further queries there are, the graph is walked again with all queries known, until nothing changes.
//!
//! However much the source has, what is kept of it is bounded, and so is what is said about it.

mod known;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::order::order;
use super::{Catalogue, PlanOptions, Request};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::update_service::model::PackageVersion;
use known::{Agreement, Known};

/// Walks after which queries that still do not settle get each their own version.
const WALKS: usize = 8;

/// Names in one message at most.
const NAMED: usize = 3;

/// Packages of one circle in its message at most.
const NAMED_OF_CIRCLE: usize = 20;

/// Problems of one plan that are told at most.
const TOLD: usize = 1_000;

/// Dependencies that are resolved before whoever waits for this thread, to cancel the copy for one, gets a turn.
const TURN: usize = 64;

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
    let (sorted, circles) = order(&walk.needs, &places, TOLD);
    let found = problems.len() + walk.missing.len() + circles.found;
    let room = |told: &[Error]| TOLD.saturating_sub(told.len());
    let told = walk.missing.iter().take(room(&problems));
    problems.extend(told.map(|(missing, needers)| walk.unresolved(&known, missing, needers)));
    let told = circles.paths.iter().take(room(&problems));
    problems.extend(told.map(|circle| walk.circle(&known, circle)));
    if found > problems.len() {
        problems.push(known.more_problems(found - problems.len()));
    }

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
    /// Which nodes need what is missing.
    missing: BTreeMap<Missing, Vec<usize>>,
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

    fn label(&self, known: &Known, node: usize) -> String {
        self.places.get(node).map(|place| known.label(place)).unwrap_or_default()
    }

    fn circle(&self, known: &Known, circle: &[usize]) -> Error {
        let (start, end) = match circle {
            // The last one is the first.
            [start @ .., end] if start.len() > NAMED_OF_CIRCLE => (start, Some(end)),
            all => (all, None),
        };
        let shown = if end.is_some() { NAMED_OF_CIRCLE } else { start.len() };
        let mut names: Vec<String> = start.iter().take(shown).map(|node| self.label(known, *node)).collect();
        if let Some(end) = end {
            names.push(format!("{} more", start.len() - shown));
            names.push(self.label(known, *end));
        }
        let path = names.join(" -> ");
        Error::new(ErrorKind::DependencyCycle, format!("On {}, packages need each other: {path}.", known.source))
            .with_hint("Correct one of these packages' dependencies, or copy them with -SkipDependencyCheck.")
            .with_target(names.first().cloned().unwrap_or_default())
            .with_server(&known.source)
    }

    fn unresolved(&self, known: &Known, missing: &Missing, needers: &[usize]) -> Error {
        let named = needers.iter().take(NAMED).map(|node| self.label(known, *node)).collect::<Vec<_>>().join(", ");
        let who = match needers.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        };
        let verb = if needers.len() == 1 { "needs" } else { "need" };
        known.unresolved(&format!("{who} {verb}"), missing)
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
    let mut agreed: HashMap<String, Agreement> = HashMap::new();
    let mut turns = Turns::default();
    let mut level: Vec<usize> = roots.iter().map(|root| walk.visit(root).0).collect();
    while !level.is_empty() {
        known.check(walk.places.len())?;
        let mut ids = Vec::new();
        let mut wanted = Vec::new();
        for node in std::mem::take(&mut level) {
            let Some(place) = walk.places.get(node) else { continue };
            let dependencies = known.version(place).map(|version| version.dependencies.clone()).unwrap_or_default();
            for (number, dependency) in dependencies.into_iter().enumerate() {
                turns.next().await;
                let (id, query) = (dependency.package_id, dependency.version_query);
                let restricts = dependency.only_restrict_version;
                if dependency.optional && !options.include_optional && !restricts {
                    continue;
                }
                let readable = known.query(&query).is_ok();
                if !restricts {
                    ids.push(id.clone());
                    wanted.push((node, number));
                } else if !readable {
                    walk.missing.entry((id.clone(), query.clone())).or_default().push(node);
                }
                walk.queries.entry(id).or_default().insert((restricts, query));
            }
        }
        known.fetch(context, source, &mut ids).await?;
        // Which node needed one last: each is noted once, and those of a node come one after the other.
        let mut noted: HashMap<usize, usize> = HashMap::new();
        for (node, number) in wanted {
            turns.next().await;
            let dependency = walk.places.get(node).and_then(|place| known.version(place)?.dependencies.get(number));
            let Some(need) = dependency.map(|need| (need.package_id.clone(), need.version_query.clone())) else {
                continue;
            };
            let choice = *chosen.entry(need.clone()).or_insert_with_key(|(id, query)| match queries {
                None => known.choose_alone(id, query),
                Some(queries) => {
                    let all = queries.get(id);
                    let agreement = agreed.entry(id.clone()).or_insert_with(|| known.agree(id, all, roots));
                    known.choose(id, query, all, agreement, roots)
                }
            });
            let Some(version) = choice else {
                walk.missing.entry(need).or_default().push(node);
                continue;
            };
            let (needed, new) = walk.visit(&(need.0, version));
            if noted.insert(needed, node) != Some(node)
                && let Some(needs) = walk.needs.get_mut(node)
            {
                needs.push(needed);
            }
            if new {
                level.push(needed);
            }
        }
    }
    Ok(walk)
}

/// Long work that must not keep others from this thread.
#[derive(Default)]
struct Turns(usize);

impl Turns {
    async fn next(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
    }
}
