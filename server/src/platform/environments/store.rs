//! Environments as rows. What time alone changes is told by the row's own times, so any number of servers tell the same.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Executor, Row, Transaction};

use super::state::{Change, State};
use crate::instant;
use crate::store::audit::{self, Entry};
use crate::store::users::User;
use crate::store::{Store, StoreError};

/// Environments of one account at most.
pub const MOST: i64 = 100;

/// An environment, as it is now.
#[derive(Clone, Debug)]
pub struct Environment {
    /// 32 hex digits.
    pub id: String,
    /// The first part of its domain.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Whose it is; none: everybody's.
    pub user_id: Option<String>,
    /// Its state now.
    pub state: State,
    /// When that changes by itself; none: not. Microseconds since 1970, as all times here.
    pub settles_at: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// Its nodes, by layer and place.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique on the whole server.
    pub id: i64,
    /// `cp`
    pub layer: String,
    /// `nginx`
    pub kind: String,
    /// What people call it; may be empty.
    pub display_name: String,
    /// Reserved.
    pub fixed_cloudlets: i64,
    /// At most.
    pub flexible_cloudlets: i64,
    /// Until when it restarts.
    pub ready_at: i64,
    /// The version that it was deployed from; empty: the newest of its type.
    pub tag: String,
}

/// A node to make.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// `cp`
    pub layer: String,
    /// `nginx`
    pub kind: String,
    /// May be empty.
    pub display_name: String,
    /// Reserved.
    pub fixed_cloudlets: i64,
    /// At most.
    pub flexible_cloudlets: i64,
    /// The version to deploy; empty: the newest of its type.
    pub tag: String,
}

/// An environment to make.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// The first part of its domain, lower case.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Whose it is; none: everybody's.
    pub user_id: Option<String>,
    /// The states that it goes through.
    pub states: (State, State),
    /// At least one.
    pub nodes: Vec<NewNode>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is done at this time.
    Until(i64),
    /// It was so already.
    Already,
    /// It cannot begin in this state.
    In(State),
    /// The caller has no such environment.
    Unknown,
}

/// What became of an environment to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is ready at this time.
    Until(i64),
    /// The name is another environment's, whoever that belongs to.
    NameTaken,
    /// The account has as many as it may.
    TooMany,
}

const SELECT: &str = "SELECT e.id, e.name, e.display_name, e.user_id, e.state, e.settled, e.settles_at, e.created_at \
                      FROM environments e";

/// Those that are there for a user: its own, and everybody's.
const VISIBLE: &str = "(e.user_id = $1 OR e.user_id IS NULL) AND NOT (e.settled = 8 AND e.settles_at <= $2)";

fn from_row(row: &AnyRow, now: i64) -> Result<Environment, StoreError> {
    let (state, settled, settles_at): (i64, i64, i64) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let passing = settles_at > now;
    Ok(Environment {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        display_name: row.try_get(2)?,
        user_id: row.try_get(3)?,
        state: State::of(if passing { state } else { settled }),
        settles_at: passing.then_some(settles_at),
        created_at: row.try_get(7)?,
        nodes: Vec::new(),
    })
}

/// The user's environments and everybody's, by name, with their nodes.
pub async fn list(store: &Store, user: &User) -> Result<Vec<Environment>, StoreError> {
    let now = instant::now();
    let sql = format!("{SELECT} WHERE {VISIBLE} ORDER BY e.name");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user.id.clone()).bind(now);
    let rows = query.fetch_all(store.database.pool()).await?;
    let mut found = rows.iter().map(|row| from_row(row, now)).collect::<Result<Vec<_>, _>>()?;
    let sql = format!(
        "{NODES} JOIN environments e ON e.id = n.environment_id WHERE {VISIBLE} ORDER BY n.environment_id, n.place"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user.id.clone()).bind(now);
    let mut nodes: HashMap<String, Vec<Node>> = HashMap::new();
    for row in query.fetch_all(store.database.pool()).await? {
        nodes.entry(row.try_get(7)?).or_default().push(node_from_row(&row)?);
    }
    for environment in &mut found {
        environment.nodes = nodes.remove(&environment.id).unwrap_or_default();
    }
    Ok(found)
}

/// The environment of this name, if it is there for the user.
pub async fn find(store: &Store, user: &User, name: &str) -> Result<Option<Environment>, StoreError> {
    let now = instant::now();
    let sql = format!("{SELECT} WHERE {VISIBLE} AND e.name = $3");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user.id.clone()).bind(now).bind(name.to_lowercase());
    let Some(row) = query.fetch_optional(store.database.pool()).await? else { return Ok(None) };
    let mut environment = from_row(&row, now)?;
    environment.nodes = nodes_of(store.database.pool(), &environment.id).await?;
    Ok(Some(environment))
}

/// The nodes of an environment, by place.
pub async fn nodes_of(executor: impl Executor<'_, Database = Any>, id: &str) -> Result<Vec<Node>, StoreError> {
    let sql = format!("{NODES} WHERE n.environment_id = $1 ORDER BY n.place");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned());
    query.fetch_all(executor).await?.iter().map(node_from_row).collect()
}

/// Whether an environment of this name is there, whoever it belongs to.
pub async fn is_taken(store: &Store, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM environments WHERE name = $1 AND NOT (settled = 8 AND settles_at <= $2)";
    let query = sqlx::query(sql).bind(name.to_lowercase()).bind(instant::now());
    Ok(query.fetch_optional(store.database.pool()).await?.is_some())
}

const NODES: &str = "SELECT n.id, n.layer, n.kind, n.display_name, n.fixed_cloudlets, n.flexible_cloudlets, n.ready_at, \
                     n.environment_id, n.tag FROM nodes n";

fn node_from_row(row: &AnyRow) -> Result<Node, StoreError> {
    Ok(Node {
        id: row.try_get(0)?,
        layer: row.try_get(1)?,
        kind: row.try_get(2)?,
        display_name: row.try_get(3)?,
        fixed_cloudlets: row.try_get(4)?,
        flexible_cloudlets: row.try_get(5)?,
        ready_at: row.try_get(6)?,
        tag: row.try_get(8)?,
    })
}

/// Makes an environment that takes `takes` microseconds.
pub async fn make(store: &Store, new: &NewEnvironment, takes: i64, by: &Entry) -> Result<Made, StoreError> {
    let mut transaction = store.database.write().await?;
    remove_gone(&mut transaction).await?;
    let taken = sqlx::query("SELECT id FROM environments WHERE name = $1").bind(new.name.clone());
    if taken.fetch_optional(&mut *transaction).await?.is_some() {
        return Ok(Made::NameTaken);
    }
    if let Some(user_id) = &new.user_id {
        let count = sqlx::query("SELECT COUNT(*) FROM environments WHERE user_id = $1").bind(user_id.clone());
        if count.fetch_one(&mut *transaction).await?.try_get::<i64, _>(0)? >= MOST {
            return Ok(Made::TooMany);
        }
    }
    let (id, now) = (format!("{:032x}", rand::random::<u128>()), instant::now());
    sqlx::query(
        "INSERT INTO environments (id, name, display_name, user_id, state, settled, settles_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.clone())
    .bind(new.name.clone())
    .bind(new.display_name.clone())
    .bind(new.user_id.clone())
    .bind(new.states.0.number())
    .bind(new.states.1.number())
    .bind(now + takes)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    for (place, node) in (0..).zip(&new.nodes) {
        insert(&mut transaction, &id, place, node).await?;
    }
    audit::write_in(&mut transaction, by, "environment.create", &new.name, "created").await?;
    transaction.commit().await?;
    Ok(Made::Until(now + takes))
}

/// Adds a node to an environment.
pub async fn insert(
    transaction: &mut Transaction<'_, Any>,
    environment_id: &str,
    place: i64,
    node: &NewNode,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO nodes (id, environment_id, place, layer, kind, display_name, fixed_cloudlets, \
         flexible_cloudlets, ready_at, tag) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)",
    )
    .bind(free_node_id(transaction).await?)
    .bind(environment_id.to_owned())
    .bind(place)
    .bind(node.layer.clone())
    .bind(node.kind.clone())
    .bind(node.display_name.clone())
    .bind(node.fixed_cloudlets)
    .bind(node.flexible_cloudlets)
    .bind(node.tag.clone())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A number that no node has. The numbers are many and the nodes few: a second try is rare, a third never seen.
async fn free_node_id(transaction: &mut Transaction<'_, Any>) -> Result<i64, StoreError> {
    loop {
        let id = i64::from(rand::random::<u32>() >> 1).max(1);
        let taken = sqlx::query("SELECT id FROM nodes WHERE id = $1").bind(id);
        if taken.fetch_optional(&mut **transaction).await?.is_none() {
            return Ok(id);
        }
    }
}

/// Removes the rows of what was deleted and is gone by now.
async fn remove_gone(transaction: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    const GONE: &str = "settled = 8 AND settles_at <= $1";
    let now = instant::now();
    let nodes = format!("DELETE FROM nodes WHERE environment_id IN (SELECT id FROM environments WHERE {GONE})");
    sqlx::query(AssertSqlSafe(nodes)).bind(now).execute(&mut **transaction).await?;
    let rows = format!("DELETE FROM environments WHERE {GONE}");
    sqlx::query(AssertSqlSafe(rows)).bind(now).execute(&mut **transaction).await?;
    Ok(())
}

/// Begins a change that takes `takes` microseconds.
pub async fn begin(
    store: &Store,
    user: &User,
    name: &str,
    change: Change,
    takes: i64,
    by: &Entry,
) -> Result<Begun, StoreError> {
    let mut transaction = store.database.write().await?;
    let Some(environment) = find_in(&mut transaction, user, name).await? else { return Ok(Begun::Unknown) };
    if environment.state == change.after() {
        return Ok(Begun::Already);
    }
    if !change.begins_in(environment.state) {
        return Ok(Begun::In(environment.state));
    }
    let until = instant::now() + takes;
    sqlx::query("UPDATE environments SET state = $1, settled = $2, settles_at = $3 WHERE id = $4")
        .bind(change.during().number())
        .bind(change.after().number())
        .bind(until)
        .bind(environment.id)
        .execute(&mut *transaction)
        .await?;
    audit::write_in(&mut transaction, by, change.action(), &environment.name, "begun").await?;
    transaction.commit().await?;
    Ok(Begun::Until(until))
}

/// Without its nodes.
pub async fn find_in(
    transaction: &mut Transaction<'_, Any>,
    user: &User,
    name: &str,
) -> Result<Option<Environment>, StoreError> {
    let now = instant::now();
    let sql = format!("{SELECT} WHERE {VISIBLE} AND e.name = $3");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(user.id.clone()).bind(now).bind(name.to_lowercase());
    query.fetch_optional(&mut **transaction).await?.map(|row| from_row(&row, now)).transpose()
}

/// Restarts nodes of a running environment, from another version where a tag names one; each takes `takes` microseconds.
pub async fn restart(
    store: &Store,
    user: &User,
    name: &str,
    nodes: &[i64],
    tag: Option<&str>,
    takes: i64,
    by: &Entry,
) -> Result<Begun, StoreError> {
    let mut transaction = store.database.write().await?;
    let Some(environment) = find_in(&mut transaction, user, name).await? else { return Ok(Begun::Unknown) };
    if environment.state != State::Running {
        return Ok(Begun::In(environment.state));
    }
    let until = instant::now() + takes;
    for node in nodes {
        sqlx::query("UPDATE nodes SET ready_at = $1, tag = COALESCE($2, tag) WHERE id = $3 AND environment_id = $4")
            .bind(until)
            .bind(tag.map(str::to_owned))
            .bind(*node)
            .bind(environment.id.clone())
            .execute(&mut *transaction)
            .await?;
    }
    let target = format!("{} ({} nodes)", environment.name, nodes.len());
    let action = if tag.is_some() { "environment.redeploy" } else { "environment.restart" };
    audit::write_in(&mut transaction, by, action, &target, "begun").await?;
    transaction.commit().await?;
    Ok(Begun::Until(until))
}

/// Names an environment, or one node of it, for people. False: there is no such one.
pub async fn rename(
    store: &Store,
    user: &User,
    name: &str,
    node: Option<i64>,
    display_name: &str,
    by: &Entry,
) -> Result<bool, StoreError> {
    let mut transaction = store.database.write().await?;
    let Some(environment) = find_in(&mut transaction, user, name).await? else { return Ok(false) };
    let changed = match node {
        None => {
            let query = sqlx::query("UPDATE environments SET display_name = $1 WHERE id = $2");
            query.bind(display_name.to_owned()).bind(environment.id).execute(&mut *transaction).await?
        }
        Some(node) => {
            let query = sqlx::query("UPDATE nodes SET display_name = $1 WHERE id = $2 AND environment_id = $3");
            query.bind(display_name.to_owned()).bind(node).bind(environment.id).execute(&mut *transaction).await?
        }
    };
    audit::write_in(&mut transaction, by, "environment.rename", &environment.name, "renamed").await?;
    transaction.commit().await?;
    Ok(changed.rows_affected() > 0)
}
