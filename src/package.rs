//! Package archives: reading and writing `Manifest.json` inside a zip.
