//! Which files become which entries.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::path::normalised;
use super::write::failed;
use super::{MANIFEST, MAX_ENTRIES};
use crate::error::{Error, ErrorKind};

/// One entry to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path in the archive, with slashes; a folder's ends with one.
    pub(super) name: String,
    /// None for a folder.
    pub(super) file: Option<PathBuf>,
}

/// The entries of the inputs, sorted by name.
///
/// A file stands at the top under its name. A folder stands there with all that is in it; of `folder/.` only what is in it.
/// Folders get an entry only if they are empty. Links to files are followed, links to folders are refused, as they could
/// lead anywhere.
///
/// # Errors
/// `InvalidArgument` naming the input: not there, a name that no archive may hold, two of the same name, `Manifest.json`.
pub(super) fn collect(inputs: &[PathBuf]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for input in inputs {
        let attributes = fs::metadata(input).map_err(|error| failed("read", input, &error))?;
        // file_name() ignores a last '.', so `folder/.` has to be told from `folder` by its text.
        let text = input.to_string_lossy();
        let contents_only = text == "." || text.ends_with("/.") || (cfg!(windows) && text.ends_with("\\."));
        let name = match input.file_name() {
            Some(name) if !contents_only => name_of(Path::new(name), input)?,
            _ if attributes.is_dir() => String::new(),
            _ => return Err(unusable(input, "has no name")),
        };
        if attributes.is_dir() {
            walk(input, &name, &mut entries)?;
        } else {
            entries.push(Entry { name, file: Some(input.clone()) });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    refuse_clashes(&entries)?;
    Ok(entries)
}

fn walk(top: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let mut folders = vec![(top.to_owned(), name.to_owned())];
    while let Some((folder, prefix)) = folders.pop() {
        let mut empty = true;
        for child in fs::read_dir(&folder).map_err(|error| failed("read", &folder, &error))? {
            let child = child.map_err(|error| failed("read", &folder, &error))?;
            let path = child.path();
            let own = name_of(Path::new(&child.file_name()), &path)?;
            let name = if prefix.is_empty() { own } else { format!("{prefix}/{own}") };
            let kind = child.file_type().map_err(|error| failed("read", &path, &error))?;
            empty = false;
            if kind.is_dir() {
                folders.push((path, name));
            } else {
                let target = fs::metadata(&path).map_err(|error| failed("read", &path, &error))?;
                if !target.is_file() {
                    return Err(unusable(&path, "is neither a file nor a folder, or is a link to a folder"));
                }
                entries.push(Entry { name, file: Some(path) });
            }
            if entries.len() + folders.len() > MAX_ENTRIES {
                return Err(unusable(top, &format!("holds more than {MAX_ENTRIES} files")));
            }
        }
        if empty && !prefix.is_empty() {
            entries.push(Entry { name: format!("{prefix}/"), file: None });
        }
    }
    Ok(())
}

/// The name as an archive holds it: UTF-8 that any system reads as one component.
fn name_of(name: &Path, path: &Path) -> Result<String, Error> {
    let name = name.to_str().ok_or_else(|| unusable(path, "has a name that is not Unicode"))?;
    match normalised(name) {
        Ok(normal) if normal == name => Ok(normal),
        Ok(_) => Err(unusable(path, "has a name with a backslash, which is a folder elsewhere")),
        Err(what) => Err(unusable(path, &format!("has a name that {what}"))),
    }
}

fn refuse_clashes(entries: &[Entry]) -> Result<(), Error> {
    // Names that differ in case alone are one file where packages are installed.
    let mut seen: HashMap<String, &Entry> = HashMap::new();
    for entry in entries {
        let path = entry.file.as_deref().unwrap_or(Path::new(&entry.name));
        let key = entry.name.trim_end_matches('/').to_lowercase();
        if key == MANIFEST.to_lowercase() {
            return Err(unusable(
                path,
                &format!("cannot be included: the package's {MANIFEST} is made from the parameters"),
            ));
        }
        if let Some(other) = seen.insert(key, entry) {
            let other = other.file.as_deref().unwrap_or(Path::new(&other.name));
            return Err(unusable(path, &format!("would have the same place in the package as '{}'", other.display())));
        }
    }
    Ok(())
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("The input '{}' {what}.", path.display()))
        .with_target(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
        }
        folder
    }

    fn names(inputs: &[PathBuf]) -> Vec<String> {
        collect(inputs).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn files_stand_at_the_top_and_folders_keep_their_name() {
        let tree = tree(&["one/b/x.txt", "one/a.txt", "one/empty/", "Package.psm1"]);
        let input = |name: &str| tree.path().join(name);
        assert_eq!(
            names(&[input("one"), input("Package.psm1")]),
            ["Package.psm1", "one/a.txt", "one/b/x.txt", "one/empty/"]
        );
        assert_eq!(names(&[input("one/.")]), ["a.txt", "b/x.txt", "empty/"]);
        assert_eq!(names(&[input("one/b/"), input("one/b/x.txt")]), ["b/x.txt", "x.txt"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn what_cannot_be_an_entry_is_refused_by_name() {
        let tree = tree(&["a/same.txt", "b/Same.txt", "c/manifest.json", "c/fine/Manifest.json"]);
        let input = |name: &str| tree.path().join(name);
        let refusal = |inputs: &[PathBuf]| {
            let error = collect(inputs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            error.message().to_owned()
        };
        assert!(refusal(&[input("nowhere")]).contains("nowhere"));
        assert!(refusal(&[input("a/same.txt"), input("b/Same.txt")]).contains("same place"));
        assert!(refusal(&[input("c/.")]).contains("made from the parameters"));
        assert_eq!(names(&[input("c/fine")]), ["fine/Manifest.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_followed_and_links_to_folders_refused() {
        let tree = tree(&["a/x.txt", "y.txt"]);
        std::os::unix::fs::symlink(tree.path().join("y.txt"), tree.path().join("a/link.txt")).unwrap();
        assert_eq!(names(&[tree.path().join("a")]), ["a/link.txt", "a/x.txt"]);
        std::os::unix::fs::symlink(tree.path(), tree.path().join("a/loop")).unwrap();
        assert!(collect(&[tree.path().join("a")]).unwrap_err().message().contains("link to a folder"));
        fs::write(tree.path().join("back\\slash"), "").unwrap();
        assert!(collect(&[tree.path().join("back\\slash")]).unwrap_err().message().contains("backslash"));
    }
}
