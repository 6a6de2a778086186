//! The ring of log lines that the modules drain into Write-Verbose, Write-Debug and Write-Warning.
//!
//! One ring an operation, so that parallel runspaces do not mix their lines. Lines are made only when somebody
//! asked for their level. Nothing that is a secret may be put in; URLs go in without their query.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::server_url::ServerUrl;

/// Lines kept for a reader that does not come; older ones are dropped, and the reader is told how many.
const CAPACITY: usize = 2_000;

/// What a reader wants to hear. Warnings and transfer names are always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Warnings only.
    #[default]
    None,
    /// A line a request, each retry and its reason.
    Verbose,
    /// Redacted headers too.
    Debug,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// For Write-Verbose.
    Verbose(String),
    /// For Write-Debug.
    Debug(String),
    /// For Write-Warning.
    Warning(String),
    /// Names a transfer before its id appears in the progress.
    Transfer {
        /// The id in the progress.
        id: u64,
        /// `example-package 1.2.3`.
        label: String,
    },
}

/// A shared ring; clones write to the same one.
#[derive(Clone, Debug)]
pub struct Log(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    level: LogLevel,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<LogRecord>,
    dropped: u64,
}

impl Log {
    /// A ring that keeps lines up to `level`.
    #[must_use]
    pub fn new(level: LogLevel) -> Self {
        Self(Arc::new(Ring { level, lines: Mutex::default() }))
    }

    /// Keeps the line that `line` makes, if the reader wants verbose lines.
    pub fn verbose(&self, line: impl FnOnce() -> String) {
        if self.0.level >= LogLevel::Verbose {
            self.push(LogRecord::Verbose(line()));
        }
    }

    /// Keeps the line that `line` makes, if the reader wants debug lines.
    pub fn debug(&self, line: impl FnOnce() -> String) {
        if self.0.level >= LogLevel::Debug {
            self.push(LogRecord::Debug(line()));
        }
    }

    /// Keeps a line about a session that its server did not end when it should have.
    pub(crate) fn session_left(&self, server: &ServerUrl, why: &str) {
        self.verbose(|| format!("The session at {server} was not ended, and ends by itself: {why}"));
    }

    /// Keeps a warning.
    pub fn warning(&self, line: impl Into<String>) {
        self.push(LogRecord::Warning(line.into()));
    }

    /// Names a transfer; call it before the id appears in the progress.
    pub fn transfer(&self, id: u64, label: impl Into<String>) {
        self.push(LogRecord::Transfer { id, label: label.into() });
    }

    /// Takes all lines, oldest first.
    #[must_use]
    pub fn drain(&self) -> Vec<LogRecord> {
        let mut lines = self.lock();
        let dropped = std::mem::take(&mut lines.dropped);
        let lost = (dropped > 0).then(|| LogRecord::Warning(format!("{dropped} older log lines were dropped.")));
        lost.into_iter().chain(lines.kept.drain(..)).collect()
    }

    /// Whether a drain would give anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().kept.is_empty()
    }

    fn push(&self, record: LogRecord) {
        let mut lines = self.lock();
        if lines.kept.len() == CAPACITY {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(record);
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_wanted_level_are_not_even_made() {
        let log = Log::new(LogLevel::Verbose);
        log.verbose(|| "a".into());
        log.debug(|| unreachable!("debug was not asked for"));
        log.warning("w");
        assert_eq!(log.drain(), [LogRecord::Verbose("a".into()), LogRecord::Warning("w".into())]);
        assert!(log.is_empty());
    }

    #[test]
    fn a_reader_that_comes_late_is_told_how_many_lines_are_gone() {
        let log = Log::new(LogLevel::None);
        for n in 0..CAPACITY + 3 {
            log.warning(n.to_string());
        }
        let lines = log.drain();
        assert_eq!(lines.first(), Some(&LogRecord::Warning("3 older log lines were dropped.".into())));
        assert_eq!(lines.len(), CAPACITY + 1);
    }
}
