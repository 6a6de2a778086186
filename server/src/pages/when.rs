//! Times for people: a day and a distance from now, in UTC.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::instant::{self, HOUR, MINUTE};

const DAY: i64 = 24 * HOUR;

/// `31 Dec 2026`, and the distance behind it: `in 12 days`.
pub fn day_and_distance(micros: i64) -> Markup {
    html! {
        span {
            time datetime=(instant::round_trip(micros)) title=(moment(micros)) { (day(micros)) }
            " " span.soft.unit { (distance(micros, instant::now())) }
        }
    }
}

/// `3 hours ago`; the time itself as a title.
pub fn ago(micros: i64) -> Markup {
    html! {
        time datetime=(instant::round_trip(micros)) title=(moment(micros)) { (distance(micros, instant::now())) }
    }
}

/// `31 Dec 2026`
pub fn day(micros: i64) -> String {
    format(micros, "%-d %b %Y")
}

/// `31 Dec 2026, 18:00:05 UTC`
pub fn moment(micros: i64) -> String {
    format(micros, "%-d %b %Y, %H:%M:%S UTC")
}

/// `2026-12-31`, as date inputs want it.
pub fn iso_day(micros: i64) -> String {
    format(micros, "%Y-%m-%d")
}

/// `31-12-2026`, as the platform's page writes days.
pub fn dashed_day(micros: i64) -> String {
    format(micros, "%d-%m-%Y")
}

fn format(micros: i64, pattern: &str) -> String {
    let last = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(last).strftime(pattern).to_string()
}

/// The last second of a day that a form names: `2026-12-31`, or `31-12-2026`.
pub fn end_of(text: &str) -> Option<i64> {
    let text = text.trim();
    let mut parts = text.split('-');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || ![first, second, third].into_iter().all(digits) {
        return None;
    }
    let (year, day) = if first.len() == 4 { (first, third) } else { (third, first) };
    if year.len() != 4 || day.len() > 2 || second.len() > 2 {
        return None;
    }
    instant::parse(&format!("{year}-{second:0>2}-{day:0>2}T23:59:59Z")).ok()
}

/// What a form's field for a token's last day means; none: it never ends. `kept` is the token's own end, where the field
/// still shows its day: the time of that day stays as it is, also when it is over. `example` is a day as this form writes
/// it, for whoever wrote none.
pub fn last_day(text: &str, kept: Option<i64>, example: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if kept.is_some() {
        return Ok(kept);
    }
    match end_of(text) {
        Some(at) if at > instant::now() => Ok(Some(at)),
        Some(_) => Err("This day is over. Choose a later one, or leave it empty.".into()),
        None => Err(format!("This is no date. Write it as {example}, or leave it empty.")),
    }
}

/// `in 12 days`, `3 hours ago`, `just now`.
fn distance(micros: i64, now: i64) -> String {
    let apart = micros.saturating_sub(now);
    let size = apart.saturating_abs();
    let (count, unit) = match size {
        _ if size < MINUTE => return if apart > 0 { "in a moment".into() } else { "just now".into() },
        _ if size < HOUR => (size / MINUTE, "minute"),
        _ if size < 2 * DAY => (size / HOUR, "hour"),
        _ if size < 60 * DAY => (size / DAY, "day"),
        _ if size < 730 * DAY => ((size + 15 * DAY) / (30 * DAY + 10 * HOUR), "month"),
        _ => (size / (365 * DAY), "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if apart > 0 { format!("in {count} {unit}{plural}") } else { format!("{count} {unit}{plural} ago") }
}

/// `1 minute`, `40 seconds`: how long to wait.
pub fn wait(seconds: u64) -> String {
    let (count, unit) = if seconds < 120 { (seconds, "second") } else { (seconds.div_ceil(60), "minute") };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::SECOND;

    #[test]
    fn distances_read_as_people_say_them() {
        let now = 1_000_000 * DAY;
        for (apart, expected) in [
            (30 * SECOND, "in a moment"),
            (-30 * SECOND, "just now"),
            (-MINUTE, "1 minute ago"),
            (-90 * MINUTE, "1 hour ago"),
            (47 * HOUR, "in 47 hours"),
            (12 * DAY + HOUR, "in 12 days"),
            (-90 * DAY, "3 months ago"),
            (365 * DAY, "in 12 months"),
            (900 * DAY, "in 2 years"),
        ] {
            assert_eq!(distance(now + apart, now), expected);
        }
        assert_eq!((wait(1), wait(119), wait(121)), ("1 second".into(), "119 seconds".into(), "3 minutes".into()));
    }

    #[test]
    fn a_day_in_either_order_ends_a_second_before_the_next() {
        let end = instant::parse("2026-12-31T23:59:59Z").ok();
        assert_eq!((end_of("2026-12-31"), end_of(" 31-12-2026 ")), (end, end));
        assert_eq!(end.map(dashed_day).as_deref(), Some("31-12-2026"));
        assert_eq!(end.map(iso_day).as_deref(), Some("2026-12-31"));
        for text in ["", "tomorrow", "31-02-2026", "2026-12", "2026-12-31-1", "31/12/2026", "1-1-26", "-1-1-2026"] {
            assert_eq!(end_of(text), None, "{text}");
        }
    }
}
