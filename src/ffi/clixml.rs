//! Writes CLIXML, which PowerShell's `PSSerializer.Deserialize` (5.1 and 7) turns into typed objects in one call.
//!
//! A serde serializer over the same model that serde_json writes: a struct's serde name is its type name, its fields
//! are properties, a sequence is a list, a map is an object without a type. The newtypes of [`super::model`] become
//! dates and time spans by their names. Nothing else in the library writes XML.
//!
//! Format: \[MS-PSRP\] 2.2.5, Serialization.

use std::fmt::{self, Write};

use serde::ser::{self, Serialize};

use super::model::{DATE_TIME_UTC, SECONDS};

const HEAD: &str = r#"<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">"#;
const UNTYPED: &str = "System.Management.Automation.PSCustomObject";

/// The values, each an object of its own.
///
/// # Errors
/// [`Unwritable`] for an enum variant with data, which CLIXML has no words for, or for what a value's own `Serialize`
/// refuses.
pub fn write<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<String, Unwritable> {
    let mut writer = Writer { text: HEAD.to_owned(), references: 0, types: Vec::new() };
    for value in values {
        value.serialize(Place { writer: &mut writer, name: None, tag: None })?;
    }
    writer.text.push_str("</Objs>");
    Ok(writer.text)
}

/// A value that CLIXML has no words for.
#[derive(Debug)]
pub struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

struct Writer {
    text: String,
    references: usize,
    types: Vec<&'static str>,
}

impl Writer {
    fn open(&mut self, tag: &str, name: Option<&str>) {
        self.text.push('<');
        self.text.push_str(tag);
        if let Some(name) = name {
            self.text.push_str(" N=\"");
            escape(&mut self.text, name);
            self.text.push('"');
        }
    }

    fn open_object(&mut self, name: Option<&str>) {
        self.open("Obj", name);
        let id = self.references;
        self.references += 1;
        self.put(format_args!(" RefId=\"{id}\">"));
    }

    fn type_names(&mut self, type_name: &'static str) {
        if let Some(known) = self.types.iter().position(|known| *known == type_name) {
            self.put(format_args!("<TNRef RefId=\"{known}\" />"));
        } else {
            let id = self.types.len();
            self.types.push(type_name);
            self.put(format_args!("<TN RefId=\"{id}\"><T>{type_name}</T><T>System.Object</T></TN>"));
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(text); // a String takes everything
    }
}

/// Where the next value goes: a property of this name, or a list's element or a root without one.
struct Place<'a> {
    writer: &'a mut Writer,
    name: Option<&'a str>,
    /// The element that a newtype's name asks for.
    tag: Option<&'static str>,
}

impl Place<'_> {
    /// A value whose text needs no escaping.
    fn plain(self, tag: &str, value: impl fmt::Display) {
        self.writer.open(tag, self.name);
        self.writer.put(format_args!(">{value}</{tag}>"));
    }

    fn nil(self) {
        self.writer.open("Nil", self.name);
        self.writer.text.push_str(" />");
    }
}

/// Text that XML and PowerShell read back unchanged: XML's own escapes, and `_xHHHH_` for characters that XML cannot
/// hold or would change, and for a literal `_x`.
fn escape(out: &mut String, text: &str) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '_' if matches!(rest.peek(), Some('x' | 'X')) => out.push_str("_x005F_"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "_x{:04X}_", c as u32);
            }
            _ => out.push(c),
        }
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty => $tag:literal,)+) => {
        $(fn $method(self, value: $type) -> Result<(), Unwritable> {
            self.plain($tag, value);
            Ok(())
        })+
    };
}

impl<'a> ser::Serializer for Place<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = ser::Impossible<(), Unwritable>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = ser::Impossible<(), Unwritable>;

    plain! {
        serialize_bool: bool => "B",
        serialize_i8: i8 => "I32",
        serialize_i16: i16 => "I32",
        serialize_i32: i32 => "I32",
        serialize_i64: i64 => "I64",
        serialize_u8: u8 => "I32",
        serialize_u16: u16 => "I32",
        serialize_u32: u32 => "I64",
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unwritable> {
        self.plain(if i64::try_from(value).is_ok() { "I64" } else { "U64" }, value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        match (self.tag, value) {
            // To 100 ns, a .NET tick.
            (Some(tag), value) => self.plain(tag, format_args!("PT{value:.7}S")),
            (None, f64::INFINITY) => self.plain("Db", "INF"),
            (None, f64::NEG_INFINITY) => self.plain("Db", "-INF"),
            (None, value) => self.plain("Db", value), // NaN is written as XML Schema has it
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        let tag = self.tag.unwrap_or("S");
        self.writer.open(tag, self.name);
        self.writer.text.push('>');
        escape(&mut self.writer.text, value);
        self.writer.put(format_args!("</{tag}>"));
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unwritable> {
        Err(Unwritable("bytes are no value of a row".into()))
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.nil();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.nil();
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Unwritable> {
        let tag = match name {
            DATE_TIME_UTC => Some("DT"),
            SECONDS => Some("TS"),
            _ => None,
        };
        value.serialize(Place { tag, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), Unwritable> {
        Err(Unwritable(format!("{name}::{variant} holds a value")))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Unwritable> {
        self.writer.open_object(self.name);
        self.writer.text.push_str("<LST>");
        Ok(List { writer: self.writer })
    }

    fn serialize_tuple(self, length: usize) -> Result<List<'a>, Unwritable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List<'a>, Unwritable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        Err(Unwritable(format!("{name}::{variant} holds values")))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'a>, Unwritable> {
        self.serialize_struct(UNTYPED, 0)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Object<'a>, Unwritable> {
        self.writer.open_object(self.name);
        self.writer.type_names(name);
        self.writer.text.push_str("<MS>");
        Ok(Object { writer: self.writer, key: String::new(), keys: Vec::new() })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        Err(Unwritable(format!("{name}::{variant} holds values")))
    }
}

/// An open list.
struct List<'a> {
    writer: &'a mut Writer,
}

impl List<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(Place { writer: self.writer, name: None, tag: None })
    }

    fn close(self) {
        self.writer.text.push_str("</LST></Obj>");
    }
}

macro_rules! list {
    ($($trait:ident :: $method:ident,)+) => {
        $(impl ser::$trait for List<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.element(value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close();
                Ok(())
            }
        })+
    };
}

list! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
}

/// An open object.
struct Object<'a> {
    writer: &'a mut Writer,
    key: String,
    /// What a map's keys became, lower case.
    keys: Vec<String>,
}

impl Object<'_> {
    /// A map's key as a property's name. PowerShell's names are never empty and ignore case: what would collide gets
    /// underscores behind it.
    fn set_key(&mut self, mut key: String) {
        while key.is_empty() || self.keys.contains(&key.to_lowercase()) {
            key.push('_');
        }
        self.keys.push(key.to_lowercase());
        self.key = key;
    }
}

impl ser::SerializeStruct for Object<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Unwritable> {
        value.serialize(Place { writer: self.writer, name: Some(key), tag: None })
    }

    fn end(self) -> Result<(), Unwritable> {
        self.writer.text.push_str("</MS></Obj>");
        Ok(())
    }
}

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        match serde_json::to_value(key).map_err(ser::Error::custom)? {
            serde_json::Value::String(key) => self.set_key(key),
            other => self.set_key(other.to_string()),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(Place { writer: self.writer, name: Some(&self.key), tag: None })
    }

    fn end(self) -> Result<(), Unwritable> {
        ser::SerializeStruct::end(self)
    }
}

#[cfg(test)]
mod tests;
