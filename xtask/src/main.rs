//! The project's commands.

fn main() -> std::process::ExitCode {
    let status = std::process::Command::new(env!("CARGO")).args(["test", "--workspace"]).status();
    if status.is_ok_and(|status| status.success()) { 0.into() } else { 1.into() }
}
