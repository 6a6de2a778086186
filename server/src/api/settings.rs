//! What a client may know before it signs in; an answer also says that the server is ready.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::App;
use super::problem::Problem;
use crate::store::StoreError;

/// The server's settings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    product: &'static str,
    version: &'static str,
    /// Whether content and installer downloads need a bearer.
    client_authentication: bool,
}

/// `GET /api/v1/Settings/server`
pub async fn server(State(app): State<App>) -> Result<Json<Settings>, Problem> {
    // Ready means that the database answers.
    sqlx::query("SELECT 1").execute(app.store.database.pool()).await.map_err(StoreError::from)?;
    Ok(Json(Settings {
        product: "uss-server",
        version: env!("CARGO_PKG_VERSION"),
        client_authentication: app.client_authentication,
    }))
}
