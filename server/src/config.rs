//! Where the data lies: the flags that every command takes.

use std::path::{Path, PathBuf};

use clap::Args;
use url::Url;

/// `--data`, `--database`, `--blobs`.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Folder of the database, the blobs and the server's keys
    #[arg(long, env = "USS_SERVER_DATA", default_value = "uss-server-data", global = true)]
    pub data: PathBuf,
    /// Database, as sqlite:PATH or postgres://HOST/NAME [default: sqlite: in the data folder]
    #[arg(long, value_name = "URL", env = "USS_SERVER_DATABASE", hide_env_values = true, global = true)]
    pub database: Option<String>,
    /// Blobs, as file:PATH or s3://BUCKET/FOLDER [default: a folder in the data folder]
    #[arg(long, value_name = "URL", env = "USS_SERVER_BLOBS", hide_env_values = true, global = true)]
    pub blobs: Option<String>,
    /// Key file, where several servers share a store [default: keys.json in the data folder]
    #[arg(long, value_name = "FILE", env = "USS_SERVER_KEYS", global = true)]
    pub keys: Option<PathBuf>,
}

/// The same, absolute.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data folder.
    pub data: PathBuf,
    /// The database's address.
    pub database: Url,
    /// The blob store's address.
    pub blobs: Url,
    /// The key file.
    pub keys: PathBuf,
}

impl StoreArgs {
    /// Fills in the defaults. Relative paths count from the current folder.
    pub fn places(&self) -> Result<Places, String> {
        let data = std::path::absolute(&self.data).map_err(|error| format!("{}: {error}", self.data.display()))?;
        let database = address("sqlite", self.database.as_deref(), &data.join("uss.db"))?;
        let blobs = address("file", self.blobs.as_deref(), &data.join("blobs"))?;
        let keys = self.keys.clone().unwrap_or_else(|| data.join("keys.json"));
        Ok(Places { data, database, blobs, keys })
    }
}

/// `scheme:PATH` with an absolute path, percent-encoded; any other scheme stays as it is, for the store to judge.
fn address(scheme: &str, text: Option<&str>, default: &Path) -> Result<Url, String> {
    let path = match text {
        None => default.to_owned(),
        Some(text) => match text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')) {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                std::path::absolute(path).map_err(|error| format!("'{text}': {error}"))?
            }
            None => return text.parse().map_err(|_| format!("'{text}' is no address; write {scheme}:PATH")),
        },
    };
    let mut url = Url::from_file_path(&path).map_err(|()| format!("'{}' is no absolute path", path.display()))?;
    if scheme != "file" {
        let text = url.as_str().replacen("file:", &format!("{scheme}:"), 1);
        url = text.parse().map_err(|error| format!("'{}': {error}", path.display()))?;
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn addresses_are_absolute_and_survive_odd_names() {
        let text = |url: Result<Url, String>| url.unwrap().to_string();
        assert_eq!(text(address("sqlite", None, Path::new("/a b/x#?.db"))), "sqlite:///a%20b/x%23%3F.db");
        assert_eq!(text(address("file", Some("file:/srv/blobs"), Path::new("/x"))), "file:///srv/blobs");
        assert_eq!(text(address("file", Some("file:///srv/blobs"), Path::new("/x"))), "file:///srv/blobs");
        assert_eq!(text(address("file", Some("s3://bucket/x"), Path::new("/x"))), "s3://bucket/x");
        assert!(address("file", Some("just text"), Path::new("/x")).is_err());
    }
}
