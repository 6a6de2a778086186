//! The engine's ends: a source and a destination that speak the framed protocol.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;
use uss::copy::{
    Body, Catalogue, ContentKey, Destination, Digest, Fetched, Outcome, Receipt, Source, Upload, UploadLocation,
};
use uss::operation::Context;
use uss::update_service::model::{Installer, PackageVersion};
use uss::{Error, ErrorKind};

use super::observer::Observer;
use super::wire::{Answer, Ask, Asked, Offer, PORT, Reader, Refusal, Told, Writer, halves};

/// How long the way to a server, and an answer without a body, may take.
const PATIENCE: Duration = Duration::from_millis(700);

/// Tries of a look-up whose connection broke.
const TRIES: u32 = 3;

/// A server as a run of the client sees it.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) host: String,
    pub(crate) run: u32,
    pub(crate) observer: Observer,
    pub(crate) way: Arc<Way>,
}

/// What the network does to the requests to one server, over all runs.
#[derive(Default)]
pub(crate) struct Way {
    pub(crate) requests: AtomicU64,
    pub(crate) doubles: Mutex<VecDeque<Option<Duration>>>,
}

/// What goes into the second of two equal requests.
type Double = UnboundedSender<Option<Bytes>>;

impl End {
    fn broken(&self, why: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::ConnectionFailed, format!("The connection to {} broke: {why}.", self.host))
            .with_server(&self.host)
            .with_retry_after(Duration::ZERO)
    }

    fn late(&self) -> Error {
        Error::new(ErrorKind::Timeout, format!("{} did not answer in time.", self.host))
            .with_server(&self.host)
            .with_retry_after(Duration::ZERO)
    }

    fn lost(&self, error: io::Error) -> Error {
        self.broken(error.kind())
    }

    async fn connect(&self) -> Result<(Reader, Writer), Error> {
        match timeout(PATIENCE, TcpStream::connect((self.host.as_str(), PORT))).await {
            Ok(Ok(stream)) => Ok(halves(stream)),
            Ok(Err(error)) => {
                Err(Error::new(ErrorKind::ConnectionFailed, format!("No connection: {error}.")).with_server(&self.host))
            }
            Err(_) => Err(self.late()),
        }
    }

    /// Sends a request; where the network makes it twice, the second one takes what goes into the sender.
    async fn send(&self, ask: Ask) -> Result<(Reader, Writer, Option<Double>), Error> {
        let request = self.way.requests.fetch_add(1, Ordering::Relaxed);
        let asked = Asked { run: self.run, request, ask };
        let late = self.way.doubles.lock().unwrap().pop_front().flatten();
        let double = late.map(|late| {
            let (sender, body) = unbounded_channel();
            tokio::spawn(again(self.clone(), asked.clone(), late, body));
            sender
        });
        let (reader, mut writer) = self.connect().await?;
        writer.message(&asked).await.map_err(|error| self.lost(error))?;
        Ok((reader, writer, double))
    }

    async fn answer(&self, reader: &mut Reader) -> Result<Answer, Error> {
        match reader.message().await.map_err(|error| self.lost(error))? {
            Answer::Refused { why, wait } => Err(self.refused(why, wait)),
            answer => Ok(answer),
        }
    }

    fn refused(&self, why: Refusal, wait: Option<u64>) -> Error {
        let (kind, status) = match why {
            Refusal::BearerExpired => (ErrorKind::AuthenticationFailed, 401),
            Refusal::NotFound => (ErrorKind::PackageNotFound, 404),
            Refusal::Exists => (ErrorKind::PackageAlreadyExists, 409),
            Refusal::Offset => (ErrorKind::ServerUnavailable, 409),
            Refusal::Changed => (ErrorKind::SourceChanged, 412),
            Refusal::Checksum => (ErrorKind::ChecksumMismatch, 422),
            Refusal::Locked => (ErrorKind::ServerUnavailable, 423),
            Refusal::TooMany => (ErrorKind::RateLimited, 429),
            Refusal::Defect => (ErrorKind::ServerUnavailable, 500),
            Refusal::Busy => (ErrorKind::ServerUnavailable, 503),
        };
        let error = Error::new(kind, format!("{} answered {status} ({why:?}).", self.host));
        let error = error.with_http_status(status).with_server(&self.host);
        match wait {
            Some(wait) => error.with_retry_after(Duration::from_millis(wait)),
            None => error,
        }
    }

    /// A request and an answer without bodies.
    async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        let exchange = async {
            let (mut reader, _writer, _double) = self.send(ask).await?;
            self.answer(&mut reader).await
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(self.late()))
    }

    fn unexpected(&self, answer: &Answer) -> Error {
        Error::new(ErrorKind::ProtocolViolation, format!("{} answered {answer:?}.", self.host))
    }

    /// Sends a body until there is an answer to it.
    async fn upload(&self, ask: Ask, upload: &Upload, mut body: Body) -> Result<Receipt, Error> {
        let digest = upload.sha256.map(|digest| digest.to_string());
        self.observer.sends(self.run, &self.host, upload.content.id(), digest.as_deref());
        let (mut reader, mut writer, double) = self.send(ask).await?;
        let mut answer = pin!(self.answer(&mut reader));
        let mut sent = pin!(async {
            while let Some(bytes) = body.next().await {
                let bytes = bytes?;
                if let Some(double) = &double {
                    double.send(Some(bytes.clone())).ok();
                }
                writer.chunk(&bytes).await.map_err(|error| self.lost(error))?;
            }
            if let Some(double) = &double {
                double.send(None).ok();
            }
            writer.end().await.map_err(|error| self.lost(error))
        });
        let answered = tokio::select! {
            biased;
            answered = &mut answer => answered,
            sent = &mut sent => match sent {
                Ok(()) => answer.await,
                Err(error) => Err(error),
            },
        }?;
        match answered {
            Answer::Receipt { outcome, size, sha256 } => Ok(Receipt {
                outcome: match outcome {
                    Told::Created => Outcome::Created,
                    Told::AlreadyThere => Outcome::AlreadyThere,
                    Told::Replaced => Outcome::Replaced,
                },
                size,
                sha256: sha256.as_deref().and_then(Digest::parse),
            }),
            other => Err(self.unexpected(&other)),
        }
    }
}

/// The second of two equal requests: it comes later, and nobody waits for its answer.
async fn again(end: End, asked: Asked, late: Duration, mut body: UnboundedReceiver<Option<Bytes>>) {
    sleep(late).await;
    let Ok((mut reader, mut writer)) = end.connect().await else { return };
    end.observer.met("a request came twice");
    if writer.message(&asked).await.is_err() {
        return;
    }
    let has_body = matches!(asked.ask, Ask::Publish { .. } | Ask::Append { .. });
    while let Some(piece) = body.recv().await.filter(|_| has_body) {
        let sent = match &piece {
            Some(bytes) => writer.chunk(bytes).await,
            None => writer.end().await,
        };
        if sent.is_err() || piece.is_none() {
            break;
        }
    }
    let _answer = timeout(PATIENCE, reader.message::<Answer>()).await;
}

fn offer(upload: &Upload) -> Offer {
    Offer {
        id: upload.content.id().into(),
        version: upload.content.version().into(),
        sha256: upload.sha256.map(|digest| digest.to_string()),
        length: upload.length,
        force: upload.force,
    }
}

impl Catalogue for End {
    fn name(&self) -> String {
        self.host.clone()
    }

    async fn versions_of(&self, _: &Context, ids: &[String]) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.ask(Ask::Versions { ids: ids.to_vec() }).await {
                Ok(Answer::Versions(all)) => {
                    for PackageVersion { package_id, sha256, .. } in &all {
                        sha256.iter().for_each(|digest| self.observer.told(self.run, &self.host, package_id, digest));
                    }
                    return Ok(all.into_iter().map(|version| (version.package_id.clone(), vec![version])).collect());
                }
                Ok(other) => return Err(self.unexpected(&other)),
                Err(error) if error.retry_after().is_none() || tries == TRIES => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn installers(&self, _: &Context) -> Result<Vec<Installer>, Error> {
        Ok(Vec::new())
    }
}

impl Source for End {
    type Body = BoxStream<'static, Result<Bytes, Error>>;

    async fn content(
        &self,
        _: &Context,
        content: &ContentKey,
        from: u64,
        if_match: Option<&str>,
    ) -> Result<Fetched<Self::Body>, Error> {
        let (id, version) = (content.id().to_owned(), content.version().to_owned());
        let (mut reader, writer, _) =
            self.send(Ask::Content { id, version, from, if_match: if_match.map(str::to_owned) }).await?;
        match self.answer(&mut reader).await? {
            Answer::Content { start, total, etag, sha256 } => {
                let state = Some((reader, writer, self.clone()));
                let body = unfold(state, async |state| {
                    let (mut reader, writer, end) = state?;
                    match reader.chunk().await {
                        Ok(Some(bytes)) => Some((Ok(bytes), Some((reader, writer, end)))),
                        Ok(None) => None,
                        Err(error) => Some((Err(end.lost(error)), None)),
                    }
                });
                Ok(Fetched {
                    start,
                    total,
                    etag,
                    sha256: sha256.as_deref().and_then(Digest::parse),
                    body: body.boxed(),
                })
            }
            other => Err(self.unexpected(&other)),
        }
    }
}

impl Destination for End {
    async fn publish(&self, _: &Context, upload: &Upload, body: Body) -> Result<Receipt, Error> {
        self.upload(Ask::Publish { offer: offer(upload) }, upload, body).await
    }

    async fn begin(&self, _: &Context, upload: &Upload) -> Result<Option<UploadLocation>, Error> {
        match self.ask(Ask::Begin { offer: offer(upload) }).await? {
            Answer::Location(location) => Ok(location.map(UploadLocation)),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn offset(&self, _: &Context, location: &UploadLocation) -> Result<Option<u64>, Error> {
        match self.ask(Ask::Offset { location: location.0.clone() }).await? {
            Answer::Offset(offset) => Ok(offset),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn append(
        &self,
        _: &Context,
        upload: &Upload,
        location: &UploadLocation,
        from: u64,
        body: Body,
    ) -> Result<Receipt, Error> {
        self.upload(Ask::Append { location: location.0.clone(), from, offer: offer(upload) }, upload, body).await
    }

    async fn abandon(&self, _: &Context, location: &UploadLocation) -> Result<(), Error> {
        self.ask(Ask::Abandon { location: location.0.clone() }).await.map(drop)
    }
}
