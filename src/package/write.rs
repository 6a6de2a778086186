//! Making package archives.
//!
//! The same manifest and payload give the same bytes: entries are sorted, their times are 1980-01-01, their permissions
//! fixed. A file appears under its name only when it is whole, on disk, and readable by [`read_manifest`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::payload::{self, Entry};
use super::read::read_manifest;
use super::{MANIFEST, MAX_ENTRIES, MAX_INFLATION, Manifest, SMALL_PAYLOAD};
use crate::error::{Error, ErrorKind};
use crate::hex::to_hex;

const CHUNK: usize = 256 * 1024;

/// An archive that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Where it is.
    pub path: PathBuf,
    /// The manifest's Id.
    pub id: String,
    /// The manifest's Version, as written.
    pub version: String,
    /// Bytes of the archive.
    pub size: u64,
    /// 64 lower-case hex digits over the archive.
    pub sha256: String,
}

/// Writes a package of these files and folders.
///
/// A file stands at the package's top under its name, a folder with all that is in it; `folder/.` stands for what is in
/// it. `output` is the archive's path, or a folder that exists: then the name is [`Manifest::file_name`]. Missing folders
/// above it are made.
///
/// # Errors
/// `InvalidArgument` or `InvalidVersionQuery` for a manifest that fails [`Manifest::check`] and for inputs that cannot be
/// used; `PackageAlreadyExists` for a file that is there already, without `overwrite`; `InsufficientStorage`,
/// `PermissionDenied`. Nothing is left behind.
pub fn write(manifest: &Manifest, inputs: &[PathBuf], output: &Path, overwrite: bool) -> Result<PackageFile, Error> {
    manifest.check()?;
    let entries = payload::collect(inputs)?;
    if entries.len() >= MAX_ENTRIES {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{manifest} would hold {} files; at most {MAX_ENTRIES} entries are allowed.", entries.len()),
        ));
    }
    publish(manifest, output, overwrite, |file| {
        let inflated = write_entries(file, manifest, &entries, CompressionMethod::Deflated)?;
        let size = file.metadata().map_err(|error| failed("write", output, &error))?.len();
        if inflated > SMALL_PAYLOAD && inflated / MAX_INFLATION > size {
            // Payload like a file of zeros would make it look like a zip bomb.
            file.set_len(0).and_then(|()| file.rewind()).map_err(|error| failed("write", output, &error))?;
            write_entries(file, manifest, &entries, CompressionMethod::Stored)?;
        }
        Ok(())
    })
}

/// Writes a package whose one file, `payload.bin`, has `size` incompressible bytes, stored as they are: for tests and
/// measurements. They follow from id, version and size, so the same call gives the same archive. Memory is bounded.
///
/// # Errors
/// As for [`write`].
pub fn write_filled(manifest: &Manifest, size: u64, output: &Path, overwrite: bool) -> Result<PackageFile, Error> {
    manifest.check()?;
    publish(manifest, output, overwrite, |file| {
        let broken = |error: &io::Error| failed("write", output, error);
        let mut zip = start(file, manifest)?;
        zip.start_file("payload.bin", options(CompressionMethod::Stored, size))
            .map_err(|error| broken(&error.into()))?;
        let mut noise = Noise::seeded(&[manifest.id.as_bytes(), manifest.version.as_bytes(), &size.to_le_bytes()]);
        let mut chunk = vec![0; CHUNK];
        let mut left = size;
        while left > 0 {
            noise.fill(&mut chunk);
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            zip.write_all(chunk.get(..count).unwrap_or_default()).map_err(|error| broken(&error))?;
            left -= count as u64;
        }
        finish(zip).map_err(|error| broken(&error))
    })
}

/// Lets `fill` write a file beside its place, and moves it there when all is well.
fn publish(
    manifest: &Manifest,
    output: &Path,
    overwrite: bool,
    fill: impl FnOnce(&mut File) -> Result<(), Error>,
) -> Result<PackageFile, Error> {
    let path = if output.is_dir() { output.join(manifest.file_name()) } else { output.to_owned() };
    let broken = |error: &io::Error| failed("write", &path, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(exists(manifest, &path));
    }
    fs::create_dir_all(folder).map_err(|error| broken(&error))?;
    let mut partial = Partial::create(folder).map_err(|error| broken(&error))?;
    fill(&mut partial.file)?;
    partial.file.sync_all().map_err(|error| broken(&error))?;
    partial.file.rewind().map_err(|error| broken(&error))?;
    let (size, sha256) = measure(&mut partial.file).map_err(|error| broken(&error))?;
    let written = read_manifest(&mut partial.file).map_err(|error| {
        error.within(&format!("{manifest} cannot become a package")).with_target(manifest.id.as_str())
    })?;
    if written != *manifest {
        // A key in `other` that shadows one of the fields.
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{manifest} cannot become a package: its {MANIFEST} would be read differently than it was given."),
        ));
    }
    partial.persist(&path, overwrite).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(manifest, &path),
        _ => broken(&error),
    })?;
    Ok(PackageFile { path, id: manifest.id.clone(), version: manifest.version.clone(), size, sha256 })
}

fn exists(manifest: &Manifest, path: &Path) -> Error {
    Error::new(
        ErrorKind::PackageAlreadyExists,
        format!("{manifest} was not written: '{}' exists already.", path.display()),
    )
    .with_hint("Give another folder, or -Force to replace it.")
    .with_target(path.display().to_string())
}

/// Writes the whole archive; the bytes that it inflates to.
fn write_entries(
    file: &mut File,
    manifest: &Manifest,
    entries: &[Entry],
    method: CompressionMethod,
) -> Result<u64, Error> {
    let mut zip = start(file, manifest)?;
    let mut inflated = 0u64;
    for entry in entries {
        let Some(path) = &entry.file else {
            let options = options(CompressionMethod::Stored, 0).unix_permissions(0o755);
            zip.add_directory(entry.name.as_str(), options)
                .map_err(|error| failed("write", Path::new(&entry.name), &error.into()))?;
            continue;
        };
        let broken = |error: &io::Error| failed("include", path, error);
        let mut source = File::open(path).map_err(|error| broken(&error))?;
        let size = source.metadata().map_err(|error| broken(&error))?.len();
        zip.start_file(entry.name.as_str(), options(method, size)).map_err(|error| broken(&error.into()))?;
        inflated +=
            io::copy(&mut BufReader::with_capacity(CHUNK, &mut source), &mut zip).map_err(|error| broken(&error))?;
    }
    finish(zip).map_err(|error| failed("write", Path::new(MANIFEST), &error))?;
    Ok(inflated)
}

type Zip<'a> = ZipWriter<BufWriter<&'a mut File>>;

/// A new archive with its manifest, which comes first so that a reader of the stream finds it at once.
fn start<'a>(file: &'a mut File, manifest: &Manifest) -> Result<Zip<'a>, Error> {
    let broken = |error: io::Error| failed("write", Path::new(MANIFEST), &error);
    let mut text = serde_json::to_vec_pretty(manifest).map_err(|error| broken(error.into()))?;
    text.push(b'\n');
    let mut zip = ZipWriter::new(BufWriter::with_capacity(CHUNK, file));
    zip.start_file(MANIFEST, options(CompressionMethod::Deflated, text.len() as u64))
        .map_err(|error| broken(error.into()))?;
    zip.write_all(&text).map_err(broken)?;
    Ok(zip)
}

fn finish(zip: Zip<'_>) -> io::Result<()> {
    zip.finish()?.flush()
}

fn options(method: CompressionMethod, size: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o644)
        // Deflate may make a file a little larger than it was.
        .large_file(size >= u64::from(u32::MAX) - (u64::from(u32::MAX) >> 10))
}

fn measure(file: &mut File) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok((size, to_hex(&hasher.finalize().into())));
        }
        size += count as u64;
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
}

/// SHA-256 over the parts, one after the other.
pub(super) fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What an input or output error means.
pub(super) fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::InsufficientStorage,
        _ => ErrorKind::InvalidArgument,
    };
    Error::new(kind, format!("Cannot {verb} '{}': {error}.", path.display())).with_target(path.display().to_string())
}

/// A file that is removed unless it is moved to its place.
struct Partial {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Partial {
    fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".uss-{:016x}.partial", rand::random::<u64>()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, kept: false })
    }

    fn persist(mut self, target: &Path, overwrite: bool) -> io::Result<()> {
        if overwrite {
            fs::rename(&self.path, target)?;
            self.kept = true;
            return Ok(());
        }
        // A link fails if the target has appeared meanwhile, which a rename would replace.
        match fs::hard_link(&self.path, target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) if target.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            // Not every file system has links.
            Err(_) => {
                fs::rename(&self.path, target)?;
                self.kept = true;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing more can be done about a file that cannot be removed; its name says what it is.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): no compressor finds anything in
/// it, and it is faster than a disk.
struct Noise(u64);

impl Noise {
    fn seeded(parts: &[&[u8]]) -> Self {
        let digest = digest_of(parts);
        Self(digest.first_chunk().copied().map_or(0, u64::from_le_bytes))
    }

    fn fill(&mut self, chunk: &mut [u8]) {
        for bytes in chunk.as_chunks_mut::<8>().0 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *bytes = (mixed ^ (mixed >> 31)).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use zip::ZipArchive;

    use super::super::Dependency;
    use super::*;

    fn manifest() -> Manifest {
        let dependency =
            Dependency { package_id: "base".into(), version_query: ">=1.0".into(), ..Dependency::default() };
        Manifest {
            id: "bundle/my-pos".into(),
            version: "1.2.0-rc.1".into(),
            dependencies: vec![dependency],
            ..Manifest::default()
        }
    }

    fn names(path: &Path) -> Vec<String> {
        let zip = ZipArchive::new(File::open(path).unwrap()).unwrap();
        zip.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    fn files_in(folder: &Path) -> Vec<String> {
        let mut files: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_package_is_written_with_its_manifest_first_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("bin");
        fs::create_dir(&input).unwrap();
        fs::write(input.join("a.txt"), "text").unwrap();
        fs::write(folder.path().join("Package.psm1"), "function x {}").unwrap();
        let output = folder.path().join("out");
        fs::create_dir(&output).unwrap();
        let file = write(&manifest(), &[input, folder.path().join("Package.psm1")], &output, false).unwrap();
        assert_eq!(file.path, output.join("bundle_my-pos-1.2.0-rc.1.zip"));
        assert_eq!((file.id.as_str(), file.version.as_str()), ("bundle/my-pos", "1.2.0-rc.1"));
        assert_eq!(names(&file.path), ["Manifest.json", "Package.psm1", "bin/a.txt"]);
        assert_eq!(read_manifest(File::open(&file.path).unwrap()).unwrap(), manifest());
        let bytes = fs::read(&file.path).unwrap();
        assert_eq!((file.size, file.sha256), (bytes.len() as u64, to_hex(&digest_of(&[&bytes]))));
        let mut zip = ZipArchive::new(File::open(&file.path).unwrap()).unwrap();
        assert_eq!(io::read_to_string(zip.by_name("bin/a.txt").unwrap()).unwrap(), "text");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, files: [&str; 3]| {
            let input = folder.path().join(name);
            fs::create_dir_all(input.join("payload")).unwrap();
            for file in files {
                fs::write(input.join("payload").join(file), file.repeat(1000)).unwrap();
            }
            write(&manifest(), &[input.join("payload")], &folder.path().join(format!("{name}.zip")), false).unwrap()
        };
        let first = make("one", ["x", "y", "z"]);
        let second = make("two", ["z", "x", "y"]);
        assert_eq!(first.sha256, second.sha256);
        assert_ne!(first.sha256, make("three", ["x", "y", "a"]).sha256);
    }

    #[test]
    fn an_existing_file_is_replaced_only_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("new/folder/a.zip");
        let first = write(&manifest(), &[], &output, false).unwrap();
        let other = Manifest { description: Some("other".into()), ..manifest() };
        let error = write(&other, &[], &output, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PackageAlreadyExists);
        assert_eq!(fs::read(&output).unwrap().len() as u64, first.size);
        let second = write(&other, &[], &output, true).unwrap();
        assert_ne!(first.sha256, second.sha256);
        assert_eq!(files_in(output.parent().unwrap()), ["a.zip"]);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.zip");
        let partial = Partial::create(folder.path()).unwrap();
        fs::write(&target, "theirs").unwrap();
        assert_eq!(partial.persist(&target, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(files_in(folder.path()), ["a.zip"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a.zip");
        let wrong = Manifest { version: "one".into(), ..manifest() };
        assert_eq!(write(&wrong, &[], &output, false).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let missing = write(&manifest(), &[folder.path().join("nowhere")], &output, false).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::InvalidArgument);
        let mut shadowing = manifest();
        shadowing.other.insert("Name".into(), "x".into());
        let error = write(&shadowing, &[], &output, false).unwrap_err();
        assert!(error.message().contains("cannot become a package"), "{error}");
        let large = Manifest { description: Some("x".repeat(2 << 20)), ..manifest() };
        assert!(write(&large, &[], &output, false).unwrap_err().message().contains("more than 1048576 bytes"));
        assert!(files_in(folder.path()).is_empty());
    }

    #[test]
    fn payload_of_zeros_is_stored_so_that_it_is_no_zip_bomb() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("zeros"), vec![0; 8 << 20]).unwrap();
        let file = write(&manifest(), &[folder.path().join("zeros")], folder.path(), false).unwrap();
        assert!(file.size > 8 << 20);
        assert_eq!(names(&file.path), ["Manifest.json", "zeros"]);
    }

    #[test]
    fn a_filled_package_has_the_bytes_it_should_have_stored() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 3 * CHUNK as u64 + 5] {
            let file = write_filled(&manifest(), size, &folder.path().join("a.zip"), true).unwrap();
            assert!(file.size > size && file.size < size + 1024, "{size}");
            let again = write_filled(&manifest(), size, &folder.path().join("b.zip"), true).unwrap();
            assert_eq!(file.sha256, again.sha256);
            let mut zip = ZipArchive::new(File::open(&file.path).unwrap()).unwrap();
            let mut payload = zip.by_name("payload.bin").unwrap();
            assert_eq!(payload.compression(), CompressionMethod::Stored);
            assert_eq!(io::copy(&mut payload, &mut io::sink()).unwrap(), size);
        }
    }

    #[test]
    fn noise_cannot_be_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let mut noise = vec![0; 1 << 20];
        Noise::seeded(&[b"seed"]).fill(&mut noise);
        fs::write(folder.path().join("noise"), &noise).unwrap();
        let file = write(&manifest(), &[folder.path().join("noise")], folder.path(), false).unwrap();
        assert!(file.size >= 1 << 20);
    }
}
