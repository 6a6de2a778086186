//! The platform's methods, from its API description: what each is called, takes and does.
//!
//! The table is text (`methods.txt`, made by `cargo xtask methods`), read when somebody first asks for it.

use std::fmt;
use std::sync::OnceLock;

/// How many names a suggestion holds at most.
const SUGGESTIONS: usize = 3;

static TABLE: OnceLock<Vec<Method>> = OnceLock::new();

/// One method.
#[derive(Debug)]
pub struct Method {
    /// `environment/control`.
    pub service: &'static str,
    /// `stopenv`; in lower case.
    pub name: &'static str,
    /// Those that are required come first.
    pub parameters: Vec<Parameter>,
    /// Whether it needs a session; few do without.
    pub needs_session: bool,
    /// What it does, in a sentence; may be empty.
    pub summary: &'static str,
}

/// One parameter of a method.
#[derive(Debug)]
pub struct Parameter {
    /// `envName`, as the platform spells it.
    pub name: &'static str,
    /// What its text must be.
    pub kind: Kind,
    /// Whether the method cannot be called without it.
    pub required: bool,
}

/// What the text of a parameter must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// `true` or `false`.
    Boolean,
    /// A JSON object, or an array of them.
    Json,
    /// A JSON array, or values with commas between.
    List,
}

impl Kind {
    /// Whether `text` is one; letters of `true` and `false` may have any case.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Int32 => text.trim().parse::<i32>().is_ok(),
            Self::Int64 => text.trim().parse::<i64>().is_ok(),
            Self::Boolean => ["true", "false"].iter().any(|word| text.trim().eq_ignore_ascii_case(word)),
            Self::Json => {
                serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object() || value.is_array())
            }
            Self::List => {
                let begun = text.trim_start().starts_with('[');
                !begun || serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok()
            }
        }
    }
}

impl fmt::Display for Kind {
    /// `a whole number`, as messages name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Int32 => "a whole number of at most 32 bits",
            Self::Int64 => "a whole number of at most 64 bits",
            Self::Boolean => "true or false",
            Self::Json => "a JSON object or array",
            Self::List => "a JSON array, or values with commas between",
        })
    }
}

impl Method {
    /// `environment/control/stopenv`: how this project names it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.service, self.name)
    }

    /// `/1.0/environment/control/rest/stopenv`: where the platform has it.
    #[must_use]
    pub fn route(&self) -> String {
        format!("/1.0/{}/rest/{}", self.service, self.name)
    }

    /// Whether it only asks: sending it twice does no harm.
    #[must_use]
    pub fn asks(&self) -> bool {
        ["get", "check", "read", "search"].iter().any(|verb| self.name.starts_with(verb))
            || self.name == "autoscalinghistory"
            || self.name == "loadalerthistory"
    }

    /// Whether a token may be made for it. The calls that make sessions and tokens are for whoever has a password.
    #[must_use]
    pub fn is_for_tokens(&self) -> bool {
        self.service != "users/authentication" && self.needs_session
    }

    /// The parameter of this name; letters of any case match.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        let exact = self.parameters.iter().find(|parameter| parameter.name == name);
        exact.or_else(|| self.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name)))
    }

    /// Names of parameters that `name` may have been meant for, the nearest first.
    #[must_use]
    pub fn nearest_parameters(&self, name: &str) -> Vec<&'static str> {
        let name = name.to_ascii_lowercase();
        let mut ranked: Vec<(usize, &'static str)> = self
            .parameters
            .iter()
            .map(|parameter| (distance_of_words(&name, &parameter.name.to_ascii_lowercase()), parameter.name))
            .filter(|(distance, _)| *distance <= tolerance(&name))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect()
    }
}

/// All methods, by service and name.
#[must_use]
pub fn all() -> &'static [Method] {
    TABLE.get_or_init(|| read(include_str!("methods.txt")))
}

/// The method that a person means: `environment/control/stopenv`, with `rest` or `/1.0` in it as a URL has them, with
/// dots instead of slashes as the product's scripts write them; letters of any case match.
#[must_use]
pub fn find(name: &str) -> Option<&'static Method> {
    let name = normal(name);
    let (service, method) = name.rsplit_once('/')?;
    // The table is in this order.
    let at = all().binary_search_by(|other| (other.service, other.name).cmp(&(service, method))).ok()?;
    all().get(at)
}

/// Up to three methods that `name` may have been meant for, the nearest first: by the last part, then by the whole.
#[must_use]
pub fn nearest(name: &str) -> Vec<&'static Method> {
    let name = normal(name);
    let last = name.rsplit('/').next().unwrap_or_default();
    let mut ranked: Vec<((usize, usize), &'static Method)> = all()
        .iter()
        .map(|method| ((distance_of_words(last, method.name), distance(&name, &method.path())), method))
        .filter(|((of_last, of_whole), _)| *of_last <= tolerance(last) || *of_whole <= tolerance(&name))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(SUGGESTIONS).map(|(_, method)| method).collect()
}

/// `/1.0/Environment/Control/rest/StopEnv` and `environment.control.StopEnv` are `environment/control/stopenv`.
pub(super) fn normal(name: &str) -> String {
    let path = name.trim().to_ascii_lowercase();
    let path = path.trim_matches('/');
    let path = path.strip_prefix("1.0/").unwrap_or(path);
    let path = if path.contains('/') { path.to_owned() } else { path.replace('.', "/") };
    path.replace("/rest/", "/")
}

fn tolerance(word: &str) -> usize {
    (word.len() / 3).clamp(1, 4)
}

/// The edit distance; a word that is a part of the other one counts as near.
fn distance_of_words(one: &str, other: &str) -> usize {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let edits = distance(one, other);
    if short.len() >= 4 && long.contains(short) { edits.min(1) } else { edits }
}

/// How many characters must be put in, taken out or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, c) in one.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, d) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Reads the table's text; what its head says of the form.
fn read(text: &'static str) -> Vec<Method> {
    let mut service = "";
    let mut methods = Vec::with_capacity(320);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(line) = line.strip_prefix(' ') else {
            service = line;
            continue;
        };
        let (signature, summary) = line.split_once(" | ").unwrap_or((line, ""));
        let mut words = signature.split(' ');
        let name = words.next().unwrap_or_default();
        let needs_session = !name.ends_with('-');
        let name = name.trim_end_matches('-');
        let parameters = words.map(parameter).collect();
        methods.push(Method { service, name, parameters, needs_session, summary });
    }
    methods
}

fn parameter(word: &'static str) -> Parameter {
    let (name, kind) = word.split_once(':').unwrap_or((word, ""));
    let kind = match kind {
        "int" => Kind::Int32,
        "long" => Kind::Int64,
        "bool" => Kind::Boolean,
        "json" => Kind::Json,
        "list" => Kind::List,
        _ => Kind::Text,
    };
    Parameter { name: name.trim_end_matches('!'), kind, required: name.ends_with('!') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_holds_the_platforms_310_methods_in_the_order_that_is_searched() {
        assert_eq!(all().len(), 310);
        assert!(all().is_sorted_by_key(|method| (method.service, method.name)));
        for method in all() {
            assert_eq!(find(&method.path()).map(Method::path), Some(method.path()));
            assert_eq!(find(&method.route()).map(Method::path), Some(method.path()));
            assert!(method.parameters.is_sorted_by_key(|parameter| !parameter.required), "{}", method.path());
        }
    }

    #[test]
    fn every_type_of_the_table_is_one_that_is_read() {
        let known = ["int", "long", "bool", "json", "list"];
        let lines = include_str!("methods.txt").lines().filter(|line| line.starts_with(' '));
        for word in lines.flat_map(|line| line.trim().split(" | ").next().unwrap_or_default().split(' ')) {
            assert!(word.split_once(':').is_none_or(|(_, kind)| known.contains(&kind)), "{word}");
        }
    }

    #[test]
    fn a_method_says_what_it_takes() {
        let method = find("environment/control/cloneenv").unwrap();
        let parameters: Vec<_> = method.parameters.iter().map(|p| (p.name, p.kind, p.required)).collect();
        assert_eq!(
            parameters,
            [
                ("dstEnvName", Kind::Text, true),
                ("srcEnvName", Kind::Text, true),
                ("useExternalMounts", Kind::Boolean, false)
            ]
        );
        assert_eq!(method.summary, "Clones the existing environment");
        assert!(method.needs_session && method.is_for_tokens() && !method.asks());
        assert!(!find("users/authentication/signin").unwrap().needs_session);
        assert!(!find("users/authentication/createtoken").unwrap().is_for_tokens());
        assert!(find("environment/control/getenvs").unwrap().asks());
    }

    #[test]
    fn a_method_is_found_however_it_is_written() {
        for name in [
            "environment/control/stopenv",
            "/environment/control/rest/stopenv",
            "/1.0/environment/control/rest/StopEnv",
            "Environment.Control.StopEnv",
            " environment/control/STOPENV ",
        ] {
            assert_eq!(find(name).map(|method| method.name), Some("stopenv"), "{name}");
        }
        for name in ["", "/", "stopenv", "environment/stopenv", "environment/control/", "1.0"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_mistyped_name_brings_the_nearest_ones() {
        let nearest = |name| nearest(name).iter().map(|method| method.path()).collect::<Vec<_>>();
        assert_eq!(nearest("environment/control/stopenvs").first().unwrap(), "environment/control/stopenv");
        assert_eq!(nearest("stopenv").first().unwrap(), "environment/control/stopenv");
        assert_eq!(nearest("enviroment/control/startenv").first().unwrap(), "environment/control/startenv");
        assert_eq!(nearest("marketplace/jps/getlists").first().unwrap(), "marketplace/app/getlist");
        assert!(nearest("environment/control/restart").iter().all(|name| name.contains("restart")));
        assert_eq!(nearest("xyzzy/plugh/qwertyuiop"), Vec::<String>::new());
    }

    #[test]
    fn a_mistyped_parameter_brings_the_nearest_ones() {
        let method = find("environment/control/restartnodebyid").unwrap();
        assert_eq!(method.nearest_parameters("envname"), ["envName"]);
        assert_eq!(method.nearest_parameters("node"), ["nodeId"]);
        assert_eq!(method.parameter("NODEID").map(|parameter| parameter.name), Some("nodeId"));
        assert!(method.nearest_parameters("verbose").is_empty());
    }

    #[test]
    fn a_kind_accepts_its_own_texts_alone() {
        for (kind, good, bad) in [
            (Kind::Int32, vec!["1", "-2147483648", " 7 "], vec!["", "x", "1.5", "2147483648"]),
            (Kind::Int64, vec!["2147483648"], vec!["9223372036854775808", "1e3"]),
            (Kind::Boolean, vec!["true", "False"], vec!["", "1", "yes"]),
            (Kind::Json, vec!["{}", "[{\"a\":1}]"], vec!["", "1", "\"x\"", "{"]),
            (Kind::List, vec!["1,2", "[1,2]", ""], vec!["[1,"]),
            (Kind::Text, vec!["", "x"], vec![]),
        ] {
            good.iter().for_each(|text| assert!(kind.accepts(text), "{kind:?} {text}"));
            bad.iter().for_each(|text| assert!(!kind.accepts(text), "{kind:?} {text}"));
        }
    }

    proptest! {
        #[test]
        fn the_distance_is_one_of_a_metric(a in "[a-c]{0,6}", b in "[a-c]{0,6}", c in "[a-c]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }

        #[test]
        fn no_name_panics(name in "\\PC*") {
            let _ = (find(&name), nearest(&name));
        }
    }
}
