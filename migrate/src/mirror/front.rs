//! The mirror as a store and a namespace like any other.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, ControlRecord, ControlWritten,
    Count, CountOptions, Cursor, Delete, Durability, Error, ErrorKind, Expect, Health, Key,
    Namespace, NamespaceInfo, NamespaceName, Operation, Outcome, Precondition, Put, Range,
    ReadOptions, Record, Result, Scan, ScanOptions, Scope, Store, StoreIdentity, Version,
    WriteOptions, Written,
};

use super::Inner;
use super::side::Pair;

/// The store that answers now. Its clock's marks are what a clock of the mirror writes.
#[derive(Debug)]
pub(super) struct FrontStore {
    pub(super) pair: Arc<Pair>,
    pub(super) capabilities: Capabilities,
    /// Not kept alive by it: the mirror's own clock stands on one.
    pub(super) inner: Weak<Inner>,
}

impl FrontStore {
    fn now(&self) -> &dyn Store {
        &*self.pair.primary().store
    }

    fn is_mirrored(&self, name: &NamespaceName) -> bool {
        self.pair.primary().name == *name
    }

    fn not_mirrored(&self, name: &NamespaceName, operation: Operation) -> Result<()> {
        if self.is_mirrored(name) {
            let what = "the namespace is being mirrored: finalise or abort the mirror first";
            return Err(
                Error::new(ErrorKind::Conflict, operation, what).with_context("namespace", name)
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FrontStore {
    fn identity(&self) -> &StoreIdentity {
        self.now().identity()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.now().create_namespace(name).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        if !self.is_mirrored(name) {
            return self.now().open_namespace(name).await;
        }
        let closed = || Error::new(ErrorKind::Closed, Operation::OpenNamespace, "it was closed");
        let inner = self.inner.upgrade().ok_or_else(closed)?;
        Ok(Arc::new(FrontNamespace { inner }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.now().list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.not_mirrored(name, Operation::DropNamespace)?;
        self.now().drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        self.not_mirrored(name, Operation::ReplaceNamespace)?;
        self.not_mirrored(staged, Operation::ReplaceNamespace)?;
        self.now().replace_namespace(name, staged).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.now().control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.now().control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        self.now().control_set(key, expect, value).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        self.now().control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        self.now().health().await
    }

    async fn sync(&self) -> Result<Durability> {
        self.now().sync().await
    }

    async fn close(&self) -> Result<()> {
        let primary = self.pair.phase().primary();
        let of = |role| self.pair.side(role).store.close();
        let (first, second) = futures::join!(of(primary), of(primary.other()));
        first.and(second)
    }
}

/// The namespace that is mirrored.
#[derive(Debug)]
pub(super) struct FrontNamespace {
    pub(super) inner: Arc<Inner>,
}

impl FrontNamespace {
    fn now(&self) -> &dyn Namespace {
        &*self.inner.pair.primary().namespace
    }

    async fn one(&self, item: BatchItem, options: WriteOptions, of: Operation) -> Result<Written> {
        let if_newer = match options.precondition {
            Precondition::None => false,
            Precondition::IfNewer => true,
            // What holds on one store need not on the other.
            _ => {
                let what = "a mirror takes writes without a condition, and 'if newer'";
                return Err(Error::unsupported(of, what));
            }
        };
        let none =
            || Error::new(ErrorKind::Internal, of, "the store gave no answer for this write");
        let mut results = self.inner.write(vec![item], if_newer, of).await?;
        results.pop().ok_or_else(none)?
    }
}

#[async_trait]
impl Namespace for FrontNamespace {
    fn scope(&self) -> &Scope {
        self.now().scope()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let record = self.now().get(key, options).await?;
        self.inner.shadow(key);
        Ok(record)
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let records = self.now().get_many(keys, options).await?;
        for key in keys {
            self.inner.shadow(key);
        }
        Ok(records)
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        self.now().has(key, options).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        self.one(put.into(), options, Operation::Put).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        self.one(delete.into(), options, Operation::Delete).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        options.check()?;
        if options.atomicity != Atomicity::PerItem {
            let what = "a mirror writes to two stores, so its batches are not atomic";
            return Err(Error::unsupported(Operation::Apply, what));
        }
        let results = self.inner.write(batch, options.if_newer, Operation::Apply).await?;
        Ok(BatchOutcome::new(results))
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.now().scan(options).await
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.now().cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.now().split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.now().count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        if self.inner.pair.phase().mirrors() {
            let what = "the markers of deletes are needed until the mirror is finalised";
            return Err(Error::new(ErrorKind::Conflict, Operation::Purge, what)
                .with_outcome(Outcome::NotApplied));
        }
        self.now().purge_deleted(before).await
    }
}
