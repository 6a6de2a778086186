//! SHA-256 digests as headers have them: `sha-256=:base64:` in `Repr-Digest`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::http::{HeaderMap, HeaderValue};

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
    fn a_digest_comes_back_from_its_header() {
        let digest: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", HeaderValue::from_static("sha-512=:AA==:"));
        assert_eq!(of_headers(&headers), None);
        headers.append("repr-digest", repr_digest(&digest).unwrap());
        assert_eq!(of_headers(&headers), Some(digest));
    }
}
