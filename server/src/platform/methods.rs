//! What tokens can be made for: single methods, and the sets that the platform calls templates.

use std::collections::HashMap;
use std::sync::LazyLock;

use uss::virtuozzo::methods::{self, Method};
use uss::wildcard;

/// A set of methods that a token may be made for.
#[derive(Debug)]
pub struct Template {
    /// As the platform numbers them.
    pub id: i64,
    /// `IDE Plugins`.
    pub name: &'static str,
    /// What it holds, in a sentence.
    pub summary: &'static str,
    /// `environment/deployment/*`: paths with wildcards.
    patterns: &'static [&'static str],
}

/// The guide's four sets. Which methods each holds is this project's choice [ours]: what such a tool needs, no more.
const TEMPLATES: [Template; 4] = [
    Template {
        id: 1,
        name: "Extended Access",
        summary: "Everything but what needs the account's password.",
        patterns: &["*"],
    },
    Template {
        id: 2,
        name: "IDE Plugins",
        summary: "Environments, their logs and files, and deployment, as an IDE shows them.",
        patterns: &[
            "users/account/getuserinfo",
            "environment/control/get*",
            "environment/control/read*",
            "environment/control/createenvironment",
            "environment/control/cloneenv",
            "environment/control/startenv",
            "environment/control/stopenv",
            "environment/control/sleepenv",
            "environment/control/restart*",
            "environment/control/deployapp",
            "environment/control/removeapp",
            "environment/control/renameapp",
            "environment/deployment/*",
            "environment/file/*",
            "environment/tracking/get*",
            "environment/vcs/*",
        ],
    },
    Template {
        id: 3,
        name: "Marketplace",
        summary: "The marketplace's applications, and the environments that they are installed into.",
        patterns: &[
            "users/account/getuserinfo",
            "billing/account/get*",
            "marketplace/*",
            "environment/binder/checkdomain",
            "environment/control/getenvs",
            "environment/control/getbasicenvsinfo",
            "environment/control/getenvinfo",
            "environment/control/getregions",
            "environment/group/getgroups",
            "environment/tracking/get*",
        ],
    },
    Template {
        id: 4,
        name: "Maven Plugin",
        summary: "Building and deploying from a build, and what it needs to find its environment.",
        patterns: &[
            "users/account/getuserinfo",
            "environment/build/*",
            "environment/control/deployapp",
            "environment/control/getenvs",
            "environment/control/getbasicenvsinfo",
            "environment/control/getenvinfo",
            "environment/control/getlogs",
            "environment/control/readlog",
            "environment/deployment/*",
            "environment/file/upload",
        ],
    },
];

/// What each set holds, by its id: the patterns are too many to match them for every answer.
static HELD: LazyLock<HashMap<i64, Vec<&'static Method>>> = LazyLock::new(|| {
    let is_held = |template: &Template, method: &Method| {
        let path = method.path();
        template.patterns.iter().any(|pattern| wildcard::matches(pattern, &path))
    };
    let held = |template: &Template| all().filter(|method| is_held(template, method)).collect();
    TEMPLATES.iter().map(|template| (template.id, held(template))).collect()
});

/// The methods that a token may be made for, by service and name.
pub fn all() -> impl Iterator<Item = &'static Method> {
    methods::all().iter().filter(|method| method.is_for_tokens())
}

/// The sets that a token may be made for.
pub fn templates() -> &'static [Template] {
    &TEMPLATES
}

/// The set of this name (in any case) or id.
pub fn template(name: &str) -> Option<&'static Template> {
    let name = name.trim();
    TEMPLATES.iter().find(|template| template.name.eq_ignore_ascii_case(name) || template.id.to_string() == name)
}

impl Template {
    /// Whether it holds this method.
    pub fn holds(&self, method: &Method) -> bool {
        self.methods().any(|held| std::ptr::eq(held, method))
    }

    /// What it holds.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> {
        HELD.get(&self.id).into_iter().flatten().copied()
    }
}

/// The number that a method goes by in the platform's lists: its place in the table, from 1 [ours].
pub fn id(method: &Method) -> i64 {
    let place = methods::all().iter().position(|other| std::ptr::eq(other, method)).unwrap_or_default();
    i64::try_from(place).unwrap_or(i64::MAX).saturating_add(1)
}

/// The method that a list names by number, path or dotted name, if a token may be made for it.
pub fn by_id_or_name(text: &str) -> Option<&'static Method> {
    let found = match text.trim().parse::<usize>() {
        Ok(id) => methods::all().get(id.checked_sub(1)?),
        Err(_) => methods::find(text),
    };
    found.filter(|method| method.is_for_tokens())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_a_set_is_of_use() {
        for template in templates() {
            for pattern in template.patterns {
                assert!(all().any(|method| wildcard::matches(pattern, &method.path())), "{}: {pattern}", template.name);
            }
        }
    }

    #[test]
    fn the_widest_set_holds_all_but_what_needs_a_password() {
        let widest = template("extended access").unwrap();
        assert_eq!(widest.methods().count(), all().count());
        assert!(widest.methods().all(|method| method.service != "users/authentication"));
        let narrow = template("4").unwrap();
        assert!(
            narrow.methods().count() < all().count() / 4
                && narrow.holds(methods::find("environment/build/addproject").unwrap())
        );
        assert!(!narrow.holds(methods::find("environment/control/deleteenv").unwrap()));
        assert!(template("none").is_none());
    }

    #[test]
    fn a_method_is_named_by_number_path_or_dots() {
        let method = methods::find("environment/control/stopenv").unwrap();
        for name in [id(method).to_string().as_str(), "environment.control.StopEnv", "environment/control/rest/stopenv"]
        {
            assert_eq!(by_id_or_name(name).map(Method::path), Some(method.path()), "{name}");
        }
        for name in ["0", "311", "users/authentication/createtoken", "nothing", "users/authentication/signin"] {
            assert!(by_id_or_name(name).is_none(), "{name}");
        }
    }
}
