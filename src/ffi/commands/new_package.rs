//! `new-package`: makes a package archive. Cmdlet: New-UssPackage.

use std::path::PathBuf;

use super::{Command, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::model::PackageFile;
use crate::ffi::operation::Run;
use crate::package::{self, Dependency, Manifest};

fieldset! {
    /// Makes a package archive: a manifest and files. A package without files is a bundle of its dependencies.
    pub(super) struct NewPackage as "new-package" {
        /// The manifest's Id: lower-case letters, digits, hyphens and slashes.
        id: String,
        /// The manifest's Name.
        name: Option<String>,
        /// The manifest's DisplayName.
        display_name: Option<String>,
        /// The manifest's Description.
        description: Option<String>,
        /// The manifest's Version.
        version: String,
        /// The folder that the archive is written to, as ID-VERSION.zip, with _ for each slash of the id.
        output_dir: PathBuf,
        /// Files and folders that go into the archive.
        input_path: Vec<PathBuf>,
        /// The packages that it needs.
        dependency_id: Vec<String>,
        /// Which version of each, in the same order; if not given, the newest.
        dependency_version_query: Vec<String>,
        /// Whether each is not needed to work, in the same order; if not given, none.
        dependency_optional: Vec<bool>,
        /// Whether each only restricts what something else brings in, in the same order; if not given, none.
        dependency_only_restrict_version: Vec<bool>,
        /// Replaces an archive that is there.
        force: bool,
    }
}

impl Command for NewPackage {
    const ROWS: &'static str = "one Uss.PackageFile.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let manifest = Manifest {
            dependencies: self.dependencies()?,
            id: self.id,
            name: self.name,
            display_name: self.display_name,
            description: self.description,
            version: self.version,
            ..Manifest::default()
        };
        let output = self.output_dir.join(manifest.file_name());
        let write = move || package::write(&manifest, &self.input_path, &output, self.force);
        let written = tokio::task::spawn_blocking(write).await;
        let file = written.map_err(|_| Error::new(ErrorKind::Internal, "Writing the package broke off."))??;
        run.row(PackageFile::from(file));
        Ok(())
    }
}

impl NewPackage {
    fn dependencies(&self) -> Result<Vec<Dependency>, Error> {
        let count = self.dependency_id.len();
        let queries = parallel(&self.dependency_version_query, count, "dependencyVersionQuery")?;
        let optional = parallel(&self.dependency_optional, count, "dependencyOptional")?;
        let restricting = parallel(&self.dependency_only_restrict_version, count, "dependencyOnlyRestrictVersion")?;
        let dependencies = self.dependency_id.iter().zip(queries).zip(optional).zip(restricting);
        Ok(dependencies
            .map(|(((package_id, version_query), optional), only_restrict_version)| Dependency {
                package_id: package_id.clone(),
                version_query,
                optional,
                only_restrict_version,
                ..Dependency::default()
            })
            .collect())
    }
}

/// A list beside another: as long as it, or not given at all.
fn parallel<T: Clone + Default>(list: &[T], count: usize, name: &str) -> Result<Vec<T>, Error> {
    match list.len() {
        0 => Ok(vec![T::default(); count]),
        length if length == count => Ok(list.to_vec()),
        length => {
            let message = format!("The field '{name}' was given {length} times for {count} dependencies.");
            Err(Error::new(ErrorKind::InvalidArgument, message).with_target(name))
        }
    }
}
