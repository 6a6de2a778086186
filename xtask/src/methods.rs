//! `src/virtuozzo/methods.txt`: the platform's methods, made from its API description, committed, compared.
//!
//! The description (OpenAPI, 1.3 MB) is not part of this repository; where it lies beside the checkout the table is
//! compared with it, elsewhere it is taken as it is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Result, workspace};

/// What the file begins with; src/virtuozzo/methods.rs reads it.
const HEAD: &str = "\
# The methods of the Virtuozzo Application Platform, from its API description (version VERSION).
# Made by cargo xtask methods. Don't edit.
#
# group/service
#  method[-] parameter[!][:type]… | summary
#
# - the method takes no session. ! the parameter is required. Types: none (text), int, long, bool, json, list.
";

/// Writes the table.
pub(crate) fn write() -> Result<()> {
    let Some(description) = description() else {
        return Err(format!("there is no API description at {}", place().display()).into());
    };
    let path = table_path();
    fs::write(&path, table(&description)?).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Compares the table with the description. False: the description is not here, and it has been said.
pub(crate) fn check() -> Result<bool> {
    let Some(description) = description() else {
        println!("Not compared: the platform's API description is not at {}", place().display());
        return Ok(false);
    };
    let committed = fs::read_to_string(table_path()).unwrap_or_default();
    if committed.replace("\r\n", "\n") != table(&description)? {
        return Err("src/virtuozzo/methods.txt is not what the API description says; run cargo xtask methods".into());
    }
    Ok(true)
}

fn table_path() -> PathBuf {
    workspace::root().join("src/virtuozzo/methods.txt")
}

/// Beside the checkout, where those who work on it have it.
fn place() -> PathBuf {
    let root = workspace::root();
    root.parent().unwrap_or(Path::new("..")).join("shared/specs/virtuozzo-api-8.0.2.json")
}

fn description() -> Option<String> {
    fs::read_to_string(place()).ok()
}

/// The parts of the description that the table is made from. Others are passed over unread: it has numbers that no
/// program can hold.
#[derive(Deserialize)]
struct Description {
    info: Info,
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
}

#[derive(Deserialize)]
struct Info {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    #[serde(default)]
    description: String,
    request_body: Body,
    security: Vec<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
struct Body {
    content: BTreeMap<String, Form>,
}

#[derive(Deserialize)]
struct Form {
    schema: Schema,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    properties: BTreeMap<String, Property>,
    #[serde(default)]
    required: Vec<String>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(rename = "type")]
    kind: String,
    format: Option<String>,
}

fn table(description: &str) -> Result<String> {
    let description: Description = serde_json::from_str(description)?;
    let mut services: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    for (path, operations) in &description.paths {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let [group, service, "rest", method] = parts.as_slice() else {
            return Err(format!("'{path}' is not /group/service/rest/method").into());
        };
        let operation = operations.get("post").ok_or_else(|| format!("{path} has no post"))?;
        let line = line(method, operation).map_err(|error| format!("{path}: {error}"))?;
        services.entry(format!("{group}/{service}")).or_default().insert(method, line);
    }
    let mut text = HEAD.replace("VERSION", &description.info.version);
    for (service, methods) in services {
        text.push_str(&format!("{service}\n"));
        methods.values().for_each(|line| text.push_str(&format!(" {line}\n")));
    }
    Ok(text)
}

/// `stopenv envName! | Stops environment if it is running`
fn line(method: &str, operation: &Operation) -> Result<String> {
    let accepts = |scheme: &str| operation.security.iter().any(|one| one.contains_key(scheme));
    let mut line = method.to_owned();
    if !accepts("SessionAuth") {
        line.push('-');
    }
    let form = operation.request_body.content.get("application/x-www-form-urlencoded");
    let schema = &form.ok_or("its parameters are no form")?.schema;
    let mut parameters = Vec::new();
    for (name, property) in &schema.properties {
        parameters.push((!schema.required.contains(name), name.as_str(), kind(property)?));
    }
    // What the session stands in for, where a method can do without one.
    for (name, scheme) in [("appid", "AppidAuth"), ("checksum", "ChecksumAuth")] {
        if accepts(scheme) && !schema.properties.contains_key(name) {
            parameters.push((true, name, ""));
        }
    }
    parameters.sort_unstable();
    for (optional, name, kind) in parameters {
        let mark = if optional { "" } else { "!" };
        line.push_str(&format!(" {name}{mark}{kind}"));
    }
    let summary = summary(&operation.description);
    if !summary.is_empty() {
        line.push_str(&format!(" | {summary}"));
    }
    Ok(line)
}

fn kind(property: &Property) -> Result<&'static str> {
    match (property.kind.as_str(), property.format.as_deref()) {
        ("string", _) => Ok(""),
        ("integer", Some("int32")) => Ok(":int"),
        ("integer", Some("int64")) => Ok(":long"),
        ("boolean", _) => Ok(":bool"),
        ("object", _) => Ok(":json"),
        ("array", _) => Ok(":list"),
        (kind, format) => Err(format!("a parameter has the type {kind}, {format:?}").into()),
    }
}

/// The first sentence, without HTML and Javadoc.
fn summary(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        plain.push(' ');
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let plain = plain.replace("{@link", "").replace(['{', '}', '|'], " ");
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    // Where a tag stood before the mark.
    let words = words.replace(" .", ".").replace(" ,", ",");
    let sentence = words.split(". ").next().unwrap_or_default();
    sentence.split(" Returns:").next().unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_line_with_required_parameters_first() {
        let description = serde_json::json!({
            "info": { "version": "1" },
            "paths": { "/users/authentication/rest/signin": { "post": {
                "description": " Creates a <b>session</b>.\n It is valid until {@link Signout}.",
                "requestBody": { "content": { "application/x-www-form-urlencoded": { "schema": {
                    "properties": {
                        "days": { "type": "integer", "format": "int32" },
                        "password": { "type": "string" },
                        "login": { "type": "string" },
                    },
                    "required": ["password", "login"],
                } } } },
                "security": [{ "AppidAuth": [] }],
            } } },
        });
        let table = table(&description.to_string()).unwrap_or_default();
        let expected = "users/authentication\n signin- login! password! appid days:int | Creates a session\n";
        assert!(table.ends_with(expected), "{table}");
    }

    #[test]
    fn a_type_that_is_not_known_is_no_table() {
        assert!(kind(&Property { kind: "number".into(), format: None }).is_err());
    }
}
