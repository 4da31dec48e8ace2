//! An opened store: its namespaces, its control records, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use parking_lot::Mutex;
use pinstate_core::{
    Capabilities, Consistency, ControlRecord, ControlWritten, Durability, Error, ErrorKind, Expect,
    Gauge, Health, IfNewer, Namespace, NamespaceInfo, NamespaceName, Operation, Outcome, Result,
    Scope, Store, StoreIdentity,
};
use serde::{Deserialize, Serialize};

use crate::catalog::{Change, Entry, Space, new_revision};
use crate::config::{Level, MAX_KEY_BYTES, ScyllaConfig};
use crate::control;
use crate::core::Core;
use crate::error::{BACKEND, error, no_namespace};
use crate::health;
use crate::limit::Limit;
use crate::namespace::ScyllaNamespace;
use crate::open::{MOMENT, Reached, disagreed, reach, reads_own_writes, store_of};
use crate::room::{Room, missing};
use crate::schema::{SCHEMA, TableName, foreign};
use crate::statements::{ControlStatements, Statements};
use crate::stats::{Stats, gauges};
use crate::tables::{TablePool, Tables};

/// How often a change of namespaces is begun anew when others get in between.
const CHANGES: usize = 8;

/// An opened store on a CQL cluster.
///
/// It must be used on the runtime that it was opened on: the driver's tasks live there.
pub struct ScyllaStore {
    core: Arc<Core>,
    identity: StoreIdentity,
    /// Namespaces that were opened, so that handles share their statements, and all of them
    /// learn that it is gone.
    rooms: Mutex<BTreeMap<NamespaceName, Arc<Room>>>,
    tables: Tables,
    /// Held for changes of namespaces: eight tables made at once for one name would be
    /// seven too many.
    changing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for ScyllaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScyllaStore").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What a store of this configuration can do.
pub(crate) fn capabilities(config: &ScyllaConfig, reads_own_writes: bool) -> Capabilities {
    let mut claims = Capabilities::minimal();
    let durability = Durability::Replicated { consistency: config.consistency.as_str().into() };
    claims.persistent = true;
    claims.exclusive_open = false;
    claims.ack_durability = durability.clone();
    claims.sync_durability = durability;
    // By token, the hash of the key.
    claims.ordered_scan = false;
    claims.snapshot_scan = false;
    claims.atomic_batch = false;
    claims.if_newer = IfNewer::Resolved;
    claims.if_absent = false;
    claims.if_version = false;
    claims.consistency = if reads_own_writes {
        Consistency::ReadYourWrites
    } else {
        // A replica that missed a write gets it from a hint, which is kept for a node that is
        // away for some hours and no longer, from a read that happens to compare, or from a
        // repair, which somebody has to run: no time of that could be promised here.
        Consistency::Eventual { settle: None }
    };
    claims.max_key_bytes = MAX_KEY_BYTES as u64;
    claims.max_value_bytes = config.max_value_bytes.0;
    claims
}

/// The record that says which table a namespace is.
#[derive(Serialize, Deserialize)]
struct Mapping {
    table: String,
}

/// A namespace in the catalog.
struct Mapped {
    table: TableName,
    revision: i64,
}

impl ScyllaStore {
    /// Opens a store.
    ///
    /// # Errors
    /// `Config` for settings that do not fit each other or the cluster; `NoStore` where the
    /// keyspaces or tables are missing and making them was not asked for; `Incompatible`
    /// for a schema of another version or of something else; `Unavailable`, `Timeout` and
    /// `PermissionDenied` as the cluster answers.
    pub async fn open(config: &ScyllaConfig) -> Result<Self> {
        Self::open_with(config, Tables::New).await
    }

    /// Opens a store whose namespaces live in tables that are used again and again: for
    /// tests, see [`TablePool`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[doc(hidden)]
    pub async fn open_pooled(config: &ScyllaConfig, pool: TablePool) -> Result<Self> {
        Self::open_with(config, Tables::Pool(pool)).await
    }

    async fn open_with(config: &ScyllaConfig, tables: Tables) -> Result<Self> {
        let reached = reach(config).await?;
        if config.create {
            reached.create(config).await?;
        }
        Self::on(reached, config.clone(), tables).await
    }

    /// Opens the store of a cluster that was reached.
    pub(crate) async fn on(reached: Reached, config: ScyllaConfig, tables: Tables) -> Result<Self> {
        let facts = reached.agreed_facts(&config).await?;
        let control = control_statements(&reached, &config).await?;
        let uuid = store_of(&reached.session, &control, &config).await?;
        let own_writes = reads_own_writes(config.consistency, &facts, config.dc_failover);
        let capabilities = capabilities(&config, own_writes);
        let connections = connections(&reached, &config);
        let limit = Limit::new(
            connections.saturating_mul(config.max_in_flight as usize),
            config.max_queue as usize,
            config.max_wait_time.0,
        );
        let location = format!("{}/{}", config.contact_points().join(","), config.keyspace);
        tracing::info!(
            dialect = %facts.dialect,
            keyspace = config.keyspace,
            replication = %facts.replication,
            local_dc = facts.local.as_deref().unwrap_or("any"),
            consistency = %config.consistency,
            connections,
            "opened a store"
        );
        let core = Core::new(
            config,
            facts,
            uuid,
            capabilities,
            control,
            reached.watch,
            limit,
            reached.session,
        );
        Ok(Self {
            core: Arc::new(core),
            identity: StoreIdentity::new(uuid, BACKEND, SCHEMA, location),
            rooms: Mutex::default(),
            tables,
            changing: tokio::sync::Mutex::new(()),
        })
    }

    /// What the store is doing and has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.core)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    async fn mapped(&self, name: &NamespaceName, operation: Operation) -> Result<Option<Mapped>> {
        let catalog = self.core.catalog(operation).await?;
        let found = catalog.get(Space::Namespace, name.as_str(), operation).await?;
        let Some(entry) = found else { return Ok(None) };
        let table = table_of(&entry, name.as_str())?;
        Ok(Some(Mapped { table, revision: entry.revision }))
    }

    async fn change(&self, changes: &[Change<'_>], operation: Operation) -> Result<bool> {
        self.core.catalog(operation).await?.change(Space::Namespace, changes, operation).await
    }

    fn mapping(table: &TableName) -> Result<Entry> {
        let mapping = Mapping { table: table.as_str().to_owned() };
        let value = serde_json::to_vec(&mapping).map_err(|e| {
            error(ErrorKind::Internal, Operation::CreateNamespace, "a mapping cannot be written")
                .with_source(e)
        })?;
        Ok(Entry { value: value.into(), revision: new_revision() })
    }

    /// Ends the handles on a namespace.
    fn shut(&self, name: &NamespaceName) {
        if let Some(room) = self.rooms.lock().remove(name) {
            room.shut();
        }
    }

    /// Removes a table that nothing points to any more. Failing here leaves space in use
    /// and nothing else, so it is told and does not fail the call.
    async fn discard(&self, table: &TableName, operation: Operation) {
        if let Err(failure) = self.tables.remove(&self.core, table, operation).await {
            tracing::warn!(
                %table,
                %failure,
                "a table that no namespace uses any more could not be removed: 'pinstate schema \
                 upgrade' removes it"
            );
        }
    }

    /// The namespaces with their tables.
    pub(crate) async fn catalog(
        &self,
        operation: Operation,
    ) -> Result<Vec<(NamespaceName, TableName)>> {
        let catalog = self.core.catalog(operation).await?;
        let listed = catalog.list(Space::Namespace, "", operation).await?;
        let each = |(name, entry): (String, Entry)| {
            let table = table_of(&entry, &name)?;
            Ok((name.parse().map_err(|_| foreign("a control record of a namespace"))?, table))
        };
        listed.into_iter().map(each).collect()
    }
}

pub(crate) fn table_of(entry: &Entry, name: &str) -> Result<TableName> {
    serde_json::from_slice::<Mapping>(&entry.value)
        .ok()
        .and_then(|mapping| TableName::parse(&mapping.table))
        .ok_or_else(|| foreign(format!("the control record of the namespace '{name}'")))
}

/// Prepares the statements of control records. A server that has written down a table may
/// need a moment until it takes statements on it.
async fn control_statements(reached: &Reached, config: &ScyllaConfig) -> Result<ControlStatements> {
    let ends = tokio::time::Instant::now() + config.connect_timeout.0;
    loop {
        match ControlStatements::prepare(&reached.session, config).await {
            Err(failure)
                if matches!(failure.kind(), ErrorKind::NoNamespace | ErrorKind::Unavailable) =>
            {
                if tokio::time::Instant::now() >= ends {
                    if failure.kind() == ErrorKind::Unavailable {
                        return Err(failure);
                    }
                    if let (None, words) = health::agreement(&reached.session).await {
                        return Err(disagreed(words).with_source(failure));
                    }
                    return Err(foreign(format!(
                        "the keyspace '{}' has a table of control records that cannot be used",
                        config.control_keyspace()
                    ))
                    .with_source(failure));
                }
                tokio::time::sleep(MOMENT).await;
            }
            prepared => return prepared,
        }
    }
}

/// Connections that requests can go over.
fn connections(reached: &Reached, config: &ScyllaConfig) -> usize {
    let cluster = reached.session.get_cluster_state();
    let near = cluster.get_nodes_info().iter().filter(|node| {
        reached.local.as_ref().is_none_or(|local| node.datacenter.as_ref() == Some(local))
    });
    let each = near.map(|node| match node.sharder() {
        Some(sharder) => usize::from(sharder.nr_shards.get()),
        None => usize::from(config.num_conns.unwrap_or(1)),
    });
    each.sum::<usize>().max(1)
}

#[async_trait]
impl Store for ScyllaStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.core.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::CreateNamespace;
        let exists = || {
            error(ErrorKind::Conflict, operation, format!("the namespace '{name}' exists already"))
        };
        let _changing = self.changing.lock().await;
        if self.mapped(name, operation).await?.is_some() {
            return Err(exists());
        }
        let table = self.tables.make(&self.core, operation).await?;
        let new = Some(Self::mapping(&table)?);
        let change = Change { key: name.as_str(), expected: None, new };
        if self.change(&[change], operation).await? {
            return Ok(());
        }
        self.discard(&table, operation).await;
        Err(exists())
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let operation = Operation::OpenNamespace;
        let mapped = self.mapped(name, operation).await?;
        let Some(mapped) = mapped else {
            self.shut(name);
            return Err(no_namespace(operation, name.as_str()));
        };
        let handle = |room| -> Arc<dyn Namespace> {
            Arc::new(ScyllaNamespace { core: Arc::clone(&self.core), room })
        };
        let known = self.rooms.lock().get(name).map(Arc::clone);
        if let Some(room) = known {
            if room.table == mapped.table && !room.is_gone() {
                return Ok(handle(room));
            }
            // Another process put another table in its place.
            self.shut(name);
        }
        let session = self.core.session(operation)?;
        let (config, dialect) = (&self.core.config, self.core.facts.dialect);
        let table = mapped.table.as_str();
        let prepared = Statements::prepare(&session, config, dialect, table, operation).await;
        let statements = match prepared {
            Err(error) if error.kind() == ErrorKind::NoNamespace => {
                return Err(missing(&self.core, name, &mapped.table, error).await);
            }
            prepared => prepared?,
        };
        let scope = Scope { store: self.identity.uuid, format: SCHEMA, namespace: name.clone() };
        let room = Arc::new(Room::new(scope, mapped.table, statements));
        let mut rooms = self.rooms.lock();
        let room = match rooms.get(name) {
            // Somebody else was faster.
            Some(other) if other.table == room.table && !other.is_gone() => Arc::clone(other),
            _ => {
                rooms.insert(name.clone(), Arc::clone(&room));
                room
            }
        };
        Ok(handle(room))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let listed = self.catalog(Operation::ListNamespaces).await?;
        Ok(listed.into_iter().map(|(name, _)| NamespaceInfo::new(name)).collect())
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::DropNamespace;
        let _changing = self.changing.lock().await;
        for _ in 0..CHANGES {
            let mapped = self.mapped(name, operation).await?;
            let mapped = mapped.ok_or_else(|| no_namespace(operation, name.as_str()))?;
            let change = Change { key: name.as_str(), expected: Some(mapped.revision), new: None };
            if self.change(&[change], operation).await? {
                self.shut(name);
                self.discard(&mapped.table, operation).await;
                return Ok(());
            }
        }
        Err(contended(operation))
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let operation = Operation::ReplaceNamespace;
        if name == staged {
            return Err(error(
                ErrorKind::InvalidInput,
                operation,
                format!("the namespace '{name}' cannot take its own place"),
            ));
        }
        let _changing = self.changing.lock().await;
        for _ in 0..CHANGES {
            let new = self.mapped(staged, operation).await?;
            let new = new.ok_or_else(|| no_namespace(operation, staged.as_str()))?;
            let old = self.mapped(name, operation).await?;
            let changes = [
                Change {
                    key: name.as_str(),
                    expected: old.as_ref().map(|old| old.revision),
                    new: Some(Self::mapping(&new.table)?),
                },
                Change { key: staged.as_str(), expected: Some(new.revision), new: None },
            ];
            if self.change(&changes, operation).await? {
                self.shut(staged);
                self.shut(name);
                if let Some(old) = old {
                    self.discard(&old.table, operation).await;
                }
                return Ok(());
            }
        }
        Err(contended(operation))
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        control::get(&self.core, key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        control::list(&self.core, prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        control::write(&self.core, key, expect, Some(value), Operation::ControlSet).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        control::write(&self.core, key, expect, None, Operation::ControlDelete).await
    }

    async fn health(&self) -> Result<Health> {
        health::health(&self.core).await
    }

    async fn sync(&self) -> Result<Durability> {
        // What was acknowledged has reached its level already.
        self.core.session(Operation::Sync)?;
        self.core.unsettled.settle().await;
        Ok(self.core.capabilities.sync_durability.clone())
    }

    async fn close(&self) -> Result<()> {
        let Some(session) = self.core.end() else { return Ok(()) };
        self.core.limit.shut(self.core.config.timeout.0).await;
        self.rooms.lock().clear();
        drop(session);
        Ok(())
    }

    fn gauges(&self) -> Vec<(Gauge, f64)> {
        gauges(&self.core)
    }
}

fn contended(operation: Operation) -> Error {
    error(
        ErrorKind::Unavailable,
        operation,
        "others change the same namespaces all the time: try again",
    )
    .with_outcome(Outcome::NotApplied)
}

/// The level that a write waits for, and what that means when nodes lose power.
pub(crate) fn durability_note(level: Level, commitlog: Option<&str>) -> String {
    let synced = match commitlog {
        Some("batch" | "group") => "each node syncs its commit log before it answers",
        Some("periodic") => {
            "nodes sync their commit logs now and then: what was acknowledged is lost if all \
             replicas that have it lose power within that time"
        }
        _ => {
            "with commitlog_sync: periodic, which servers ship with, what was acknowledged is \
             lost if all replicas that have it die within their interval"
        }
    };
    format!("acknowledged at {level}; {synced}")
}

/// A counter's value.
pub(crate) fn load(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
