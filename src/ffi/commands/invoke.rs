//! `invoke`: any call of the web API. Cmdlet: Invoke-UssMethod.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Command, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{Answer, Row};
use crate::ffi::operation::Run;
use crate::update_service::{Invocation, InvokeBody, Invoked};

fieldset! {
    /// Makes any call on a server, signed like every other.
    pub(super) struct Invoke as "invoke" {
        /// The server.
        connection: Arc<Connection>,
        /// The path with its query, percent-encoded.
        path: String,
        /// GET if not given.
        method: Option<String>,
        /// Text to send.
        body: Option<String>,
        /// Bytes to send, in Base64.
        body_base64: Option<String>,
        /// application/json if not given.
        content_type: Option<String>,
        /// A file to send.
        in_file: Option<PathBuf>,
        /// A file that the answer is written to, once it is whole.
        out_file: Option<PathBuf>,
    }
}

impl Command for Invoke {
    const ROWS: &'static str = "the answer: JSON as objects without a type name, an array as a row for each element, \
                                instants as DateTime in UTC; other text as one string. None for an empty answer, or \
                                one that went to a file.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let body = match (self.body, self.body_base64, self.in_file) {
            (None, None, None) => InvokeBody::Empty,
            (Some(text), None, None) => InvokeBody::Bytes(text.into()),
            (None, Some(text), None) => InvokeBody::Bytes(decoded(&text)?.into()),
            (None, None, Some(file)) => InvokeBody::File(file),
            _ => return Err(invalid("More than one body is given.", "body")),
        };
        let invocation = Invocation {
            path: self.path,
            method: self.method.unwrap_or_default(),
            content_type: self.content_type,
            body,
            out_file: self.out_file,
        };
        match self.connection.service.invoke(&run.context, invocation).await? {
            Invoked::Nothing | Invoked::Json(Value::Null) => {}
            Invoked::Json(Value::Array(values)) => run.rows(values.into_iter().map(Answer)),
            Invoked::Json(value) => run.row(Answer(value)),
            Invoked::Text(text) => run.row(Row::Text(text)),
        }
        Ok(())
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| invalid("The body is not Base64.", "bodyBase64"))
}

fn invalid(message: &str, field: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message).with_target(field)
}
