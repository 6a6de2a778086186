//! SHA-256 digests as the web API writes them: 64 hex digits in JSON, `sha-256=:base64:` in `Repr-Digest`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::http::{HeaderMap, HeaderValue};

/// 64 hex digits of either case.
pub(super) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        let pair = text.get(place..place + 2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

/// 64 lower-case hex digits.
pub(super) fn to_hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The header's value (RFC 9530, section 3).
pub(super) fn repr_digest(digest: &[u8; 32]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("sha-256=:{}:", BASE64_STANDARD.encode(digest))).ok()
}

/// The `sha-256` member of the header, if it is there and whole.
pub(super) fn of_headers(headers: &HeaderMap) -> Option<[u8; 32]> {
    let fields = headers.get_all("repr-digest").iter().filter_map(|field| field.to_str().ok());
    let value = fields.flat_map(|field| field.split(',')).find_map(|member| {
        let (algorithm, value) = member.trim().split_once('=')?;
        algorithm.eq_ignore_ascii_case("sha-256").then_some(value)
    })?;
    let base64 = value.split(';').next()?.trim().strip_prefix(':')?.strip_suffix(':')?;
    BASE64_STANDARD.decode(base64).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_back_from_both_forms() {
        let digest: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
        assert_eq!(from_hex(&to_hex(&digest)), Some(digest));
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", HeaderValue::from_static("sha-512=:AA==:"));
        assert_eq!(of_headers(&headers), None);
        headers.append("repr-digest", repr_digest(&digest).unwrap());
        assert_eq!(of_headers(&headers), Some(digest));
    }

    #[test]
    fn what_is_no_digest_is_none() {
        for bad in ["", "00", &"zz".repeat(32), &"+1".repeat(32), &"ä".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
