//! `forget`: removes a token from the keyring. Cmdlet: Disconnect-UssServer -Forget.

use super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::operation::Run;
use crate::server_url::ServerUrl;
use crate::vault;

fieldset! {
    /// Removes what the operating system's keyring keeps for a server's scheme, host and port. Reaches no server.
    pub(super) struct Forget as "forget" {
        /// The server's address.
        server: String,
    }
}

impl Command for Forget {
    const ROWS: &'static str = "a boolean: whether there was something.";

    async fn run(self, run: Run) -> Result<(), Error> {
        // Nothing is sent, so plain http is no matter here.
        let server = ServerUrl::parse(&self.server, true)?;
        run.row(vault::forget(&server).await?);
        Ok(())
    }
}
