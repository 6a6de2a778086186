//! `package add`, `package make`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use uss::package::{self, Dependency, Manifest};

use crate::archive;
use crate::config::StoreArgs;
use crate::store::audit::Entry;
use crate::store::blobs::{BlobWriter, FreshBlob};
use crate::store::packages::{self, Published};
use crate::store::{Store, StoreError};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

#[derive(Subcommand, Debug)]
pub enum Package {
    /// Publish package archives that lie on this machine
    Add {
        /// Archives
        #[arg(required = true, value_name = "FILE.zip")]
        files: Vec<PathBuf>,
        /// Replace a version that is there with other bytes
        #[arg(long)]
        force: bool,
    },
    /// Make a package archive and print its path
    Make(Make),
}

#[derive(Args, Debug)]
pub struct Make {
    #[arg(long)]
    id: String,
    #[arg(long)]
    version: String,
    /// What it needs, as ID=QUERY
    #[arg(long, value_name = "ID=QUERY")]
    dependency: Vec<String>,
    /// A file to put in
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    payload: Option<PathBuf>,
    /// Bytes of incompressible payload, stored uncompressed
    #[arg(long, value_name = "N")]
    size: Option<u64>,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs `package`.
pub async fn run(package: Package, store: &StoreArgs) -> Result<(), String> {
    match package {
        Package::Add { files, force } => {
            let store = super::open(store, true).await?;
            for file in files {
                let line = add(&store, &file, force).await.map_err(|error| format!("{}: {error}", file.display()))?;
                super::print(&line)?;
            }
            Ok(())
        }
        Package::Make(make) => {
            let out = make.out.clone();
            let made = tokio::task::spawn_blocking(move || self::make(&make)).await;
            made.map_err(|error| error.to_string())??;
            super::print(&out.display().to_string())
        }
    }
}

async fn add(store: &Store, file: &Path, force: bool) -> Result<String, String> {
    let path = file.to_owned();
    let read = move || File::open(&path).map_err(|error| error.to_string());
    let opened = tokio::task::spawn_blocking(move || {
        let archive = archive::read(read()?).map_err(|error| error.to_string())?;
        Ok::<_, String>((read()?, archive))
    });
    let (source, archive) = opened.await.map_err(|error| error.to_string())??;
    let blob = copy_in(store, source).await.map_err(|error| error.to_string())?;
    let published = packages::publish(store, blob, archive, force, &Entry::command_line()).await;
    let (version, outcome) = match published.map_err(|error| error.to_string())? {
        Published::Created(version) => (version, "added"),
        Published::AlreadyThere(version) => (version, "was there already"),
        Published::Replaced(version) => (version, "replaced"),
        Published::Conflict(version) => {
            return Err(format!("Package already exists: {} {}", version.package_id, version.version));
        }
    };
    Ok(format!(
        "{} {} {outcome} ({} bytes, sha256 {})",
        version.package_id, version.version, version.size, version.sha256
    ))
}

/// Stores a file of this machine as a blob.
pub async fn copy_in(store: &Store, mut source: File) -> Result<FreshBlob, StoreError> {
    let mut writer = BlobWriter::new(&store.blobs);
    loop {
        let read = tokio::task::spawn_blocking(move || -> io::Result<(File, Vec<u8>)> {
            let mut block = Vec::with_capacity(BLOCK);
            (&mut source).take(BLOCK as u64).read_to_end(&mut block)?;
            Ok((source, block))
        });
        let block;
        (source, block) = read.await??;
        if block.is_empty() {
            return writer.finish().await;
        }
        writer.write(block.into()).await?;
    }
}

fn make(make: &Make) -> Result<(), String> {
    let mut dependencies = Vec::new();
    for text in &make.dependency {
        let (id, query) = text.split_once('=').ok_or_else(|| format!("'{text}' is not of the form ID=QUERY"))?;
        let (package_id, version_query) = (id.to_owned(), query.to_owned());
        dependencies.push(Dependency { package_id, version_query, ..Dependency::default() });
    }
    let manifest = Manifest {
        id: make.id.clone(),
        name: Some(make.id.clone()),
        version: make.version.clone(),
        dependencies,
        ..Manifest::default()
    };
    let inputs: Vec<_> = make.payload.iter().cloned().collect();
    let made = match make.size {
        Some(size) => package::write_filled(&manifest, size, &make.out, true),
        None => package::write(&manifest, &inputs, &make.out, true),
    };
    made.map(|_| ()).map_err(|error| error.to_string())
}
