//! Keeps secrets out of what a server says: some echo the request in their errors.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use super::template::VALUE;
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

/// `text` with `[redacted]` in place of the secrets.
pub(super) fn redact(text: &str, secrets: &[Secret]) -> String {
    let mut out = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST) {
        for form in forms(secret.expose()) {
            if out.contains(form.as_str()) {
                out = out.replace(form.as_str(), "[redacted]");
            }
        }
    }
    out
}

/// A secret as it is, in a URL, in JSON, in HTML, and inside base64 of a text that it is a part of.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let percent = utf8_percent_encode(secret, VALUE).to_string();
    let mut forms = vec![
        secret.to_owned(),
        percent.replace("%20", "+"),
        lower_case_escapes(&percent),
        percent,
        secret.replace('/', "\\/"),
        secret.replace('+', "\\u002B"),
        secret.replace('+', "\\u002b"),
        secret.replace('+', "&#x2B;"),
        secret.replace('+', "&#43;"),
    ];
    let utf16: Zeroizing<Vec<u8>> = Zeroizing::new(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    for bytes in [secret.as_bytes(), &utf16] {
        for shift in 0..3_usize {
            let mut shifted = Zeroizing::new(vec![0; shift]);
            shifted.extend_from_slice(bytes);
            // The characters at both ends mix in bits of the neighbours; those between are the secret's alone.
            let first = (shift * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            for text in [BASE64_STANDARD_NO_PAD.encode(&*shifted), BASE64_URL_SAFE_NO_PAD.encode(&*shifted)] {
                forms.extend(text.get(first..last).map(str::to_owned));
            }
        }
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

fn lower_case_escapes(percent: &str) -> String {
    let mut digits = 0;
    let lower = |c: char| match (c, digits) {
        ('%', _) => {
            digits = 2;
            c
        }
        (_, 0) => c,
        _ => {
            digits -= 1;
            c.to_ascii_lowercase()
        }
    };
    percent.chars().map(lower).collect()
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
        let percent = utf8_percent_encode(TOKEN, VALUE).to_string();
        for echo in [
            TOKEN.to_owned(),
            percent.clone(),
            percent.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d"),
            BASE64_STANDARD.encode(TOKEN),
            utf16,
            TOKEN.replace('/', "\\/"),
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
