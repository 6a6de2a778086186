//! A connection's part in the session that a password began.
//!
//! The server keeps such a session until it is signed out. All connections of one person share one; the last of them
//! that is done with it ends it, in a task of its own, so that whoever waits may give up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::MAX_EXCHANGE;
use crate::bearer::{Bearer, Slot};
use crate::error::Error;
use crate::http::{Method, Request, Signature, Transport, UriTemplate};
use crate::log::{Log, LogLevel};
use crate::runtime::runtime;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// How long the end of a session may take, and how long anybody waits for it.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts among the bearer's users from its first request until it is ended or dropped.
pub(super) struct Stay {
    ending: Arc<Ending>,
    begun: Mutex<bool>,
}

/// What ends the session.
struct Ending {
    slot: Arc<Slot>,
    server: ServerUrl,
    transport: Transport,
    route: (Method, UriTemplate),
    /// What no message may hold, beside the bearer.
    secrets: Vec<Secret>,
}

impl Stay {
    pub(super) fn new(
        slot: Arc<Slot>,
        server: ServerUrl,
        transport: Transport,
        route: (Method, UriTemplate),
        secrets: Vec<Secret>,
    ) -> Self {
        Self { ending: Arc::new(Ending { slot, server, transport, route, secrets }), begun: Mutex::default() }
    }

    /// Before a bearer is asked for.
    pub(super) fn begin(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *begun, true) {
            self.ending.slot.join();
        }
    }

    /// Leaves, and waits for the end of the session if nobody else is there.
    pub(super) async fn end(&self, log: &Log) {
        let Some(ended) = self.leave(log) else { return };
        if timeout(LONGEST, ended).await.is_err() {
            log.session_left(&self.ending.server, "it takes too long.");
        }
    }

    fn leave(&self, log: &Log) -> Option<JoinHandle<()>> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut *begun) || !self.ending.slot.leave() {
            return None;
        }
        let (ending, log) = (self.ending.clone(), log.clone());
        // Whoever has begun has signed in on this runtime.
        runtime().ok().map(|runtime| runtime.spawn(async move { ending.run(&log).await }))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        drop(self.leave(&Log::new(LogLevel::None)));
    }
}

impl Ending {
    async fn run(&self, log: &Log) {
        // A sign-in that is still under way begins a session, too.
        let Some(bearer) = self.slot.take().await else { return };
        match timeout(LONGEST, self.sign_out(log, &bearer)).await {
            Ok(Ok(())) => {}
            // It was over already.
            Ok(Err(error)) if error.http_status() == Some(401) => {}
            Ok(Err(error)) => log.session_left(&self.server, error.message()),
            Err(_) => log.session_left(&self.server, "the server did not answer in time."),
        }
    }

    async fn sign_out(&self, log: &Log, bearer: &Bearer) -> Result<(), Error> {
        let (method, uri) = &self.route;
        let request = Request::new(method.clone(), self.server.join(&uri.expand(&[]))?);
        let mut secrets = self.secrets.clone();
        secrets.push(bearer.exchanged.token.clone());
        let signature = Signature { authorization: Some(bearer.exchanged.authorization.clone()), secrets };
        self.transport.fetch(log, &request, &signature, MAX_EXCHANGE).await.map(drop)
    }
}
