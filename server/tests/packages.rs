//! Packages, versions, content and deleting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::*;

fn texts<'v>(answer: &'v Value, key: &str) -> Vec<&'v str> {
    answer.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn packages_come_in_pages_with_their_newest_version() {
    let server = Server::start();
    let session = server.admin().await;
    for (id, version) in [("a", "1.9"), ("a", "1.10"), ("a", "1.10-rc"), ("b/c", "1.0"), ("d", "2.0"), ("e", "1.0")] {
        assert_eq!(session.publish("", package(id, version, &[], 10)).await.status(), 201);
    }
    let all = support::json(session.get("/api/v1/Packages").await, 200).await;
    assert_eq!(texts(&all, "id"), ["a", "b/c", "d", "e"]);
    let first = &all[0];
    assert_eq!((&first["version"], &first["name"]), (&json!("1.10"), &json!("Name of a")));
    assert_eq!((&first["displayName"], first["sha256"].as_str().unwrap().len()), (&Value::Null, 64));
    assert!(first["published"].as_str().unwrap().ends_with("+00:00") && first["size"].as_u64() > Some(10));

    let mut found = Vec::new();
    let mut path = Some("/api/v1/Packages?limit=3".to_owned());
    while let Some(next) = path {
        let url = reqwest::Url::parse(&format!("{}{next}", server.url)).unwrap();
        let response = session.get(&next).await;
        let link = header(response.headers(), "link").to_owned();
        path = (!link.is_empty()).then(|| {
            let reference = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            let next = url.join(reference).unwrap();
            format!("{}?{}", next.path(), next.query().unwrap())
        });
        found.extend(texts(&support::json(response, 200).await, "id").into_iter().map(str::to_owned));
    }
    assert_eq!(found, ["a", "b/c", "d", "e"]);

    for (search, expected) in [("B/", vec!["b/c"]), ("name+of+D", vec!["d"]), ("%25", vec![]), ("_", vec![])] {
        let page = support::json(session.get(&format!("/api/v1/Packages?search={search}")).await, 200).await;
        assert_eq!(texts(&page, "id"), expected, "{search}");
    }
    for bad in ["0", "1001", "x", "-1"] {
        problem(session.get(&format!("/api/v1/Packages?limit={bad}")).await, 400, "bad-request").await;
    }
}

#[tokio::test]
async fn a_search_finds_letters_of_any_script_and_has_a_length() {
    let server = Server::start();
    let session = server.admin().await;
    let manifest = r#"{"Id":"a","Version":"1.0","DisplayName":"Kasse f\u00fcr \u00c4pfel"}"#;
    assert_eq!(session.publish("", zip(&[("Manifest.json", manifest.as_bytes())])).await.status(), 201);
    for search in ["%C3%84pfel", "KASSE", "f%C3%BCr"] {
        let answer = json(session.get(&format!("/api/v1/Packages?search={search}")).await, 200).await;
        assert_eq!(texts(&answer, "id"), ["a"], "{search}");
    }
    let long = format!("/api/v1/Packages?search={}", "x".repeat(60_000));
    problem(session.get(&long).await, 400, "bad-request").await;
}

#[tokio::test]
async fn versions_come_newest_first_with_their_dependencies() {
    let server = Server::start();
    let session = server.admin().await;
    let newest = package("a/b", "1.10.0", &[("x", "^"), ("y", ">=1.0 <2.0")], 10);
    session.publish("", newest.clone()).await;
    session.publish("", package("a/b", "1.9", &[], 10)).await;
    session.publish("", package("a/b", "1.10.0-rc.2", &[], 10)).await;
    session.publish("", package("z", "1.0", &[], 10)).await;
    let versions = support::json(session.get("/api/v1/Packages/versions?packageId=a%2Fb").await, 200).await;
    assert_eq!(texts(&versions, "version"), ["1.10.0", "1.10.0-rc.2", "1.9"]);
    let expected = json!([
        { "packageId": "x", "versionQuery": "^", "optional": false, "onlyRestrictVersion": false },
        { "packageId": "y", "versionQuery": ">=1.0 <2.0", "optional": false, "onlyRestrictVersion": false },
    ]);
    assert_eq!(versions[0]["dependencies"], expected);
    assert_eq!((&versions[0]["packageId"], &versions[0]["sha256"]), (&json!("a/b"), &json!(sha256(&newest))));
    assert_eq!(versions[0]["size"], newest.len());
    problem(session.get("/api/v1/Packages/versions?packageId=nix").await, 404, "package-not-found").await;
    problem(session.get("/api/v1/Packages/versions").await, 400, "bad-request").await;

    let many = async |body: String| {
        session.request(Method::POST, "/api/v1/Packages/versions/query").body(body).send().await.unwrap()
    };
    let found = support::json(many(json!({ "packageIds": ["z", "nix", "a/b"] }).to_string()).await, 200).await;
    assert_eq!(texts(&found, "packageId"), ["a/b", "a/b", "a/b", "z"]);
    let ids = |count: usize| json!({ "packageIds": (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>() });
    assert_eq!(support::json(many(ids(500).to_string()).await, 200).await, json!([]));
    assert_eq!(support::json(many(ids(0).to_string()).await, 200).await, json!([]));
    problem(many(ids(501).to_string()).await, 400, "bad-request").await;
    problem(many("nix".into()).await, 400, "bad-request").await;
    problem(many("x".repeat(3 << 20)).await, 413, "payload-too-large").await;
}

#[tokio::test]
async fn content_is_served_whole_and_in_ranges_with_its_digest() {
    let server = Server::start();
    let session = server.admin().await;
    // Over two parts.
    let bytes = package("a", "1.0.0", &[], 9 << 20);
    session.publish("", bytes.clone()).await;
    let (size, etag) = (bytes.len(), format!("\"{}\"", sha256(&bytes)));
    let path = content("a", "1.0");

    let response = session.get(&path).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    for (name, value) in [
        ("etag", etag.as_str()),
        ("accept-ranges", "bytes"),
        ("content-type", "application/zip"),
        ("content-length", &size.to_string()),
        ("repr-digest", &repr_digest(&bytes)),
        ("content-disposition", "attachment; filename=\"a-1.0.0.zip\""),
    ] {
        assert_eq!(header(&headers, name), value, "{name}");
    }
    assert!(response.bytes().await.unwrap() == bytes);

    let head = session.request(Method::HEAD, &path).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(head.headers(), "content-length")), (200, size.to_string().as_str()));
    assert_eq!(header(head.headers(), "etag"), etag);

    let part = 8 << 20;
    for (range, start, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        (format!("bytes={}-{}", part - 5, part + 4), part - 5, part + 5),
        (format!("bytes={part}-"), part, size),
        ("bytes=-7".to_owned(), size - 7, size),
        (format!("bytes=5-{}", size * 2), 5, size),
    ] {
        let response = session.request(Method::GET, &path).header("range", &range).send().await.unwrap();
        assert_eq!(response.status(), 206, "{range}");
        let headers = response.headers().clone();
        assert_eq!(header(&headers, "content-range"), format!("bytes {start}-{}/{size}", end - 1));
        assert_eq!(header(&headers, "content-length"), (end - start).to_string());
        assert_eq!((header(&headers, "etag"), header(&headers, "repr-digest")), (&*etag, &*repr_digest(&bytes)));
        assert!(response.bytes().await.unwrap() == bytes[start..end], "{range}");
    }
    let beyond = session.request(Method::GET, &path).header("range", format!("bytes={size}-")).send().await.unwrap();
    assert_eq!(header(beyond.headers(), "content-range"), format!("bytes */{size}"));
    problem(beyond, 416, "range-not-satisfiable").await;

    let status = async |headers: &[(&str, &str)]| {
        let request = session.request(Method::GET, &path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status().as_u16()
    };
    let (other, weak) = (format!("\"{}\"", "0".repeat(64)), format!("W/{etag}"));
    let first = ("range", "bytes=0-9");
    assert_eq!(status(&[first, ("if-match", &etag)]).await, 206);
    assert_eq!(status(&[first, ("if-match", &format!("{other}, {etag}"))]).await, 206);
    assert_eq!(status(&[first, ("if-match", "*")]).await, 206);
    assert_eq!(status(&[first, ("if-match", &other)]).await, 412);
    assert_eq!(status(&[first, ("if-match", &weak)]).await, 412);
    assert_eq!(status(&[first, ("if-range", &etag)]).await, 206);
    assert_eq!(status(&[first, ("if-range", &other)]).await, 200);
    assert_eq!(status(&[first, ("if-range", &weak)]).await, 200);
    assert_eq!(status(&[("if-none-match", &weak)]).await, 304);
    assert_eq!(status(&[("if-none-match", &other)]).await, 200);
    assert_eq!(status(&[("range", "bytes=0-1,4-5")]).await, 200);
}

#[tokio::test]
async fn a_version_is_found_by_its_precedence() {
    let server = Server::start();
    let session = server.admin().await;
    session.publish("", package("a", "1.0.0+build.1", &[], 10)).await;
    for version in ["1.0", "1.0.0.0", "1.0.0+other"] {
        assert_eq!(session.content("a", version).await.status(), 200, "{version}");
    }
    problem(session.content("a", "1.0.1").await, 404, "package-not-found").await;
    problem(session.content("nix", "1.0").await, 404, "package-not-found").await;
    problem(session.content("a", "v1").await, 400, "bad-request").await;
    problem(session.get("/api/v1/Packages/content?packageId=a").await, 400, "bad-request").await;
}

#[tokio::test]
async fn a_deleted_version_is_gone_and_can_be_published_again() {
    let server = Server::start();
    let session = server.admin().await;
    let bytes = package("a", "1.0", &[], 10);
    session.publish("", bytes.clone()).await;
    session.publish("", package("a", "2.0", &[], 10)).await;
    let delete =
        async || session.request(Method::DELETE, "/api/v1/Packages?packageId=a&version=1.0.0").send().await.unwrap();
    let response = delete().await;
    assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (204, 0));
    problem(delete().await, 404, "package-not-found").await;
    problem(session.content("a", "1.0").await, 404, "package-not-found").await;
    assert_eq!(session.content("a", "2.0").await.status(), 200);
    assert_eq!(session.publish("", bytes).await.status(), 201);
    assert_eq!(server.run(&["check"]), "2 whole, 0 damaged");
}

#[tokio::test]
async fn unknown_calls_and_methods_are_problems_too() {
    let server = Server::start();
    let session = server.admin().await;
    problem(session.get("/api/v1/nix").await, 404, "not-found").await;
    let put = session.request(Method::PUT, "/api/v1/Packages").body("x").send().await.unwrap();
    assert!(header(put.headers(), "allow").contains("POST"));
    problem(put, 405, "method-not-allowed").await;
    problem(session.get("/api/v1/installers/%FF").await, 400, "bad-request").await;
}

#[tokio::test]
async fn installers_are_published_listed_and_downloaded() {
    let server = Server::start();
    let session = server.admin().await;
    let file = server.data().join("Setup ä.exe");
    std::fs::write(&file, b"first").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let added = server.run(&["installer", "add", &file, "--name", "Setup", "--package-id", "a", "--version", "1.0"]);
    let post = async |query: &str, body: &'static str| {
        session.request(Method::POST, &format!("/api/v1/installers?{query}")).body(body).send().await.unwrap()
    };
    let created = support::json(post("name=Other&fileName=other.msi", "second").await, 201).await;
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(created["sha256"], sha256(b"second"));

    let list = support::json(session.get("/api/v1/installers").await, 200).await;
    assert_eq!(texts(&list, "name"), ["Other", "Setup"]);
    let one = support::json(session.get(&format!("/api/v1/installers/{}", added.to_uppercase())).await, 200).await;
    assert_eq!((&one["packageId"], &one["version"], &one["size"]), (&json!("a"), &json!("1.0"), &json!(5)));
    assert_eq!((&one["fileName"], &list[1]), (&json!("Setup ä.exe"), &one));

    let download = session.get(&format!("/api/v1/installers/{added}/download")).await;
    assert_eq!(header(download.headers(), "repr-digest"), repr_digest(b"first"));
    assert!(header(download.headers(), "content-disposition").contains("filename*=UTF-8''Setup%20%C3%A4.exe"));
    assert_eq!(download.bytes().await.unwrap(), "first");
    problem(session.get("/api/v1/installers/nix").await, 404, "installer-not-found").await;
    problem(session.get("/api/v1/installers/nix/download").await, 404, "installer-not-found").await;

    let same = format!("name=Other&id={id}");
    assert_eq!(post(&same, "second").await.status(), 200);
    problem(post(&same, "third").await, 409, "installer-already-exists").await;
    let replaced = post(&format!("{same}&force=true"), "third").await;
    assert_eq!((replaced.status().as_u16(), header(replaced.headers(), "uss-replaced")), (200, "true"));
    problem(post("", "x").await, 400, "bad-request").await;
    problem(post("name=x&id=x", "x").await, 400, "bad-request").await;
    problem(post("name=x&fileName=a/b", "x").await, 400, "bad-request").await;
    problem(post("name=x", "").await, 400, "bad-request").await;
    assert_eq!(server.run(&["check"]), "2 whole, 0 damaged");
}
