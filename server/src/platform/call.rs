//! A call: its method, and its parameters from the query and the form together.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use uss::Secret;
use uss::virtuozzo::methods::{self, Kind, Method};

use super::answer::{Refusal, code};
use crate::api::auth;

/// Bytes of a form at most.
const MAX_FORM: usize = 1 << 20;

/// A call that can be understood.
pub struct Call {
    /// What is called.
    pub method: &'static Method,
    /// From where.
    pub address: String,
    /// With which program, as that calls itself.
    pub agent: String,
    parameters: Vec<(String, String)>,
}

impl Call {
    /// Reads a request to the method of this path; any case, as the platform takes it.
    pub async fn read(path: &str, request: Request) -> Result<Self, Refusal> {
        let method = methods::find(path).ok_or_else(|| {
            let nearest: Vec<String> = methods::nearest(path).into_iter().map(Method::path).collect();
            let hint = if nearest.is_empty() { String::new() } else { format!("; near it: {}", nearest.join(", ")) };
            Refusal::new(code::NOT_FOUND, format!("there is no such method{hint}"))
        })?;
        let (parts, body) = request.into_parts();
        let mut parameters = form(parts.uri.query().unwrap_or_default().as_bytes());
        let body = to_bytes(body, MAX_FORM).await.map_err(|_| {
            Refusal::new(code::INVALID_PARAMETER, format!("the form broke off, or has more than {MAX_FORM} bytes"))
        })?;
        if !body.is_empty() {
            let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
                let what = "parameters are taken from application/x-www-form-urlencoded bodies and from the query";
                return Err(Refusal::new(code::INVALID_PARAMETER, what));
            }
            parameters.extend(form(&body));
        }
        Ok(Self { method, address: auth::address(&parts), agent: auth::agent(&parts), parameters })
    }

    /// Refuses what the method's description does not allow: something required is missing, or has another type.
    pub fn check(&self) -> Result<(), Refusal> {
        for parameter in &self.method.parameters {
            match self.get(parameter.name) {
                None | Some("") if parameter.required => return Err(Refusal::parameter(parameter.name, "is missing")),
                Some(text) if !text.is_empty() && !parameter.kind.accepts(text) => {
                    return Err(Refusal::parameter(parameter.name, &format!("is not {}", parameter.kind)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A parameter's text, also when it is empty. Names count without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter's text, if there is any.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// A parameter's text; one that has to be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::parameter(name, "is missing"))
    }

    /// A whole number, if one is given.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| text.trim().parse().map_err(|_| Refusal::parameter(name, "is no whole number"));
        self.text(name).map(read).transpose()
    }

    /// A whole number; one that has to be there.
    pub fn required_number(&self, name: &str) -> Result<i64, Refusal> {
        self.number(name)?.ok_or_else(|| Refusal::parameter(name, "is missing"))
    }

    /// The values of a JSON array, or those between commas.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if !Kind::List.accepts(text) {
            return Err(Refusal::parameter(name, &format!("is not {}", Kind::List)));
        }
        let items: Vec<String> = match serde_json::from_str::<Vec<serde_json::Value>>(text) {
            Ok(values) => values.iter().map(item).collect(),
            Err(_) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        };
        Ok(Some(items.into_iter().filter(|item| !item.is_empty()).collect()))
    }

    /// The numbers of a list, which another method shows.
    pub fn ids(&self, name: &str, shown_by: &str) -> Result<Option<Vec<i64>>, Refusal> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let unknown = || Refusal::parameter(name, &format!("is no list of the numbers that {shown_by} shows"));
        items.iter().map(|item| item.parse().map_err(|_| unknown())).collect::<Result<_, _>>().map(Some)
    }

    /// A password or session.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(|text| Secret::new(text.to_owned()))
    }
}

/// An item is a number, a text, or an object that has one of both: `{"id": 7}`, `{"method": "…"}`.
fn item(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        other => other
            .get("id")
            .or_else(|| other.get("method"))
            .filter(|inner| !inner.is_object())
            .map_or_else(|| other.to_string(), item),
    }
}

fn form(bytes: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn read(path: &str, query: &str, body: &str) -> Result<Call, String> {
        let request = Request::post(format!("/x?{query}")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Call::read(path, request).await.map_err(|refusal| refusal.into_value()["error"].to_string())
    }

    #[tokio::test]
    async fn query_and_form_are_read_together() {
        let call =
            read("environment/control/RestartNodeById", "envName=a+b", "nodeid=7&session=%2F%2B%3D").await.unwrap();
        assert_eq!(call.get("envName"), Some("a b"));
        assert_eq!(call.required_number("nodeId").unwrap(), 7);
        assert_eq!(call.secret("session").unwrap().expose(), "/+=");
        call.check().unwrap();
    }

    #[tokio::test]
    async fn what_is_missing_or_ill_typed_is_named() {
        for (form, what) in [("nodeId=7", "'envName' is missing"), ("envName=a&nodeId=x", "'nodeId' is not a whole")] {
            let call = read("environment/control/restartnodebyid", "", form).await.unwrap();
            let said = call.check().unwrap_err().into_value();
            assert!(said["result"] == 3 && said["error"].as_str().unwrap().contains(what), "{said}");
        }
    }

    #[tokio::test]
    async fn an_unknown_method_brings_near_ones() {
        let said = read("environment/control/stopenvs", "", "").await.err().unwrap();
        assert!(said.contains("environment/control/stopenv"), "{said}");
    }

    #[tokio::test]
    async fn a_list_is_json_or_has_commas() {
        let list = async |text: &str| {
            let call = read("users/authentication/deletetokens", "", &format!("ids={text}")).await.unwrap();
            call.list("ids").map(Option::unwrap_or_default).ok()
        };
        for text in ["1,+2", "[1,2]", r#"["1","2"]"#, r#"[{"id":1},{"id":2,"method":"x"}]"#, "1,,2,"] {
            assert_eq!(list(text).await, Some(vec!["1".to_owned(), "2".to_owned()]), "{text}");
        }
        assert_eq!(list("[1,").await, None);
        assert_eq!(list("").await, Some(Vec::new()));
    }
}
