//! Sources that answer without end: a copy ends with an error that says so, and not with the memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{anonymous, block_on, context};
use uss::copy::{Catalogue, Request, resolve};
use uss::operation::Context;
use uss::update_service::model::{Dependency, Installer, PackageVersion};
use uss::{Error, ErrorKind};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Ids and queries.
type Needs = Vec<(String, String)>;

/// A source that has every package, and says of each what it needs.
#[derive(Clone)]
struct Endless {
    needs: Arc<dyn Fn(&str) -> Needs + Send + Sync>,
    asked: Arc<AtomicUsize>,
}

impl Endless {
    fn of(needs: impl Fn(&str) -> Needs + Send + Sync + 'static) -> Self {
        Self { needs: Arc::new(needs), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Catalogue for Endless {
    fn name(&self) -> String {
        "http://endless".into()
    }

    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        self.asked.fetch_add(ids.len(), Ordering::SeqCst);
        let of = |id: &String| {
            let needs = (self.needs)(id).into_iter();
            let dependency = |(package_id, version_query)| Dependency {
                package_id,
                version_query,
                optional: false,
                only_restrict_version: false,
            };
            let version = PackageVersion {
                package_id: id.clone(),
                version: "1.0.0".into(),
                size: Some(1),
                sha256: None,
                published: None,
                dependencies: needs.map(dependency).collect(),
            };
            (id.clone(), vec![version])
        };
        Ok(ids.iter().map(of).collect())
    }

    async fn installers(&self, _: &Context) -> Result<Vec<Installer>, Error> {
        Ok(Vec::new())
    }
}

/// The first package that something needs is `0`, and `n` needs `2n + 1` and `2n + 2`.
fn children(id: &str) -> [u64; 2] {
    let number: u64 = id.parse().unwrap();
    [2 * number + 1, 2 * number + 2]
}

async fn problems<C: Catalogue>(source: &C) -> Vec<Error> {
    let request = Request { package_id: "0".into(), version_query: String::new() };
    resolve(&context(), source, &[request], false).await.unwrap_err()
}

fn too_large(problems: &[Error], source: &str) -> String {
    let [error] = problems else { panic!("{problems:?}") };
    assert_eq!((error.kind(), error.server()), (ErrorKind::PlanTooLarge, source));
    assert_eq!(error.kind().category(), "LimitsExceeded");
    assert!(error.hint().contains("-SkipDependencyCheck"), "{error}");
    error.message().to_owned()
}

#[test]
fn a_source_that_names_ever_new_dependencies_is_asked_for_a_bounded_number() {
    let source = Endless::of(|id| children(id).map(|child| (child.to_string(), String::new())).into());
    let message = too_large(&block_on(problems(&source)), "http://endless");
    // Whole levels of the tree: the next one would be too much.
    let expected = "Looking up dependencies on http://endless was given up: the 131071 packages found so far, with 65535 \
                    versions, are more than the 100000 that one copy takes. Nothing was sent.";
    assert_eq!(message, expected);
    assert_eq!(source.asked(), 65_535);
}

#[test]
fn a_chain_without_an_end_is_followed_for_a_bounded_way() {
    let source = Endless::of(|id| vec![((id.parse::<u64>().unwrap() + 1).to_string(), ">=1.0".into())]);
    too_large(&block_on(problems(&source)), "http://endless");
    assert_eq!(source.asked(), 100_000);
}

#[test]
fn few_packages_with_very_long_lists_are_not_kept_either() {
    let long = "x".repeat(4 << 20);
    let source = Endless::of(move |id| {
        let next = (id.parse::<u64>().unwrap() + 1).to_string();
        vec![(next, String::new()), (id.to_owned(), format!("1.0 || {long}"))]
    });
    let message = too_large(&block_on(problems(&source)), "http://endless");
    assert!(message.contains("are described in more than 256 MiB. Nothing was sent."), "{message}");
    assert!(source.asked() < 70, "{}", source.asked());
}

#[test]
fn a_server_that_names_ever_new_dependencies_is_left_after_a_bounded_number() {
    block_on(async {
        let server = MockServer::start().await;
        let answer = |request: &wiremock::Request| {
            let asked: Value = request.body_json().unwrap();
            let of = |id: &Value| {
                let needs = children(id.as_str().unwrap()).map(|child| json!({ "packageId": child.to_string() }));
                json!({ "packageId": id, "version": "1.0", "dependencies": needs })
            };
            let versions: Vec<Value> = asked["packageIds"].as_array().unwrap().iter().map(of).collect();
            ResponseTemplate::new(200).set_body_json(versions)
        };
        let many = Mock::given(method("POST")).and(path("/api/v1/Packages/versions/query")).respond_with(answer);
        many.mount(&server).await;
        too_large(&problems(&anonymous(&server.uri())).await, &server.uri());
        let requests = server.received_requests().await.unwrap().len();
        let batches = (0..16).map(|level| (1_usize << level).div_ceil(500)).sum::<usize>();
        assert_eq!(requests, batches);
    });
}

#[test]
fn of_very_many_problems_a_thousand_are_told_and_the_others_counted() {
    let needs = |id: &str| {
        let all = (0..5_000).map(|number| (format!("needed-{number}"), "=".repeat(1_000)));
        if id == "0" { all.collect() } else { Vec::new() }
    };
    let problems = block_on(problems(&Endless::of(needs)));
    assert_eq!(problems.len(), 1_001);
    assert!(problems.iter().all(|problem| problem.kind() == ErrorKind::DependencyUnresolved));
    assert!(problems[0].message().chars().count() < 1_000, "{}", problems[0]);
    assert_eq!(problems[1_000].message(), "On http://endless, there are 4000 more problems of this kind.");
}

#[test]
fn of_a_very_long_circle_the_beginning_and_the_end_are_named() {
    let next = |id: &str| (id.parse::<u64>().unwrap() + 1) % 50_000;
    let source = Endless::of(move |id| vec![(next(id).to_string(), String::new())]);
    let problems = block_on(problems(&source));
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.kind(), ErrorKind::DependencyCycle);
    let message = problem.message();
    assert!(message.contains("packages need each other: 0 1.0.0 -> 1 1.0.0 -> "), "{message}");
    assert!(message.ends_with(" -> 19 1.0.0 -> 49980 more -> 0 1.0.0."), "{message}");
}

#[test]
fn resolving_a_large_set_leaves_its_thread_to_others_again_and_again() {
    // One package needs very many: all of that is one level, and no look-up lies between.
    let needs = |id: &str| {
        let all = (0..50_000).map(|number| (format!("needed-{}", number % 100), format!("<={number}.0")));
        if id == "0" { all.collect() } else { Vec::new() }
    };
    let source = Endless::of(needs);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (turns, resolved) = runtime.block_on(async {
        let mut turns = 0;
        let problems = problems(&source);
        tokio::pin!(problems);
        loop {
            tokio::select! {
                biased;
                found = &mut problems => break (turns, found),
                () = tokio::task::yield_now() => turns += 1,
            }
        }
    });
    assert!(turns > 100, "{turns}");
    assert!(resolved.iter().all(|problem| problem.kind() == ErrorKind::DependencyUnresolved), "{resolved:?}");
}
