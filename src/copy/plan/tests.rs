//! Plans over packages in memory: order, agreement, problems, what is there already.

use super::*;
use crate::copy::memory::Memory;
use crate::log::{Log, LogLevel};

fn context() -> Context {
    Context::new(Log::new(LogLevel::Verbose))
}

fn ask(text: &[&str]) -> Vec<Request> {
    let request = |text: &&str| {
        let (id, query) = text.split_once(' ').unwrap_or((text, ""));
        Request { package_id: id.into(), version_query: query.into() }
    };
    text.iter().map(request).collect()
}

/// What is copied, in copy order, or the problems' codes and messages.
async fn order_of(source: &Memory, requests: &[&str], options: PlanOptions) -> Result<Vec<String>, Vec<Error>> {
    let there = Memory::new("http://b");
    let plan = plan(&context(), source, &[there], &ask(requests), &options).await?;
    Ok(plan.items.iter().map(|item| item.content.to_string()).collect())
}

async fn problems(source: &Memory, requests: &[&str]) -> Vec<(&'static str, String)> {
    let problems = order_of(source, requests, PlanOptions::default()).await.unwrap_err();
    problems.iter().map(|error| (error.kind().code(), error.message().to_owned())).collect()
}

fn source(packages: &[(&str, &str, &[&str])]) -> Memory {
    let source = Memory::new("http://a");
    for (id, version, dependencies) in packages {
        source.add(id, version, format!("{id} {version}"), dependencies);
    }
    source
}

#[tokio::test]
async fn dependencies_come_before_what_needs_them() {
    let source = source(&[
        ("bundle", "1.0", &["app >=1.0", "printer", "?extra", "!base <3.0"]),
        ("app", "1.0", &["base >=1.0"]),
        ("app", "2.0", &["base >=2.0"]),
        ("printer", "1.0", &["base"]),
        ("base", "1.0", &[]),
        ("base", "2.0", &[]),
        ("base", "3.0", &[]),
        ("extra", "1.0", &[]),
    ]);
    let required = ["base 2.0", "app 2.0", "printer 1.0", "bundle 1.0"];
    assert_eq!(order_of(&source, &["bundle"], PlanOptions::default()).await.unwrap(), required);
    let all = PlanOptions { include_optional: true, ..PlanOptions::default() };
    assert!(order_of(&source, &["bundle"], all).await.unwrap().contains(&"extra 1.0".to_owned()));
    let alone = PlanOptions { skip_dependency_check: true, ..PlanOptions::default() };
    assert_eq!(order_of(&source, &["bundle", "app 1.0"], alone).await.unwrap(), ["bundle 1.0", "app 1.0"]);
    let resolved = resolve(&context(), &source, &ask(&["bundle"]), false).await.unwrap();
    assert!(resolved.iter().map(|v| format!("{} {}", v.package_id, v.version)).eq(required));
}

#[tokio::test]
async fn one_version_where_the_queries_agree_and_each_its_own_where_they_do_not() {
    let source = source(&[
        ("one", "1.0", &["base <3.0"]),
        ("two", "1.0", &["base >=1.5"]),
        ("old", "1.0", &["base 1.0"]),
        ("base", "1.0", &[]),
        ("base", "2.0", &[]),
        ("base", "3.0", &[]),
    ]);
    let copied = |requests: &'static [&str]| {
        let source = source.clone();
        async move { order_of(&source, requests, PlanOptions::default()).await.unwrap() }
    };
    assert_eq!(copied(&["one", "two"]).await, ["base 2.0", "one 1.0", "two 1.0"]);
    assert_eq!(copied(&["two", "old"]).await, ["base 3.0", "two 1.0", "base 1.0", "old 1.0"]);
    // What is asked for by name is what its own query selects, and what it can serve needs no second version.
    assert_eq!(copied(&["base 1.0", "one"]).await, ["base 1.0", "one 1.0"]);
    assert_eq!(copied(&["one", "base"]).await, ["base 2.0", "one 1.0", "base 3.0"]);
}

#[tokio::test]
async fn a_restriction_that_nothing_fits_does_not_stop_the_copy() {
    let source = source(&[("app", "1.0", &["base >=2.0", "!base <2.0", "!absent 1.0"]), ("base", "2.0", &[])]);
    assert_eq!(order_of(&source, &["app"], PlanOptions::default()).await.unwrap(), ["base 2.0", "app 1.0"]);
}

#[tokio::test]
async fn all_problems_are_told_together_before_anything_is_sent() {
    let source = source(&[
        ("a", "1.0", &["b", "gone >=2.0"]),
        ("b", "1.0", &["c"]),
        ("c", "1.0", &["a"]),
        ("self", "1.0", &["self"]),
        ("late", "1.0", &["b >=9.0", "gone >=2.0", "b ${version}"]),
        ("there", "1.0", &[]),
    ]);
    let there = Memory::new("http://b");
    there.add("there", "1.0.0", "other bytes", &[]);
    let requests = ask(&["a", "self", "late", "unknown", "b >7.0", "b >", "there"]);
    let options = PlanOptions::default();
    let found = plan(&context(), &source, std::slice::from_ref(&there), &requests, &options).await.unwrap_err();
    let found: Vec<_> = found.iter().map(|error| (error.kind().code(), error.message())).collect();
    let has = |code: &str, text: &str| {
        let hits = found.iter().filter(|(kind, message)| *kind == code && message.contains(text)).count();
        assert_eq!(hits, 1, "{code} {text} in {found:#?}");
    };
    has("PackageNotFound", "unknown");
    has("NoPackageInRange", "No version of b fits '>7.0'");
    has("InvalidVersionQuery", "Column 2");
    has("DependencyCycle", ": a 1.0 -> b 1.0 -> c 1.0 -> a 1.0.");
    has("DependencyCycle", ": self 1.0 -> self 1.0.");
    has("DependencyUnresolved", "a 1.0, late 1.0 need gone '>=2.0': http://a has no package gone.");
    has("DependencyUnresolved", "late 1.0 needs b '>=9.0':");
    has("DependencyUnresolved", "late 1.0 needs b '${version}':");
    has("PackageAlreadyExists", "there 1.0");
    assert_eq!(found.len(), 9, "{found:#?}");
    assert_eq!((source.state().opened.len(), there.state().uploads), (0, 0));
}

#[tokio::test]
async fn what_is_there_is_skipped_and_other_bytes_need_force() {
    let source = source(&[("app", "1.0", &["base"]), ("base", "1.0", &[]), ("lib", "1.0+a", &[])]);
    let there = Memory::new("http://b");
    there.add("base", "1.0.0", "base 1.0", &[]);
    there.add("lib", "1.0+b", "other", &[]);
    let force = PlanOptions { force: true, ..PlanOptions::default() };
    let plan = plan(&context(), &source, &[there], &ask(&["app", "lib"]), &force).await.unwrap();
    let rows: Vec<_> = plan.rows().iter().map(|row| (row.id.clone(), row.status.as_str())).collect();
    let expected = [("base", "WouldSkip"), ("app", "WouldCopy"), ("lib", "WouldReplace")];
    assert_eq!(rows, expected.map(|(id, status)| (id.to_owned(), status)));
    let summary = plan.summaries().pop().unwrap();
    assert_eq!(summary.action, "Copy from http://a");
    assert_eq!(summary.target, "app 1.0, lib 1.0+a and 1 dependency (16 B, 1 already there, 1 replaced) to http://b");
}

#[tokio::test]
async fn where_no_digest_is_told_the_destination_compares() {
    let source = source(&[("app", "1.0", &[])]);
    let there = Memory::new("http://b");
    there.add("app", "1.0", "app 1.0", &[]);
    there.state().silent = true;
    let status = async |force| {
        let options = PlanOptions { force, ..PlanOptions::default() };
        let plan = plan(&context(), &source, std::slice::from_ref(&there), &ask(&["app"]), &options).await.unwrap();
        plan.rows()[0].status
    };
    assert_eq!(status(false).await, Status::WouldCopy);
    assert_eq!(status(true).await, Status::WouldReplace, "it may have other bytes, which are to be replaced");
}

#[tokio::test]
async fn a_thousand_packages_wide_cost_few_requests_and_a_thousand_deep_no_stack() {
    let source = Memory::new("http://a");
    let wide: Vec<String> = (0..1000).map(|n| format!("wide{n} >=1.0")).collect();
    source.add("bundle", "1.0", "bundle", &wide.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..1000 {
        source.add(&format!("wide{n}"), "1.0", "wide", &["base"]);
        let next = format!("deep{}", n + 1);
        let needs = [next.as_str()];
        source.add(&format!("deep{n}"), "1.0", "deep", if n < 999 { &needs } else { &[] });
    }
    source.add("base", "1.0", "base", &[]);
    let copied = order_of(&source, &["bundle"], PlanOptions::default()).await.unwrap();
    assert_eq!((copied.len(), copied[0].as_str(), copied[1001].as_str()), (1002, "base 1.0", "bundle 1.0"));
    assert_eq!(source.state().lookups, 4, "one for 500 packages of a level");
    let copied = order_of(&source, &["deep0"], PlanOptions::default()).await.unwrap();
    assert_eq!((copied.len(), copied[0].as_str(), copied[999].as_str()), (1000, "deep999 1.0", "deep0 1.0"));
}

#[tokio::test]
async fn problems_name_a_few_who_need_something_and_count_the_others() {
    let source = Memory::new("http://a");
    let ids: Vec<String> = (0..9).map(|n| format!("p{n}")).collect();
    ids.iter().for_each(|id| source.add(id, "1.0", "p", &["gone"]));
    let found = problems(&source, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let expected = "p0 1.0, p1 1.0, p2 1.0 and 6 more need gone: http://a has no package gone.";
    assert_eq!(found, [("DependencyUnresolved", expected.to_owned())]);
}
