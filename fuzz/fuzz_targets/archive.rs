//! Any bytes as a package archive: no panic, no memory beyond the limits, and no manifest without a valid id and version.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use uss::Version;
use uss::package::{check_id, read_manifest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = read_manifest(Cursor::new(bytes)) {
        check_id(&manifest.id).unwrap();
        Version::parse(&manifest.version).unwrap();
    }
});
