//! What packages and versions a server has.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use url::Url;

use super::UpdateService;
use super::model::{Package, PackageVersion};
use crate::error::{Error, ErrorKind};
use crate::http::{Body, HeaderMap, HeaderValue, Request};
use crate::operation::Context;

/// Packages a page.
const PAGE: &str = "1000";

/// Pages at most: a server that always names another page must not hold us forever.
const MAX_PAGES: usize = 2_000;

/// Ids in one question for the versions of many.
const BATCH: usize = 500;

/// Questions at once where a server only answers them singly.
const SINGLY: usize = 8;

impl UpdateService {
    /// All packages, or those that the server finds for `search`, page by page.
    ///
    /// # Errors
    /// `ProtocolViolation` for pages that lead to another server or never end; else as a request fails.
    pub async fn packages(&self, context: &Context, search: Option<&str>) -> Result<Vec<Package>, Error> {
        let mut values = vec![("limit", PAGE)];
        values.extend(search.map(|search| ("search", search)));
        let mut request = self.request(&self.routes().packages, &values)?;
        let mut packages = Vec::new();
        for _ in 0..MAX_PAGES {
            let (page, headers) = self.json_and_headers::<Vec<Package>>(context, &request).await?;
            packages.extend(page);
            match self.next_page(&request.url, &headers)? {
                Some(next) => request = Request { url: next, ..request },
                None => return Ok(packages),
            }
        }
        Err(self.bad_pages("names more than 2000 pages of packages"))
    }

    /// The versions of one package, as the server orders them.
    ///
    /// # Errors
    /// `PackageNotFound`; else as the request fails.
    pub async fn versions(&self, context: &Context, id: &str) -> Result<Vec<PackageVersion>, Error> {
        let mut request = self.request(&self.routes().versions, &[("packageId", id)])?;
        request.missing = ErrorKind::PackageNotFound;
        match self.json::<Vec<PackageVersion>>(context, &request).await {
            Ok(versions) if versions.is_empty() => Err(self.package_not_found(id, None, None)),
            Err(error) if error.kind() == ErrorKind::PackageNotFound => {
                Err(self.package_not_found(id, None, error.http_status()))
            }
            answered => answered.map_err(|error| error.within(&format!("Reading the versions of '{id}'"))),
        }
    }

    /// The versions of many packages; unknown ids are absent. In batches of 500, or singly where the server has no
    /// call for many.
    ///
    /// # Errors
    /// As a request fails; an unknown package is no failure.
    pub async fn versions_of(
        &self,
        context: &Context,
        ids: &[String],
    ) -> Result<HashMap<String, Vec<PackageVersion>>, Error> {
        let mut found: HashMap<String, Vec<PackageVersion>> = HashMap::new();
        for batch in ids.chunks(BATCH) {
            let versions = if self.0.asks_singly.load(Ordering::Relaxed) {
                self.versions_singly(context, batch).await?
            } else {
                match self.versions_of_batch(context, batch).await {
                    Err(error) if matches!(error.http_status(), Some(404 | 405)) => {
                        self.0.asks_singly.store(true, Ordering::Relaxed);
                        self.versions_singly(context, batch).await?
                    }
                    answered => answered?,
                }
            };
            for version in versions {
                found.entry(version.package_id.clone()).or_default().push(version);
            }
        }
        Ok(found)
    }

    /// Removes a version.
    ///
    /// # Errors
    /// `PackageNotFound`, `PermissionDenied`; else as the request fails.
    pub async fn delete(&self, context: &Context, id: &str, version: &str) -> Result<(), Error> {
        let mut request = self.request(&self.routes().delete, &[("packageId", id), ("version", version)])?;
        request.missing = ErrorKind::PackageNotFound;
        match self.0.connection.fetch(context.log(), &request, crate::http::MAX_JSON).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::PackageNotFound => {
                Err(self.package_not_found(id, Some(version), error.http_status()))
            }
            Err(error) => {
                let target = format!("{id} {version}");
                Err(error.within(&format!("Removing {target}")).with_target(target))
            }
        }
    }

    async fn versions_of_batch(&self, context: &Context, ids: &[String]) -> Result<Vec<PackageVersion>, Error> {
        let mut request = self.request(&self.routes().versions_of_many, &[])?;
        request.headers.insert("content-type", HeaderValue::from_static("application/json"));
        request.body = Body::Bytes(Bytes::from(json!({ "packageIds": ids }).to_string()));
        request.asks = true;
        self.json(context, &request).await
    }

    async fn versions_singly(&self, context: &Context, ids: &[String]) -> Result<Vec<PackageVersion>, Error> {
        let questions = stream::iter(ids.to_vec()).map(|id| async move {
            match self.versions(context, &id).await {
                Err(error) if error.kind() == ErrorKind::PackageNotFound => Ok(Vec::new()),
                answered => answered,
            }
        });
        let answers: Vec<Vec<PackageVersion>> = questions.buffer_unordered(SINGLY).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Where the next page is (RFC 8288); on this server alone, because the bearer goes there.
    fn next_page(&self, from: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
        let links = headers.get_all("link").iter().filter_map(|link| link.to_str().ok());
        let Some(target) = links.into_iter().find_map(next_link) else { return Ok(None) };
        match from.join(target) {
            Ok(next) if next.origin() != from.origin() => Err(self.bad_pages("names a next page on another server")),
            Ok(next) if next == *from => Err(self.bad_pages("names a page as its own next one")),
            Ok(next) => Ok(Some(next)),
            Err(_) => Err(self.bad_pages("names a next page that is no address")),
        }
    }

    fn bad_pages(&self, what: &str) -> Error {
        let server = self.name();
        Error::new(ErrorKind::ProtocolViolation, format!("{server} {what}."))
            .with_hint("Report it to the server's administrator.")
            .with_server(server)
    }
}

/// The target of the first link whose relation is `next`.
fn next_link(field: &str) -> Option<&str> {
    field.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            parameter.trim().trim_end_matches(',').trim_end().split_once('=').is_some_and(|(name, value)| {
                let relations = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
            })
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let field = r#"</p?after=a,b>; rel="prev", </p?after=z>; title="x"; rel="last Next""#;
        assert_eq!(next_link(field), Some("/p?after=z"));
        assert_eq!(next_link("</p>; rel=next"), Some("/p"));
        assert_eq!(next_link(r#"</p>; rel="nextish", <q"#), None);
        assert_eq!(next_link(""), None);
    }
}
