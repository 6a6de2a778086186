//! Instants as the database keeps them (microseconds since 1970 UTC) and as .NET writes them.

use jiff::tz::Offset;
use jiff::{Span, Timestamp};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;

/// Now, in microseconds since 1970 UTC.
pub fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// The same time of day so many months from now, in UTC; none beyond the year 9999.
pub fn in_months(months: i32) -> Option<i64> {
    let now = Offset::UTC.to_datetime(Timestamp::now());
    let then = now.checked_add(Span::new().try_months(months).ok()?).ok()?;
    Offset::UTC.to_timestamp(then).ok().map(Timestamp::as_microsecond)
}

/// .NET's round-trip format ("O") of a DateTimeOffset in UTC: `2023-12-01T08:44:50.0452460+00:00`.
pub fn round_trip(micros: i64) -> String {
    let timestamp =
        Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX });
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%7f+00:00").to_string()
}

/// Reads `2026-12-31` (its start in UTC) or an RFC 3339 instant.
pub fn parse(text: &str) -> Result<i64, String> {
    let date = text.len() == "2026-12-31".len() && text.parse::<jiff::civil::Date>().is_ok();
    let instant = if date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    instant
        .parse::<Timestamp>()
        .map(Timestamp::as_microsecond)
        .map_err(|_| format!("'{text}' is no date; write 2026-12-31 or 2026-12-31T18:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_dotnet_writes_it() {
        let micros = parse("2023-12-01T08:44:50.045246Z").unwrap();
        assert_eq!(round_trip(micros), "2023-12-01T08:44:50.0452460+00:00");
        assert_eq!(round_trip(0), "1970-01-01T00:00:00.0000000+00:00");
    }

    #[test]
    fn a_date_is_its_start_in_utc() {
        assert_eq!(parse("2026-12-31"), parse("2026-12-31T00:00:00Z"));
        assert_eq!(parse("2026-12-31T01:00:00+01:00"), parse("2026-12-31"));
        assert!(parse("tomorrow").is_err());
    }
}
