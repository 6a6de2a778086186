//! `tokens`, `new-token`, `set-token`, `reset-token`, `copy-token`, `revoke-token`, `remove-token`: a person's tokens;
//! `sign-out`, after them. Cmdlets: Get-, New-, Set-, Reset-, Copy-, Revoke- and Remove-UssPersonalToken.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Command, Names, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{PersonalToken, ShownToken};
use crate::ffi::operation::Run;
use crate::ffi::secret;
use crate::selection;
use crate::update_service::{self, Shown, TokenChanges};

/// Rows of the commands that show a value.
const SHOWN: &str = "Uss.ShownToken: Token, a Uss.PersonalToken; Secret and Length, the value's id for uss_secret_take \
                     and how many UTF-16 code units it has. The server shows a value this once.";

fieldset! {
    /// The signed-in person's tokens, without their values.
    pub(super) struct Tokens as "tokens" {
        /// Where, and which person: a connection with `person`, as for all commands of tokens.
        connection: Arc<Connection>,
        /// Only these. Each must exist.
        id: Vec<String>,
        /// Without ids: only those of these names; `*` is any text, `?` any character. A name without them must exist.
        name: Vec<String>,
    }
}

impl Command for Tokens {
    const ROWS: &'static str = "Uss.PersonalToken; an error item for a token that the person does not have.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let service = &self.connection.service;
        let tokens = service.tokens(&run.context).await?;
        for token in selection::tokens(tokens, &self.id, &self.name, |wanted| service.token_not_found(wanted)) {
            run.output.push(token.map(|token| PersonalToken::from(token).into()));
        }
        Ok(())
    }
}

fieldset! {
    /// Makes a token.
    pub(super) struct NewToken as "new-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// What the person calls it.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// When it ends. If not given: never, or after 12 months for a client service.
        expires: Option<Timestamp>,
        /// It is for a client service, which only reads.
        client_service: bool,
    }
}

impl Command for NewToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        let new = update_service::NewToken {
            name: self.name,
            description: self.description,
            expires: self.expires,
            kind: self.client_service.then_some("client-service"),
        };
        show(&run, self.connection.service.new_token(&run.context, &new).await?)
    }
}

fieldset! {
    /// Changes settings of tokens; their values stay.
    pub(super) struct SetToken as "set-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
        /// What the person calls them from now on.
        name: Option<String>,
        /// What they are for.
        description: Option<String>,
        /// Takes the description away.
        no_description: bool,
        /// When they end.
        expires: Option<Timestamp>,
        /// They never end.
        never_expires: bool,
    }
}

impl Command for SetToken {
    const ROWS: &'static str = "Uss.PersonalToken; an error item for a token that stays as it was.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let changes = changes(self.name, self.description, self.no_description, self.expires, self.never_expires)?;
        if changes == TokenChanges::default() {
            return Err(invalid("Nothing is to be changed: neither name, description nor end is given.", "name"));
        }
        for id in &self.id.0 {
            let token = self.connection.service.set_token(&run.context, id, &changes).await;
            run.output.push(token.map(|token| PersonalToken::from(token).into()));
        }
        Ok(())
    }
}

fieldset! {
    /// Gives tokens new values; the old ones are refused from now on.
    pub(super) struct ResetToken as "reset-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
    }
}

impl Command for ResetToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        for id in &self.id.0 {
            let shown = self.connection.service.reset_token(&run.context, id).await;
            shown.and_then(|shown| show(&run, shown)).unwrap_or_else(|error| run.fail(error));
        }
        Ok(())
    }
}

fieldset! {
    /// Makes tokens with the settings of others, but for those that are given.
    pub(super) struct CopyToken as "copy-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// The tokens to copy.
        id: Names,
        /// What the person calls the copies.
        name: Option<String>,
        /// What they are for.
        description: Option<String>,
        /// They have no description.
        no_description: bool,
        /// When they end.
        expires: Option<Timestamp>,
        /// They never end.
        never_expires: bool,
    }
}

impl Command for CopyToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        let changes = changes(self.name, self.description, self.no_description, self.expires, self.never_expires)?;
        for id in &self.id.0 {
            let shown = self.connection.service.copy_token(&run.context, id, &changes).await;
            shown.and_then(|shown| show(&run, shown)).unwrap_or_else(|error| run.fail(error));
        }
        Ok(())
    }
}

fieldset! {
    /// Ends tokens, and every sign-in with them, at once.
    pub(super) struct RevokeToken as "revoke-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
    }
}

impl Command for RevokeToken {
    const ROWS: &'static str = "Uss.PersonalToken; an error item for a token that was not revoked.";

    async fn run(self, run: Run) -> Result<(), Error> {
        for id in &self.id.0 {
            let token = self.connection.service.revoke_token(&run.context, id).await;
            run.output.push(token.map(|token| PersonalToken::from(token).into()));
        }
        Ok(())
    }
}

fieldset! {
    /// Removes tokens, and ends those that were active.
    pub(super) struct RemoveToken as "remove-token" {
        /// Where, and which person.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
    }
}

impl Command for RemoveToken {
    const ROWS: &'static str = "none; an error item for each that was not removed.";

    async fn run(self, run: Run) -> Result<(), Error> {
        for id in &self.id.0 {
            let removed = self.connection.service.remove_token(&run.context, id).await;
            removed.unwrap_or_else(|error| run.fail(error));
        }
        Ok(())
    }
}

fieldset! {
    /// Ends the session that the person's password began, unless another connection still uses it. Closing the
    /// connection does so, too, and does not wait: a process that ends then may leave the session behind.
    pub(super) struct SignOut as "sign-out" {
        /// The connection of a person; the next command on it would sign in anew.
        connection: Arc<Connection>,
    }
}

impl Command for SignOut {
    const ROWS: &'static str = "none. What fails is a verbose line: a session ends by itself, too.";

    async fn run(self, run: Run) -> Result<(), Error> {
        self.connection.service.sign_out(&run.context).await;
        Ok(())
    }
}

fn show(run: &Run, shown: Shown) -> Result<(), Error> {
    let kept = secret::keep(shown.value)?;
    run.row(ShownToken { token: shown.token.into(), secret: kept.id, length: kept.length });
    Ok(())
}

fn changes(
    name: Option<String>,
    description: Option<String>,
    no_description: bool,
    expires: Option<Timestamp>,
    never_expires: bool,
) -> Result<TokenChanges, Error> {
    if expires.is_some() && never_expires {
        return Err(invalid("A token cannot end at some time and never.", "neverExpires"));
    }
    if description.is_some() && no_description {
        return Err(invalid("A token cannot have a description and none.", "noDescription"));
    }
    Ok(TokenChanges {
        name,
        description: if no_description { Some(String::new()) } else { description },
        expires: if never_expires { Some(None) } else { expires.map(Some) },
    })
}

fn invalid(message: &str, field: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
        .with_hint("Give -Name, -Description, or one of -Expires and -NeverExpires. Nothing was changed.")
        .with_target(field)
}
