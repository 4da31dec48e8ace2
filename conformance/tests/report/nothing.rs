//! What a backend that was never written, or is wired to nothing, may look like: every call
//! succeeds, and nothing is ever there.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, ControlRecord, ControlWritten, Count,
    CountOptions, Cursor, Delete, Durability, Expect, Health, Key, Namespace, NamespaceInfo,
    NamespaceName, Put, Range, ReadOptions, Record, Result, Scan, ScanEnd, ScanOptions, ScanStep,
    Scope, Store, StoreIdentity, Version, WriteOptions, Written,
};

#[derive(Clone, Debug)]
pub(crate) struct Nothing {
    identity: StoreIdentity,
    capabilities: Capabilities,
    scope: Scope,
}

impl Nothing {
    pub(crate) fn new() -> Self {
        let uuid = uuid::Uuid::nil();
        Self {
            identity: StoreIdentity::new(uuid, "nothing", 1, "nowhere"),
            capabilities: Capabilities::minimal(),
            scope: Scope { store: uuid, format: 1, namespace: NamespaceName::default() },
        }
    }
}

#[async_trait]
impl Store for Nothing {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, _: &NamespaceName) -> Result<()> {
        Ok(())
    }

    async fn open_namespace(&self, _: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        Ok(Arc::new(self.clone()))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        Ok(Vec::new())
    }

    async fn drop_namespace(&self, _: &NamespaceName) -> Result<()> {
        Ok(())
    }

    async fn replace_namespace(&self, _: &NamespaceName, _: &NamespaceName) -> Result<()> {
        Ok(())
    }

    async fn control_get(&self, _: &str) -> Result<Option<ControlRecord>> {
        Ok(None)
    }

    async fn control_list(&self, _: &str) -> Result<Vec<(String, ControlRecord)>> {
        Ok(Vec::new())
    }

    async fn control_set(&self, _: &str, _: Expect, _: &[u8]) -> Result<ControlWritten> {
        Ok(ControlWritten::Applied { revision: 1 })
    }

    async fn control_delete(&self, _: &str, _: Expect) -> Result<ControlWritten> {
        Ok(ControlWritten::Applied { revision: 0 })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::ready())
    }

    async fn sync(&self) -> Result<Durability> {
        Ok(Durability::None)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Namespace for Nothing {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, _: &Key, _: ReadOptions) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn get_many(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Record>>>> {
        Ok(keys.iter().map(|_| Ok(None)).collect())
    }

    async fn has(&self, _: &Key, _: ReadOptions) -> Result<bool> {
        Ok(false)
    }

    async fn put(&self, _: Put, _: WriteOptions) -> Result<Written> {
        Ok(Written::Applied)
    }

    async fn delete(&self, _: Delete, _: WriteOptions) -> Result<Written> {
        Ok(Written::Applied)
    }

    async fn apply(&self, batch: Vec<BatchItem>, _: BatchOptions) -> Result<BatchOutcome> {
        Ok(BatchOutcome::new(batch.iter().map(|_| Ok(Written::Applied)).collect()))
    }

    async fn scan(&self, _: ScanOptions) -> Result<Box<dyn Scan>> {
        Ok(Box::new(self.clone()))
    }

    fn cursor_after(&self, _: &Key) -> Cursor {
        Cursor { range: self.whole(), position: Bytes::new() }
    }

    async fn split(&self, _: usize) -> Result<Vec<Range>> {
        Ok(vec![self.whole()])
    }

    async fn count(&self, _: CountOptions) -> Result<Count> {
        Ok(Count::Exact(0))
    }

    async fn purge_deleted(&self, _: Version) -> Result<u64> {
        Ok(0)
    }
}

impl Nothing {
    fn whole(&self) -> Range {
        Range { scope: self.scope.clone(), start: None, end: None }
    }
}

#[async_trait]
impl Scan for Nothing {
    async fn next(&mut self) -> Result<ScanStep> {
        Ok(ScanStep::End(ScanEnd::new(0)))
    }
}
