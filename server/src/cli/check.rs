//! `check`: every blob against its digest.

use std::pin::pin;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::config::StoreArgs;
use crate::store::blobs::{self, Blob, hex};
use crate::store::{Store, StoreError};

/// Reads every blob. Objects that no blob needs and uploads that a crash cut off are no damage; serving sweeps them.
pub async fn run(store: &StoreArgs) -> Result<(), String> {
    let store = super::open(store, false).await?;
    let ids = blobs::ids(&store.database).await.map_err(|error| error.to_string())?;
    let (mut whole, mut damaged) = (0, 0);
    for id in ids {
        // Deleted since the list was made.
        let Some(blob) = blobs::find(&store.database, &id).await.map_err(|error| error.to_string())? else { continue };
        match verify(&store, &blob).await {
            Ok(()) => whole += 1,
            // Nothing is known of the blob.
            Err(error @ (StoreError::Blobs(_) | StoreError::Unreachable(_))) => return Err(error.to_string()),
            Err(error) => {
                // A version deleted meanwhile loses its objects an hour later: no damage either.
                if blobs::find(&store.database, &id).await.map_err(|error| error.to_string())?.is_some() {
                    super::print(&format!("damaged: blob {id}: {error}"))?;
                    damaged += 1;
                }
            }
        }
    }
    super::print(&format!("{whole} whole, {damaged} damaged"))?;
    if damaged == 0 { Ok(()) } else { Err(format!("{damaged} of {} blobs are missing or damaged", whole + damaged)) }
}

async fn verify(store: &Store, blob: &Blob) -> Result<(), StoreError> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut blocks = pin!(store.blobs.read(blob, 0..blob.parts.iter().map(|part| part.size).sum()));
    while let Some(block) = blocks.next().await {
        let block = block?;
        size += block.len() as u64;
        hasher = tokio::task::spawn_blocking(move || hasher.chain_update(&block)).await?;
    }
    let digest = hex(&hasher.finalize());
    if size != blob.size || digest != blob.sha256 {
        return Err(StoreError::Damaged(format!(
            "{size} bytes with SHA-256 {digest}, not {} with {}",
            blob.size, blob.sha256
        )));
    }
    Ok(())
}
