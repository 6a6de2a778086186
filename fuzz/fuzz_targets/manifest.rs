//! Any bytes as `Manifest.json`: no panic, and what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uss::package::parse_manifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = parse_manifest(bytes) {
        let text = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(parse_manifest(&text).unwrap(), manifest);
        assert!(manifest.file_name().len() <= 255);
        let _ = manifest.check();
    }
});
