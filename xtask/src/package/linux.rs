//! The library for Linux: which C library it needs, and building it for an older one than this machine's.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, process, workspace};

/// The oldest C library that a package runs on: Debian 10, RHEL 8 and what is newer.
const OLDEST: GlibC = GlibC(2, 28);

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GlibC(u32, u32);

impl GlibC {
    /// Whether a platform's libraries need one.
    pub(crate) fn is_of(rid: &str) -> bool {
        rid.starts_with("linux-") && !rid.starts_with("linux-musl-")
    }

    /// The newest version of those that a library's symbols need, told by binutils' readelf.
    pub(crate) fn needed_by(library: &Path) -> Result<Self> {
        let told = process::output(Command::new("readelf").args(["--version-info", "--wide"]).arg(library))
            .map_err(|error| format!("cannot tell which C library {} needs: {error}", library.display()))?;
        let needed = Self::newest(&told);
        needed.ok_or_else(|| format!("{} names no version of the GNU C library", library.display()).into())
    }

    /// The newest in what readelf says of the versions that are needed.
    fn newest(told: &str) -> Option<Self> {
        let names = told.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_"));
        // The one name without a number: relocations in a form that loaders read since 2.36.
        let version = |name: &str| if name == "ABI_DT_RELR" { Some(Self(2, 36)) } else { Self::parse(name) };
        names.filter_map(version).max()
    }

    fn parse(version: &str) -> Option<Self> {
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for GlibC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Refuses a library that older systems than this one could not load.
pub(super) fn check(library: &Path) -> Result<()> {
    let needed = GlibC::needed_by(library)?;
    refuse_newer(library, needed)
}

fn refuse_newer(library: &Path, needed: GlibC) -> Result<()> {
    if needed > OLDEST {
        let shown = library.display();
        return Err(format!("{shown} needs glibc {needed}, and packages are for {OLDEST} and newer").into());
    }
    Ok(())
}

/// Builds for release against the oldest C library, by cargo-zigbuild.
pub(super) fn build() -> Result<PathBuf> {
    if process::output(workspace::cargo().args(["zigbuild", "--help"])).is_err() {
        return Err(format!(
            "a package's library is built for glibc {OLDEST} by cargo-zigbuild, which is not installed: pip install \
             cargo-zigbuild ziglang, with its folder on PATH; or give a library by --native"
        )
        .into());
    }
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target = workspace::scratch()?.join("linux");
    let mut cargo = workspace::cargo();
    cargo.args(["zigbuild", "--release", "--locked", "-p", "uss", "--lib", "--target", &format!("{triple}.{OLDEST}")]);
    process::run(cargo.env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join(triple).join("release/libuss.so"))
}

/// Compiles a C program that needs the library, against the same C library; answers with the program.
pub(super) fn compile(source: &Path, library: &Path, program: PathBuf) -> Result<PathBuf> {
    let target = format!("{}-linux-gnu.{OLDEST}", std::env::consts::ARCH);
    let mut compiler = Command::new("cargo-zigbuild");
    compiler.args(["zig", "cc", "--", "-target", &target, "-std=c99", "-I"]).arg(workspace::root().join("include"));
    // By its name: the path that it has here is not the one that it will have.
    compiler.arg(source).arg("-L").arg(library.parent().unwrap_or(library)).arg("-luss");
    process::output(compiler.arg("-o").arg(&program))?;
    Ok(program)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOLD: &str = "
Version needs section '.gnu.version_r' contains 2 entries:
 Addr: 0x000000000000e3c8  Offset: 0x0000e3c8  Link: 5 (.dynstr)
  000000: Version: 1  File: libgcc_s.so.1  Cnt: 1
  0x0010:   Name: GCC_3.0  Flags: none  Version: 12
  0x0020: Version: 1  File: libc.so.6  Cnt: 3
  0x0030:   Name: GLIBC_2.9  Flags: none  Version: 11
  0x0040:   Name: GLIBC_2.28  Flags: none  Version: 10
  0x0050:   Name: GLIBC_2.2.5  Flags: none  Version: 2
";

    #[test]
    fn the_newest_version_is_found_by_number() {
        assert_eq!(GlibC::newest(TOLD), Some(GlibC(2, 28)));
        assert_eq!(GlibC::newest("Name: GLIBC_PRIVATE"), None);
        assert_eq!(GlibC::newest(&format!("{TOLD} Name: GLIBC_ABI_DT_RELR")), Some(GlibC(2, 36)));
        assert_eq!(GlibC::newest(""), None);
    }

    #[test]
    fn a_library_for_a_newer_system_is_refused_with_what_it_needs() {
        let library = Path::new("libuss.so");
        refuse_newer(library, GlibC(2, 28)).unwrap();
        let newer = GlibC::newest(&TOLD.replace("GLIBC_2.9", "GLIBC_2.34")).unwrap();
        let refused = refuse_newer(library, newer).unwrap_err().to_string();
        assert_eq!(refused, "libuss.so needs glibc 2.34, and packages are for 2.28 and newer");
    }
}
