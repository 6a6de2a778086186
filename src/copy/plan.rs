//! The plan: what goes where, in which order, and everything that stands in the way, before the first byte.

use std::collections::HashMap;

use super::closure::{Node, close};
use super::{Catalogue, ContentKey, CopyResult, Destination, Digest, Source, Status, Summary, summary};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};
use crate::update_service::UpdateService;
use crate::update_service::model::PackageVersion;
use crate::version::Version;

/// Packages that are asked for at once.
pub(super) const BATCH: usize = 500;

/// What someone asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// `bundle/my-pos`.
    pub package_id: String,
    /// Which of its versions; empty: the newest.
    pub version_query: String,
}

/// How a copy is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Replace other bytes of the same name.
    pub force: bool,
    /// Only what was named, in the order in which it was named.
    pub skip_dependency_check: bool,
    /// Dependencies that are not needed to work, too.
    pub include_optional: bool,
}

/// A copy that can be shown and run.
#[derive(Clone, Debug)]
pub struct Plan<S = UpdateService, D = UpdateService> {
    pub(super) source: S,
    pub(super) destinations: Vec<D>,
    /// In copy order.
    pub(super) items: Vec<Item>,
    /// For each destination, what happens to each item.
    pub(super) actions: Vec<Vec<Action>>,
}

/// One content to be copied.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) content: ContentKey,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<Digest>,
    /// Places of the items that must be there before.
    pub(super) needs: Vec<usize>,
    /// Named by the caller, not brought in.
    pub(super) requested: bool,
}

/// What happens to an item at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Copy,
    Replace,
    Skip,
}

/// Plans a copy of packages.
///
/// # Errors
/// Every problem there is, in the order of the requests: `PackageNotFound`, `NoPackageInRange`, `InvalidVersionQuery`,
/// `DependencyUnresolved`, `DependencyCycle`, `PackageAlreadyExists` (without `force`), and what asking the servers
/// failed with.
pub async fn plan<S: Source, D: Destination>(
    context: &Context,
    source: &S,
    destinations: &[D],
    requests: &[Request],
    options: &PlanOptions,
) -> Result<Plan<S, D>, Vec<Error>> {
    context.progress().set_phase(Phase::Planning);
    let closure = close(context, source, requests, options).await.map_err(|error| vec![error])?;
    let mut problems = closure.problems;
    let items: Vec<Item> = closure.nodes.into_iter().map(Item::from).collect();
    let mut ids: Vec<String> = items.iter().map(|item| item.content.id().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut actions = Vec::new();
    for destination in destinations {
        match existing_alike(context, destination, &ids, &items).await {
            Ok(existing) => actions.push(decide(&items, &existing, source, destination, options.force, &mut problems)),
            Err(error) => problems.push(error),
        }
    }
    Plan { source: source.clone(), destinations: destinations.to_vec(), items, actions }.unless(problems)
}

/// What `requests` need, themselves included, in copy order: `Resolve-UssDependency`.
///
/// # Errors
/// Every problem there is, as for [`plan`].
pub async fn resolve<C: Catalogue>(
    context: &Context,
    source: &C,
    requests: &[Request],
    include_optional: bool,
) -> Result<Vec<PackageVersion>, Vec<Error>> {
    context.progress().set_phase(Phase::Planning);
    let options = PlanOptions { include_optional, ..PlanOptions::default() };
    let closure = close(context, source, requests, &options).await.map_err(|error| vec![error])?;
    if closure.problems.is_empty() {
        Ok(closure.nodes.into_iter().map(|node| node.version).collect())
    } else {
        Err(closure.problems)
    }
}

impl<S: Source, D: Destination> Plan<S, D> {
    /// One line a destination, for a person who decides.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        let action = format!("Copy from {}", self.source.name());
        self.destinations
            .iter()
            .zip(&self.actions)
            .map(|(destination, actions)| {
                let destination = destination.name();
                let target = format!("{} to {destination}", summary::describe(&self.items, actions));
                Summary { destination, target, action: action.clone() }
            })
            .collect()
    }

    /// What would happen, in copy order, destination by destination.
    #[must_use]
    pub fn rows(&self) -> Vec<CopyResult> {
        let source = self.source.name();
        let destinations = self.destinations.iter().zip(&self.actions);
        let rows = destinations.flat_map(|(destination, actions)| {
            let (source, name) = (&source, destination.name());
            self.items.iter().zip(actions).map(move |(item, action)| item.row(*action, source, &name))
        });
        rows.collect()
    }

    pub(super) fn unless(self, problems: Vec<Error>) -> Result<Self, Vec<Error>> {
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }
}

impl Item {
    fn row(&self, action: Action, source: &str, destination: &str) -> CopyResult {
        CopyResult {
            id: self.content.id().to_owned(),
            version: self.content.version().to_owned(),
            source: source.to_owned(),
            destination: destination.to_owned(),
            status: match action {
                Action::Copy => Status::WouldCopy,
                Action::Replace => Status::WouldReplace,
                Action::Skip => Status::WouldSkip,
            },
            size: self.size,
            bytes_sent: 0,
            duration: std::time::Duration::ZERO,
            sha256: self.sha256.map(|digest| digest.to_string()),
        }
    }
}

impl From<Node> for Item {
    fn from(node: Node) -> Self {
        let Node { version, needs, requested } = node;
        Self {
            size: version.size,
            sha256: version.sha256.as_deref().and_then(Digest::parse),
            content: ContentKey::Package { id: version.package_id, version: version.version },
            needs,
            requested,
        }
    }
}

/// What a side has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<Digest>,
}

impl Stored {
    fn of(size: Option<u64>, sha256: Option<&str>) -> Self {
        Self { size, sha256: sha256.and_then(Digest::parse) }
    }
}

/// What a side has, by [`identity`].
pub(super) type Existing = HashMap<(String, String), Stored>;

/// What makes a content one and the same on a server: `1.0` and `1.0.0+b` are one version.
pub(super) fn identity(content: &ContentKey) -> (String, String) {
    match content {
        ContentKey::Package { id, version } => (id.clone(), version_identity(version)),
        ContentKey::Installer(installer) => (installer.id.to_ascii_lowercase(), String::new()),
    }
}

fn version_identity(version: &str) -> String {
    Version::parse(version).map_or_else(|_| version.to_owned(), |parsed| parsed.identity())
}

pub(super) async fn existing_packages<C: Catalogue>(
    context: &Context,
    side: &C,
    ids: &[String],
) -> Result<Existing, Error> {
    let stored = |version: &PackageVersion| Stored::of(version.size, version.sha256.as_deref());
    let mut existing = Existing::new();
    // What else a side says of its versions is not kept: a set may have thousands of packages.
    for batch in ids.chunks(BATCH) {
        let versions = side.versions_of(context, batch).await?.into_values().flatten();
        existing.extend(versions.map(|v| ((v.package_id.clone(), version_identity(&v.version)), stored(&v))));
    }
    Ok(existing)
}

/// [`existing_packages`], with the digests of those that cannot be told from the items without.
async fn existing_alike<C: Catalogue>(
    context: &Context,
    side: &C,
    ids: &[String],
    items: &[Item],
) -> Result<Existing, Error> {
    let mut existing = existing_packages(context, side, ids).await?;
    for item in items {
        let Some(there) = existing.get_mut(&identity(&item.content)) else { continue };
        if there.sha256.is_none() && (item.size.is_none() || there.size.is_none() || item.size == there.size) {
            there.sha256 = side.digest(context, &item.content).await?;
        }
    }
    Ok(existing)
}

pub(super) async fn existing_installers<C: Catalogue>(context: &Context, side: &C) -> Result<Existing, Error> {
    let installers = side.installers(context).await?.into_iter();
    Ok(installers
        .map(|i| ((i.id.to_ascii_lowercase(), String::new()), Stored::of(i.size, i.sha256.as_deref())))
        .collect())
}

/// What a side has under this name now.
pub(super) async fn stored<C: Catalogue>(
    context: &Context,
    side: &C,
    content: &ContentKey,
) -> Result<Option<Stored>, Error> {
    let existing = match content {
        ContentKey::Package { id, .. } => existing_packages(context, side, std::slice::from_ref(id)).await?,
        ContentKey::Installer(_) => existing_installers(context, side).await?,
    };
    let Some(mut stored) = existing.get(&identity(content)).copied() else { return Ok(None) };
    if stored.sha256.is_none() {
        stored.sha256 = side.digest(context, content).await?;
    }
    Ok(Some(stored))
}

/// What happens to each item at a destination, given what is there.
///
/// Where a digest is not told the sizes may still differ; where they do not, only the destination can compare, when
/// it has the bytes.
pub(super) fn decide<S: Source, D: Destination>(
    items: &[Item],
    existing: &Existing,
    source: &S,
    destination: &D,
    force: bool,
    problems: &mut Vec<Error>,
) -> Vec<Action> {
    let mut actions = Vec::with_capacity(items.len());
    for item in items {
        let there = existing.get(&identity(&item.content));
        let same = there.and_then(|there| match (item.sha256, there.sha256) {
            (Some(ours), Some(theirs)) => Some(ours == theirs),
            _ => item.size.zip(there.size).filter(|(ours, theirs)| ours != theirs).map(|_| false),
        });
        actions.push(match same {
            Some(true) => Action::Skip,
            Some(false) if force => Action::Replace,
            Some(false) => {
                problems.push(exists(item, &source.name(), &destination.name()));
                Action::Skip
            }
            // With other bytes there, a copy would be refused in spite of the force.
            None if force && there.is_some() => Action::Replace,
            None => Action::Copy,
        });
    }
    actions
}

fn exists(item: &Item, source: &str, destination: &str) -> Error {
    let content = &item.content;
    let message = format!("{destination} has other bytes than {source} as {content}. Nothing was changed.");
    Error::new(ErrorKind::PackageAlreadyExists, message)
        .with_hint("Use -Force to replace them, or publish the new content under a new version.")
        .with_target(content.to_string())
        .with_server(destination)
}

#[cfg(test)]
mod tests;
