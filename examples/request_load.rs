//! Requests from many connections at once, as cheap as a client can make them, so that what is measured is the server.
//!
//! `request_load ADDRESS CONNECTIONS SECONDS STATUS` sends the requests that stdin names, a line each (`METHOD PATH` and,
//! after a space, a bearer), in turn for so long, and prints how many were answered with that status. Any other answer
//! ends it. `cargo xtask bench exchange` counts the server's own processor time beside it.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, status] = arguments.as_slice() else {
        return Err("usage: request_load ADDRESS CONNECTIONS SECONDS STATUS".into());
    };
    let address: SocketAddr = address.parse()?;
    let (connections, seconds): (usize, u64) = (connections.parse()?, seconds.parse()?);
    let requests = std::io::stdin().lock().lines().map(|line| request(&line?)).collect::<Outcome<Vec<_>>>()?;
    if requests.is_empty() {
        return Err("stdin names no request".into());
    }
    let (requests, start) = (Arc::new(requests), format!("HTTP/1.1 {status} "));
    let end = Instant::now() + Duration::from_secs(seconds);
    let workers = (0..connections).map(|number| {
        let (requests, start) = (requests.clone(), start.clone());
        thread::spawn(move || work(address, &requests, number, &start, end))
    });
    let mut answered = 0;
    for worker in workers.collect::<Vec<_>>() {
        answered += worker.join().map_err(|_| "a connection's thread died")??;
    }
    println!("{answered}");
    Ok(())
}

fn request(line: &str) -> Outcome<String> {
    let mut words = line.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err("a request is METHOD PATH [BEARER]".into());
    };
    let bearer = words.next().map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
    Ok(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{bearer}\r\n"))
}

/// One connection's requests until the end; gives how many were answered.
fn work(address: SocketAddr, requests: &[String], first: usize, start: &str, end: Instant) -> Outcome<u64> {
    let mut writer = TcpStream::connect(address)?;
    writer.set_nodelay(true)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    let (mut answered, mut line, mut body) = (0, String::new(), Vec::new());
    for request in requests.iter().cycle().skip(first * 7) {
        if Instant::now() >= end {
            break;
        }
        writer.write_all(request.as_bytes())?;
        let mut length = 0;
        let mut head = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err("the server closed the connection".into());
            }
            if head.is_empty() {
                head.clone_from(&line);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        if !head.starts_with(start) {
            return Err(format!("{head}{}", String::from_utf8_lossy(&body)).into());
        }
        answered += 1;
    }
    Ok(answered)
}
