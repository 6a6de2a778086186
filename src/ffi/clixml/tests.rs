//! What PowerShell reads is what was written: an independent reader of the format checks the writer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::model::{Answer, CopyResult, DateTimeUtc, Dependency, PackageVersion, Row, Seconds};
use super::*;

/// An element of the written text.
#[derive(Debug, Default, PartialEq)]
struct Element {
    tag: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

/// Reads well-formed XML of the subset that CLIXML uses, and panics on anything else.
fn read(text: &str) -> Element {
    let mut rest = text;
    let root = element(&mut rest);
    assert_eq!(rest, "", "text behind the root");
    root
}

fn element(rest: &mut &str) -> Element {
    let (head, after) = rest.strip_prefix('<').unwrap().split_once('>').unwrap();
    *rest = after;
    let (head, empty) = head.strip_suffix(" /").map_or((head, false), |head| (head, true));
    let (tag, mut attributes) = head.split_once(' ').unwrap_or((head, ""));
    let mut this = Element { tag: tag.to_owned(), ..Element::default() };
    while !attributes.is_empty() {
        let (name, value) = attributes.split_once("=\"").unwrap();
        let (value, more) = value.split_once('"').unwrap();
        assert!(this.attributes.insert(name.to_owned(), decode(value)).is_none(), "twice {name}");
        attributes = more.trim_start();
    }
    if empty {
        return this;
    }
    loop {
        let (text, _) = rest.split_once('<').unwrap();
        this.text.push_str(&decode(text));
        *rest = &rest[text.len()..];
        if let Some(after) = rest.strip_prefix(&format!("</{tag}>")) {
            *rest = after;
            return this;
        }
        this.children.push(element(rest));
    }
}

/// XML's entities, then PowerShell's `_xHHHH_`.
fn decode(text: &str) -> String {
    assert!(!text.contains(|c: char| c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}' | '\x7f')), "{text:?}");
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let entity = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')];
        if let Some((name, c)) = entity.into_iter().find(|(name, _)| rest.starts_with(name)) {
            out.push(c);
            rest = &rest[name.len()..];
            continue;
        }
        assert!(c != '&', "a bare ampersand in {text:?}");
        let code = (rest.starts_with("_x") && rest.get(6..7) == Some("_")).then(|| rest.get(2..6)).flatten();
        if let Some(c) = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            out.push(c);
            rest = &rest[7..];
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn value_of(element: &Element) -> Value {
    match element.tag.as_str() {
        "Nil" => Value::Null,
        "B" => element.text.parse::<bool>().unwrap().into(),
        "I32" | "I64" => element.text.parse::<i64>().unwrap().into(),
        "U64" => element.text.parse::<u64>().unwrap().into(),
        "Db" => element.text.parse::<f64>().unwrap().into(),
        "S" | "DT" | "TS" => element.text.clone().into(),
        "Obj" if element.children[0].tag == "LST" => {
            element.children[0].children.iter().map(value_of).collect::<Vec<_>>().into()
        }
        "Obj" => {
            let properties = element.children.iter().find(|child| child.tag == "MS").unwrap();
            let pairs = properties.children.iter().map(|child| (child.attributes["N"].clone(), value_of(child)));
            Value::Object(pairs.collect())
        }
        other => panic!("no value: {other}"),
    }
}

fn round_trip(value: &Value) -> Value {
    value_of(&read(&write([Answer(value.clone())]).unwrap()).children[0])
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            // Keys that differ by more than case, which is all that PowerShell can tell apart.
            prop::collection::btree_map("[a-z_<&\"\u{1}]{1,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[_xX0-9A-F<>&\"\u{0}-\u{1f}\u{fffe}\u{2028} ]{0,24}"]
}

proptest! {
    #[test]
    fn any_text_is_read_back_unchanged(text in any_text()) {
        prop_assume!(DateTimeUtc::read(&text).is_none());
        prop_assert_eq!(round_trip(&json!(text)), json!(text));
    }

    #[test]
    fn any_answer_is_read_back_unchanged(answer in any_json()) {
        prop_assert_eq!(round_trip(&answer), answer);
    }
}

#[test]
fn what_xml_and_powershell_would_misread_is_escaped() {
    let text = write(["a<b>&\0\r\n_x0041_ \u{fffe}é😀"]).unwrap();
    assert_eq!(text, format!("{HEAD}<S>a&lt;b&gt;&amp;_x0000__x000D__x000A__x005F_x0041_ _xFFFE_é😀</S></Objs>"));
}

#[test]
fn rows_are_typed_objects_and_name_each_type_once() {
    let dependency = Dependency {
        package_id: "b".into(),
        version_query: ">=1.0".into(),
        optional: false,
        only_restrict_version: true,
    };
    let version = PackageVersion {
        id: "a".into(),
        version: "1.0".into(),
        size: Some(5_000_000_000),
        sha256: None,
        published: Some(DateTimeUtc("2026-11-10T18:00:00.1234567Z".parse().unwrap())),
        dependencies: vec![dependency.clone(), dependency],
        sort_key: None,
    };
    let text = write([Row::from(version.clone()), Row::from(version)]).unwrap();
    let root = read(&text);
    let names: Vec<&str> = text.split("<T>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    assert_eq!(names, ["Uss.PackageVersion", "System.Object", "Uss.Dependency", "System.Object"]);
    let properties = &root.children[0].children[1].children;
    let tags: Vec<(&str, &str)> = properties.iter().map(|p| (p.tag.as_str(), p.attributes["N"].as_str())).collect();
    assert_eq!(
        tags,
        [
            ("S", "Id"),
            ("S", "Version"),
            ("I64", "Size"),
            ("Nil", "Sha256"),
            ("DT", "Published"),
            ("Obj", "Dependencies"),
            ("Nil", "SortKey")
        ]
    );
    assert_eq!(properties[4].text, "2026-11-10T18:00:00.1234567Z");
    assert_eq!(properties[5].children[0].children.len(), 2);
    assert_eq!(text.matches("<TNRef").count(), 4);
    let ids: Vec<&str> =
        text.split("<Obj").skip(1).filter_map(|rest| rest.split("RefId=\"").nth(1)?.split('"').next()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn durations_are_time_spans() {
    let result = CopyResult {
        id: "a".into(),
        version: "1.0".into(),
        source: "s".into(),
        destination: "d".into(),
        status: "Copied",
        size: Some(1),
        bytes_sent: 1,
        duration: Seconds(std::time::Duration::from_micros(90_500_000)),
        sha256: None,
    };
    let text = write([&result]).unwrap();
    assert!(text.contains("<TS N=\"Duration\">PT90.5000000S</TS>"), "{text}");
    assert!(serde_json::to_string(&result).unwrap().contains(r#""Duration":90.5"#));
}

#[test]
fn an_answers_instants_are_dates_and_its_keys_are_names_that_powershell_takes() {
    let answer = json!({ "": 1, "at": "2026-11-10T18:00:00+02:00", "a": 1, "A": 2, "deep": [{ "x": null }] });
    let text = write([Answer(answer)]).unwrap();
    assert!(text.contains(r#"<DT N="at">2026-11-10T16:00:00Z</DT>"#), "{text}");
    let names: Vec<String> =
        read(&text).children[0].children[1].children.iter().map(|p| p.attributes["N"].clone()).collect();
    assert_eq!(names.iter().filter(|name| name.eq_ignore_ascii_case("a")).count(), 1, "{names:?}");
    assert!(names.contains(&"_".to_owned()) && !names.contains(&String::new()), "{names:?}");
}

#[test]
fn an_enum_with_data_is_refused() {
    #[derive(serde::Serialize)]
    enum Shape {
        Circle(u8),
    }
    assert_eq!(write([Shape::Circle(1)]).unwrap_err().to_string(), "Shape::Circle holds a value");
}
