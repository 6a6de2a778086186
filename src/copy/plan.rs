//! The plan: what goes where, in which order, and everything that stands in the way, before the first byte.

use std::collections::HashMap;

use super::closure::{Node, close};
use super::{Catalogue, ContentKey, CopyResult, Destination, Digest, Source, Status, Summary, summary};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};
use crate::update_service::UpdateService;
use crate::update_service::model::PackageVersion;
use crate::version::Version;

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
        match existing_packages(context, destination, &ids).await {
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
    let versions = side.versions_of(context, ids).await?.into_values().flatten();
    let stored = |version: &PackageVersion| Stored::of(version.size, version.sha256.as_deref());
    Ok(versions.map(|v| ((v.package_id.clone(), version_identity(&v.version)), stored(&v))).collect())
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
    Ok(existing.get(&identity(content)).copied())
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
mod tests {
    use super::*;
    use crate::copy::memory::Memory;
    use crate::log::{Log, LogLevel};

    fn context() -> Context {
        Context::new(Log::new(LogLevel::Verbose))
    }

    fn ask(text: &[&str]) -> Vec<Request> {
        let request = |text: &&str| {
            let (id, query) = text.split_once(' ').unwrap_or((text, ""));
            Request { package_id: id.into(), version_query: query.into() }
        };
        text.iter().map(request).collect()
    }

    /// What is copied, in copy order, or the problems' codes and messages.
    async fn order_of(source: &Memory, requests: &[&str], options: PlanOptions) -> Result<Vec<String>, Vec<Error>> {
        let there = Memory::new("http://b");
        let plan = plan(&context(), source, &[there], &ask(requests), &options).await?;
        Ok(plan.items.iter().map(|item| item.content.to_string()).collect())
    }

    async fn problems(source: &Memory, requests: &[&str]) -> Vec<(&'static str, String)> {
        let problems = order_of(source, requests, PlanOptions::default()).await.unwrap_err();
        problems.iter().map(|error| (error.kind().code(), error.message().to_owned())).collect()
    }

    fn source(packages: &[(&str, &str, &[&str])]) -> Memory {
        let source = Memory::new("http://a");
        for (id, version, dependencies) in packages {
            source.add(id, version, format!("{id} {version}"), dependencies);
        }
        source
    }

    #[tokio::test]
    async fn dependencies_come_before_what_needs_them() {
        let source = source(&[
            ("bundle", "1.0", &["app >=1.0", "printer", "?extra", "!base <3.0"]),
            ("app", "1.0", &["base >=1.0"]),
            ("app", "2.0", &["base >=2.0"]),
            ("printer", "1.0", &["base"]),
            ("base", "1.0", &[]),
            ("base", "2.0", &[]),
            ("base", "3.0", &[]),
            ("extra", "1.0", &[]),
        ]);
        let required = ["base 2.0", "app 2.0", "printer 1.0", "bundle 1.0"];
        assert_eq!(order_of(&source, &["bundle"], PlanOptions::default()).await.unwrap(), required);
        let all = PlanOptions { include_optional: true, ..PlanOptions::default() };
        assert!(order_of(&source, &["bundle"], all).await.unwrap().contains(&"extra 1.0".to_owned()));
        let alone = PlanOptions { skip_dependency_check: true, ..PlanOptions::default() };
        assert_eq!(order_of(&source, &["bundle", "app 1.0"], alone).await.unwrap(), ["bundle 1.0", "app 1.0"]);
        let resolved = resolve(&context(), &source, &ask(&["bundle"]), false).await.unwrap();
        assert!(resolved.iter().map(|v| format!("{} {}", v.package_id, v.version)).eq(required));
    }

    #[tokio::test]
    async fn one_version_where_the_queries_agree_and_each_its_own_where_they_do_not() {
        let source = source(&[
            ("one", "1.0", &["base <3.0"]),
            ("two", "1.0", &["base >=1.5"]),
            ("old", "1.0", &["base 1.0"]),
            ("base", "1.0", &[]),
            ("base", "2.0", &[]),
            ("base", "3.0", &[]),
        ]);
        let copied = |requests: &'static [&str]| {
            let source = source.clone();
            async move { order_of(&source, requests, PlanOptions::default()).await.unwrap() }
        };
        assert_eq!(copied(&["one", "two"]).await, ["base 2.0", "one 1.0", "two 1.0"]);
        assert_eq!(copied(&["two", "old"]).await, ["base 3.0", "two 1.0", "base 1.0", "old 1.0"]);
        // What is asked for by name is what its own query selects, and what it can serve needs no second version.
        assert_eq!(copied(&["base 1.0", "one"]).await, ["base 1.0", "one 1.0"]);
        assert_eq!(copied(&["one", "base"]).await, ["base 2.0", "one 1.0", "base 3.0"]);
    }

    #[tokio::test]
    async fn a_restriction_that_nothing_fits_does_not_stop_the_copy() {
        let source = source(&[("app", "1.0", &["base >=2.0", "!base <2.0", "!absent 1.0"]), ("base", "2.0", &[])]);
        assert_eq!(order_of(&source, &["app"], PlanOptions::default()).await.unwrap(), ["base 2.0", "app 1.0"]);
    }

    #[tokio::test]
    async fn all_problems_are_told_together_before_anything_is_sent() {
        let source = source(&[
            ("a", "1.0", &["b", "gone >=2.0"]),
            ("b", "1.0", &["c"]),
            ("c", "1.0", &["a"]),
            ("self", "1.0", &["self"]),
            ("late", "1.0", &["b >=9.0", "gone >=2.0", "b ${version}"]),
            ("there", "1.0", &[]),
        ]);
        let there = Memory::new("http://b");
        there.add("there", "1.0.0", "other bytes", &[]);
        let requests = ask(&["a", "self", "late", "unknown", "b >7.0", "b >", "there"]);
        let options = PlanOptions::default();
        let found = plan(&context(), &source, std::slice::from_ref(&there), &requests, &options).await.unwrap_err();
        let found: Vec<_> = found.iter().map(|error| (error.kind().code(), error.message())).collect();
        let has = |code: &str, text: &str| {
            let hits = found.iter().filter(|(kind, message)| *kind == code && message.contains(text)).count();
            assert_eq!(hits, 1, "{code} {text} in {found:#?}");
        };
        has("PackageNotFound", "unknown");
        has("NoPackageInRange", "No version of b fits '>7.0'");
        has("InvalidVersionQuery", "Column 2");
        has("DependencyCycle", ": a 1.0 -> b 1.0 -> c 1.0 -> a 1.0.");
        has("DependencyCycle", ": self 1.0 -> self 1.0.");
        has("DependencyUnresolved", "a 1.0, late 1.0 need gone '>=2.0': http://a has no package gone.");
        has("DependencyUnresolved", "late 1.0 needs b '>=9.0':");
        has("DependencyUnresolved", "late 1.0 needs b '${version}':");
        has("PackageAlreadyExists", "there 1.0");
        assert_eq!(found.len(), 9, "{found:#?}");
        assert_eq!((source.state().opened.len(), there.state().uploads), (0, 0));
    }

    #[tokio::test]
    async fn what_is_there_is_skipped_and_other_bytes_need_force() {
        let source = source(&[("app", "1.0", &["base"]), ("base", "1.0", &[]), ("lib", "1.0+a", &[])]);
        let there = Memory::new("http://b");
        there.add("base", "1.0.0", "base 1.0", &[]);
        there.add("lib", "1.0+b", "other", &[]);
        let force = PlanOptions { force: true, ..PlanOptions::default() };
        let plan = plan(&context(), &source, &[there], &ask(&["app", "lib"]), &force).await.unwrap();
        let rows: Vec<_> = plan.rows().iter().map(|row| (row.id.clone(), row.status.as_str())).collect();
        let expected = [("base", "WouldSkip"), ("app", "WouldCopy"), ("lib", "WouldReplace")];
        assert_eq!(rows, expected.map(|(id, status)| (id.to_owned(), status)));
        let summary = plan.summaries().pop().unwrap();
        assert_eq!(summary.action, "Copy from http://a");
        assert_eq!(
            summary.target,
            "app 1.0, lib 1.0+a and 1 dependency (16 B, 1 already there, 1 replaced) to http://b"
        );
    }

    #[tokio::test]
    async fn where_no_digest_is_told_the_destination_compares() {
        let source = source(&[("app", "1.0", &[])]);
        let there = Memory::new("http://b");
        there.add("app", "1.0", "app 1.0", &[]);
        there.state().silent = true;
        let plan = plan(&context(), &source, &[there], &ask(&["app"]), &PlanOptions::default()).await.unwrap();
        assert_eq!(plan.rows()[0].status, Status::WouldCopy);
    }

    #[tokio::test]
    async fn a_thousand_packages_wide_cost_few_requests_and_a_thousand_deep_no_stack() {
        let source = Memory::new("http://a");
        let wide: Vec<String> = (0..1000).map(|n| format!("wide{n} >=1.0")).collect();
        source.add("bundle", "1.0", "bundle", &wide.iter().map(String::as_str).collect::<Vec<_>>());
        for n in 0..1000 {
            source.add(&format!("wide{n}"), "1.0", "wide", &["base"]);
            let next = format!("deep{}", n + 1);
            let needs = [next.as_str()];
            source.add(&format!("deep{n}"), "1.0", "deep", if n < 999 { &needs } else { &[] });
        }
        source.add("base", "1.0", "base", &[]);
        let copied = order_of(&source, &["bundle"], PlanOptions::default()).await.unwrap();
        assert_eq!((copied.len(), copied[0].as_str(), copied[1001].as_str()), (1002, "base 1.0", "bundle 1.0"));
        assert_eq!(source.state().lookups, 3, "one a level");
        let copied = order_of(&source, &["deep0"], PlanOptions::default()).await.unwrap();
        assert_eq!((copied.len(), copied[0].as_str(), copied[999].as_str()), (1000, "deep999 1.0", "deep0 1.0"));
    }

    #[tokio::test]
    async fn problems_name_a_few_who_need_something_and_count_the_others() {
        let source = Memory::new("http://a");
        let ids: Vec<String> = (0..9).map(|n| format!("p{n}")).collect();
        ids.iter().for_each(|id| source.add(id, "1.0", "p", &["gone"]));
        let found = problems(&source, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let expected = "p0 1.0, p1 1.0, p2 1.0 and 6 more need gone: http://a has no package gone.";
        assert_eq!(found, [("DependencyUnresolved", expected.to_owned())]);
    }
}
