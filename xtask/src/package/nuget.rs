//! The PowerShell Gallery's package: a NuGet package, which is an Open Packaging Conventions container (ECMA-376-2).

use std::collections::BTreeSet;

use super::{Files, archive, manifest::About, sha256};
use crate::Result;

const NUSPEC: &str = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd";
const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const CONTENT_TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const CORE_PROPERTIES: &str = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties";
const MANIFEST: &str = "http://schemas.microsoft.com/packaging/2010/07/manifest";

/// What a part is, by its file's extension; anything else is octets.
const KINDS: [(&str, &str); 2] = [
    ("psmdcp", "application/vnd.openxmlformats-package.core-properties+xml"),
    ("rels", "application/vnd.openxmlformats-package.relationships+xml"),
];

/// A package of a module's files, which lie at its root.
pub(super) fn package(about: &About, files: &Files) -> Result<Vec<u8>> {
    for path in files.keys() {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
        if !path.chars().all(plain) || !path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
            return Err(format!("{path} needs a plain name with an extension to be in a package").into());
        }
    }
    let nuspec = format!("{}.nuspec", about.name);
    let properties = core_properties(about);
    // A name that only the content gives: no two packages share it, and the same package has it each time.
    let digest = sha256(properties.as_bytes());
    let core = format!("package/services/metadata/core-properties/{}.psmdcp", digest.get(..32).unwrap_or(&digest));
    let mut parts = files.clone();
    parts.insert("_rels/.rels".to_owned(), relationships(&nuspec, &core).into_bytes());
    parts.insert(nuspec, specification(about).into_bytes());
    parts.insert(core, properties.into_bytes());
    let types = content_types(&parts);
    parts.insert("[Content_Types].xml".to_owned(), types.into_bytes());
    archive::zip(&parts)
}

fn specification(about: &About) -> String {
    let mut fields = vec![
        ("id", about.name.clone()),
        ("version", about.version.clone()),
        ("authors", about.author.clone()),
        ("owners", about.author.clone()),
        ("requireLicenseAcceptance", "false".to_owned()),
    ];
    for (key, value) in &about.addresses {
        let element = match *key {
            "ProjectUri" => "projectUrl",
            "LicenseUri" => "licenseUrl",
            _ => "iconUrl",
        };
        fields.push((element, value.clone()));
    }
    fields.extend([
        ("description", about.description.clone()),
        ("releaseNotes", about.notes.clone()),
        ("copyright", about.copyright.clone()),
        ("tags", tags(about)),
    ]);
    let fields: String =
        fields.iter().map(|(name, value)| format!("    <{name}>{}</{name}>\n", escaped(value))).collect();
    document(&format!("<package xmlns=\"{NUSPEC}\">\n  <metadata>\n{fields}  </metadata>\n</package>\n"))
}

/// The manifest's tags, and those by which the gallery finds modules, editions and commands.
fn tags(about: &About) -> String {
    let mut tags = about.tags.clone();
    tags.extend(["PSModule", "PSEdition_Desktop", "PSEdition_Core", "PSIncludes_Function"].map(str::to_owned));
    tags.extend(about.functions.iter().map(|function| format!("PSFunction_{function}")));
    tags.extend(about.functions.iter().chain(&about.aliases).map(|command| format!("PSCommand_{command}")));
    tags.join(" ")
}

fn relationships(nuspec: &str, core: &str) -> String {
    let one = |kind: &str, part: &str| {
        let digest = sha256(part.as_bytes());
        let id = digest.get(..16).unwrap_or(&digest).to_uppercase();
        format!("  <Relationship Type=\"{kind}\" Target=\"/{part}\" Id=\"R{id}\" />\n")
    };
    let core_kind = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties";
    let both = one(MANIFEST, nuspec) + &one(core_kind, core);
    document(&format!("<Relationships xmlns=\"{RELATIONSHIPS}\">\n{both}</Relationships>\n"))
}

fn content_types(parts: &Files) -> String {
    let extension = |path: &String| path.rsplit('.').next().unwrap_or_default().to_owned();
    let extensions: BTreeSet<String> = parts.keys().map(extension).collect();
    let one = |extension: &String| {
        let kind = KINDS.iter().find(|(known, _)| known == extension).map_or("application/octet", |(_, kind)| kind);
        format!("  <Default Extension=\"{extension}\" ContentType=\"{kind}\" />\n")
    };
    let all: String = extensions.iter().map(one).collect();
    document(&format!("<Types xmlns=\"{CONTENT_TYPES}\">\n{all}</Types>\n"))
}

fn core_properties(about: &About) -> String {
    let fields: String = [
        ("dc:creator", about.author.as_str()),
        ("dc:description", &about.description),
        ("dc:identifier", &about.name),
        ("version", &about.version),
        ("keywords", &tags(about)),
        ("lastModifiedBy", "cargo xtask package"),
    ]
    .iter()
    .map(|(name, value)| format!("  <{name}>{}</{name}>\n", escaped(value)))
    .collect();
    document(&format!(
        "<coreProperties xmlns=\"{CORE_PROPERTIES}\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n{fields}</coreProperties>\n"
    ))
}

fn document(root: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{root}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_name_an_uri_would_change_is_refused() {
        let about = About::read(
            "ModuleVersion = '1.0.0'\nAuthor = 'A'\nCopyright = 'C'\nDescription = 'D'\n",
            "A",
            None,
            "first",
        )
        .unwrap();
        for name in ["a b.txt", "é.txt", "folder/LICENSE"] {
            let files = Files::from([(name.to_owned(), Vec::new())]);
            assert!(package(&about, &files).unwrap_err().to_string().contains(name), "{name}");
        }
        let files = Files::from([("A.psd1".to_owned(), Vec::new())]);
        assert_eq!(package(&about, &files).unwrap(), package(&about, &files).unwrap());
    }
}
