//! Looking for secrets: the forms that one may hide in, a text that holds it in each of them, and all that was seen.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uss::Error;

/// Parts of each secret that are long enough to matter, in each form: plain, percent-encoded, base64, UTF-16. The end,
/// too: what is escaped stands at the start.
pub fn forms(secrets: &[&str]) -> Vec<String> {
    let mut forms = Vec::new();
    for secret in secrets {
        let start = &secret[..20];
        forms.extend([start.to_owned(), secret[secret.len() - 16..].to_owned()]);
        forms.extend([percent(start), lower(&percent(start)), form(start), wide(start)]);
        forms.push(BASE64_STANDARD_NO_PAD.encode(&secret[..18]));
        forms.push(BASE64_STANDARD_NO_PAD.encode(&utf16(secret)[..36]));
        for before in ["x", "xy"] {
            forms.push(BASE64_STANDARD.encode(format!("{before}{secret}"))[4..24].to_owned());
        }
    }
    forms
}

/// What a server says that repeats all it knows, in each form.
pub fn echo(secrets: &[&str]) -> String {
    let each = |secret: &&str| {
        // A JSON body in a URL, too, as a proxy's page may have it.
        let json = serde_json::to_string(secret).unwrap();
        let percent = percent(secret);
        let plain = [secret, &*json, &percent, &lower(&percent), &self::percent(&json), &form(secret), &wide(secret)];
        let before = ["", "x", "xy", "u:"].map(|before| BASE64_STANDARD.encode(format!("{before}{secret}")));
        format!("{} {} {}", plain.join(" "), before.join(" "), BASE64_STANDARD.encode(utf16(secret)))
    };
    secrets.iter().map(each).collect::<Vec<_>>().join(" ")
}

/// Every text that came out, to be searched for these secrets.
pub struct Seen {
    secrets: &'static [&'static str],
    texts: Vec<String>,
}

impl Seen {
    /// Nothing yet.
    pub fn new(secrets: &'static [&'static str]) -> Self {
        Self { secrets, texts: Vec::new() }
    }

    /// A text.
    pub fn text(&mut self, text: String) {
        self.texts.push(text);
    }

    /// All that an error tells.
    pub fn error(&mut self, error: &Error) {
        self.texts.extend([error.to_string(), format!("{error:?}"), error.hint().to_owned()]);
        self.texts.extend([error.target().to_owned(), error.server().to_owned()]);
    }

    /// Panics when a secret is in what was seen, or when that is too little to say so.
    pub fn check(&self) {
        assert!(self.texts.len() > 100, "too little was seen: {}", self.texts.len());
        let forms = forms(self.secrets);
        for text in &self.texts {
            for form in &forms {
                assert!(!text.contains(form), "'{form}' in: {text}");
            }
        }
    }
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Percent-encoded text with small hex digits.
fn lower(percent: &str) -> String {
    let mut parts = percent.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// UTF-16 that was read as single bytes.
fn wide(text: &str) -> String {
    text.chars().flat_map(|c| [c, '\0']).collect()
}
