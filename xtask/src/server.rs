//! A `uss-server` of the demo's or a benchmark's own: a free port on loopback, and data that goes with it.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Result,
    process::{self, Running},
};

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    Publisher,
}

/// A running server. Dropping it ends the server; the data belong to whoever made the folder.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) data: PathBuf,
    program: PathBuf,
    running: Running,
}

impl Server {
    /// Starts a server on `data` and waits for its first line, which says where it listens.
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Self> {
        Self::start_with(program, data, &[])
    }

    /// The same with options of `serve`.
    pub(crate) fn start_with(program: &Path, data: &Path, options: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let log = data.join("server.log");
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut running = Running::start(&mut command)?;
        let mut line = String::new();
        let mut stdout = BufReader::new(running.stdout().ok_or("uss-server has no stdout")?);
        stdout.read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("uss-server did not start: {}{}", line, log.trim()).into());
        };
        let address = address.to_owned();
        // What it says later must not fill the pipe and stop it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(Self { address, data: data.to_owned(), program: program.to_owned(), running })
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// The server's executable.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Runs one of the server's commands on its data and answers with what it printed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String> {
        process::output(Command::new(&self.program).args(arguments).arg("--data").arg(&self.data))
    }

    /// Makes a user, who may read, or as `Role::Publisher` publish too, and a token; answers with the token's value.
    pub(crate) fn token(&self, user: &str, role: Role, name: &str) -> Result<String> {
        let email = format!("{user}@example.com");
        let mut add = vec!["user", "add", user, "--email", &email];
        add.extend((role == Role::Publisher).then_some("--admin"));
        self.command(&add)?;
        self.command(&["token", "create", "--user", user, "--name", name])
    }

    /// Makes a user who signs in with a password.
    pub(crate) fn person(&self, user: &str, password: &str) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["user", "add", user, "--email", &format!("{user}@example.com"), "--password-stdin", "--data"]);
        let mut child = command.arg(&self.data).stdin(Stdio::piped()).spawn()?;
        // Dropped at once: the command reads to the end of the line.
        child.stdin.take().ok_or("uss-server has no stdin")?.write_all(format!("{password}\n").as_bytes())?;
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("uss-server user add failed ({status})").into()) }
    }

    /// Makes a package and adds it. `size` bytes of payload, incompressible.
    pub(crate) fn package(&self, id: &str, version: &str, size: u64, dependencies: &[&str]) -> Result<()> {
        let file = self.data.join("package.zip");
        let mut make = Command::new(&self.program);
        make.args(["package", "make", "--id", id, "--version", version, "--size", &size.to_string()]);
        for dependency in dependencies {
            make.args(["--dependency", dependency]);
        }
        process::output(make.arg("--out").arg(&file))?;
        self.command(&["package", "add", &file.to_string_lossy()])?;
        Ok(std::fs::remove_file(&file)?)
    }

    /// Makes many packages of version 1.0.0, named with their sizes, and adds them by one command.
    pub(crate) fn packages(&self, packages: impl Iterator<Item = (String, u64)>) -> Result<()> {
        let folder = tempfile::tempdir_in(&self.data)?;
        let mut add = vec!["package".to_owned(), "add".to_owned()];
        for (id, size) in packages {
            let file = folder.path().join(format!("{id}.zip"));
            let mut make = Command::new(&self.program);
            make.args(["package", "make", "--id", &id, "--version", "1.0.0", "--size", &size.to_string(), "--out"]);
            process::output(make.arg(&file))?;
            add.push(file.to_string_lossy().into_owned());
        }
        self.command(&add.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(())
    }
}
