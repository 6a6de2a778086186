//! URI templates (RFC 6570), as far as routes need them: `{name}`, `{+name}` and `{?a,b}`.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 3986's unreserved characters: what a value may hold without being taken for syntax.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, with slashes kept: `{+name}`.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A checked template that starts with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value { name: String, set: &'static AsciiSet },
    Query { names: Vec<String>, first: bool },
}

impl UriTemplate {
    /// Checks a template whose names are all among `known`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, String> {
        if !text.starts_with('/') || text.starts_with("//") {
            return Err("does not start with one slash".into());
        }
        if text.contains(['#', '\\']) || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("holds a fragment, a backslash or a space".into());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        let mut has_query = false;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (expression, tail) = tail.split_once('}').ok_or("has a brace that is not closed")?;
            has_query |= literal.contains('?');
            parts.push(Part::Literal(literal.into()));
            let (operator, names) = match expression.split_at_checked(1) {
                Some((operator @ ("?" | "&" | "+"), names)) => (operator, names),
                _ => ("", expression),
            };
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            if let Some(stranger) = names.iter().find(|name| !known.contains(&name.as_str())) {
                return Err(format!("names '{stranger}', and this route knows {}", known.join(", ")));
            }
            match (operator, names.as_slice()) {
                ("?" | "&", _) => {
                    parts.push(Part::Query { names, first: !has_query });
                    has_query = true;
                }
                (operator, [name]) => {
                    let set = if operator == "+" { PATH } else { VALUE };
                    parts.push(Part::Value { name: name.clone(), set });
                }
                _ => return Err(format!("has '{{{expression}}}', which is not understood")),
            }
            rest = tail;
        }
        if rest.contains('}') {
            return Err("has a brace that was not opened".into());
        }
        parts.push(Part::Literal(rest.into()));
        Ok(Self { text: text.into(), parts })
    }

    /// A template that stands in this program; a test checks each.
    pub(crate) fn constant(text: &str, known: &[&str]) -> Self {
        Self::parse(text, known).unwrap_or_else(|_| Self { text: text.into(), parts: vec![Part::Literal(text.into())] })
    }

    /// The path and query with these values; what has no value is left out of the query, and empty in the path.
    #[must_use]
    pub fn expand(&self, values: &[(&str, &str)]) -> String {
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Value { name, set } => out.extend(utf8_percent_encode(value(name).unwrap_or_default(), set)),
                Part::Query { names, first } => {
                    let mut separator = if *first { '?' } else { '&' };
                    for (name, value) in names.iter().filter_map(|name| Some((name, value(name)?))) {
                        out.push(separator);
                        out.push_str(name);
                        out.push('=');
                        out.extend(utf8_percent_encode(value, VALUE));
                        separator = '&';
                    }
                }
            }
        }
        out
    }
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: &[&str] = &["id", "q"];

    #[test]
    fn values_are_encoded_so_that_none_is_taken_for_syntax() {
        let template = UriTemplate::parse("/p/{id}{?id,q}", KNOWN).unwrap();
        assert_eq!(template.expand(&[("id", "a/b")]), "/p/a%2Fb?id=a%2Fb");
        assert_eq!(template.expand(&[("q", "/+= &#é")]), "/p/?q=%2F%2B%3D%20%26%23%C3%A9");
        assert_eq!(UriTemplate::parse("/p/{+id}", KNOWN).unwrap().expand(&[("id", "a/b?c")]), "/p/a/b%3Fc");
        assert_eq!(UriTemplate::parse("/p?x=1{&q}", KNOWN).unwrap().expand(&[("q", "1")]), "/p?x=1&q=1");
    }

    #[test]
    fn a_template_that_cannot_be_used_says_why() {
        for (bad, why) in [
            ("p", "slash"),
            ("//evil", "slash"),
            ("/p#f", "fragment"),
            ("/p{id", "not closed"),
            ("/p}", "not opened"),
            ("/p{x}", "'x'"),
            ("/p{id,q}", "not understood"),
            ("/p{}", "''"),
        ] {
            let error = UriTemplate::parse(bad, KNOWN).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_was(value in "\\PC*") {
            let path = UriTemplate::parse("/p{?q}", KNOWN).unwrap().expand(&[("q", &value)]);
            let url = url::Url::parse(&format!("http://a{path}")).unwrap();
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 1);
            prop_assert_eq!(pairs[0].1.as_ref(), value.as_str());
        }

        #[test]
        fn no_template_panics(text in "\\PC*") {
            let _ = UriTemplate::parse(&text, KNOWN);
        }
    }
}
