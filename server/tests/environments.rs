//! Environments of the platform's side: states that take time, nodes, and whose they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use support::*;

/// A server whose changes take so many milliseconds, and a person on it.
struct Platform {
    server: Server,
    session: String,
}

impl Platform {
    async fn start(milliseconds: &str, more: &[&str]) -> Self {
        let server = Server::start_with(&[&["--state-time", milliseconds], more].concat());
        person(server.data(), "ada", &[]);
        let session = Self::sign_in(&server, "ada").await;
        Self { server, session }
    }

    async fn sign_in(server: &Server, name: &str) -> String {
        let path = "/1.0/users/authentication/rest/signin";
        let body = form(&[("login", name), ("password", PASSWORD)]);
        let request = server.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        let answer = support::json(request.body(body).send().await.unwrap(), 200).await;
        answer["session"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn call_as(&self, session: &str, method: &str, parameters: &[(&str, &str)]) -> Value {
        let (service, name) = method.rsplit_once('/').unwrap();
        let request = self.server.request(Method::POST, &format!("/1.0/{service}/rest/{name}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form(&[parameters, &[("session", session)]].concat())).send().await.unwrap();
        support::json(response, 200).await
    }

    async fn call(&self, method: &str, parameters: &[(&str, &str)]) -> Value {
        self.call_as(&self.session, &format!("environment/control/{method}"), parameters).await
    }

    async fn done(&self, method: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.call(method, parameters).await;
        assert_eq!(answer["result"], 0, "{method}: {answer}");
        answer
    }

    async fn refused(&self, method: &str, parameters: &[(&str, &str)], result: i64, says: &str) {
        let answer = self.call(method, parameters).await;
        assert!(answer["result"] == result && answer["error"].as_str().unwrap().contains(says), "{method}: {answer}");
    }

    async fn create(&self, name: &str, nodes: Value) -> Value {
        let (env, nodes) = (json!({ "shortdomain": name }).to_string(), nodes.to_string());
        self.done("createenvironment", &[("env", &env), ("nodes", &nodes)]).await["response"].clone()
    }

    /// Looks until the state is there.
    async fn becomes(&self, name: &str, status: i64) {
        for _ in 0..2_000 {
            if self.status(name).await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} did not become {status}");
    }

    async fn status(&self, name: &str) -> i64 {
        self.done("getenvinfo", &[("envName", name)]).await["env"]["status"].as_i64().unwrap()
    }
}

fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

#[tokio::test]
async fn an_environment_is_created_stopped_put_to_sleep_started_and_deleted() {
    let platform = Platform::start("1", &[]).await;
    let made = platform.create("Shop", json!([{ "nodeType": "nginx" }, { "nodeType": "mysql", "count": 2 }])).await;
    assert_eq!(
        (&made["result"], &made["env"]["envName"], &made["env"]["status"]),
        (&json!(0), &json!("shop"), &json!(1))
    );
    let groups: Vec<_> = made["nodes"].as_array().unwrap().iter().map(|node| node["nodeGroup"].clone()).collect();
    assert_eq!(groups, ["bl", "sqldb", "sqldb"]);
    let name = [("envName", "shop")];
    for (method, status) in
        [("sleepenv", 4), ("startenv", 1), ("startenv", 1), ("stopenv", 2), ("stopenv", 2), ("startenv", 1)]
    {
        platform.done(method, &name).await;
        assert_eq!(platform.status("shop").await, status, "{method}");
    }
    platform.done("stopenv", &name).await;
    platform.refused("sleepenv", &name, 2308, "stopped").await;
    platform.done("deleteenv", &name).await;
    platform.refused("getenvinfo", &name, 11, "'shop'").await;
    platform.refused("startenv", &name, 11, "'shop'").await;
    assert_eq!(platform.done("getenvs", &[]).await["infos"], json!([]));
    platform.create("shop", json!({ "nodeType": "tomcat" })).await;
}

#[tokio::test]
async fn a_change_goes_on_without_whoever_asked_for_it_and_keeps_others_out() {
    let platform = Platform::start("1500", &["--demo"]).await;
    let path = format!(
        "/1.0/environment/control/rest/stopenv?{}",
        form(&[("envName", "my-project"), ("session", &platform.session)])
    );
    let asked = tokio::spawn(platform.server.request(Method::GET, &path).send());
    platform.becomes("my-project", 13).await;
    platform.refused("startenv", &[("envName", "my-project")], 2308, "stopping").await;
    asked.abort();
    platform.becomes("my-project", 2).await;
}

#[tokio::test]
async fn the_guides_url_stops_the_environment() {
    let platform = Platform::start("1", &["--demo"]).await;
    let create = [("password", PASSWORD), ("description", "stop"), ("apiList", "environment/control/stopenv")];
    let made = platform.call_as(&platform.session, "users/authentication/createtoken", &create).await;
    let token = made["token"]["key"].as_str().unwrap();
    let query = form(&[("envName", "my-project"), ("session", token)]);
    let url = format!("/1.0/environment/control/rest/stopenv?{query}");
    let answer = support::json(platform.server.request(Method::GET, &url).send().await.unwrap(), 200).await;
    assert_eq!(answer["result"], 0, "{answer}");
    assert_eq!(platform.status("my-project").await, 2);
    let answer = platform.call_as(token, "environment/control/startenv", &[("envName", "my-project")]).await;
    assert_eq!(answer["result"], 8202, "{answer}");
}

#[tokio::test]
async fn a_clone_has_the_sources_nodes_and_state() {
    let platform = Platform::start("1", &[]).await;
    platform.create("one", json!([{ "nodeType": "tomcat", "count": 2, "displayName": "App" }])).await;
    platform.done("stopenv", &[("envName", "one")]).await;
    let clone = platform.done("cloneenv", &[("srcEnvName", "one"), ("dstEnvName", "two")]).await;
    assert_eq!((&clone["env"]["envName"], &clone["env"]["status"]), (&json!("two"), &json!(2)));
    let kinds: Vec<_> =
        clone["nodes"].as_array().unwrap().iter().map(|node| (&node["nodeType"], &node["displayName"])).collect();
    assert_eq!(kinds, [(&json!("tomcat"), &json!("App")); 2]);
    let again = [("srcEnvName", "one"), ("dstEnvName", "two")];
    platform.refused("cloneenv", &again, 2330, "in use").await;
    platform.refused("cloneenv", &[("srcEnvName", "none"), ("dstEnvName", "three")], 11, "'none'").await;
}

#[tokio::test]
async fn a_name_is_one_environments_on_the_whole_server() {
    let platform = Platform::start("1", &[]).await;
    platform.create("shop", json!({ "nodeType": "nginx" })).await;
    person(platform.server.data(), "eve", &[]);
    let eve = Platform::sign_in(&platform.server, "eve").await;
    let new = [("env", r#"{"shortdomain":"SHOP"}"#), ("nodes", r#"{"nodeType":"nginx"}"#)];
    let answer = platform.call_as(&eve, "environment/control/createenvironment", &new).await;
    // As the platform's scripts: the call is done, what it came to is inside.
    assert_eq!((&answer["result"], &answer["response"]["result"]), (&json!(0), &json!(2330)), "{answer}");
    let checked = platform.call_as(&eve, "environment/binder/checkdomain", &[("domain", "shop.localhost")]).await;
    assert_eq!(checked["result"], 2330, "{checked}");
    for method in ["getenvinfo", "stopenv", "deleteenv", "restartnodes", "setenvdisplayname"] {
        let answer = platform.call_as(&eve, &format!("environment/control/{method}"), &[("envName", "shop")]).await;
        assert_eq!(answer["result"], 11, "{method}: {answer}");
    }
    assert_eq!(platform.call_as(&eve, "environment/control/getenvs", &[]).await["infos"], json!([]));
    assert_eq!(platform.status("shop").await, 1);
}

#[tokio::test]
async fn nodes_restart_one_by_layer_or_all_and_only_where_they_run() {
    let platform = Platform::start("1", &[]).await;
    let made = platform.create("shop", json!([{ "nodeType": "nginx" }, { "nodeType": "tomcat", "count": 2 }])).await;
    let id = made["nodes"][0]["id"].to_string();
    let name = ("envName", "shop");
    let one = platform.done("restartnodebyid", &[name, ("nodeId", &id)]).await;
    assert_eq!(one["nodeId"].to_string(), id);
    platform.done("restartnodes", &[name]).await;
    platform.done("restartcontainerbyid", &[name, ("nodeid", &id)]).await;
    let layer = platform.done("restartservices", &[name, ("nodeGroup", "cp")]).await;
    assert_eq!(layer["responses"].as_array().unwrap().len(), 2);
    platform.refused("restartnodes", &[name, ("nodeGroup", "cache")], 5, "'cache'").await;
    platform.refused("restartnodebyid", &[name, ("nodeId", "1")], 5, "no node 1").await;
    platform.done("stopenv", &[name]).await;
    platform.refused("restartnodebyid", &[name, ("nodeId", &id)], 4099, "stopped").await;
    let layer = platform.done("restartservices", &[name]).await;
    assert!(layer["responses"].as_array().unwrap().iter().all(|response| response["result"] == 4099), "{layer}");
}

/// Layer, type, cloudlets and tag of each node.
fn nodes(environment: &Value) -> Vec<(String, String, i64, i64, String)> {
    let text = |node: &Value, name: &str| node[name].as_str().unwrap().to_owned();
    let number = |node: &Value, name: &str| node[name].as_i64().unwrap();
    let tell = |node: &Value| {
        let cloudlets = (number(node, "fixedCloudlets"), number(node, "flexibleCloudlets"));
        (text(node, "nodeGroup"), text(node, "nodeType"), cloudlets.0, cloudlets.1, text(node, "dockerTag"))
    };
    environment["nodes"].as_array().unwrap().iter().map(tell).collect()
}

fn node(layer: &str, kind: &str, fixed: i64, flexible: i64, tag: &str) -> (String, String, i64, i64, String) {
    (layer.into(), kind.into(), fixed, flexible, tag.into())
}

#[tokio::test]
async fn a_topology_is_changed_to_the_nodes_that_are_told() {
    let platform = Platform::start("1", &[]).await;
    let made = platform
        .create(
            "shop",
            json!([
                { "nodeType": "nginx", "displayName": "Front" },
                { "nodeType": "tomcat", "nodeGroup": "shop", "fixedCloudlets": 2, "tag": "9.0" },
                { "nodeType": "mysql" },
            ]),
        )
        .await;
    let id = |environment: &Value, at: usize| environment["nodes"][at]["id"].clone();
    // More of one, bigger ones of another, the third gone, a fourth new.
    let told = json!([
        { "nodeType": "nginx", "flexibleCloudlets": 16 },
        { "nodeType": "tomcat", "count": 3 },
        { "nodeType": "redis" },
    ]);
    let change = [("envName", "shop"), ("env", r#"{"displayName":"Der Laden"}"#), ("nodes", &told.to_string())];
    let changed = platform.done("changetopology", &change).await["response"].clone();
    assert_eq!((&changed["env"]["displayName"], &changed["env"]["status"]), (&json!("Der Laden"), &json!(1)));
    let tomcat = node("shop", "tomcat", 2, 4, "9.0");
    assert_eq!(
        nodes(&changed),
        [node("bl", "nginx", 1, 16, ""), tomcat.clone(), tomcat.clone(), tomcat, node("nosqldb", "redis", 1, 4, "")]
    );
    assert_eq!((id(&changed, 0), id(&changed, 1)), (id(&made, 0), id(&made, 1)), "those that were there are kept");
    assert_eq!(changed["nodes"][0]["displayName"], "Front");

    // What getenvinfo tells can be sent back as it is, and with a node less.
    let info = platform.done("getenvinfo", &[("envName", "shop")]).await;
    for leave in [5, 4] {
        let told: Vec<_> = info["nodes"].as_array().unwrap().iter().take(leave).cloned().collect();
        let (env, told) = (info["env"].to_string(), json!(told).to_string());
        let again = platform.done("changetopology", &[("envName", "shop"), ("env", &env), ("nodes", &told)]).await;
        assert_eq!(nodes(&again["response"]), nodes(&info)[..leave]);
        assert_eq!(id(&again["response"], 3), id(&info, 3));
    }
}

#[tokio::test]
async fn a_topology_that_changes_keeps_others_out_and_comes_back_to_its_state() {
    let platform = Platform::start("1500", &["--demo"]).await;
    let told = r#"[{"nodeType":"tomcat","count":2}]"#;
    let query = form(&[("envName", "reports"), ("env", "{}"), ("nodes", told), ("session", &platform.session)]);
    let path = format!("/1.0/environment/control/rest/changetopology?{query}");
    let asked = tokio::spawn(platform.server.request(Method::GET, &path).send());
    platform.becomes("reports", 12).await;
    platform.refused("startenv", &[("envName", "reports")], 2308, "being changed").await;
    let change = [("envName", "reports"), ("env", "{}"), ("nodes", told)];
    platform.refused("changetopology", &change, 2308, "being changed").await;
    asked.abort();
    platform.becomes("reports", 2).await;
    assert_eq!(nodes(&platform.done("getenvinfo", &[("envName", "reports")]).await).len(), 2);
}

#[tokio::test]
async fn a_topology_that_cannot_be_is_refused_and_nothing_is_changed() {
    let platform = Platform::start("1", &["--demo"]).await;
    let before = platform.done("getenvinfo", &[("envName", "my-project")]).await;
    let node = r#"{"nodeType":"nginx"}"#;
    for (name, env, told, result, says) in [
        ("my-project", "{}", "[]", 3, "'nodes' are none"),
        ("my-project", "{}", r#"[{"nodeType":"nginx","count":0}]"#, 3, "'nodes' are none"),
        ("my-project", "{}", r#"[{"nodeType":"nginx","count":65}]"#, 3, "nodes.count"),
        ("my-project", "{}", r#"[{"nodeType":"nginx","fixedCloudlets":"many"}]"#, 3, "nodes.fixedCloudlets"),
        ("my-project", "x", node, 3, "'env' is not a JSON object"),
        ("my-project", r#"{"shortdomain":"other"}"#, node, 3, "keeps its name"),
        ("none", "{}", node, 11, "'none'"),
    ] {
        platform.refused("changetopology", &[("envName", name), ("env", env), ("nodes", told)], result, says).await;
    }
    assert_eq!(platform.done("getenvinfo", &[("envName", "my-project")]).await, before);
}

#[tokio::test]
async fn nodes_are_deployed_anew_from_another_tag() {
    let platform = Platform::start("1", &["--demo"]).await;
    let name = ("envName", "my-project");
    let info = platform.done("getenvinfo", &[name]).await;
    let id = info["nodes"][3]["id"].to_string();
    let layer = platform.done("redeploycontainersbygroup", &[name, ("nodeGroup", "cp"), ("tag", "10.1-jdk21")]).await;
    let results: Vec<_> = layer["responses"].as_array().unwrap().iter().map(|one| one["result"].clone()).collect();
    assert_eq!(results, [0, 0]);
    let one = platform.done("redeploycontainerbyid", &[name, ("nodeId", &id), ("tag", "16")]).await;
    assert_eq!(one["responses"][0]["nodeId"].to_string(), id);
    let tags = async || {
        let info = platform.done("getenvinfo", &[name]).await;
        nodes(&info).into_iter().map(|node| node.4).collect::<Vec<_>>()
    };
    assert_eq!(tags().await, ["", "10.1-jdk21", "10.1-jdk21", "16"]);
    platform.done("redeploycontainers", &[name, ("nodeGroup", "bl"), ("tag", "1.27")]).await;
    platform.done("restartnodes", &[name]).await;
    assert_eq!(tags().await, ["1.27", "10.1-jdk21", "10.1-jdk21", "16"], "a restart keeps them");
    platform.refused("redeploycontainers", &[name, ("tag", "1")], 3, "'nodeGroup' is missing").await;
    platform.refused("redeploycontainersbygroup", &[name, ("nodeGroup", "cache"), ("tag", "1")], 5, "'cache'").await;
    platform.refused("redeploycontainersbygroup", &[name, ("nodeGroup", "cp"), ("tag", "a b")], 3, "'tag'").await;
    let stopped = [("envName", "reports"), ("nodeGroup", "cp"), ("tag", "1")];
    let stopped = platform.done("redeploycontainersbygroup", &stopped).await;
    assert_eq!(stopped["responses"][0]["result"], 4099, "{stopped}");
    assert_eq!(stopped["responses"][0]["error"], "the environment is stopped, and its nodes cannot restart");
}

#[tokio::test]
async fn no_command_is_run_and_that_is_said() {
    let platform = Platform::start("1", &["--demo"]).await;
    let (name, command) = (("envName", "my-project"), r#"[{"command":"systemctl","params":"restart app"}]"#);
    let id = platform.done("getenvinfo", &[name]).await["nodes"][0]["id"].to_string();
    let one = [name, ("nodeId", &*id)];
    platform.refused("execcmdbyid", &[&one[..], &[("commandList", command)]].concat(), 98, "runs no commands").await;
    let layer = [name, ("nodeGroup", "cp")];
    platform
        .refused("execcmdbygroup", &[&layer[..], &[("commandList", command)]].concat(), 98, "nothing was done")
        .await;
    // A script's own mistakes are told as the platform would.
    for list in ["[]", r#"[{"params":"x"}]"#, r#"[{"command":""}]"#] {
        platform.refused("execcmdbyid", &[&one[..], &[("commandList", list)]].concat(), 3, "commandList").await;
    }
    let command = ("commandList", command);
    platform.refused("execcmdbyid", &[name, ("nodeId", "1"), command], 5, "no node 1").await;
    platform.refused("execcmdbygroup", &[("envName", "none"), ("nodeGroup", "cp"), command], 11, "'none'").await;
    let stopped = [("envName", "reports"), ("nodeGroup", "cp"), command];
    platform.refused("execcmdbygroup", &stopped, 4099, "cannot run a command").await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_by_name() {
    let platform = Platform::start("1", &[]).await;
    let node = r#"{"nodeType":"nginx"}"#;
    for (env, nodes, says) in [
        (r#"{"shortdomain":"a b"}"#, node, "env.shortdomain"),
        (r#"{"shortdomain":"a"}"#, "[]", "'nodes' are none"),
        (r#"{"shortdomain":"a"}"#, r#"[{"count":1}]"#, "nodes.nodeType"),
        ("shop", node, "'env' is not a JSON object"),
        (r#"{"shortdomain":"a","displayName":"a\u0007"}"#, node, "displayName"),
    ] {
        platform.refused("createenvironment", &[("env", env), ("nodes", nodes)], 3, says).await;
    }
    assert_eq!(platform.done("getenvs", &[]).await["infos"], json!([]));
    let unnamed = platform.done("createenvironment", &[("env", "{}"), ("nodes", node)]).await;
    assert!(unnamed["response"]["env"]["envName"].as_str().unwrap().starts_with("env-"), "{unnamed}");
}

#[tokio::test]
async fn environments_and_nodes_can_be_named_for_people() {
    let platform = Platform::start("1", &[]).await;
    let made = platform.create("shop", json!({ "nodeType": "nginx" })).await;
    let id = made["nodes"][0]["id"].to_string();
    platform.done("setenvdisplayname", &[("envName", "shop"), ("displayName", "Der Laden")]).await;
    platform.done("setnodedisplayname", &[("envName", "shop"), ("nodeId", &id), ("displayName", "Tür")]).await;
    let info = platform.done("getenvinfo", &[("envName", "shop")]).await;
    assert_eq!((&info["env"]["displayName"], &info["nodes"][0]["displayName"]), (&json!("Der Laden"), &json!("Tür")));
    let groups = platform.done("getnodegroups", &[("envName", "shop")]).await;
    assert_eq!(groups["object"][0]["name"], "bl");
    assert_eq!(platform.done("getregions", &[]).await["array"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_demo_has_environments_for_everybody_and_keeps_them_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for round in 0..2 {
        let server = Server::on(&data, &["--demo", "--state-time", "1"]);
        if round == 0 {
            person(server.data(), "ada", &[]);
        }
        let session = Platform::sign_in(&server, "ada").await;
        let platform = Platform { server, session };
        let infos = platform.done("getbasicenvsinfo", &[]).await["infos"].clone();
        let names: Vec<_> =
            infos.as_array().unwrap().iter().map(|info| info["env"]["envName"].as_str().unwrap()).collect();
        assert_eq!(names, ["my-project", "reports", "shop-test"]);
        assert_eq!(platform.status("my-project").await, if round == 0 { 1 } else { 2 });
        platform.done("stopenv", &[("envName", "my-project")]).await;
    }
}
