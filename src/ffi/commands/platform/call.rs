//! `platform-call`: any of the platform's methods. Cmdlet: Invoke-VapMethod.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::{Command, Connections, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{Answer, PlatformAnswer, PlatformSecret};
use crate::ffi::operation::Run;
use crate::ffi::secret;
use crate::secret::Secret;
use crate::virtuozzo::Call;

/// Where an answer has what nobody should see: the names on the way to it.
const SECRETS: [&[&str]; 2] = [&["session"], &["token", "key"]];

fieldset! {
    /// Makes any call on a platform, its parameters checked by the platform's description.
    pub(in super::super) struct PlatformCall as "platform-call" {
        /// The platform.
        connection: Arc<Connection>,
        /// The method: environment/control/stopenv.
        method: String,
        /// Names of parameters.
        parameter: Vec<String>,
        /// Their values, as many.
        value: Vec<String>,
        /// Names of parameters with a secret.
        secret_parameter: Vec<String>,
        /// Connections that have these secrets, as many; their servers are not used.
        secret: Connections,
        /// Sends what the description does not know.
        force: bool,
    }
}

impl Command for PlatformCall {
    const ROWS: &'static str = "Vap.Answer: Answer, the platform's JSON as objects without a type name; Secrets, a list \
                                of Vap.Secret: Path (names with dots between), and Secret and Length for \
                                uss_secret_take. What is there is taken out of the answer.";

    async fn run(self, run: Run) -> Result<(), Error> {
        if self.parameter.len() != self.value.len() || self.secret_parameter.len() != self.secret.0.len() {
            let message = "The fields 'parameter' and 'value', or 'secretParameter' and 'secret', differ in number.";
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_target("parameter"));
        }
        let mut call = Call { force: self.force, ..Call::new(&self.method) };
        for (name, value) in self.parameter.iter().zip(self.value) {
            call = call.with(name, value);
        }
        for (name, holder) in self.secret_parameter.iter().zip(&self.secret.0) {
            call = call.with(name, holder.secret().unwrap_or_else(|| Secret::new(String::new())));
        }
        let answer = self.connection.platform()?.call(&run.context, &call).await?;
        let mut answer = Json::Object(answer.into_fields());
        let mut secrets = Vec::new();
        for path in SECRETS {
            if let Some(value) = taken(&mut answer, path) {
                let kept = secret::keep(Secret::new(value))?;
                secrets.push(PlatformSecret { path: path.join("."), secret: kept.id, length: kept.length });
            }
        }
        run.row(PlatformAnswer { answer: Answer(answer), secrets });
        Ok(())
    }
}

/// The text at the end of `path`, which is null from now on.
fn taken(answer: &mut Json, path: &[&str]) -> Option<String> {
    let place = path.iter().try_fold(answer, |place, name| place.get_mut(*name))?;
    match place.take() {
        Json::String(text) if !text.is_empty() => Some(text),
        other => {
            *place = other;
            None
        }
    }
}
