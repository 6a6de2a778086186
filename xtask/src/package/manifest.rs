//! What a module's manifest says, and what a package adds to it.

use crate::Result;

/// What a package says about itself.
pub(super) struct About {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) author: String,
    pub(super) copyright: String,
    pub(super) description: String,
    pub(super) functions: Vec<String>,
    pub(super) aliases: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) notes: String,
    /// `ProjectUri`, `LicenseUri`, `IconUri`; none where the project's address was not given.
    pub(super) addresses: Vec<(&'static str, String)>,
}

/// Where a manifest is completed.
const PSDATA: &str = "PSData = @{\n";

impl About {
    /// Reads `NAME.psd1`, whose values are literals in single quotes, one `Key = value` a line or list.
    pub(super) fn read(manifest: &str, name: &str, project: Option<&str>, notes: &str) -> Result<Self> {
        let one = |key: &str| {
            let found = quoted(manifest, key).into_iter().next();
            found.ok_or_else(|| format!("{name}.psd1 has no {key}"))
        };
        let version = one("ModuleVersion")?;
        let addresses = project.map_or_else(Vec::new, |project| {
            vec![
                ("ProjectUri", project.to_owned()),
                ("LicenseUri", format!("{project}/blob/v{version}/LICENSE-MIT")),
                ("IconUri", format!("{project}/raw/v{version}/docs/icon.png")),
            ]
        });
        Ok(Self {
            name: name.to_owned(),
            author: one("Author")?,
            copyright: one("Copyright")?,
            description: one("Description")?,
            functions: quoted(manifest, "FunctionsToExport"),
            aliases: quoted(manifest, "AliasesToExport"),
            tags: quoted(manifest, "Tags"),
            notes: notes.to_owned(),
            version,
            addresses,
        })
    }

    /// The manifest with addresses and release notes.
    pub(super) fn complete(&self, manifest: &str) -> Result<String> {
        let (before, after) =
            manifest.split_once(PSDATA).ok_or_else(|| format!("{}.psd1 has no PSData = @{{", self.name))?;
        let mut added = String::new();
        for (key, value) in &self.addresses {
            added += &format!("            {key} = '{value}'\n");
        }
        added += &format!("            ReleaseNotes = '{}'\n", self.notes.replace('\'', "''"));
        Ok(format!("{before}{PSDATA}{added}{after}"))
    }
}

/// The texts in quotes after `key =`, to the line's end or, for a list, to its closing parenthesis.
fn quoted(manifest: &str, key: &str) -> Vec<String> {
    let value = manifest.lines().enumerate().find_map(|(line, text)| {
        let (found, value) = text.split_once('=')?;
        (found.trim() == key).then_some((line, value.trim()))
    });
    let Some((line, value)) = value else { return Vec::new() };
    let list: String;
    let text = if value.starts_with("@(") {
        let rest: Vec<&str> = manifest.lines().skip(line).collect();
        list = rest.join("\n");
        list.split_once("@(").map_or("", |(_, list)| list).split(')').next().unwrap_or_default()
    } else {
        value
    };
    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the change log says of a version, or of what is not released yet where it does not name the version.
pub(super) fn release_notes(changes: &str, version: &str) -> Result<String> {
    let section = |title: &str| {
        changes.split("\n## ").skip(1).find_map(|section| {
            let (first, text) = section.split_once('\n')?;
            let named = first.trim_start_matches('[').split([']', ' ']).next().unwrap_or_default();
            (named == title).then(|| text.trim().to_owned())
        })
    };
    section(version)
        .or_else(|| section("Unreleased"))
        .filter(|notes| !notes.is_empty())
        .ok_or_else(|| format!("CHANGELOG.md says nothing of {version}, and has no Unreleased").into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MANIFEST: &str = "@{
    ModuleVersion     = '1.2.3'
    Author            = 'A'
    Copyright         = 'MIT'
    Description       = 'Does it.'
    FunctionsToExport = @(
        'Get-A', 'Get-B'
        'Get-C'
    )
    AliasesToExport   = @('Resolve-A')
    CmdletsToExport   = @()
    PrivateData       = @{
        PSData = @{
            Tags = 'One', 'Two'
        }
    }
}
";

    #[test]
    fn a_manifest_is_read_with_its_lists() {
        let about = About::read(MANIFEST, "A", Some("https://forge.example/a"), "It's new.").unwrap();
        assert_eq!((about.version.as_str(), about.description.as_str()), ("1.2.3", "Does it."));
        assert_eq!(about.functions, ["Get-A", "Get-B", "Get-C"]);
        assert_eq!(
            (about.aliases, about.tags),
            (vec!["Resolve-A".to_owned()], vec!["One".to_owned(), "Two".to_owned()])
        );
        assert!(About::read("@{ }", "A", None, "").is_err());
    }

    #[test]
    fn a_manifest_is_completed_with_addresses_and_notes() {
        let about = About::read(MANIFEST, "A", Some("https://forge.example/a"), "It's new.").unwrap();
        let complete = about.complete(MANIFEST).unwrap();
        assert!(complete.contains("ProjectUri = 'https://forge.example/a'\n"));
        assert!(complete.contains("ReleaseNotes = 'It''s new.'\n"));
        assert!(complete.contains("            Tags = 'One', 'Two'\n"));
        assert!(about.complete("@{ }").is_err());
    }

    #[test]
    fn the_release_notes_are_the_versions_own_or_what_is_unreleased() {
        let changes = "# Changelog\n\n## Unreleased\n\n- next\n\n## [1.0.0] - 2026-01-01\n\n- first\n";
        assert_eq!(release_notes(changes, "1.0.0").unwrap(), "- first");
        assert_eq!(release_notes(changes, "1.1.0").unwrap(), "- next");
        assert!(release_notes("# Changelog\n", "1.0.0").is_err());
    }
}
