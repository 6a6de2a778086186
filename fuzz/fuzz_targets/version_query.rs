//! The first line is a query, each other line a version: no panic, and what is selected is among all that is admitted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uss::{ErrorKind, Version, VersionQuery};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let query = lines.next().unwrap_or_default();
    let versions: Vec<Version> = lines.filter_map(|line| Version::parse(line).ok()).collect();
    for version in &versions {
        assert_eq!(Version::parse(&version.identity()).unwrap(), *version);
        for other in &versions {
            assert_eq!(version.cmp(other), version.sort_key().cmp(&other.sort_key()));
        }
    }
    match VersionQuery::parse(query) {
        Ok(query) => {
            assert_eq!(VersionQuery::parse(&query.to_string()).unwrap(), query);
            let all = query.select_all(&versions);
            match query.select(&versions) {
                Some(index) => assert!(all.iter().any(|one| versions[*one] == versions[index])),
                None => {
                    assert!(all.is_empty());
                    let error = query.nothing_selected("a", &versions);
                    assert_eq!(error.kind(), ErrorKind::NoPackageInRange);
                }
            }
        }
        Err(error) => assert!(error.message().chars().count() < 1000),
    }
});
