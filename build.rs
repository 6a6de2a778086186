//! The shared library stays loaded once it was: its threads run until the process ends.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Windows does the same at run time, macOS never unloads a library with thread-local data.
    if matches!(std::env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "android" | "freebsd")) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
