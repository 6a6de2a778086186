//! Builds that later steps of the tests need, in what the earlier ones leave of the processors: tests wait a lot.

use std::process::{Command, Stdio};

use crate::process::Running;

/// A build that runs below everything else.
pub(crate) struct Ahead(Option<Running>);

impl Ahead {
    /// Starts it. Where the system has no such priority, or the build does not start, whoever needs it builds it all.
    pub(crate) fn start(build: &Command) -> Self {
        if !cfg!(target_os = "linux") {
            return Self(None);
        }
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(build.get_program()).args(build.get_args());
        for (name, value) in build.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = build.get_current_dir() {
            command.current_dir(folder);
        }
        Self(Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())).ok())
    }

    /// Waits for its end. What came of it is told by the build that follows, which has nothing left to do or fails alike.
    pub(crate) fn wait(self) {
        if let Some(running) = self.0 {
            drop(running.wait());
        }
    }
}
