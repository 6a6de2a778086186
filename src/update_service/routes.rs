//! Every path of the web API, once, as a method and a URI template (RFC 6570).
//!
//! A site whose server differs overrides single routes by a JSON file: `{"delete": {"method": "POST", "uri":
//! "/api/v1/Packages/remove{?packageId,version}"}}`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::connection::{Exchange, SecretKind};
use crate::error::{Error, ErrorKind};
use crate::http::{Method, UriTemplate};

/// One call's method and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// Path and query, with the names that the call fills.
    pub uri: UriTemplate,
}

/// Makes the table: a field, its key in a route file, the method, the template and the names that it may hold; then
/// the calls that only a route file can name.
macro_rules! routes {
    (
        $($(#[$doc:meta])* $field:ident $key:literal $method:ident $uri:literal [$($name:literal)*];)*
        [only in a file] $($(#[$o_doc:meta])* $o_field:ident $o_key:literal $o_method:ident [$($o_name:literal)*];)*
    ) => {
        /// The routes of one server.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Routes {
            $($(#[$doc])* pub $field: Route,)*
            $($(#[$o_doc])* pub $o_field: Option<Route>,)*
        }

        impl Default for Routes {
            /// The product's routes, and ours where the product documents none.
            fn default() -> Self {
                Self {
                    $($field: Route { method: Method::$method, uri: UriTemplate::constant($uri, &[$($name),*]) },)*
                    $($o_field: None,)*
                }
            }
        }

        impl Routes {
            /// Whether a key is known; its route, and the names that it may hold.
            fn by_key(&self, key: &str) -> Option<(Option<Route>, Method, &'static [&'static str])> {
                match key {
                    $($key => Some((Some(self.$field.clone()), Method::$method, &[$($name),*])),)*
                    $($o_key => Some((self.$o_field.clone(), Method::$o_method, &[$($o_name),*])),)*
                    _ => None,
                }
            }

            fn set(&mut self, key: &str, route: Route) {
                match key {
                    $($key => self.$field = route,)*
                    $($o_key => self.$o_field = Some(route),)*
                    _ => {}
                }
            }

            const KEYS: &'static [&'static str] = &[$($key,)* $($o_key),*];
        }
    };
}

routes! {
    /// A personal token for a bearer; documented by the product.
    exchange "exchange" POST "/api/v1/PersonalTokens/authenticate{?username,personalToken}"
        ["username" "personalToken"];
    /// All packages, the newest version of each; documented by the product.
    packages "packages" GET "/api/v1/Packages{?limit,after,search}" ["limit" "after" "search"];
    /// The versions of one package.
    versions "versions" GET "/api/v1/Packages/versions{?packageId}" ["packageId"];
    /// The versions of many packages.
    versions_of_many "versionsOfMany" POST "/api/v1/Packages/versions/query" [];
    /// A package's archive.
    content "content" GET "/api/v1/Packages/content{?packageId,version}" ["packageId" "version"];
    /// Takes in a package.
    publish "publish" POST "/api/v1/Packages{?force,packageId,version}" ["force" "packageId" "version"];
    /// Removes a version.
    delete "delete" DELETE "/api/v1/Packages{?packageId,version}" ["packageId" "version"];
    /// All installers.
    installers "installers" GET "/api/v1/installers" [];
    /// One installer.
    installer "installer" GET "/api/v1/installers/{id}" ["id"];
    /// An installer's file; documented by the product.
    installer_content "installerContent" GET "/api/v1/installers/{id}/download" ["id"];
    /// Takes in an installer.
    publish_installer "publishInstaller" POST
        "/api/v1/installers{?id,name,packageId,version,fileName,force}"
        ["id" "name" "packageId" "version" "fileName" "force"];
    /// Resumable uploads (tus 1.0.0): OPTIONS tells whether there are any, whatever the method here; this begins one.
    uploads "uploads" POST "/api/v1/Uploads" [];
    /// Who is signed in.
    account "account" GET "/api/v1/Account" [];
    /// A person's name and password for a bearer.
    sign_in "signIn" POST "/api/v1/Account/signin" [];
    /// Ends the session that a password began.
    sign_out "signOut" POST "/api/v1/Account/signout" [];
    /// The personal tokens of who is signed in.
    tokens "tokens" GET "/api/v1/PersonalTokens" [];
    /// Makes a personal token.
    new_token "newToken" POST "/api/v1/PersonalTokens" [];
    /// Changes a personal token's name, description or end.
    change_token "changeToken" PATCH "/api/v1/PersonalTokens/{id}" ["id"];
    /// Gives a personal token a new value.
    reset_token "resetToken" POST "/api/v1/PersonalTokens/{id}/regenerate" ["id"];
    /// Makes a personal token of another one's settings.
    copy_token "copyToken" POST "/api/v1/PersonalTokens/{id}/copy" ["id"];
    /// Ends a personal token.
    revoke_token "revokeToken" POST "/api/v1/PersonalTokens/{id}/revoke" ["id"];
    /// Removes a personal token.
    remove_token "removeToken" DELETE "/api/v1/PersonalTokens/{id}" ["id"];
    [only in a file]
    /// Called after the last byte of a resumable upload, on a server that publishes nothing before.
    upload_complete "uploadComplete" POST ["uploadId" "packageId" "version" "installerId"];
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    method: Option<String>,
    uri: Option<String>,
}

impl Routes {
    /// Reads a route file: the default routes with those that it overrides.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the key, when the file cannot be read, is no JSON object, or one key, method or
    /// template is wrong: then none is taken.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |what: String| {
            Error::new(ErrorKind::InvalidArgument, format!("The route file '{}' {what}.", path.display()))
                .with_hint("Nothing of it was used. Each key holds an object with method and uri.")
                .with_target(path.display().to_string())
        };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(refuse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        let Value::Object(overrides) = value else { return Err("is no JSON object".into()) };
        let mut routes = Self::default();
        for (key, value) in overrides {
            let Some((known, method, names)) = routes.by_key(&key) else {
                return Err(format!("has the unknown key '{key}'; known are {}", Self::KEYS.join(", ")));
            };
            let Override { method: given, uri } =
                serde_json::from_value(value).map_err(|error| format!("is wrong at '{key}': {error}"))?;
            let (mut method, known) = known.map_or((method, None), |route| (route.method, Some(route.uri)));
            if let Some(given) = given {
                method = match given.as_str() {
                    "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => Method::from_bytes(given.as_bytes())
                        .map_err(|_| format!("is wrong at '{key}': the method is none"))?,
                    _ => {
                        return Err(format!(
                            "is wrong at '{key}': the method is none of GET, POST, PUT, PATCH, DELETE"
                        ));
                    }
                };
            }
            let uri = match (uri, known) {
                (Some(uri), _) => {
                    if uri.split('?').next().is_some_and(|path| path.contains("personalToken")) {
                        // Paths are logged, by us and by every server and proxy; queries are not, by us.
                        return Err(format!("is wrong at '{key}': personalToken belongs into the query"));
                    }
                    UriTemplate::parse(&uri, names).map_err(|why| format!("is wrong at '{key}': the uri {why}"))?
                }
                (None, Some(known)) => known,
                (None, None) => return Err(format!("is wrong at '{key}': it needs a uri")),
            };
            routes.set(&key, Route { method, uri });
        }
        Ok(routes)
    }

    /// The exchange of this kind of secret, as a connection needs it.
    #[must_use]
    pub fn exchange_of(&self, kind: SecretKind) -> Exchange {
        let (route, end) = match kind {
            SecretKind::Token => (&self.exchange, None),
            SecretKind::Password => (&self.sign_in, Some(&self.sign_out)),
        };
        let end = end.map(|route| (route.method.clone(), route.uri.clone()));
        Exchange { kind, method: route.method.clone(), uri: route.uri.clone(), end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_default_template_is_well_formed_and_known_by_its_key() {
        let routes = Routes::default();
        for key in Routes::KEYS {
            let (route, _, names) = routes.by_key(key).unwrap();
            if let Some(route) = route {
                assert_eq!(UriTemplate::parse(&route.uri.to_string(), names).as_ref(), Ok(&route.uri), "{key}");
            }
        }
    }

    #[test]
    fn a_package_id_with_a_slash_travels_in_the_query() {
        let path = Routes::default().versions.uri.expand(&[("packageId", "bundle/my-pos")]);
        assert_eq!(path, "/api/v1/Packages/versions?packageId=bundle%2Fmy-pos");
    }

    #[test]
    fn a_file_overrides_single_routes() {
        let routes = Routes::parse(r#"{"delete":{"method":"POST","uri":"/gone{?packageId}"}}"#).unwrap();
        assert_eq!(routes.delete.method, Method::POST);
        assert_eq!(routes.delete.uri.expand(&[("packageId", "a")]), "/gone?packageId=a");
        assert_eq!(routes.versions, Routes::default().versions);
        assert_eq!(routes.upload_complete, None);
    }

    #[test]
    fn a_call_without_a_default_is_there_once_a_file_names_its_uri() {
        let routes = Routes::parse(r#"{"uploadComplete":{"uri":"/done/{uploadId}{?packageId,version}"}}"#).unwrap();
        let complete = routes.upload_complete.unwrap();
        assert_eq!(complete.method, Method::POST);
        assert_eq!(complete.uri.expand(&[("uploadId", "7"), ("packageId", "a")]), "/done/7?packageId=a");
    }

    #[test]
    fn a_wrong_file_is_refused_whole_naming_the_key() {
        for (file, key) in [
            (r#"{"versions":{"uri":"/ok"},"versons":{}}"#, "versons"),
            (r#"{"delete":{"method":"BREW"}}"#, "delete"),
            (r#"{"delete":{"uri":"gone"}}"#, "delete"),
            (r#"{"delete":{"uri":"/gone{?token}"}}"#, "delete"),
            (r#"{"delete":{"url":"/gone"}}"#, "delete"),
            (r#"{"delete":"/gone"}"#, "delete"),
            (r#"{"uploadComplete":{"method":"PUT"}}"#, "uploadComplete"),
            (r#"{"exchange":{"uri":"/in/{username}/{personalToken}"}}"#, "exchange"),
            ("[]", "object"),
            ("{", "JSON"),
        ] {
            let error = Routes::parse(file).unwrap_err();
            assert!(error.contains(key), "{file}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "\\PC*") {
            let _ = Routes::parse(&text);
        }
    }
}
