//! The Update Service web API. One table of routes; one file a group of calls.

pub mod account;
pub mod audit;
pub mod auth;
pub mod content;
pub mod drain;
pub mod exchange;
pub mod installers;
pub mod packages;
pub mod params;
pub mod personal_tokens;
pub mod problem;
pub mod publish;
pub mod receive;
pub mod settings;
pub mod sign_in;
pub mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, map_response};
use axum::routing::{MethodRouter, delete, get, head, options, patch, post};

use crate::bearer::Bearers;
use crate::store::Store;
use crate::tokens::Limits;
use problem::Problem;

/// What every call gets.
#[derive(Clone)]
pub struct App {
    /// Rows and blobs.
    pub store: Store,
    /// Signs and checks bearers.
    pub bearers: Arc<Bearers>,
    /// Of refused exchanges.
    pub limits: Limits,
    /// Which uploads are being appended to.
    pub uploads: uploads::Running,
    /// Whether content and installer downloads need a bearer.
    pub client_authentication: bool,
    /// Of the platform's side.
    pub platform: crate::platform::Settings,
    /// How pages are served.
    pub pages: crate::pages::Settings,
    /// Injected failures.
    #[cfg(feature = "faults")]
    pub faults: crate::faults::Faults,
}

/// A route: its path, and its methods for the test against `docs/openapi.yaml`.
struct Route {
    path: &'static str,
    #[cfg_attr(not(test), allow(dead_code))]
    methods: &'static [&'static str],
    handlers: MethodRouter<App>,
}

fn routes() -> Vec<Route> {
    let route = |path, methods, handlers| Route { path, methods, handlers };
    vec![
        route("/api/v1/PersonalTokens/authenticate", &["post"], post(exchange::authenticate)),
        route(
            "/api/v1/PersonalTokens",
            &["get", "post"],
            get(personal_tokens::list).merge(post(personal_tokens::create)),
        ),
        route(
            "/api/v1/PersonalTokens/{id}",
            &["patch", "delete"],
            patch(personal_tokens::edit).merge(delete(personal_tokens::remove)),
        ),
        route("/api/v1/PersonalTokens/{id}/revoke", &["post"], post(personal_tokens::revoke)),
        route("/api/v1/PersonalTokens/{id}/regenerate", &["post"], post(personal_tokens::regenerate)),
        route("/api/v1/PersonalTokens/{id}/copy", &["post"], post(personal_tokens::copy)),
        route(
            "/api/v1/Packages",
            &["get", "post", "delete"],
            get(packages::list).merge(post(publish::publish)).merge(delete(packages::remove)),
        ),
        route("/api/v1/Packages/versions", &["get"], get(packages::versions)),
        route("/api/v1/Packages/versions/query", &["post"], post(packages::versions_of_many)),
        route("/api/v1/Packages/content", &["get", "head"], get(packages::content)),
        route("/api/v1/installers", &["get", "post"], get(installers::list).merge(post(installers::publish))),
        route("/api/v1/installers/{id}", &["get"], get(installers::one)),
        route("/api/v1/installers/{id}/download", &["get", "head"], get(installers::download)),
        route(
            "/api/v1/Uploads",
            &["options", "post"],
            options(uploads::options).merge(post(uploads::create)).layer(map_response(uploads::speak)),
        ),
        route(
            "/api/v1/Uploads/{id}",
            &["head", "patch", "delete"],
            head(uploads::head)
                .merge(patch(uploads::append))
                .merge(delete(uploads::terminate))
                .layer(map_response(uploads::speak)),
        ),
        route("/api/v1/Audit", &["get"], get(audit::list)),
        route("/api/v1/Settings/server", &["get"], get(settings::server)),
        route("/api/v1/Account", &["get"], get(account::account)),
        route("/api/v1/Account/signin", &["post"], post(sign_in::sign_in)),
        route("/api/v1/Account/signout", &["post"], post(sign_in::sign_out)),
    ]
}

/// The whole API.
pub fn router(app: App) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handlers));
    let router = router.merge(crate::platform::router());
    let router = router.merge(crate::pages::router());
    let router = router.fallback(crate::pages::not_found).method_not_allowed_fallback(async |method: Method| {
        let detail = format!("This call does not take {method}.");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    });
    #[cfg(feature = "faults")]
    let router = crate::faults::install(router, &app);
    router.layer(middleware::from_fn(drain::unread)).layer(middleware::from_fn(log)).with_state(app)
}

/// A line a request; without its query, which may hold a token.
async fn log(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    tracing::info!(%method, path, status = response.status().as_u16(), elapsed = ?begun.elapsed(), "request");
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The operations under `paths:`: paths are indented by two spaces, methods by four.
    fn documented() -> BTreeSet<(String, String)> {
        let text = include_str!("../../../docs/openapi.yaml");
        let mut operations = BTreeSet::new();
        let mut path = None;
        for line in text.lines().skip_while(|line| *line != "paths:").skip(1) {
            if !line.starts_with(' ') && !line.is_empty() {
                break;
            }
            if let Some(name) = line.strip_prefix("  /") {
                path = Some(format!("/{}", name.trim_end_matches(':')));
            } else if let Some(method) = line.strip_prefix("    ").and_then(|line| line.strip_suffix(':'))
                && ["get", "head", "post", "delete", "patch", "put", "options"].contains(&method)
            {
                operations.insert((path.clone().unwrap(), method.to_owned()));
            }
        }
        operations
    }

    #[test]
    fn each_route_is_documented_and_each_documented_route_is_there() {
        let served: BTreeSet<_> = routes()
            .iter()
            .flat_map(|route| route.methods.iter().map(|method| (route.path.to_owned(), (*method).to_owned())))
            .collect();
        assert_eq!(served, documented());
    }
}
