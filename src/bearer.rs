//! The process-wide bearer cache: one exchange in flight a key, however many ask.
//!
//! A [`Slot`] is one key's state machine. It is plain: one mutex, never held across an await; the exchange itself is
//! a task of its own on the process's runtime, so that cancelling one that waits never cancels it. A failure goes to
//! all that wait at that moment and is not kept. Each bearer has a generation: whoever got a 401 names the one that
//! it used, and only the first of them causes a new exchange.
//!
//! A bearer that somebody has to end counts its users: the last of them takes it out.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::RngExt;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};
use crate::http::TransportOptions;
use crate::runtime::runtime;
use crate::secret::Secret;

/// Keys kept whose bearer has expired and that no connection uses; beyond it they are dropped.
const MAX_IDLE: usize = 256;

/// Whose bearer it is. The token itself is not kept: a hash under a key that only this process knows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    origin: String,
    user_name: String,
    token: [u8; 32],
    options: TransportOptions,
    exchange: String,
}

impl Key {
    /// The key of one user with one token on one origin; `exchange` is the address that exchanges it.
    #[must_use]
    pub fn new(origin: String, user_name: &str, token: &Secret, options: TransportOptions, exchange: String) -> Self {
        static PROCESS_KEY: LazyLock<[u8; 32]> = LazyLock::new(|| rand::rng().random());
        // HMAC takes keys of any length; the alternative never happens and would still tell users apart.
        let token = Hmac::<Sha256>::new_from_slice(PROCESS_KEY.as_slice())
            .map(|mac| mac.chain_update(token.expose().as_bytes()).finalize().into_bytes().into())
            .unwrap_or_default();
        Self { origin, user_name: user_name.into(), token, options, exchange }
    }
}

/// The signed-in user, as the exchange tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The server's key of the user.
    pub user_id: String,
    /// The address that also signs in.
    pub email: String,
    /// For people to read.
    pub full_name: Option<String>,
}

/// What an exchange gives.
#[derive(Clone)]
pub struct Exchanged {
    /// `Authorization`'s value, marked sensitive.
    pub authorization: HeaderValue,
    /// The bearer alone, for keeping it out of messages.
    pub token: Secret,
    /// Who signed in.
    pub user: User,
    /// When it ends, by the server's clock.
    pub token_expires: Timestamp,
    /// How long it lives from when the exchange was sent, by the server's clock alone.
    pub life: Duration,
}

/// A bearer and which one it is.
pub struct Bearer {
    /// What the exchange gave.
    pub exchanged: Exchanged,
    /// Counts from 1 in its slot.
    pub generation: u64,
    refresh_at: Instant,
    expires_at: Option<Instant>,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expires = &self.exchanged.token_expires;
        f.debug_struct("Bearer").field("generation", &self.generation).field("token_expires", expires).finish()
    }
}

/// One key's bearer, and the exchange that is under way for it.
#[derive(Default)]
pub struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    current: Option<Arc<Bearer>>,
    /// When a failed refresh may be tried again.
    refresh_not_before: Option<Instant>,
    exchanging: bool,
    waiting: Vec<oneshot::Sender<Result<Arc<Bearer>, Error>>>,
    generations: u64,
    /// Of a bearer that somebody has to end.
    users: usize,
}

/// What somebody who asks gets.
enum Ask {
    /// A bearer that is good now, and whether the asker must start an exchange in the background.
    Ready { bearer: Arc<Bearer>, start: bool },
    /// Its exchange is awaited; `start`: the asker must start it.
    Wait { answer: oneshot::Receiver<Result<Arc<Bearer>, Error>>, start: bool },
}

/// The slot of `key`: the same one for all that ask in this process.
#[must_use]
pub fn slot(key: Key) -> Arc<Slot> {
    static SLOTS: LazyLock<Mutex<HashMap<Key, Arc<Slot>>>> = LazyLock::new(Mutex::default);
    let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    if slots.len() >= MAX_IDLE && !slots.contains_key(&key) {
        let now = Instant::now();
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().good(now).is_some());
    }
    slots.entry(key).or_default().clone()
}

impl Slot {
    /// A bearer that is not of generation `refused`: the one at hand, or a new one.
    ///
    /// # Errors
    /// What the exchange fails with; `Internal` when the runtime cannot start or the exchange hits a defect.
    pub async fn bearer<F>(
        self: &Arc<Self>,
        refused: Option<u64>,
        exchange: impl FnOnce() -> F,
    ) -> Result<Arc<Bearer>, Error>
    where
        F: Future<Output = Result<Exchanged, Error>> + Send + 'static,
    {
        // Its own statement: the lock ends with it, before anything is awaited.
        let ask = self.lock().ask(Instant::now(), refused);
        match ask {
            Ask::Ready { bearer, start } => {
                if start {
                    self.start(exchange())?;
                }
                Ok(bearer)
            }
            Ask::Wait { answer, start } => {
                if start {
                    self.start(exchange())?;
                }
                answer.await.unwrap_or_else(|_| Err(defect()))
            }
        }
    }

    /// One more uses the bearer, until it [leaves](Self::leave).
    pub fn join(&self) {
        self.lock().users += 1;
    }

    /// One that joined uses the bearer no more. Whether nobody does now: then [`Self::take`] has to follow.
    #[must_use]
    pub fn leave(&self) -> bool {
        let mut state = self.lock();
        state.users = state.users.saturating_sub(1);
        state.users == 0
    }

    /// Takes the bearer out, so that nobody is given it any more; an exchange that is under way is awaited. None: there
    /// is none, or somebody has joined meanwhile, who leaves later.
    pub async fn take(&self) -> Option<Arc<Bearer>> {
        loop {
            let exchanging = {
                let mut state = self.lock();
                if state.users > 0 {
                    return None;
                }
                if !state.exchanging {
                    return state.current.take();
                }
                let (sender, answer) = oneshot::channel();
                state.waiting.push(sender);
                answer
            };
            // However it ended: the next look tells.
            let _ = exchanging.await;
        }
    }

    fn start<F>(self: &Arc<Self>, exchange: F) -> Result<(), Error>
    where
        F: Future<Output = Result<Exchanged, Error>> + Send + 'static,
    {
        let ending = Ending(Some(self.clone()));
        runtime()?.spawn(async move {
            let sent = Instant::now();
            let outcome = exchange.await;
            ending.end(sent, outcome);
        });
        Ok(())
    }

    fn end(&self, sent: Instant, outcome: Result<Exchanged, Error>) {
        let (waiting, told) = self.lock().end(sent, Instant::now(), outcome);
        for waiter in waiting {
            // Refused only by one that was cancelled meanwhile.
            let _ = waiter.send(told.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, now: Instant, refused: Option<u64>) -> Ask {
        if self.current.as_ref().is_some_and(|bearer| Some(bearer.generation) == refused) {
            self.current = None;
        }
        if let Some(bearer) = self.good(now).cloned() {
            let due = now >= bearer.refresh_at && self.refresh_not_before.is_none_or(|earliest| now >= earliest);
            return Ask::Ready { start: due && self.claim(), bearer };
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.push(sender);
        Ask::Wait { start: self.claim(), answer }
    }

    /// Whether the asker is the one to exchange.
    fn claim(&mut self) -> bool {
        !std::mem::replace(&mut self.exchanging, true)
    }

    fn good(&self, now: Instant) -> Option<&Arc<Bearer>> {
        self.current.as_ref().filter(|bearer| bearer.expires_at.is_none_or(|end| now < end))
    }

    #[allow(clippy::type_complexity)]
    fn end(
        &mut self,
        sent: Instant,
        now: Instant,
        outcome: Result<Exchanged, Error>,
    ) -> (Vec<oneshot::Sender<Result<Arc<Bearer>, Error>>>, Result<Arc<Bearer>, Error>) {
        self.exchanging = false;
        let told = outcome.map(|exchanged| {
            self.generations += 1;
            let life = exchanged.life;
            let bearer = Arc::new(Bearer {
                generation: self.generations,
                refresh_at: sent.checked_add(life.mul_f64(0.8)).unwrap_or(sent),
                expires_at: sent.checked_add(life),
                exchanged,
            });
            self.current = Some(bearer.clone());
            self.refresh_not_before = None;
            bearer
        });
        if told.is_err() {
            // The old bearer is used on; a server that fails is not asked with every call.
            let left = self.good(now).and_then(|bearer| bearer.expires_at).map(|end| end.duration_since(now));
            self.refresh_not_before = left.map(|left| now + left / 4);
        }
        (std::mem::take(&mut self.waiting), told)
    }
}

/// Ends the exchange of its slot even if the exchange panics or its task is dropped: nobody waits forever.
struct Ending(Option<Arc<Slot>>);

impl Ending {
    fn end(mut self, sent: Instant, outcome: Result<Exchanged, Error>) {
        if let Some(slot) = self.0.take() {
            slot.end(sent, outcome);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.end(Instant::now(), Err(defect()));
        }
    }
}

fn defect() -> Error {
    Error::new(ErrorKind::Internal, "Signing in hit a defect of the uss library.")
        .with_hint("Please report it, with the command and the verbose output.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn exchanged(life: Duration) -> Exchanged {
        Exchanged {
            authorization: HeaderValue::from_static("Bearer x"),
            token: Secret::new("canary".into()),
            user: User::default(),
            token_expires: Timestamp::UNIX_EPOCH,
            life,
        }
    }

    fn ready(ask: Ask) -> (u64, bool) {
        match ask {
            Ask::Ready { bearer, start } => (bearer.generation, start),
            Ask::Wait { .. } => panic!("a bearer should be at hand"),
        }
    }

    fn must_wait(ask: Ask) -> (oneshot::Receiver<Result<Arc<Bearer>, Error>>, bool) {
        match ask {
            Ask::Wait { answer, start } => (answer, start),
            Ask::Ready { .. } => panic!("no bearer should be at hand"),
        }
    }

    fn finish(state: &mut State, now: Instant, outcome: Result<Exchanged, Error>) {
        let (waiting, told) = state.end(now, now, outcome);
        waiting.into_iter().for_each(|waiter| drop(waiter.send(told.clone())));
    }

    #[test]
    fn only_the_first_of_those_that_wait_starts_the_exchange() {
        let (mut state, now) = (State::default(), Instant::now());
        let (mut first, starts) = must_wait(state.ask(now, None));
        let (mut second, starts_too) = must_wait(state.ask(now, None));
        assert_eq!((starts, starts_too), (true, false));
        finish(&mut state, now, Ok(exchanged(HOUR)));
        assert_eq!(first.try_recv().unwrap().unwrap().generation, 1);
        assert_eq!(second.try_recv().unwrap().unwrap().generation, 1);
        assert_eq!(ready(state.ask(now, None)), (1, false));
    }

    #[test]
    fn a_failure_goes_to_all_that_wait_and_is_not_kept() {
        let (mut state, now) = (State::default(), Instant::now());
        let (mut first, _) = must_wait(state.ask(now, None));
        let (mut second, _) = must_wait(state.ask(now, None));
        finish(&mut state, now, Err(Error::new(ErrorKind::Timeout, "late")));
        for waiter in [&mut first, &mut second] {
            assert_eq!(waiter.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        }
        assert!(must_wait(state.ask(now, None)).1, "the next one exchanges again");
    }

    #[test]
    fn a_hundred_refusals_of_one_bearer_cause_one_exchange() {
        let (mut state, now) = (State::default(), Instant::now());
        must_wait(state.ask(now, None));
        finish(&mut state, now, Ok(exchanged(HOUR)));
        let starts = (0..50).filter(|_| must_wait(state.ask(now, Some(1))).1).count();
        finish(&mut state, now, Ok(exchanged(HOUR)));
        let late = (0..50).filter(|_| ready(state.ask(now, Some(1))) != (2, false)).count();
        assert_eq!((starts, late), (1, 0));
    }

    #[test]
    fn the_last_fifth_of_its_life_a_bearer_serves_while_one_refresh_runs() {
        let (mut state, now) = (State::default(), Instant::now());
        must_wait(state.ask(now, None));
        finish(&mut state, now, Ok(exchanged(HOUR)));
        assert_eq!(ready(state.ask(now + HOUR.mul_f64(0.79), None)), (1, false));
        let late = now + HOUR.mul_f64(0.81);
        assert_eq!(ready(state.ask(late, None)), (1, true));
        assert_eq!(ready(state.ask(late, None)), (1, false));
        finish(&mut state, late, Err(Error::new(ErrorKind::ServerUnavailable, "down")));
        assert_eq!(ready(state.ask(late, None)), (1, false), "a failed refresh is not tried with every call");
        assert_eq!(ready(state.ask(now + HOUR.mul_f64(0.9), None)), (1, true));
        assert!(!must_wait(state.ask(now + HOUR, None)).1, "an expired bearer is never given out");
    }

    fn slot_of(user: &str) -> Arc<Slot> {
        let secret = Secret::new("canary".into());
        slot(Key::new("https://a".into(), user, &secret, TransportOptions::default(), String::new()))
    }

    #[test]
    fn equal_keys_share_a_slot_and_nothing_shows_the_token() {
        assert!(Arc::ptr_eq(&slot_of("sharing"), &slot_of("sharing")));
        assert!(!Arc::ptr_eq(&slot_of("sharing"), &slot_of("another")));
        let (mut state, now) = (State::default(), Instant::now());
        must_wait(state.ask(now, None));
        finish(&mut state, now, Ok(exchanged(HOUR)));
        assert!(!format!("{:?}", state.current).contains("canary"));
    }

    #[test]
    fn cancelling_the_one_that_started_the_exchange_does_not_cancel_it() {
        let (slot, count) = (slot_of("cancelling"), Arc::new(AtomicUsize::new(0)));
        let go = Arc::new(Notify::new());
        runtime().unwrap().block_on(async {
            let exchange = |count: Arc<AtomicUsize>, go: Arc<Notify>| async move {
                count.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok(exchanged(HOUR))
            };
            let impatient = slot.bearer(None, || exchange(count.clone(), go.clone()));
            assert!(futures_util::FutureExt::now_or_never(impatient).is_none(), "it waits, and is dropped here");
            go.notify_one();
            let bearer = slot.bearer(None, || exchange(count.clone(), go.clone())).await.unwrap();
            assert_eq!((bearer.generation, count.load(Ordering::SeqCst)), (1, 1));
        });
    }

    #[test]
    fn the_last_user_takes_the_bearer_and_nobody_before() {
        let slot = slot_of("leaving");
        runtime().unwrap().block_on(async {
            slot.join();
            slot.join();
            slot.bearer(None, || async { Ok(exchanged(HOUR)) }).await.unwrap();
            assert!(!slot.leave());
            assert!(slot.take().await.is_none(), "one is still there");
            assert!(slot.leave());
            slot.join();
            assert!(slot.take().await.is_none(), "one has come meanwhile");
            assert!(slot.leave());
            assert_eq!(slot.take().await.unwrap().generation, 1);
            assert!(slot.take().await.is_none(), "it is taken once");
        });
    }

    #[test]
    fn a_bearer_that_comes_when_all_have_left_is_taken_too() {
        let (slot, go) = (slot_of("late"), Arc::new(Notify::new()));
        runtime().unwrap().block_on(async {
            slot.join();
            let exchange = |go: Arc<Notify>| async move {
                go.notified().await;
                Ok(exchanged(HOUR))
            };
            let asked = slot.bearer(None, || exchange(go.clone()));
            assert!(futures_util::FutureExt::now_or_never(asked).is_none(), "it waits, and is dropped here");
            assert!(slot.leave());
            let mut taking = Box::pin(slot.take());
            assert!(futures_util::FutureExt::now_or_never(&mut taking).is_none(), "the exchange is awaited");
            go.notify_one();
            assert_eq!(taking.await.unwrap().generation, 1);
        });
    }

    #[test]
    fn an_exchange_that_panics_leaves_nobody_waiting() {
        let slot = slot_of("panicking");
        let error = runtime().unwrap().block_on(slot.bearer(None, || async { panic!("demo") })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        let next = runtime().unwrap().block_on(slot.bearer(None, || async { Ok(exchanged(HOUR)) }));
        assert_eq!(next.unwrap().generation, 1);
    }
}
