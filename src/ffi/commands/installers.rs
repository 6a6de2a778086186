//! `installers`: what installers a server has. Cmdlet: Get-UssInstaller.

use std::sync::Arc;

use super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::{Installer, Row};
use crate::ffi::operation::Run;
use crate::selection;

fieldset! {
    /// The installers of a server.
    pub(super) struct Installers as "installers" {
        /// Whose.
        connection: Arc<Connection>,
        /// Only those with these GUIDs.
        installer_id: Vec<String>,
        /// Only those with these names; `*` is any text, `?` any character. A name without them must exist. Not used
        /// beside GUIDs.
        name: Vec<String>,
    }
}

impl Command for Installers {
    const ROWS: &'static str = "Uss.Installer; an error item for one that the server does not have.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let service = &self.connection.service;
        let installers = service.installers(&run.context).await?;
        let server = service.server().to_string();
        for installer in selection::installers(installers, &self.installer_id, &self.name, &server) {
            run.output.push(installer.map(|installer| Row::from(Installer::from(installer))));
        }
        Ok(())
    }
}
