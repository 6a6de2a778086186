//! The plan for installers: the same engine with another key, and without dependencies.

use super::plan::{Item, Plan, decide, existing_installers};
use super::{ContentKey, Destination, Digest, Source};
use crate::error::Error;
use crate::operation::{Context, Phase};
use crate::selection;
use crate::update_service::model::Installer;

/// Which installers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallerChoice {
    /// By GUID; each must exist.
    Ids(Vec<String>),
    /// By name, any case, with `*` and `?`. A pattern may match none, a plain name must exist.
    Names(Vec<String>),
}

/// Plans a copy of installers.
///
/// # Errors
/// Every problem there is: `InstallerNotFound`, `PackageAlreadyExists` (without `force`), and what asking the servers
/// failed with.
pub async fn plan_installers<S: Source, D: Destination>(
    context: &Context,
    source: &S,
    destinations: &[D],
    choice: &InstallerChoice,
    force: bool,
) -> Result<Plan<S, D>, Vec<Error>> {
    context.progress().set_phase(Phase::Planning);
    let listed = source.installers(context).await.map_err(|error| vec![error])?;
    let (ids, names): (&[String], &[String]) = match choice {
        InstallerChoice::Ids(ids) => (ids, &[]),
        InstallerChoice::Names(names) => (&[], names),
    };
    let mut items = Vec::new();
    let mut problems = Vec::new();
    // Nothing named is nothing meant: a copy never takes all by omission.
    if !ids.is_empty() || !names.is_empty() {
        for chosen in selection::installers(listed, ids, names, &source.name()) {
            match chosen {
                Ok(installer) => items.push(item(installer)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    let mut actions = Vec::new();
    for destination in destinations {
        match existing_installers(context, destination).await {
            Ok(existing) => actions.push(decide(&items, &existing, source, destination, force, &mut problems)),
            Err(error) => problems.push(error),
        }
    }
    Plan { source: source.clone(), destinations: destinations.to_vec(), items, actions }.unless(problems)
}

fn item(installer: Installer) -> Item {
    Item {
        size: installer.size,
        sha256: installer.sha256.as_deref().and_then(Digest::parse),
        content: ContentKey::Installer(Box::new(installer)),
        needs: Vec::new(),
        requested: true,
    }
}
