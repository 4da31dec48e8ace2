//! A store whose answers can be bent, around a real one.

// Not every test file uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use pinstate_core::layer::{Call, Policy, wrap};
use pinstate_core::namespace::ReadOptions;
use pinstate_core::*;
use pinstate_memory::{MemoryConfig, MemoryStore};

/// What happens to one call of `apply`: the batch, as it came, and the true outcome.
pub type OnApply = Box<dyn FnMut(&[BatchItem], BatchOutcome) -> Result<BatchOutcome> + Send>;
/// What happens to one step of a scan.
pub type OnScan = Box<dyn FnMut(ScanStep) -> Result<ScanStep> + Send>;

#[derive(Default)]
pub struct Bends {
    pub apply: Mutex<Option<OnApply>>,
    pub scan: Mutex<Option<OnScan>>,
}

pub struct Bent {
    inner: Arc<dyn Namespace>,
    bends: Arc<Bends>,
}

impl std::fmt::Debug for Bent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bent")
    }
}

struct BentScan {
    inner: Box<dyn Scan>,
    bends: Arc<Bends>,
    /// How often it was asked to show rows.
    asked: usize,
}

#[async_trait]
impl Scan for BentScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let step = self.inner.next().await?;
        match &mut *self.bends.scan.lock() {
            Some(bend) => bend(step),
            None => Ok(step),
        }
    }

    /// Shows every other page, where nothing is to be bent.
    fn show(&mut self, look: &mut dyn FnMut(RecordView<'_>)) -> Option<Result<Shown>> {
        self.asked += 1;
        if self.asked.is_multiple_of(2) || self.bends.scan.lock().is_some() {
            return None;
        }
        self.inner.show(look)
    }
}

#[async_trait]
impl Namespace for Bent {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.inner.get(key, options).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        self.inner.get_many(keys, options).await
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        self.inner.has(key, options).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        self.inner.put(put, options).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        self.inner.delete(delete, options).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let outcome = self.inner.apply(batch.clone(), options).await?;
        match &mut *self.bends.apply.lock() {
            Some(bend) => bend(&batch, outcome),
            None => Ok(outcome),
        }
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        let inner = self.inner.scan(options).await?;
        Ok(Box::new(BentScan { inner, bends: Arc::clone(&self.bends), asked: 0 }))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.inner.split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.inner.count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        self.inner.purge_deleted(before).await
    }
}

/// A memory store; its namespaces are bent.
#[derive(Debug)]
pub struct BentStore {
    inner: MemoryStore,
    bends: Arc<Bends>,
}

impl std::fmt::Debug for Bends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bends")
    }
}

pub fn bent_store() -> (Arc<dyn Store>, Arc<Bends>) {
    let bends = Arc::new(Bends::default());
    let inner = MemoryStore::open(&MemoryConfig::default()).unwrap();
    (Arc::new(BentStore { inner, bends: Arc::clone(&bends) }), bends)
}

pub async fn namespace(store: &Arc<dyn Store>) -> Arc<dyn Namespace> {
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    store.open_namespace(&name).await.unwrap()
}

#[async_trait]
impl Store for BentStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.inner.create_namespace(name).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let inner = self.inner.open_namespace(name).await?;
        Ok(Arc::new(Bent { inner, bends: Arc::clone(&self.bends) }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.inner.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.inner.drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        self.inner.replace_namespace(name, staged).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.inner.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.inner.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        self.inner.control_set(key, expect, value).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        self.inner.control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        self.inner.health().await
    }

    async fn sync(&self) -> Result<Durability> {
        self.inner.sync().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    fn gauges(&self) -> Vec<(Gauge, f64)> {
        vec![(Gauge::Requests, 7.0)]
    }
}

/// Begins to answer after so many attempts, of which the first never ends.
#[derive(Debug)]
struct Late {
    attempts: AtomicUsize,
    well_from: usize,
}

impl Policy for Late {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        if call.operation != Operation::Put {
            return attempt().await;
        }
        match self.attempts.fetch_add(1, Ordering::Relaxed) {
            n if n >= self.well_from => attempt().await,
            0 => std::future::pending().await,
            _ => Err(Error::new(ErrorKind::Unavailable, call.operation, "not yet")
                .with_outcome(Outcome::NotApplied)),
        }
    }
}

/// A store that keeps the first attempt at a put for ever, refuses the next ones, and takes the one
/// after so many.
pub fn late(well_from: usize) -> Arc<dyn Store> {
    wrap(bent_store().0, Late { attempts: AtomicUsize::new(0), well_from })
}

/// A put of `value`.
pub fn put(key: &str, version: i64) -> Put {
    Put::new(Key::copy_from(key.as_bytes()), "value", Version(version))
}
