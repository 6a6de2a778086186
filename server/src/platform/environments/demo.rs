//! A few environments to look at, everybody's, for `serve --demo`.

use super::state::State;
use super::store::{self, NewEnvironment, NewNode};
use crate::store::audit::Entry;
use crate::store::{Store, StoreError};

/// Name, name for people, state, and nodes as layer and type.
type Known = (&'static str, &'static str, State, &'static [(&'static str, &'static str)]);

const ENVIRONMENTS: [Known; 3] = [
    (
        "my-project",
        "My project",
        State::Running,
        &[("bl", "nginx"), ("cp", "tomcat"), ("cp", "tomcat"), ("sqldb", "postgres")],
    ),
    ("shop-test", "Shop, test", State::Sleep, &[("cp", "nginxphp"), ("sqldb", "mysql")]),
    ("reports", "Reports", State::Down, &[("cp", "tomcat")]),
];

/// Adds those whose names nobody has; a second start leaves them as they are.
pub async fn add(store: &Store) -> Result<(), StoreError> {
    for (name, display_name, state, nodes) in ENVIRONMENTS {
        let node = |(layer, kind): &(&str, &str)| NewNode {
            layer: (*layer).to_owned(),
            kind: (*kind).to_owned(),
            display_name: String::new(),
            fixed_cloudlets: 1,
            flexible_cloudlets: 8,
            tag: String::new(),
        };
        let new = NewEnvironment {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            user_id: None,
            states: (state, state),
            nodes: nodes.iter().map(node).collect(),
        };
        store::make(store, &new, 0, &Entry::command_line()).await?;
    }
    Ok(())
}
