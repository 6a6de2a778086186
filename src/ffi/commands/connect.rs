//! `connect`: signs in at once. Cmdlet: Connect-UssServer.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::{self, DateTimeUtc};
use crate::ffi::operation::Run;

/// A token that ends sooner than this is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

fieldset! {
    /// Signs in, and asks who that is. Warns in the log when the personal token ends within 14 days.
    pub(super) struct Connect as "connect" {
        /// Where, and as whom.
        connection: Arc<Connection>,
        /// Keeps the token in the operating system's keyring, for the server's scheme, host and port.
        remember: bool,
    }
}

impl Command for Connect {
    const ROWS: &'static str = "one Uss.Connection.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let service = &self.connection.service;
        let session = service.connect(&run.context).await?;
        if self.remember {
            service.remember(&run.context).await?;
        }
        if !session.tells_end {
            let server = service.server();
            run.context.log().verbose(|| format!("{server} does not tell when the personal access token ends."));
        }
        if let Some(ends) = session.personal_token_expires.filter(|ends| ends.duration_since(Timestamp::now()) < SOON) {
            let server = service.server();
            run.context
                .log()
                .warning(format!("The personal access token for {server} ends at {ends}; make a new one."));
        }
        run.row(model::Connection {
            server: service.server().to_string(),
            user_name: service.user_name().map(str::to_owned),
            user: session.user.into(),
            token_expires: DateTimeUtc(session.token_expires),
            personal_token_expires: session.personal_token_expires.map(DateTimeUtc),
        });
        Ok(())
    }
}
