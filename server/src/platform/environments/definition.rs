//! What createenvironment and changetopology are told: names, and nodes by their types.

use serde_json::Value;

use super::super::answer::Refusal;
use super::super::call::Call;
use super::state::State;
use super::store::{NewEnvironment, NewNode, Node};
use crate::store::users::User;

/// Nodes of one environment at most.
const MOST_NODES: usize = 64;
/// Cloudlets of one node at most.
const MOST_CLOUDLETS: i64 = 1024;
/// Cloudlets of a node of which none are told: reserved, and at most.
const CLOUDLETS: (i64, i64) = (1, 4);
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
    let wanted = read_nodes(call)?;
    let nodes = wanted.iter().flat_map(|wanted| std::iter::repeat_n(wanted.node(None), wanted.count)).collect();
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

pub fn json(call: &Call, name: &str) -> Result<Value, Refusal> {
    serde_json::from_str(call.required(name)?).map_err(|_| Refusal::parameter(name, "is no JSON"))
}

/// Nodes of one type, as a call tells of them: what it leaves out stays, or is what is usual.
#[derive(Debug)]
pub struct Wanted {
    /// Of how many nodes this is told.
    pub count: usize,
    layer: Option<String>,
    kind: String,
    display_name: Option<String>,
    fixed_cloudlets: Option<i64>,
    flexible_cloudlets: Option<i64>,
    tag: Option<String>,
}

impl Wanted {
    /// Whether it tells of this node, or of more like it.
    pub fn is_of(&self, node: &Node) -> bool {
        self.kind == node.kind && self.layer.as_ref().is_none_or(|layer| *layer == node.layer)
    }

    /// The node; what is not told is as of this one that is there.
    pub fn node(&self, known: Option<&Node>) -> NewNode {
        let layer = self.layer.as_deref().or(known.map(|node| node.layer.as_str()));
        NewNode {
            layer: layer.unwrap_or_else(|| layer_of(&self.kind)).to_owned(),
            kind: self.kind.clone(),
            display_name: self.display_name.clone().unwrap_or_default(),
            fixed_cloudlets: self.fixed_cloudlets.or(known.map(|node| node.fixed_cloudlets)).unwrap_or(CLOUDLETS.0),
            flexible_cloudlets: self
                .flexible_cloudlets
                .or(known.map(|node| node.flexible_cloudlets))
                .unwrap_or(CLOUDLETS.1),
            tag: self.tag.clone().or(known.map(|node| node.tag.clone())).unwrap_or_default(),
        }
    }
}

/// `nodes`: one, or an array of them; `count` makes many of one. In the fields of createenvironment, or in those that
/// getenvinfo tells of each node.
pub fn read_nodes(call: &Call) -> Result<Vec<Wanted>, Refusal> {
    let value = json(call, "nodes")?;
    let nodes = match &value {
        Value::Array(nodes) => nodes.as_slice(),
        one => std::slice::from_ref(one),
    };
    let wanted = nodes.iter().map(read_node).collect::<Result<Vec<_>, _>>()?;
    match wanted.iter().map(|wanted| wanted.count).sum() {
        0 => Err(Refusal::parameter("nodes", "are none")),
        1..=MOST_NODES => Ok(wanted),
        _ => Err(Refusal::parameter("nodes", &format!("are more than {MOST_NODES}"))),
    }
}

fn read_node(node: &Value) -> Result<Wanted, Refusal> {
    let invalid = |field: &str, what: &str| Refusal::parameter(&format!("nodes.{field}"), what);
    let text = |field: &str| node.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |field: &str, most: i64| match node.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .or_else(|| value.as_str()?.parse().ok())
            .filter(|number| (0..=most).contains(number))
            .map(Some)
            .ok_or_else(|| invalid(field, &format!("is no number from 0 to {most}"))),
    };
    let word = |field: &str| match text(field) {
        Some(word) if !is_word(word) => Err(invalid(field, WORD)),
        word => Ok(word),
    };
    let count = number("count", 64)?.map_or(Ok(1), usize::try_from);
    Ok(Wanted {
        count: count.map_err(|_| invalid("count", "is no number"))?,
        layer: word("nodeGroup")?.map(str::to_ascii_lowercase),
        kind: word("nodeType")?.ok_or_else(|| invalid("nodeType", "is missing"))?.to_ascii_lowercase(),
        display_name: text("displayName").map(read_display_name).transpose()?,
        fixed_cloudlets: number("fixedCloudlets", MOST_CLOUDLETS)?,
        flexible_cloudlets: number("flexibleCloudlets", MOST_CLOUDLETS)?,
        tag: word("tag")?.or(word("dockerTag")?).map(str::to_owned),
    })
}

/// What a type, a layer and a tag have to be.
pub const WORD: &str = "has to be at most 60 letters, digits, hyphens, dots and underscores";

/// Whether it can be a type, a layer or a tag.
pub fn is_word(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// `nginxphp` is no balancer: types count by their whole name, or with a version behind (`mysql8`).
fn layer_of(kind: &str) -> &'static str {
    let plain = kind.to_ascii_lowercase();
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    LAYERS.iter().find(|(_, kinds)| kinds.contains(&plain)).map_or("cp", |(layer, _)| layer)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use serde_json::json;

    use super::*;

    async fn read(nodes: Value) -> Result<Vec<NewNode>, String> {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("nodes", &nodes.to_string()).finish();
        let request = Request::get(format!("/x?{query}")).body(Body::empty()).unwrap();
        let call = Call::read("environment/control/createenvironment", request).await.unwrap();
        let wanted = read_nodes(&call).map_err(|refusal| refusal.into_value()["error"].to_string())?;
        Ok(wanted.iter().flat_map(|wanted| vec![wanted.node(None); wanted.count]).collect())
    }

    #[tokio::test]
    async fn nodes_are_one_or_many_and_find_their_layer() {
        let nodes = read(json!([
            { "nodeType": "nginx" },
            { "nodeType": "tomcat", "count": 2, "flexibleCloudlets": "8" },
            { "nodeType": "mysql8", "nodeGroup": "reports" },
            { "nodeType": "Postgres" },
        ]))
        .await
        .unwrap();
        let layers: Vec<_> = nodes.iter().map(|node| (node.layer.as_str(), node.flexible_cloudlets)).collect();
        assert_eq!(layers, [("bl", 4), ("cp", 8), ("cp", 8), ("reports", 4), ("sqldb", 4)]);
        assert_eq!(read(json!({ "nodeType": "nginxphp" })).await.unwrap()[0].layer, "cp");
    }

    #[tokio::test]
    async fn nodes_that_cannot_be_made_say_why() {
        for (nodes, says) in [
            (json!([]), "none"),
            (json!([{ "nodeType": "x", "count": 0 }]), "none"),
            (json!([{ "count": 1 }]), "nodes.nodeType"),
            (json!(["x"]), "nodes.nodeType"),
            (json!([{ "nodeType": "a b" }]), "nodes.nodeType"),
            (json!([{ "nodeType": "x", "tag": "a b" }]), "nodes.tag"),
            (json!([{ "nodeType": "x", "count": 65 }]), "nodes.count"),
            (json!([{ "nodeType": "x", "count": 40 }, { "nodeType": "y", "count": 40 }]), "64"),
            (json!([{ "nodeType": "x", "fixedCloudlets": -1 }]), "nodes.fixedCloudlets"),
        ] {
            let said = read(nodes.clone()).await.unwrap_err();
            assert!(said.contains(says), "{nodes}: {said}");
        }
    }

    #[test]
    fn a_name_is_a_part_of_a_domain() {
        assert_eq!(read_name("x", " My-Project ").unwrap(), "my-project");
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(read_name("x", bad).is_err(), "{bad}");
        }
    }
}
