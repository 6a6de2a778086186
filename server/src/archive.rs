//! What a package archive says of itself, as the store keeps it.

use std::io::{Read, Seek};

use uss::package;
use uss::update_service::model::Dependency;
use uss::{Error, Version};

/// What is read from the manifest.
#[derive(Clone, Debug)]
pub struct Archive {
    /// `bundle/my-pos`.
    pub id: String,
    /// As written.
    pub version: Version,
    /// Name.
    pub name: Option<String>,
    /// DisplayName.
    pub display_name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Dependencies.
    pub dependencies: Vec<Dependency>,
}

/// Reads the archive's manifest, within the limits of [`package::read_manifest`].
///
/// # Errors
/// `InvalidPackage`: not a zip, no manifest, or one that cannot be used.
pub fn read<R: Read + Seek>(file: R) -> Result<Archive, Error> {
    let manifest = package::read_manifest(file)?;
    let dependencies = manifest.dependencies.into_iter().map(|dependency| Dependency {
        package_id: dependency.package_id,
        version_query: dependency.version_query,
        optional: dependency.optional,
        only_restrict_version: dependency.only_restrict_version,
    });
    Ok(Archive {
        version: Version::parse(&manifest.version)?,
        id: manifest.id,
        name: manifest.name,
        display_name: manifest.display_name,
        description: manifest.description,
        dependencies: dependencies.collect(),
    })
}
