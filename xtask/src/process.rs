//! Child processes: streamed, and never left behind.
//!
//! Every child that may live for more than a moment is a [`Running`]: it is ended when it goes out of scope, and when
//! a person or a supervisor interrupts this program. The interrupted step then fails like any other, so folders are
//! removed by their owners' ordinary way out.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Result;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Ends the running children on Ctrl-C, SIGTERM and SIGHUP; the rest of the program then finds its step failed.
pub(crate) fn clean_up_on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        for id in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            terminate(*id);
        }
    })
    .map_err(|error| format!("cannot listen for Ctrl-C: {error}").into())
}

pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Asks a process to end; it may have ended already.
fn terminate(id: u32) {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("taskkill");
        command.args(["/T", "/F", "/PID", &id.to_string()]);
        command
    } else {
        let mut command = Command::new("kill");
        command.arg(id.to_string());
        command
    };
    drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
}

/// A child process that does not outlive this value.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if interrupted() {
            return Err("interrupted".into());
        }
        let child = command.spawn().map_err(|error| format!("cannot start {}: {error}", name(command)))?;
        running.push(child.id());
        Ok(Self { child })
    }

    /// The child's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the child writes to its piped stdout.
    pub(crate) fn stdout(&mut self) -> Option<impl Read + Send + use<>> {
        self.child.stdout.take()
    }

    /// What the child writes to its piped stderr.
    pub(crate) fn stderr(&mut self) -> Option<impl Read + Send + use<>> {
        self.child.stderr.take()
    }

    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.child.id());
    }
}

/// Runs to the end, showing all output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", name(command)).into()) }
}

/// Runs to the end and answers with what was written to stdout, without the last line break.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut text = String::new();
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stderr = running.stderr();
    let errors = std::thread::spawn(move || stderr.map(std::io::read_to_string).transpose());
    if let Some(mut stdout) = running.stdout() {
        stdout.read_to_string(&mut text)?;
    }
    let errors = errors.join().ok().and_then(|read| read.ok().flatten()).unwrap_or_default();
    let status = running.wait()?;
    if !status.success() {
        return Err(format!("{} failed ({status}): {}", name(command), errors.trim()).into());
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// Runs to the end, showing all output as it comes, and hands each line of stdout to `each_line`.
pub(crate) fn stream(command: &mut Command, mut each_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    if let Some(stdout) = running.stdout() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        // Bytes, not String: a test may print what is not UTF-8, and that must not hide the lines after it.
        while stdout.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            each_line(text.trim_end_matches(['\r', '\n']));
            line.clear();
        }
    }
    running.wait()
}

fn name(command: &Command) -> String {
    let arguments = command.get_args().take(2).map(|argument| argument.to_string_lossy());
    let program = std::path::Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(command.get_program()).to_string_lossy();
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
