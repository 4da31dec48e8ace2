//! Stores to move pins between, and a store that fails as it is told.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::layer::Layers;
use pinstate_core::pin::{Cid, Pin, encode};
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, CheckedScan, Clock, ClockOptions,
    ControlRecord, ControlWritten, Count, CountOptions, Cursor, Delete, Durability, Expect, Health,
    Key, Namespace, NamespaceInfo, NamespaceName, Put, Range, ReadOptions, Record, Result, Scan,
    ScanOptions, Scope, Store, StoreIdentity, Version, WriteOptions, Written,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_migrate::job::{StoreSource, Target};
use pinstate_sled::{SledConfig, SledStore};

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap())
}

pub(crate) async fn sled(folder: &Path) -> Arc<dyn Store> {
    let config = SledConfig::new(folder).create();
    Layers::standard().apply(Arc::new(SledStore::open(&config).await.unwrap()))
}

pub(crate) fn default() -> NamespaceName {
    NamespaceName::default()
}

/// The namespace of this name, made if it is not there.
pub(crate) async fn namespace(store: &Arc<dyn Store>, name: &NamespaceName) -> Arc<dyn Namespace> {
    if let Ok(namespace) = store.open_namespace(name).await {
        return namespace;
    }
    store.create_namespace(name).await.unwrap();
    store.open_namespace(name).await.unwrap()
}

pub(crate) fn cid(n: u64) -> Cid {
    // CIDv1, raw, SHA-256: what most pins have.
    let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
    let mut random = fastrand::Rng::with_seed(n);
    bytes.extend((0..32).map(|_| random.u8(..)));
    Cid::from_bytes(&bytes).unwrap()
}

pub(crate) fn pin(n: u64) -> Pin {
    let mut pin = Pin::new(cid(n));
    pin.name = format!("pin {n}");
    pin.replication_factor_min = 1;
    pin.replication_factor_max = 3;
    pin.metadata.insert("team".to_owned(), format!("t{}", n % 3));
    pin
}

pub(crate) fn record(n: u64) -> (Key, Vec<u8>) {
    let pin = pin(n);
    let mut value = Vec::new();
    encode(&pin, &mut value);
    (Key::copy_from(pin.cid.as_bytes()), value)
}

/// Puts pins into the default namespace of a store.
pub(crate) async fn fill(store: &Arc<dyn Store>, pins: std::ops::Range<u64>) {
    let namespace = namespace(store, &default()).await;
    let clock = Clock::open(Arc::clone(store), ClockOptions::new()).await.unwrap();
    for group in pins.collect::<Vec<_>>().chunks(1_000) {
        let first = clock.draw_many(group.len()).await.unwrap().micros();
        let items = group.iter().zip(first..).map(|(n, version)| {
            let (key, value) = record(*n);
            BatchItem::Put(Put::new(key, value, Version(version)))
        });
        let outcome = namespace.apply(items.collect(), BatchOptions::new()).await.unwrap();
        outcome.into_result().unwrap();
    }
}

/// Everything in a namespace: values and versions.
pub(crate) async fn all(
    store: &Arc<dyn Store>,
    name: &NamespaceName,
) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
    let namespace = store.open_namespace(name).await.unwrap();
    let scan = namespace.scan(ScanOptions::new()).await.unwrap();
    let items = CheckedScan::new(scan).collect().await.unwrap();
    let one = |record: Record| {
        (record.key.as_bytes().to_vec(), (record.value.to_vec(), record.version.micros()))
    };
    items.into_iter().map(|item| one(item.unwrap())).collect()
}

pub(crate) async fn source(store: &Arc<dyn Store>) -> Arc<StoreSource> {
    let namespace = namespace(store, &default()).await;
    Arc::new(StoreSource::new(Arc::clone(store), namespace, "the source"))
}

pub(crate) fn target(store: &Arc<dyn Store>) -> Target {
    Target::new(Arc::clone(store), default(), "the target")
}

/// What happens before a batch reaches the store, and to its answer.
pub(crate) trait Fault: Send + Sync {
    /// Before: an error keeps the batch from the store.
    fn before(&self, _batch: &[BatchItem]) -> Result<()> {
        Ok(())
    }

    /// After: may take the answer away.
    fn after(&self, outcome: BatchOutcome) -> Result<BatchOutcome> {
        Ok(outcome)
    }

    /// Before a sync.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// A store whose batches and syncs fail as told.
pub(crate) struct Faulty<F> {
    inner: Arc<dyn Store>,
    fault: Arc<F>,
}

impl<F: Fault + 'static> Faulty<F> {
    pub(crate) fn store(inner: &Arc<dyn Store>, fault: &Arc<F>) -> Arc<dyn Store> {
        Arc::new(Self { inner: Arc::clone(inner), fault: Arc::clone(fault) })
    }
}

impl<F> fmt::Debug for Faulty<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl<F: Fault + 'static> Store for Faulty<F> {
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
        Ok(Arc::new(FaultyNamespace { inner, fault: Arc::clone(&self.fault) }))
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
        self.fault.sync()?;
        self.inner.sync().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

struct FaultyNamespace<F> {
    inner: Arc<dyn Namespace>,
    fault: Arc<F>,
}

impl<F> fmt::Debug for FaultyNamespace<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyNamespace")
    }
}

#[async_trait]
impl<F: Fault + 'static> Namespace for FaultyNamespace<F> {
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
        self.fault.before(&batch)?;
        self.fault.after(self.inner.apply(batch, options).await?)
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.inner.scan(options).await
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
