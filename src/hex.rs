//! Hex digits: how SHA-256 digests are written in JSON, in names of files and for people.

use std::fmt::{self, Write};

/// Lower-case digits, two a byte.
pub(crate) fn to_hex(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    // Writing to a string cannot fail.
    write_hex(&mut text, bytes).ok();
    text
}

/// The same into what is being written, with no string in between.
pub(crate) fn write_hex(out: &mut impl Write, bytes: &[u8; 32]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// 64 digits of either case; none for anything else.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_back_from_its_digits() {
        let digest: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
        assert_eq!(to_hex(&digest).get(..8), Some("00070e15"));
        assert_eq!(from_hex(&to_hex(&digest)), Some(digest));
        assert_eq!(from_hex(&to_hex(&digest).to_uppercase()), Some(digest));
    }

    #[test]
    fn what_is_no_digest_is_none() {
        let digits = "ba".repeat(32);
        let others = ["", "00", &"zz".repeat(32), &"+1".repeat(32), &"ä".repeat(32), &digits[1..]];
        for bad in others.into_iter().chain([format!("{digits}0").as_str(), &format!("{digits}00")]) {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
