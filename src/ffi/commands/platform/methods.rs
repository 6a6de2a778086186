//! `platform-methods`: what the platform's description says, for completion and help; no network.

use super::super::{Command, fieldset};
use crate::error::Error;
use crate::ffi::model::PlatformMethod;
use crate::ffi::operation::Run;
use crate::virtuozzo::methods;

fieldset! {
    /// The platform's methods, as its API description has them. Nothing goes over the network.
    pub(in super::super) struct PlatformMethods as "platform-methods" {
        /// Only those whose path holds this.
        search: Option<String>,
    }
}

impl Command for PlatformMethods {
    const ROWS: &'static str = "Vap.Method: Method, Parameters, Required (both names), Summary.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let search = self.search.unwrap_or_default().to_lowercase();
        let found = methods::all().iter().filter(|method| method.path().contains(&search));
        run.rows(found.map(PlatformMethod::from));
        Ok(())
    }
}
