//! A labelled input with its hint and its error, each tied to it for those who listen to a page.

use maud::{Markup, html};

/// What was wrong with a form: the field's name, and a sentence.
#[derive(Debug, Default)]
pub struct Errors(Vec<(&'static str, String)>);

impl Errors {
    /// One more.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field's error.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// At the top of the form: what was not done, and a way to each field that says why.
    pub fn summary(&self, what: &str) -> Markup {
        html! {
            @if !self.is_empty() {
                div.notice.bad role="alert" {
                    p { strong { (what) } }
                    ul { @for (field, text) in &self.0 { li { a href={ "#" (field) } { (text) } } } }
                }
            }
        }
    }
}

/// An input of one line, or of several.
#[derive(Default)]
pub struct Field<'a> {
    /// In the form, and on the page.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// `text` unless said otherwise; `area` has several lines.
    pub kind: &'static str,
    /// Below the label.
    pub hint: &'a str,
    /// What it holds.
    pub value: &'a str,
    /// What the browser may fill in.
    pub complete: &'static str,
    /// It may stay empty.
    pub optional: bool,
    /// What was wrong with it.
    pub error: Option<&'a str>,
    /// The id of what is said about the form, and is heard here: it does not say which field is wrong.
    pub problem: Option<&'static str>,
    /// The cursor is here first.
    pub first: bool,
}

impl Field<'_> {
    /// Label, hint, error, input.
    pub fn show(&self) -> Markup {
        let Self { name, label, hint, value, .. } = self;
        let kind = if self.kind.is_empty() { "text" } else { self.kind };
        let complete = if self.complete.is_empty() { "off" } else { self.complete };
        let mut described = Vec::new();
        if !hint.is_empty() {
            described.push(format!("{name}-hint"));
        }
        described.extend(self.problem.map(str::to_owned));
        if self.error.is_some() {
            described.push(format!("{name}-error"));
        }
        let described = (!described.is_empty()).then(|| described.join(" "));
        let invalid = self.error.map(|_| "true");
        html! {
            div.field.invalid[invalid.is_some()] {
                label for=(name) { (label) @if self.optional { " " span.soft { "(optional)" } } }
                @if !hint.is_empty() { p.hint id={ (name) "-hint" } { (hint) } }
                @if let Some(error) = self.error { p.error id={ (name) "-error" } { (error) } }
                @if kind == "area" {
                    textarea id=(name) name=(name) rows="3" autocomplete="off" aria-describedby=[described]
                        aria-invalid=[invalid] { (value) }
                } @else {
                    input id=(name) name=(name) type=(kind) value=(value) autocomplete=(complete)
                        autocapitalize="none" spellcheck="false" required[!self.optional] autofocus[self.first]
                        aria-describedby=[described] aria-invalid=[invalid];
                }
            }
        }
    }
}

/// A password; it is never filled with what was typed.
pub fn password<'a>(name: &'static str, label: &'static str, hint: &'a str, error: Option<&'a str>) -> Markup {
    let complete = if name == "password" { "current-password" } else { "new-password" };
    Field { name, label, kind: "password", hint, complete, error, ..Field::default() }.show()
}

/// A reason as a sentence of its own: errors of the layers below begin in the middle of one.
pub fn sentence(reason: &str) -> String {
    format!("{}{}", capital(reason), if reason.ends_with('.') { "" } else { "." })
}

/// The same with a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}
