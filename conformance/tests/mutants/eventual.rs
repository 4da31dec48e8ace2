//! Stores that are eventual: one copy of them is written to, another one is read, and what was
//! written comes to it later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, Consistency, ControlRecord,
    ControlWritten, Count, CountOptions, Cursor, Delete, Durability, Expect, Health, Key,
    Namespace, NamespaceInfo, NamespaceName, Put, Range, ReadOptions, Record, Result, Scan,
    ScanOptions, Scope, Store, StoreIdentity, Version, WriteOptions, Written,
};
use pinstate_memory::{MemoryConfig, MemoryStore};

use crate::Bug;

/// How far behind the copy is that is read. The suite waits so long some two thousand times,
/// so this is a small one.
pub(crate) const BEHIND: Duration = Duration::from_millis(5);

/// Readings in a row after which one shows what was written that settles late: too many to come
/// by chance while clients write, whatever the time.
const LATE: u64 = 40;

/// The store, where it is one of this room.
pub(crate) fn store(bug: Bug) -> Result<Option<Arc<dyn Store>>> {
    let settle = match bug {
        Bug::Eventual | Bug::SettlesLate | Bug::SettlesOnOlder => Some(BEHIND),
        Bug::InTheEnd => None,
        _ => return Ok(None),
    };
    let open = || MemoryStore::open(&MemoryConfig::default());
    let (written, read) = (Arc::new(open()?), Arc::new(open()?));
    let mut capabilities = read.capabilities().clone();
    capabilities.consistency = Consistency::Eventual { settle };
    let log = Log { bug, waiting: Default::default(), asked: AtomicU64::new(0) };
    Ok(Some(Arc::new(Eventual { written, read, capabilities, log: Arc::new(log) })))
}

/// What has not come to the copy that is read.
#[derive(Debug)]
struct Log {
    bug: Bug,
    /// Held while a write is made, too, so that both copies see the same order. A copy in memory
    /// never lets its caller wait, so that nobody is dropped between a write and its entry.
    waiting: tokio::sync::Mutex<VecDeque<Entry>>,
    /// Readings since the last write.
    asked: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    /// In the copy that is read.
    namespace: Arc<dyn Namespace>,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Put(Put, WriteOptions),
    Delete(Delete, WriteOptions),
    Batch(Vec<BatchItem>, BatchOptions),
    Purge(Version),
}

/// What waits is the store's own, and keeps no memory of the caller's.
fn copied(mut put: Put) -> Put {
    put.key = Key::copy_from(put.key.as_bytes());
    put.value = Bytes::copy_from_slice(&put.value);
    put
}

impl Change {
    fn key(&self) -> Option<&Key> {
        match self {
            Self::Put(put, _) => Some(&put.key),
            Self::Delete(delete, _) => Some(&delete.key),
            Self::Batch(..) | Self::Purge(_) => None,
        }
    }
}

impl Entry {
    /// Comes to the same as it did in the other copy, and so to the same error.
    async fn arrive(self) {
        match self.change {
            Change::Put(put, options) => drop(self.namespace.put(put, options).await),
            Change::Delete(delete, options) => drop(self.namespace.delete(delete, options).await),
            Change::Batch(batch, options) => drop(self.namespace.apply(batch, options).await),
            Change::Purge(before) => drop(self.namespace.purge_deleted(before).await),
        }
    }
}

impl Log {
    /// Lets arrive what is due, before something is read.
    async fn read(&self) {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.bug == Bug::SettlesLate && asked < LATE {
            return;
        }
        let mut waiting = self.waiting.lock().await;
        let now = Instant::now();
        while waiting.front().is_some_and(|entry| entry.due <= now) {
            if let Some(entry) = waiting.pop_front() {
                entry.arrive().await;
            }
        }
    }

    /// Lets everything arrive.
    async fn all(&self) {
        for entry in self.waiting.lock().await.drain(..) {
            entry.arrive().await;
        }
    }

    /// Makes a write, which will be seen.
    async fn write<T>(
        &self,
        namespace: &Copies,
        change: Change,
        write: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut waiting = self.waiting.lock().await;
        let done = write.await?;
        self.asked.store(0, Ordering::SeqCst);
        let scope = namespace.read.scope();
        let same =
            |entry: &Entry| entry.change.key() == change.key() && entry.namespace.scope() == scope;
        if self.bug == Bug::SettlesOnOlder && change.key().is_some() && waiting.iter().any(same) {
            return Ok(done);
        }
        let (due, namespace) = (Instant::now() + BEHIND, Arc::clone(&namespace.read));
        waiting.push_back(Entry { due, namespace, change });
        Ok(done)
    }
}

#[derive(Debug)]
struct Eventual {
    written: Arc<MemoryStore>,
    read: Arc<MemoryStore>,
    capabilities: Capabilities,
    log: Arc<Log>,
}

#[async_trait]
impl Store for Eventual {
    fn identity(&self) -> &StoreIdentity {
        self.read.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.written.create_namespace(name).await?;
        self.read.create_namespace(name).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        Ok(Arc::new(Copies {
            written: self.written.open_namespace(name).await?,
            read: self.read.open_namespace(name).await?,
            capabilities: self.capabilities.clone(),
            log: Arc::clone(&self.log),
        }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.written.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.written.drop_namespace(name).await?;
        self.read.drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        self.log.all().await;
        self.written.replace_namespace(name, staged).await?;
        self.read.replace_namespace(name, staged).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.written.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.written.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        self.written.control_set(key, expect, value).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        self.written.control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        self.written.health().await
    }

    async fn sync(&self) -> Result<Durability> {
        self.written.sync().await
    }

    async fn close(&self) -> Result<()> {
        self.written.close().await?;
        self.read.close().await
    }
}

/// One namespace in both copies.
#[derive(Debug)]
struct Copies {
    written: Arc<dyn Namespace>,
    read: Arc<dyn Namespace>,
    capabilities: Capabilities,
    log: Arc<Log>,
}

impl Copies {
    /// The copy that a reading of records meets: the one that is behind, or, every third time,
    /// the one that is written to, so that newer and older ones are read by turns.
    async fn one(&self) -> &Arc<dyn Namespace> {
        self.log.read().await;
        if self.log.asked.load(Ordering::SeqCst).is_multiple_of(3) {
            &self.written
        } else {
            &self.read
        }
    }
}

#[async_trait]
impl Namespace for Copies {
    fn scope(&self) -> &Scope {
        self.read.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.one().await.get(key, options).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        self.one().await.get_many(keys, options).await
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        self.one().await.has(key, options).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let change = Change::Put(copied(put.clone()), options);
        self.log.write(self, change, self.written.put(put, options)).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let change = Change::Delete(delete.clone(), options);
        self.log.write(self, change, self.written.delete(delete, options)).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let own = |item: &BatchItem| match item.clone() {
            BatchItem::Put(put) => copied(put).into(),
            delete => delete,
        };
        let change = Change::Batch(batch.iter().map(own).collect(), options);
        self.log.write(self, change, self.written.apply(batch, options)).await
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.log.read().await;
        self.read.scan(options).await
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.read.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.log.read().await;
        self.read.split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.log.read().await;
        self.read.count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let change = Change::Purge(before);
        self.log.write(self, change, self.written.purge_deleted(before)).await
    }
}
