//! The server's own keys: one signs bearers, one hashes token values at rest.
//!
//! They live in `DATA/keys.json` (mode 0600), or in the file that `USS_SERVER_KEYS` names where several servers share
//! a store; never in the database, so that a stolen database opens nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uss::Secret;

/// 256 bits, as HS256 and HMAC-SHA-256 want at least (RFC 7518, section 3.2).
const KEY_BYTES: usize = 32;

/// Both keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Names the signing key in a bearer's header (RFC 7515, `kid`).
    pub kid: String,
    bearer: Secret,
    tokens: Secret,
}

#[derive(Serialize, Deserialize)]
struct File {
    kid: String,
    /// Base64.
    bearer: String,
    /// Base64.
    tokens: String,
}

impl Keys {
    /// Reads the file, or makes it: when two processes begin at once, both use the keys of the first.
    pub fn read_or_create(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            create(path)?;
        }
        refuse_open(path)?;
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let file: File = serde_json::from_str(&fs::read_to_string(path)?).map_err(|_| invalid("is no key file"))?;
        for key in [&file.bearer, &file.tokens] {
            if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) < KEY_BYTES {
                return Err(invalid("holds a key that is not base64 of 32 bytes or more"));
            }
        }
        Ok(Self { kid: file.kid, bearer: Secret::new(file.bearer), tokens: Secret::new(file.tokens) })
    }

    /// The key that signs bearers.
    pub fn bearer(&self) -> Vec<u8> {
        // Checked when read.
        STANDARD.decode(self.bearer.expose()).unwrap_or_default()
    }

    /// The key that hashes token values.
    pub fn tokens(&self) -> Vec<u8> {
        STANDARD.decode(self.tokens.expose()).unwrap_or_default()
    }
}

/// A key that everybody may read is none.
#[cfg(unix)]
fn refuse_open(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o007 == 0 {
        return Ok(());
    }
    let what = format!("{} is open to every user of this machine; run chmod 600 on it", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

#[cfg(not(unix))]
fn refuse_open(_: &Path) -> io::Result<()> {
    Ok(())
}

fn create(path: &Path) -> io::Result<()> {
    let random = || STANDARD.encode(rand::random::<[u8; KEY_BYTES]>());
    let kid = rand::random::<[u8; 4]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = serde_json::to_string_pretty(&File { kid, bearer: random(), tokens: random() })?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link, not a rename: it never replaces the keys that another process made in the meantime.
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&temporary)?;
    linked?;
    // The name too must be on disk before a token is hashed with these keys: without them every token is void.
    #[cfg(unix)]
    if let Some(folder) = std::path::absolute(path)?.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let first = Keys::read_or_create(&path).unwrap();
        let second = Keys::read_or_create(&path).unwrap();
        assert_eq!((first.kid.clone(), first.bearer()), (second.kid.clone(), second.bearer()));
        assert_ne!(first.bearer(), first.tokens());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        Keys::read_or_create(&path).unwrap();
        fs::write(&path, r#"{"kid":"a","bearer":"AAAA","tokens":"AAAA"}"#).unwrap();
        assert!(Keys::read_or_create(&path).unwrap_err().to_string().contains("32 bytes"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_everybody_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        Keys::read_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keys::read_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Keys::read_or_create(&path).unwrap();
    }
}
