//! A link of limited width between a client and a server: TCP on loopback, passed on at so many bytes a second.
//!
//! On one machine every destination would be as fast as the processors that all of them share; behind links of their
//! own they are as slow as in a wide network, and differ.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// One read at most; small beside what a link passes in the time that a person would notice.
const PIECE: usize = 64 << 10;

/// A listening link. Its threads end with the process or with their connections.
pub(super) struct Link {
    pub(super) address: String,
    answered: Arc<AtomicU64>,
}

impl Link {
    /// A link to `server` (`http://127.0.0.1:8060`) that takes `bytes_per_second` of what the client sends; none: all.
    pub(super) fn start(server: &str, bytes_per_second: Option<u64>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let target = server.trim_start_matches("http://").to_owned();
        let answered = Arc::new(AtomicU64::new(0));
        let count = answered.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&target) {
                    pass(client, server, bytes_per_second, &count);
                }
            }
        });
        Ok(Self { address, answered })
    }

    /// Bytes that came back from the server so far.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

fn pass(client: TcpStream, server: TcpStream, bytes_per_second: Option<u64>, answered: &Arc<AtomicU64>) {
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    let answered = answered.clone();
    thread::spawn(move || forward(from_client, server, bytes_per_second, |_| {}));
    thread::spawn(move || {
        forward(from_server, client, None, |bytes| {
            answered.fetch_add(bytes as u64, Ordering::Relaxed);
        })
    });
}

/// Passes on what `from` sends until it ends or `to` is gone, and closes both in that direction.
fn forward(mut from: TcpStream, mut to: TcpStream, bytes_per_second: Option<u64>, passed: impl Fn(usize)) {
    let mut piece = vec![0; PIECE];
    let mut free = Instant::now();
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        if let Some(limit) = bytes_per_second {
            // The link is busy with these bytes until then; what it did not use before is lost.
            free = free.max(Instant::now()) + Duration::from_secs_f64(read as f64 / limit as f64);
            thread::sleep(free.saturating_duration_since(Instant::now()));
        }
        if piece.get(..read).is_none_or(|bytes| to.write_all(bytes).is_err()) {
            break;
        }
        passed(read);
    }
    // Either may be closed by the other side already.
    to.shutdown(Shutdown::Write).ok();
    from.shutdown(Shutdown::Read).ok();
}
