//! The stylesheet, the script and the icon. Their names hold a digest of what is in them, so that browsers may keep
//! them without end and see at once what a new version of the server brings.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::api::App;
use crate::store::blobs::hex;

/// A file that is part of the program.
pub struct Asset {
    /// `style-0123456789abcdef.css`
    pub name: String,
    content: &'static str,
    content_type: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let digest: String = hex(&Sha256::digest(content.as_bytes())).chars().take(16).collect();
        Self { name: format!("{name}-{digest}.{extension}"), content, content_type }
    }

    /// Where it is served.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// All of them.
pub struct Assets {
    /// Every page's look.
    pub style: Asset,
    /// What pages can do without, but are nicer with.
    pub script: Asset,
    /// The browser's tab shows it.
    pub icon: Asset,
}

/// All of them, named once.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    script: Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("assets/script.js")),
    icon: Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
});

/// Anybody may have them: the sign-in page needs them.
pub fn router() -> Router<App> {
    Router::new().route("/assets/{name}", get(serve))
}

async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let all = [&ASSETS.style, &ASSETS.script, &ASSETS.icon];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name) else {
        return Refusal::not_found(
            "There is no such file",
            "A page of another version of this server may have named it.",
        )
        .into_response();
    };
    let etag = format!("\"{}\"", asset.name);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let common = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, asset.content_type)], asset.content).into_response()
}
