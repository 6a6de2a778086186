//! The memory's end as a destination: plain publishing, uploads that can be gone on with, and their faults.

use bytes::{Bytes, BytesMut};
use futures_util::stream::StreamExt;

use super::{Memory, OffsetFault, Partial, WriteFault, broken};
use crate::copy::{Body, Destination, Digest, Outcome, Receipt, Upload, UploadLocation};
use crate::error::{Error, ErrorKind};
use crate::operation::Context;

impl Destination for Memory {
    async fn publish(&self, _: &Context, upload: &Upload, body: Body) -> Result<Receipt, Error> {
        let fault = self.begin_writing();
        let mut bytes = BytesMut::new();
        let add = |chunk: Bytes| {
            bytes.extend_from_slice(&chunk);
            Some(bytes.len())
        };
        let receipt = match self.read(body, &fault, add).await {
            Ok(()) => self.store(upload, bytes, &fault).await,
            Err(error) => Err(error),
        };
        self.state().running -= 1;
        receipt
    }

    async fn begin(&self, _: &Context, upload: &Upload) -> Result<Option<UploadLocation>, Error> {
        let mut state = self.state();
        if !state.resumes || upload.length.is_none() {
            return Ok(None);
        }
        state.begun += 1;
        let location = format!("{}/uploads/{}", self.0.name, state.begun);
        state.partials.insert(location.clone(), Partial { upload: upload.clone(), bytes: BytesMut::new() });
        Ok(Some(UploadLocation(location)))
    }

    async fn offset(&self, _: &Context, location: &UploadLocation) -> Result<Option<u64>, Error> {
        let mut state = self.state();
        match state.offset_faults.pop_front().unwrap_or(OffsetFault::None) {
            OffsetFault::None => Ok(state.partials.get(&location.0).map(|partial| partial.bytes.len() as u64)),
            OffsetFault::Lost => Err(broken()),
            OffsetFault::Refused(error) => Err(error),
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
        let fault = self.begin_writing();
        self.state().appended.push(from);
        let there = self.partial(location);
        let receipt = match there {
            Some((begun, there)) if there == from && begun == *upload => {
                let add = |chunk: Bytes| {
                    let mut state = self.state();
                    let bytes = &mut state.partials.get_mut(&location.0)?.bytes;
                    bytes.extend_from_slice(&chunk);
                    Some(bytes.len())
                };
                match self.read(body, &fault, add).await {
                    Ok(()) => self.finish(upload, location, &fault).await,
                    Err(error) => Err(error),
                }
            }
            there => {
                Err(Error::new(ErrorKind::ProtocolViolation, format!("{from} of {there:?}")).with_http_status(409))
            }
        };
        match fault {
            WriteFault::GoneAt(_) => drop(self.state().partials.remove(&location.0)),
            WriteFault::CrashAt(_, left) => {
                self.state().partials.values_mut().for_each(|partial| partial.bytes.truncate(left));
            }
            _ => {}
        }
        self.state().running -= 1;
        receipt
    }

    async fn abandon(&self, _: &Context, location: &UploadLocation) -> Result<(), Error> {
        let mut state = self.state();
        state.abandoned += 1;
        state.partials.remove(&location.0);
        Ok(())
    }
}

impl Memory {
    fn begin_writing(&self) -> WriteFault {
        let mut state = self.state();
        state.uploads += 1;
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        state.write_faults.pop_front().unwrap_or(WriteFault::None)
    }

    fn partial(&self, location: &UploadLocation) -> Option<(Upload, u64)> {
        self.state().partials.get(&location.0).map(|partial| (partial.upload.clone(), partial.bytes.len() as u64))
    }

    /// How many uploads are not whole, and how many bytes the first of them has.
    pub(in crate::copy) fn partials(&self) -> (usize, usize) {
        let state = self.state();
        (state.partials.len(), state.partials.values().next().map_or(0, |partial| partial.bytes.len()))
    }

    /// Damages what there is of uploads.
    pub(in crate::copy) fn damage_partials(&self) {
        self.state().partials.values_mut().for_each(|partial| partial.bytes[0] ^= 1);
    }

    /// Reads a body as the fault lets it. `add` takes a chunk and tells how many bytes there are then.
    async fn read(
        &self,
        mut body: Body,
        fault: &WriteFault,
        mut add: impl FnMut(Bytes) -> Option<usize>,
    ) -> Result<(), Error> {
        if let WriteFault::Refused(error) = fault {
            return Err(error.clone());
        }
        if let WriteFault::Late(pause) = fault {
            tokio::time::sleep(*pause).await;
            return Err(broken());
        }
        let mut size = add(Bytes::new()).unwrap_or_default() as u64;
        loop {
            match fault {
                WriteFault::BreakAt(at) | WriteFault::GoneAt(at) | WriteFault::CrashAt(at, _) if size >= *at => {
                    return Err(broken());
                }
                WriteFault::StallAt(at) if size >= *at => std::future::pending().await,
                WriteFault::Slow(pause) => tokio::time::sleep(*pause).await,
                _ => {}
            }
            match body.next().await {
                Some(Ok(chunk)) => size = add(chunk).ok_or_else(broken)? as u64,
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    }

    async fn finish(&self, upload: &Upload, location: &UploadLocation, fault: &WriteFault) -> Result<Receipt, Error> {
        let partial = self.state().partials.remove(&location.0).unwrap();
        if upload.sha256.is_some_and(|told| told != Digest::of(&partial.bytes)) {
            return Err(Error::new(ErrorKind::ChecksumMismatch, "460").with_http_status(460));
        }
        self.store(upload, partial.bytes, fault).await
    }

    async fn store(&self, upload: &Upload, mut bytes: BytesMut, fault: &WriteFault) -> Result<Receipt, Error> {
        if let WriteFault::Think(pause) = fault {
            tokio::time::sleep(*pause).await;
        }
        if matches!(fault, WriteFault::Corrupt) {
            bytes[0] ^= 1;
        }
        if matches!(fault, WriteFault::Forget) {
            return Ok(Receipt { outcome: Outcome::Created, size: None, sha256: None });
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
