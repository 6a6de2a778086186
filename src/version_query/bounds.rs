//! What comparators together admit, and whether that is anything at all.
//!
//! Versions are discrete enough to decide it exactly: each has an immediate successor. That of `1.0-rc` is `1.0-rc.0`,
//! as 0 is the lowest identifier; that of the release `1.0.0.0` is `1.0.0.1-0`.

use std::cmp::Ordering;

use super::Prereleases;
use crate::version::{Version, compare_suffixes};

/// The comparators of one `all`, reduced to the strictest of each side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    lower: Option<Bound>,
    upper: Option<Bound>,
    exact: Option<Version>,
    /// Two different versions are named exactly.
    contradiction: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    version: Version,
    inclusive: bool,
}

/// How a comparator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Bounds {
    /// Narrows it by one more comparator.
    pub(super) fn add(&mut self, operator: Operator, version: Version) {
        match operator {
            Operator::Equal => match &self.exact {
                Some(named) => self.contradiction |= *named != version,
                None => self.exact = Some(version),
            },
            Operator::Less | Operator::LessOrEqual => {
                let bound = Bound { version, inclusive: operator == Operator::LessOrEqual };
                if self.upper.as_ref().is_none_or(|upper| bound.is_stricter(upper, Ordering::Less)) {
                    self.upper = Some(bound);
                }
            }
            Operator::Greater | Operator::GreaterOrEqual => {
                let bound = Bound { version, inclusive: operator == Operator::GreaterOrEqual };
                if self.lower.as_ref().is_none_or(|lower| bound.is_stricter(lower, Ordering::Greater)) {
                    self.lower = Some(bound);
                }
            }
        }
    }

    /// The version that is named exactly.
    pub(super) fn exact(&self) -> Option<&Version> {
        self.exact.as_ref()
    }

    /// The versions that were written, for finding what is near them.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        let bounds = self.lower.iter().chain(&self.upper).map(|bound| &bound.version);
        self.exact.iter().chain(bounds)
    }

    /// Whether the version is within, leaving pre-releases aside.
    pub(super) fn contain(&self, version: &Version) -> bool {
        !self.contradiction
            && self.exact.as_ref().is_none_or(|exact| exact == version)
            && self.lower.as_ref().is_none_or(|lower| lower.admits(version.cmp(&lower.version), Ordering::Greater))
            && self.upper.as_ref().is_none_or(|upper| upper.admits(version.cmp(&upper.version), Ordering::Less))
    }

    /// Whether no version at all could be within, of those that `prereleases` takes.
    pub(super) fn are_empty(&self, prereleases: &Prereleases) -> bool {
        match &self.exact {
            Some(exact) => !self.contain(exact),
            None => !self.hold_a_release() && !self.hold_a_prerelease(prereleases),
        }
    }

    fn hold_a_release(&self) -> bool {
        let first = match &self.lower {
            None => Some([0; 4]),
            Some(Bound { version, inclusive }) if *inclusive || version.is_prerelease() => Some(version.parts()),
            Some(Bound { version, .. }) => next(version.parts()),
        };
        let last = match &self.upper {
            None => Some([u64::MAX; 4]),
            Some(Bound { version, inclusive: true }) if !version.is_prerelease() => Some(version.parts()),
            Some(Bound { version, .. }) => previous(version.parts()),
        };
        first.zip(last).is_some_and(|(first, last)| first <= last)
    }

    fn hold_a_prerelease(&self, prereleases: &Prereleases) -> bool {
        // The lowest suffix that is taken.
        let label = match prereleases {
            Prereleases::LeftOut => return false,
            Prereleases::Any => "0",
            Prereleases::Labelled(label) => label,
        };
        let first = match self.lower.as_ref().map(|lower| (lower, lower.version.parts(), lower.version.suffix())) {
            None => Some(([0; 4], label.to_owned())),
            Some((_, parts, None)) => next(parts).map(|parts| (parts, label.to_owned())),
            Some((lower, parts, Some(suffix))) if prereleases.take(suffix) => {
                Some((parts, if lower.inclusive { suffix.to_owned() } else { format!("{suffix}.0") }))
            }
            Some((_, parts, Some(suffix))) if compare_suffixes(suffix, label) == Ordering::Less => {
                Some((parts, label.to_owned()))
            }
            Some((_, parts, Some(_))) => next(parts).map(|parts| (parts, label.to_owned())),
        };
        first.is_some_and(|(parts, suffix)| {
            self.upper.as_ref().is_none_or(|upper| {
                let order = parts.cmp(&upper.version.parts()).then_with(|| match upper.version.suffix() {
                    None => Ordering::Less,
                    Some(bound) => compare_suffixes(&suffix, bound),
                });
                upper.admits(order, Ordering::Less)
            })
        })
    }
}

impl Bound {
    /// Whether a version that compares to this bound in this way is on the right side of it.
    fn admits(&self, order: Ordering, side: Ordering) -> bool {
        order == side || (self.inclusive && order == Ordering::Equal)
    }

    fn is_stricter(&self, other: &Self, side: Ordering) -> bool {
        let order = self.version.cmp(&other.version);
        order == side || (order == Ordering::Equal && !self.inclusive)
    }
}

impl Prereleases {
    /// Whether a pre-release with this suffix is taken.
    pub(super) fn take(&self, suffix: &str) -> bool {
        match self {
            Self::LeftOut => false,
            Self::Any => true,
            Self::Labelled(label) => {
                suffix.strip_prefix(label.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        }
    }
}

/// The parts of the next higher release.
fn next(mut parts: [u64; 4]) -> Option<[u64; 4]> {
    for part in parts.iter_mut().rev() {
        match part.checked_add(1) {
            Some(higher) => {
                *part = higher;
                return Some(parts);
            }
            None => *part = 0,
        }
    }
    None
}

/// The parts of the next lower release.
fn previous(mut parts: [u64; 4]) -> Option<[u64; 4]> {
    for part in parts.iter_mut().rev() {
        match part.checked_sub(1) {
            Some(lower) => {
                *part = lower;
                return Some(parts);
            }
            None => *part = u64::MAX,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::tests::{any_version, version};

    const MAX: &str = "18446744073709551615.18446744073709551615.18446744073709551615.18446744073709551615";

    fn bounds(comparators: &[(Operator, Version)]) -> Bounds {
        let mut bounds = Bounds::default();
        for (operator, version) in comparators {
            bounds.add(*operator, version.clone());
        }
        bounds
    }

    fn between(lower: &str, upper: &str) -> Bounds {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let split = |text: &str| {
            let (operator, rest) = [("<=", LessOrEqual), (">=", GreaterOrEqual), ("<", Less), (">", Greater)]
                .into_iter()
                .find_map(|(sign, operator)| text.strip_prefix(sign).map(|rest| (operator, rest)))
                .unwrap_or((Equal, text));
            (operator, version(rest))
        };
        bounds(&[lower, upper].map(split))
    }

    fn labelled(label: &str) -> Prereleases {
        Prereleases::Labelled(label.into())
    }

    #[test]
    fn emptiness_is_exact_to_the_next_version() {
        use Prereleases::{Any, LeftOut};
        for (lower, upper, prereleases, empty) in [
            (">2.0", "<1.0", LeftOut, true),
            (">2.0", "<1.0", Any, true),
            (">=2.0", "<2.0", Any, true),
            (">2.0", "<=2.0", Any, true),
            (">=2.0", "<=2.0", LeftOut, false),
            // Releases step by one Revision; a pre-release lies between.
            (">1.0", "<1.0.0.1", LeftOut, true),
            (">1.0", "<1.0.0.1", Any, false),
            (">1.0", "<1.0.0.1", labelled("rc"), false),
            (">1.0", "<1.0.0.1-0", Any, true),
            (">1.0", "<=1.0.0.1-0", Any, false),
            (">1.0", "<1.0.0.2", LeftOut, false),
            (">=1.0-rc", "<1.0", LeftOut, true),
            (">=1.0-rc", "<=1.0", LeftOut, false),
            (">=1.0-rc", "<1.0", Any, false),
            (">1.0-rc", "<1.0-rc.0", Any, true),
            (">1.0-rc", "<1.0-rc.1", Any, false),
            (">=1.0-rc.2", "<1.0", labelled("rc"), false),
            (">=1.0-beta", "<1.0-rc", labelled("rc"), true),
            (">=1.0-beta", "<=1.0-rc", labelled("rc"), false),
            (">=1.0-sp", "<1.0", labelled("rc"), true),
            (">=1.0-rc2", "<1.0.0.1-rc", labelled("rc"), false),
            (">1.0-rc2", "<1.0", labelled("rc"), true),
            ("<0.0", "<=9.0", LeftOut, true),
            ("<0.0", "<=9.0", Any, false),
            ("<0.0-0", "<=9.0", Any, true),
            ("<=0.0-0", "<=9.0", Any, false),
            ("1.0", "2.0", Any, true),
            ("1.0", "1.0.0", LeftOut, false),
            ("1.0-rc", ">=1.0", LeftOut, true),
            ("1.0-rc", "<1.0", LeftOut, false),
        ] {
            assert_eq!(between(lower, upper).are_empty(&prereleases), empty, "{lower} {upper} {prereleases:?}");
        }
        let above_all = between(&format!(">{MAX}"), ">=0.0");
        assert!(above_all.are_empty(&Any));
        assert!(!between(&format!(">={MAX}"), ">=0.0").are_empty(&LeftOut));
        assert!(!between(&format!(">{MAX}-0"), ">=0.0").are_empty(&Any));
    }

    #[test]
    fn a_label_is_compared_by_identifier() {
        for (label, suffix, taken) in [
            ("rc", "rc", true),
            ("rc", "rc.1", true),
            ("rc", "rc1", false),
            ("rc", "rc-1", false),
            ("rc.1", "rc", false),
            ("alpha.0", "alpha.0.7", true),
            ("alpha.0", "alpha.01a", false),
            ("rc", "RC", false),
        ] {
            assert_eq!(labelled(label).take(suffix), taken, "{label} {suffix}");
        }
    }

    fn any_operator() -> impl Strategy<Value = Operator> {
        prop::sample::select(vec![
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
            Operator::Equal,
        ])
    }

    proptest! {
        #[test]
        fn a_version_is_within_when_every_comparator_holds(
            comparators in prop::collection::vec((any_operator(), any_version()), 1..4),
            candidate in any_version(),
        ) {
            let expected = comparators.iter().all(|(operator, bound)| match operator {
                Operator::Less => candidate < *bound,
                Operator::LessOrEqual => candidate <= *bound,
                Operator::Greater => candidate > *bound,
                Operator::GreaterOrEqual => candidate >= *bound,
                Operator::Equal => candidate == *bound,
            });
            prop_assert_eq!(bounds(&comparators).contain(&candidate), expected);
        }

        #[test]
        fn what_contains_a_version_that_is_taken_is_not_empty(
            comparators in prop::collection::vec((any_operator(), any_version()), 1..4),
            candidate in any_version(),
            prereleases in prop::sample::select(vec![Prereleases::LeftOut, Prereleases::Any, labelled("rc")]),
        ) {
            let bounds = bounds(&comparators);
            let taken = candidate.suffix().is_none_or(|suffix| prereleases.take(suffix));
            if taken && bounds.contain(&candidate) {
                prop_assert!(!bounds.are_empty(&prereleases));
            }
        }

        #[test]
        fn what_is_not_empty_contains_a_version_at_its_edge(
            comparators in prop::collection::vec((any_operator(), any_version()), 1..4),
            prereleases in prop::sample::select(vec![Prereleases::LeftOut, Prereleases::Any, labelled("rc")]),
        ) {
            let bounds = bounds(&comparators);
            let edge = std::iter::once(version("0.0-0")).chain(comparators.into_iter().map(|(_, bound)| bound));
            let mut candidates = edge.flat_map(|bound| {
                let parts = [Some(bound.parts()), next(bound.parts()), previous(bound.parts())];
                let around = parts.into_iter().flatten().flat_map(|[a, b, c, d]| {
                    ["", "-0", "-rc"].map(|suffix| version(&format!("{a}.{b}.{c}.{d}{suffix}")))
                });
                let after = bound.is_prerelease().then(|| version(&format!("{}.0", bound.identity())));
                around.chain(after).chain([bound]).collect::<Vec<_>>()
            });
            if !bounds.are_empty(&prereleases) {
                let found = candidates.any(|candidate| {
                    let taken = candidate.suffix().is_none_or(|suffix| prereleases.take(suffix));
                    (taken || bounds.exact().is_some()) && bounds.contain(&candidate)
                });
                prop_assert!(found);
            }
        }

        #[test]
        fn next_and_previous_undo_each_other(parts in any::<[u64; 4]>()) {
            if let Some(higher) = next(parts) {
                prop_assert!(higher > parts);
                prop_assert_eq!(previous(higher), Some(parts));
            }
        }
    }
}
