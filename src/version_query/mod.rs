//! The query language that selects one version out of those that exist.
//!
//! ```text
//! query       = choice *( ">>" choice )             the first choice that selects a version wins
//! choice      = [symbols] [range]                   both may be empty; '' is '^'
//! symbols     = one or more of ^ _ ! - *[-label], each at most once, in any order, spaces between allowed
//! range       = all *( ("||" / "|") all )
//! all         = comparator *( SP comparator )
//! comparator  = [ "<" / "<=" / ">" / ">=" / "=" ] version
//! ```
//!
//! `^` selects the newest version (the default), `_` the oldest. Pre-releases are left out unless `*` takes any, or
//! `*-rc` those whose suffix starts with the identifiers `rc`, or one is named exactly. `!` and `-` are for installed
//! clients and change nothing here. It is no npm range: a bare version is exact, and `^` means newest.
//!
//! Spaces may surround `>>` and `||`; between comparators there is at least one, within a comparator none. A label
//! starts with a letter or digit, and a dot at its end is without meaning; a symbol `-` after `*` needs a space if a
//! letter or digit follows it.
//!
//! `parse` reads the text, `bounds` knows which ranges can select nothing, `select` chooses, `explain` words the errors.

mod bounds;
mod explain;
mod parse;
mod select;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::Error;
use crate::version::Version;
use bounds::Bounds;

/// A query is at most this long, in characters: it keeps the work of a selection linear in the number of versions.
pub const MAX_LENGTH: usize = 4096;

/// A query that was understood. Equal when written the same.
///
/// ```
/// # use uss::{Version, version_query::VersionQuery};
/// # fn main() -> Result<(), uss::Error> {
/// let versions = [Version::parse("1.9")?, Version::parse("2.5")?, Version::parse("3.0-rc.1")?];
/// assert_eq!(VersionQuery::parse("")?.select(&versions), Some(1));
/// assert_eq!(VersionQuery::parse("* >=3.0-rc >> _")?.select(&versions), Some(2));
/// assert_eq!(VersionQuery::parse("4.0 >> _")?.select(&versions), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VersionQuery {
    text: Box<str>,
    /// Never empty.
    choices: Vec<Choice>,
}

/// What stands between two `>>`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    /// Where it starts in the query's text, after spaces.
    start: usize,
    pick: Pick,
    prereleases: Prereleases,
    /// Where `*` with its label stands.
    star: Option<Range<usize>>,
    /// A version must be within one of these; none: every version is.
    alternatives: Vec<Bounds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    Newest,
    Oldest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Prereleases {
    LeftOut,
    Any,
    /// Those whose suffix starts with these identifiers.
    Labelled(String),
}

impl VersionQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// `InvalidVersionQuery` whose message shows the query, a caret under the column and what was expected there: for
    /// text outside the grammar, a `${placeholder}` that nobody filled in, `^` with `_`, and a range that no version at
    /// all could be in.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let choices = parse::choices(text).map_err(|flaw| explain::invalid(text, &flaw))?;
        Ok(Self { text: text.into(), choices })
    }

    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one version that the query names, whatever exists: `1.2` and `=1.2`, but not `1.2 || 1.3`.
    #[must_use]
    pub fn exact(&self) -> Option<&Version> {
        match self.choices.as_slice() {
            [Choice { alternatives, .. }] => match alternatives.as_slice() {
                [bounds] => bounds.exact(),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for VersionQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for VersionQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for VersionQuery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::tests::any_text;

    fn any_all() -> impl Strategy<Value = String> {
        let comparator = (prop::sample::select(vec!["", "=", "<", "<=", ">", ">="]), any_text());
        prop::collection::vec(comparator.prop_map(|(operator, version)| operator.to_owned() + &version), 1..3)
            .prop_map(|comparators| comparators.join(" "))
    }

    fn any_choice() -> impl Strategy<Value = String> {
        let pick = prop::sample::select(vec!["", "^", "_", " ^ ", "!", "!^", "- "]);
        let star = prop::sample::select(vec!["", "* ", "*-rc ", "*-1.", "*^", "*-"]);
        (pick, star, prop::collection::vec(any_all(), 0..3)).prop_filter_map(
            "symbols stand once",
            |(pick, star, alls)| {
                let both = (pick.contains('^') && star.contains('^')) || (pick.contains('_') && star.contains('^'));
                let hyphens = pick.contains('-') && star == "*-";
                (!both && !hyphens).then(|| format!("{pick}{star} {}", alls.join(" || ")))
            },
        )
    }

    /// Texts of the grammar; some of their ranges can select nothing.
    pub(super) fn any_query_text() -> impl Strategy<Value = String> {
        prop::collection::vec(any_choice(), 1..3).prop_map(|choices| choices.join(">>"))
    }

    #[test]
    fn exact_is_only_what_names_one_version() {
        let exact = |text: &str| VersionQuery::parse(text).unwrap().exact().map(ToString::to_string);
        assert_eq!(exact("1.2-rc+x"), Some("1.2-rc+x".into()));
        assert_eq!(exact("!^ =1.2"), Some("1.2".into()));
        assert_eq!(exact("1.2 >=1.0"), Some("1.2".into()));
        for none in ["", "*", ">=1.2 <=1.2", "1.2 || 1.3", "1.2 >> 1.3", "1.2 >>"] {
            assert_eq!(exact(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_again_as_the_same(text in any_query_text()) {
            if let Ok(query) = VersionQuery::parse(&text) {
                prop_assert_eq!(query.to_string(), text);
                prop_assert_eq!(VersionQuery::parse(&query.to_string()).unwrap(), query);
            }
        }
    }
}
