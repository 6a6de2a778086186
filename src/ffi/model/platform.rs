//! Rows of the platform's commands.

use serde::Serialize;

use super::{Answer, DateTimeUtc};
use crate::virtuozzo::{self, methods};

/// A platform that answered, and who signed in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Connection", rename_all = "PascalCase")]
pub struct PlatformConnection {
    /// The platform's address.
    pub server: String,
    /// The name that the credential has; none: unauthenticated.
    pub user_name: Option<String>,
    /// By login and password, not by a token.
    pub signed_in: bool,
    /// The platform's number of the account; none: the token may not ask for it.
    pub uid: Option<i64>,
    /// The account's address; empty where it is not known.
    pub email: String,
    /// The account's name.
    pub name: String,
}

/// An environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Environment", rename_all = "PascalCase")]
pub struct PlatformEnvironment {
    /// `my-project`.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// `Running`.
    pub status: String,
    /// The platform's number of the state.
    pub status_code: i64,
    /// `my-project.example.com`.
    pub domain: String,
    /// Its nodes.
    pub nodes: Vec<PlatformNode>,
}

/// A node of an environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Node", rename_all = "PascalCase")]
pub struct PlatformNode {
    /// The platform's number of it.
    pub id: i64,
    /// Its layer: `cp`.
    pub group: String,
    /// `nginx`.
    pub kind: String,
    /// What people call it; may be empty.
    pub display_name: String,
}

impl From<virtuozzo::Environment> for PlatformEnvironment {
    fn from(environment: virtuozzo::Environment) -> Self {
        let node = |node: virtuozzo::Node| PlatformNode {
            id: node.id,
            group: node.group,
            kind: node.kind,
            display_name: node.display_name,
        };
        Self {
            name: environment.name,
            display_name: environment.display_name,
            status: environment.status.to_string(),
            status_code: environment.status_code,
            domain: environment.domain,
            nodes: environment.nodes.into_iter().map(node).collect(),
        }
    }
}

/// An access token, without its value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Token", rename_all = "PascalCase")]
pub struct AccessToken {
    /// The platform's number of it.
    pub id: i64,
    /// What it is for.
    pub description: String,
    /// When it ends; none: never.
    pub expires: Option<DateTimeUtc>,
    /// The set that it was made for; none: a list of its own.
    pub scope: Option<String>,
    /// The methods that it may call.
    pub methods: Vec<String>,
    /// When it was used last; none: never.
    pub last_used: Option<DateTimeUtc>,
}

impl From<virtuozzo::AccessToken> for AccessToken {
    fn from(token: virtuozzo::AccessToken) -> Self {
        Self {
            id: token.id,
            description: token.description,
            expires: token.expires.map(DateTimeUtc),
            scope: token.set,
            methods: token.methods,
            last_used: token.last_used.map(DateTimeUtc),
        }
    }
}

/// An access token and its value, which is shown this once.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.ShownToken", rename_all = "PascalCase")]
pub struct ShownAccessToken {
    /// The token.
    pub token: AccessToken,
    /// For uss_secret_take.
    pub secret: u64,
    /// How many UTF-16 code units the value has.
    pub length: u64,
}

/// A set of methods, or a method, that a token can be made for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.TokenScope", rename_all = "PascalCase")]
pub struct PlatformScope {
    /// `IDE Plugins`, or a method.
    pub name: String,
    /// Set or Method.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub summary: String,
    /// What a set holds.
    pub methods: Vec<String>,
}

/// A method of the platform's description.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Method", rename_all = "PascalCase")]
pub struct PlatformMethod {
    /// `environment/control/stopenv`.
    pub method: String,
    /// The names of its parameters.
    pub parameters: Vec<&'static str>,
    /// Those that it cannot do without.
    pub required: Vec<&'static str>,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

impl From<&methods::Method> for PlatformMethod {
    fn from(method: &methods::Method) -> Self {
        let required = method.parameters.iter().filter(|parameter| parameter.required);
        Self {
            method: method.path(),
            parameters: method.parameters.iter().map(|parameter| parameter.name).collect(),
            required: required.map(|parameter| parameter.name).collect(),
            summary: method.summary,
        }
    }
}

/// The platform's own JSON, and the secrets that were taken out of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Answer", rename_all = "PascalCase")]
pub struct PlatformAnswer {
    /// Objects without a type.
    pub answer: Answer,
    /// What was in it.
    pub secrets: Vec<PlatformSecret>,
}

/// A secret of an answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename = "Vap.Secret", rename_all = "PascalCase")]
pub struct PlatformSecret {
    /// `token.key`: names with dots between.
    pub path: String,
    /// For uss_secret_take.
    pub secret: u64,
    /// How many UTF-16 code units it has.
    pub length: u64,
}
