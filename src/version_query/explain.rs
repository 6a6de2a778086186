//! The words of the two errors: a query that cannot be used, and one that selects nothing.

use super::select::order;
use super::{Choice, VersionQuery};
use crate::error::{Error, ErrorKind};
use crate::version::{Flaw, Version};

/// So many characters of a query are shown before and after the caret.
const WINDOW: usize = 60;
/// So many versions are named.
const NEAREST: usize = 6;

/// A query with a flaw: its text, a caret under the place, and what is wrong there.
pub(super) fn invalid(text: &str, flaw: &Flaw) -> Error {
    let before: Vec<char> = text.get(..flaw.at).unwrap_or_default().chars().collect();
    let column = before.len() + 1;
    let shown = before.get(before.len().saturating_sub(WINDOW)..).unwrap_or_default();
    let mut line = String::new();
    if shown.len() < before.len() {
        line.push('…');
    }
    line.extend(shown.iter().copied().map(visible));
    let caret = " ".repeat(line.chars().count());
    let mut after = text.get(flaw.at..).unwrap_or_default().chars();
    line.extend(after.by_ref().take(WINDOW).map(visible));
    if after.next().is_some() {
        line.push('…');
    }
    Error::new(
        ErrorKind::InvalidVersionQuery { column },
        format!("The version query cannot be used:\n    {line}\n    {caret}^\nColumn {column}: {}.", flaw.what),
    )
    .with_hint(
        "Queries are like '' (newest), 1.2 (exactly), '>=1.0 <2.0', '1.9 || >=2.0', '*-rc >=2.0' (with release \
         candidates), '2.0 >> _' (else the oldest).",
    )
    .with_target(excerpt(text))
}

impl VersionQuery {
    /// The error for a query that selects none of the versions that exist: it names the nearest of them, and where
    /// pre-releases were left out, the query that takes them.
    #[must_use]
    pub fn nothing_selected(&self, package_id: &str, existing: &[Version]) -> Error {
        let query = excerpt(&self.text);
        let error = |message: String, hint: String| {
            Error::new(ErrorKind::NoPackageInRange, message).with_hint(hint).with_target(package_id)
        };
        if existing.is_empty() {
            return error(
                format!("No version of {package_id} fits '{query}', as it has none at all."),
                "Publish one first, or ask another server.".into(),
            );
        }
        let nearest: Vec<&str> = self.nearest(existing).into_iter().map(Version::as_str).collect();
        let message = match existing.len() {
            1 => format!("No version of {package_id} fits '{query}'; the only one is {}.", nearest.join(", ")),
            count => {
                format!("No version of {package_id} fits '{query}'; the nearest of {count} are {}.", nearest.join(", "))
            }
        };
        let hint = match self.taking_prereleases(existing) {
            Some((query, version)) => format!("Pre-releases were left out; '{}' takes {version}.", excerpt(&query)),
            None => "Ask for a version that exists, or widen the query.".into(),
        };
        error(message, hint)
    }

    /// The versions just below and above those that the query names, releases before pre-releases; the newest where it
    /// names none. Newest first.
    fn nearest<'a>(&self, existing: &'a [Version]) -> Vec<&'a Version> {
        let mut sorted: Vec<&Version> = existing.iter().collect();
        sorted.sort_by(|a, b| order(a, b));
        sorted.dedup();
        let releases: Vec<&Version> = sorted.iter().copied().filter(|version| !version.is_prerelease()).collect();
        let mut near: Vec<&Version> = Vec::new();
        for named in self.choices.iter().flat_map(|choice| &choice.alternatives).flat_map(|bounds| bounds.versions()) {
            for pool in [&releases, &sorted] {
                let above = pool.partition_point(|version| *version < named);
                let below = above.checked_sub(1).and_then(|below| pool.get(below));
                for version in below.into_iter().chain(pool.get(above)) {
                    if near.len() < NEAREST && !near.contains(version) {
                        near.push(version);
                    }
                }
            }
        }
        if near.is_empty() {
            near = sorted.into_iter().rev().take(NEAREST).collect();
        }
        near.sort_by(|a, b| order(b, a));
        near
    }

    /// This query with `*`, and the version that it then selects.
    fn taking_prereleases<'a>(&self, existing: &'a [Version]) -> Option<(String, &'a Version)> {
        self.choices.iter().find_map(|choice| {
            let version = existing.get(choice.with_prereleases().select(existing)?)?;
            Some((self.with_star(choice)?, version))
        })
    }

    fn with_star(&self, choice: &Choice) -> Option<String> {
        let place = choice.star.clone().unwrap_or(choice.start..choice.start);
        let before = self.text.get(..place.start)?;
        let after = self.text.get(place.end..)?;
        // `*-` would start a label, and the eye wants a space before a range.
        let gap = if after.is_empty() || after.starts_with([' ', '^', '_', '!']) { "" } else { " " };
        Some(format!("{before}*{gap}{after}"))
    }
}

/// One character as one character: whatever would move the caret is replaced.
fn visible(character: char) -> char {
    let shown_as_is = matches!(character, '\'' | '"' | '\\') || character.escape_debug().count() == 1;
    if shown_as_is { character } else { '\u{fffd}' }
}

/// As much of a query as a message should hold, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let mut characters = text.chars();
    let mut excerpt: String = characters.by_ref().take(2 * WINDOW).map(visible).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any_query_text;
    use super::*;
    use crate::version::tests::{any_version, version};

    fn nothing(text: &str, existing: &[&str]) -> Error {
        let existing: Vec<Version> = existing.iter().map(|text| version(text)).collect();
        let query = VersionQuery::parse(text).unwrap();
        assert_eq!(query.select(&existing), None, "{text}");
        query.nothing_selected("example-package", &existing)
    }

    #[test]
    fn an_invalid_query_is_shown_with_a_caret_under_the_column() {
        let error = VersionQuery::parse(">=2.x <3.0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 5 });
        assert_eq!(
            error.message(),
            "The version query cannot be used:\n    >=2.x <3.0\n        ^\nColumn 5: expected a digit of Minor, found 'x'."
        );
    }

    #[test]
    fn columns_count_characters() {
        let error = VersionQuery::parse("1.0-é").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 5 });
        let error = VersionQuery::parse("ü").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 1 });
        let error = VersionQuery::parse("1.0 || ").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 8 });
        assert!(error.message().contains("\n    1.0 || \n           ^\n"), "{error}");
    }

    #[test]
    fn a_long_query_is_shown_around_the_caret() {
        let text = format!("{}x {}", "1.0 || ".repeat(100), "2.0 ".repeat(100));
        let error = VersionQuery::parse(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 701 });
        let lines: Vec<&str> = error.message().lines().collect();
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().nth(caret), Some('x'));
        assert!(lines[1].starts_with("    …") && lines[1].ends_with('…'));
        assert!(error.message().len() < 500);
    }

    #[test]
    fn characters_that_would_move_the_caret_are_replaced() {
        let error = VersionQuery::parse("\u{202e}1.0\r\n").unwrap_err();
        assert!(error.message().contains("\n    \u{fffd}1.0\u{fffd}\u{fffd}\n    ^\n"), "{error:?}");
    }

    #[test]
    fn nothing_selected_names_the_nearest_versions() {
        let error = nothing(">2.0 <3.0", &["1.0", "1.9", "2.0", "3.0", "3.1", "9.0"]);
        assert_eq!(error.kind(), ErrorKind::NoPackageInRange);
        assert_eq!(error.target(), "example-package");
        assert_eq!(
            error.message(),
            "No version of example-package fits '>2.0 <3.0'; the nearest of 6 are 3.0, 2.0, 1.9."
        );
        assert_eq!(error.hint(), "Ask for a version that exists, or widen the query.");
        assert!(nothing("4.0", &["1.0"]).message().ends_with("the only one is 1.0."));
        assert!(nothing("", &[]).message().ends_with("fits '', as it has none at all."));
    }

    #[test]
    fn nothing_selected_gives_the_query_that_takes_pre_releases() {
        for (text, existing, hint) in [
            ("", ["1.0-rc.1", "0.9-x"], "Pre-releases were left out; '*' takes 1.0-rc.1."),
            (" ^ ", ["1.0-rc.1", "0.9-x"], "Pre-releases were left out; ' *^ ' takes 1.0-rc.1."),
            ("_", ["1.0-rc.1", "0.9-x"], "Pre-releases were left out; '*_' takes 0.9-x."),
            (">=1.1", ["1.0", "2.0-b"], "Pre-releases were left out; '* >=1.1' takes 2.0-b."),
            ("*-rc >=1.1", ["1.0", "2.0-b"], "Pre-releases were left out; '* >=1.1' takes 2.0-b."),
            ("-1.1 || >1.2", ["1.0", "2.0-b"], "Pre-releases were left out; '* -1.1 || >1.2' takes 2.0-b."),
            ("9.0 >> >1.2", ["1.0", "2.0-b"], "Pre-releases were left out; '9.0 >> * >1.2' takes 2.0-b."),
            (">=3.0", ["1.0", "2.0-b"], "Ask for a version that exists, or widen the query."),
        ] {
            assert_eq!(nothing(text, &existing).hint(), hint, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_query_that_takes_pre_releases_is_a_query_and_does(
            text in any_query_text(),
            existing in prop::collection::vec(any_version(), 0..8),
        ) {
            if let Ok(query) = VersionQuery::parse(&text)
                && query.select(&existing).is_none()
            {
                prop_assert_eq!(query.nothing_selected("a", &existing).kind(), ErrorKind::NoPackageInRange);
                if let Some((with_star, version)) = query.taking_prereleases(&existing) {
                    let selected = VersionQuery::parse(&with_star).unwrap().select(&existing);
                    prop_assert_eq!(selected.map(|index| existing[index].as_str()), Some(version.as_str()));
                }
            }
        }

        #[test]
        fn the_caret_stands_under_the_character_of_the_column(text in "\\PC{0,90}|[ ^_!*<>=|.0-9a-]{0,90}") {
            if let Err(error) = VersionQuery::parse(&text) {
                let ErrorKind::InvalidVersionQuery { column } = error.kind() else { panic!("{error:?}") };
                let lines: Vec<&str> = error.message().lines().collect();
                let caret = lines[2].chars().position(|c| c == '^').unwrap();
                match text.chars().nth(column - 1) {
                    Some(c) => prop_assert_eq!(lines[1].chars().nth(caret), Some(visible(c))),
                    None => prop_assert_eq!(lines[1].chars().count(), caret),
                }
            }
        }
    }
}
