//! `installer add`.

use std::fs::File;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use uss::Version;

use crate::config::StoreArgs;
use crate::store::audit::Entry;
use crate::store::installers::{self, NewInstaller, Published};

#[derive(Subcommand, Debug)]
pub enum Installer {
    /// Publish a file of this machine as an installer and print its id
    Add(Add),
}

#[derive(Args, Debug)]
pub struct Add {
    file: PathBuf,
    /// What people call it
    #[arg(long)]
    name: String,
    /// The package that it installs
    #[arg(long, value_name = "ID", requires = "package_version")]
    package_id: Option<String>,
    /// That package's version
    #[arg(long = "version", value_name = "V", requires = "package_id")]
    package_version: Option<String>,
}

/// Runs `installer`.
pub async fn run(installer: Installer, store: &StoreArgs) -> Result<(), String> {
    let Installer::Add(add) = installer;
    if let Some(id) = &add.package_id {
        uss::package::check_id(id).map_err(|error| error.to_string())?;
    }
    let version = add.package_version.as_deref().map(Version::parse).transpose().map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| format!("{}: {error}", add.file.display());
    let source = File::open(&add.file).map_err(failed)?;
    if source.metadata().map_err(failed)?.len() == 0 {
        return Err(format!("{} is empty", add.file.display()));
    }
    let new = NewInstaller {
        id: None,
        name: add.name.clone(),
        package_id: add.package_id.clone(),
        version: version.map(|version| version.as_str().to_owned()),
        file_name: add.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let store = super::open(store, true).await?;
    let blob = super::package::copy_in(&store, source).await.map_err(|error| error.to_string())?;
    let published = installers::publish(&store, blob, new, false, &Entry::command_line()).await;
    match published.map_err(|error| error.to_string())? {
        Published::Created(installer) | Published::AlreadyThere(installer) | Published::Replaced(installer) => {
            super::print(&installer.id)
        }
        Published::Conflict(installer) => Err(format!("installer {} exists already", installer.id)),
    }
}
