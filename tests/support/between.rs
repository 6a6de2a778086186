//! A listener between a client and a server: counts what passes, or shifts the years that the server tells.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use jiff::Timestamp;

/// Passes on every connection to a server, which may be killed and restarted meanwhile.
pub struct Between {
    url: String,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl Between {
    /// Before the server on `port`.
    pub fn before(port: u16) -> Self {
        Self::new(port, 0)
    }

    /// The same, as if the server's clock were wrong by so many years: in `Date`, and in when a bearer ends.
    pub fn skewed(port: u16, years: i16) -> Self {
        Self::new(port, years)
    }

    fn new(port: u16, years: i16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let between = Self { url, up: Arc::default(), down: Arc::default() };
        let (up, down) = (between.up.clone(), between.down.clone());
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // A server that is down: the client's connection breaks.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for socket in [&client, &server] {
                    socket.set_nodelay(true).unwrap();
                }
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (up, down) = (up.clone(), down.clone());
                thread::spawn(move || pass(client, server, &up, 0));
                thread::spawn(move || pass(server_too, client_too, &down, years));
            }
        });
        between
    }

    /// As a server address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes that clients sent, heads of requests included.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::SeqCst)
    }

    /// Bytes that the server sent, heads of answers included.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64, years: i16) {
    let mut block = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut block) {
        count.fetch_add(read as u64, Ordering::SeqCst);
        if years != 0 {
            shift(&mut block[..read], years);
        }
        if to.write_all(&block[..read]).is_err() {
            // Whoever sends learns that nobody reads.
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
    // The other direction may go on: an answer to what was sent.
    let _ = to.shutdown(Shutdown::Write);
}

/// Shifts the year in `date: Wed, 25 Nov 2026 …` and in `"tokenExpires":"2026-…"`.
fn shift(bytes: &mut [u8], years: i16) {
    const DATE: &[u8] = b"\r\ndate: ";
    const EXPIRES: &[u8] = b"\"tokenExpires\":\"";
    let now: i16 = Timestamp::now().to_string()[..4].parse().unwrap();
    for (mark, before_year) in [(DATE, "Wed, 25 Nov ".len()), (EXPIRES, 0)] {
        let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) else { continue };
        let at = at + mark.len() + before_year;
        // A bearer may end in the next year.
        if let Ok(year) = std::str::from_utf8(&bytes[at..at + 4]).unwrap().parse::<i16>() {
            assert!((now..=now + 1).contains(&year));
            bytes[at..at + 4].copy_from_slice((year + years).to_string().as_bytes());
        }
    }
}
