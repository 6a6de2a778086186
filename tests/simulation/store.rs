//! What a server has, and what of it a crash leaves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uss::copy::Digest;
use uss::update_service::model::{Dependency, PackageVersion};

use super::observer::Observer;
use super::schedule::{Habits, Mishap, Pack};
use super::wire::{Answer, Offer, Refusal, Told};

/// The only version of each package.
pub(crate) const VERSION: &str = "1.0";

/// A server's state. Clones are the same; it outlives the server's software.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) habits: Arc<Habits>,
    pub(crate) observer: Observer,
    graph: Arc<Vec<Pack>>,
    seed: u64,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Durable, each at once.
    packages: BTreeMap<String, (Bytes, Digest)>,
    uploads: BTreeMap<String, Part>,
    begun: u64,
    contents: VecDeque<Mishap>,
    questions: VecDeque<Mishap>,
    /// Contents that were made here.
    made: u64,
    crashes: StdRng,
}

struct Part {
    offer: Offer,
    /// Which run began it.
    run: u32,
    bytes: Vec<u8>,
    /// So many of them are safe from a crash.
    synced: usize,
    /// Who appends now.
    appender: Option<u64>,
}

/// A turn to append to an upload.
pub(crate) struct Turn {
    location: String,
    number: u64,
}

/// What an upload is like after an append.
pub(crate) enum Appended {
    Lacking,
    Whole(Bytes, Offer),
    /// Another one appends, or it has expired.
    Gone,
}

impl Store {
    pub(crate) fn new(seed: u64, habits: &Habits, graph: Arc<Vec<Pack>>, observer: Observer) -> Self {
        let state = State {
            packages: BTreeMap::new(),
            uploads: BTreeMap::new(),
            begun: 0,
            contents: habits.contents.iter().copied().collect(),
            questions: habits.questions.iter().copied().collect(),
            made: 0,
            crashes: StdRng::seed_from_u64(seed),
        };
        Self { habits: Arc::new(habits.clone()), observer, graph, seed, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a content there, as someone else would.
    pub(crate) fn put(&self, id: &str, bytes: Bytes) {
        let digest = Digest::of(&bytes);
        self.observer.stores(&self.habits.host, id, digest);
        self.state().packages.insert(id.to_owned(), (bytes, digest));
    }

    pub(crate) fn package(&self, id: &str) -> Option<(Bytes, Digest)> {
        self.state().packages.get(id).cloned()
    }

    /// What happens to the request that comes next.
    pub(crate) fn mishap(&self, has_content: bool) -> Mishap {
        let mut state = self.state();
        let state = &mut *state;
        let mishaps = if has_content { &mut state.contents } else { &mut state.questions };
        mishaps.pop_front().unwrap_or(Mishap::None)
    }

    /// Gives a package a new content, of the same size: nothing but its bytes tell it from the one before.
    pub(crate) fn renew(&self, id: &str) -> Bytes {
        let size = self.graph.iter().find(|pack| pack.id == id).map_or(0, |pack| pack.size);
        let mut number = {
            let mut state = self.state();
            state.made += 1;
            self.seed ^ (state.made << 32)
        };
        let mut bytes = vec![0; size];
        for piece in bytes.chunks_mut(64) {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            piece.fill((number >> 56) as u8);
            // No two pieces are equal, wherever they end.
            piece.iter_mut().zip((number >> 8).to_le_bytes()).for_each(|(byte, new)| *byte = new);
        }
        let bytes = Bytes::from(bytes);
        self.observer.source_has(id, Digest::of(&bytes));
        self.put(id, bytes.clone());
        bytes
    }

    /// From now on connections are well.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.contents.clear();
        state.questions.clear();
    }

    /// The power is gone: bytes that were not synced may be lost, all or some of them.
    pub(crate) fn crash(&self) {
        let mut state = self.state();
        let state = &mut *state;
        for part in state.uploads.values_mut() {
            let left = state.crashes.random_range(part.synced..=part.bytes.len());
            if left < part.bytes.len() {
                self.observer.met("a crash took bytes of an upload");
            }
            part.bytes.truncate(left);
            part.synced = left;
            part.appender = None;
        }
    }

    /// Uploads that were not finished are forgotten.
    pub(crate) fn expire(&self) {
        if !self.state().uploads.is_empty() {
            self.observer.met("an upload expired");
        }
        self.state().uploads.clear();
    }

    pub(crate) fn versions(&self, ids: &[String]) -> Vec<PackageVersion> {
        let state = self.state();
        let listed = |id: &String| {
            let (bytes, digest) = state.packages.get(id)?;
            let needs =
                self.graph.iter().find(|pack| pack.id == *id).map(|pack| pack.needs.clone()).unwrap_or_default();
            let dependency = |need: usize| Dependency {
                package_id: self.graph[need].id.clone(),
                version_query: String::new(),
                optional: false,
                only_restrict_version: false,
            };
            Some(PackageVersion {
                package_id: id.clone(),
                version: VERSION.into(),
                size: self.habits.sizes.then_some(bytes.len() as u64),
                sha256: self.habits.digests.then(|| digest.to_string()),
                published: None,
                dependencies: needs.into_iter().map(dependency).collect(),
            })
        };
        ids.iter().filter_map(listed).collect()
    }

    /// Whether a digest says that this is there.
    pub(crate) fn has(&self, offer: &Offer) -> bool {
        let there = self.package(&offer.id).map(|(_, digest)| digest.to_string());
        there.is_some() && there == offer.sha256
    }

    pub(crate) fn begin(&self, offer: Offer, run: u32) -> Answer {
        let Some(length) = offer.length.filter(|length| self.habits.resumes.is_some_and(|least| *length >= least))
        else {
            return Answer::Location(None);
        };
        let mut state = self.state();
        if !offer.force && state.packages.get(&offer.id).is_some_and(|(_, there)| differs(&offer, *there)) {
            return Answer::Refused { why: Refusal::Exists, wait: None };
        }
        state.begun += 1;
        let location = format!("/uploads/{}", state.begun);
        let bytes = Vec::with_capacity(usize::try_from(length).unwrap());
        state.uploads.insert(location.clone(), Part { offer, run, bytes, synced: 0, appender: None });
        Answer::Location(Some(location))
    }

    pub(crate) fn offset(&self, location: &str) -> Option<u64> {
        self.state().uploads.get(location).map(|part| part.bytes.len() as u64)
    }

    pub(crate) fn abandon(&self, location: &str) {
        self.state().uploads.remove(location);
    }

    /// Lets one append, where it is its turn and it goes on where the upload is.
    pub(crate) fn turn(&self, location: &str, from: u64, run: u32, number: u64) -> Result<Turn, Refusal> {
        let mut state = self.state();
        let part = state.uploads.get_mut(location).ok_or(Refusal::NotFound)?;
        if part.appender.is_some() && !self.habits.takes_over {
            self.observer.met("an upload was locked");
            return Err(Refusal::Locked);
        }
        // The older one stops, wherever the newer one wants to go on.
        part.appender = None;
        if part.bytes.len() as u64 != from {
            return Err(Refusal::Offset);
        }
        if from > 0 {
            self.observer.met("an upload was gone on with");
        }
        if from > 0 && part.run != run {
            self.observer.met("an upload of an earlier run was gone on with");
        }
        part.appender = Some(number);
        Ok(Turn { location: location.to_owned(), number })
    }

    pub(crate) fn append(&self, turn: &Turn, bytes: &[u8]) -> Appended {
        let mut state = self.state();
        let Some(part) = state.uploads.get_mut(&turn.location).filter(|part| part.appender == Some(turn.number)) else {
            return Appended::Gone;
        };
        part.bytes.extend_from_slice(bytes);
        part.synced = part.synced.max(part.bytes.len() / self.habits.sync_every * self.habits.sync_every);
        let length = part.offer.length.unwrap_or_default();
        match part.bytes.len() as u64 {
            now if now < length => Appended::Lacking,
            now => {
                if now > length {
                    self.observer.violated(format!("{} of {length} bytes came for {}", now, part.offer.id));
                }
                // Its bytes are gone with it: it is a package now, or was refused.
                state
                    .uploads
                    .remove(&turn.location)
                    .map_or(Appended::Gone, |part| Appended::Whole(part.bytes.into(), part.offer))
            }
        }
    }

    /// All bytes came, and nothing was done with them.
    pub(crate) fn keep(&self, turn: Turn, offer: Offer, bytes: Bytes, run: u32) {
        let (bytes, synced) = (bytes.to_vec(), bytes.len());
        self.state().uploads.insert(turn.location, Part { offer, run, bytes, synced, appender: None });
    }

    /// The turn is over, and the upload lacks something.
    pub(crate) fn leave(&self, turn: &Turn) {
        let mut state = self.state();
        if let Some(part) = state.uploads.get_mut(&turn.location).filter(|part| part.appender == Some(turn.number)) {
            part.appender = None;
        }
    }

    /// Publishes what came whole, or refuses it. `proves`: the digest that was told is compared before.
    pub(crate) fn publish(&self, offer: &Offer, bytes: Bytes, proves: bool, run: u32, request: u64) -> Answer {
        let host = &self.habits.host;
        let digest = Digest::of(&bytes);
        if proves && offer.sha256.as_ref().is_some_and(|told| *told != digest.to_string()) {
            self.observer.met("a destination refused a digest");
            return Answer::Refused { why: Refusal::Checksum, wait: None };
        }
        let size = bytes.len() as u64;
        let mut state = self.state();
        let outcome = match state.packages.get(&offer.id) {
            Some((_, there)) if *there == digest => Told::AlreadyThere,
            Some(_) if !offer.force => return Answer::Refused { why: Refusal::Exists, wait: None },
            Some(_) => Told::Replaced,
            None => Told::Created,
        };
        if !self.observer.is_right(&offer.id, digest) {
            self.observer.violated(format!("{} was published on {host} with {size} wrong bytes", offer.id));
        }
        let needs = self.graph.iter().find(|pack| pack.id == offer.id).map_or(&[][..], |pack| &pack.needs);
        for need in needs.iter().map(|need| &self.graph[*need].id) {
            if !state.packages.contains_key(need) {
                self.observer.violated(format!("{} was published on {host} before {need}, which it needs", offer.id));
            }
        }
        if !self.observer.uploaded_once(host, &offer.id, run, request) {
            // What the client could not know: a first upload was still under way, or no one told of its end.
            self.observer.met("bytes were sent again though they were there");
        }
        self.observer.note(host, format_args!("has {} ({outcome:?}, {size} B, {digest})", offer.id));
        self.observer.stores(host, &offer.id, digest);
        state.packages.insert(offer.id.clone(), (bytes, digest));
        let told = self.habits.digests;
        Answer::Receipt { outcome, size: told.then_some(size), sha256: told.then(|| digest.to_string()) }
    }
}

fn differs(offer: &Offer, there: Digest) -> bool {
    offer.sha256.as_ref().is_some_and(|told| *told != there.to_string())
}
