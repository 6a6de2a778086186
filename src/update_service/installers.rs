//! What installers a server has.

use super::UpdateService;
use super::model::Installer;
use crate::error::{Error, ErrorKind};
use crate::operation::Context;

impl UpdateService {
    /// All installers.
    ///
    /// # Errors
    /// As the request fails.
    pub async fn installers(&self, context: &Context) -> Result<Vec<Installer>, Error> {
        self.json(context, &self.request(&self.routes().installers, &[])?).await
    }

    /// The installer with this GUID.
    ///
    /// # Errors
    /// `InstallerNotFound`; else as the request fails.
    pub async fn installer(&self, context: &Context, id: &str) -> Result<Installer, Error> {
        let request = self.request(&self.routes().installer, &[("id", id)]);
        let mut request = request.map_err(|_| self.installer_not_found(id, None))?;
        request.missing = ErrorKind::InstallerNotFound;
        self.json(context, &request).await.map_err(|error: Error| match error.kind() {
            ErrorKind::InstallerNotFound => self.installer_not_found(id, error.http_status()),
            _ => error.within(&format!("Reading the installer {id}")).with_target(id),
        })
    }

    pub(super) fn installer_not_found(&self, id: &str, status: Option<u16>) -> Error {
        let server = self.name();
        let error = Error::new(ErrorKind::InstallerNotFound, format!("{server} has no installer '{id}'."))
            .with_hint("Get-UssInstaller lists what the server has.")
            .with_target(id)
            .with_server(server);
        match status {
            Some(status) => error.with_http_status(status),
            None => error,
        }
    }
}
