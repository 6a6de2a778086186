//! `uss-server` for tests that run in wine: they can start Windows programs alone, and the server is to be Linux's.
//!
//! A connection on loopback is one command. The script sends one line, a [`Request`] in JSON. For a command that ends
//! it gets one line, an [`Answer`]. For `serve` it gets an answer with the server's first line, and the connection
//! stays: when the script ends it, or dies, the server is stopped, and its log is the rest of what the script reads.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde::{Deserialize, Serialize};

use crate::{Result, process::Running};

#[derive(Deserialize)]
struct Request {
    arguments: Vec<String>,
    #[serde(default)]
    input: String,
    /// The server's USS_SERVER_LOG.
    #[serde(default)]
    log: Option<String>,
}

#[derive(Serialize, Default)]
struct Answer {
    code: i32,
    output: String,
}

/// Listens until it is dropped; then every server that it started has ended.
pub(crate) struct Bridge {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// Where the server's program is, and which folder is the script's drive C.
struct Host {
    program: PathBuf,
    drive_c: PathBuf,
}

impl Bridge {
    pub(crate) fn start(program: &Path, drive_c: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let host = Arc::new(Host { program: program.to_owned(), drive_c: drive_c.to_owned() });
        let listening = std::thread::spawn({
            let closing = closing.clone();
            move || {
                let mut commands = Vec::new();
                for connection in listener.incoming() {
                    if closing.load(Ordering::SeqCst) {
                        break;
                    }
                    let host = host.clone();
                    commands.extend(connection.map(|connection| {
                        std::thread::spawn(move || {
                            if let Err(error) = host.command(&connection) {
                                eprintln!("uss-server for wine: {error}");
                            }
                        })
                    }));
                }
                for command in commands {
                    drop(command.join());
                }
            }
        });
        Ok(Self { address, closing, listening: Some(listening) })
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The listener looks at the flag when the next connection comes.
        if TcpStream::connect(self.address).is_ok() {
            drop(self.listening.take().map(JoinHandle::join));
        }
    }
}

impl Host {
    fn command(&self, connection: &TcpStream) -> Result<()> {
        let mut line = String::new();
        let mut reader = BufReader::new(connection);
        reader.read_line(&mut line)?;
        let request: Request = serde_json::from_str(&line)?;
        let mut command = Command::new(&self.program);
        command.args(request.arguments.iter().map(|argument| self.here(argument)));
        command.envs(request.log.map(|log| ("USS_SERVER_LOG", log)));
        if request.arguments.first().is_some_and(|first| first == "serve") {
            return serve(command, connection, &mut reader);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        // Dropped at once: the command reads to the end of its input.
        match child.stdin.take().ok_or("uss-server has no stdin")?.write_all(request.input.as_bytes()) {
            // A command that reads none may have ended already.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written?,
        }
        let ended = child.wait_with_output()?;
        let output = String::from_utf8_lossy(&ended.stdout).into_owned();
        answer(connection, &Answer { code: ended.status.code().unwrap_or(-1), output })
    }

    /// A path of the script as this system knows it; anything else as it is.
    fn here(&self, argument: &str) -> String {
        let rest = |drive: &str| argument.strip_prefix(drive).map(|rest| rest.replace('\\', "/"));
        match (rest("C:\\"), rest("Z:\\")) {
            (Some(rest), _) => self.drive_c.join(rest).to_string_lossy().into_owned(),
            (None, Some(rest)) => format!("/{rest}"),
            (None, None) => argument.to_owned(),
        }
    }
}

fn serve(mut command: Command, connection: &TcpStream, reader: &mut BufReader<&TcpStream>) -> Result<()> {
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let log = running.stderr();
    let log = std::thread::spawn(move || log.map(std::io::read_to_string).transpose());
    let mut stdout = BufReader::new(running.stdout().ok_or("uss-server has no stdout")?);
    let mut output = String::new();
    stdout.read_line(&mut output)?;
    answer(connection, &Answer { code: 0, output })?;
    // What it says later must not fill the pipe and stop it.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    // Until the script ends the connection, or is no more; a connection that broke is one that ended.
    let _ended = reader.read_to_end(&mut Vec::new());
    drop(running);
    if let Ok(Ok(Some(log))) = log.join() {
        // A script that died reads no log.
        let _sent = (&*connection).write_all(log.as_bytes());
    }
    Ok(())
}

fn answer(mut connection: &TcpStream, answer: &Answer) -> Result<()> {
    connection.write_all(format!("{}\n", serde_json::to_string(answer)?).as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_paths_are_found_on_this_system() {
        let host = Host { program: "uss-server".into(), drive_c: "/prefix/drive_c".into() };
        assert_eq!(host.here("C:\\users\\a b\\x.zip"), "/prefix/drive_c/users/a b/x.zip");
        assert_eq!(host.here("Z:\\srv\\x"), "/srv/x");
        assert_eq!(host.here("--data"), "--data");
    }
}
