//! Any call of the web API by its path: what has no method of its own.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::UpdateService;
use crate::error::{Error, ErrorKind};
use crate::http::{Answer, Body, Extent, Fetched, HeaderValue, MAX_JSON, Method, Request};
use crate::operation::Context;

/// Bytes of a file that are sent at once.
const BLOCK: usize = 256 * 1024;

/// A call.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// `/api/v1/Packages?limit=1`, with or without the first slash.
    pub path: String,
    /// GET when it is empty.
    pub method: String,
    /// `application/json` when it is none and there is a body.
    pub content_type: Option<String>,
    /// What is sent.
    pub body: InvokeBody,
    /// A file that the answer's body is written to, once it is whole.
    pub out_file: Option<PathBuf>,
}

/// What is sent with a call.
#[derive(Clone, Debug, Default)]
pub enum InvokeBody {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// This file, as it is read.
    File(PathBuf),
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Invoked {
    /// Without a body, or written to the file.
    Nothing,
    /// JSON.
    Json(Value),
    /// Any other text; what is no UTF-8 is replaced, and the secrets of the request are redacted.
    Text(String),
}

impl UpdateService {
    /// Makes a call on this server.
    ///
    /// # Errors
    /// `InvalidArgument` for a path on another server, an unknown path (404), a method that is none, a file that
    /// cannot be read or written; else as the request fails.
    pub async fn invoke(&self, context: &Context, invocation: Invocation) -> Result<Invoked, Error> {
        let Invocation { path, method, content_type, body, out_file } = invocation;
        let mut request = Request::new(method_of(&method)?, self.server().join(&self.path_of(&path)?)?);
        request.missing = ErrorKind::InvalidArgument;
        request.headers.insert("accept", HeaderValue::from_static("application/json, */*"));
        if !matches!(body, InvokeBody::Empty) {
            let content_type = content_type.unwrap_or_else(|| "application/json".into());
            let content_type = HeaderValue::try_from(content_type)
                .map_err(|_| invalid("contentType", "The content type cannot travel in a header.".into()))?;
            request.headers.insert("content-type", content_type);
        }
        let log = context.log();
        let connection = &self.0.connection;
        match (body, out_file) {
            (InvokeBody::File(file), out_file) => {
                let answer = self.send_file(context, &request, &file).await?;
                match out_file {
                    Some(out_file) => {
                        let body = stream::iter([Ok(answer.body)]);
                        write_whole(&out_file, body).await.map(|()| Invoked::Nothing)
                    }
                    None => invoked(&answer),
                }
            }
            (body, out_file) => {
                if let InvokeBody::Bytes(bytes) = body {
                    request.body = Body::Bytes(bytes);
                }
                match out_file {
                    Some(out_file) => {
                        let answer: Answer = connection.stream(log, &request).await?;
                        write_whole(&out_file, answer.into_body()).await.map(|()| Invoked::Nothing)
                    }
                    None => invoked(&connection.fetch(log, &request, MAX_JSON).await?),
                }
            }
        }
    }

    /// The path below this server; an address is taken only if it is this server's.
    fn path_of(&self, path: &str) -> Result<String, Error> {
        let server = self.name();
        let path = match path.strip_prefix(&server) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
            _ => path,
        };
        let before_query = path.split(['?', '#']).next().unwrap_or_default();
        if before_query.contains("://") || path.starts_with("//") || before_query.contains('\\') {
            let message = format!("The path does not lead to {server}. Nothing was sent.");
            return Err(invalid("path", message).with_server(server));
        }
        Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
    }

    async fn send_file(&self, context: &Context, request: &Request, path: &Path) -> Result<Fetched, Error> {
        let unreadable = |path: &Path, error: std::io::Error| {
            invalid("inFile", format!("The file '{}' cannot be read: {error}.", path.display()))
        };
        let file = File::open(path).await.map_err(|error| unreadable(path, error))?;
        let length = file.metadata().await.map_err(|error| unreadable(path, error))?.len();
        let path = path.to_owned();
        let body = stream::try_unfold((file, path), move |(mut file, path)| async move {
            let mut block = bytes::BytesMut::with_capacity(BLOCK);
            match file.read_buf(&mut block).await {
                Ok(0) => Ok(None),
                Ok(_) => Ok(Some((block.freeze(), (file, path)))),
                Err(error) => Err(unreadable(&path, error)),
            }
        });
        self.0.connection.upload(context.log(), request, Extent::whole(Some(length)), body, MAX_JSON).await
    }
}

fn invoked(answer: &Fetched) -> Result<Invoked, Error> {
    if answer.body.is_empty() {
        return Ok(Invoked::Nothing);
    }
    let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if content_type == "application/json" || content_type.ends_with("+json") {
        return answer.json().map(Invoked::Json);
    }
    Ok(Invoked::Text(answer.text()))
}

fn method_of(method: &str) -> Result<Method, Error> {
    let method = if method.is_empty() { "GET".to_owned() } else { method.to_ascii_uppercase() };
    Method::from_bytes(method.as_bytes()).map_err(|_| invalid("method", format!("'{method}' is no HTTP method.")))
}

fn invalid(target: &str, message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_target(target)
}

/// Writes a file beside its place, and moves it there when it is whole.
async fn write_whole<S>(path: &Path, mut body: S) -> Result<(), Error>
where
    S: futures_util::Stream<Item = Result<Bytes, Error>> + Unpin,
{
    let unwritable = |error: std::io::Error| {
        invalid("outFile", format!("The file '{}' cannot be written: {error}.", path.display()))
    };
    let part = Part::beside(path);
    let mut file = File::create_new(&part.0).await.map_err(unwritable)?;
    while let Some(chunk) = body.next().await {
        file.write_all(&chunk?).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    drop(file);
    tokio::fs::rename(&part.0, path).await.map_err(unwritable)
}

/// A file that is not whole yet; gone with this value unless it was moved.
struct Part(PathBuf);

impl Part {
    fn beside(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self(path.with_file_name(format!(".{name}.{:016x}.part", rand::random::<u64>())))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the move there is nothing to remove; a rest that cannot be removed is harmless and named as one.
        let _ = std::fs::remove_file(&self.0);
    }
}
