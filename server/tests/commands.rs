//! The command line, beside a running server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::process::Stdio;

use support::*;

#[tokio::test]
async fn packages_are_made_and_added_while_the_server_runs() {
    let server = Server::start();
    let session = server.admin().await;
    let file = server.data().join("made.zip");
    let file = file.to_str().unwrap();
    let make = ["package", "make", "--id", "a/b", "--version", "1.0", "--dependency", "c=>=1.0 <2.0", "--out", file];
    assert_eq!(server.run(&[&make[..], &["--size", "1000000"]].concat()), file);
    assert!(std::fs::metadata(file).unwrap().len() > 1_000_000, "incompressible");
    assert!(server.run(&["package", "add", file]).starts_with("a/b 1.0 added"));
    assert!(server.run(&["package", "add", file]).starts_with("a/b 1.0 was there already"));
    assert!(session.content("a/b", "1.0").await.bytes().await.unwrap() == std::fs::read(file).unwrap());
    server.run(&[&make[..], &["--size", "5"]].concat());
    assert!(fail(server.data(), &["package", "add", file]).contains("Package already exists: a/b 1.0"));
    assert!(server.run(&["package", "add", "--force", file]).starts_with("a/b 1.0 replaced"));
    assert_eq!(server.run(&["check"]), "1 whole, 0 damaged");
}

#[test]
fn what_cannot_be_done_is_one_line_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(fail(&data, &["check"]).contains("there is no data"));
    assert!(!data.exists());
    run(&data, &["user", "add", "ada", "--email", "ada@example.com"]);
    for arguments in [
        &["user", "add", "ADA", "--email", "x@example.com"][..],
        &["user", "add", "x", "--email", "Ada@example.com"],
        &["user", "add", "ada@example.com", "--email", "y@example.com"],
        &["user", "add", "x", "--email", "nix"],
        &["user", "add", " ", "--email", "x@example.com"],
        &["token", "create", "--user", "nobody", "--name", "x"],
        &["token", "create", "--user", "ada", "--name", " "],
        &["token", "list", "--user", "nobody"],
        &["package", "add", "/nowhere.zip"],
        &["package", "make", "--id", "Upper", "--version", "1.0", "--out", "/dev/null/x"],
        &["installer", "add", "/nowhere.exe", "--name", "x"],
    ] {
        fail(&data, arguments);
    }
    for arguments in
        [&["nix"][..], &["token", "create"], &["token", "create", "--user", "ada", "--name", "x", "--expires", "soon"]]
    {
        assert_eq!(command(&data, arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_store_that_is_not_there_or_whose_address_holds_a_secret_is_told_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let database = format!("postgres://{closed}/uss");
    let line = fail(data, &["user", "list", "--database", &database]);
    assert!(line.contains(&database) && line.contains("refused"), "{line}");
    for secret in ["postgres://ada:canary@localhost/uss", "postgres://localhost/uss?password=canary"] {
        let line = fail(data, &["user", "list", "--database", secret]);
        assert!(line.contains("PGPASSWORD") && !line.contains("canary"), "{line}");
    }
    let line = fail(data, &["check", "--database", "mysql://localhost/uss"]);
    assert!(line.contains("'mysql'") && line.contains("postgres://"), "{line}");

    let serve = |blobs: &str| {
        let mut command = program(data, &["serve", "--listen", "127.0.0.1:0", "--blobs", blobs]);
        command.env("AWS_ENDPOINT_URL", format!("http://{closed}")).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "canary").env("AWS_SECRET_ACCESS_KEY", "canary");
        let output = command.output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{blobs}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!told.contains("canary"), "{told}");
        told.lines().last().unwrap_or_default().to_owned()
    };
    assert!(serve("s3://bucket/folder").contains("the blob store cannot be used"));
    assert!(serve("s3://canary:canary@bucket").contains("AWS_SECRET_ACCESS_KEY"));
    assert!(serve("s3://bucket?x=1").contains("s3://BUCKET"));
    assert!(serve("gs://bucket").contains("'gs'"));
}

#[test]
fn a_password_is_one_line_of_stdin_and_is_not_kept_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let add = |name: &str, input: &str| {
        let mut child = program(
            folder.path(),
            &["user", "add", name, "--email", &format!("{name}@example.com"), "--password-stdin"],
        )
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait().unwrap().code()
    };
    assert_eq!(add("ada", "correct horse\nbattery\n"), Some(0));
    assert_eq!(add("bob", "\n"), Some(1));
    let stored: Vec<_> = files(folder.path()).into_iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let stored = String::from_utf8_lossy(&stored);
    assert!(stored.contains("$argon2id$") && !stored.contains("correct horse"));
}

#[tokio::test]
async fn two_servers_on_one_store_see_each_others_changes_at_once() {
    let first = Server::start();
    let second = Server::on(first.data(), &[]);
    let token = first.user("admin", true);
    let session = first.sign_in("admin", &token).await;
    let bytes = package("a", "1.0", &[], 100_000);
    assert_eq!(session.publish("", bytes.clone()).await.status(), 201);
    let elsewhere = Session { server: &second, bearer: session.bearer.clone() };
    assert!(elsewhere.content("a", "1.0").await.bytes().await.unwrap() == bytes);
    let list = second.run(&["token", "list"]);
    second.run(&["token", "revoke", list.split('\t').next().unwrap()]);
    for session in [&session, &elsewhere] {
        problem(session.get("/api/v1/Account").await, 401, "invalid-token").await;
    }
}

#[test]
fn a_token_is_one_line_of_the_list_whatever_its_description_says() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["user", "add", "ada", "--email", "ada@example.com"]);
    let forged = "nightly\nid\tActive\tada\tforged\r\n\tbuild";
    run(folder.path(), &["token", "create", "--user", "ada", "--name", "n", "--description", forged]);
    let list = run(folder.path(), &["token", "list"]);
    let columns: Vec<_> = list.split('\t').collect();
    assert_eq!((list.lines().count(), columns.len()), (1, 9), "{list}");
    assert_eq!(columns[7], "nightly id Active ada forged build");
}

#[tokio::test]
async fn https_is_served_with_the_given_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let server = Server::start_with(&["--tls-cert", cert, "--tls-key", key]);
    assert!(server.url.starts_with("https://127.0.0.1:"));
    client();
    let certificate = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap();
    let url = format!("{}/api/v1/Settings/server", server.url);
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    assert!(client().get(&url).send().await.is_err(), "nobody else trusts it");
    let wrong = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", key, "--tls-key", cert];
    assert!(fail(server.data(), &wrong).contains(".pem"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_value_that_cannot_be_printed_is_an_error_and_its_token_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["user", "add", "ada", "--email", "ada@example.com"]);
    for arguments in [&["token", "create", "--user", "ada", "--name", "lost"][..], &["token", "list"], &["check"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program(folder.path(), arguments).stdout(full).output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.starts_with("error: ") && line.trim_end().lines().count() == 1, "{line}");
    }
    assert!(run(folder.path(), &["token", "list"]).contains("\tRevoked\t"));
}

#[test]
fn plain_http_that_other_machines_reach_is_warned_of_before_it_is_served() {
    // Its port is taken, so that the server ends instead of serving.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let serve = |address: String, more: &[&str]| {
        let output = command(folder.path(), &[&["serve", "--listen", &address], more].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for address in ["0.0.0.0", "[::ffff:0.0.0.0]"] {
        let said = serve(format!("{address}:{port}"), &[]);
        assert!(said.contains("serving plain http") && said.contains("--tls-cert"), "{said}");
    }
    for address in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
        let said = serve(format!("{address}:{port}"), &[]);
        assert!(!said.contains("plain http"), "{said}");
    }
}
