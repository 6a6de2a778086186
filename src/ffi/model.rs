//! The rows that callers get. One serde model for both writers: CLIXML for PowerShell, JSON for everyone else.
//!
//! A struct's serde name is its type name, its properties are PascalCase. Two newtypes tell the writers what plain
//! text and numbers cannot: [`DateTimeUtc`] and [`Seconds`].

use std::borrow::Cow;
use std::time::Duration;

use jiff::{Timestamp, TimestampRound, Unit};
use serde::{Serialize, Serializer};

use crate::copy;
use crate::error::Error;
use crate::folder::Folder;
use crate::instant;
use crate::package;
use crate::update_service::model as api;
use crate::version::Version;

mod platform;

pub use platform::{
    AccessToken, PlatformAnswer, PlatformConnection, PlatformEnvironment, PlatformMethod, PlatformNode, PlatformScope,
    PlatformSecret, ShownAccessToken,
};

/// The newtype name by which a writer knows a [`DateTimeUtc`].
pub(super) const DATE_TIME_UTC: &str = "DateTimeUtc";
/// The newtype name by which a writer knows [`Seconds`].
pub(super) const SECONDS: &str = "Seconds";

/// 0001-01-01T00:00:00Z, where .NET's DateTime begins.
const FIRST_SECOND: i64 = -62_135_596_800;

/// .NET's DateTime.MaxValue.
const LAST_TICK: &str = "9999-12-31T23:59:59.9999999Z";

/// An instant, to 100 ns: a DateTime of kind UTC in PowerShell, RFC 3339 with `Z` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTimeUtc(pub Timestamp);

impl DateTimeUtc {
    /// Reads `2026-11-10T18:00:00.1234567+01:00`; a date alone, or one without an offset, is no instant.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let shape = text.get(..19)?.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
        let rest = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let offset = rest == "Z" || (rest.len() == 6 && rest.starts_with(['+', '-']));
        let instant = (shape && offset).then(|| instant::read(text)).flatten()?;
        (instant.as_second() >= FIRST_SECOND).then_some(Self(instant))
    }
}

impl Serialize for DateTimeUtc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Rounding fails only beyond the last representable instant.
        let ticks = TimestampRound::new().smallest(Unit::Nanosecond).increment(100).mode(jiff::RoundMode::Trunc);
        // The last one stands for every later one: see `crate::instant`.
        let last = self.0 == Timestamp::MAX;
        let text = if last { LAST_TICK.to_owned() } else { self.0.round(ticks).unwrap_or(self.0).to_string() };
        serializer.serialize_newtype_struct(DATE_TIME_UTC, &text)
    }
}

/// A length of time: a TimeSpan in PowerShell, seconds in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SECONDS, &self.0.as_secs_f64())
    }
}

/// One row of a page.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // each variant is the struct of its name
pub enum Row {
    Connection(Connection),
    Package(Package),
    PackageVersion(PackageVersion),
    Installer(Installer),
    CopyPlan(CopyPlan),
    CopyResult(CopyResult),
    PackageFile(PackageFile),
    PersonalToken(PersonalToken),
    ShownToken(ShownToken),
    PlatformConnection(PlatformConnection),
    PlatformEnvironment(PlatformEnvironment),
    AccessToken(AccessToken),
    ShownAccessToken(ShownAccessToken),
    PlatformScope(PlatformScope),
    PlatformMethod(PlatformMethod),
    PlatformAnswer(PlatformAnswer),
    Boolean(bool),
    Answer(Answer),
    Text(String),
}

macro_rules! rows {
    ($($variant:ident($type:ty),)+) => {
        $(impl From<$type> for Row {
            fn from(row: $type) -> Self {
                Self::$variant(row)
            }
        })+
    };
}

rows! {
    Connection(Connection),
    Package(Package),
    PackageVersion(PackageVersion),
    Installer(Installer),
    CopyPlan(CopyPlan),
    CopyResult(CopyResult),
    PackageFile(PackageFile),
    PersonalToken(PersonalToken),
    ShownToken(ShownToken),
    PlatformConnection(PlatformConnection),
    PlatformEnvironment(PlatformEnvironment),
    AccessToken(AccessToken),
    ShownAccessToken(ShownAccessToken),
    PlatformScope(PlatformScope),
    PlatformMethod(PlatformMethod),
    PlatformAnswer(PlatformAnswer),
    Boolean(bool),
    Answer(Answer),
}

/// A server that answered, and who signed in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.Connection", rename_all = "PascalCase")]
pub struct Connection {
    /// The server's address.
    pub server: String,
    /// The name that signed in; none: unauthenticated.
    pub user_name: Option<String>,
    /// Who that is.
    pub user: User,
    /// When the bearer ends.
    pub token_expires: DateTimeUtc,
    /// When the personal token ends; none: never, or the server does not tell.
    pub personal_token_expires: Option<DateTimeUtc>,
}

/// A user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.User", rename_all = "PascalCase")]
pub struct User {
    /// The server's key of the user.
    pub user_id: String,
    /// The address.
    pub email: String,
    /// For people to read.
    pub full_name: Option<String>,
}

impl From<crate::update_service::User> for User {
    fn from(user: crate::update_service::User) -> Self {
        Self { user_id: user.user_id, email: user.email, full_name: user.full_name }
    }
}

/// A package, as its newest version describes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.Package", rename_all = "PascalCase")]
pub struct Package {
    /// `bundle/my-pos`.
    pub id: String,
    /// The manifest's Name.
    pub name: Option<String>,
    /// The manifest's DisplayName.
    pub display_name: Option<String>,
    /// The manifest's Description.
    pub description: Option<String>,
    /// The newest version, as published.
    pub latest_version: String,
    /// Bytes.
    pub size: Option<u64>,
    /// 64 lower-case hex digits.
    pub sha256: Option<String>,
    /// When it appeared.
    pub published: Option<DateTimeUtc>,
}

impl From<api::Package> for Package {
    fn from(package: api::Package) -> Self {
        Self {
            id: package.id,
            name: package.name,
            display_name: package.display_name,
            description: package.description,
            latest_version: package.version,
            size: package.size,
            sha256: package.sha256,
            published: package.published.map(DateTimeUtc),
        }
    }
}

/// One version of a package.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.PackageVersion", rename_all = "PascalCase")]
pub struct PackageVersion {
    /// The package.
    pub id: String,
    /// As published.
    pub version: String,
    /// Bytes.
    pub size: Option<u64>,
    /// 64 lower-case hex digits.
    pub sha256: Option<String>,
    /// When it appeared.
    pub published: Option<DateTimeUtc>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// Its order as plain text is the versions' order; none: the server's version cannot be read.
    pub sort_key: Option<String>,
}

impl From<api::PackageVersion> for PackageVersion {
    fn from(version: api::PackageVersion) -> Self {
        Self {
            sort_key: Version::parse(&version.version).ok().map(|version| version.sort_key()),
            id: version.package_id,
            version: version.version,
            size: version.size,
            sha256: version.sha256,
            published: version.published.map(DateTimeUtc),
            dependencies: version.dependencies.into_iter().map(Dependency::from).collect(),
        }
    }
}

/// What a package needs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.Dependency", rename_all = "PascalCase")]
pub struct Dependency {
    /// The package that is needed.
    pub package_id: String,
    /// Which version of it.
    pub version_query: String,
    /// Not needed to work.
    pub optional: bool,
    /// Only restricts what something else brings in.
    pub only_restrict_version: bool,
}

impl From<api::Dependency> for Dependency {
    fn from(dependency: api::Dependency) -> Self {
        Self {
            package_id: dependency.package_id,
            version_query: dependency.version_query,
            optional: dependency.optional,
            only_restrict_version: dependency.only_restrict_version,
        }
    }
}

/// An installer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.Installer", rename_all = "PascalCase")]
pub struct Installer {
    /// A GUID, lower case.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The package that it installs.
    pub package_id: Option<String>,
    /// That package's version.
    pub version: Option<String>,
    /// `Setup.exe`.
    pub file_name: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// 64 lower-case hex digits.
    pub sha256: Option<String>,
    /// When it appeared.
    pub published: Option<DateTimeUtc>,
}

impl From<api::Installer> for Installer {
    fn from(installer: api::Installer) -> Self {
        Self {
            id: installer.id,
            name: installer.name,
            package_id: installer.package_id,
            version: installer.version,
            file_name: installer.file_name,
            size: installer.size,
            sha256: installer.sha256,
            published: installer.published.map(DateTimeUtc),
        }
    }
}

/// What a copy would do at one destination, in words for a person who is asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.CopyPlan", rename_all = "PascalCase")]
pub struct CopyPlan {
    /// The destination's address.
    pub destination: String,
    /// `example-package 1.2.3 and 4 dependencies (812 MB) to http://b:8060`.
    pub target: String,
    /// `Copy from http://a:8060`.
    pub action: String,
}

impl From<copy::Summary> for CopyPlan {
    fn from(summary: copy::Summary) -> Self {
        Self { destination: summary.destination, target: summary.target, action: summary.action }
    }
}

/// What became, or would become, of one package or installer at one destination.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.CopyResult", rename_all = "PascalCase")]
pub struct CopyResult {
    /// The package, or the installer's GUID.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The source's address.
    pub source: String,
    /// The destination's address.
    pub destination: String,
    /// Copied, Skipped, Replaced; of a plan: WouldCopy, WouldSkip, WouldReplace.
    pub status: &'static str,
    /// Bytes.
    pub size: Option<u64>,
    /// Bytes that went to the destination, those of broken tries included.
    pub bytes_sent: u64,
    /// From its first request to its proof.
    pub duration: Seconds,
    /// 64 lower-case hex digits.
    pub sha256: Option<String>,
}

impl From<copy::CopyResult> for CopyResult {
    fn from(result: copy::CopyResult) -> Self {
        Self {
            id: result.id,
            version: result.version,
            source: result.source,
            destination: result.destination,
            status: result.status.as_str(),
            size: result.size,
            bytes_sent: result.bytes_sent,
            duration: Seconds(result.duration),
            sha256: result.sha256,
        }
    }
}

/// A package archive on disk.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.PackageFile", rename_all = "PascalCase")]
pub struct PackageFile {
    /// Where it is.
    pub path: String,
    /// The manifest's Id.
    pub id: String,
    /// The manifest's Version.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hex digits.
    pub sha256: String,
}

impl From<package::PackageFile> for PackageFile {
    fn from(file: package::PackageFile) -> Self {
        Self {
            path: file.path.display().to_string(),
            id: file.id,
            version: file.version,
            size: file.size,
            sha256: file.sha256,
        }
    }
}

impl PackageFile {
    /// The file that a saved package is.
    pub(super) fn saved(row: copy::CopyResult, folder: &Folder) -> Result<Self, Error> {
        // One that was there may be named by another spelling of its version.
        let path = match row.status {
            copy::Status::Skipped => folder.file_of(&row.id, &row.version)?,
            _ => folder.place_of(&row.id, &row.version),
        };
        Ok(Self {
            path: path.display().to_string(),
            id: row.id,
            version: row.version,
            size: row.size.unwrap_or_default(),
            sha256: row.sha256.unwrap_or_default(),
        })
    }
}

/// A personal access token, without its value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.PersonalToken", rename_all = "PascalCase")]
pub struct PersonalToken {
    /// The server's key of the token.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Active, Expired or Revoked.
    pub status: String,
    /// When it was made.
    pub created: Option<DateTimeUtc>,
    /// When it ends; none: never.
    pub expires: Option<DateTimeUtc>,
    /// When it signed in last; none: never.
    pub last_used: Option<DateTimeUtc>,
    /// From which address that was.
    pub last_used_from: Option<String>,
    /// `personal`, or `client-service` for a client that only reads.
    pub kind: Option<String>,
}

impl From<api::PersonalToken> for PersonalToken {
    fn from(token: api::PersonalToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            description: token.description,
            status: token.status,
            created: token.created.map(DateTimeUtc),
            expires: token.expires.map(DateTimeUtc),
            last_used: token.last_used.map(DateTimeUtc),
            last_used_from: token.last_used_from,
            kind: token.kind,
        }
    }
}

/// A token and its value, which is shown this once.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.ShownToken", rename_all = "PascalCase")]
pub struct ShownToken {
    /// The token.
    pub token: PersonalToken,
    /// For uss_secret_take.
    pub secret: u64,
    /// How many UTF-16 code units the value has.
    pub length: u64,
}

/// What failed about one item, among the rows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Uss.Error", rename_all = "PascalCase")]
pub struct ErrorItem {
    /// The stable code, `PackageNotFound`; of a platform's refusal `Vap.` and its result.
    pub code: Cow<'static, str>,
    /// A name of PowerShell's ErrorCategory.
    pub category: &'static str,
    /// What was tried on what, and what happened.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// Of the answer that said so.
    pub http_status: Option<u16>,
    /// What it is about.
    pub target: String,
    /// Where it happened.
    pub server: String,
}

impl From<&Error> for ErrorItem {
    fn from(error: &Error) -> Self {
        Self {
            code: super::code_of(error),
            category: error.kind().category(),
            message: error.message().to_owned(),
            hint: error.hint().to_owned(),
            http_status: error.http_status(),
            target: error.target().to_owned(),
            server: error.server().to_owned(),
        }
    }
}

/// A server's own JSON: objects without a type. Instants in it become [`DateTimeUtc`].
#[derive(Clone, Debug)]
pub struct Answer(pub serde_json::Value);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json(&self.0).serialize(serializer)
    }
}

struct Json<'a>(&'a serde_json::Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            serde_json::Value::String(text) => match DateTimeUtc::read(text) {
                Some(instant) => instant.serialize(serializer),
                None => serializer.serialize_str(text),
            },
            serde_json::Value::Array(values) => serializer.collect_seq(values.iter().map(Json)),
            serde_json::Value::Object(members) => {
                serializer.collect_map(members.iter().map(|(key, value)| (key, Json(value))))
            }
            plain => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_date_time_with_an_offset_is_an_instant() {
        let read = |text| DateTimeUtc::read(text).map(|instant| serde_json::to_string(&instant).unwrap());
        assert_eq!(read("2026-11-10T18:00:00Z").as_deref(), Some("\"2026-11-10T18:00:00Z\""));
        assert_eq!(read("2026-11-10T18:00:00.1234567+01:00").as_deref(), Some("\"2026-11-10T17:00:00.1234567Z\""));
        assert_eq!(read("2026-11-10T18:00:00.123456789Z").as_deref(), Some("\"2026-11-10T18:00:00.1234567Z\""));
        assert_eq!(read(LAST_TICK).as_deref(), Some("\"9999-12-31T23:59:59.9999999Z\""));
        for other in [
            "2026-11-10",
            "2026-11-10T18:00:00",
            "2026-11-10 18:00:00Z",
            "2026-13-10T18:00:00Z",
            "0000-12-31T23:59:59Z",
            "",
            "é",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn json_has_the_names_that_powershell_sees() {
        let version = api::PackageVersion {
            package_id: "a".into(),
            version: "1.0".into(),
            size: Some(5),
            sha256: None,
            published: Some("2026-11-10T18:00:00Z".parse().unwrap()),
            dependencies: vec![api::Dependency {
                package_id: "b".into(),
                version_query: "^".into(),
                optional: true,
                only_restrict_version: false,
            }],
        };
        let row = Row::from(PackageVersion { sort_key: Some("k".into()), ..version.into() });
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(
            json,
            r#"{"Id":"a","Version":"1.0","Size":5,"Sha256":null,"Published":"2026-11-10T18:00:00Z","Dependencies":[{"PackageId":"b","VersionQuery":"^","Optional":true,"OnlyRestrictVersion":false}],"SortKey":"k"}"#
        );
    }
}
