//! `Upload-Metadata`: keys with base64 values, separated by commas.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uss::Version;

use crate::api::installers::{file_name, guid};
use crate::api::problem::Problem;
use crate::store::uploads::Content;

/// What an upload is for.
pub(super) struct Metadata {
    pub(super) content: Content,
    pub(super) sha256: Option<String>,
    pub(super) force: bool,
    /// As the client wrote it; HEAD answers with it.
    pub(super) text: String,
}

/// `packageId`, `version`, `sha256`, `force`; an installer has `type` (`installer`), `name`, `fileName`, `installerId`.
pub(super) fn read(headers: &HeaderMap) -> Result<Metadata, Problem> {
    let text = headers.get("upload-metadata").map(|value| value.to_str().unwrap_or("?")).unwrap_or_default();
    let mut pairs = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let decoded = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let value =
            decoded.ok_or_else(|| Problem::bad_request(format!("Upload-Metadata: '{key}' is not base64 of UTF-8.")))?;
        if pairs.iter().any(|(name, _)| *name == key) {
            return Err(Problem::bad_request(format!("Upload-Metadata has '{key}' twice.")));
        }
        pairs.push((key, value));
    }
    let get = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
    let get = |key: &str| get(key).filter(|value| !value.is_empty());
    let needed = |key: &str| get(key).ok_or_else(|| Problem::bad_request(format!("Upload-Metadata lacks '{key}'.")));

    let sha256 = get("sha256").map(|text| digest(&text)).transpose()?;
    let force = match get("force").as_deref() {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(Problem::bad_request("Upload-Metadata: 'force' is neither true nor false.")),
    };
    let content = match get("type").as_deref() {
        None | Some("package") => {
            let (package_id, text) = (needed("packageId")?, needed("version")?);
            uss::package::check_id(&package_id).map_err(|error| Problem::bad_request(error.message()))?;
            version(&text)?;
            Content::Package { package_id, version: text }
        }
        Some("installer") => {
            let name = needed("name")?;
            Content::Installer {
                id: get("installerId").map(|id| guid(&id)).transpose()?,
                package_id: get("packageId"),
                version: get("version").map(|text| version(&text)).transpose()?.map(|v| v.as_str().to_owned()),
                file_name: file_name(get("fileName").as_ref().unwrap_or(&name))?,
                name,
            }
        }
        Some(_) => return Err(Problem::bad_request("Upload-Metadata: 'type' is neither package nor installer.")),
    };
    Ok(Metadata { content, sha256, force, text: text.to_owned() })
}

pub(super) fn version(text: &str) -> Result<Version, Problem> {
    Version::parse(text).map_err(|error| Problem::bad_request(error.message()))
}

fn digest(text: &str) -> Result<String, Problem> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Problem::bad_request("Upload-Metadata: 'sha256' is not 64 hex digits."))
}
