//! Choosing among the versions that exist.

use std::cmp::Ordering;

use super::{Choice, Pick, Prereleases, VersionQuery};
use crate::version::Version;

impl VersionQuery {
    /// The index of the version that the query selects, if any.
    ///
    /// The order of `versions` does not matter: of versions with equal precedence the one whose text is the highest is
    /// selected, of equal texts the first.
    #[must_use]
    pub fn select(&self, versions: &[Version]) -> Option<usize> {
        self.choices.iter().find_map(|choice| choice.select(versions))
    }

    /// The indices of every version that the query's range and symbols admit, newest first, whether it asks for the
    /// newest or the oldest. Of several choices only the first that admits a version counts.
    #[must_use]
    pub fn select_all(&self, versions: &[Version]) -> Vec<usize> {
        for choice in &self.choices {
            let mut admitted: Vec<(usize, &Version)> = choice.admitted(versions).collect();
            if !admitted.is_empty() {
                admitted.sort_by(|(_, a), (_, b)| order(b, a));
                return admitted.into_iter().map(|(index, _)| index).collect();
            }
        }
        Vec::new()
    }
}

impl Choice {
    pub(super) fn select(&self, versions: &[Version]) -> Option<usize> {
        let better = |candidate: &Version, best: &Version| match self.pick {
            Pick::Newest => order(candidate, best) == Ordering::Greater,
            // Ties are decided as for the newest, so that both agree where only one precedence is admitted.
            Pick::Oldest => candidate.cmp(best).then_with(|| best.as_str().cmp(candidate.as_str())) == Ordering::Less,
        };
        let best = self
            .admitted(versions)
            .reduce(|best, candidate| if better(candidate.1, best.1) { candidate } else { best });
        best.map(|(index, _)| index)
    }

    fn admitted<'a>(&self, versions: &'a [Version]) -> impl Iterator<Item = (usize, &'a Version)> {
        versions.iter().enumerate().filter(|(_, version)| self.admits(version))
    }

    fn admits(&self, version: &Version) -> bool {
        let taken = version.suffix().is_none_or(|suffix| self.prereleases.take(suffix));
        if self.alternatives.is_empty() {
            return taken;
        }
        self.alternatives.iter().any(|bounds| (taken || bounds.exact().is_some()) && bounds.contain(version))
    }

    /// The same, with all pre-releases.
    pub(super) fn with_prereleases(&self) -> Self {
        Self { prereleases: Prereleases::Any, ..self.clone() }
    }
}

/// Precedence, then text.
pub(super) fn order(a: &Version, b: &Version) -> Ordering {
    a.cmp(b).then_with(|| a.as_str().cmp(b.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any_query_text;
    use super::*;
    use crate::version::tests::{any_version, version};

    fn query(text: &str) -> VersionQuery {
        VersionQuery::parse(text).unwrap()
    }

    fn versions(text: &str) -> Vec<Version> {
        text.split(' ').filter(|part| !part.is_empty()).map(version).collect()
    }

    fn selected(text: &str, existing: &str) -> String {
        let existing = versions(existing);
        query(text).select(&existing).map_or("nothing".into(), |index| existing[index].to_string())
    }

    fn all(text: &str, existing: &str) -> String {
        let existing = versions(existing);
        let indices = query(text).select_all(&existing);
        indices.iter().map(|index| existing[*index].as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn queries_select_what_their_language_says() {
        let existing = "1.0 1.9 1.10 2.0-beta 2.0-rc.1 2.0-rc.2 2.0 2.5 3.0 3.1-alpha.0.7 3.1-rc.1";
        for (text, expected) in [
            ("", "3.0"),
            ("^", "3.0"),
            ("_", "1.0"),
            ("!^", "3.0"),
            ("- _", "1.0"),
            ("*", "3.1-rc.1"),
            ("*-alpha.0.", "3.1-alpha.0.7"),
            ("*-alpha.0 _ >3.0", "3.1-alpha.0.7"),
            ("*-alpha >3.0", "3.1-alpha.0.7"),
            ("*-gamma", "3.0"),
            ("*-rc <2.0", "2.0-rc.2"),
            ("*-rc _ >1.10 <2.0", "2.0-rc.1"),
            ("1.9", "1.9"),
            ("^1.9", "1.9"),
            ("=1.9.0.0+x", "1.9"),
            ("1.8", "nothing"),
            ("2.0-rc.1", "2.0-rc.1"),
            ("2.0-gamma", "nothing"),
            (">2.0-rc.1 <2.0.0.1", "2.0"),
            ("1.9 || >=2.0 <3.0", "2.5"),
            ("_ 1.9 || >=2.0 <3.0", "1.9"),
            ("_ >=2.0 <3.0 | 2.0-beta", "2.0-beta"),
            (">=1.0 <2.0", "1.10"),
            (">3.0", "nothing"),
            ("* >3.0", "3.1-rc.1"),
            (">3.0 >> _", "1.0"),
            (">3.0 >> 4.0 >> *-rc <=2.0-rc.9", "2.0-rc.2"),
            ("1.9 >> 2.0", "1.9"),
        ] {
            assert_eq!(selected(text, existing), expected, "{text}");
        }
        assert_eq!(selected("", ""), "nothing");
        assert_eq!(selected("", "1.0-rc"), "nothing");
    }

    #[test]
    fn all_are_those_of_the_first_choice_that_admits_any_newest_first() {
        let existing = "1.9 1.10 2.0-rc.1 1.0 2.5";
        assert_eq!(all("", existing), "2.5 1.10 1.9 1.0");
        assert_eq!(all("_ <2.0", existing), "1.10 1.9 1.0");
        assert_eq!(all("*-rc >=1.10", existing), "2.5 2.0-rc.1 1.10");
        assert_eq!(all(">3.0 >> 1.0 || 2.0-rc.1 >> 1.9", existing), "2.0-rc.1 1.0");
        assert_eq!(all(">3.0", existing), "");
    }

    #[test]
    fn equal_precedence_is_decided_by_text() {
        assert_eq!(selected("^", "1.0.0+b 1.0+a 1.0.0+a"), "1.0.0+b");
        assert_eq!(selected("_", "1.0+a 1.0.0+b 1.0.0+a 2.0"), "1.0.0+b");
        assert_eq!(query("1.0").select(&versions("1.0 1.0 1.0")), Some(0));
    }

    proptest! {
        #[test]
        fn selection_ignores_the_order_of_input(
            text in any_query_text(),
            (existing, shuffled) in prop::collection::vec(any_version(), 0..12)
                .prop_flat_map(|existing| (Just(existing.clone()), Just(existing).prop_shuffle())),
        ) {
            if let Ok(query) = VersionQuery::parse(&text) {
                let text = |versions: &[Version], index: Option<usize>| index.map(|index| versions[index].to_string());
                prop_assert_eq!(
                    text(&existing, query.select(&existing)),
                    text(&shuffled, query.select(&shuffled))
                );
                let texts = |versions: &[Version]| {
                    query.select_all(versions).into_iter().map(|index| versions[index].to_string()).collect::<Vec<_>>()
                };
                prop_assert_eq!(texts(&existing), texts(&shuffled));
            }
        }

        #[test]
        fn what_is_selected_is_an_end_of_all_that_is_admitted(
            text in any_query_text(),
            existing in prop::collection::vec(any_version(), 0..12),
        ) {
            if let Ok(query) = VersionQuery::parse(&text) {
                let all = query.select_all(&existing);
                prop_assert!(all.is_sorted_by(|a, b| existing[*a] >= existing[*b]));
                match query.select(&existing) {
                    None => prop_assert!(all.is_empty()),
                    Some(index) => {
                        let ends = [all[0], *all.last().unwrap()].map(|end| existing[end].clone());
                        prop_assert!(ends.contains(&existing[index]));
                    }
                }
            }
        }

        #[test]
        fn newest_and_oldest_agree_when_one_version_matches(
            range in "(\\* )?([<>]=?)?[0-2]\\.[0-2]",
            existing in prop::collection::vec(any_version(), 0..6),
        ) {
            if let (Ok(newest), Ok(oldest)) =
                (VersionQuery::parse(&format!("^{range}")), VersionQuery::parse(&format!("_{range}")))
            {
                let all = newest.select_all(&existing);
                if all.iter().all(|index| existing[*index] == existing[all[0]]) {
                    prop_assert_eq!(newest.select(&existing), oldest.select(&existing));
                }
                prop_assert_eq!(all, oldest.select_all(&existing));
            }
        }

        #[test]
        fn a_version_is_selected_by_its_own_text(existing in prop::collection::vec(any_version(), 1..8)) {
            for version in &existing {
                let index = query(version.as_str()).select(&existing).unwrap();
                prop_assert_eq!(&existing[index], version);
            }
        }
    }
}
