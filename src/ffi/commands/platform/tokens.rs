//! `platform-tokens`, `platform-new-token`, `platform-set-token`, `platform-reset-token`, `platform-copy-token`,
//! `platform-remove-token`, `platform-scopes`. Cmdlets: the VapToken family and Get-VapTokenScope.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::{Command, Names, fieldset};
use crate::error::{Error, ErrorKind};
use crate::ffi::connection::Connection;
use crate::ffi::model::{AccessToken, PlatformScope, ShownAccessToken};
use crate::ffi::operation::Run;
use crate::ffi::secret;
use crate::secret::Secret;
use crate::virtuozzo::{self, TokenChanges, TokenScope, methods};
use crate::wildcard;

/// Rows of the commands that show a value.
const SHOWN: &str = "Vap.ShownToken: Token, a Vap.Token; Secret and Length, the value's id for uss_secret_take and how \
                     many UTF-16 code units it has. The platform shows a value this once.";

fieldset! {
    /// The account's access tokens, without their values.
    pub(in super::super) struct PlatformTokens as "platform-tokens" {
        /// Where, and which account: a connection with `platform` and `person`, as for all commands of tokens.
        connection: Arc<Connection>,
        /// Only these. Each must exist.
        id: Vec<String>,
    }
}

impl Command for PlatformTokens {
    const ROWS: &'static str = "Vap.Token; an error item for a token that the account does not have.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let wanted = ids(&self.id)?;
        let platform = self.connection.platform()?;
        let tokens = platform.tokens(&run.context).await?;
        if wanted.is_empty() {
            run.rows(tokens.into_iter().map(AccessToken::from));
            return Ok(());
        }
        for id in wanted {
            match tokens.iter().find(|token| token.id == id) {
                Some(token) => run.row(AccessToken::from(token.clone())),
                None => run.fail(
                    Error::new(
                        ErrorKind::PlatformError { code: 5 },
                        format!("{} has no access token {id} of this account.", platform.server()),
                    )
                    .with_hint("Get-VapToken lists the account's tokens.")
                    .with_target(id.to_string())
                    .with_server(platform.server().to_string()),
                ),
            }
        }
        Ok(())
    }
}

fieldset! {
    /// Makes a token, for a set of methods or for a list of them.
    pub(in super::super) struct PlatformNewToken as "platform-new-token" {
        /// Where, and which account.
        connection: Arc<Connection>,
        /// What it is for.
        description: String,
        /// When it ends; never if not given.
        expires: Option<Timestamp>,
        /// The set: Extended Access, IDE Plugins, and so on.
        scope: Option<String>,
        /// The methods.
        method: Vec<String>,
        /// A connection whose secret is the account's password, which the change takes again; if not given, that of the
        /// connection itself.
        confirm: Option<Arc<Connection>>,
    }
}

impl Command for PlatformNewToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        let scope = scope(self.scope, self.method)?.ok_or_else(|| {
            invalid("A token needs a set or a list of methods.", "scope")
                .with_hint("Give -Scope or -Method; Get-VapTokenScope lists both.")
        })?;
        let (platform, password) = (self.connection.platform()?, password(&self.confirm));
        let made =
            platform.create_token(&run.context, &self.description, self.expires, &scope, password.as_ref()).await?;
        show(&run, made)
    }
}

fieldset! {
    /// Changes settings of tokens; their values stay.
    pub(in super::super) struct PlatformSetToken as "platform-set-token" {
        /// Where, and which account.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
        /// What they are for.
        description: Option<String>,
        /// When they end.
        expires: Option<Timestamp>,
        /// They never end.
        never_expires: bool,
        /// The set.
        scope: Option<String>,
        /// The methods.
        method: Vec<String>,
        /// A connection whose secret is the account's password; if not given, that of the connection itself.
        confirm: Option<Arc<Connection>>,
    }
}

impl Command for PlatformSetToken {
    const ROWS: &'static str = "Vap.Token; an error item for a token that stays as it was.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let ids = ids(&self.id.0)?;
        let changes = changes(self.description, self.expires, self.never_expires, scope(self.scope, self.method)?)?;
        if changes == TokenChanges::default() {
            return Err(invalid(
                "Nothing is to be changed: neither description, end nor scope is given.",
                "description",
            ));
        }
        let (platform, password) = (self.connection.platform()?, password(&self.confirm));
        for id in ids {
            let token = platform.edit_token(&run.context, id, &changes, password.as_ref()).await;
            run.output.push(token.map(|token| AccessToken::from(token).into()));
        }
        Ok(())
    }
}

fieldset! {
    /// Gives tokens new values; the old ones are refused from now on.
    pub(in super::super) struct PlatformResetToken as "platform-reset-token" {
        /// Where, and which account.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
        /// A connection whose secret is the account's password; if not given, that of the connection itself.
        confirm: Option<Arc<Connection>>,
    }
}

impl Command for PlatformResetToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        let (ids, platform, password) = (ids(&self.id.0)?, self.connection.platform()?, password(&self.confirm));
        for id in ids {
            let made = platform.regenerate_token(&run.context, id, password.as_ref()).await;
            made.and_then(|made| show(&run, made)).unwrap_or_else(|error| run.fail(error));
        }
        Ok(())
    }
}

fieldset! {
    /// Makes tokens with the settings of others, but for those that are given.
    pub(in super::super) struct PlatformCopyToken as "platform-copy-token" {
        /// Where, and which account.
        connection: Arc<Connection>,
        /// The tokens to copy.
        id: Names,
        /// What the copies are for.
        description: Option<String>,
        /// When they end.
        expires: Option<Timestamp>,
        /// They never end.
        never_expires: bool,
        /// The set.
        scope: Option<String>,
        /// The methods.
        method: Vec<String>,
        /// A connection whose secret is the account's password; if not given, that of the connection itself.
        confirm: Option<Arc<Connection>>,
    }
}

impl Command for PlatformCopyToken {
    const ROWS: &'static str = SHOWN;

    async fn run(self, run: Run) -> Result<(), Error> {
        let ids = ids(&self.id.0)?;
        let changes = changes(self.description, self.expires, self.never_expires, scope(self.scope, self.method)?)?;
        let (platform, password) = (self.connection.platform()?, password(&self.confirm));
        for id in ids {
            let made = platform.copy_token(&run.context, id, &changes, password.as_ref()).await;
            made.and_then(|made| show(&run, made)).unwrap_or_else(|error| run.fail(error));
        }
        Ok(())
    }
}

fieldset! {
    /// Removes tokens: all of them, or none.
    pub(in super::super) struct PlatformRemoveToken as "platform-remove-token" {
        /// Where, and which account.
        connection: Arc<Connection>,
        /// The tokens.
        id: Names,
        /// A connection whose secret is the account's password; if not given, that of the connection itself.
        confirm: Option<Arc<Connection>>,
    }
}

impl Command for PlatformRemoveToken {
    const ROWS: &'static str = "none.";

    async fn run(self, run: Run) -> Result<(), Error> {
        let (ids, password) = (ids(&self.id.0)?, password(&self.confirm));
        self.connection.platform()?.delete_tokens(&run.context, &ids, password.as_ref()).await
    }
}

fieldset! {
    /// What a token can be made for: sets of methods, and methods.
    pub(in super::super) struct PlatformScopes as "platform-scopes" {
        /// Where.
        connection: Arc<Connection>,
        /// Only the sets and methods of these names; `*` is any text, `?` any character.
        name: Vec<String>,
        /// Only those whose name holds this.
        search: Option<String>,
    }
}

impl Command for PlatformScopes {
    const ROWS: &'static str = "Vap.TokenScope: Name, Kind (Set or Method), Summary, Methods (of a set).";

    async fn run(self, run: Run) -> Result<(), Error> {
        let platform = self.connection.platform()?;
        let search = self.search.unwrap_or_default().to_lowercase();
        let wanted = |name: &str| {
            name.to_lowercase().contains(&search)
                && (self.name.is_empty() || self.name.iter().any(|pattern| wildcard::matches(pattern, name)))
        };
        for set in platform.token_sets(&run.context).await? {
            if wanted(&set.name) {
                let summary = format!("{} methods", set.methods.len());
                run.row(PlatformScope { name: set.name, kind: "Set", summary, methods: set.methods });
            }
        }
        for name in platform.token_methods(&run.context, &search).await? {
            if wanted(&name) {
                let summary = methods::find(&name).map_or_else(String::new, |method| method.summary.to_owned());
                run.row(PlatformScope { name, kind: "Method", summary, methods: Vec::new() });
            }
        }
        Ok(())
    }
}

fn show(run: &Run, (token, value): (virtuozzo::AccessToken, Secret)) -> Result<(), Error> {
    let kept = secret::keep(value)?;
    run.row(ShownAccessToken { token: token.into(), secret: kept.id, length: kept.length });
    Ok(())
}

fn ids(texts: &[String]) -> Result<Vec<i64>, Error> {
    let read = |text: &String| {
        text.trim().parse().map_err(|_| {
            invalid("The id of an access token is a number.", "id")
                .with_hint("Get-VapToken lists the account's tokens.")
        })
    };
    texts.iter().map(read).collect()
}

fn password(confirm: &Option<Arc<Connection>>) -> Option<Secret> {
    confirm.as_ref().and_then(|connection| connection.secret())
}

fn scope(set: Option<String>, methods: Vec<String>) -> Result<Option<TokenScope>, Error> {
    match (set, methods.is_empty()) {
        (None, true) => Ok(None),
        (Some(set), true) => Ok(Some(TokenScope::Set(set))),
        (None, false) => Ok(Some(TokenScope::Methods(methods))),
        (Some(_), false) => Err(invalid("A token is made for a set or for a list of methods, not for both.", "method")),
    }
}

fn changes(
    description: Option<String>,
    expires: Option<Timestamp>,
    never_expires: bool,
    scope: Option<TokenScope>,
) -> Result<TokenChanges, Error> {
    if expires.is_some() && never_expires {
        return Err(invalid("A token cannot end at some time and never.", "neverExpires"));
    }
    Ok(TokenChanges { description, expires: if never_expires { Some(None) } else { expires.map(Some) }, scope })
}

fn invalid(message: &str, field: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{message} Nothing was changed.")).with_target(field)
}
