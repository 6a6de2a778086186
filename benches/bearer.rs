//! How long it takes to get a bearer that is at hand. `cargo bench --bench bearer` prints a Markdown list.
//!
//! A plain program: the median of batches is steady enough for a limit that is far away, and needs no framework.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use uss::{
    ErrorKind, Secret,
    bearer::{Exchanged, Key, User, slot},
    http::TransportOptions,
};

const BATCHES: usize = 21;
const HITS: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let token = Secret::new("token".to_owned());
    let options = TransportOptions::default();
    let slot = slot(Key::new("http://127.0.0.1:1".into(), "ada", &token, options, "/exchange".into()));
    let life = Duration::from_secs(3600);
    let exchanged = Exchanged {
        authorization: HeaderValue::from_static("Bearer b"),
        token: Secret::new("b".to_owned()),
        user: User::default(),
        token_expires: Timestamp::now() + life,
        life,
    };
    let missed = || async { Err(uss::Error::new(ErrorKind::Internal, "a hit must not exchange")) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut nanoseconds = runtime.block_on(async {
        slot.bearer(None, move || async move { Ok(exchanged) }).await?;
        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let started = Instant::now();
            for _ in 0..HITS {
                black_box(slot.bearer(None, missed).await?);
            }
            batches.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(HITS));
        }
        Ok::<_, uss::Error>(batches)
    })?;
    nanoseconds.sort_by(f64::total_cmp);
    let median = nanoseconds.get(BATCHES / 2).copied().unwrap_or(f64::INFINITY);
    let met = if median < 1000.0 { "met" } else { "**not met**" };
    println!(
        "- bearer cache hit, median of {BATCHES} batches of {HITS}: {median:.0} ns, to reach: under 1000 ns: {met}"
    );
    Ok(())
}
