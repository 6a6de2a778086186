//! What a folder holds, told by the names of its files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::package::{check_id, file_name, read_manifest};
use crate::version::Version;

/// A package file of a folder.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) version: Version,
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// The package files of a folder whose id is `wanted`. What has another name is not of a package.
///
/// # Errors
/// When the folder cannot be read. A file that vanishes meanwhile is none.
pub(super) fn list(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((id, version)) = name.and_then(|name| tell(name).or_else(|| ask(name, &path))) else { continue };
        if !wanted(&id) {
            continue;
        }
        if let Some(file) = fs::metadata(&path).ok().filter(fs::Metadata::is_file) {
            found.push(Listed { id, version, path, size: file.len() });
        }
    }
    Ok(found)
}

/// Id and version that a name says, if it is the name that [`file_name`] gives them.
fn tell(name: &str) -> Option<(String, Version)> {
    let stem = name.strip_suffix(".zip")?;
    let dot = stem.find('.')?;
    let (id, version) = stem.split_at_checked(stem.get(..dot)?.rfind('-')?)?;
    let (id, version) = (id.replace('_', "/"), Version::parse(version.get(1..)?).ok()?);
    let same = check_id(&id).is_ok() && file_name(&id, version.as_str()) == name;
    same.then_some((id, version))
}

/// Id and version of a file whose name was cut: its manifest has them.
fn ask(name: &str, path: &Path) -> Option<(String, Version)> {
    if !name.ends_with(".zip") || name.len() < 200 {
        return None;
    }
    let manifest = read_manifest(File::open(path).ok()?).ok()?;
    let version = Version::parse(&manifest.version).ok()?;
    (manifest.file_name() == name).then_some((manifest.id, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_package_and_no_other_name_does() {
        for (id, version) in [("a", "1.0"), ("bundle/my-pos", "1.2.3-rc.1+b5"), ("a-1", "2.0"), ("/a//b-", "1.0-a-b.c")]
        {
            let (told, of) = tell(&file_name(id, version)).unwrap();
            assert_eq!((told.as_str(), of.as_str()), (id, version));
        }
        for other in
            ["a.zip", "a-1.0", "a-1.zip", "A-1.0.zip", "-1.0.zip", "a-01.0.zip", "a-1.0.zip.partial", "é-1.0.zip"]
        {
            assert!(tell(other).is_none(), "{other}");
        }
    }
}
