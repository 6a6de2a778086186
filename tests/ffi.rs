//! The C ABI, called as a C program calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code)]

mod abi;
mod support;

use std::collections::HashSet;
use std::net::TcpListener;
use std::ptr::{null, null_mut};

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use abi::*;
use support::Server;
use uss::ffi::buffer::{uss_buffer_free, uss_buffer_take, uss_buffer_view};
use uss::ffi::connection::{uss_connection_close, uss_connection_open};
use uss::ffi::debug::{uss_abi_version, uss_debug_counts};
use uss::ffi::operation::{
    USS_PROGRESS_LENGTH, uss_log_drain, uss_op_cancel, uss_op_free, uss_op_start, uss_op_take_result, uss_op_wait,
};
use uss::ffi::secret::{self, uss_secret_take};
use uss::ffi::{Out, USS_ABI_VERSION, USS_FAILED, USS_OK, USS_PENDING};

/// A server that takes connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    (listener, server)
}

/// A server with `count` packages on two pages.
async fn with_packages(count: usize) -> MockServer {
    let server = MockServer::start().await;
    let packages: Vec<Value> = (0..count).map(|n| json!({ "id": format!("p{n}"), "version": "1.0" })).collect();
    let (first, second) = packages.split_at(count / 2);
    let next = format!("<{}/api/v1/Packages?page=2>; rel=\"next\"", server.uri());
    let packages = || Mock::given(method("GET")).and(path("/api/v1/Packages"));
    let answer = |page: &[Value]| ResponseTemplate::new(200).set_body_json(page);
    packages().and(query_param("page", "2")).respond_with(answer(second)).with_priority(1).mount(&server).await;
    packages().respond_with(answer(first).insert_header("link", next.as_str())).mount(&server).await;
    server
}

/// Runs what blocks, beside a mock server that needs this thread.
async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[test]
fn the_version_is_the_headers() {
    assert_eq!(uss_abi_version(), USS_ABI_VERSION);
}

#[test]
fn a_made_up_id_is_an_error_everywhere_and_never_a_crash() {
    let connection = open(&[("server", "http://127.0.0.1:1")]).unwrap();
    let secret = secret::keep(uss::Secret::new("x".into())).unwrap().id;
    for id in [0, 1, u64::MAX, 1 << 63, connection, connection ^ (1 << 40), connection ^ (1 << 57), secret] {
        assert_eq!(uss_op_cancel(id), USS_FAILED, "{id:#x}");
        assert_eq!(uss_op_free(id), USS_FAILED, "{id:#x}");
        assert_eq!(uss_buffer_free(id), USS_FAILED, "{id:#x}");
        for call in [uss_op_take_result, uss_log_drain] {
            let mut out = Out::default();
            // SAFETY: `out` is a local.
            assert_eq!(unsafe { call(id, &raw mut out) }, USS_FAILED);
            assert_eq!(error_of(out).code, "InvalidHandle", "{id:#x}");
        }
        let mut out = Out::default();
        // SAFETY: `out` is a local, the rest is NULL.
        assert_eq!(unsafe { uss_op_wait(id, 0, null_mut(), 0, &raw mut out) }, USS_FAILED);
        assert_eq!(error_of(out).code, "InvalidHandle");
        if id != connection {
            let error = start(&[("command", "packages"), ("connection", &id.to_string())]).unwrap_err();
            assert_eq!(error.code, "InvalidHandle", "{id:#x}");
        }
    }
    assert_eq!(uss_connection_close(connection), USS_OK);
    assert_eq!(uss_connection_close(connection), USS_FAILED);
    let error = start(&[("command", "packages"), ("connection", &connection.to_string())]).unwrap_err();
    let told = (error.code.as_str(), error.category.as_str(), error.target.as_str());
    assert_eq!(told, ("InvalidHandle", "InvalidArgument", "connection"));
    // .NET holds ids in signed longs.
    assert_eq!(start(&[("command", "packages"), ("connection", "-1")]).unwrap_err().code, "InvalidHandle");
    let mut unit = [0_u16; 1];
    // SAFETY: NULL is allowed, and the other pointer is to a local of that length.
    unsafe {
        assert_eq!(uss_secret_take(secret, null_mut(), 9), USS_FAILED);
        assert_eq!(uss_secret_take(secret, unit.as_mut_ptr(), 1), USS_OK);
    }
    assert_eq!(unit, [u16::from(b'x')]);
}

#[test]
fn null_is_an_error_or_nothing_to_do() {
    // SAFETY: NULL is allowed everywhere.
    unsafe {
        assert_eq!(uss_op_start(null(), 0, null_mut()), USS_FAILED);
        assert_eq!(uss_op_start(null(), 7, null_mut()), USS_FAILED);
        assert_eq!(uss_connection_open(null(), 7, null(), 7, null_mut()), USS_FAILED);
        assert_eq!(uss_connection_open(null(), 0, null(), 0, null_mut()), USS_FAILED);
        assert_eq!(uss_op_wait(0, 0, null_mut(), 9, null_mut()), USS_FAILED);
        assert_eq!(uss_op_take_result(0, null_mut()), USS_FAILED);
        assert_eq!(uss_log_drain(0, null_mut()), USS_FAILED);
        assert_eq!(uss_buffer_take(0, null_mut(), 9), USS_FAILED);
        assert_eq!(uss_buffer_view(0, null_mut(), null_mut()), USS_FAILED);
        assert_eq!(uss_debug_counts(null_mut(), 9), USS_FAILED);
    }
}

#[test]
fn what_is_wrong_with_a_command_is_named() {
    let connection = open(&[("server", "http://127.0.0.1:1")]).unwrap().to_string();
    let failure = |fields: &[(&str, &str)]| {
        let error = start(fields).unwrap_err();
        assert_eq!(error.code, "InvalidArgument");
        (error.target, error.message)
    };
    assert_eq!(failure(&[]).0, "command");
    assert_eq!(failure(&[("command", "dance")]), ("command".into(), "There is no command 'dance'.".into()));
    assert_eq!(failure(&[("command", "packages")]).0, "connection");
    let packages = [("command", "packages"), ("connection", connection.as_str())];
    let failure_of = |more: &[(&str, &str)]| failure(&[&packages[..], more].concat());
    let unknown = "There is no field 'packageid' of the command 'packages'.";
    assert_eq!(failure_of(&[("packageid", "a")]), ("packageid".into(), unknown.into()));
    assert_eq!(failure_of(&[("search", "a"), ("search", "b")]).0, "search");
    assert_eq!(failure_of(&[("log", "loud")]).0, "log");
    assert_eq!(failure_of(&[("format", "xml")]).0, "format");
    assert_eq!(failure_of(&[("lease", "0")]).0, "lease");
    let all = [("command", "versions"), packages[1], ("packageId", "a"), ("all", "1")];
    assert_eq!(failure(&all).0, "all");
    assert_eq!(
        failure(&all[..2]),
        ("packageId".into(), "The field 'packageId' of the command 'versions' is missing or empty.".into())
    );
}

#[test]
fn a_connection_checks_its_fields_before_the_network() {
    let failure = |fields: &[(&str, &str)], secret: &str| {
        let error = open_with(fields, secret).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        (error.code, error.target)
    };
    let near = ("server", "http://127.0.0.1:1");
    let invalid = |field: &str| ("InvalidArgument".to_owned(), field.to_owned());
    assert_eq!(failure(&[], ""), invalid("server"));
    assert_eq!(failure(&[near, ("user", "u")], ""), invalid("secret"));
    assert_eq!(failure(&[near], "hunter2"), invalid("user"));
    assert_eq!(failure(&[near, ("user", "")], "hunter2"), invalid("user"));
    assert_eq!(failure(&[near, ("timeout", "soon")], ""), invalid("timeout"));
    assert_eq!(failure(&[near, ("noProxy", "true"), ("proxy", "p:1")], ""), invalid("noProxy"));
    assert_eq!(failure(&[near, ("user", "u"), ("tokenVariable", "USS_TEST_NOT_SET")], ""), invalid("tokenVariable"));
    assert_eq!(failure(&[near, ("user", "u"), ("tokenVariable", "PATH")], "hunter2"), invalid("tokenVariable"));
    assert_eq!(failure(&[near, ("proxyCredential", "5")], "").0, "InvalidHandle");
    let nobody = open_with(&[near], "").unwrap().to_string();
    let through = [near, ("proxy", "p:1"), ("proxyCredential", nobody.as_str())];
    assert_eq!(failure(&through, ""), invalid("proxyCredential"));
    let far = ("server", "http://updates.example.com");
    assert_eq!(failure(&[far, ("user", "u")], "hunter2").0, "InsecureTransport");
    assert!(open_with(&[far, ("user", "u"), ("allowUnencryptedAuthentication", "true")], "hunter2").is_ok());
    // Any variable that is set will do: it is read and not used.
    assert!(open_with(&[near, ("user", "u"), ("tokenVariable", "PATH")], "").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_come_in_pages() {
    let server = with_packages(1203).await;
    blocking(move || {
        let connection = open(&[("server", &server.uri())]).unwrap().to_string();
        let fields = [("command", "packages"), ("connection", connection.as_str())];
        let json_pages = pages(start(&[&fields[..], &[("format", "json")]].concat()).unwrap()).unwrap();
        let rows: Vec<Vec<Value>> = json_pages.iter().map(|page| serde_json::from_str(page).unwrap()).collect();
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 203]);
        let ids: HashSet<&str> = rows.iter().flatten().map(|row| row["Id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1203);
        let xml_pages = pages(start(&fields).unwrap()).unwrap();
        let objects: Vec<usize> = xml_pages.iter().map(|page| page.matches("<Obj ").count()).collect();
        assert_eq!(objects, [500, 500, 203]);
        assert!(xml_pages.iter().all(|page| page.matches("<T>Uss.Package</T>").count() == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_page_is_taken_once_and_outlives_its_operation() {
    let server = with_packages(2).await;
    blocking(move || {
        let connection = open(&[("server", &server.uri())]).unwrap().to_string();
        let operation = start(&[("command", "packages"), ("connection", &connection), ("format", "json")]).unwrap();
        while wait(operation, 1_000) == USS_PENDING {}
        let (mut page, mut out) = (Out::default(), Out::default());
        // SAFETY: the pointers are to locals.
        unsafe {
            assert_eq!(uss_op_take_result(operation, &raw mut page), USS_OK);
            assert_eq!(uss_op_take_result(operation, &raw mut out), USS_FAILED);
        }
        assert_eq!(error_of(out).code, "InvalidHandle");
        assert_eq!(uss_op_cancel(operation), USS_OK);
        assert_eq!(uss_op_free(operation), USS_OK);
        assert_eq!(uss_op_free(operation), USS_FAILED);
        let (mut data, mut length) = (null(), 0);
        // SAFETY: the pointers are to locals.
        assert_eq!(unsafe { uss_buffer_view(page.id, &raw mut data, &raw mut length) }, USS_OK);
        assert_eq!(length, page.length);
        assert_eq!(uss_buffer_free(page.id), USS_OK);
        assert_eq!(uss_buffer_free(page.id), USS_FAILED);
    })
    .await;
}

#[test]
fn a_cancelled_operation_ends_with_cancelled() {
    let (_listener, server) = silent();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let operation = start(&[("command", "packages"), ("connection", &connection)]).unwrap();
    assert_eq!(wait(operation, 0), USS_PENDING);
    let mut out = Out::default();
    // SAFETY: `out` is a local.
    assert_eq!(unsafe { uss_op_take_result(operation, &raw mut out) }, USS_FAILED);
    assert_eq!(error_of(out).code, "InvalidHandle", "nothing is ready yet");
    assert_eq!((uss_op_cancel(operation), uss_op_cancel(operation)), (USS_OK, USS_OK));
    assert_eq!(pages(operation).unwrap_err().code, "Cancelled");
}

#[test]
fn a_freed_operation_is_cancelled() {
    let (listener, server) = silent();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let operation = start(&[("command", "packages"), ("connection", &connection)]).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(uss_op_free(operation), USS_OK);
    // The request's connection ends when its work is dropped.
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
}

#[test]
fn an_operation_that_nobody_waits_for_is_cancelled_after_its_lease() {
    let (listener, server) = silent();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let fields = [("command", "packages"), ("connection", connection.as_str()), ("lease", "0.2")];
    let operation = start(&fields).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert_eq!(wait(operation, 0), USS_FAILED);
}

#[test]
fn waiting_renews_the_lease() {
    let (_listener, server) = silent();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let fields = [("command", "packages"), ("connection", connection.as_str()), ("lease", "0.4")];
    let operation = start(&fields).unwrap();
    assert_eq!(wait(operation, 1_200), USS_PENDING, "three leases long");
    assert_eq!(uss_op_free(operation), USS_OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_still_serves_the_operations_that_use_it() {
    let server = with_packages(2).await;
    blocking(move || {
        let connection = open(&[("server", &server.uri())]).unwrap();
        let operation = start(&[("command", "packages"), ("connection", &connection.to_string())]).unwrap();
        assert_eq!(uss_connection_close(connection), USS_OK);
        assert_eq!(pages(operation).unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_a_line_a_request_when_it_is_asked_for() {
    let server = with_packages(2).await;
    blocking(move || {
        let uri = server.uri();
        let connection = open(&[("server", &uri)]).unwrap().to_string();
        let logged = |level: &str| {
            let fields = [("command", "packages"), ("connection", connection.as_str()), ("log", level)];
            let operation = start(&fields).unwrap();
            while wait(operation, 1_000) == USS_PENDING {}
            let lines = log(operation);
            assert_eq!(log(operation), Vec::<String>::new());
            assert_eq!(uss_op_free(operation), USS_OK);
            lines
        };
        assert_eq!(logged("none"), Vec::<String>::new());
        let lines = logged("verbose");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let start = format!("V\u{1f}GET {uri}/api/v1/Packages 200 ");
        assert!(lines.iter().all(|line| line.starts_with(&start)), "{lines:?}");
        assert!(logged("debug").iter().any(|line| line.starts_with("D\u{1f}")));
    })
    .await;
}

#[test]
fn progress_is_written_as_far_as_the_callers_array_goes() {
    let (_listener, server) = silent();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let operation = start(&[("command", "packages"), ("connection", &connection)]).unwrap();
    let mut values = [7_u64; USS_PROGRESS_LENGTH as usize + 2];
    // SAFETY: the array has at least as many values as it is said to have.
    unsafe {
        assert_eq!(uss_op_wait(operation, 0, values.as_mut_ptr(), 3, null_mut()), USS_PENDING);
        assert_eq!(values[..4], [0, 0, 0, 7]);
        let length = u32::try_from(values.len()).unwrap();
        assert_eq!(uss_op_wait(operation, 0, values.as_mut_ptr(), length, null_mut()), USS_PENDING);
    }
    assert_eq!(values[USS_PROGRESS_LENGTH as usize..], [7, 7]);
    assert!(values[..USS_PROGRESS_LENGTH as usize].iter().all(|value| *value == 0));
    assert_eq!(uss_op_free(operation), USS_OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_becomes_objects_and_a_refusal_seven_texts() {
    let server = MockServer::start().await;
    let answer = json!([{ "at": "2026-11-10T18:00:00+01:00", "n": 1 }, { "at": "today", "n": null }]);
    let things = ResponseTemplate::new(200).set_body_json(&answer);
    Mock::given(path("/api/v1/Things")).respond_with(things).mount(&server).await;
    Mock::given(path("/api/v1/Forbidden")).respond_with(ResponseTemplate::new(403)).mount(&server).await;
    blocking(move || {
        let uri = server.uri();
        let connection = open(&[("server", &uri)]).unwrap().to_string();
        let invoke = |path| [("command", "invoke"), ("connection", connection.as_str()), ("path", path)];
        let xml = run(&invoke("/api/v1/Things")).unwrap();
        assert!(xml.contains(r#"<DT N="at">2026-11-10T17:00:00Z</DT>"#), "{xml}");
        assert_eq!(xml.matches("<Obj ").count(), 2);
        let json = run(&[&invoke("api/v1/Things")[..], &[("format", "json")]].concat()).unwrap();
        let rows: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(rows, json!([{ "at": "2026-11-10T17:00:00Z", "n": 1 }, { "at": "today", "n": null }]));
        let error = run(&invoke("/api/v1/Forbidden")).unwrap_err();
        assert_eq!((error.code.as_str(), error.http_status.as_str()), ("PermissionDenied", "403"));
        assert_eq!(error.server, uri);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_fails_is_an_error_item_in_its_place() {
    let server = MockServer::start().await;
    let versions = json!([
        { "packageId": "a", "version": "1.0" }, { "packageId": "a", "version": "1.10" },
        { "packageId": "b", "version": "2.0-rc" },
    ]);
    let query = Mock::given(method("POST")).and(path("/api/v1/Packages/versions/query"));
    query.respond_with(ResponseTemplate::new(200).set_body_json(&versions)).mount(&server).await;
    blocking(move || {
        let connection = open(&[("server", &server.uri())]).unwrap().to_string();
        let packages = [("x", ""), ("a", ""), ("b", ""), ("a", ">>>"), ("b", "*")];
        let mut fields = vec![("connection", connection.as_str()), ("format", "json")];
        for (id, query) in packages {
            fields.extend([("packageId", id), ("versionQuery", query)]);
        }
        let rows = |command| -> Vec<Value> {
            serde_json::from_str(&run(&[&[("command", command)], &fields[..]].concat()).unwrap()).unwrap()
        };
        let tell = |row: &Value| match &row["Error"] {
            Value::Null => format!("{} {}", row["Id"].as_str().unwrap(), row["Version"].as_str().unwrap()),
            error => error["Code"].as_str().unwrap().to_owned(),
        };
        let told: Vec<String> = rows("versions").iter().map(tell).collect();
        assert_eq!(told, ["PackageNotFound", "a 1.10", "NoPackageInRange", "InvalidVersionQuery", "b 2.0-rc"]);
        let told = rows("test");
        assert_eq!(told[..3], [json!(false), json!(true), json!(false)]);
        assert_eq!((&told[3]["Error"]["Code"], &told[4]), (&json!("InvalidVersionQuery"), &json!(true)));
    })
    .await;
}

#[test]
fn nothing_is_removed_by_a_range() {
    let (listener, server) = silent();
    listener.set_nonblocking(true).unwrap();
    let connection = open(&[("server", &server)]).unwrap().to_string();
    let remove = [("command", "remove"), ("connection", connection.as_str()), ("packageId", "a")];
    for query in ["", "^", ">=1.0", "1.0 || 2.0"] {
        let error = run(&[&remove[..], &[("versionQuery", query)]].concat()).unwrap_err();
        assert_eq!(error.code, "InvalidArgument", "{query}");
    }
    let both = [&remove[..], &[("versionQuery", "1.0"), ("all", "true")]].concat();
    assert_eq!(run(&both).unwrap_err().code, "InvalidArgument");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "no request was made");
}

#[test]
fn a_package_is_made_from_fields() {
    let folder = tempfile::tempdir().unwrap();
    let payload = folder.path().join("readme.txt");
    std::fs::write(&payload, "hello").unwrap();
    let fields = [
        ("command", "new-package"),
        ("id", "bundle/a"),
        ("version", "1.2"),
        ("outputDir", folder.path().to_str().unwrap()),
        ("inputPath", payload.to_str().unwrap()),
        ("dependencyId", "b"),
        ("dependencyId", "c"),
        ("dependencyVersionQuery", ">=1.0"),
        ("dependencyVersionQuery", ""),
        ("format", "json"),
    ];
    let rows: Vec<Value> = serde_json::from_str(&run(&fields).unwrap()).unwrap();
    let path = folder.path().join("bundle_a-1.2.zip");
    assert_eq!(rows[0]["Path"], json!(path.to_str().unwrap()));
    assert_eq!(rows[0]["Size"], json!(std::fs::metadata(&path).unwrap().len()));
    let manifest = uss::package::read_manifest(std::fs::File::open(&path).unwrap()).unwrap();
    let needs = manifest.dependencies.iter().map(|need| (need.package_id.as_str(), need.version_query.as_str()));
    assert_eq!(needs.collect::<Vec<_>>(), [("b", ">=1.0"), ("c", "")]);
    assert_eq!(run(&fields).unwrap_err().code, "PackageAlreadyExists");
    assert!(run(&[&fields[..], &[("force", "true")]].concat()).is_ok());
    let uneven = [&fields[..], &[("force", "true"), ("dependencyOptional", "true")]].concat();
    assert_eq!(run(&uneven).unwrap_err().target, "dependencyOptional");
}

/// Two servers, of which the first has `app` that needs `lib`, and a connection to each.
fn two_servers() -> (Server, Server, String, String) {
    let (source, destination) = (Server::start(), Server::start());
    source.add_package("lib", "1.0.0", &[], 400_000);
    source.add_package("app", "2.1.0", &["lib=^"], 300_000);
    let connected = |server: &Server, user: &str| {
        let token = server.admin(user);
        open_with(&[("server", server.url()), ("user", user)], &token).unwrap().to_string()
    };
    let (from, to) = (connected(&source, "ann"), connected(&destination, "bob"));
    (source, destination, from, to)
}

fn json_rows(pages: &[String]) -> Vec<Value> {
    pages.iter().flat_map(|page| serde_json::from_str::<Vec<Value>>(page).unwrap()).collect()
}

#[test]
fn what_was_planned_is_copied_row_by_row_and_only_once() {
    let (source, destination, from, to) = two_servers();
    let plan = [("command", "plan-copy"), ("source", from.as_str()), ("destination", to.as_str())];
    let planned = start(&[&plan[..], &[("packageId", "app"), ("format", "json")]].concat()).unwrap();
    let (page, last) = take(planned).unwrap();
    assert!(last);
    let rows = json_rows(&[page]);
    assert_eq!(rows[0]["Destination"], destination.url());
    let target = rows[0]["Target"].as_str().unwrap();
    assert!(target.starts_with("app 2.1.0 and 1 dependency ("), "{target}");
    assert_eq!(rows[0]["Action"], format!("Copy from {}", source.url()));
    let told: Vec<_> = rows[1..].iter().map(|row| (row["Id"].as_str(), row["Status"].as_str())).collect();
    assert_eq!(told, [(Some("lib"), Some("WouldCopy")), (Some("app"), Some("WouldCopy"))]);

    let id = planned.to_string();
    let copy = [("command", "copy"), ("plan", id.as_str()), ("format", "json")];
    let copying = start(&copy).unwrap();
    let mut copied = Vec::new();
    let (mut names, mut seen) = (HashSet::new(), HashSet::new());
    let mut progress = [0; USS_PROGRESS_LENGTH as usize];
    loop {
        // SAFETY: the array has as many values as it is said to have.
        while unsafe { uss_op_wait(copying, 5, progress.as_mut_ptr(), USS_PROGRESS_LENGTH, null_mut()) } == USS_PENDING
        {
            let named = log(copying).into_iter().filter_map(|line| Some(line.strip_prefix("N\u{1f}")?.to_owned()));
            names.extend(named.map(|line| line.split('\u{1f}').next().unwrap().parse::<u64>().unwrap()));
            seen.extend(progress[6..].chunks(3).map(|transfer| transfer[0]).filter(|id| *id != 0));
        }
        let (page, last) = take(copying).unwrap();
        copied.extend(json_rows(&[page]));
        if last {
            break;
        }
    }
    assert!(seen.is_subset(&names), "{seen:?} {names:?}");
    assert_eq!(progress[1..3], [2, 2], "items");
    assert_eq!(progress[3], progress[4], "bytes");
    let told: Vec<_> = copied.iter().map(|row| (row["Id"].as_str(), row["Status"].as_str())).collect();
    assert_eq!(told, [(Some("lib"), Some("Copied")), (Some("app"), Some("Copied"))]);
    assert_eq!(copied[0]["Sha256"], rows[1]["Sha256"]);
    assert_eq!(uss_op_free(copying), USS_OK);

    assert_eq!(run(&copy).unwrap_err().code, "InvalidArgument", "a plan is copied once");
    assert_eq!(uss_op_free(planned), USS_OK);
    assert_eq!(start(&copy).unwrap_err().code, "InvalidHandle");
    destination.run(&["check"]);
}

#[test]
fn a_plan_of_which_only_the_summary_is_asked_for_is_copied_all_the_same() {
    let (_source, destination, from, to) = two_servers();
    let plan = [("command", "plan-copy"), ("source", from.as_str()), ("destination", to.as_str())];
    let asked = [("packageId", "app"), ("summaryOnly", "true"), ("format", "json")];
    let planned = start(&[&plan[..], &asked].concat()).unwrap();
    let (page, last) = take(planned).unwrap();
    assert!(last);
    let rows = json_rows(&[page]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["Destination"], destination.url());
    let id = planned.to_string();
    let copy = start(&[("command", "copy"), ("plan", &id), ("format", "json")]).unwrap();
    let copied = json_rows(&pages(copy).unwrap());
    assert_eq!(copied.len(), 2);
    assert_eq!(uss_op_free(planned), USS_OK);
}

#[test]
fn a_plan_with_problems_tells_each_and_then_fails() {
    let (_source, _destination, from, to) = two_servers();
    let plan = [("command", "plan-copy"), ("source", from.as_str()), ("destination", to.as_str()), ("format", "json")];
    let wanted = [("packageId", "ghost"), ("packageId", "app"), ("packageId", "lib")];
    let queries = [("versionQuery", ""), ("versionQuery", ">9.0"), ("versionQuery", "")];
    let planned = start(&[&plan[..], &wanted, &queries].concat()).unwrap();
    let (page, last) = take(planned).unwrap();
    assert!(!last);
    let codes: Vec<Value> = json_rows(&[page]).iter().map(|row| row["Error"]["Code"].clone()).collect();
    assert_eq!(codes, [json!("PackageNotFound"), json!("NoPackageInRange")]);
    let error = take(planned).unwrap_err();
    assert_eq!(error.code, "PackageNotFound");
    assert_eq!(error.message, "Nothing was copied, because of the 2 problems above.");
    let id = planned.to_string();
    assert_eq!(run(&[("command", "copy"), ("plan", &id)]).unwrap_err().code, "InvalidArgument");
    assert_eq!(uss_op_free(planned), USS_OK);
}

#[test]
fn versions_come_with_what_they_need_and_go_one_by_one() {
    let (source, _destination, from, _) = two_servers();
    source.add_package("app", "2.2.0-rc", &[], 0);
    let rows = |more: &[(&str, &str)]| {
        let app = [("connection", from.as_str()), ("packageId", "app"), ("format", "json")];
        let told = json_rows(&pages(start(&[more, &app].concat()).unwrap()).unwrap());
        let tell = |row: &Value| match &row["Error"] {
            Value::Null => format!("{} {}", row["Id"].as_str().unwrap(), row["Version"].as_str().unwrap()),
            error => error["Code"].as_str().unwrap().to_owned(),
        };
        told.iter().map(tell).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[("command", "versions"), ("includeDependencies", "true")]), ["lib 1.0.0", "app 2.1.0"]);
    assert_eq!(rows(&[("command", "resolve")]), ["lib 1.0.0", "app 2.1.0"]);
    let all = [("command", "versions"), ("versionQuery", "*"), ("all", "true")];
    assert_eq!(rows(&all), ["app 2.2.0-rc", "app 2.1.0"]);
    let exact = [("command", "remove"), ("versionQuery", "2.1")];
    assert_eq!(rows(&exact), Vec::<String>::new());
    assert_eq!(rows(&exact), ["NoPackageInRange"]);
    assert_eq!(rows(&[("command", "remove"), ("all", "true")]), Vec::<String>::new());
    assert_eq!(rows(&[("command", "versions")]), ["PackageNotFound"]);
}

#[test]
fn a_sign_in_tells_who_and_warns_of_a_token_that_ends_soon() {
    let server = Server::start();
    server.run(&["user", "add", "ann", "--email", "ann@example.com"]);
    let connected = |days: i64| {
        let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        let token = server.token("ann", &["--expires", &ends.to_string()]);
        let connection = open_with(&[("server", server.url()), ("user", "ann")], &token).unwrap().to_string();
        let operation = start(&[("command", "connect"), ("connection", &connection), ("format", "json")]).unwrap();
        let (page, _) = take(operation).unwrap();
        let lines = log(operation);
        assert_eq!(uss_op_free(operation), USS_OK);
        (json_rows(&[page]).remove(0), lines)
    };
    let (row, lines) = connected(7);
    assert_eq!((row["Server"].as_str(), row["UserName"].as_str()), (Some(server.url()), Some("ann")));
    assert_eq!(row["User"]["Email"], "ann@example.com");
    assert!(row["PersonalTokenExpires"].as_str().unwrap().ends_with('Z'), "{row}");
    assert!(lines.len() == 1 && lines[0].starts_with("W\u{1f}The personal access token for "), "{lines:?}");
    let (_, lines) = connected(60);
    assert_eq!(lines, Vec::<String>::new());
}
