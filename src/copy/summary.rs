//! A plan in one line: `example-package 1.2.3 and 4 dependencies (812 MB)`.

use super::plan::{Action, Item};

/// Packages that are named; more are counted.
const NAMED: usize = 3;

/// What a person is asked before a copy, for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Where it goes.
    pub destination: String,
    /// `example-package 1.2.3 and 4 dependencies (812 MB) to http://b:8060`.
    pub target: String,
    /// `Copy from http://a:8060`.
    pub action: String,
}

pub(super) fn describe(items: &[Item], actions: &[Action]) -> String {
    let named: Vec<String> = items.iter().filter(|item| item.requested).map(|item| item.content.to_string()).collect();
    let mut parts: Vec<String> = named.iter().take(NAMED).cloned().collect();
    let more = named.len().saturating_sub(NAMED);
    let dependencies = items.len() - named.len();
    parts.extend((more > 0).then(|| format!("{more} more")));
    parts.extend((dependencies > 0).then(|| count(dependencies, "dependency", "dependencies")));
    let what = match parts.split_last() {
        None => return "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    };

    let sent = || items.iter().zip(actions).filter(|(_, action)| **action != Action::Skip).map(|(item, _)| item.size);
    let bytes = sent().flatten().fold(0, u64::saturating_add); // servers may say anything
    let unknown = sent().any(|size| size.is_none());
    let mut notes = vec![match (sent().count(), bytes, unknown) {
        (0, ..) => "nothing to send".to_owned(),
        (_, 0, true) => "size unknown".to_owned(),
        (_, bytes, true) => format!("at least {}", size(bytes)),
        (_, bytes, false) => size(bytes),
    }];
    let of = |wanted: Action| actions.iter().filter(|action| **action == wanted).count();
    let (there, replaced) = (of(Action::Skip), of(Action::Replace));
    notes.extend((there > 0).then(|| format!("{there} already there")));
    notes.extend((replaced > 0).then(|| format!("{replaced} replaced")));
    format!("{what} ({})", notes.join(", "))
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Three digits and a decimal unit, as storage is sold: `812 MB`, `1.07 GB`.
#[allow(clippy::cast_precision_loss)]
fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        // Not `>= 1000`: 999,999 would show as `1000 kB`.
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::ContentKey;

    fn item(id: &str, size: Option<u64>, requested: bool) -> Item {
        let content = ContentKey::Package { id: id.into(), version: "1.2.3".into() };
        Item { content, size, sha256: None, needs: vec![], requested }
    }

    #[test]
    fn a_plan_names_what_was_asked_for_and_counts_the_rest() {
        use Action::{Copy, Replace, Skip};
        let mega = Some(1_000_000);
        let items = [item("base", mega, false), item("core", mega, false), item("app", Some(810_000_000), true)];
        assert_eq!(describe(&items, &[Copy; 3]), "app 1.2.3 and 2 dependencies (812 MB)");
        assert_eq!(
            describe(&items, &[Skip, Replace, Copy]),
            "app 1.2.3 and 2 dependencies (811 MB, 1 already there, 1 replaced)"
        );
        assert_eq!(describe(&items, &[Skip; 3]), "app 1.2.3 and 2 dependencies (nothing to send, 3 already there)");
        let many: Vec<_> = ["a", "b", "c", "d", "e"].map(|id| item(id, mega, true)).into();
        assert_eq!(describe(&many, &[Copy; 5]), "a 1.2.3, b 1.2.3, c 1.2.3 and 2 more (5.00 MB)");
        assert_eq!(
            describe(&[item("a", None, true), item("b", mega, false)], &[Copy; 2]),
            "a 1.2.3 and 1 dependency (at least 1.00 MB)"
        );
        assert_eq!(describe(&[], &[]), "nothing");
        let absurd = [item("a", Some(u64::MAX), true), item("b", Some(u64::MAX), true)];
        assert_eq!(describe(&absurd, &[Copy; 2]), "a 1.2.3 and b 1.2.3 (18446744 TB)");
    }

    #[test]
    fn sizes_have_three_digits() {
        let sizes = [0, 999, 1000, 9_994, 12_345, 999_400, 999_999, 1 << 30, u64::MAX];
        let shown = ["0 B", "999 B", "1.00 kB", "9.99 kB", "12.3 kB", "999 kB", "1.00 MB", "1.07 GB", "18446744 TB"];
        assert_eq!(sizes.map(size), shown);
    }
}
