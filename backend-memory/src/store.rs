//! The store: its namespaces and its control records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{
    Capabilities, Consistency, ControlRecord, ControlWritten, Durability, Error, ErrorKind, Expect,
    Health, IfNewer, Namespace, NamespaceInfo, NamespaceName, Operation, Result, Scope, Store,
    StoreIdentity,
};
use uuid::Uuid;

use crate::BACKEND;
use crate::config::{MAX_KEY_BYTES, MemoryConfig};
use crate::namespace::{MemoryNamespace, Space, closed};
use crate::table::Table;

/// The version of what is stored. A store that keeps files counts this up when their form
/// changes, and refuses a number it does not know; here nothing outlives the process.
const FORMAT: u32 = 1;

/// A store in memory. It is gone with the last handle on it.
pub struct MemoryStore {
    identity: StoreIdentity,
    capabilities: Arc<Capabilities>,
    /// Held for changes of namespaces and for control records, never while rows are read
    /// or written.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    namespaces: BTreeMap<NamespaceName, Arc<Space>>,
    control: BTreeMap<String, ControlRecord>,
    /// The last revision of any control record: one counter for all keys, so that none is
    /// used twice for one key, not even after a delete.
    revision: u64,
}

impl MemoryStore {
    /// A new, empty store with no namespace.
    ///
    /// # Errors
    /// `Config` for settings that no store could work with.
    pub fn open(config: &MemoryConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            identity: StoreIdentity::new(Uuid::new_v4(), BACKEND, FORMAT, "memory"),
            capabilities: Arc::new(capabilities(config)),
            inner: Mutex::default(),
        })
    }

    /// What the store holds, if it is open.
    fn inner(&self, operation: Operation) -> Result<parking_lot::MutexGuard<'_, Inner>> {
        let inner = self.inner.lock();
        if inner.closed { Err(closed(operation)) } else { Ok(inner) }
    }

    fn space(&self, name: &NamespaceName, rows: Table) -> Arc<Space> {
        let scope = Scope {
            store: self.identity.uuid,
            format: self.identity.format,
            namespace: name.clone(),
        };
        Arc::new(Space::new(scope, Arc::clone(&self.capabilities), rows))
    }
}

/// What this store claims. Each line is a promise that the conformance suite tests.
pub(crate) fn capabilities(config: &MemoryConfig) -> Capabilities {
    let mut claims = Capabilities::minimal();
    claims.ordered_scan = true;
    claims.snapshot_scan = true;
    claims.atomic_batch = true;
    claims.max_atomic_batch = config.max_atomic_batch;
    claims.if_newer = IfNewer::Exact;
    claims.if_absent = true;
    claims.if_version = true;
    claims.consistency = Consistency::Linearizable;
    claims.max_key_bytes = MAX_KEY_BYTES;
    claims.max_value_bytes = config.max_value_bytes.0;
    claims
}

fn no_namespace(operation: Operation, name: &NamespaceName) -> Error {
    Error::new(
        ErrorKind::NoNamespace,
        operation,
        format!("there is no namespace '{name}': create it first"),
    )
    .with_backend(BACKEND)
}

/// Whether a control record is the one that was expected.
fn expected(expect: Expect, current: Option<&ControlRecord>) -> bool {
    match (expect, current) {
        (Expect::Absent, None) => true,
        (Expect::Revision(revision), Some(record)) => record.revision == revision,
        _ => false,
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("uuid", &self.identity.uuid).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let mut inner = self.inner(Operation::CreateNamespace)?;
        if inner.namespaces.contains_key(name) {
            return Err(Error::new(
                ErrorKind::Conflict,
                Operation::CreateNamespace,
                format!("the namespace '{name}' exists: open it, or choose another name"),
            )
            .with_backend(BACKEND));
        }
        inner.namespaces.insert(name.clone(), self.space(name, Table::default()));
        Ok(())
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let inner = self.inner(Operation::OpenNamespace)?;
        let space = inner.namespaces.get(name);
        let space = space.ok_or_else(|| no_namespace(Operation::OpenNamespace, name))?;
        Ok(Arc::new(MemoryNamespace(Arc::clone(space))))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let inner = self.inner(Operation::ListNamespaces)?;
        Ok(inner.namespaces.keys().cloned().map(NamespaceInfo::new).collect())
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let rows = {
            let mut inner = self.inner(Operation::DropNamespace)?;
            let space = inner.namespaces.remove(name);
            space.ok_or_else(|| no_namespace(Operation::DropNamespace, name))?.take_gone()
        };
        // Freeing a million rows takes a while: not under the lock.
        drop(rows);
        Ok(())
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let operation = Operation::ReplaceNamespace;
        if name == staged {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                operation,
                format!("the namespace '{name}' cannot take its own place: stage it elsewhere"),
            )
            .with_backend(BACKEND));
        }
        let old = {
            let mut inner = self.inner(operation)?;
            let staged =
                inner.namespaces.remove(staged).ok_or_else(|| no_namespace(operation, staged))?;
            // Handles know their namespace by name, so the rows move and both old handles end.
            let space = self.space(name, staged.take_gone());
            inner.namespaces.insert(name.clone(), space).map(|old| old.take_gone())
        };
        drop(old);
        Ok(())
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        Ok(self.inner(Operation::ControlGet)?.control.get(key).cloned())
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        let inner = self.inner(Operation::ControlList)?;
        let from = inner.control.range(prefix.to_owned()..);
        let listed = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(listed.map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let operation = Operation::ControlSet;
        for (what, len, limit) in [
            ("key", key.len(), MAX_CONTROL_KEY_BYTES),
            ("value", value.len(), MAX_CONTROL_VALUE_BYTES),
        ] {
            if len > limit {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    operation,
                    format!("the control record's {what} is {len} bytes long, of at most {limit}"),
                )
                .with_backend(BACKEND));
            }
        }
        let mut inner = self.inner(operation)?;
        let current = inner.control.get(key);
        if !expected(expect, current) {
            return Ok(ControlWritten::Conflict { current: current.cloned() });
        }
        inner.revision += 1;
        let revision = inner.revision;
        let record = ControlRecord::new(Bytes::copy_from_slice(value), revision);
        inner.control.insert(key.to_owned(), record);
        Ok(ControlWritten::Applied { revision })
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let mut inner = self.inner(Operation::ControlDelete)?;
        let current = inner.control.get(key);
        if !expected(expect, current) {
            return Ok(ControlWritten::Conflict { current: current.cloned() });
        }
        inner.control.remove(key);
        Ok(ControlWritten::Applied { revision: 0 })
    }

    async fn health(&self) -> Result<Health> {
        let inner = self.inner(Operation::Health)?;
        Ok(Health::ready().with_detail("namespaces", inner.namespaces.len().to_string()))
    }

    async fn sync(&self) -> Result<Durability> {
        self.inner(Operation::Sync).map(|_open| Durability::None)
    }

    async fn close(&self) -> Result<()> {
        let namespaces = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            inner.control.clear();
            std::mem::take(&mut inner.namespaces)
        };
        for space in namespaces.values() {
            space.close();
        }
        Ok(())
    }
}
