//! A server in memory, for the engine's tests: it keeps packages and fails on command.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};

use super::plan::{Existing, Stored, identity};
use super::{
    Body, Catalogue, ContentKey, Destination, Digest, Fetched, Outcome, Receipt, Source, Upload, UploadLocation,
};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;
use crate::update_service::model::{Dependency, Installer, PackageVersion};

/// What happens to one opening of a content. Offsets count in the whole content.
#[derive(Clone, Debug)]
pub(super) enum ReadFault {
    None,
    /// The connection breaks before this byte.
    BreakAt(u64),
    /// The body ends before this byte, as if it were whole.
    EndAt(u64),
    /// Nothing more comes from this byte on.
    StallAt(u64),
    /// This byte is another one.
    CorruptAt(u64),
    /// The range is not heeded.
    FromTheStart,
    /// Other content has taken the place.
    Changed(Bytes),
    /// An answer without a body.
    Refused(Error),
}

/// What happens to one upload.
#[derive(Clone, Debug)]
pub(super) enum WriteFault {
    None,
    /// The connection breaks after so many bytes.
    BreakAt(u64),
    /// Nothing more is taken after so many bytes.
    StallAt(u64),
    /// Each chunk takes so long.
    Slow(Duration),
    /// It is published and the answer gets lost.
    LoseAnswer,
    /// The answer takes so long.
    Think(Duration),
    /// Answered at once, nothing is read.
    Refused(Error),
    /// It is stored wrongly.
    Corrupt,
}

#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    packages: BTreeMap<String, Vec<(PackageVersion, Bytes)>>,
    installers: Vec<(Installer, Bytes)>,
    pub(super) read_faults: VecDeque<ReadFault>,
    pub(super) write_faults: VecDeque<WriteFault>,
    /// No strong entity tags.
    pub(super) weak: bool,
    /// No digests and no sizes.
    pub(super) silent: bool,
    pub(super) lookups: usize,
    pub(super) opened: Vec<u64>,
    /// In the order in which they appeared.
    pub(super) published: Vec<String>,
    pub(super) uploads: usize,
    pub(super) running: usize,
    pub(super) most_running: usize,
}

pub(super) fn broken() -> Error {
    Error::new(ErrorKind::ConnectionFailed, "The connection broke.").with_retry_after(Duration::ZERO)
}

/// `a^1.0` is a dependency on a with the query `1.0`; `?` before it: optional; `!`: it only restricts.
pub(super) fn dependency(text: &str) -> Dependency {
    let (optional, text) = text.strip_prefix('?').map_or((false, text), |text| (true, text));
    let (restricts, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
    let (id, query) = text.split_once(' ').unwrap_or((text, ""));
    Dependency { package_id: id.into(), version_query: query.into(), optional, only_restrict_version: restricts }
}

impl Memory {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(Inner { name: name.into(), state: Mutex::default() }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn add(&self, id: &str, version: &str, bytes: impl Into<Bytes>, dependencies: &[&str]) {
        let bytes = bytes.into();
        let listed = PackageVersion {
            package_id: id.into(),
            version: version.into(),
            size: Some(bytes.len() as u64),
            sha256: Some(Digest::of(&bytes).to_string()),
            published: None,
            dependencies: dependencies.iter().map(|text| dependency(text)).collect(),
        };
        self.state().packages.entry(id.into()).or_default().push((listed, bytes));
    }

    pub(super) fn add_installer(&self, id: &str, name: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let installer = Installer {
            id: id.into(),
            name: name.into(),
            package_id: None,
            version: None,
            file_name: None,
            size: Some(bytes.len() as u64),
            sha256: Some(Digest::of(&bytes).to_string()),
            published: None,
        };
        self.state().installers.push((installer, bytes));
    }

    pub(super) fn bytes(&self, id: &str, version: &str) -> Option<Bytes> {
        self.state().find(&ContentKey::Package { id: id.into(), version: version.into() })
    }

    pub(super) fn existing(&self) -> Existing {
        let state = self.state();
        let all = state.packages.iter().flat_map(|(id, all)| {
            all.iter().map(|(v, b)| (ContentKey::Package { id: id.clone(), version: v.version.clone() }, b))
        });
        all.map(|(key, bytes)| {
            let stored = Stored { size: Some(bytes.len() as u64), sha256: Some(Digest::of(bytes)) };
            (identity(&key), stored)
        })
        .collect()
    }
}

impl State {
    fn find(&self, content: &ContentKey) -> Option<Bytes> {
        match content {
            ContentKey::Package { id, version } => {
                let all = self.packages.get(id)?;
                all.iter().find(|(listed, _)| listed.version == *version).map(|(_, bytes)| bytes.clone())
            }
            ContentKey::Installer(installer) => {
                self.installers.iter().find(|(listed, _)| listed.id == installer.id).map(|(_, bytes)| bytes.clone())
            }
        }
    }

    fn put(&mut self, content: &ContentKey, bytes: Bytes) {
        let (size, sha256) = (Some(bytes.len() as u64), Some(Digest::of(&bytes).to_string()));
        self.published.push(content.to_string());
        match content {
            ContentKey::Package { id, version } => {
                let all = self.packages.entry(id.clone()).or_default();
                all.retain(|(listed, _)| listed.version != *version);
                let (package_id, version) = (id.clone(), version.clone());
                let listed =
                    PackageVersion { package_id, version, size, sha256, published: None, dependencies: vec![] };
                all.push((listed, bytes));
            }
            ContentKey::Installer(installer) => {
                self.installers.retain(|(listed, _)| listed.id != installer.id);
                self.installers.push((Installer { size, sha256, ..(**installer).clone() }, bytes));
            }
        }
    }
}

impl Catalogue for Memory {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        let mut state = self.state();
        state.lookups += 1;
        let silent = state.silent;
        let listed = |id: &String| {
            let all = state.packages.get(id)?.iter().map(|(version, _)| version.clone());
            let all = all.map(|v| if silent { PackageVersion { size: None, sha256: None, ..v } } else { v });
            Some((id.clone(), all.collect()))
        };
        Ok(ids.iter().filter_map(listed).collect())
    }

    async fn installers(&self, _: &Context) -> Result<Vec<Installer>, Error> {
        Ok(self.state().installers.iter().map(|(installer, _)| installer.clone()).collect())
    }
}

impl Source for Memory {
    type Body = BoxStream<'static, Result<Bytes, Error>>;

    async fn content(
        &self,
        _: &Context,
        content: &ContentKey,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Fetched<Self::Body>, Error> {
        let mut state = self.state();
        state.opened.push(from);
        let fault = state.read_faults.pop_front().unwrap_or(ReadFault::None);
        let mut start = from;
        let mut end = u64::MAX;
        match &fault {
            ReadFault::Refused(error) => return Err(error.clone()),
            ReadFault::Changed(bytes) => state.put(content, bytes.clone()),
            ReadFault::FromTheStart => start = 0,
            ReadFault::BreakAt(at) | ReadFault::EndAt(at) | ReadFault::StallAt(at) => end = *at,
            ReadFault::None | ReadFault::CorruptAt(_) => {}
        }
        let bytes = state.find(content).ok_or_else(|| Error::new(ErrorKind::PackageNotFound, "gone"))?;
        let etag = format!("\"{}\"", Digest::of(&bytes));
        if if_match.is_some_and(|wanted| wanted != etag) {
            return Err(Error::new(ErrorKind::SourceChanged, "412").with_http_status(412));
        }
        let total = bytes.len() as u64;
        let mut served = BytesMut::from(&bytes[..]);
        if let ReadFault::CorruptAt(at) = fault {
            served[usize::try_from(at).unwrap()] ^= 1;
        }
        let end = usize::try_from(end.min(total)).unwrap();
        let start_index = usize::try_from(start).unwrap().min(end);
        let part = served.freeze().slice(start_index..end);
        let chunks: Vec<_> = part.chunks(1000).map(|chunk| Ok(part.slice_ref(chunk))).collect();
        let chunks = futures_util::stream::iter(chunks);
        let body = match fault {
            ReadFault::BreakAt(_) => chunks.chain(futures_util::stream::iter([Err(broken())])).boxed(),
            ReadFault::StallAt(_) => chunks.chain(futures_util::stream::pending()).boxed(),
            _ => chunks.boxed(),
        };
        let told = !state.silent;
        Ok(Fetched {
            start,
            total: told.then_some(total),
            etag: (!state.weak).then_some(etag),
            sha256: told.then(|| Digest::of(&bytes)),
            body,
        })
    }
}

impl Destination for Memory {
    async fn publish(&self, _: &Context, upload: &Upload, body: Body) -> Result<Receipt, Error> {
        let fault = {
            let mut state = self.state();
            state.uploads += 1;
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
            state.write_faults.pop_front().unwrap_or(WriteFault::None)
        };
        let receipt = self.receive(upload, body, fault).await;
        self.state().running -= 1;
        receipt
    }

    async fn begin(&self, _: &Context, _: &Upload) -> Result<Option<UploadLocation>, Error> {
        Ok(None)
    }

    async fn offset(&self, _: &Context, _: &UploadLocation) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    async fn append(
        &self,
        context: &Context,
        upload: &Upload,
        _: &UploadLocation,
        _: u64,
        body: Body,
    ) -> Result<Receipt, Error> {
        self.publish(context, upload, body).await
    }

    async fn abandon(&self, _: &Context, _: &UploadLocation) -> Result<(), Error> {
        Ok(())
    }
}

impl Memory {
    async fn receive(&self, upload: &Upload, mut body: Body, fault: WriteFault) -> Result<Receipt, Error> {
        if let WriteFault::Refused(error) = fault {
            return Err(error);
        }
        let mut bytes = BytesMut::new();
        loop {
            match fault {
                WriteFault::BreakAt(at) if bytes.len() as u64 >= at => return Err(broken()),
                WriteFault::StallAt(at) if bytes.len() as u64 >= at => std::future::pending().await,
                WriteFault::Slow(pause) => tokio::time::sleep(pause).await,
                _ => {}
            }
            match body.next().await {
                Some(Ok(chunk)) => bytes.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        if let WriteFault::Think(pause) = fault {
            tokio::time::sleep(pause).await;
        }
        if matches!(fault, WriteFault::Corrupt) {
            bytes[0] ^= 1;
        }
        let bytes = bytes.freeze();
        let length = bytes.len() as u64;
        assert!(upload.length.is_none_or(|told| told == length), "Content-Length was {:?}", upload.length);
        let mut state = self.state();
        let outcome = match state.find(&upload.content) {
            None => Outcome::Created,
            Some(there) if there == bytes => Outcome::AlreadyThere,
            Some(_) if upload.force => Outcome::Replaced,
            Some(_) => return Err(Error::new(ErrorKind::PackageAlreadyExists, "409").with_http_status(409)),
        };
        if outcome != Outcome::AlreadyThere {
            state.put(&upload.content, bytes.clone());
        }
        if matches!(fault, WriteFault::LoseAnswer) {
            return Err(broken());
        }
        let told = !state.silent;
        Ok(Receipt { outcome, size: told.then_some(length), sha256: told.then(|| Digest::of(&bytes)) })
    }
}
