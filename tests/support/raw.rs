//! A listener that answers each connection with fixed bytes: for what no HTTP server would send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What happens after the bytes are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The connection is closed.
    Close,
    /// It stays open, silent, until the other side ends it.
    Silence,
}

/// The listener's address, and how many connections it has had.
pub struct Raw {
    /// `127.0.0.1:PORT`.
    pub address: String,
    connections: Arc<AtomicUsize>,
}

impl Raw {
    /// Answers each of at most 64 connections with `answer` once the head of a request has come.
    pub fn answering(answer: impl Into<Vec<u8>>, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (answer, connections) = (answer.into(), Arc::new(AtomicUsize::new(0)));
        let counter = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().take(64) {
                let Ok(mut stream) = stream else { return };
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0; 1];
                    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                        head.extend_from_slice(&byte);
                    }
                    // The other side may be gone already: that is its test's business.
                    let _ = stream.write_all(&answer);
                    if after == After::Silence {
                        let _ = stream.read_to_end(&mut Vec::new());
                    } else {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                });
            }
        });
        Self { address, connections }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// As a server address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
