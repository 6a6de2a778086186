//! What the server holds: packages, their versions, and the content of each to save.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use url::form_urlencoded::Serializer;
use uss::Version;

use super::layout::{self, Place};
use super::visitor::Visitor;
use super::{Refusal, when};
use crate::api::App;
use crate::api::content::{self, Served};
use crate::api::params::Params;
use crate::store::packages::{self, PackageVersion};

/// Packages in a page.
const PAGE: i64 = 50;

/// `GET /packages?search=&after=`
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Refusal> {
    let search: String = params.get("search").unwrap_or_default().trim().chars().take(200).collect();
    let wanted = Some(search.as_str()).filter(|search| !search.is_empty());
    let found = packages::list(&app.store.database, wanted, params.get("after"), PAGE).await?;
    let next = found.end().map(|last| address(&search, &last.package_id));
    let content = html! {
        (layout::heading("Packages", "What this server holds, by the newest version of each.", &html! {}))
        form.filter role="search" method="get" action="/packages" {
            div {
                label for="search" { "Search" }
                input #search type="search" name="search" value=(search) autocomplete="off"
                    placeholder="Id, name or description";
            }
            button type="submit" { "Search" }
        }
        @if found.rows.is_empty() {
            div.empty.card {
                @if search.is_empty() && params.get("after").is_none() {
                    h2 { "No packages yet" }
                    p { "An administrator publishes them with " code { "Copy-UssPackageFromServer" } " or " code { "uss-server package add" } "." }
                } @else {
                    h2 { "Nothing found" }
                    p { "No package is like “" (search) "”. " a href="/packages" { "Show all" } }
                }
            }
        } @else {
            div.card.flush {
                table role="table" {
                    caption.hidden { "Packages" }
                    thead role="rowgroup" {
                        tr role="row" {
                            th role="columnheader" scope="col" { "Package" }
                            th role="columnheader" scope="col" { "Newest" }
                            th role="columnheader" scope="col" { "Size" }
                            th role="columnheader" scope="col" { "Published" }
                            th role="columnheader" scope="col" { "Needs" }
                        }
                    }
                    tbody role="rowgroup" { @for newest in &found.rows { (row(newest)) } }
                }
            }
            nav.pages aria-label="Pages" {
                @if params.get("after").is_some() { a.button href=(first(&search)) { "First page" } }
                @if let Some(next) = next { a.button href=(next) { "Next page" } }
            }
        }
    };
    Ok(layout::page(&visitor, Place::Packages, "Packages", &content))
}

/// `GET /packages/{id}`
pub async fn one(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let versions = packages::versions(&app.store.database, std::slice::from_ref(&id)).await?;
    let Some(newest) = versions.first() else { return Err(no_such_package()) };
    let [name, display_name, description] = &newest.titles;
    let content = html! {
        (layout::heading(&id, display_name.as_deref().or(name.as_deref()).unwrap_or_default(), &html! {
            a.button href="/packages" { "All packages" }
        }))
        @if let Some(description) = description { p { (description) } }
        div.card.flush {
            table role="table" {
                caption.hidden { "Versions of " (id) }
                thead role="rowgroup" {
                    tr role="row" {
                        th role="columnheader" scope="col" { "Version" }
                        th role="columnheader" scope="col" { "Published" }
                        th role="columnheader" scope="col" { "Needs" }
                        th role="columnheader" scope="col" { "Size and SHA-256" }
                        th role="columnheader" scope="col" { span.hidden { "Actions" } }
                    }
                }
                tbody role="rowgroup" { @for version in &versions { (version_row(version)) } }
            }
        }
    };
    Ok(layout::page(&visitor, Place::Packages, &id, &content))
}

/// `GET /packages/{id}/{version}/download`
pub async fn download(
    State(app): State<App>,
    method: Method,
    _: Visitor,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let version = Version::parse(&version).map_err(|_| no_such_package())?;
    let found = packages::find(&app.store.database, &id, &version).await?.ok_or_else(no_such_package)?;
    let file_name = format!("{}-{}.zip", found.package_id.replace('/', "-"), found.version);
    let served = Served {
        blob_id: &found.blob_id,
        content_type: "application/zip",
        file_name: &file_name,
        published_at: found.published_at,
    };
    Ok(content::serve(&app.store, &method, &headers, &served).await.unwrap_or_else(IntoResponse::into_response))
}

fn no_such_package() -> Refusal {
    Refusal::not_found("There is no such package", "It was removed, or the address is wrong.")
        .back("/packages", "Go to the packages")
}

fn first(search: &str) -> String {
    if search.is_empty() { "/packages".into() } else { address(search, "") }
}

fn address(search: &str, after: &str) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in [("search", search), ("after", after)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("/packages?{}", query.finish())
}

/// A part of a path: everything but plain letters is encoded, so that no id can be another address.
fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn row(newest: &PackageVersion) -> Markup {
    let [name, display_name, description] = &newest.titles;
    let title = display_name.as_deref().or(name.as_deref()).unwrap_or_default();
    html! {
        tr role="row" {
            th role="rowheader" scope="row" {
                a href={ "/packages/" (segment(&newest.package_id)) } { (newest.package_id) }
                @if !title.is_empty() { p.soft { (title) } }
                @if let Some(description) = description { p.soft { (description) } }
            }
            td role="cell" data-label="Newest" { span { (newest.version) } }
            td role="cell" data-label="Size" { span.short { (size(newest.size)) } }
            td role="cell" data-label="Published" { (when::ago(newest.published_at)) }
            td role="cell" data-label="Needs" { (needs(newest, false)) }
        }
    }
}

fn version_row(version: &PackageVersion) -> Markup {
    let download = format!("/packages/{}/{}/download", segment(&version.package_id), segment(&version.version));
    html! {
        tr role="row" {
            th role="rowheader" scope="row" { (version.version) }
            td role="cell" data-label="Published" {
                span {
                    (when::day_and_distance(version.published_at))
                    span.soft { " by " (version.published_by) }
                }
            }
            td role="cell" data-label="Needs" { (needs(version, true)) }
            td role="cell" data-label="Content" {
                span { (size(version.size)) " " code.soft { (version.sha256) } }
            }
            td.links role="cell" {
                a href=(download) download { "Download" span.hidden { " " (version.version) } }
            }
        }
    }
}

fn needs(version: &PackageVersion, whole: bool) -> Markup {
    let count = version.dependencies.len();
    html! {
        @if count == 0 { span.soft { "Nothing" } }
        @else if whole {
            ul.plain {
                @for dependency in &version.dependencies {
                    li {
                        a href={ "/packages/" (segment(&dependency.package_id)) } { (dependency.package_id) }
                        " " span.soft { (dependency.version_query) }
                    }
                }
            }
        } @else { span { (count) (if count == 1 { " package" } else { " packages" }) } }
    }
}

/// `12.3 MB`: powers of 1000, as downloads are told.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let (mut tenths, mut unit) = (bytes / 100, "kB");
    for next in UNITS {
        unit = next;
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(1_000), "1.0 kB");
        assert_eq!(size(999_949), "999.9 kB");
        assert_eq!(size(1_000_000), "1.0 MB");
        assert_eq!(size(12_345_678_901), "12.3 GB");
    }
}
