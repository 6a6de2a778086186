//! `packages`: what packages a server has. Cmdlet: Get-UssPackage.

use std::sync::Arc;

use super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::connection::Connection;
use crate::ffi::model::{Package, Row};
use crate::ffi::operation::Run;
use crate::selection;

fieldset! {
    /// The packages of a server, as their newest versions describe them.
    pub(super) struct Packages as "packages" {
        /// Whose.
        connection: Arc<Connection>,
        /// Only these, in this order; `*` is any text, `?` any character. An id without them must exist.
        id: Vec<String>,
        /// Only what the server finds for this text.
        search: Option<String>,
    }
}

impl Command for Packages {
    const ROWS: &'static str = "Uss.Package; an error item for an id that the server does not have.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let service = &self.connection.service;
        let packages = service.packages(&run.context, self.search.as_deref()).await?;
        for package in selection::packages(packages, &self.id, &service.server().to_string()) {
            run.output.push(package.map(|package| Row::from(Package::from(package))));
        }
        Ok(())
    }
}
