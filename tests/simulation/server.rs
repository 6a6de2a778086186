//! A server's software: one connection, one request, and what mishap there is.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep, timeout};
use turmoil::net::{TcpListener, TcpStream};

use super::schedule::Mishap;
use super::store::{Appended, Store, VERSION};
use super::wire::{Answer, Ask, Asked, Offer, PORT, Reader, Refusal, Writer, halves};

/// The rest of a body that nobody needs is taken for so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// A stalled connection is there for so long, where the server does not give it up before.
const STALL: Duration = Duration::from_secs(3);

/// Serves until the host crashes.
pub(crate) async fn serve(store: Store, chunk: usize) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    // No tasks: in which order a crash drops those depends on what else the process runs.
    let mut connections = FuturesUnordered::new();
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                number += 1;
                connections.push(connection(store.clone(), accepted?.0, chunk, number));
            }
            Some(()) = connections.next() => {}
        }
    }
}

async fn connection(store: Store, stream: TcpStream, chunk: usize, number: u64) {
    let (mut reader, writer) = halves(stream);
    let Ok(Ok(asked)) = timeout(store.habits.idle, reader.message::<Asked>()).await else { return };
    let has_content = matches!(asked.ask, Ask::Content { .. } | Ask::Publish { .. } | Ask::Append { .. });
    let mishap = store.mishap(has_content);
    store.observer.note(&store.habits.host, format_args!("{number} {asked:?} {mishap:?}"));
    let mut exchange = Exchange { store, reader, writer, mishap, moved: 0, over: false, chunk, number };
    if let Some(answer) = exchange.answer(asked).await {
        exchange.send(answer).await;
    }
}

struct Exchange {
    store: Store,
    reader: Reader,
    writer: Writer,
    mishap: Mishap,
    /// Bytes of a body that came or went.
    moved: u64,
    /// The mishap has happened, and nothing more moves.
    over: bool,
    chunk: usize,
    number: u64,
}

/// What comes of a body.
enum Piece {
    Bytes(Bytes),
    End,
    Broken,
}

impl Exchange {
    /// Does what is asked. None: the connection just ends.
    async fn answer(&mut self, asked: Asked) -> Option<Answer> {
        let refused = match self.mishap {
            Mishap::Busy { wait } => Some((Refusal::Busy, Some(wait))),
            Mishap::TooMany { wait } => Some((Refusal::TooMany, Some(wait))),
            Mishap::Defect => Some((Refusal::Defect, Some(0))),
            Mishap::BearerExpired => Some((Refusal::BearerExpired, Some(0))),
            _ => None,
        };
        if let Some((why, wait)) = refused {
            return Some(Answer::Refused { why, wait });
        }
        let Asked { run, request, ask } = asked;
        match ask {
            Ask::Versions { ids } => Some(Answer::Versions(self.store.versions(&ids))),
            Ask::Content { id, version, from, if_match } => self.content(&id, &version, from, if_match).await,
            Ask::Publish { offer } => self.publish(offer, run, request).await,
            Ask::Begin { offer } => Some(self.store.begin(offer, run)),
            Ask::Offset { location } => Some(Answer::Offset(self.store.offset(&location))),
            Ask::Append { location, from, offer } => {
                self.spare_what_nobody_can_notice(offer.sha256.is_some());
                self.append(&location, from, run, request).await
            }
            Ask::Abandon { location } => {
                self.store.abandon(&location);
                Some(Answer::Done)
            }
        }
    }

    async fn send(&mut self, answer: Answer) {
        match self.mishap {
            Mishap::LoseAnswer => return self.store.observer.met("an answer was lost"),
            Mishap::Think(pause) | Mishap::Slow(pause) => sleep(pause).await,
            // Of an answer without a body, none of it comes.
            Mishap::ResetAt(_) if self.moved == 0 => return,
            Mishap::StallAt(_) if self.moved == 0 => return self.stall().await,
            _ => {}
        }
        if self.writer.message(&answer).await.is_ok() {
            // What still comes is taken, or its reset would overtake the answer.
            let rest = async { while let Ok(Some(_)) = self.reader.chunk().await {} };
            let _gone = timeout(PATIENCE, rest).await;
        }
    }

    async fn content(&mut self, id: &str, version: &str, from: u64, if_match: Option<String>) -> Option<Answer> {
        let refused = |why| Some(Answer::Refused { why, wait: None });
        let Some((bytes, digest)) = self.store.package(id).filter(|_| version == VERSION) else {
            return refused(Refusal::NotFound);
        };
        let etag = format!("\"{digest}\"");
        if if_match.is_some_and(|wanted| wanted != etag) || from > bytes.len() as u64 {
            self.store.observer.met("a content had changed");
            return refused(Refusal::Changed);
        }
        let start = if self.store.habits.ranges { from } else { 0 };
        if from > 0 {
            self.store.observer.met("a content was read on from its middle");
        }
        let habits = self.store.habits.clone();
        let told = Answer::Content {
            start,
            total: habits.sizes.then_some(bytes.len() as u64),
            etag: habits.etags.then_some(etag),
            sha256: habits.content_digests.then(|| digest.to_string()),
        };
        if let Mishap::Think(pause) = self.mishap {
            sleep(pause).await;
        }
        self.writer.message(&told).await.ok()?;
        let mut bytes = bytes.slice(usize::try_from(start).unwrap()..);
        while !bytes.is_empty() {
            let piece = bytes.split_to(self.chunk.min(bytes.len()));
            let (piece, cut) = self.pass(piece).await;
            if cut {
                // The frame's length is told, and not all of it comes.
                self.writer.cut(&[piece.as_ref(), b"lost"].concat(), piece.len()).await.ok();
                if let Mishap::ChangeAt(_) = self.mishap {
                    self.store.observer.met("the source changed in the middle of a content");
                    self.store.renew(id);
                }
                return self.hang().await;
            }
            self.writer.chunk(&piece).await.ok()?;
        }
        self.writer.end().await.ok()?;
        None
    }

    async fn publish(&mut self, offer: Offer, run: u32, request: u64) -> Option<Answer> {
        if self.store.habits.early && self.store.has(&offer) {
            self.store.observer.met("an upload was answered early");
            return self.store.package(&offer.id).map(|(bytes, digest)| Answer::Receipt {
                outcome: super::wire::Told::AlreadyThere,
                size: Some(bytes.len() as u64),
                sha256: Some(digest.to_string()),
            });
        }
        let proves = self.store.habits.verifies;
        self.spare_what_nobody_can_notice(proves && offer.sha256.is_some());
        let mut bytes = BytesMut::new();
        // Like a Content-Length: the last byte ends it, and nothing has to follow.
        while offer.length.is_none_or(|length| (bytes.len() as u64) < length) {
            match self.piece().await {
                Piece::Bytes(piece) => bytes.extend_from_slice(&piece),
                Piece::End if offer.length.is_none() => break,
                Piece::End | Piece::Broken => return None,
            }
        }
        if offer.length.is_some_and(|length| bytes.len() as u64 > length) {
            self.store.observer.violated(format!("more bytes came for {} than were told", offer.id));
        }
        if self.mishap == Mishap::Discard {
            return self.discard();
        }
        Some(self.store.publish(&offer, bytes.freeze(), proves, run, request))
    }

    async fn append(&mut self, location: &str, from: u64, run: u32, request: u64) -> Option<Answer> {
        let turn = match self.store.turn(location, from, run, self.number) {
            Ok(turn) => turn,
            Err(why) => return Some(Answer::Refused { why, wait: Some(0) }),
        };
        let mut appended = self.store.append(&turn, b"");
        loop {
            match appended {
                Appended::Whole(bytes, offer) if self.mishap == Mishap::Discard => {
                    self.store.keep(turn, offer, bytes, run);
                    return self.discard();
                }
                Appended::Whole(bytes, offer) => return Some(self.store.publish(&offer, bytes, true, run, request)),
                Appended::Gone => return None,
                Appended::Lacking => {}
            }
            match self.piece().await {
                Piece::Bytes(piece) => appended = self.store.append(&turn, &piece),
                end => {
                    if matches!(end, Piece::End) {
                        self.store.observer.violated(format!("an append to {location} ended before all bytes came"));
                    }
                    self.store.leave(&turn);
                    return None;
                }
            }
        }
    }

    /// A byte that changes on the way here is only noticed here, and only by a digest.
    fn spare_what_nobody_can_notice(&mut self, noticed: bool) {
        if matches!(self.mishap, Mishap::CorruptAt(_)) && !noticed {
            self.mishap = Mishap::None;
        }
    }

    /// What comes next of the request's body.
    async fn piece(&mut self) -> Piece {
        if self.over {
            self.hang::<()>().await;
            return Piece::Broken;
        }
        match timeout(self.store.habits.idle, self.reader.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                let (bytes, cut) = self.pass(bytes).await;
                self.over = cut;
                Piece::Bytes(bytes)
            }
            Ok(Ok(None)) => Piece::End,
            Ok(Err(_)) | Err(_) => Piece::Broken,
        }
    }

    /// Moves a piece of a body; true: only this much of it, and nothing more.
    async fn pass(&mut self, mut piece: Bytes) -> (Bytes, bool) {
        let pace = self.store.habits.pace + if let Mishap::Slow(pause) = self.mishap { pause } else { Duration::ZERO };
        if !pace.is_zero() {
            sleep(pace).await;
        }
        let mut cut = false;
        let place = |at: u64| at.checked_sub(self.moved).and_then(|at| usize::try_from(at).ok());
        match self.mishap {
            Mishap::ResetAt(at) | Mishap::StallAt(at) | Mishap::ChangeAt(at) => {
                if let Some(left) = place(at).filter(|left| *left < piece.len()) {
                    piece.truncate(left);
                    cut = true;
                }
            }
            Mishap::CorruptAt(at) => {
                if let Some(at) = place(at).filter(|at| *at < piece.len()) {
                    let mut bytes = BytesMut::from(piece.as_ref());
                    bytes[at] ^= 1;
                    piece = bytes.freeze();
                    self.store.observer.met("a byte was changed on the way");
                }
            }
            _ => {}
        }
        self.moved += piece.len() as u64;
        (piece, cut)
    }

    async fn stall(&self) {
        self.store.observer.met("a connection stalled");
        sleep(STALL.min(self.store.habits.idle)).await;
    }

    /// How a connection ends whose bytes all came in vain.
    fn discard<T>(&self) -> Option<T> {
        self.store.observer.met("an upload came whole and nothing was done with it");
        None
    }

    /// How a connection ends on which nothing more moves.
    async fn hang<T>(&mut self) -> Option<T> {
        if matches!(self.mishap, Mishap::StallAt(_)) {
            self.stall().await;
        } else {
            self.store.observer.met("a connection was reset");
        }
        None
    }
}
