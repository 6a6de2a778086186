//! Prints the documentation of the C ABI's commands: what `cargo xtask header` puts into include/uss.h.

fn main() {
    print!("{}", uss::ffi::commands::describe());
}
