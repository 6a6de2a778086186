//! From text to choices, by recursive descent over the grammar in the module's documentation.

use std::ops::Range;

use super::bounds::{Bounds, Operator};
use super::explain::excerpt;
use super::{Choice, MAX_LENGTH, Pick, Prereleases};
use crate::version::{Flaw, Version};

/// Reads the whole text.
pub(super) fn choices(text: &str) -> Result<Vec<Choice>, Flaw> {
    if let Some((at, _)) = text.char_indices().nth(MAX_LENGTH) {
        return Err(Flaw { at, what: format!("a version query is at most {MAX_LENGTH} characters long") });
    }
    // Before all else: a placeholder explains whatever else looks wrong.
    if let Some(at) = text.find("${") {
        let placeholder: String = text.get(at..).unwrap_or_default().chars().take(60).collect();
        let name = placeholder.split_inclusive('}').next().unwrap_or_default().escape_debug();
        return Err(Flaw {
            at,
            what: format!("the placeholder {name} is unresolved: nothing put a version in its place"),
        });
    }
    let mut parser = Parser { text, at: 0 };
    let mut choices = vec![parser.choice()?];
    while parser.accept(">>") {
        choices.push(parser.choice()?);
    }
    Ok(choices)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

#[derive(Default)]
struct Symbols {
    newest: bool,
    oldest: bool,
    always: bool,
    downgrade: bool,
    star: Option<Range<usize>>,
    prereleases: Option<Prereleases>,
}

impl<'a> Parser<'a> {
    /// Up to the end or the next `>>`.
    fn choice(&mut self) -> Result<Choice, Flaw> {
        self.skip_spaces();
        let start = self.at;
        let symbols = self.symbols()?;
        let prereleases = symbols.prereleases.unwrap_or(Prereleases::LeftOut);
        let mut alternatives = Vec::new();
        if !self.at_choice_end() {
            let mut first_empty = None;
            loop {
                let (bounds, empty) = self.all(&prereleases, alternatives.is_empty())?;
                first_empty = first_empty.or(empty);
                alternatives.push(bounds);
                if !(self.accept("||") || self.accept("|")) {
                    break;
                }
                self.skip_spaces();
            }
            // One alternative that can select nothing does no harm; when none can, the query is a mistake.
            if alternatives.iter().all(|bounds| bounds.are_empty(&prereleases))
                && let Some(flaw) = first_empty
            {
                return Err(flaw);
            }
        }
        let pick = if symbols.oldest { Pick::Oldest } else { Pick::Newest };
        Ok(Choice { start, pick, prereleases, star: symbols.star, alternatives })
    }

    fn symbols(&mut self) -> Result<Symbols, Flaw> {
        let mut symbols = Symbols::default();
        loop {
            self.skip_spaces();
            let at = self.at;
            let Some(symbol) = self.peek().filter(|found| matches!(found, '^' | '_' | '!' | '-' | '*')) else {
                return Ok(symbols);
            };
            self.at += symbol.len_utf8();
            let again = match symbol {
                '^' => std::mem::replace(&mut symbols.newest, true),
                '_' => std::mem::replace(&mut symbols.oldest, true),
                '!' => std::mem::replace(&mut symbols.always, true),
                '-' => std::mem::replace(&mut symbols.downgrade, true),
                _ => {
                    let prereleases = self.label()?.map_or(Prereleases::Any, Prereleases::Labelled);
                    symbols.star.replace(at..self.at).is_some() | symbols.prereleases.replace(prereleases).is_some()
                }
            };
            if again {
                return Err(Flaw { at, what: format!("the symbol '{symbol}' stands twice") });
            }
            if symbols.newest && symbols.oldest {
                return Err(Flaw { at, what: "'^' (newest) and '_' (oldest) exclude each other".into() });
            }
        }
    }

    /// What follows a `*`: `-rc.1`. A hyphen before anything but a letter or digit is the symbol `-`.
    fn label(&mut self) -> Result<Option<String>, Flaw> {
        let Some(rest) =
            self.rest().strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        else {
            return Ok(None);
        };
        let in_label = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let written = rest.get(..rest.bytes().take_while(in_label).count()).unwrap_or_default();
        let label = written.strip_suffix('.').unwrap_or(written);
        self.at += 1;
        let mut at = self.at;
        for identifier in label.split('.') {
            if identifier.is_empty() {
                return Err(Flaw { at, what: "expected a letter, digit or hyphen of the label, found '.'".into() });
            }
            at += identifier.len() + 1;
        }
        self.at += written.len();
        Ok(Some(label.to_owned()))
    }

    /// Comparators up to the end, `|` or `>>`; and the flaw to report if they can select nothing.
    fn all(&mut self, prereleases: &Prereleases, first_of_range: bool) -> Result<(Bounds, Option<Flaw>), Flaw> {
        let start = self.at;
        let mut bounds = Bounds::default();
        let mut empty = None;
        loop {
            let at = self.at;
            let (operator, version) = self.comparator(first_of_range && at == start, at > start)?;
            bounds.add(operator, version);
            if empty.is_none() && bounds.are_empty(prereleases) {
                let written = excerpt(self.text.get(start..self.at).unwrap_or_default());
                let what = if bounds.are_empty(&Prereleases::Any) {
                    format!("no version can be '{written}'")
                } else {
                    format!(
                        "only pre-releases can be '{written}', and this query does not take them; '*' before it would"
                    )
                };
                empty = Some(Flaw { at, what });
            }
            let spaced = self.skip_spaces();
            if self.at_choice_end() || self.peek() == Some('|') {
                return Ok((bounds, empty));
            }
            if !spaced {
                return Err(self.expected("a space before the next comparator"));
            }
        }
    }

    fn comparator(&mut self, first_of_range: bool, in_all: bool) -> Result<(Operator, Version), Flaw> {
        let signs = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("=", Operator::Equal),
        ];
        let sign = signs.into_iter().find(|(sign, _)| !self.at_choice_end() && self.accept(sign));
        let rest = self.rest();
        let token = rest.split([' ', '|', '<', '>', '=']).next().unwrap_or_default();
        if !token.starts_with(|c: char| c.is_ascii_digit() || matches!(c, 'v' | 'V')) {
            return Err(match sign {
                Some((sign, _)) => self.expected(&format!("a version directly after '{sign}'")),
                None if self.peek().is_some_and(|c| matches!(c, '^' | '_' | '!' | '-' | '*')) => {
                    self.expected("a comparator, as symbols stand before the range")
                }
                None if first_of_range => {
                    self.expected("a symbol (^ _ ! - *), a comparator (< <= > >= =) or a version like 1.2")
                }
                None if in_all => self.expected("a comparator (< <= > >= =), a version like 1.2, '||' or '>>'"),
                None => self.expected("a comparator (< <= > >= =) or a version like 1.2"),
            });
        }
        let version =
            Version::read(token).map_err(|flaw| Flaw { at: self.at + flaw.at, what: self.reword(token, flaw) })?;
        self.at += token.len();
        Ok((sign.map_or(Operator::Equal, |(_, operator)| operator), version))
    }

    /// A version's flaw at the end of its token, in terms of what follows there in the query.
    fn reword(&self, token: &str, flaw: Flaw) -> String {
        let next = self.rest().get(token.len()..).and_then(|after| after.chars().next());
        match (flaw.what.strip_suffix("found the end"), next) {
            (Some(expected), Some(next)) if flaw.at == token.len() => format!("{expected}found '{next}'"),
            _ => flaw.what,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn at_choice_end(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with(">>")
    }

    fn accept(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn skip_spaces(&mut self) -> bool {
        let before = self.at;
        self.at = self.text.len() - self.rest().trim_start_matches(' ').len();
        self.at > before
    }

    fn expected(&self, what: &str) -> Flaw {
        let found = self.peek().map_or("the end".to_owned(), |found| format!("'{}'", found.escape_debug()));
        Flaw { at: self.at, what: format!("expected {what}, found {found}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flaw(text: &str) -> (usize, String) {
        let flaw = choices(text).unwrap_err();
        (flaw.at, flaw.what)
    }

    #[test]
    fn the_whole_grammar_is_read() {
        for (text, count) in [
            ("", 1),
            ("   ", 1),
            ("^", 1),
            ("_!-*", 1),
            ("! - ^ *", 1),
            ("-*-rc.1^", 1),
            ("*-alpha.0.", 1),
            ("^1.2", 1),
            ("*- 1.2", 1),
            ("1.9 || >=2.0 <3.0", 1),
            ("1.9||>=2.0   <3.0|=4.0-rc+x", 1),
            (">=1.0 <2.0 >> *>=2.0", 2),
            ("1.0>>2.0>>>=3.0", 3),
            (">>", 2),
            ("1.0 >> ", 2),
            ("^>>_ >> !", 3),
        ] {
            assert_eq!(choices(text).unwrap_or_else(|flaw| panic!("{text}: {flaw:?}")).len(), count, "{text}");
        }
    }

    #[test]
    fn symbols_mean_what_they_say() {
        let only = |text: &str| choices(text).unwrap().remove(0);
        assert_eq!(only("").pick, Pick::Newest);
        assert_eq!(only("! _").pick, Pick::Oldest);
        assert_eq!(only("^").prereleases, Prereleases::LeftOut);
        assert_eq!(only("^*").prereleases, Prereleases::Any);
        assert_eq!(only("*- ^").prereleases, Prereleases::Any);
        assert_eq!(only("*-rc^").prereleases, Prereleases::Labelled("rc".into()));
        assert_eq!(only("*-alpha.0. >1.0").prereleases, Prereleases::Labelled("alpha.0".into()));
        assert_eq!(only(" ^*-rc 1.0").star, Some(2..6));
    }

    #[test]
    fn flaws_say_where_and_what_was_expected() {
        for (text, at, what) in [
            ("^ ^", 2, "the symbol '^' stands twice"),
            ("* *-rc", 2, "the symbol '*' stands twice"),
            ("*--", 2, "the symbol '-' stands twice"),
            ("^*_", 2, "'^' (newest) and '_' (oldest) exclude each other"),
            ("_^", 1, "'^' (newest) and '_' (oldest) exclude each other"),
            ("*-rc..1", 5, "expected a letter, digit or hyphen of the label, found '.'"),
            (">= 1.0", 2, "expected a version directly after '>=', found ' '"),
            ("1.0 >", 5, "expected a version directly after '>', found the end"),
            ("> >=1.0", 1, "expected a version directly after '>', found ' '"),
            ("=<1.0", 1, "expected a version directly after '=', found '<'"),
            ("latest", 0, "expected a symbol (^ _ ! - *), a comparator (< <= > >= =) or a version like 1.2, found 'l'"),
            ("~1.2", 0, "expected a symbol (^ _ ! - *), a comparator (< <= > >= =) or a version like 1.2, found '~'"),
            ("|| 1.0", 0, "expected a symbol (^ _ ! - *), a comparator (< <= > >= =) or a version like 1.2, found '|'"),
            ("1.0 ||", 6, "expected a comparator (< <= > >= =) or a version like 1.2, found the end"),
            ("1.0 ||| 2.0", 6, "expected a comparator (< <= > >= =) or a version like 1.2, found '|'"),
            ("1.0 || >> 2.0", 7, "expected a comparator (< <= > >= =) or a version like 1.2, found '>'"),
            ("1.0 and 2.0", 4, "expected a comparator (< <= > >= =), a version like 1.2, '||' or '>>', found 'a'"),
            ("1.0 - 2.0", 4, "expected a comparator, as symbols stand before the range, found '-'"),
            ("1.0 ^", 4, "expected a comparator, as symbols stand before the range, found '^'"),
            ("1.0 || ^2.0", 7, "expected a comparator, as symbols stand before the range, found '^'"),
            (">=1.0<2.0", 5, "expected a space before the next comparator, found '<'"),
            (">=1 <2.0", 3, "expected a dot and Minor, as a version has at least Major.Minor, found ' '"),
            ("2", 1, "expected a dot and Minor, as a version has at least Major.Minor, found the end"),
            ("1.*", 2, "expected a digit of Minor, found '*'"),
            ("v1.0", 0, "expected a digit, as a version has no prefix, found 'v'"),
            ("1.0\t", 3, "expected a digit, '.', '-', '+' or the end, found '\\t'"),
            ("1.0,2.0", 3, "expected a digit, '.', '-', '+' or the end, found ','"),
            (">=1.0 <1.0-rc..1", 14, "expected a letter, digit or hyphen, found '.'"),
            (
                ">=${MinVersion} <2.0",
                2,
                "the placeholder ${MinVersion} is unresolved: nothing put a version in its place",
            ),
            ("x ${a", 2, "the placeholder ${a is unresolved: nothing put a version in its place"),
        ] {
            assert_eq!(flaw(text), (at, what.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_range_that_can_select_nothing_is_a_flaw() {
        assert_eq!(flaw(">=2.0 <2.0"), (6, "no version can be '>=2.0 <2.0'".into()));
        assert_eq!(flaw("1.0 >> ^ >3.0  <2.0 >=1.0"), (15, "no version can be '>3.0  <2.0'".into()));
        assert_eq!(flaw("1.0 2.0"), (4, "no version can be '1.0 2.0'".into()));
        assert_eq!(flaw(">2.0 <1.0 || >3.0 <1.0").0, 5);
        assert_eq!(flaw("<0.0-0").0, 0);
        let (at, what) = flaw(">=1.0-rc <1.0");
        assert_eq!(at, 9);
        assert!(what.contains("only pre-releases") && what.contains("'*'"), "{what}");
        for fine in ["* >=1.0-rc <1.0", ">2.0 <1.0 || 3.0", "1.0-rc <1.0", ">=1.0 <=1.0"] {
            assert!(choices(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_long_query_is_refused_at_its_limit() {
        let fits = " ".repeat(MAX_LENGTH);
        assert!(choices(&fits).is_ok());
        assert_eq!(flaw(&format!("{fits}^")).0, MAX_LENGTH);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "\\PC*|[ ^_!*<>=|.0-9a${}-]{0,40}") {
            if let Err(flaw) = choices(&text) {
                prop_assert!(text.is_char_boundary(flaw.at), "{} in {:?}", flaw.at, text);
            }
        }
    }
}
