//! What the native libraries are made of: a bill of materials in CycloneDX 1.6, of `cargo tree`, `cargo metadata` and
//! Cargo.lock.
//!
//! The crates are those that are linked: what builds or tests the library, and code that runs in the compiler, is not
//! in it. A crate names the platforms whose library has it. There is no time in it, and its serial number is its content's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Platform, VERSION, read, sha256};
use crate::{
    Result, process,
    stage::Native,
    workspace::{self, cargo},
};

/// Name and version.
type Crate = (String, String);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// The bill of materials of the libraries, each of which is for the platform at the same place.
pub(super) fn make(natives: &[Native], platforms: &[&Platform]) -> Result<Vec<u8>> {
    let mut linked: BTreeMap<Crate, BTreeSet<&str>> = BTreeMap::new();
    let mut about: BTreeMap<Crate, Package> = BTreeMap::new();
    let mut needs: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    for platform in platforms {
        for linked_crate in tree(platform.triple)? {
            linked.entry(linked_crate).or_default().insert(platform.rid);
        }
        let described = metadata(platform.triple)?;
        let names: BTreeMap<&str, Crate> =
            described.packages.iter().map(|package| (package.id.as_str(), package.key())).collect();
        for node in &described.resolve.nodes {
            let dependencies = node.dependencies.iter().filter_map(|id| names.get(id.as_str()).cloned());
            if let Some(from) = names.get(node.id.as_str()) {
                needs.entry(from.clone()).or_default().extend(dependencies);
            }
        }
        about.extend(described.packages.into_iter().map(|package| (package.key(), package)));
    }
    let sums = checksums(&read(&workspace::root().join("Cargo.lock"))?);
    let main: Crate = ("uss".to_owned(), VERSION.to_owned());
    let mut components = Vec::new();
    for (key, rids) in linked.iter().filter(|(key, _)| **key != main) {
        let package = about.get(key).ok_or_else(|| format!("cargo metadata does not know {} {}", key.0, key.1))?;
        components.push(component(package, rids, sums.get(key))?);
    }
    let dependencies: Vec<Value> = linked
        .keys()
        .map(|key| {
            let on = needs.get(key).into_iter().flatten().filter(|on| linked.contains_key(*on));
            json!({ "ref": purl(key), "dependsOn": on.map(purl).collect::<Vec<_>>() })
        })
        .collect();
    let mut files = Vec::new();
    for (native, platform) in natives.iter().zip(platforms) {
        let content = std::fs::read(&native.library)?;
        files.push(json!({
            "type": "file",
            "name": format!("native/{}/{}", platform.rid, platform.library),
            "hashes": [{ "alg": "SHA-256", "content": sha256(&content) }],
        }));
    }
    let body = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "cargo xtask package", "version": VERSION }] },
            "component": {
                "type": "library",
                "bom-ref": purl(&main),
                "name": main.0,
                "version": main.1,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                "components": files,
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut document = body;
    let serial = serial_number(&sha256(document.to_string().as_bytes()));
    if let Some(fields) = document.as_object_mut() {
        fields.insert("serialNumber".to_owned(), serial.into());
    }
    Ok(format!("{document:#}\n").into_bytes())
}

fn component(package: &Package, rids: &BTreeSet<&str>, checksum: Option<&String>) -> Result<Value> {
    let key = package.key();
    // Before SPDX had expressions, crates put a slash between alternatives.
    let licence = package.license.as_deref().map(|licence| licence.replace(" / ", "/").replace('/', " OR "));
    let licence = licence.ok_or_else(|| format!("{} {} names no licence", key.0, key.1))?;
    let properties: Vec<Value> = rids.iter().map(|rid| json!({ "name": "uss:platform", "value": rid })).collect();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(&key),
        "name": key.0,
        "version": key.1,
        "purl": purl(&key),
        "licenses": [{ "expression": licence }],
        "properties": properties,
    });
    if let Some(fields) = component.as_object_mut() {
        if let Some(description) = &package.description {
            let words: Vec<&str> = description.split_whitespace().collect();
            fields.insert("description".to_owned(), words.join(" ").into());
        }
        if let Some(checksum) = checksum {
            fields.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": checksum }]));
        }
        if let Some(repository) = &package.repository {
            fields.insert("externalReferences".to_owned(), json!([{ "type": "vcs", "url": repository }]));
        }
    }
    Ok(component)
}

impl Package {
    fn key(&self) -> Crate {
        (self.name.clone(), self.version.clone())
    }
}

/// The crates that are linked into the library for a target, itself among them.
fn tree(triple: &str) -> Result<BTreeSet<Crate>> {
    let told = process::output(cargo().args(["tree", "--locked", "-p", "uss", "--target", triple]).args([
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    Ok(told.lines().filter_map(named).collect())
}

/// `name v1.2.3 (what else)`
fn named(line: &str) -> Option<Crate> {
    let mut words = line.split(' ');
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

fn metadata(triple: &str) -> Result<Metadata> {
    let told = process::output(cargo().args(["metadata", "--locked", "--format-version", "1"]).args([
        "--filter-platform",
        triple,
        "--quiet",
    ]))?;
    Ok(serde_json::from_str(&told)?)
}

/// The SHA-256 of each crate that was downloaded.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let field = |section: &str, name: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let sections = lock.split("[[package]]").skip(1);
    let one =
        |section: &str| Some(((field(section, "name")?, field(section, "version")?), field(section, "checksum")?));
    sections.filter_map(one).collect()
}

/// A crate's package URL.
fn purl((name, version): &Crate) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// A UUID of a digest (RFC 9562, version 8).
fn serial_number(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    let (first, second, third, fourth) = (part(0, 8), part(8, 12), part(13, 16), part(17, 20));
    format!("urn:uuid:{first}-{second}-8{third}-8{fourth}-{}", part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_gives_the_checksums_of_what_was_downloaded() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n";
        let expected = BTreeMap::from([(("a".to_owned(), "1.0.0".to_owned()), "ab".to_owned())]);
        assert_eq!(checksums(lock), expected);
    }

    #[test]
    fn a_line_of_the_tree_names_a_crate() {
        assert_eq!(named("ring v0.17.14 (*)"), Some(("ring".to_owned(), "0.17.14".to_owned())));
        assert_eq!(named(""), None);
    }

    #[test]
    fn names_are_package_urls_and_uuids() {
        assert_eq!(purl(&("a".to_owned(), "1.0.0+b".to_owned())), "pkg:cargo/a@1.0.0%2Bb");
        let serial = serial_number(&"0123456789abcdef".repeat(4));
        assert_eq!(serial, "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    }
}
