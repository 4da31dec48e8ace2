//! A small store in a folder: what is in it is held in memory, and logged before that.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, CheckedScan, ControlRecord,
    ControlWritten, Count, CountOptions, Cursor, Delete, Durability, Error, ErrorKind, Expect,
    Health, Key, Namespace, NamespaceInfo, NamespaceName, Operation, Outcome, Precondition, Put,
    Range, ReadOptions, Record, Result, Scan, ScanOptions, Scope, Store, StoreIdentity, Version,
    WriteOptions, Written,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use tokio::sync::{Mutex, MutexGuard};

use crate::Bug;
use crate::log::{Condition, DAMAGED, Item, Log, Op, Value, corrupt, failed};
use crate::marker::FORMAT;

/// The log, or why there is none any more.
#[derive(Debug)]
enum Files {
    Open(Log),
    /// A write failed, and what came after it would not be safe.
    Poisoned,
    Closed,
}

#[derive(Debug)]
pub(crate) struct FileStore {
    inner: Arc<dyn Store>,
    identity: StoreIdentity,
    capabilities: Arc<Capabilities>,
    files: Arc<Mutex<Files>>,
}

fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store is closed, or a write of it failed")
        .with_outcome(Outcome::NotApplied)
}

impl FileStore {
    pub(crate) async fn open(folder: &Path, create: bool, bug: Bug) -> Result<Self> {
        let (log, uuid, ops) = Log::open(folder, create, bug)?;
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
        let mut capabilities = inner.capabilities().clone();
        capabilities.persistent = true;
        capabilities.exclusive_open = true;
        capabilities.sync_durability = Durability::Power;
        capabilities.ack_durability = match bug {
            Bug::WritesBehind | Bug::SyncDoesNothing => Durability::None,
            _ => Durability::Power,
        };
        capabilities.detects_damage = true;
        for op in ops {
            // What was refused then is refused again.
            let _ = apply(&*inner, op).await;
        }
        Ok(Self {
            identity: StoreIdentity::new(uuid, "file", FORMAT, folder.display().to_string()),
            inner,
            capabilities: Arc::new(capabilities),
            files: Arc::new(Mutex::new(Files::Open(log))),
        })
    }

    async fn check(&self, operation: Operation) -> Result<()> {
        match &*self.files.lock().await {
            Files::Closed => Err(closed(operation)),
            _ => Ok(()),
        }
    }
}

/// Logs an operation; what is done while the guard is held comes in the order of the log.
async fn logged(
    files: &Mutex<Files>,
    op: Op,
    operation: Operation,
) -> Result<MutexGuard<'_, Files>> {
    let mut guard = files.lock().await;
    let Files::Open(log) = &mut *guard else { return Err(closed(operation)) };
    if let Err(error) = log.append(op) {
        *guard = Files::Poisoned;
        return Err(failed(error, operation).with_outcome(Outcome::Unknown));
    }
    Ok(guard)
}

async fn apply(inner: &dyn Store, op: Op) -> Result<()> {
    match op {
        Op::Create(name) => inner.create_namespace(&name.parse()?).await,
        Op::Drop(name) => inner.drop_namespace(&name.parse()?).await,
        Op::Replace(name, staged) => {
            inner.replace_namespace(&name.parse()?, &staged.parse()?).await
        }
        Op::Purge(name, before) => {
            let rows = inner.open_namespace(&name.parse()?).await?;
            rows.purge_deleted(Version(before)).await.map(drop)
        }
        Op::Control { key, revision, value } => {
            let expect = revision.map_or(Expect::Absent, Expect::Revision);
            match value {
                Some(value) => inner.control_set(&key, expect, &value).await.map(drop),
                None => inner.control_delete(&key, expect).await.map(drop),
            }
        }
        Op::Write { namespace, items, condition, atomic } => {
            let rows = inner.open_namespace(&namespace.parse()?).await?;
            let precondition = match condition {
                Condition::None => Precondition::None,
                Condition::IfNewer => Precondition::IfNewer,
                Condition::IfAbsent => Precondition::IfAbsent,
                Condition::IfVersion(version) => Precondition::IfVersion(Version(version)),
            };
            let batch: Vec<BatchItem> = items.into_iter().map(batch_item).collect();
            if atomic {
                return rows.apply(batch, BatchOptions::atomic()).await.map(drop);
            }
            for item in batch {
                let options = WriteOptions::new().with_precondition(precondition);
                let _ = match item {
                    BatchItem::Put(put) => rows.put(put, options).await,
                    BatchItem::Delete(delete) => rows.delete(delete, options).await,
                };
            }
            Ok(())
        }
    }
}

fn batch_item(item: Item) -> BatchItem {
    let (key, version) = (Key::new(item.key), Version(item.version));
    match item.value {
        Some(Value::Given(value)) => Put::new(key, value, version).into(),
        _ => Delete::new(key, version).into(),
    }
}

fn item(from: &BatchItem) -> Item {
    let (version, value) = match from {
        BatchItem::Put(put) => (put.version, Some(Value::Given(put.value.to_vec()))),
        BatchItem::Delete(delete) => (delete.version, None),
    };
    Item { key: from.key().as_bytes().to_vec(), version: version.0, value }
}

fn revision(expect: Expect) -> Option<u64> {
    match expect {
        Expect::Absent => None,
        Expect::Revision(revision) => Some(revision),
    }
}

#[async_trait]
impl Store for FileStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let op = Op::Create(name.to_string());
        let _log = logged(&self.files, op, Operation::CreateNamespace).await?;
        self.inner.create_namespace(name).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        self.check(Operation::OpenNamespace).await?;
        let inner = self.inner.open_namespace(name).await?;
        Ok(Arc::new(FileNamespace {
            inner,
            name: name.to_string(),
            capabilities: Arc::clone(&self.capabilities),
            files: Arc::clone(&self.files),
        }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.check(Operation::ListNamespaces).await?;
        self.inner.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let op = Op::Drop(name.to_string());
        let _log = logged(&self.files, op, Operation::DropNamespace).await?;
        self.inner.drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let op = Op::Replace(name.to_string(), staged.to_string());
        let _log = logged(&self.files, op, Operation::ReplaceNamespace).await?;
        self.inner.replace_namespace(name, staged).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.check(Operation::ControlGet).await?;
        self.inner.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.check(Operation::ControlList).await?;
        self.inner.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let (revision, value_) = (revision(expect), Some(value.to_vec()));
        let op = Op::Control { key: key.to_owned(), revision, value: value_ };
        let _log = logged(&self.files, op, Operation::ControlSet).await?;
        self.inner.control_set(key, expect, value).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let op = Op::Control { key: key.to_owned(), revision: revision(expect), value: None };
        let _log = logged(&self.files, op, Operation::ControlDelete).await?;
        self.inner.control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        match &*self.files.lock().await {
            Files::Open(_) => Ok(Health::ready()),
            Files::Poisoned => Ok(Health::not_ready("a write failed: open the store again")),
            Files::Closed => Err(closed(Operation::Health)),
        }
    }

    async fn sync(&self) -> Result<Durability> {
        let mut files = self.files.lock().await;
        let Files::Open(log) = &mut *files else { return Err(closed(Operation::Sync)) };
        if let Err(error) = log.barrier() {
            *files = Files::Poisoned;
            return Err(failed(error, Operation::Sync));
        }
        Ok(Durability::Power)
    }

    async fn close(&self) -> Result<()> {
        match std::mem::replace(&mut *self.files.lock().await, Files::Closed) {
            Files::Open(mut log) => log.flush().map_err(|error| failed(error, Operation::Close)),
            _ => Ok(()),
        }
    }
}

/// The record, unless its value was damaged in the files.
fn undamaged(record: Option<Record>) -> Result<Option<Record>> {
    match record {
        Some(record) if record.value == DAMAGED => {
            Err(corrupt("a value is damaged").with_key(record.key))
        }
        record => Ok(record),
    }
}

#[derive(Debug)]
struct FileNamespace {
    inner: Arc<dyn Namespace>,
    name: String,
    capabilities: Arc<Capabilities>,
    files: Arc<Mutex<Files>>,
}

impl FileNamespace {
    async fn check(&self, operation: Operation) -> Result<()> {
        match &*self.files.lock().await {
            Files::Closed => Err(closed(operation)),
            _ => Ok(()),
        }
    }

    fn op(&self, items: Vec<Item>, precondition: Precondition, atomic: bool) -> Op {
        let condition = match precondition {
            Precondition::IfNewer => Condition::IfNewer,
            Precondition::IfAbsent => Condition::IfAbsent,
            Precondition::IfVersion(version) => Condition::IfVersion(version.0),
            _ => Condition::None,
        };
        Op::Write { namespace: self.name.clone(), items, condition, atomic }
    }
}

#[async_trait]
impl Namespace for FileNamespace {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.check(Operation::Get).await?;
        self.inner.get(key, options).await.and_then(undamaged)
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        self.check(Operation::GetMany).await?;
        let found = self.inner.get_many(keys, options).await?;
        Ok(found.into_iter().map(|record| record.and_then(undamaged)).collect())
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        self.check(Operation::Has).await?;
        let found = self.inner.get(key, options).await?;
        Ok(found.is_some_and(|record| undamaged(Some(record)).is_ok()))
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let items = vec![item(&put.clone().into())];
        let op = self.op(items, options.precondition, false);
        let _log = logged(&self.files, op, Operation::Put).await?;
        self.inner.put(put, options).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let items = vec![item(&delete.clone().into())];
        let op = self.op(items, options.precondition, false);
        let _log = logged(&self.files, op, Operation::Delete).await?;
        self.inner.delete(delete, options).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let precondition =
            if options.if_newer { Precondition::IfNewer } else { Precondition::None };
        let atomic = options == BatchOptions::atomic();
        let op = self.op(batch.iter().map(item).collect(), precondition, atomic);
        let _log = logged(&self.files, op, Operation::Apply).await?;
        self.inner.apply(batch, options).await
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.check(Operation::Scan).await?;
        let mut all = CheckedScan::new(self.inner.scan(ScanOptions::new()).await?);
        while let Some(page) = all.next_page().await? {
            page.items.into_iter().flatten().try_for_each(|row| undamaged(Some(row)).map(drop))?;
        }
        self.inner.scan(options).await
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.check(Operation::Split).await?;
        self.inner.split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.check(Operation::Count).await?;
        self.inner.count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let op = Op::Purge(self.name.clone(), before.0);
        let _log = logged(&self.files, op, Operation::Purge).await?;
        self.inner.purge_deleted(before).await
    }
}
