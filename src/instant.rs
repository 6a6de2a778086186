//! Instants as .NET servers write them: `2026-11-10T18:00:00.1234567Z`, up to the last one that .NET has.
//!
//! .NET's `DateTime.MaxValue`, 9999-12-31T23:59:59.9999999Z, is what many servers say for "never". It lies beyond
//! [`Timestamp::MAX`], which therefore stands for every instant after it.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, de};

/// Reads a date with a time. One beyond [`Timestamp::MAX`] becomes that; one without an offset is in UTC, as databases
/// give it to .NET.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    offset.to_timestamp(local).ok().or((local.year() == 9999).then_some(Timestamp::MAX))
}

/// For a field that must be there.
pub(crate) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).ok_or_else(|| de::Error::custom("a date and time is needed"))
}

/// For a field that may be missing or null.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| read(&text).ok_or_else(|| de::Error::custom("a date and time is needed"))).transpose()
}

/// For the end of something: none also for the last instant, which says that it never ends.
pub(crate) fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(optional(deserializer)?.filter(|end| *end < Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_up_to_the_last_one_of_dotnet() {
        let shown = |text| read(text).map(|instant| instant.to_string());
        assert_eq!(shown("2023-12-01T08:44:50.0452465+01:00").as_deref(), Some("2023-12-01T07:44:50.0452465Z"));
        assert_eq!(shown("2023-12-01T08:44:50").as_deref(), Some("2023-12-01T08:44:50Z"));
        assert_eq!(shown("0001-01-01T00:00:00").as_deref(), Some("0001-01-01T00:00:00Z"));
        for last in ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.9999999+00:00"]
        {
            assert_eq!(read(last), Some(Timestamp::MAX), "{last}");
        }
        for bad in ["", "never", "2023-12-01", "10000-01-01T00:00:00Z", "2023-13-01T00:00:00Z"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
