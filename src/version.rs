//! Versions: `Major.Minor[.Patch[.Revision]][-suffix][+metadata]` and their precedence.
//!
//! Precedence is that of Semantic Versioning 2.0.0, section 11, extended to four numeric parts: a missing part is 0, a
//! version with a suffix is lower than the same without, metadata never counts. `==`, ordering and hashing follow
//! precedence: `1.0 == 1.0.0+build`. What is displayed is what was written.
//!
//! ```
//! # use uss::version::Version;
//! # fn main() -> Result<(), uss::Error> {
//! assert!(Version::parse("1.0.0-rc.9")? < Version::parse("1.0.0-rc.10")?);
//! assert_eq!(Version::parse("14.0")?, Version::parse("14.0.0.0+5b880cae")?);
//! # Ok(())
//! # }
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A version is at most this long, in characters: it has to fit into URLs, file names and database keys.
pub const MAX_LENGTH: usize = 256;

const PARTS: [&str; 4] = ["Major", "Minor", "Patch", "Revision"];

/// One version, as written.
#[derive(Clone)]
pub struct Version {
    text: Box<str>,
    parts: [u64; 4],
    /// Where the suffix stands in `text`, without its hyphen.
    suffix: Option<Range<usize>>,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// `InvalidArgument` that says which character is wrong and what was expected in its place. A `v` prefix, a sign, a
    /// space, a leading zero, a part over 18446744073709551615 and an empty identifier are errors.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|flaw| {
            let column = text.get(..flaw.at).map_or(0, |before| before.chars().count()) + 1;
            Error::new(
                ErrorKind::InvalidArgument,
                format!("The version '{}' is wrong at character {column}: {}.", excerpt(text), flaw.what),
            )
            .with_hint("Write it like 1.2, 1.2.3.4 or 1.2.0-rc.1.")
            .with_target(excerpt(text))
        })
    }

    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Major, Minor, Patch and Revision; missing ones are 0.
    #[must_use]
    pub fn parts(&self) -> [u64; 4] {
        self.parts
    }

    /// The suffix without its hyphen: `rc.1`.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.suffix.clone().and_then(|range| self.text.get(range))
    }

    /// Whether it has a suffix.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.suffix.is_some()
    }

    /// The shortest text of all versions of equal precedence: `1.0.0.0+b` is `1.0`. Equal for equal precedence, and only
    /// then, so a server's unique key; never longer than what was written.
    #[must_use]
    pub fn identity(&self) -> String {
        let [major, minor, patch, revision] = self.parts;
        let mut identity = match (patch, revision) {
            (0, 0) => format!("{major}.{minor}"),
            (_, 0) => format!("{major}.{minor}.{patch}"),
            _ => format!("{major}.{minor}.{patch}.{revision}"),
        };
        if let Some(suffix) = self.suffix() {
            identity.push('-');
            identity.push_str(suffix);
        }
        identity
    }

    /// A text that sorts as versions do.
    ///
    /// It consists of digits alone, so that not only ordinal comparison but also that of any culture, with or without
    /// case (PowerShell's Sort-Object), gives the order of precedence.
    #[must_use]
    pub fn sort_key(&self) -> String {
        // A number is its count of digits, then its digits. After the parts comes 2 for a release, 1 for a pre-release.
        // An identifier is 1 and a number, or 2 and two digits a character, ended by 00; 0 ends the identifiers.
        let mut key = String::with_capacity(32);
        for part in self.parts {
            let digits = part.to_string();
            key.push_str(&format!("{:02}{digits}", digits.len()));
        }
        let Some(suffix) = self.suffix() else {
            key.push('2');
            return key;
        };
        key.push('1');
        for identifier in suffix.split('.') {
            if is_numeric(identifier) {
                key.push_str(&format!("1{:03}{identifier}", identifier.len()));
            } else {
                key.push('2');
                for byte in identifier.bytes() {
                    // Identifiers hold '-' (45) to 'z' (122): 13 to 90.
                    key.push_str(&format!("{:02}", byte.saturating_sub(32)));
                }
                key.push_str("00");
            }
        }
        key.push('0');
        key
    }

    /// Reads a version and tells a flaw by its place; queries put their own words around it.
    pub(crate) fn read(text: &str) -> Result<Self, Flaw> {
        if let Some((at, _)) = text.char_indices().nth(MAX_LENGTH) {
            return Err(Flaw { at, what: format!("a version is at most {MAX_LENGTH} characters long") });
        }
        let mut scanner = Scanner { text, at: 0 };
        let mut parts = [0; 4];
        for (index, (part, name)) in parts.iter_mut().zip(PARTS).enumerate() {
            if index > 0 && !scanner.accept('.') {
                if index == 1 {
                    return Err(scanner.expected("a dot and Minor, as a version has at least Major.Minor"));
                }
                break;
            }
            *part = scanner.number(name)?;
        }
        let suffix = if scanner.accept('-') { Some(scanner.identifiers(Identifiers::Suffix)?) } else { None };
        if scanner.accept('+') {
            scanner.identifiers(Identifiers::Metadata)?;
        }
        if scanner.at < text.len() {
            return Err(scanner.expected(match text.get(..scanner.at).unwrap_or_default() {
                before if before.contains('+') => "a letter, digit, hyphen or dot",
                before if before.contains('-') => "a letter, digit, hyphen, dot or '+'",
                before if before.bytes().filter(|byte| *byte == b'.').count() == 3 => {
                    "'-', '+' or the end, as a version has at most four parts"
                }
                _ => "a digit, '.', '-', '+' or the end",
            }));
        }
        Ok(Self { text: text.into(), parts, suffix })
    }
}

/// What is wrong with a text, and from which byte on.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) at: usize,
    pub(crate) what: String,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        // Numeric identifiers have no leading zeros, so equal precedence means equal text.
        self.parts == other.parts && self.suffix() == other.suffix()
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
        self.suffix().hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts).then_with(|| match (self.suffix(), other.suffix()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(mine), Some(theirs)) => compare_suffixes(mine, theirs),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// SemVer 2.0.0, 11.4: identifier by identifier; when all are equal, more identifiers are higher.
pub(crate) fn compare_suffixes(mine: &str, theirs: &str) -> Ordering {
    let mut mine = mine.split('.');
    let mut theirs = theirs.split('.');
    loop {
        let order = match (mine.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (is_numeric(a), is_numeric(b)) {
                // Without leading zeros, more digits are the higher number, whatever its size.
                (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_numeric(identifier: &str) -> bool {
    identifier.bytes().all(|byte| byte.is_ascii_digit())
}

/// As much of a foreign text as a message should hold.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Identifiers {
    Suffix,
    Metadata,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn accept(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| wanted(*byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn number(&mut self, name: &str) -> Result<u64, Flaw> {
        let at = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(match self.rest().chars().next() {
                Some('v' | 'V') if at == 0 => self.expected("a digit, as a version has no prefix"),
                Some('+' | '-') => self.expected("a digit, as parts have no sign"),
                _ => self.expected(&format!("a digit of {name}")),
            });
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(Flaw { at, what: format!("{name} has a leading zero") });
        }
        digits.parse().map_err(|_| Flaw { at, what: format!("{name} is over {}", u64::MAX) })
    }

    fn identifiers(&mut self, kind: Identifiers) -> Result<Range<usize>, Flaw> {
        let start = self.at;
        loop {
            let at = self.at;
            let identifier = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if identifier.is_empty() {
                return Err(self.expected("a letter, digit or hyphen"));
            }
            // SemVer 2.0.0, 9. Metadata is free of the rule.
            if kind == Identifiers::Suffix
                && identifier.len() > 1
                && identifier.starts_with('0')
                && is_numeric(identifier)
            {
                return Err(Flaw { at, what: format!("the numeric identifier {identifier} has a leading zero") });
            }
            if !self.accept('.') {
                return Ok(start..self.at);
            }
        }
    }

    fn expected(&self, what: &str) -> Flaw {
        let what = match self.rest().chars().next() {
            Some(found) => format!("expected {what}, found '{}'", found.escape_debug()),
            None => format!("expected {what}, found the end"),
        };
        Flaw { at: self.at, what }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    /// Texts of versions that are often close to each other, so that comparisons reach their last step.
    pub(crate) fn any_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![4 => 0..3u64, 1 => any::<u64>()];
        let identifier = prop_oneof!["[0-2]", "[1-9][0-9]{0,30}", "rc", "[0-9A-Za-z-]{0,3}[A-Za-z-][0-9]?", "-"];
        let suffix = proptest::option::weighted(0.6, prop::collection::vec(identifier, 1..4));
        let metadata = proptest::option::weighted(0.2, "[0-9A-Za-z-]{1,3}(\\.[0-9A-Za-z-]{1,3})?");
        (prop::collection::vec(part, 2..=4), suffix, metadata).prop_map(|(parts, suffix, metadata)| {
            let mut text = parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            if let Some(identifiers) = suffix {
                text += &format!("-{}", identifiers.join("."));
            }
            if let Some(metadata) = metadata {
                text += &format!("+{metadata}");
            }
            text
        })
    }

    pub(crate) fn any_version() -> impl Strategy<Value = Version> {
        any_text().prop_map(|text| version(&text))
    }

    fn flaw(text: &str) -> String {
        let error = Version::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
        error.message().to_owned()
    }

    #[test]
    fn versions_of_the_field_are_read_and_displayed_as_written() {
        for text in
            ["14.0.35916.0", "1.0.0-dev.0.master.11+5b880cae", "1.0.0-rc.54+abc", "2.2-beta", "0.0", "1.0--", "1.0+007"]
        {
            assert_eq!(version(text).to_string(), text);
        }
        assert_eq!(version("1.2-rc.1+x-y").suffix(), Some("rc.1"));
        assert_eq!(version("1.2+x-y").suffix(), None);
        assert_eq!(version("18446744073709551615.0").parts(), [u64::MAX, 0, 0, 0]);
    }

    #[test]
    fn precedence_is_that_of_semantic_versioning_with_four_parts() {
        let ascending = [
            "0.0-0",
            "0.9.9.9",
            "1.0.0-0",
            "1.0.0-9",
            "1.0.0-10",
            "1.0.0-99999999999999999999999999",
            "1.0.0-99999999999999999999999999.0",
            "1.0.0--",
            "1.0.0-1a",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-alpha-",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0.1-a",
            "1.0.0.1",
            "1.0.1",
            "1.9",
            "1.10",
            "2.0",
            "18446744073709551615.0",
        ];
        // 'Z' (90) is lower than 'a' (97): ASCII, no matter the case.
        assert!(version("1.0-Z") < version("1.0-a"));
        for (index, lower) in ascending.iter().enumerate() {
            for higher in &ascending[index + 1..] {
                assert!(version(lower) < version(higher), "{lower} < {higher}");
                assert!(version(lower).sort_key() < version(higher).sort_key(), "keys of {lower} < {higher}");
            }
        }
    }

    #[test]
    fn missing_parts_and_metadata_do_not_count() {
        for same in ["1.0", "1.0.0", "1.0.0.0", "1.0+a", "1.0.0.0+b.c"] {
            assert_eq!(version(same), version("1.0"), "{same}");
            assert_eq!(version(same).identity(), "1.0", "{same}");
        }
        let unique: HashSet<Version> = ["1.0-a", "1.0.0-a+x", "1.0", "1.0+y"].map(version).into();
        assert_eq!(unique.len(), 2);
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        for (text, part) in [
            ("", "'' is wrong at character 1: expected a digit of Major, found the end."),
            ("1", "character 2: expected a dot and Minor, as a version has at least Major.Minor, found the end."),
            ("v1.0", "character 1: expected a digit, as a version has no prefix, found 'v'."),
            ("+1.0", "character 1: expected a digit, as parts have no sign, found '+'."),
            ("1.-2", "character 3: expected a digit, as parts have no sign, found '-'."),
            (" 1.0", "character 1: expected a digit of Major, found ' '."),
            ("1.0 ", "character 4: expected a digit, '.', '-', '+' or the end, found ' '."),
            ("1.02", "character 3: Minor has a leading zero."),
            ("1.0.00", "character 5: Patch has a leading zero."),
            ("1.x", "character 3: expected a digit of Minor, found 'x'."),
            ("1.2.3.", "character 7: expected a digit of Revision, found the end."),
            ("1.2.3.4.5", "character 8: expected '-', '+' or the end, as a version has at most four parts, found '.'."),
            ("1.0.18446744073709551616", "character 5: Patch is over 18446744073709551615."),
            ("1.0-", "character 5: expected a letter, digit or hyphen, found the end."),
            ("1.0-rc..1", "character 8: expected a letter, digit or hyphen, found '.'."),
            ("1.0-rc.01", "character 8: the numeric identifier 01 has a leading zero."),
            ("1.0-rc_1", "character 7: expected a letter, digit, hyphen, dot or '+', found '_'."),
            ("1.0+a+b", "character 6: expected a letter, digit, hyphen or dot, found '+'."),
            ("1.0-é", "character 5: expected a letter, digit or hyphen, found 'é'."),
            ("1.٣", "character 3: expected a digit of Minor, found '٣'."),
        ] {
            let message = flaw(text);
            assert!(message.ends_with(part), "{text}: {message}");
        }
    }

    #[test]
    fn a_long_version_is_refused_with_a_short_message() {
        let fits = format!("1.0-{}", "1".repeat(MAX_LENGTH - 4));
        assert!(Version::parse(&fits).is_ok());
        let message = flaw(&format!("{fits}1"));
        assert!(message.contains("at most 256 characters"), "{message}");
        assert!(flaw(&"9".repeat(1 << 20)).len() < 300);
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_again_as_the_same(text in any_text()) {
            let first = version(&text);
            prop_assert_eq!(&first.to_string(), &text);
            prop_assert_eq!(version(&first.to_string()), first);
        }

        #[test]
        fn precedence_is_a_total_preorder(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        }

        #[test]
        fn sort_keys_order_as_versions_do(a in any_version(), b in any_version()) {
            prop_assert_eq!(a.sort_key().cmp(&b.sort_key()), a.cmp(&b), "{} {}", a, b);
            prop_assert!(a.sort_key().bytes().all(|byte| byte.is_ascii_digit()));
        }

        #[test]
        fn identities_are_equal_exactly_when_precedence_is(a in any_version(), b in any_version()) {
            prop_assert_eq!(a.identity() == b.identity(), a == b);
            prop_assert!(a.identity().len() <= a.as_str().len());
            prop_assert_eq!(version(&a.identity()), a);
        }

        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "\\PC*|[0-9.v+ -]{0,40}") {
            if let Err(error) = Version::parse(&text) {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
        }
    }
}
