//! The plan for installers: the same engine with another key, and without dependencies.

use std::collections::HashSet;

use super::plan::{Item, Plan, decide, existing_installers};
use super::{ContentKey, Destination, Digest, Source};
use crate::error::{Error, ErrorKind};
use crate::operation::{Context, Phase};
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
    let (chosen, mut problems) = choose(&listed, choice, &source.name());
    let items: Vec<Item> = chosen.into_iter().map(item).collect();
    let mut actions = Vec::new();
    for destination in destinations {
        match existing_installers(context, destination).await {
            Ok(existing) => actions.push(decide(&items, &existing, source, destination, force, &mut problems)),
            Err(error) => problems.push(error),
        }
    }
    Plan { source: source.clone(), destinations: destinations.to_vec(), items, actions }.unless(problems)
}

fn choose<'a>(listed: &'a [Installer], choice: &InstallerChoice, source: &str) -> (Vec<&'a Installer>, Vec<Error>) {
    let mut chosen = Vec::new();
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    let (wanted, by_name) = match choice {
        InstallerChoice::Ids(ids) => (ids, false),
        InstallerChoice::Names(names) => (names, true),
    };
    for wanted in wanted {
        let is_wanted = |installer: &&Installer| {
            if by_name { matches(wanted, &installer.name) } else { installer.id.eq_ignore_ascii_case(wanted) }
        };
        let found: Vec<_> = listed.iter().filter(is_wanted).collect();
        if found.is_empty() && !(by_name && wanted.contains(['*', '?'])) {
            let message = format!("{source} has no installer {wanted}.");
            let error = Error::new(ErrorKind::InstallerNotFound, message)
                .with_hint("See what it has with Get-UssInstaller.")
                .with_target(wanted)
                .with_server(source);
            problems.push(error);
        }
        chosen.extend(found.into_iter().filter(|installer| seen.insert(installer.id.to_ascii_lowercase())));
    }
    (chosen, problems)
}

fn item(installer: &Installer) -> Item {
    Item {
        size: installer.size,
        sha256: installer.sha256.as_deref().and_then(Digest::parse),
        content: ContentKey::Installer(Box::new(installer.clone())),
        needs: Vec::new(),
        requested: true,
    }
}

/// Whether `text` is what `pattern` says, any case. At a mismatch only the last star has to take one more, so the time
/// is at most the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(x) if *x == '?' || x == c => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_any_case() {
        for (pattern, text) in
            [("*", ""), ("pos*", "POS 14.0"), ("*14.?", "Pos 14.0"), ("a*b*c", "a-b-b-c"), ("É", "é")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("pos", "pos 14"), ("?", ""), ("a*b", "a-c"), ("[a]", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"b".repeat(5000)));
    }
}
