//! Commands of the Virtuozzo Application Platform, for the module Vap. Their connections are opened with `platform`.

mod account;
mod call;
mod environments;
mod methods;
mod tokens;

pub(super) use account::{PlatformConnect, PlatformDisconnect};
pub(super) use call::PlatformCall;
pub(super) use environments::{PlatformChange, PlatformEnvironments, PlatformRestart};
pub(super) use methods::PlatformMethods;
pub(super) use tokens::{
    PlatformCopyToken, PlatformNewToken, PlatformRemoveToken, PlatformResetToken, PlatformScopes, PlatformSetToken,
    PlatformTokens,
};
