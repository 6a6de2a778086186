//! Reading a blob: as a stream with read-ahead for downloads, and as a seekable file for archives.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::{Blob, Blobs, Part};
use crate::store::StoreError;

/// Bytes read at once.
const BLOCK: u64 = 1 << 20;
/// Blocks read before the receiver asks for them.
const AHEAD: usize = 3;
/// Bytes read at once for an archive's directory and manifest.
const SMALL_BLOCK: u64 = 128 << 10;

impl Blobs {
    /// The bytes of `range` in blocks of 1 MiB, a few of them ahead. The range must lie within the blob.
    pub fn read(
        &self,
        blob: &Blob,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
        let blobs = self.clone();
        stream::iter(blocks(blob.parts.clone(), range))
            .map(move |(part, range)| {
                let blobs = blobs.clone();
                async move { blobs.read_part(&part, range).await }
            })
            .buffered(AHEAD)
    }

    async fn read_part(&self, part: &Part, range: Range<u64>) -> Result<Bytes, StoreError> {
        let length = range.end - range.start;
        let bytes = match &self.folder {
            Some(folder) => {
                let path = folder.path_to_filesystem(&Key::from(part.key.as_str()))?;
                spawn_blocking(move || -> io::Result<Bytes> {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(range.start))?;
                    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
                    file.take(length).read_to_end(&mut bytes)?;
                    Ok(bytes.into())
                })
                .await?
                .map_err(|error| missing(error.kind() == io::ErrorKind::NotFound, part).unwrap_or(error.into()))?
            }
            None => self.store.get_range(&Key::from(part.key.as_str()), range).await.map_err(|error| {
                missing(matches!(error, object_store::Error::NotFound { .. }), part).unwrap_or(error.into())
            })?,
        };
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(StoreError::Damaged(format!("{} is shorter than {} bytes", part.key, part.size)))
        }
    }
}

fn missing(it_is: bool, part: &Part) -> Option<StoreError> {
    it_is.then(|| StoreError::Damaged(format!("{} is missing", part.key)))
}

/// Cuts `range` of the whole into blocks within parts.
fn blocks(parts: std::sync::Arc<[Part]>, range: Range<u64>) -> impl Iterator<Item = (Part, Range<u64>)> + Send {
    let (mut part, mut before, mut at) = (0, 0_u64, range.start);
    std::iter::from_fn(move || {
        loop {
            let here = parts.get(part).filter(|_| at < range.end)?;
            if at < before + here.size {
                let start = at - before;
                let end = (start + BLOCK).min(here.size).min(range.end - before);
                at = before + end;
                return Some((here.clone(), start..end));
            }
            before += here.size;
            part += 1;
        }
    })
}

/// A blob as a file. It blocks: use it off the runtime's tasks, with the runtime's handle.
pub struct BlobReader {
    blobs: Blobs,
    blob: Blob,
    runtime: Handle,
    at: u64,
    block: Bytes,
    block_at: u64,
    failure: Option<StoreError>,
}

impl BlobReader {
    /// A reader at the start.
    pub fn new(blobs: Blobs, blob: Blob, runtime: Handle) -> Self {
        Self { blobs, blob, runtime, at: 0, block: Bytes::new(), block_at: 0, failure: None }
    }

    /// Why reading failed, where it did: then what was read from here says nothing of the blob.
    pub fn into_failure(self) -> Option<StoreError> {
        self.failure
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.blob.size || buffer.is_empty() {
            return Ok(0);
        }
        let held = self.block_at..self.block_at + self.block.len() as u64;
        if !held.contains(&self.at) {
            let end = (self.at + SMALL_BLOCK).min(self.blob.size);
            let mut stream = std::pin::pin!(self.blobs.read(&self.blob, self.at..end));
            let block = self.runtime.block_on(stream.next()).unwrap_or(Ok(Bytes::new()));
            self.block = block.map_err(|error| {
                let told = io::Error::other(error.to_string());
                self.failure = Some(error);
                told
            })?;
            self.block_at = self.at;
        }
        let from = usize::try_from(self.at - self.block_at).map_err(io::Error::other)?;
        let held = self.block.get(from..).unwrap_or_default();
        let count = held.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(held) {
            *to = *from;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.blob.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blobs::{BlobWriter, PART_BYTES};
    use sha2::{Digest, Sha256};
    use url::Url;

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
    }

    async fn written(blobs: &Blobs, bytes: &[u8], frame: usize) -> Blob {
        let mut writer = BlobWriter::new(blobs);
        for frame in bytes.chunks(frame) {
            writer.write(Bytes::copy_from_slice(frame)).await.unwrap();
        }
        let fresh = writer.finish().await.unwrap();
        assert_eq!(fresh.sha256, crate::store::blobs::hex(&Sha256::digest(bytes)));
        let parts = fresh.parts.clone().into();
        let blob = Blob { id: fresh.id.clone(), size: fresh.size, sha256: fresh.sha256.clone(), parts };
        fresh.keep();
        blob
    }

    fn store() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&Url::from_file_path(folder.path()).unwrap()).unwrap();
        (folder, blobs)
    }

    async fn read(blobs: &Blobs, blob: &Blob, range: Range<u64>) -> Vec<u8> {
        let mut stream = std::pin::pin!(blobs.read(blob, range));
        let mut bytes = Vec::new();
        while let Some(block) = stream.next().await {
            bytes.extend_from_slice(&block.unwrap());
        }
        bytes
    }

    #[tokio::test]
    async fn ranges_across_parts_give_the_bytes_that_were_written() {
        let (_folder, blobs) = store();
        let bytes = sample(2 * PART_BYTES + 12_345);
        for frame in [1_000, 70_000, bytes.len()] {
            let blob = written(&blobs, &bytes, frame).await;
            assert_eq!(blob.parts.len(), 3);
            let end = bytes.len() as u64;
            let edge = PART_BYTES as u64;
            for range in [0..end, 0..1, edge - 1..edge + 1, edge..edge, end - 5..end, 100..2 * edge + 7] {
                let expected = &bytes[range.start as usize..range.end as usize];
                assert!(read(&blobs, &blob, range.clone()).await == expected, "{range:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_seeks_like_a_file() {
        let (_folder, blobs) = store();
        let bytes = sample(PART_BYTES + 500_000);
        let blob = written(&blobs, &bytes, 65_536).await;
        let runtime = Handle::current();
        spawn_blocking(move || {
            let mut reader = BlobReader::new(blobs, blob, runtime);
            let mut tail = Vec::new();
            reader.seek(SeekFrom::End(-10)).unwrap();
            reader.read_to_end(&mut tail).unwrap();
            assert_eq!(tail, bytes[bytes.len() - 10..]);
            let mut across = vec![0; 300_000];
            reader.seek(SeekFrom::Start(PART_BYTES as u64 - 150_000)).unwrap();
            reader.read_exact(&mut across).unwrap();
            assert!(across == bytes[PART_BYTES - 150_000..PART_BYTES + 150_000]);
            assert!(reader.seek(SeekFrom::Current(-1 << 40)).is_err());
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn an_abandoned_writer_leaves_no_object() {
        let (folder, blobs) = store();
        let mut writer = BlobWriter::new(&blobs);
        writer.write(Bytes::from(sample(PART_BYTES + 1))).await.unwrap();
        writer.finish().await.unwrap().discard().await;
        let left: Vec<_> = walk(folder.path());
        assert!(left.is_empty(), "{left:?}");
    }

    fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
            .collect()
    }

    #[tokio::test]
    async fn a_part_that_lost_its_end_is_told_as_damage() {
        let (folder, blobs) = store();
        let blob = written(&blobs, &sample(10_000), 10_000).await;
        let part = walk(folder.path()).pop().unwrap();
        File::options().write(true).open(part).unwrap().set_len(9_000).unwrap();
        let mut stream = std::pin::pin!(blobs.read(&blob, 0..10_000));
        assert!(matches!(stream.next().await, Some(Err(StoreError::Damaged(_)))));
    }
}
