//! `keys new`.

use clap::Subcommand;

use crate::config::StoreArgs;
use crate::store::Store;

#[derive(Subcommand, Debug)]
pub enum Keys {
    /// Begin with new keys where keys.json is lost: every token and session is removed, as none can be checked any more
    New,
}

/// Runs `keys`.
pub async fn run(keys: Keys, store: &StoreArgs) -> Result<(), String> {
    let Keys::New = keys;
    let places = store.places()?;
    if places.keys.exists() {
        return Err(format!("{} is there; nothing was changed. Move it away first", places.keys.display()));
    }
    let removed = Store::begin_with_new_keys(&places).await.map_err(|error| error.to_string())?;
    eprintln!("{} tokens were removed; their owners need new ones", removed);
    Ok(())
}
