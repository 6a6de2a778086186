//! The self-contained PowerShell modules: script, nested native module, help and library in one folder each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, workspace};

/// The library for one platform, by .NET's name of it: a module finds it by that name at run time.
pub(crate) struct Native {
    pub(crate) rid: String,
    pub(crate) library: PathBuf,
}

impl Native {
    /// The library of this platform.
    pub(crate) fn here(library: PathBuf) -> Result<Self> {
        Ok(Self { rid: rid()?, library })
    }
}

/// Puts each module of `powershell/` below `out`, with the libraries; answers with the modules' folders.
///
/// A module is made beside its place and then renamed, so that a reader never finds half of one, and nothing of an
/// older one stays.
pub(crate) fn stage(natives: &[Native], out: &Path) -> Result<Vec<PathBuf>> {
    let source = workspace::root().join("powershell");
    fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let mut staged = Vec::new();
    for entry in fs::read_dir(&source).map_err(|error| format!("cannot read {}: {error}", source.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().join(format!("{name}.psd1")).is_file() {
            continue;
        }
        let fresh = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(out)?;
        let module = fresh.path().join("new");
        copy_folder(&entry.path(), &module)?;
        copy_folder(&source.join("Native"), &module)?;
        for Native { rid, library } in natives {
            let native = module.join("native").join(rid);
            fs::create_dir_all(&native)?;
            let file = library.file_name().ok_or("the library has no name")?;
            fs::copy(library, native.join(file))
                .map_err(|error| format!("cannot copy {}: {error}", library.display()))?;
        }

        let place = out.join(&name);
        if place.exists() {
            fs::rename(&place, fresh.path().join("old"))
                .map_err(|error| format!("cannot replace {}: {error}", place.display()))?;
        }
        fs::rename(&module, &place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
        staged.push(place);
    }
    staged.sort();
    if staged.is_empty() { Err(format!("{} holds no module", source.display()).into()) } else { Ok(staged) }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).map_err(|error| format!("cannot read {}: {error}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .map_err(|error| format!("cannot copy {}: {error}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// .NET's name of this platform.
fn rid() -> Result<String> {
    let system = match std::env::consts::OS {
        "linux" if cfg!(target_env = "musl") => "linux-musl",
        "linux" => "linux",
        "macos" => "osx",
        "windows" => "win",
        other => return Err(format!("no module is staged for {other}").into()),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("no module is staged for {other}").into()),
    };
    Ok(format!("{system}-{processor}"))
}
