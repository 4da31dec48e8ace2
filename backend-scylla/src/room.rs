//! A namespace as its handles share it: its table, its statements, and whether it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pinstate_core::{Error, ErrorKind, NamespaceName, Operation, Result, RetryClass, Scope};
use scylla::client::session::Session;
use uuid::Uuid;

use crate::catalog::Space;
use crate::core::Core;
use crate::error::no_namespace;
use crate::open::rows;
use crate::pace::Pace;
use crate::ring::Ring;
use crate::schema::TableName;
use crate::statements::Statements;
use crate::store::table_of;

/// How long what is known of the ring is believed. A page that goes to a node which has
/// lost its range meanwhile is answered all the same, by way of another.
const RING_AGE: Duration = Duration::from_secs(30);

/// One namespace in one table.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) scope: Scope,
    pub(crate) table: TableName,
    pub(crate) statements: Statements,
    pub(crate) pace: Pace,
    gone: AtomicBool,
    ring: Mutex<Option<(Instant, Arc<Ring>)>>,
}

impl Room {
    pub(crate) fn new(scope: Scope, table: TableName, statements: Statements) -> Self {
        Self {
            scope,
            table,
            statements,
            pace: Pace::default(),
            gone: AtomicBool::new(false),
            ring: Mutex::new(None),
        }
    }

    /// Whether the namespace was dropped, or another one took its place.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Turns every handle away from now on.
    pub(crate) fn shut(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// # Errors
    /// `NoNamespace` where it is gone.
    pub(crate) fn enter(&self, operation: Operation) -> Result<()> {
        if self.is_gone() {
            return Err(no_namespace(operation, self.scope.namespace.as_str()));
        }
        Ok(())
    }

    /// What a failure means here: a table that is missing may be a namespace that is gone.
    pub(crate) async fn found(&self, core: &Core, error: Error) -> Error {
        if error.kind() != ErrorKind::NoNamespace {
            return error;
        }
        let error = missing(core, &self.scope.namespace, &self.table, error).await;
        if error.kind() == ErrorKind::NoNamespace {
            self.shut();
        }
        error
    }

    /// The ring as it is for this table.
    pub(crate) async fn ring(&self, core: &Core, session: &Session) -> Arc<Ring> {
        if let Some((at, ring)) = &*self.ring.lock()
            && at.elapsed() < RING_AGE
        {
            return Arc::clone(ring);
        }
        let (keyspace, table) = (&core.config.keyspace, self.table.as_str());
        let near = core.facts.local.as_deref();
        let ring = if core.facts.tablets {
            tablets(session, keyspace, table, near).await.unwrap_or_else(|error| {
                // Only a better choice of nodes depends on it.
                tracing::debug!(%error, "the tablets of a table cannot be read");
                Ring::new([])
            })
        } else {
            Ring::of_nodes(&session.get_cluster_state(), keyspace, table, near)
        };
        let ring = Arc::new(ring);
        *self.ring.lock() = Some((Instant::now(), Arc::clone(&ring)));
        ring
    }
}

/// What it means that a node does not know the table of a namespace. One that was away may
/// not have caught up with the schema, so it is the catalog that says what is gone.
pub(crate) async fn missing(
    core: &Core,
    name: &NamespaceName,
    table: &TableName,
    error: Error,
) -> Error {
    let operation = error.operation();
    let mapped = match core.catalog(operation).await {
        Ok(catalog) => catalog.get(Space::Namespace, name.as_str(), operation).await,
        Err(error) => Err(error),
    };
    let what = match mapped {
        Err(error) if error.kind() == ErrorKind::Closed => return error,
        Err(_) => "a node does not know the namespace's table, and the catalog cannot be read",
        Ok(Some(entry)) if table_of(&entry, name.as_str()).is_ok_and(|now| now == *table) => {
            "a node does not know the namespace's table, which the catalog names: it has not \
             caught up since it was away, or the table was dropped by hand"
        }
        Ok(_) => return no_namespace(operation, name.as_str()).with_context("table", table),
    };
    crate::error::error(ErrorKind::Unavailable, operation, what)
        .with_retry(RetryClass::Backoff)
        .with_outcome(error.outcome())
        .with_context("namespace", name)
        .with_context("table", table)
        .with_source(error)
}

/// The tablets of a table, from ScyllaDB's own list.
async fn tablets(
    session: &Session,
    keyspace: &str,
    table: &str,
    near: Option<&str>,
) -> Result<Ring> {
    let text = format!(
        "SELECT id FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND table_name = \
         '{table}'"
    );
    let Some((id,)) = rows::<(Uuid,)>(session, text).await?.into_iter().next() else {
        return Ok(Ring::new([]));
    };
    let text = format!("SELECT last_token, replicas FROM system.tablets WHERE table_id = {id}");
    let found = rows::<(i64, Option<Vec<(Uuid, i32)>>)>(session, text).await?;
    let cluster = session.get_cluster_state();
    let is_near = |id: &Uuid| {
        near.is_none_or(|near| {
            cluster
                .get_node_by_host_id(*id)
                .is_some_and(|node| node.datacenter.as_deref() == Some(near))
        })
    };
    Ok(Ring::new(found.into_iter().map(|(last, replicas)| {
        let owners = replicas.unwrap_or_default().into_iter().map(|(id, _shard)| id);
        (last, owners.filter(is_near).collect())
    })))
}
