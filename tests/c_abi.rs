//! tests/c/main.c: the header and the library as a C program sees them, bare and under valgrind.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::Server;
use tempfile::TempDir;

/// The built program, and two servers of which the first has a bundle with two dependencies.
struct Scene {
    folder: TempDir,
    source: Server,
    destination: Server,
    tokens: [String; 2],
}

impl Scene {
    /// None where there is no C compiler.
    fn set() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-g", "-I"])
            .arg(root.join("include"))
            .arg(root.join("tests/c/main.c"))
            .arg("-o")
            .arg(folder.path().join("main"))
            .arg(library())
            .arg(format!("-Wl,-rpath,{}", library().parent().unwrap().display()))
            .output();
        let Ok(built) = built else {
            skip("no C compiler (cc); install gcc and libc6-dev");
            return None;
        };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let (source, destination) = (Server::start(), Server::start());
        source.add_package("lib", "1.0.0", &[], 300_000);
        source.add_package("app", "2.1.0", &["lib=^"], 200_000);
        source.add_package("bundle/demo", "1.0.0", &["app=>=2.0", "lib=^"], 0);
        let tokens = [source.admin("ann"), destination.admin("bob")];
        Some(Self { folder, source, destination, tokens })
    }

    fn run(&self, under: &[&str]) -> Output {
        let program = self.folder.path().join("main");
        let mut words = under.iter().map(AsRef::as_ref).chain([program.as_os_str()]);
        Command::new(words.next().unwrap())
            .args(words)
            .args([self.source.url(), "ann", self.destination.url(), "bob", "bundle/demo"])
            .env("SOURCE_TOKEN", &self.tokens[0])
            .env("DESTINATION_TOKEN", &self.tokens[1])
            .output()
            .unwrap()
    }
}

/// The shared library that this test's own library was built beside.
fn library() -> PathBuf {
    let name = format!("{}uss{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    std::env::current_exe().unwrap().with_file_name(name)
}

/// Says that nothing was tested, which with CI=true is a failure.
fn skip(reason: &str) {
    println!("SKIPPED: {reason}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true nothing may be skipped: {reason}");
}

#[test]
fn a_c_program_connects_lists_copies_and_misuses_without_harm() {
    let Some(scene) = Scene::set() else { return };
    let output = scene.run(&[]);
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{shown}\n{said}", output.status);
    assert!(shown.ends_with("done\n") && said.is_empty(), "{shown}\n{said}");
    let copied = shown.lines().find(|line| line.starts_with("planned: ")).unwrap();
    assert!(copied.contains("bundle/demo 1.0.0 and 2 dependencies"), "{copied}");
    let statuses = |status: &str| shown.matches(&format!("\"Status\":\"{status}\"")).count();
    assert_eq!((statuses("WouldCopy"), statuses("Copied")), (3, 3), "{shown}");
    assert_eq!((statuses("WouldSkip"), statuses("Skipped")), (3, 3), "{shown}");
    for token in &scene.tokens {
        assert!(!shown.contains(token.as_str()), "the token was shown");
    }
    scene.destination.run(&["check"]);
}

#[test]
fn under_valgrind_nothing_leaks_and_no_access_is_invalid() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return skip("no valgrind; install it");
    }
    let Some(scene) = Scene::set() else { return };
    // Definite and indirect losses are ours; the runtime's threads still run at exit and keep what they use.
    let valgrind =
        ["valgrind", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"];
    let output = scene.run(&[&valgrind[..], &["--show-leak-kinds=definite,indirect", "--fair-sched=yes"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains("ERROR SUMMARY: 0 errors"), "{said}");
    let lost = |kind| said.lines().any(|line| line.contains(kind) && !line.contains(" 0 bytes in 0 blocks"));
    assert!(!lost("definitely lost:") && !lost("indirectly lost:"), "{said}");
}
