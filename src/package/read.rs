//! Reading the manifest of an archive that nobody vouches for.
//!
//! Only the zip's directory and the manifest's own bytes are read, never the payload, and all of it is bounded: memory
//! does not grow with the archive. Nothing is extracted.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipReadOptions;
use zip::read::{ArchiveOffset, Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::path::normalised;
use super::{MANIFEST, Manifest, check_id};
use crate::error::{Error, ErrorKind};
use crate::version::Version;

/// The manifest's size when inflated, in bytes.
pub const MAX_MANIFEST_SIZE: u64 = 1 << 20;
/// Files and folders in an archive.
pub const MAX_ENTRIES: usize = 100_000;
/// The zip's directory, in bytes.
pub const MAX_DIRECTORY_SIZE: u64 = 64 << 20;
/// An archive inflates to at most so many times its size. Text reaches 20, the deflate format 1032.
pub const MAX_INFLATION: u64 = 200;
/// What inflates to at most so many bytes is no zip bomb, whatever the ratio.
pub const SMALL_PAYLOAD: u64 = 4 << 20;

/// Reads the manifest of a package archive and checks the archive's directory.
///
/// # Errors
/// `InvalidPackage` that says which limit or rule is broken: no zip, cut short, encrypted, more than [`MAX_ENTRIES`], a
/// manifest that is missing, there twice or over [`MAX_MANIFEST_SIZE`], no JSON, without a valid Id or Version, a path
/// that leaves the archive, a link, entries that overlap or inflate more than [`MAX_INFLATION`] times.
pub fn read_manifest<R: Read + Seek>(mut archive: R) -> Result<Manifest, Error> {
    let size = archive.seek(SeekFrom::End(0)).map_err(|error| unreadable(&error.into()))?;
    // A small buffer: each entry of the directory is a seek and a read of about a hundred bytes. The archive has to start
    // at the first byte; looking for a start elsewhere would search the payload.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive =
        ZipIterable::try_new(BufReader::with_capacity(512, archive), config).map_err(|error| unreadable(&error))?;
    if archive.len() > MAX_ENTRIES {
        return Err(invalid(format!("has {} entries; at most {MAX_ENTRIES} are allowed", archive.len())));
    }
    let mut directory = Directory::default();
    let entries = archive.files().map_err(|error| unreadable(&error))?;
    for entry in entries.by_ref() {
        directory.add(entry.map_err(|error| unreadable(&error))?)?;
    }
    let entry = directory.finish(size)?;
    // The declared size is the sender's word; what counts is what comes out.
    let mut bytes = Vec::new();
    let mut file =
        entry.with_reader(entries.reader_mut(), ZipReadOptions::new()).map_err(|error| unreadable_manifest(&error))?;
    file.by_ref()
        .take(MAX_MANIFEST_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable_manifest(&error.into()))?;
    if bytes.len() as u64 > MAX_MANIFEST_SIZE {
        return Err(manifest_too_large());
    }
    parse_manifest(&bytes)
}

/// Reads a manifest's JSON: UTF-8, with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// `InvalidPackage` that says what is wrong: no text, no JSON, Id or Version missing or invalid.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, Error> {
    if bytes.len() as u64 > MAX_MANIFEST_SIZE {
        return Err(manifest_too_large());
    }
    let text = decode(bytes)
        .ok_or_else(|| invalid(format!("has a {MANIFEST} that is neither UTF-8 nor UTF-16 with a byte order mark")))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
        // Messages of serde quote what they found.
        let what: String = error.to_string().chars().take(200).collect();
        invalid(format!("has a {MANIFEST} that cannot be used: {what}"))
    })?;
    let within = |error: Error| {
        invalid(format!("has a {MANIFEST} that cannot be used: {}", error.message().trim_end_matches('.')))
            .with_hint(error.hint())
    };
    check_id(&manifest.id).map_err(within)?;
    Version::parse(&manifest.version).map_err(within)?;
    Ok(manifest)
}

/// What the zip's directory adds up to.
#[derive(Default)]
struct Directory {
    start: Option<u64>,
    inflated: u64,
    compressed: u64,
    manifest: Option<ZipFileEntry<'static>>,
    /// A manifest that is not where it should be, for the error's sake.
    misplaced: Option<String>,
}

impl Directory {
    fn add(&mut self, entry: ZipFileEntry<'static>) -> Result<(), Error> {
        let start = *self.start.get_or_insert(entry.central_header_start());
        if entry.central_header_start().saturating_sub(start) > MAX_DIRECTORY_SIZE {
            return Err(invalid(format!("has a directory of more than {MAX_DIRECTORY_SIZE} bytes")));
        }
        let name = entry.name().map_err(|_| invalid("holds an entry whose name cannot be decoded".into()))?;
        let path = normalised(&name)
            .map_err(|what| invalid(format!("holds an entry whose name '{}' {what}", excerpt(&name))))?;
        if entry.is_symlink() {
            return Err(invalid(format!("holds a symbolic link, '{}'", excerpt(&name))));
        }
        self.inflated = self.inflated.saturating_add(entry.size());
        self.compressed = self.compressed.saturating_add(entry.compressed_size());
        // Two that differ in case alone are one where packages are installed.
        if path.eq_ignore_ascii_case(MANIFEST) && !entry.is_dir() {
            if self.manifest.is_some() {
                return Err(invalid(format!("holds {MANIFEST} twice")));
            }
            if name != MANIFEST {
                self.misplaced.get_or_insert_with(|| excerpt(&name));
            }
            self.manifest = Some(entry);
        } else if path.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(MANIFEST)) {
            self.misplaced.get_or_insert_with(|| excerpt(&name));
        }
        Ok(())
    }

    /// The manifest's entry, once the sums are fine; `size` is the whole archive's, in bytes.
    fn finish(self, size: u64) -> Result<ZipFileEntry<'static>, Error> {
        let missing = match &self.misplaced {
            Some(name) => format!("has no {MANIFEST} at its top, but '{name}'"),
            None => format!("has no {MANIFEST}"),
        };
        let entry = self.manifest.filter(|entry| entry.name().is_ok_and(|name| name == MANIFEST));
        let entry = entry.ok_or_else(|| {
            invalid(missing).with_hint("A package is a zip with Manifest.json at its top; New-UssPackage makes one.")
        })?;
        if entry.size() > MAX_MANIFEST_SIZE {
            return Err(manifest_too_large());
        }
        // Payload that many entries share would make the ratio meaningless.
        if self.compressed > size {
            return Err(invalid("holds entries that overlap".into()));
        }
        if self.inflated > SMALL_PAYLOAD && self.inflated / MAX_INFLATION > size {
            return Err(invalid(format!(
                "would inflate from {size} to {} bytes, which is more than {MAX_INFLATION} times its size",
                self.inflated
            )));
        }
        Ok(entry)
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
        text.ok().filter(|_| odd.is_empty())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidPackage, format!("The archive {what}."))
}

fn manifest_too_large() -> Error {
    invalid(format!("has a {MANIFEST} of more than {MAX_MANIFEST_SIZE} bytes"))
}

fn unreadable(error: &ZipError) -> Error {
    let hint = "A package is a zip with Manifest.json at its top; New-UssPackage makes one.";
    match error {
        ZipError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            invalid("is cut short or no zip".into()).with_hint(hint)
        }
        ZipError::Io(error) => invalid(format!("cannot be read: {error}")),
        error => invalid(format!("is no usable zip: {error}")).with_hint(hint),
    }
}

fn unreadable_manifest(error: &ZipError) -> Error {
    match error {
        ZipError::CompressionMethodNotSupported(method) => {
            invalid(format!("has a {MANIFEST} with compression method {method}; only stored and deflate can be read"))
        }
        error => invalid(format!("has a {MANIFEST} that cannot be read: {error}")),
    }
}

/// As much of a foreign name as a message should hold.
fn excerpt(name: &str) -> String {
    name.chars().take(120).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    const GOOD: &str = r#"{"Id":"a","Version":"1.0"}"#;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8]) -> Result<Manifest, Error> {
        read_manifest(Cursor::new(bytes))
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = read(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPackage);
        assert!(error.message().len() < 500, "{error}");
        error.message().to_owned()
    }

    fn with_manifest(content: &[u8]) -> Vec<u8> {
        archive(&[(MANIFEST, content)])
    }

    /// The same archive with one entry's name replaced by another of the same length, in both headers.
    fn renamed(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        for at in 0..=bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            }
        }
        bytes
    }

    #[test]
    fn a_manifest_is_read_wherever_it_stands_in_the_archive() {
        let bytes = archive(&[("Package.psm1", b"function x {}"), ("bin/a.exe", b"x"), (MANIFEST, GOOD.as_bytes())]);
        assert_eq!(read(&bytes).unwrap().id, "a");
    }

    #[test]
    fn byte_order_marks_are_tolerated() {
        let utf16 = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(GOOD.encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
        };
        for content in [
            [b"\xef\xbb\xbf", GOOD.as_bytes()].concat(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(read(&with_manifest(&content)).unwrap().version, "1.0");
        }
        assert!(refusal(&with_manifest(b"\xff\xfe{")).contains("neither UTF-8 nor UTF-16"));
        assert!(refusal(&with_manifest(b"{\"Id\":\"\xe4\"}")).contains("neither UTF-8 nor UTF-16"));
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        let good = with_manifest(GOOD.as_bytes());
        for bytes in [b"".as_slice(), b"PK", b"{}", &[0; 70_000], &good[..good.len() - 5], &good[..40]] {
            let message = refusal(bytes);
            assert!(message.contains("no usable zip") || message.contains("cut short"), "{message}");
        }
        let mut prefixed = b"#!/bin/sh\n".to_vec();
        prefixed.extend(&good);
        refusal(&prefixed);
    }

    #[test]
    fn a_damaged_manifest_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(MANIFEST, stored).unwrap();
        zip.write_all(GOOD.as_bytes()).unwrap();
        let bytes = renamed(zip.finish().unwrap().into_inner(), "\"1.0\"", "\"1.1\"");
        assert!(refusal(&bytes).contains("Manifest.json that cannot be read: i/o error: Invalid checksum"));
    }

    #[test]
    fn the_manifest_must_be_there_once_at_the_top() {
        assert!(refusal(&archive(&[])).contains("has no Manifest.json."));
        assert!(refusal(&archive(&[("a.txt", b"x")])).contains("has no Manifest.json."));
        for name in ["my-package/Manifest.json", "manifest.json", "./Manifest.json"] {
            assert!(refusal(&archive(&[(name, GOOD.as_bytes())])).contains(&format!("but '{name}'")), "{name}");
        }
        for other in ["manifest.JSON", "./Manifest.json", ".\\Manifest.json"] {
            let twice = archive(&[(MANIFEST, GOOD.as_bytes()), (other, b"{}")]);
            assert!(refusal(&twice).contains("twice"), "{other}");
        }
        let twice =
            renamed(archive(&[(MANIFEST, GOOD.as_bytes()), ("Manifest.jsoN", b"{}")]), "Manifest.jsoN", MANIFEST);
        assert!(refusal(&twice).contains("twice"));
        assert!(read(&archive(&[(MANIFEST, GOOD.as_bytes()), ("sub/Manifest.json", b"")])).is_ok());
    }

    #[test]
    fn id_and_version_must_be_there_and_valid() {
        for (content, part) in [
            ("", "EOF while parsing"),
            ("[]", "cannot be used: invalid"),
            ("{\"Id\":\"a\"}", "missing field `Version`"),
            ("{\"Version\":\"1.0\"}", "missing field `Id`"),
            ("{\"Id\":null,\"Version\":\"1.0\"}", "invalid type: null"),
            ("{\"Id\":\"A\",\"Version\":\"1.0\"}", "The package id 'A' holds 'A' at character 1."),
            ("{\"Id\":\"a\",\"Version\":\"1\"}", "The version '1' is wrong at character 2"),
            ("{\"Id\":\"a\",\"Id\":\"b\",\"Version\":\"1.0\"}", "duplicate field `Id`"),
            ("{\"Id\":\"a\",\"Version\":\"1.0\"} x", "trailing characters"),
        ] {
            let message = refusal(&with_manifest(content.as_bytes()));
            assert!(message.contains(part), "{content}: {message}");
        }
        refusal(&with_manifest(format!("{{\"Id\":{}", "[".repeat(100_000)).as_bytes()));
        refusal(&with_manifest(format!("{{\"Id\":\"a\",\"Version\":\"{}\"}}", "x".repeat(100_000)).as_bytes()));
        refusal(&with_manifest(format!("{{\"Dependencies\":\"{}\"}}", "x".repeat(100_000)).as_bytes()));
    }

    #[test]
    fn a_manifest_over_the_limit_is_refused_even_if_its_size_lies() {
        let padded = |length: usize| format!("{GOOD}{}", " ".repeat(length - GOOD.len()));
        assert!(read(&with_manifest(padded(1 << 20).as_bytes())).is_ok());
        let mut bytes = with_manifest(padded((1 << 20) + 1).as_bytes());
        assert!(refusal(&bytes).contains("more than 1048576 bytes"));
        // The uncompressed size in the central header: 24 bytes after its signature.
        let header = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        bytes[header + 24..header + 28].copy_from_slice(&10u32.to_le_bytes());
        refusal(&bytes);
    }

    #[test]
    fn paths_that_leave_the_archive_are_refused() {
        for (name, what) in [
            ("../evil.dll", "leads out"),
            ("a/../../b.d", "leads out"),
            ("..\\evil.dll", "leads out"),
            ("/etc/passwd", "is absolute"),
            ("C:\\evil.dll", "starts with a drive"),
        ] {
            let bytes = renamed(archive(&[(MANIFEST, GOOD.as_bytes()), ("placeholder", b"x")]), "placeholder", name);
            let message = refusal(&bytes);
            assert!(message.contains(what), "{name}: {message}");
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("link", "/etc", SimpleFileOptions::default()).unwrap();
        assert!(refusal(&zip.finish().unwrap().into_inner()).contains("symbolic link, 'link'"));
    }

    #[test]
    fn zip_bombs_are_refused_by_their_ratio() {
        let zeros = vec![0; 8 << 20];
        assert!(refusal(&archive(&[(MANIFEST, GOOD.as_bytes()), ("zeros", &zeros)])).contains("200 times its size"));
        let small = vec![0; 3 << 20];
        assert!(read(&archive(&[(MANIFEST, GOOD.as_bytes()), ("zeros", &small)])).is_ok());
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(10).into_bytes();
        let texts: Vec<u8> =
            (0..20_000u32).flat_map(|line| [line.to_string().into_bytes(), text.clone()].concat()).collect();
        assert!(read(&archive(&[(MANIFEST, GOOD.as_bytes()), ("log", &texts)])).is_ok());
    }

    #[test]
    fn entries_that_share_payload_are_refused() {
        let noise: Vec<u8> = (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(MANIFEST, stored).unwrap();
        zip.write_all(GOOD.as_bytes()).unwrap();
        zip.start_file("noise", stored).unwrap();
        zip.write_all(&noise).unwrap();
        zip.shallow_copy_file("noise", "again").unwrap();
        assert!(refusal(&zip.finish().unwrap().into_inner()).contains("overlap"));
    }

    #[test]
    fn too_many_entries_are_refused_before_they_are_read() {
        // An archive whose end says 100,001 entries, with a directory that is large enough for them (zip64, APPNOTE 4.3.14).
        let mut bytes = vec![0u8; 46 * 100_001];
        bytes[..4].copy_from_slice(b"PK\x01\x02");
        let directory = bytes.len() as u64;
        let mut end = Vec::new();
        end.extend(b"PK\x06\x06");
        end.extend(44u64.to_le_bytes());
        end.extend([45, 0, 45, 0]);
        end.extend([0; 8]);
        end.extend(100_001u64.to_le_bytes());
        end.extend(100_001u64.to_le_bytes());
        end.extend(directory.to_le_bytes());
        end.extend(0u64.to_le_bytes());
        end.extend(b"PK\x06\x07");
        end.extend([0; 4]);
        end.extend(directory.to_le_bytes());
        end.extend(1u32.to_le_bytes());
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend([0xff; 12]);
        end.extend([0; 2]);
        bytes.extend(end);
        assert!(refusal(&bytes).contains("has 100001 entries; at most 100000"), "{}", refusal(&bytes));
    }

    #[test]
    fn the_payload_is_not_read() {
        struct Counting<R>(R, u64);
        impl<R: Read> Read for Counting<R> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.read(buffer)?;
                self.1 += count as u64;
                Ok(count)
            }
        }
        impl<R: Seek> Seek for Counting<R> {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let noise: Vec<u8> = (0..4_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file("noise", stored).unwrap();
        zip.write_all(&noise).unwrap();
        zip.start_file(MANIFEST, stored).unwrap();
        zip.write_all(GOOD.as_bytes()).unwrap();
        let mut counting = Counting(zip.finish().unwrap(), 0);
        assert!(read_manifest(&mut counting).is_ok());
        assert!(counting.1 < 200_000, "{} bytes", counting.1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn a_damaged_archive_is_read_or_refused(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = archive(&[(MANIFEST, GOOD.as_bytes()), ("a/b.txt", b"text"), ("c", b"")]);
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(manifest) = read(&bytes) {
                prop_assert!(manifest.check().is_ok());
            }
            prop_assert!(read(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
