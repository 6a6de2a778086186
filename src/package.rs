//! Package archives: a zip with `Manifest.json`, an optional `Package.psm1` and payload.
//!
//! `read` takes archives that nobody vouches for, and looks at their directory and manifest alone. `write` makes
//! archives that are the same, byte for byte, for the same input.

mod path;
mod payload;
mod read;
mod write;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, ErrorKind};
use crate::hex::to_hex;
use crate::version::Version;
use crate::version_query::VersionQuery;
pub use read::{
    MAX_DIRECTORY_SIZE, MAX_ENTRIES, MAX_INFLATION, MAX_MANIFEST_SIZE, SMALL_PAYLOAD, parse_manifest, read_manifest,
};
pub use write::{PackageFile, write, write_filled};

/// The manifest's name within the archive.
pub const MANIFEST: &str = "Manifest.json";

/// An id is at most this long, in characters: it has to fit into URLs, file names and database keys.
pub const MAX_ID_LENGTH: usize = 256;

/// The longest name of an archive without `.zip`, in bytes: file systems take 255, and something may be added to it.
const LONGEST_STEM: usize = 230;

/// What a package says of itself. Keys that only installed clients use, and unknown ones, are kept in `other`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Manifest {
    /// `bundle/my-pos`; see [`check_id`].
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a client shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A [`Version`], as written.
    pub version: String,
    /// What it needs; a bundle consists of nothing else.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// Every other key: Instance, Commands, Parameters, FillParameters, PrefetchFiles, StoreFiles,
    /// AlwaysUpdateDependencies, SubstituteFor, WindowsUpdateSensitive, MinClientVersion and unknown ones.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// What a package needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dependency {
    /// The package that is needed.
    pub package_id: String,
    /// Which version of it; '' is the newest. A [`VersionQuery`], as written.
    #[serde(default, deserialize_with = "null_is_default")]
    pub version_query: String,
    /// Not needed to work.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Restricts a version that something else brings in, and brings nothing in itself.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub only_restrict_version: bool,
    /// Every other key.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl Manifest {
    /// Whether a new package may have this manifest: id, version, and every dependency's id and query.
    ///
    /// # Errors
    /// `InvalidArgument` or `InvalidVersionQuery` that names the dependency.
    pub fn check(&self) -> Result<(), Error> {
        check_id(&self.id)?;
        Version::parse(&self.version)?;
        for dependency in &self.dependencies {
            check_id(&dependency.package_id).map_err(|error| error.within("A dependency cannot be used"))?;
            VersionQuery::parse(&dependency.version_query)
                .map_err(|error| error.within(&format!("The dependency on {}", dependency.package_id)))?;
        }
        Ok(())
    }

    /// The archive's usual name: [`file_name`].
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(&self.id, &self.version)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.version)
    }
}

/// The usual name of a package's archive: `bundle_my-pos-1.0.0.zip`.
///
/// No two packages have one name, as an id holds no underscore, no dot, and a version begins with digits and a dot; and
/// all systems take it. Where names do not differ by case, versions that differ by nothing else have one name.
///
/// An id so long that file systems would refuse the name, or a longer one that begins with it (over 255 bytes), is cut,
/// and a digest of the whole id and version keeps the names of different packages apart.
#[must_use]
pub fn file_name(id: &str, version: &str) -> String {
    let name = format!("{}-{version}", id.replace('/', "_"));
    if name.len() <= LONGEST_STEM {
        return format!("{name}.zip");
    }
    let digest = to_hex(&write::digest_of(&[id.as_bytes(), b"\0", version.as_bytes()]));
    let fitting = |text: &str, length| text.chars().take(length).collect::<String>();
    format!("{}-{}.zip", fitting(&name, LONGEST_STEM - 33), fitting(&digest, 32))
}

/// Whether a text is a package id: `^[a-z0-9/-]+$`, at most [`MAX_ID_LENGTH`] characters.
///
/// # Errors
/// `InvalidArgument` that says which character is wrong.
pub fn check_id(id: &str) -> Result<(), Error> {
    let shown: String = id.chars().take(80).flat_map(char::escape_debug).collect();
    let invalid = |what: String| {
        Error::new(ErrorKind::InvalidArgument, format!("The package id '{shown}' {what}."))
            .with_hint("An id consists of lower-case letters, digits, hyphens and slashes, like bundle/my-pos.")
            .with_target(shown.as_str())
    };
    if id.is_empty() {
        return Err(invalid("is empty".into()));
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '/' | '-');
    for (index, found) in id.chars().enumerate() {
        if index == MAX_ID_LENGTH {
            return Err(invalid(format!("is longer than {MAX_ID_LENGTH} characters")));
        }
        if !allowed(&found) {
            return Err(invalid(format!("holds '{}' at character {}", found.escape_debug(), index + 1)));
        }
    }
    Ok(())
}

/// PowerShell writes null for what it was not given.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(id: &str, version: &str) -> Manifest {
        Manifest { id: id.into(), version: version.into(), ..Manifest::default() }
    }

    #[test]
    fn ids_are_lower_case_letters_digits_hyphens_and_slashes() {
        for id in ["a", "bundle/my-pos", "0-9", "ls-central-app"] {
            assert!(check_id(id).is_ok(), "{id}");
        }
        for (id, what) in [
            ("", "'' is empty"),
            ("My-pos", "holds 'M' at character 1"),
            ("my pos", "holds ' ' at character 3"),
            ("a/../b", "holds '.' at character 3"),
            ("päckchen", "holds 'ä' at character 2"),
            ("a\n", "holds '\\n' at character 2"),
        ] {
            let error = check_id(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(what), "{error}");
        }
        assert!(check_id(&"a".repeat(MAX_ID_LENGTH)).is_ok());
        assert!(check_id(&"a".repeat(MAX_ID_LENGTH + 1)).unwrap_err().message().len() < 200);
    }

    #[test]
    fn a_manifest_keeps_unknown_keys() {
        let text = r#"{"Id":"a/b","Version":"1.0","Commands":{"Install":"x"},"Dependencies":[{"PackageId":"c",
            "VersionQuery":">=1.0","Optional":true,"Note":7}],"X":[1,null]}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.dependencies[0].version_query, ">=1.0");
        assert!(manifest.dependencies[0].optional && !manifest.dependencies[0].only_restrict_version);
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn null_counts_as_not_given() {
        let text = r#"{"Id":"a","Version":"1.0","Name":null,"Dependencies":null}"#;
        assert_eq!(serde_json::from_str::<Manifest>(text).unwrap(), manifest("a", "1.0"));
        let text = r#"{"PackageId":"a","VersionQuery":null,"Optional":null,"OnlyRestrictVersion":null}"#;
        let dependency = Dependency { package_id: "a".into(), ..Dependency::default() };
        assert_eq!(serde_json::from_str::<Dependency>(text).unwrap(), dependency);
    }

    #[test]
    fn check_names_the_dependency_that_is_wrong() {
        let with = |id: &str, query: &str| {
            let dependency = Dependency { package_id: id.into(), version_query: query.into(), ..Dependency::default() };
            Manifest { dependencies: vec![dependency], ..manifest("a", "1.0") }.check()
        };
        assert!(with("b", ">=1.0 <2.0").is_ok());
        assert!(with("B", "").unwrap_err().message().contains("dependency cannot be used: The package id 'B'"));
        let error = with("b", ">=${x}").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidVersionQuery { column: 3 });
        assert!(error.message().starts_with("The dependency on b: ") && error.message().contains("${x}"), "{error}");
        assert!(manifest("a", "1").check().is_err());
    }

    #[test]
    fn file_names_replace_slashes_and_fit_file_systems() {
        assert_eq!(manifest("bundle/my-pos", "1.0-rc+a").file_name(), "bundle_my-pos-1.0-rc+a.zip");
        assert_ne!(file_name("a/b", "1.0"), file_name("a-b", "1.0"));
        let long = |last: &str| manifest(&("a".repeat(250) + last), "1.0").file_name();
        assert!(long("b").len() <= 234 && long("b").ends_with(".zip"));
        assert_ne!(long("b"), long("c"));
    }
}
