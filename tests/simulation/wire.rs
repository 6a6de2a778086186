//! What the ends and the servers say to each other: a length and so many bytes, again and again.
//!
//! A request is a frame with an [`Asked`], and the frames of a body where there is one; an answer is a frame with an
//! [`Answer`], and a body likewise. A body ends with a mark, so that one that was cut is never taken for whole.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use turmoil::net::TcpStream;
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use uss::update_service::model::PackageVersion;

/// Where every server listens.
pub(crate) const PORT: u16 = 80;

/// No frame is longer.
const LONGEST: u32 = 1 << 20;

/// In place of a length: the body is whole.
const END: u32 = u32::MAX;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Which start of the client asks, and which of its runs.
    pub(crate) run: u32,
    /// Repeated by what only the network made twice.
    pub(crate) request: u64,
    pub(crate) ask: Ask,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Versions { ids: Vec<String> },
    Content { id: String, version: String, from: u64, if_match: Option<String> },
    Publish { offer: Offer },
    Begin { offer: Offer },
    Offset { location: String },
    Append { location: String, from: u64, offer: Offer },
    Abandon { location: String },
}

/// What is to be published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) sha256: Option<String>,
    pub(crate) length: Option<u64>,
    pub(crate) force: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Versions(Vec<PackageVersion>),
    Content { start: u64, total: Option<u64>, etag: Option<String>, sha256: Option<String> },
    Receipt { outcome: Told, size: Option<u64>, sha256: Option<String> },
    Location(Option<String>),
    Offset(Option<u64>),
    Done,
    Refused { why: Refusal, wait: Option<u64> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    Created,
    AlreadyThere,
    Replaced,
}

/// The answers of HTTP that the engine has to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// 401, with a new bearer to be had.
    BearerExpired,
    /// 404.
    NotFound,
    /// 409: other bytes are there.
    Exists,
    /// 409: the upload is elsewhere.
    Offset,
    /// 412 and 416.
    Changed,
    /// 422: the digest differs.
    Checksum,
    /// 423: something else appends.
    Locked,
    /// 429.
    TooMany,
    /// 500.
    Defect,
    /// 503.
    Busy,
}

/// The reading half of a connection.
pub(crate) struct Reader(BufReader<OwnedReadHalf>);

/// The writing half of a connection.
pub(crate) struct Writer(OwnedWriteHalf);

pub(crate) fn halves(stream: TcpStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    (Reader(BufReader::with_capacity(512, read)), Writer(write))
}

impl Reader {
    /// The next frame; none: the mark at the end of a body.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let length = self.0.read_u32().await?;
        if length == END {
            return Ok(None);
        }
        assert!(length <= LONGEST, "a frame of {length} bytes");
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).await?;
        Ok(Some(bytes.into()))
    }

    pub(crate) async fn message<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let bytes = self.chunk().await?.ok_or(io::ErrorKind::InvalidData)?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

impl Writer {
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        // One write a frame: the network carries each write as a segment.
        let mut frame = Vec::with_capacity(4 + bytes.len());
        frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(bytes);
        self.0.write_all(&frame).await
    }

    /// A part of a frame, as a connection leaves it that breaks in the middle.
    pub(crate) async fn cut(&mut self, bytes: &[u8], after: usize) -> io::Result<()> {
        let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&bytes[..after]);
        self.0.write_all(&frame).await
    }

    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.0.write_all(&END.to_be_bytes()).await
    }

    pub(crate) async fn message<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.chunk(&serde_json::to_vec(message)?).await
    }
}
