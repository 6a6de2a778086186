//! What a large site has behind its servers, for as long as tests run: PostgreSQL, and an S3-compatible store.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Result, debian,
    process::{self, Running},
    workspace::Built,
};

/// Debian's package of PostgreSQL, of whatever version.
pub(crate) const POSTGRESQL: &str = "postgresql";

/// Whether PostgreSQL is here; installs it where it may.
pub(crate) fn available() -> Result<()> {
    debian::require(&[POSTGRESQL], "test the server on PostgreSQL, on Debian")
}

const PASSWORD: &str = "of the tests alone";

pub(crate) struct Large {
    port: u16,
    bucket: String,
    objects: PathBuf,
    postgres: Option<Running>,
    // In this order: what runs ends before its files go.
    _s3: Running,
    _folder: TempDir,
}

impl Large {
    /// Starts both, with nothing in them.
    pub(crate) fn start(built: &Built) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (postgres, port) = postgres(folder.path())?;
        let objects = folder.path().join("objects");
        let mut command = Command::new(built.program("bucket")?);
        let mut s3 = Running::start(command.arg(&objects).envs(KEYS).stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut line = String::new();
        if let Some(stdout) = s3.stdout() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let bucket = line.trim_end().strip_prefix("listening on ").ok_or("the S3-compatible store did not start")?;
        let (bucket, objects) = (bucket.to_owned(), objects.join("uss"));
        Ok(Self { port, bucket, objects, postgres: Some(postgres), _s3: s3, _folder: folder })
    }

    /// What a server, PostgreSQL's own programs and the tests read; each test has a database and a folder of its own there.
    pub(crate) fn envs(&self) -> Vec<(&'static str, String)> {
        let mut envs: Vec<_> = KEYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        envs.extend([
            ("AWS_ENDPOINT_URL", self.bucket.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", "uss".to_owned()),
            ("PGPASSWORD", PASSWORD.to_owned()),
            ("USS_TEST_DATABASES", format!("postgres://127.0.0.1:{}", self.port)),
            ("USS_TEST_BLOBS", "s3://uss".to_owned()),
            ("USS_TEST_OBJECTS", self.objects.display().to_string()),
        ]);
        envs
    }
}

impl Large {
    /// Whether anything came to lie there.
    pub(crate) fn was_used(&self) -> Result<bool> {
        Ok(fs::read_dir(&self.objects)?.next().is_some())
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        // Its fast shutdown (postgresql.org/docs/current/server-shutdown.html); killed, it would leave shared memory.
        let Some(postgres) = self.postgres.take() else { return };
        let asked = process::output(Command::new("kill").args(["-INT", &postgres.id().to_string()]));
        if asked.is_ok() {
            drop(postgres.wait());
        }
    }
}

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "uss-tests"), ("AWS_SECRET_ACCESS_KEY", "a key of the tests alone")];

/// A cluster of its own. It does not run as root; where this does, as the user that Debian has for it.
fn postgres(folder: &Path) -> Result<(Running, u16)> {
    let programs = newest(Path::new("/usr/lib/postgresql"))?.join("bin");
    let (data, password) = (folder.join("postgresql"), folder.join("password"));
    fs::create_dir(&data)?;
    fs::write(&password, PASSWORD)?;
    let root = process::output(Command::new("id").arg("-u"))? == "0";
    if root {
        // The folder above is its owner's alone, too.
        process::output(Command::new("chmod").arg("711").arg(folder))?;
        process::output(Command::new("chown").arg("postgres").args([&data, &password]))?;
    }
    let command = |program: &str| {
        let program = programs.join(program);
        if !root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
        command
    };
    let mut begin = command("initdb");
    begin.args(["--auth=scram-sha-256", "--username=uss", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    process::output(begin.arg(format!("--pwfile={}", password.display())).arg("--pgdata").arg(&data))?;
    // It does not tell which port it took, so a free one is found first.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut serve = command("postgres");
    serve.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    serve.args(["-c", "unix_socket_directories=", "-c", "max_connections=500", "-c", "log_min_messages=fatal"]);
    let running = Running::start(serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let started = Instant::now();
    let port_of_it = port.to_string();
    while process::output(Command::new(programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port_of_it]))
        .is_err()
    {
        if started.elapsed() > Duration::from_secs(30) {
            return Err("PostgreSQL did not start".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((running, port))
}

/// The subfolder with the highest number for its name.
fn newest(folder: &Path) -> Result<PathBuf> {
    let number = |path: &PathBuf| path.file_name()?.to_string_lossy().parse::<u32>().ok();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let versions = entries.filter_map(std::result::Result::ok).map(|entry| entry.path());
    versions.max_by_key(number).ok_or_else(|| format!("there is no PostgreSQL in {}", folder.display()).into())
}
