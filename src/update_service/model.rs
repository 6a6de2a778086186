//! What the web API says, as values.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::bearer::User;
use crate::instant;

/// A package: its newest version's properties. `GET /api/v1/Packages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// `bundle/my-pos`.
    pub id: String,
    /// The manifest's Name.
    #[serde(default)]
    pub name: Option<String>,
    /// The manifest's DisplayName.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The manifest's Description.
    #[serde(default)]
    pub description: Option<String>,
    /// The newest version, as published.
    pub version: String,
    /// Bytes of the archive.
    #[serde(default)]
    pub size: Option<u64>,
    /// 64 lower-case hex digits over the archive.
    #[serde(default)]
    pub sha256: Option<String>,
    /// When it appeared.
    #[serde(default, deserialize_with = "instant::optional")]
    pub published: Option<Timestamp>,
}

/// One version of a package. `GET /api/v1/Packages/versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageVersion {
    /// The package.
    pub package_id: String,
    /// As published; compare with [`crate::Version`], never as text.
    pub version: String,
    /// Bytes of the archive; servers that do not tell are read without.
    #[serde(default)]
    pub size: Option<u64>,
    /// 64 lower-case hex digits over the archive.
    #[serde(default)]
    pub sha256: Option<String>,
    /// When it appeared.
    #[serde(default, deserialize_with = "instant::optional")]
    pub published: Option<Timestamp>,
    /// The manifest's Dependencies.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
}

/// What a package needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The package that is needed.
    pub package_id: String,
    /// Which version of it.
    #[serde(default)]
    pub version_query: String,
    /// Not needed to work.
    #[serde(default)]
    pub optional: bool,
    /// Restricts a version that something else brings in, and brings nothing in itself.
    #[serde(default)]
    pub only_restrict_version: bool,
}

/// An installer. `GET /api/v1/installers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installer {
    /// A GUID, lower case.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The package that it installs, where it is for one.
    #[serde(default)]
    pub package_id: Option<String>,
    /// That package's version.
    #[serde(default)]
    pub version: Option<String>,
    /// `Setup.exe`.
    #[serde(default)]
    pub file_name: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// 64 lower-case hex digits.
    #[serde(default)]
    pub sha256: Option<String>,
    /// When it appeared.
    #[serde(default, deserialize_with = "instant::optional")]
    pub published: Option<Timestamp>,
}

/// `GET /api/v1/Account`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Who is signed in.
    pub user: User,
    /// When the token in use ends: the inner none is never, the outer one that the server does not tell.
    #[serde(default, deserialize_with = "told_end")]
    pub personal_token_expires: Option<Option<Timestamp>>,
}

fn told_end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    instant::end(deserializer).map(Some)
}

/// A personal access token, without its value. `GET /api/v1/PersonalTokens`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonalToken {
    /// The server's key of the token.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// `personal`, or `client-service` for a client that only reads.
    #[serde(default)]
    pub kind: Option<String>,
    /// Active, Expired or Revoked.
    pub status: String,
    /// When it was made.
    #[serde(default, deserialize_with = "instant::optional")]
    pub created: Option<Timestamp>,
    /// When it ends; none: never.
    #[serde(default, deserialize_with = "instant::end")]
    pub expires: Option<Timestamp>,
    /// When it signed in last; none: never.
    #[serde(default, deserialize_with = "instant::optional")]
    pub last_used: Option<Timestamp>,
    /// From which address that was.
    #[serde(default)]
    pub last_used_from: Option<String>,
}
