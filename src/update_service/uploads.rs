//! Uploads that can be gone on with after a break: tus 1.0.0 (<https://tus.io/protocols/resumable-upload>).
//!
//! Whether a server has them is asked once. An upload is begun, and has an address then; one PATCH sends all that it
//! lacks. Our server publishes before it answers the last byte; another one may need a call more, which a route file
//! names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OnceCell;
use tokio::time::sleep;
use url::Url;

use super::UpdateService;
use super::digest;
use super::publish::{Publish, PublishInstaller, Published, Publishing, Stored};
use crate::error::{Error, ErrorKind};
use crate::hex::to_hex;
use crate::http::{Extent, Fetched, HeaderMap, HeaderValue, MAX_JSON, Method, Request, broken};
use crate::operation::Context;

/// How often the removal of an upload is tried that something appends to.
const REMOVALS: u32 = 5;

/// The shortest and the longest wait before the next removal.
const BRIEFLY: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(2);

/// What is known of a server's uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    asked: OnceCell<Option<Tus>>,
    /// It said that it has them, and something on the way lets none through.
    unusable: AtomicBool,
}

/// A server's tus.
#[derive(Debug)]
struct Tus {
    /// The largest upload that it takes.
    max_size: Option<u64>,
    /// Whether it removes an upload that is given up (termination).
    removes: bool,
}

impl UpdateService {
    /// Begins an upload, and gives its address: on this server, without a query. None: publish it plainly, because
    /// this server has no uploads for it, or has the same bytes already.
    ///
    /// # Errors
    /// As [`Self::publish`], for what can be told before the first byte; `ProtocolViolation` for an upload that is
    /// nowhere or on another server.
    pub async fn begin_upload(&self, context: &Context, what: &Publishing) -> Result<Option<String>, Error> {
        let Some(length) = what.length() else { return Ok(None) };
        let begun = async {
            let Some(tus) = self.tus(context).await? else { return Ok(None) };
            if tus.max_size.is_some_and(|most| length > most) {
                return Ok(None);
            }
            let route = &self.routes().uploads;
            let mut request = tus_request(route.method.clone(), self.server().join(&route.uri.expand(&[]))?);
            request.headers.insert("upload-length", HeaderValue::from(length));
            request.headers.insert("upload-metadata", metadata(what));
            let answer = self.0.connection.fetch(context.log(), &request, MAX_JSON).await?;
            // The same bytes are there: a plain publish learns it, too, and what exactly is there.
            if answer.status.as_u16() == 200 {
                return Ok(None);
            }
            self.address(context, &request.url, &answer).await
        };
        begun.await.map_err(|error| what.failed(error))
    }

    /// How many bytes an upload has. None: it is finished, has expired, or was never there.
    ///
    /// # Errors
    /// As the request fails; `ProtocolViolation` when the answer does not tell.
    pub async fn upload_offset(&self, context: &Context, address: &str) -> Result<Option<u64>, Error> {
        if self.0.uploads.unusable.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(url) = self.upload_url(address) else { return Ok(None) };
        let asked = async {
            let answer = self.0.connection.fetch(context.log(), &tus_request(Method::HEAD, url), MAX_JSON).await?;
            number(&answer.headers, "upload-offset").ok_or_else(|| self.unclear("how many bytes an upload has"))
        };
        match asked.await {
            Ok(offset) => Ok(Some(offset)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.within("Asking how much an upload has")),
        }
    }

    /// Sends all that an upload lacks, from byte `from` on. It is published then, or not at all.
    ///
    /// After an error with a [`retry_after`](Error::retry_after), [`Self::upload_offset`] tells where to go on.
    ///
    /// # Errors
    /// As [`Self::publish`]. `CopyInProgress`, to be tried again, when something else appends or the upload is
    /// elsewhere than at `from`; `ServerUnavailable`, to be tried again, when it is gone.
    pub async fn append_upload<S>(
        &self,
        context: &Context,
        what: &Publishing,
        address: &str,
        from: u64,
        body: S,
    ) -> Result<Published, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let invalid = |message| Error::new(ErrorKind::InvalidArgument, message);
        let sent = async {
            let url = self.upload_url(address).ok_or_else(|| invalid("The upload is on another server."))?;
            let whole = what.length().ok_or_else(|| invalid("An upload's length must be known."))?;
            let left = whole.checked_sub(from).ok_or_else(|| invalid("The upload has more bytes than the content."))?;
            let mut request = tus_request(Method::PATCH, url);
            request.conflict = ErrorKind::CopyInProgress;
            request.headers.insert("content-type", HeaderValue::from_static("application/offset+octet-stream"));
            request.headers.insert("upload-offset", HeaderValue::from(from));
            let extent = Extent { before: from, length: Some(left) };
            let answer = self.0.connection.upload(context.log(), &request, extent, body, MAX_JSON).await;
            let answer = answer.map_err(|error| self.broken_off(context, error))?;
            let published = self.published(&answer, whole)?;
            match self.complete(context, what, &request.url).await? {
                Some(stored) => Ok(Published::Created(stored)),
                None => Ok(published),
            }
        };
        sent.await.map_err(|error| what.failed(error))
    }

    /// Removes what an upload has. One that is gone already is no error, nor is a server that removes none.
    ///
    /// # Errors
    /// As a request fails.
    pub async fn abandon_upload(&self, context: &Context, address: &str) -> Result<(), Error> {
        let Some(url) = self.upload_url(address) else { return Ok(()) };
        let removed = async {
            if !self.tus(context).await?.is_some_and(|tus| tus.removes) {
                let server = self.name();
                context.log().verbose(|| format!("{server} removes no uploads: what was sent stays until it expires."));
                return Ok(());
            }
            let request = tus_request(Method::DELETE, url);
            let mut tries = REMOVALS;
            loop {
                let removed = self.0.connection.fetch(context.log(), &request, MAX_JSON).await;
                tries -= 1;
                match removed {
                    // An append that was just given up ends when the server finds out.
                    Err(error) if error.http_status() == Some(423) && tries > 0 => {
                        sleep(error.retry_after().unwrap_or_default().clamp(BRIEFLY, LONG)).await;
                    }
                    removed => return removed.map(|_| ()),
                }
            }
        };
        match removed.await {
            Err(error) if !is_gone(&error) => Err(error.within("Removing an upload")),
            _ => Ok(()),
        }
    }

    /// The server's tus, asked for once; none where it has none that we can use.
    async fn tus(&self, context: &Context) -> Result<Option<&Tus>, Error> {
        if self.0.uploads.unusable.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let found = self.0.uploads.asked.get_or_try_init(|| self.ask_for_tus(context)).await?;
        Ok(found.as_ref())
    }

    async fn ask_for_tus(&self, context: &Context) -> Result<Option<Tus>, Error> {
        let url = self.server().join(&self.routes().uploads.uri.expand(&[]))?;
        let request = Request::new(Method::OPTIONS, url);
        let found = match self.0.connection.fetch(context.log(), &request, MAX_JSON).await {
            Ok(answer) => tus_of(&answer.headers),
            // These say nothing of what the server has.
            Err(error) if matches!(error.http_status(), None | Some(401 | 407 | 408 | 429 | 502..=504)) => {
                return Err(error.within("Asking for resumable uploads"));
            }
            Err(_) => None,
        };
        let server = self.name();
        context.log().verbose(|| match &found {
            Some(_) => format!("{server} has uploads that can be gone on with (tus 1.0.0)."),
            None => format!("{server} has no uploads that can be gone on with: one that breaks starts again."),
        });
        Ok(found)
    }

    /// Where an upload was begun, as it is kept: on this server, because the bearer goes there, and without what may
    /// be a secret.
    async fn address(&self, context: &Context, asked: &Url, answer: &Fetched) -> Result<Option<String>, Error> {
        answer.no_page()?;
        let location = answer.headers.get("location").and_then(|location| location.to_str().ok());
        let Some(mut url) = location.and_then(|location| asked.join(location).ok()) else {
            return Err(self.unclear("where it has begun an upload"));
        };
        let named = !url.username().is_empty() || url.password().is_some();
        if url.origin() != asked.origin() || named {
            let server = self.name();
            let message = format!("{server} begins uploads on another server, where a credential must not follow.");
            return Err(Error::new(ErrorKind::ProtocolViolation, message)
                .with_hint("Report it to the server's administrator.")
                .with_server(server));
        }
        url.set_fragment(None);
        let queried = url.query().is_some();
        url.set_query(None);
        let address = url.to_string();
        if queried && self.upload_offset(context, &address).await? != Some(0) {
            let server = self.name();
            context.log().verbose(|| format!("{server} knows its uploads only with a query; they are not used."));
            self.0.uploads.unusable.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        Ok(Some(address))
    }

    /// An upload's address, if it is on this server: a record of another one must not lead the bearer there.
    fn upload_url(&self, address: &str) -> Option<Url> {
        Url::parse(address).ok().filter(|url| url.origin().ascii_serialization() == self.server().origin())
    }

    /// What a failed PATCH means.
    fn broken_off(&self, context: &Context, error: Error) -> Error {
        let wait = error.retry_after().unwrap_or_default();
        match error.http_status() {
            Some(404 | 410) => {
                let server = self.name();
                let message = format!("{server} no longer has the upload that was begun.");
                let gone = Error::new(ErrorKind::ServerUnavailable, message).with_server(server);
                gone.with_http_status(error.http_status().unwrap_or_default()).with_retry_after(Duration::ZERO)
            }
            // Dressed as a page or not: it stands elsewhere, or something else appends.
            Some(409 | 423) if error.kind() != ErrorKind::PackageAlreadyExists => error.with_retry_after(wait),
            Some(405 | 501) => {
                self.0.uploads.unusable.store(true, Ordering::Relaxed);
                context.log().verbose(|| format!("No PATCH gets through: {}", error.message()));
                error.with_retry_after(wait)
            }
            Some(412) => {
                let message = format!("{} speaks another tus than the 1.0.0 that it announced.", self.name());
                Error::new(ErrorKind::ProtocolViolation, message).with_server(self.name()).with_http_status(412)
            }
            _ => error,
        }
    }

    /// What the answer to the last byte says. A server that is not ours says no more than that it has all.
    fn published(&self, answer: &Fetched, whole: u64) -> Result<Published, Error> {
        answer.no_page()?;
        match number(&answer.headers, "upload-offset") {
            Some(offset) if offset == whole => {}
            Some(offset) if offset < whole => {
                return Err(broken(&self.name(), &format!("it took {offset} of {whole} bytes")));
            }
            _ => return Err(self.unclear("how many bytes an upload has")),
        }
        let stored = Stored { size: Some(whole), sha256: digest::of_headers(&answer.headers) };
        let outcome = answer.headers.get("uss-outcome").and_then(|outcome| outcome.to_str().ok());
        Ok(match outcome {
            Some("already-there") => Published::AlreadyThere(stored),
            Some("replaced") => Published::Replaced(stored),
            _ => Published::Created(stored),
        })
    }

    /// Makes the call that a server may need after the last byte, where a route file names one.
    async fn complete(&self, context: &Context, what: &Publishing, upload: &Url) -> Result<Option<Stored>, Error> {
        let Some(route) = &self.routes().upload_complete else { return Ok(None) };
        let upload_id = upload.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let upload_id = percent_encoding::percent_decode_str(upload_id).decode_utf8_lossy();
        let mut values = vec![("uploadId", &*upload_id)];
        match what {
            Publishing::Package(Publish { id, version, .. }) => {
                values.extend([("packageId", id.as_str()), ("version", version.as_str())]);
            }
            Publishing::Installer(PublishInstaller { id, package_id, version, .. }) => {
                let optional = [("installerId", id), ("packageId", package_id), ("version", version)];
                values.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))));
            }
        }
        let request = self.request(route, &values)?;
        let answer = self.0.connection.fetch(context.log(), &request, MAX_JSON).await?;
        answer.no_page()?;
        // Any other text is as good as none: what is there is asked for then.
        Ok(Some(self.stored(&answer).unwrap_or_default()))
    }

    fn unclear(&self, what: &str) -> Error {
        let server = self.name();
        Error::new(ErrorKind::ProtocolViolation, format!("{server} does not say {what}."))
            .with_hint("Check whether a proxy in between changes the server's answers.")
            .with_server(server)
    }
}

fn tus_request(method: Method, url: Url) -> Request {
    let mut request = Request::new(method, url);
    request.headers.insert("tus-resumable", HeaderValue::from_static("1.0.0"));
    request.headers.insert("accept", HeaderValue::from_static("application/json"));
    request
}

fn is_gone(error: &Error) -> bool {
    matches!(error.http_status(), Some(404 | 410))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Our version, and creation, which no upload can do without.
fn tus_of(headers: &HeaderMap) -> Option<Tus> {
    let has = |name: &str, wanted: &str| {
        let fields = headers.get_all(name).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| field.split(',')).any(|member| member.trim() == wanted)
    };
    (has("tus-version", "1.0.0") && has("tus-extension", "creation"))
        .then(|| Tus { max_size: number(headers, "tus-max-size"), removes: has("tus-extension", "termination") })
}

/// What is published, as `Upload-Metadata` has it: keys, and values in base64.
fn metadata(what: &Publishing) -> HeaderValue {
    let mut pairs = Vec::new();
    let (sha256, force) = match what {
        Publishing::Package(Publish { id, version, sha256, force, .. }) => {
            pairs.extend([("packageId", id.as_str()), ("version", version.as_str())]);
            (sha256, *force)
        }
        Publishing::Installer(PublishInstaller { id, name, package_id, version, file_name, sha256, force, .. }) => {
            pairs.extend([("type", "installer"), ("name", name.as_str())]);
            let optional =
                [("installerId", id), ("packageId", package_id), ("version", version), ("fileName", file_name)];
            pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))));
            (sha256, *force)
        }
    };
    let sha256 = sha256.as_ref().map(to_hex);
    pairs.extend(sha256.as_deref().map(|sha256| ("sha256", sha256)));
    pairs.extend(force.then_some(("force", "true")));
    let pairs: Vec<String> =
        pairs.into_iter().map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value))).collect();
    // Keys and base64 are visible ASCII.
    HeaderValue::try_from(pairs.join(",")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_tus_is_used_only_with_our_version_and_creation() {
        let of = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            fields.iter().for_each(|(name, value)| assert!(!headers.append(*name, HeaderValue::from_static(value))));
            tus_of(&headers)
        };
        let ours = [("tus-version", "2.0.0, 1.0.0"), ("tus-extension", "creation,termination"), ("tus-max-size", "9")];
        let tus = of(&ours).unwrap();
        assert_eq!((tus.max_size, tus.removes), (Some(9), true));
        assert!(!of(&[("tus-version", "1.0.0"), ("tus-extension", "creation")]).unwrap().removes);
        for fields in [
            &[][..],
            &[("tus-version", "1.0.0")][..],
            &[("tus-version", "0.2.2"), ("tus-extension", "creation")][..],
            &[("tus-version", "1.0.0"), ("tus-extension", "creation-with-upload")][..],
        ] {
            assert!(of(fields).is_none(), "{fields:?}");
        }
    }

    #[test]
    fn what_is_published_travels_in_base64() {
        let publish =
            Publish { id: "bundle/a".into(), version: "1.0".into(), sha256: Some([7; 32]), force: true, length: None };
        let hex = BASE64_STANDARD.encode("07".repeat(32));
        let expected = format!("packageId YnVuZGxlL2E=,version MS4w,sha256 {hex},force dHJ1ZQ==");
        assert_eq!(metadata(&Publishing::Package(publish)), expected.as_str());
        let publish = PublishInstaller {
            id: Some("7".into()),
            name: "Kasse ä".into(),
            file_name: Some("Setup.exe".into()),
            ..PublishInstaller::default()
        };
        let expected = "type aW5zdGFsbGVy,name S2Fzc2Ugw6Q=,installerId Nw==,fileName U2V0dXAuZXhl";
        assert_eq!(metadata(&Publishing::Installer(publish)), expected);
    }
}
