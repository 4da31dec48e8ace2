//! A namespace as its handles share it: its table, its statements, and whether it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pinstate_core::{Error, ErrorKind, Operation, Result, Scope};
use scylla::client::session::Session;
use uuid::Uuid;

use crate::core::Core;
use crate::error::no_namespace;
use crate::open::rows;
use crate::pace::Pace;
use crate::ring::Ring;
use crate::schema::TableName;
use crate::statements::Statements;

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

    /// What a failure means here: a table that is missing is a namespace that is gone.
    pub(crate) fn found(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::NoNamespace {
            return error;
        }
        self.shut();
        no_namespace(error.operation(), self.scope.namespace.as_str())
            .with_context("table", &self.table)
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
