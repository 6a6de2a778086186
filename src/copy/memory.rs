//! A server in memory, for the engine's tests: it keeps packages and fails on command.

mod destination;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};

use super::plan::{Existing, Stored, identity};
use super::{Catalogue, ContentKey, Digest, Fetched, Source, Upload};
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
    /// The connection breaks when the upload has so many bytes.
    BreakAt(u64),
    /// Nothing more is taken when the upload has so many bytes.
    StallAt(u64),
    /// Each chunk takes so long.
    Slow(Duration),
    /// It is published and the answer gets lost.
    LoseAnswer,
    /// The answer takes so long.
    Think(Duration),
    /// Nothing is taken, and after so long the connection breaks.
    Late(Duration),
    /// Answered at once, nothing is read.
    Refused(Error),
    /// It is stored wrongly.
    Corrupt,
    /// It is answered as done, without a digest, and nothing is kept.
    Forget,
    /// The connection breaks when the upload has so many bytes, and the upload is gone.
    GoneAt(u64),
    /// The connection breaks when the upload has so many bytes, and a crash leaves only the second number of them.
    CrashAt(u64, usize),
}

/// What happens to one question for an upload's offset.
#[derive(Clone, Debug)]
pub(super) enum OffsetFault {
    None,
    Lost,
    Refused(Error),
}

/// What a side has of an upload that is not whole.
#[derive(Debug)]
struct Partial {
    upload: Upload,
    bytes: BytesMut,
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
    /// No digests.
    pub(super) untold: bool,
    /// No digests and no sizes.
    pub(super) silent: bool,
    /// Uploads can be gone on with.
    pub(super) resumes: bool,
    partials: BTreeMap<String, Partial>,
    pub(super) offset_faults: VecDeque<OffsetFault>,
    /// How many were begun.
    pub(super) begun: usize,
    /// From where each append went on.
    pub(super) appended: Vec<u64>,
    pub(super) abandoned: usize,
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

    fn user(&self) -> String {
        "ada".into()
    }

    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        let mut state = self.state();
        state.lookups += 1;
        let (silent, untold) = (state.silent, state.untold);
        let listed = |id: &String| {
            let all = state.packages.get(id)?.iter().map(|(version, _)| version.clone());
            let all = all.map(|v| if silent { PackageVersion { size: None, sha256: None, ..v } } else { v });
            let all = all.map(|v| if untold { PackageVersion { sha256: None, ..v } } else { v });
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
            sha256: (told && !state.untold).then(|| Digest::of(&bytes)),
            body,
        })
    }
}
