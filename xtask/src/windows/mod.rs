//! The library for Windows, cross-built on Debian, and what can be said about the file without running it.
//!
//! Debian's rustc-web comes with the standard library's source; cargo builds it for the target, so that no toolchain
//! has to be downloaded. The runtime is linked in: the DLL needs nothing beside what Windows brings.

pub(crate) mod bridge;
pub(crate) mod wine;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result, debian, header, process,
    stage::{self, Native},
    workspace::{self, Profile},
};

/// What the build needs beyond the checkout.
const PACKAGES: [&str; 5] =
    ["rustc-web", "cargo-web", "libstd-rust-web-dev", "rust-web-src", "gcc-mingw-w64-x86-64-win32"];
/// What looking into a DLL needs; the build brings it along.
const OBJDUMP: &str = "x86_64-w64-mingw32-objdump";
const OBJDUMP_PACKAGES: [&str; 1] = ["binutils-mingw-w64-x86-64"];
/// The triple that the library is built for, and .NET's name of the same platform.
const TARGET: &str = "x86_64-pc-windows-gnu";
pub(crate) const RID: &str = "win-x64";
/// Debian's cargo and rustc: a rustup that is first on PATH has no standard library for Windows here.
const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";

/// Libraries that every supported Windows has. Anything else would have to be shipped beside the DLL.
const SYSTEM_LIBRARIES: [&str; 14] = [
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "crypt32.dll",
    "kernel32.dll",
    "ktmw32.dll",
    "msvcrt.dll",
    "ntdll.dll",
    "oleaut32.dll",
    "secur32.dll",
    "shell32.dll",
    "user32.dll",
    "userenv.dll",
    "ws2_32.dll",
];

/// What the loader of Windows is told to protect: address layout over 64 bits, relocation, data that never runs.
const CHARACTERISTICS: [&str; 3] = ["HIGH_ENTROPY_VA", "DYNAMIC_BASE", "NX_COMPAT"];

/// Builds `uss.dll` and checks it; answers with its path.
///
/// A dev build has no debugging information either: nothing here could show it.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    available()?;
    let library = workspace::build_by(command(profile)?)?.file("uss.dll")?;
    check(&library)?;
    Ok(library)
}

/// What [`build`] runs.
pub(crate) fn command(profile: Profile) -> Result<Command> {
    let mut cargo = workspace::cargo_at(CARGO);
    cargo.args(["build", "-Z", "build-std=std,panic_unwind", "--target", TARGET, "-p", "uss", "--lib"]);
    match profile {
        Profile::Dev => cargo.args(["--config", "profile.dev.debug=0"]),
        // What ships names no path of the machine that built it.
        Profile::Release => {
            cargo.args(["--release", "-Z", "trim-paths", "--config", "profile.release.trim-paths='all'"])
        }
    };
    // build-std and trim-paths are features of nightly compilers; the variable is how Debian's own packages use them.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", RUSTC).env("CARGO_TARGET_DIR", target()?);
    cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "x86_64-w64-mingw32-gcc");
    Ok(cargo)
}

/// The library for Windows that a release build has left, if there was one.
pub(crate) fn built() -> Result<Option<Native>> {
    let library = target()?.join(TARGET).join("release/uss.dll");
    Ok(library.is_file().then(|| Native { rid: RID.to_owned(), library }))
}

/// Where the build puts everything, beside that of this platform.
fn target() -> Result<PathBuf> {
    Ok(workspace::scratch()?.join("windows"))
}

/// Stages the modules for this platform and for Windows, both built for release.
pub(crate) fn stage(out: &Path) -> Result<()> {
    let library = build(Profile::Release)?;
    let here = workspace::build(Profile::Release, &["-p", "uss", "--lib"])?.library()?;
    for module in stage::stage(&[Native::here(here)?, Native { rid: RID.to_owned(), library }], out)? {
        println!("{}", module.display());
    }
    Ok(())
}

/// Whether this machine can build for Windows; installs what is missing where it may.
pub(crate) fn available() -> Result<()> {
    if !debian::is_debian() {
        return Err("building for Windows from another system is set up for Debian; on Windows itself, run cargo \
                    xtask stage"
            .into());
    }
    debian::require(&PACKAGES, "build for Windows")
}

/// Checks a DLL that was built elsewhere.
pub(crate) fn check_file(library: &Path) -> Result<()> {
    if !library.is_file() {
        return Err(format!("there is no {}", library.display()).into());
    }
    debian::require(&OBJDUMP_PACKAGES, "look into a DLL")?;
    check(library)?;
    println!("{} has the header's functions, needs nothing beside it, and is protected", library.display());
    Ok(())
}

/// What must hold for a DLL that is shipped: the header's functions and no others, nothing to install beside it, the
/// loader's protections, no debugging information.
fn check(library: &Path) -> Result<()> {
    let told = process::output(Command::new(OBJDUMP).arg("-p").arg(library))?;
    let sections = process::output(Command::new(OBJDUMP).arg("-h").arg(library))?;
    let found = Portable::read(&told, &sections);
    header::same("uss.dll", &found.exports, &header::declared()?)?;
    let wrong = found.complaints();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}: {}", library.display(), wrong.join("; ")).into()) }
}

/// What objdump tells of a PE file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Portable {
    exports: BTreeSet<String>,
    imports: BTreeSet<String>,
    characteristics: BTreeSet<String>,
    debug: bool,
}

impl Portable {
    fn read(private_headers: &str, sections: &str) -> Self {
        let mut found = Self { debug: sections.contains(" .debug_"), ..Self::default() };
        let (mut in_characteristics, mut in_names) = (false, false);
        for line in private_headers.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            in_characteristics = match words.as_slice() {
                ["DllCharacteristics", ..] => true,
                [flag] if in_characteristics => found.characteristics.insert((*flag).to_owned()),
                _ => false,
            };
            match words.as_slice() {
                ["DLL", "Name:", library] => {
                    found.imports.insert(library.to_ascii_lowercase());
                }
                ["[Ordinal/Name", "Pointer]", "Table", ..] => in_names = true,
                [] => in_names = false,
                [first, .., name] if in_names && first.starts_with('[') => {
                    found.exports.insert((*name).to_owned());
                }
                _ => {}
            }
        }
        found
    }

    fn complaints(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let beside: Vec<&str> = self
            .imports
            .iter()
            .map(String::as_str)
            .filter(|name| !SYSTEM_LIBRARIES.contains(name) && !name.starts_with("api-ms-win-"))
            .collect();
        if !beside.is_empty() {
            wrong.push(format!("it needs {}, which Windows does not bring", beside.join(", ")));
        }
        let off: Vec<&str> = CHARACTERISTICS.into_iter().filter(|flag| !self.characteristics.contains(*flag)).collect();
        if !off.is_empty() {
            wrong.push(format!("it does without {}", off.join(", ")));
        }
        if self.debug {
            wrong.push("it holds debugging information".to_owned());
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "\
DllCharacteristics	00000160
					HIGH_ENTROPY_VA
					DYNAMIC_BASE
					NX_COMPAT
SizeOfStackReserve	0000000000200000

	DLL Name: KERNEL32.dll
	vma:  Hint/Ord Member-Name Bound-To

	DLL Name: libgcc_s_seh-1.dll

[Ordinal/Name Pointer] Table
	[   0] uss_abi_version
	[   1] uss_buffer_free

";

    #[test]
    fn a_library_that_windows_does_not_bring_is_a_complaint() {
        let found = Portable::read(HEADERS, "  0 .text  00a1\n");
        assert_eq!(found.exports, BTreeSet::from(["uss_abi_version", "uss_buffer_free"].map(str::to_owned)));
        assert_eq!(found.complaints(), ["it needs libgcc_s_seh-1.dll, which Windows does not bring"]);
    }

    #[test]
    fn a_missing_protection_and_debugging_information_are_complaints() {
        let found =
            Portable::read(&HEADERS.replace("NX_COMPAT", "").replace("libgcc_s_seh-1", "ntdll"), " 3 .debug_info ");
        assert_eq!(found.complaints(), ["it does without NX_COMPAT", "it holds debugging information"]);
    }
}
