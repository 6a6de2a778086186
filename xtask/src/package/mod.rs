//! `cargo xtask package`: what people install. Everything that is made here is made of the same bytes by the same input.
//!
//! - `Uss.<version>.nupkg`, `Vap.<version>.nupkg`: for the PowerShell Gallery, or a folder that stands for one.
//! - `uss-<version>.zip`: both modules as they lie in a modules folder, for machines without a gallery.
//! - `uss-<version>.cdx.json`: what the native libraries are made of (CycloneDX).
//! - `SHA256SUMS`: the digests of all of them.

mod archive;
mod linux;
mod manifest;
mod nuget;
mod older;
mod sbom;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

pub(crate) use linux::GlibC;

use crate::{
    Result, Usage,
    stage::{self, Native},
    windows,
    workspace::{self, Profile},
};

/// The version of everything that is made: the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A module's files by their path in it, with `/`.
type Files = BTreeMap<String, Vec<u8>>;

/// A platform that a package can hold a library for.
struct Platform {
    /// .NET's name.
    rid: &'static str,
    /// Rust's name.
    triple: &'static str,
    /// What the module loads.
    library: &'static str,
    /// How such a file begins, and where in it (counted from the PE header for Windows) it names its processor.
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// e_machine
    Elf(u16),
    /// Machine
    Pe(u16),
    /// cputype of a 64-bit little-endian file
    MachO(u32),
}

const PLATFORMS: [Platform; 8] = [
    platform("linux-x64", "x86_64-unknown-linux-gnu", "libuss.so", Kind::Elf(62)),
    platform("linux-arm64", "aarch64-unknown-linux-gnu", "libuss.so", Kind::Elf(183)),
    platform("linux-musl-x64", "x86_64-unknown-linux-musl", "libuss.so", Kind::Elf(62)),
    platform("linux-musl-arm64", "aarch64-unknown-linux-musl", "libuss.so", Kind::Elf(183)),
    platform("osx-x64", "x86_64-apple-darwin", "libuss.dylib", Kind::MachO(0x0100_0007)),
    platform("osx-arm64", "aarch64-apple-darwin", "libuss.dylib", Kind::MachO(0x0100_000C)),
    platform("win-x64", "x86_64-pc-windows-gnu", "uss.dll", Kind::Pe(0x8664)),
    platform("win-arm64", "aarch64-pc-windows-gnullvm", "uss.dll", Kind::Pe(0xAA64)),
];

const fn platform(rid: &'static str, triple: &'static str, library: &'static str, kind: Kind) -> Platform {
    Platform { rid, triple, library, kind }
}

/// Runs the library for packages on an older Debian.
pub(crate) fn run_on(suite: Option<&str>) -> Result<()> {
    older::run(suite.unwrap_or(older::SUITE))
}

/// Builds for this platform, unless its library is given, and packages that with all other libraries that are there.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let (mut out, mut project, mut natives) = (workspace::scratch()?.join("release"), None, Vec::new());
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (*option, options.next().copied()) {
            ("--out", Some(folder)) => out = PathBuf::from(folder),
            ("--project", Some(address)) => project = Some(address.trim_end_matches('/')),
            ("--native", Some(native)) => {
                let (rid, library) = native.split_once('=').ok_or(Usage)?;
                natives.push(Native { rid: rid.to_owned(), library: PathBuf::from(library) });
            }
            _ => return Err(Usage.into()),
        }
    }
    if project.is_some_and(|project| !project.starts_with("https://")) {
        return Err("--project is the project's address, and begins with https://".into());
    }
    let here = Native::here(PathBuf::new())?.rid;
    if !natives.iter().any(|native| native.rid == here) {
        let library = if GlibC::is_of(&here) {
            linux::build()?
        } else {
            workspace::build(Profile::Release, &["-p", "uss", "--lib"])?.library()?
        };
        natives.push(Native { rid: here, library });
    }
    if let Some(built) = windows::built()?.filter(|built| !natives.iter().any(|native| native.rid == built.rid)) {
        natives.push(built);
    }
    for native in &natives {
        if GlibC::is_of(&native.rid) {
            linux::check(&native.library)?;
        }
        println!("{:17} {}", native.rid, native.library.display());
    }
    for made in make(&natives, project, &out)? {
        println!("{}", made.display());
    }
    Ok(())
}

/// Makes all files in `out`, with these libraries; answers with their paths.
///
/// `project` is the project's address, to which licence, icon and release notes are added as the public forge has them;
/// without it the packages name none.
pub(crate) fn make(natives: &[Native], project: Option<&str>, out: &Path) -> Result<Vec<PathBuf>> {
    let mut platforms = Vec::new();
    for native in natives {
        platforms.push(recognise(native)?);
    }
    let notes = manifest::release_notes(&read(&workspace::root().join("CHANGELOG.md"))?, VERSION)?;
    let staging = workspace::temporary_folder("package")?;
    let (mut made, mut both) = (BTreeMap::new(), Files::new());
    for module in stage::stage(natives, staging.path())? {
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Files::new();
        collect(&module, "", &mut files)?;
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            files.insert(format!("{licence}.txt"), fs::read(workspace::root().join(licence))?);
        }
        let data = format!("{name}.psd1");
        let source = files.get(&data).ok_or_else(|| format!("{name} has no {data}"))?;
        let about = manifest::About::read(&String::from_utf8(source.clone())?, &name, project, &notes)?;
        if about.version != VERSION {
            return Err(format!("{data} has version {}, and the library {VERSION}", about.version).into());
        }
        files.insert(data, about.complete(&String::from_utf8(source.clone())?)?.into_bytes());
        made.insert(format!("{name}.{VERSION}.nupkg"), nuget::package(&about, &files)?);
        both.extend(files.into_iter().map(|(path, content)| (format!("{name}/{VERSION}/{path}"), content)));
    }
    made.insert(format!("uss-{VERSION}.zip"), archive::zip(&both)?);
    made.insert(format!("uss-{VERSION}.cdx.json"), sbom::make(natives, &platforms)?);
    let sums: String = made.iter().map(|(name, content)| format!("{}  {name}\n", sha256(content))).collect();
    // Last: where it is, all that it names is there.
    let files = made.into_iter().chain([("SHA256SUMS".to_owned(), sums.into_bytes())]);
    fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let mut paths = Vec::new();
    for (name, content) in files {
        let path = out.join(name);
        fs::write(&path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// The platform that a library is said to be for, when the file is for that.
fn recognise(native: &Native) -> Result<&'static Platform> {
    let known = || PLATFORMS.map(|platform| platform.rid).join(", ");
    let platform = PLATFORMS
        .iter()
        .find(|platform| platform.rid == native.rid)
        .ok_or_else(|| format!("no module is for {}; it is one of {}", native.rid, known()))?;
    let shown = native.library.display();
    if native.library.file_name().is_none_or(|name| name != platform.library) {
        return Err(format!("{shown}: the library for {} is named {}", native.rid, platform.library).into());
    }
    let content = fs::read(&native.library).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if is_of(&content, platform.kind) {
        Ok(platform)
    } else {
        Err(format!("{shown} is no library for {}", native.rid).into())
    }
}

/// Whether a file begins as this kind does and names its processor.
fn is_of(content: &[u8], kind: Kind) -> bool {
    let at = |from: usize, expected: &[u8]| content.get(from..from.saturating_add(expected.len())) == Some(expected);
    match kind {
        Kind::Elf(machine) => at(0, b"\x7fELF\x02\x01") && at(18, &machine.to_le_bytes()),
        Kind::MachO(processor) => at(0, &0xFEED_FACF_u32.to_le_bytes()) && at(4, &processor.to_le_bytes()),
        Kind::Pe(machine) => {
            let header = content.get(60..64).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
            let header = header.and_then(|offset| usize::try_from(offset).ok());
            at(0, b"MZ") && header.is_some_and(|from| at(from, b"PE\0\0") && at(from + 4, &machine.to_le_bytes()))
        }
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_recognised_by_its_processor() {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(18, 0);
        elf.extend(62_u16.to_le_bytes());
        assert!(is_of(&elf, Kind::Elf(62)));
        assert!(!is_of(&elf, Kind::Elf(183)));
        assert!(!is_of(&elf, Kind::Pe(0x8664)));
        let mut pe = b"MZ".to_vec();
        pe.resize(60, 0);
        pe.extend(64_u32.to_le_bytes());
        pe.extend(b"PE\0\0");
        pe.extend(0x8664_u16.to_le_bytes());
        assert!(is_of(&pe, Kind::Pe(0x8664)));
        assert!(!is_of(&pe, Kind::Pe(0xAA64)));
        assert!(!is_of(b"MZ", Kind::Pe(0x8664)));
    }

    #[test]
    fn a_file_for_another_platform_or_of_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uss.dll");
        fs::write(&file, b"\x7fELF").unwrap();
        let refused = |rid: &str| {
            let native = Native { rid: rid.to_owned(), library: file.clone() };
            recognise(&native).map(|platform| platform.rid).unwrap_err().to_string()
        };
        assert!(refused("win-x64").ends_with("is no library for win-x64"));
        assert!(refused("linux-x64").ends_with("is named libuss.so"));
        assert!(refused("beos-x64").starts_with("no module is for beos-x64"));
    }
}
