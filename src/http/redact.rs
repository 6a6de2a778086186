//! Keeps secrets out of what a server says: some echo the request in their errors.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Shorter texts are no secrets, and replacing them would shred every message.
const SHORTEST: usize = 4;

/// Characters of a foreign text in a message.
pub(super) const MAX_FOREIGN: usize = 500;

/// `text` on one line, without the secrets in any form that they are likely to come in, at most [`MAX_FOREIGN`]
/// characters.
pub(super) fn foreign_text(text: &str, secrets: &[Secret]) -> String {
    // Control characters go first: UTF-16 read as bytes is the plain text with a NUL after each character.
    let visible: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    let redacted = redact(&visible, secrets);
    let line = redacted.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_FOREIGN - 1) {
        Some((end, _)) if line.chars().nth(MAX_FOREIGN).is_some() => {
            format!("{}…", line.get(..end).unwrap_or_default())
        }
        _ => line,
    }
}

/// The start of a text that was cut somewhere: the end, where a part of a secret may stand that is not known for one,
/// is left out. Only visible characters count, as nothing else comes into a message.
pub(super) fn without_cut_secret<'a>(text: &'a str, secrets: &[Secret]) -> &'a str {
    // Base64 of UTF-16 takes 2.7 characters for one, percent-encoding 3, and 5 when it is done twice.
    let longest = secrets.iter().map(|secret| secret.expose().len() * 6).max().unwrap_or_default();
    let mut visible = text.char_indices().rev().filter(|(_, c)| !c.is_control() && !c.is_whitespace());
    visible.nth(longest).and_then(|(end, _)| text.get(..end)).unwrap_or_default()
}

/// `text` with `[redacted]` in place of the secrets.
pub(super) fn redact(text: &str, secrets: &[Secret]) -> String {
    let mut out = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST) {
        out = without_escaped(&out, secret.expose());
        for form in encoded_forms(secret.expose()) {
            if out.contains(form.as_str()) {
                out = out.replace(form.as_str(), REDACTED);
            }
        }
    }
    out
}

/// What stands for itself in a URL's query: RFC 3986's unreserved characters.
const IN_URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const REDACTED: &str = "[redacted]";

/// Takes out the secret with each of its characters plain or escaped, as URLs, JSON and HTML do.
fn without_escaped(text: &str, secret: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match secret_at_start(rest, secret) {
            Some(length) => {
                out.push_str(REDACTED);
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

fn secret_at_start(text: &str, secret: &str) -> Option<usize> {
    // Every place where the characters so far may end: a backslash is one, or begins an escape.
    let mut ends = Vec::from([0]);
    for c in secret.chars() {
        let mut further = Vec::new();
        for end in ends {
            further.extend(written_at_start(text.get(end..)?, c).into_iter().map(|length| end + length));
        }
        if further.is_empty() {
            return None;
        }
        further.sort_unstable();
        further.dedup();
        ends = further;
    }
    ends.pop()
}

/// How many bytes of `text` may stand for `c`.
fn written_at_start(text: &str, c: char) -> Vec<usize> {
    let mut lengths = Vec::new();
    if text.starts_with(c) {
        lengths.push(c.len_utf8());
    }
    // Letters and digits are escaped by nobody; everything else is, by somebody.
    if c.is_ascii_alphanumeric() || !text.starts_with(['%', '\\', '&', '+']) {
        return lengths;
    }
    let (code, mut utf8, mut utf16) = (u32::from(c), [0; 4], [0; 2]);
    let once: String = c.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = once.replace('%', "%25");
    let json: String = c.encode_utf16(&mut utf16).iter().map(|unit| format!("\\u{unit:04X}")).collect();
    let escapes = [
        // JSON in a URL has its backslashes escaped there.
        format!("%5C{once}"),
        format!("%5C{c}"),
        json.replace('\\', "%5C"),
        json.replace('\\', "%255C"),
        format!("%255C{twice}"),
        twice,
        once,
        format!("\\{c}"),
        json,
        format!("&#x{code:X};"),
        format!("&#{code};"),
    ];
    let begins = |escape: &str| text.get(..escape.len()).is_some_and(|start| start.eq_ignore_ascii_case(escape));
    lengths.extend(escapes.iter().filter(|escape| begins(escape)).map(String::len));
    // A form has a space as a plus (URL Standard), which is escaped in turn where the form stands in a URL.
    if c == ' ' {
        lengths.extend(["+", "%2B"].into_iter().filter(|plus| begins(plus)).map(str::len));
    }
    lengths
}

/// The secret as itself, and as URLs and forms have it (block pages carry the request that they block), in UTF-8 and
/// UTF-16, each in hex digits and inside the base64 of a text that it is a part of, whatever stands before it.
fn encoded_forms(secret: &str) -> Vec<Zeroizing<String>> {
    let in_url = Zeroizing::new(utf8_percent_encode(secret, IN_URL).to_string());
    let in_form = Zeroizing::new(form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>());
    let mut forms = Vec::new();
    for bytes in [secret, &in_url, &in_form].into_iter().flat_map(in_encodings) {
        let hex = Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        forms.extend([Zeroizing::new(hex.to_ascii_uppercase()), hex]);
        for shift in 0..3_usize {
            let mut shifted = Zeroizing::new(vec![0; shift]);
            shifted.extend_from_slice(&bytes);
            // The characters at both ends mix in bits of the neighbours; those between are the secret's alone.
            let first = (shift * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            for text in [BASE64_STANDARD_NO_PAD.encode(&*shifted), BASE64_URL_SAFE_NO_PAD.encode(&*shifted)] {
                forms.extend(text.get(first..last).map(|form| Zeroizing::new(form.to_owned())));
            }
        }
    }
    forms
}

fn in_encodings(text: &str) -> [Zeroizing<Vec<u8>>; 3] {
    let utf16 = |bytes_of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes_of).collect();
    [text.as_bytes().to_vec(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)].map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    const TOKEN: &str = "zBI2NWnAy9EWhXfrqZTgmyV662yLXYcY1Hjoq+8X1xkurgYKM2RtogIh0jqdm8DWZuVtdC/pRQo2X0C02ZRyjw==";

    fn clean(text: &str) -> String {
        foreign_text(text, &[Secret::new(TOKEN.into())])
    }

    #[test]
    fn a_secret_is_found_in_every_form_that_a_server_may_echo() {
        let utf16: String = TOKEN.encode_utf16().flat_map(u16::to_le_bytes).map(char::from).collect::<String>();
        let percent = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC).to_string();
        for echo in [
            TOKEN.to_owned(),
            percent.clone(),
            percent.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d"),
            BASE64_STANDARD.encode(TOKEN),
            utf16,
            TOKEN.replace('/', "\\/").replace('+', "\\u002b"),
            TOKEN.replace('+', "&#x2B;").replace('=', "&#61;"),
            percent.replace('%', "%25"),
            BASE64_STANDARD.encode(TOKEN.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()),
            BASE64_STANDARD.encode(TOKEN.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")),
            TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect(),
            TOKEN.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ] {
            assert_eq!(clean(&format!("bad token '{echo}' given")).matches("[redacted]").count(), 1, "{echo}");
        }
        for user in ["a", "ab", "abc"] {
            let basic = BASE64_STANDARD.encode(format!("{user}:{TOKEN}"));
            let middle = basic.get(12..100).unwrap();
            assert!(!clean(&format!("Authorization: Basic {basic}")).contains(middle), "{user}");
        }
    }

    #[test]
    fn a_password_is_found_as_a_form_has_it_and_in_what_holds_the_form() {
        let password = "correct horse*battery~staple \"/+";
        let secrets = [Secret::new(password.into())];
        let form: String = form_urlencoded::byte_serialize(password.as_bytes()).collect();
        let twice = utf8_percent_encode(&form, NON_ALPHANUMERIC).to_string();
        for echo in [form.clone(), twice.replace("%2B", "%2b"), twice] {
            assert_eq!(foreign_text(&format!("a={echo}&b=1"), &secrets), "a=[redacted]&b=1");
        }
        let inside = BASE64_STANDARD.encode(format!("password={form}"));
        assert!(!foreign_text(&inside, &secrets).contains(&inside[14..40]));
    }

    #[test]
    fn a_password_with_quotes_and_backslashes_is_found_in_json_and_where_that_stands_in_a_url() {
        let password = "C:\\dir\\\\\"quoted\" ä+😀";
        let json = serde_json::to_string(password).unwrap();
        let json = json.trim_matches('"');
        let ascii = json.replace('ä', "\\u00e4").replace('😀', "\\ud83d\\ude00");
        for json in [json, &ascii] {
            let once = utf8_percent_encode(json, NON_ALPHANUMERIC).to_string();
            let twice = utf8_percent_encode(&once, NON_ALPHANUMERIC).to_string();
            for echo in [json.to_owned(), once, twice] {
                let found = foreign_text(&format!("a={echo}&b=1"), &[Secret::new(password.into())]);
                assert_eq!(found, "a=[redacted]&b=1", "{echo}");
            }
        }
    }

    #[test]
    fn a_text_that_was_cut_in_a_secret_ends_before_it() {
        let secrets = [Secret::new(TOKEN.into())];
        let part = &TOKEN[..40];
        let utf16: String = part.encode_utf16().flat_map(u16::to_le_bytes).map(char::from).collect();
        for (filler, part) in [(" ", part), ("\0", part), (" \0", &utf16)] {
            let text = format!("{}{}{part}", "a".repeat(1000), filler.repeat(60_000));
            let left = foreign_text(without_cut_secret(&text, &secrets), &secrets);
            assert!(left.starts_with("aaaa") && left.trim_end_matches('…').chars().all(|c| c == 'a'), "{left}");
        }
        assert_eq!(without_cut_secret(&format!("x{}{part}", " ".repeat(60_000)), &secrets), "");
    }

    #[test]
    fn a_foreign_text_is_one_line_of_at_most_500_characters() {
        assert_eq!(clean(" a\r\n\tb\u{7} "), "a b");
        let long = clean(&"ä".repeat(2_000));
        assert_eq!(long.chars().count(), MAX_FOREIGN);
        assert!(long.ends_with('…'));
        assert_eq!(clean(&"ä".repeat(MAX_FOREIGN)).chars().count(), MAX_FOREIGN);
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_stands(before in "[a-z ]{0,40}", after in "[a-z ]{0,700}") {
            let said = clean(&format!("{before}{TOKEN}{after}"));
            prop_assert!(!said.contains(&TOKEN[..20]));
        }
    }
}
