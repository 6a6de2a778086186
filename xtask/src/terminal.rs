//! Colours and signs for people; plain ASCII for everything else.

use std::io::IsTerminal;

/// How to write for whoever reads stdout.
#[derive(Clone, Copy)]
pub(crate) struct Terminal {
    rich: bool,
}

impl Terminal {
    /// Rich when stdout is a terminal that nobody asked to be plain (`NO_COLOR`, `TERM=dumb`).
    pub(crate) fn of_stdout() -> Self {
        let asked_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var("TERM").is_ok_and(|terminal| terminal == "dumb");
        Self { rich: std::io::stdout().is_terminal() && !asked_plain }
    }

    pub(crate) fn is_rich(self) -> bool {
        self.rich
    }

    pub(crate) fn title(self, text: &str, subtitle: &str) {
        if self.rich {
            println!("\n  \x1b[1;36m{text}\x1b[0m  \x1b[2m{subtitle}\x1b[0m\n");
        } else {
            println!("\n{text}: {subtitle}\n");
        }
    }

    /// A thing that is being done; [`done`](Self::done) takes its place.
    pub(crate) fn doing(self, what: &str) {
        if self.rich {
            print!("  \x1b[2m\u{2026} {what}\x1b[0m");
            drop(std::io::Write::flush(&mut std::io::stdout()));
        }
    }

    pub(crate) fn done(self, what: &str, detail: &str) {
        if self.rich {
            println!("\r\x1b[K  \x1b[32m\u{2713}\x1b[0m {what:<26} \x1b[2m{detail}\x1b[0m");
        } else {
            println!("  {what:<26} {detail}");
        }
    }

    pub(crate) fn note(self, text: &str) {
        if self.rich {
            println!("\n  \x1b[33m{text}\x1b[0m");
        } else {
            println!("\n  {text}");
        }
    }
}
