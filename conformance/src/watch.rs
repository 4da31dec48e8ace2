//! The store as a case sees it: as it is, with a list of the calls that have not come back,
//! for the report of a case that hangs. Where the store is eventual, a read is made when what
//! was written has [settled](crate::settle).
//!
//! Nothing else is changed, which is why this is no policy of a layer: those take batches apart
//! and put the answers together again. A call is on the list from its first poll, or from when
//! what it would read has settled, until its future is done or dropped.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, ControlRecord, ControlWritten, Count,
    CountOptions, Cursor, Delete, Durability, Expect, Health, Key, Namespace, NamespaceInfo,
    NamespaceName, Operation, Put, Range, ReadOptions, Record, RecordView, Result, Scan,
    ScanOptions, ScanStep, Scope, Shown, Store, StoreIdentity, Version, WriteOptions, Written,
};

use crate::settle::Settling;
use crate::verdict::Pending;

/// The calls of one case that have not come back.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    pending: Arc<Mutex<Vec<(u64, Operation, Instant)>>>,
    /// When the last of the parts began that the case has.
    part: Arc<Mutex<Option<Instant>>>,
    pub(crate) settling: Settling,
}

impl Calls {
    fn begin(&self, operation: Operation) -> Call<'_> {
        let mut calls = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let id = calls.last().map_or(0, |(id, ..)| id + 1);
        calls.push((id, operation, Instant::now()));
        Call { calls: self, id, operation }
    }

    /// Another of many parts begins, each of which is a case of its own: how long it may take is
    /// counted from here.
    pub(crate) fn begin_part(&self) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When the part under way began, where there are parts.
    pub(crate) fn part_began(&self) -> Option<Instant> {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is pending now, the oldest first.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let calls = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = calls.iter().map(|(_, operation, since)| Pending {
            operation: operation.as_str(),
            age: since.elapsed(),
        });
        pending.collect()
    }

    /// A store whose calls are on this list, and of which what was written is read so long
    /// afterwards.
    pub(crate) fn watch(&self, inner: Arc<dyn Store>, lag: Duration) -> Arc<dyn Store> {
        Arc::new(Watched { inner, calls: self.clone(), lag })
    }
}

/// A call under way.
struct Call<'a> {
    calls: &'a Calls,
    id: u64,
    operation: Operation,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut calls = self.calls.pending.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|(id, ..)| *id != self.id);
        drop(calls);
        // What a write whose future was dropped had begun may be done until a `sync` ends.
        if matches!(
            self.operation,
            Operation::Put
                | Operation::Delete
                | Operation::Apply
                | Operation::Purge
                | Operation::Sync
        ) {
            self.calls.settling.written();
        }
    }
}

struct Watched<T> {
    inner: T,
    calls: Calls,
    /// How long a read waits after a write.
    lag: Duration,
}

impl<T> Watched<T> {
    /// Begins a read of what was written.
    async fn read(&self, operation: Operation) -> Call<'_> {
        self.calls.settling.settled(self.lag).await;
        self.calls.begin(operation)
    }
}

impl<T: fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Store for Watched<Arc<dyn Store>> {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let _call = self.calls.begin(Operation::CreateNamespace);
        self.inner.create_namespace(name).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let _call = self.calls.begin(Operation::OpenNamespace);
        let inner = self.inner.open_namespace(name).await?;
        Ok(Arc::new(Watched { inner, calls: self.calls.clone(), lag: self.lag }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let _call = self.calls.begin(Operation::ListNamespaces);
        self.inner.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let _call = self.calls.begin(Operation::DropNamespace);
        self.inner.drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let _call = self.calls.begin(Operation::ReplaceNamespace);
        self.inner.replace_namespace(name, staged).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        let _call = self.calls.begin(Operation::ControlGet);
        self.inner.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        let _call = self.calls.begin(Operation::ControlList);
        self.inner.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let _call = self.calls.begin(Operation::ControlSet);
        self.inner.control_set(key, expect, value).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let _call = self.calls.begin(Operation::ControlDelete);
        self.inner.control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        let _call = self.calls.begin(Operation::Health);
        self.inner.health().await
    }

    async fn sync(&self) -> Result<Durability> {
        let _call = self.calls.begin(Operation::Sync);
        self.inner.sync().await
    }

    async fn close(&self) -> Result<()> {
        let _call = self.calls.begin(Operation::Close);
        self.inner.close().await
    }
}

#[async_trait]
impl Namespace for Watched<Arc<dyn Namespace>> {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let _call = self.read(Operation::Get).await;
        self.inner.get(key, options).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let _call = self.read(Operation::GetMany).await;
        self.inner.get_many(keys, options).await
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        let _call = self.read(Operation::Has).await;
        self.inner.has(key, options).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let _call = self.calls.begin(Operation::Put);
        self.inner.put(put, options).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let _call = self.calls.begin(Operation::Delete);
        self.inner.delete(delete, options).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let _call = self.calls.begin(Operation::Apply);
        self.inner.apply(batch, options).await
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        let _call = self.read(Operation::Scan).await;
        let inner = self.inner.scan(options).await?;
        Ok(Box::new(Watched { inner, calls: self.calls.clone(), lag: self.lag }))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let _call = self.calls.begin(Operation::Split);
        self.inner.split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        let _call = self.read(Operation::Count).await;
        self.inner.count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let _call = self.read(Operation::Purge).await;
        self.inner.purge_deleted(before).await
    }
}

#[async_trait]
impl Scan for Watched<Box<dyn Scan>> {
    async fn next(&mut self) -> Result<ScanStep> {
        let _call = self.calls.begin(Operation::Scan);
        self.inner.next().await
    }

    fn show(&mut self, look: &mut dyn FnMut(RecordView<'_>)) -> Option<Result<Shown>> {
        let _call = self.calls.begin(Operation::Scan);
        self.inner.show(look)
    }
}
