//! `platform-connect`, `platform-disconnect`. Cmdlets: Connect-VapPlatform, Disconnect-VapPlatform.

use std::sync::Arc;

use super::super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::PlatformConnection;
use crate::ffi::operation::Run;

fieldset! {
    /// Signs in at a platform, and asks who that is.
    pub(in super::super) struct PlatformConnect as "platform-connect" {
        /// Where, and as whom: a connection with `platform`, as for all of its commands.
        connection: Arc<Connection>,
    }
}

impl Command for PlatformConnect {
    const ROWS: &'static str = "Vap.Connection; its account is empty for a token that may not ask for it.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let platform = self.connection.platform()?;
        let account = platform.connect(&run.context).await?.unwrap_or_default();
        run.row(PlatformConnection {
            server: platform.server().to_string(),
            user_name: self.connection.user_name().map(str::to_owned),
            signed_in: platform.has_password(),
            email: account.email,
            name: account.name,
            uid: account.uid,
        });
        Ok(())
    }
}

fieldset! {
    /// Ends the session that a password began. A token stays good.
    pub(in super::super) struct PlatformDisconnect as "platform-disconnect" {
        /// Which.
        connection: Arc<Connection>,
        /// A failure is a verbose line: a session ends by itself, too, and the call before it has its own answer.
        quiet: bool,
    }
}

impl Command for PlatformDisconnect {
    const ROWS: &'static str = "none.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let platform = self.connection.platform()?;
        if self.quiet {
            platform.disconnect_quietly(&run.context).await;
            return Ok(());
        }
        platform.disconnect(&run.context).await
    }
}
