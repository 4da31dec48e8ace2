//! The store: its namespaces and its control records.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{
    Capabilities, ControlRecord, ControlWritten, Durability, Error, ErrorKind, Expect, Health,
    IfNewer, Key, Namespace, NamespaceInfo, NamespaceName, Operation, Outcome, Result, Scope,
    Store, StoreIdentity, Version,
};
use uuid::Uuid;

use crate::log::{Entry, Holds, Log, RowEntry};
use crate::namespace::LogNamespace;
use crate::{BACKEND, fail};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Bytes that may be of no use before the file is written anew.
const WORTH_IT: u64 = 256 << 10;

/// What one row holds.
#[derive(Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) version: Version,
    /// `None` for the marker of a conditional delete.
    pub(crate) value: Option<Bytes>,
}

/// A namespace's rows.
pub(crate) struct Space {
    /// Drawn anew for each namespace, so that a handle cannot take another one for its own.
    pub(crate) id: Uuid,
    pub(crate) rows: BTreeMap<Key, Row>,
}

impl Space {
    fn new() -> Self {
        Self { id: Uuid::new_v4(), rows: BTreeMap::new() }
    }
}

/// What an open store holds.
pub(crate) struct Inner {
    pub(crate) log: Log,
    pub(crate) spaces: BTreeMap<NamespaceName, Space>,
    control: BTreeMap<String, ControlRecord>,
    /// The last revision of any control record.
    revision: u64,
}

/// What the store and all its handles share; `None` once it is closed.
pub(crate) type Shared = Mutex<Option<Inner>>;

/// The store as it is, if it is open.
pub(crate) fn open_of(
    shared: &Shared,
    operation: Operation,
) -> Result<MappedMutexGuard<'_, Inner>> {
    MutexGuard::try_map(shared.lock(), Option::as_mut).map_err(|_closed| {
        fail(ErrorKind::Closed, operation, "the store was closed: open it anew")
            .with_outcome(Outcome::NotApplied)
    })
}

/// A store in one file.
pub struct LogStore {
    identity: StoreIdentity,
    capabilities: Arc<Capabilities>,
    shared: Arc<Shared>,
}

impl LogStore {
    /// Opens the store in this folder, or creates it if told to.
    ///
    /// # Errors
    /// `NoStore` where there is none, `Locked` where it is open elsewhere, `Corrupt` where the
    /// file is damaged, `Incompatible` where another version wrote it.
    pub fn open(folder: &Path, create: bool) -> Result<Self> {
        let mut identity = None;
        let (mut spaces, mut control, mut revision) = (BTreeMap::new(), BTreeMap::new(), 0);
        let log = Log::open(folder, create, |entry, body| {
            match entry {
                Entry::Store { uuid, format: FORMAT } => identity = Some(uuid),
                Entry::Store { format, .. } => {
                    let message = format!("the format is {format}, and this reads {FORMAT}");
                    return Err(fail(ErrorKind::Incompatible, Operation::Open, message));
                }
                Entry::Control { key, there, revision: of } => {
                    revision = revision.max(of);
                    if there {
                        let record = ControlRecord::new(Bytes::copy_from_slice(body), of);
                        control.insert(key, record);
                    } else {
                        control.remove(&key);
                    }
                }
                entry => change(&mut spaces, entry, body)?,
            }
            Ok(())
        })?;
        let mut inner = Inner { log, spaces, control, revision };
        let uuid = match identity {
            Some(uuid) => uuid,
            None => {
                let uuid = Uuid::new_v4();
                inner.log.append(Operation::Open, &Entry::Store { uuid, format: FORMAT }, &[])?;
                uuid
            }
        };
        inner.reclaim(folder, uuid)?;
        let location = folder.display().to_string();
        Ok(Self {
            identity: StoreIdentity::new(uuid, BACKEND, FORMAT, location),
            capabilities: Arc::new(capabilities()),
            shared: Arc::new(Mutex::new(Some(inner))),
        })
    }

    fn inner(&self, operation: Operation) -> Result<MappedMutexGuard<'_, Inner>> {
        open_of(&self.shared, operation)
    }
}

/// What the store claims. Each line is a promise that the suite tests.
pub(crate) fn capabilities() -> Capabilities {
    let mut claims = Capabilities::minimal();
    claims.persistent = true;
    claims.exclusive_open = true;
    claims.ack_durability = Durability::Power;
    claims.sync_durability = Durability::Power;
    claims.ordered_scan = true;
    claims.atomic_batch = true;
    claims.max_atomic_batch = 1_000;
    claims.if_newer = IfNewer::Exact;
    claims.if_absent = true;
    claims.if_version = true;
    claims.max_value_bytes = 4 << 20;
    claims
}

/// Does to the index what an entry of the log says. Live calls and opening both come here, so
/// that a store that is opened again cannot differ from the one that was closed.
pub(crate) fn change(
    spaces: &mut BTreeMap<NamespaceName, Space>,
    entry: Entry,
    body: &[u8],
) -> Result<()> {
    match entry {
        Entry::Create { namespace } => {
            spaces.insert(namespace, Space::new());
        }
        Entry::Drop { namespace } => {
            spaces.remove(&namespace);
        }
        Entry::Replace { namespace, staged } => {
            let rows = spaces.remove(&staged).ok_or_else(damaged)?.rows;
            spaces.insert(namespace, Space { rows, ..Space::new() });
        }
        Entry::Rows { namespace, rows } => {
            let space = spaces.get_mut(&namespace).ok_or_else(damaged)?;
            let mut rest = body;
            for RowEntry { key, version, holds } in rows {
                let key = data_encoding::HEXLOWER.decode(key.as_bytes()).map_err(|_| damaged())?;
                let key = Key::new(key);
                let value = match holds {
                    Holds::Nothing => {
                        space.rows.remove(&key);
                        continue;
                    }
                    Holds::Marker => None,
                    Holds::Value(len) => {
                        let (value, others) = rest.split_at_checked(len).ok_or_else(damaged)?;
                        rest = others;
                        Some(Bytes::copy_from_slice(value))
                    }
                };
                space.rows.insert(key, Row { version, value });
            }
        }
        Entry::Purge { namespace, before } => {
            let space = spaces.get_mut(&namespace).ok_or_else(damaged)?;
            space.rows.retain(|_, row| row.value.is_some() || row.version >= before);
        }
        Entry::Store { .. } | Entry::Control { .. } => return Err(damaged()),
    }
    Ok(())
}

fn damaged() -> Error {
    fail(ErrorKind::Corrupt, Operation::Open, "the file says what cannot be")
}

fn no_namespace(operation: Operation, name: &NamespaceName) -> Error {
    let message = format!("there is no namespace '{name}': create it first");
    fail(ErrorKind::NoNamespace, operation, message)
}

impl Inner {
    /// Writes the file anew where most of it was overwritten or deleted.
    fn reclaim(&mut self, folder: &Path, uuid: Uuid) -> Result<()> {
        let of = |row: &Row| row.value.as_ref().map_or(0, Bytes::len);
        let rows = self.spaces.values().flat_map(|space| &space.rows);
        let rows: usize = rows.map(|(key, row)| 2 * key.len() + of(row) + 150).sum();
        let control = self.control.iter().map(|(key, record)| key.len() + record.value.len() + 150);
        let needed = rows + control.sum::<usize>() + 200 * self.spaces.len();
        if self.log.size() < 2 * needed as u64 + WORTH_IT {
            return Ok(());
        }
        let Self { log, spaces, control, revision } = self;
        let mut frames = vec![(Entry::Store { uuid, format: FORMAT }, Vec::new())];
        for (namespace, space) in spaces {
            frames.push((Entry::Create { namespace: namespace.clone() }, Vec::new()));
            for (key, row) in &space.rows {
                let holds =
                    row.value.as_ref().map_or(Holds::Marker, |value| Holds::Value(value.len()));
                let key = data_encoding::HEXLOWER.encode(key.as_bytes());
                let rows = vec![RowEntry { key, version: row.version, holds }];
                let entry = Entry::Rows { namespace: namespace.clone(), rows };
                frames.push((entry, row.value.as_deref().unwrap_or_default().to_vec()));
            }
        }
        for (key, record) in control {
            let entry = Entry::Control { key: key.clone(), there: true, revision: record.revision };
            frames.push((entry, record.value.to_vec()));
        }
        // The last one may have been given to a record that is gone.
        let last = Entry::Control { key: String::new(), there: false, revision: *revision };
        frames.push((last, Vec::new()));
        log.rewrite(folder, frames)
    }

    /// Writes an entry to the log and then to the index.
    pub(crate) fn commit(&mut self, operation: Operation, entry: Entry, body: &[u8]) -> Result<()> {
        self.log.append(operation, &entry, body)?;
        change(&mut self.spaces, entry, body)
    }

    fn commit_control(
        &mut self,
        operation: Operation,
        key: &str,
        record: Option<ControlRecord>,
    ) -> Result<()> {
        let entry = Entry::Control {
            key: key.to_owned(),
            there: record.is_some(),
            revision: record.as_ref().map_or(self.revision, |record| record.revision),
        };
        let value = record.as_ref().map(|record| record.value.clone()).unwrap_or_default();
        self.log.append(operation, &entry, &value)?;
        match record {
            Some(record) => {
                self.revision = record.revision;
                self.control.insert(key.to_owned(), record);
            }
            None => {
                self.control.remove(key);
            }
        }
        Ok(())
    }

    /// The answer where a control record is not the one that was expected.
    fn conflict(&self, key: &str, expect: Expect) -> Option<ControlWritten> {
        let current = self.control.get(key);
        let fits = match (expect, current) {
            (Expect::Absent, None) => true,
            (Expect::Revision(revision), Some(record)) => record.revision == revision,
            _ => false,
        };
        (!fits).then(|| ControlWritten::Conflict { current: current.cloned() })
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore").field("location", &self.identity.location).finish()
    }
}

#[async_trait]
impl Store for LogStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::CreateNamespace;
        let mut inner = self.inner(operation)?;
        if inner.spaces.contains_key(name) {
            let message = format!("the namespace '{name}' exists: open it");
            return Err(fail(ErrorKind::Conflict, operation, message));
        }
        inner.commit(operation, Entry::Create { namespace: name.clone() }, &[])
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let inner = self.inner(Operation::OpenNamespace)?;
        let space = inner.spaces.get(name);
        let id = space.ok_or_else(|| no_namespace(Operation::OpenNamespace, name))?.id;
        let (store, format) = (self.identity.uuid, FORMAT);
        Ok(Arc::new(LogNamespace {
            scope: Scope { store, format, namespace: name.clone() },
            id,
            capabilities: Arc::clone(&self.capabilities),
            shared: Arc::clone(&self.shared),
        }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let inner = self.inner(Operation::ListNamespaces)?;
        Ok(inner.spaces.keys().cloned().map(NamespaceInfo::new).collect())
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::DropNamespace;
        let mut inner = self.inner(operation)?;
        if !inner.spaces.contains_key(name) {
            return Err(no_namespace(operation, name));
        }
        inner.commit(operation, Entry::Drop { namespace: name.clone() }, &[])
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let operation = Operation::ReplaceNamespace;
        if name == staged {
            let message = format!("the namespace '{name}' cannot take its own place");
            return Err(fail(ErrorKind::InvalidInput, operation, message));
        }
        let mut inner = self.inner(operation)?;
        if !inner.spaces.contains_key(staged) {
            return Err(no_namespace(operation, staged));
        }
        let entry = Entry::Replace { namespace: name.clone(), staged: staged.clone() };
        inner.commit(operation, entry, &[])
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
        if key.len() > MAX_CONTROL_KEY_BYTES || value.len() > MAX_CONTROL_VALUE_BYTES {
            let message = "the control record's key or value is too long";
            return Err(fail(ErrorKind::TooLarge, operation, message));
        }
        let mut inner = self.inner(operation)?;
        if let Some(conflict) = inner.conflict(key, expect) {
            return Ok(conflict);
        }
        let revision = inner.revision + 1;
        let record = ControlRecord::new(Bytes::copy_from_slice(value), revision);
        inner.commit_control(operation, key, Some(record))?;
        Ok(ControlWritten::Applied { revision })
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let mut inner = self.inner(Operation::ControlDelete)?;
        if let Some(conflict) = inner.conflict(key, expect) {
            return Ok(conflict);
        }
        if inner.control.contains_key(key) {
            inner.commit_control(Operation::ControlDelete, key, None)?;
        }
        Ok(ControlWritten::Applied { revision: 0 })
    }

    async fn health(&self) -> Result<Health> {
        let inner = self.inner(Operation::Health)?;
        Ok(Health::ready().with_detail("namespaces", inner.spaces.len().to_string()))
    }

    async fn sync(&self) -> Result<Durability> {
        self.inner(Operation::Sync)?.log.sync(Operation::Sync)?;
        Ok(Durability::Power)
    }

    async fn close(&self) -> Result<()> {
        // Dropping the file frees its lock; what was acknowledged is on the disk.
        drop(self.shared.lock().take());
        Ok(())
    }
}
