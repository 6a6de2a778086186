//! How a struct of fields is declared, read and described.

use super::super::Fields;
use super::field_types::FieldType;
use crate::error::Error;

/// Declares a struct of fields. Each Rust name becomes the field's name in camelCase; each doc comment becomes its
/// documentation.
macro_rules! fieldset {
    (
        $(#[doc = $about:literal])+
        $visibility:vis struct $name:ident as $wire:literal {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $about])+
        $visibility struct $name {
            $($(#[doc = $doc])+ pub(in crate::ffi) $field: $type,)*
        }

        impl $crate::ffi::commands::Fieldset for $name {
            const NAME: &'static str = $wire;

            fn named() -> Vec<$crate::ffi::commands::Named> {
                vec![$($crate::ffi::commands::Named::new::<$type>(stringify!($field), concat!($($doc),+)),)*]
            }

            fn about() -> &'static str {
                concat!($($about),+)
            }

            fn read(fields: &mut $crate::ffi::Fields) -> Result<Self, $crate::error::Error> {
                Ok(Self { $($field: fields.take(&$crate::ffi::commands::Named::wire_name(stringify!($field)))?,)* })
            }
        }
    };
}
pub(crate) use fieldset;

/// A struct that [`fieldset!`] declares.
pub(crate) trait Fieldset: Sized {
    /// The command's name; empty for what is no command of its own.
    const NAME: &'static str;

    /// Its fields.
    fn named() -> Vec<Named>;

    /// Its doc comment.
    fn about() -> &'static str;

    /// Takes its fields out of `fields`.
    fn read(fields: &mut Fields) -> Result<Self, Error>;

    /// Its fields' names.
    fn names() -> Vec<String> {
        Self::named().into_iter().map(|field| field.name).collect()
    }

    /// Its documentation, as plain text.
    fn describe() -> String {
        let mut text = String::new();
        if !Self::NAME.is_empty() {
            text.push_str(&format!("{}\n", Self::NAME));
        }
        wrap(&mut text, "  ", Self::about());
        for field in Self::named() {
            wrap(&mut text, "    ", &format!("{} ({}):{}", field.name, field.kind, field.doc));
        }
        text
    }
}

/// A field's name, type and documentation.
pub(crate) struct Named {
    name: String,
    kind: &'static str,
    doc: &'static str,
}

impl Named {
    pub(in crate::ffi) fn new<T: FieldType>(rust_name: &str, doc: &'static str) -> Self {
        Self { name: Self::wire_name(rust_name), kind: T::KIND, doc }
    }

    /// `package_id` is `packageId` to a caller.
    pub(in crate::ffi) fn wire_name(rust_name: &str) -> String {
        let mut words = rust_name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |mut name, word| {
            let mut letters = word.chars();
            name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
            name.push_str(letters.as_str());
            name
        })
    }
}

/// Adds `text` in lines of at most 110 characters; all but the first are indented further.
pub(super) fn wrap(out: &mut String, indent: &str, text: &str) {
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.trim_start().is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() > 110 {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent}  {word}");
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    out.push_str(&line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fieldset! {
        /// A thing
        /// in two lines.
        struct Thing as "thing" {
            /// What it is called.
            display_name: String,
            /// How often.
            only_if_so: bool,
            /// Each.
            id: Vec<String>,
            /// How long.
            time: Option<Duration>,
            /// How many.
            count: Option<u64>,
        }
    }

    fn read(text: &str) -> Result<Thing, String> {
        let mut fields = Fields::parse(text.into(), "a test").unwrap();
        let thing = Thing::read(&mut fields).map_err(|error| error.message().to_owned())?;
        fields.end(&Thing::names()).map_err(|error| format!("{error}"))?;
        Ok(thing)
    }

    #[test]
    fn fields_are_read_by_their_camel_case_names() {
        let thing = read("displayName\0x\0onlyIfSo\0true\0id\0a\0id\0\0time\x000.5\0count\x007").unwrap();
        assert_eq!((thing.display_name.as_str(), thing.only_if_so, thing.count), ("x", true, Some(7)));
        assert_eq!((thing.id, thing.time), (vec!["a".to_owned(), String::new()], Some(Duration::from_millis(500))));
    }

    #[test]
    fn what_is_not_right_is_named() {
        let failure = |text: &str| read(text).err().unwrap();
        assert_eq!(failure(""), "The field 'displayName' of a test is missing or empty.");
        assert_eq!(failure("displayName\0"), "The field 'displayName' of a test is missing or empty.");
        assert_eq!(
            failure("displayName\0a\0displayName\0b"),
            "The field 'displayName' of a test was given 2 times and takes one value."
        );
        assert_eq!(
            failure("displayName\0a\0onlyIfSo\0yes"),
            "The field 'onlyIfSo' of a test is 'yes' and must be true or false."
        );
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(failure(&format!("displayName\0a\0time\0{bad}")).contains("number of seconds"), "{bad}");
        }
        assert!(failure("displayName\0a\0count\x000").contains("whole number from 1 on"));
        assert_eq!(
            failure("displayName\0a\0colour\0red"),
            "There is no field 'colour' of a test. Its fields are displayName, onlyIfSo, id, time, count."
        );
    }

    #[test]
    fn the_documentation_is_the_declaration() {
        let lines: Vec<String> = Thing::describe().lines().map(str::to_owned).collect();
        assert_eq!(lines.first().map(String::as_str), Some("thing"));
        assert_eq!(lines.get(1).map(String::as_str), Some("  A thing in two lines."));
        assert_eq!(lines.get(2).map(String::as_str), Some("    displayName (text): What it is called."));
        assert_eq!(lines.get(3).map(String::as_str), Some("    onlyIfSo (boolean, false if not given): How often."));
    }
}
