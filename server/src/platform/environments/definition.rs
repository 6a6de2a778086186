//! What createenvironment is told: names, and nodes by their types.

use serde_json::Value;

use super::super::answer::Refusal;
use super::super::call::Call;
use super::state::State;
use super::store::{NewEnvironment, NewNode};
use crate::store::users::User;

/// Nodes of one environment at most.
const MOST_NODES: usize = 64;
/// Cloudlets of one node at most.
const MOST_CLOUDLETS: i64 = 1024;
/// Characters of a name for people.
const DISPLAY_NAME: usize = 100;

/// Which layer a node of a type belongs to where none is named: the platform's own names of layers.
const LAYERS: [(&str, &[&str]); 6] = [
    ("bl", &["nginx", "haproxy", "varnish", "litespeedadc", "apachelb"]),
    ("sqldb", &["mysql", "mariadb", "postgres", "percona", "mssql"]),
    ("nosqldb", &["mongo", "couch", "redis", "opensearch"]),
    ("cache", &["memcached"]),
    ("build", &["maven"]),
    ("storage", &["storage"]),
];

/// Reads `env` and `nodes`.
pub fn read(call: &Call, user: &User) -> Result<NewEnvironment, Refusal> {
    let env = json(call, "env")?;
    let given = env.get("shortdomain").or_else(|| env.get("envName")).and_then(Value::as_str);
    let name = match given {
        Some(name) => read_name("env.shortdomain", name)?,
        // As the platform does: env- and a number.
        None => format!("env-{:07}", rand::random::<u32>() % 10_000_000),
    };
    let display_name = env.get("displayName").and_then(Value::as_str).unwrap_or(&name);
    let nodes = read_nodes(&json(call, "nodes")?)?;
    Ok(NewEnvironment {
        display_name: read_display_name(display_name)?,
        user_id: Some(user.id.clone()),
        states: (State::Creating, State::Running),
        nodes,
        name,
    })
}

/// A name that can be a part of a domain (RFC 1123, section 2.1), in lower case.
pub fn read_name(parameter: &str, text: &str) -> Result<String, Refusal> {
    let name = text.trim().to_ascii_lowercase();
    let fits = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return Ok(name);
    }
    Err(Refusal::parameter(parameter, "has to be 1 to 63 letters, digits and hyphens, with no hyphen at either end"))
}

/// A name for people.
pub fn read_display_name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    if name.chars().count() > DISPLAY_NAME || name.chars().any(char::is_control) {
        let what = format!("has more than {DISPLAY_NAME} characters, or one that cannot be shown");
        return Err(Refusal::parameter("displayName", &what));
    }
    Ok(name.to_owned())
}

fn json(call: &Call, name: &str) -> Result<Value, Refusal> {
    serde_json::from_str(call.required(name)?).map_err(|_| Refusal::parameter(name, "is no JSON"))
}

/// One node, or an array of them; `count` makes many of one.
fn read_nodes(value: &Value) -> Result<Vec<NewNode>, Refusal> {
    let wanted = match value {
        Value::Array(wanted) => wanted.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut nodes = Vec::new();
    for wanted in wanted {
        let invalid = |field: &str, what: &str| Refusal::parameter(&format!("nodes.{field}"), what);
        let text = |field: &str| wanted.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let number = |field: &str, default: i64, range: std::ops::RangeInclusive<i64>| match wanted.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_i64()
                .or_else(|| value.as_str()?.parse().ok())
                .filter(|number| range.contains(number))
                .ok_or_else(|| invalid(field, &format!("is no number from {} to {}", range.start(), range.end()))),
        };
        let kind = text("nodeType").ok_or_else(|| invalid("nodeType", "is missing"))?;
        let layer = text("nodeGroup").unwrap_or_else(|| layer_of(kind));
        for (field, word) in [("nodeType", kind), ("nodeGroup", layer)] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if word.len() > 60 || !word.chars().all(plain) {
                return Err(invalid(field, "has to be at most 60 letters, digits, hyphens, dots and underscores"));
            }
        }
        let count = usize::try_from(number("count", 1, 1..=64)?).unwrap_or(1);
        if nodes.len() + count > MOST_NODES {
            return Err(Refusal::parameter("nodes", &format!("are more than {MOST_NODES}")));
        }
        let node = NewNode {
            layer: layer.to_ascii_lowercase(),
            kind: kind.to_ascii_lowercase(),
            display_name: read_display_name(text("displayName").unwrap_or_default())?,
            fixed_cloudlets: number("fixedCloudlets", 1, 0..=MOST_CLOUDLETS)?,
            flexible_cloudlets: number("flexibleCloudlets", 4, 0..=MOST_CLOUDLETS)?,
        };
        nodes.extend(std::iter::repeat_n(node, count));
    }
    if nodes.is_empty() { Err(Refusal::parameter("nodes", "are none")) } else { Ok(nodes) }
}

/// `nginxphp` is no balancer: types count by their whole name, or with a version behind (`mysql8`).
fn layer_of(kind: &str) -> &'static str {
    let plain = kind.to_ascii_lowercase();
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    LAYERS.iter().find(|(_, kinds)| kinds.contains(&plain)).map_or("cp", |(layer, _)| layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(value: Value) -> String {
        read_nodes(&value).unwrap_err().into_value()["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn nodes_are_one_or_many_and_find_their_layer() {
        let nodes = read_nodes(&json!([
            { "nodeType": "nginx" },
            { "nodeType": "tomcat", "count": 2, "flexibleCloudlets": "8" },
            { "nodeType": "mysql8", "nodeGroup": "reports" },
            { "nodeType": "Postgres" },
        ]))
        .unwrap();
        let layers: Vec<_> = nodes.iter().map(|node| (node.layer.as_str(), node.flexible_cloudlets)).collect();
        assert_eq!(layers, [("bl", 4), ("cp", 8), ("cp", 8), ("reports", 4), ("sqldb", 4)]);
        assert_eq!(read_nodes(&json!({ "nodeType": "nginxphp" })).unwrap()[0].layer, "cp");
    }

    #[test]
    fn nodes_that_cannot_be_made_say_why() {
        assert!(error(json!([])).contains("none"));
        assert!(error(json!([{ "count": 1 }])).contains("nodes.nodeType"));
        assert!(error(json!([{ "nodeType": "a b" }])).contains("nodes.nodeType"));
        assert!(error(json!([{ "nodeType": "x", "count": 65 }])).contains("nodes.count"));
        assert!(error(json!([{ "nodeType": "x", "count": 40 }, { "nodeType": "y", "count": 40 }])).contains("64"));
        assert!(error(json!([{ "nodeType": "x", "fixedCloudlets": -1 }])).contains("nodes.fixedCloudlets"));
    }

    #[test]
    fn a_name_is_a_part_of_a_domain() {
        assert_eq!(read_name("x", " My-Project ").unwrap(), "my-project");
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(read_name("x", bad).is_err(), "{bad}");
        }
    }
}
