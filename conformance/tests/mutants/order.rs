//! Odd but right: stores that keep their records in another order, or hand them out in other
//! portions. Only a store that declares an order has to keep one.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, Count, CountOptions, Cursor, Delete,
    Error, Key, Namespace, Put, Range, ReadOptions, Record, Result, Scan, ScanOptions, ScanStep,
    Scope, Version, WriteOptions, Written,
};

use crate::Bug;

/// Bytes before a key that is kept by its hash.
const HASH: usize = 4;

/// The powers of such a store.
pub(crate) fn declared(bug: Bug, capabilities: &mut Capabilities) {
    if matches!(bug, Bug::HashOrder | Bug::BackwardOrder) {
        capabilities.ordered_scan = false;
    }
    if bug == Bug::HashOrder {
        capabilities.max_key_bytes -= HASH as u64;
    }
}

/// The namespace as it is, or in another order.
pub(crate) fn around(
    inner: Arc<dyn Namespace>,
    capabilities: &Capabilities,
    bug: Bug,
) -> Arc<dyn Namespace> {
    if !matches!(bug, Bug::HashOrder | Bug::BackwardOrder | Bug::InSevens) {
        return inner;
    }
    Arc::new(Ordered { inner, capabilities: capabilities.clone(), bug })
}

#[derive(Debug)]
struct Ordered {
    inner: Arc<dyn Namespace>,
    capabilities: Capabilities,
    bug: Bug,
}

/// The key under which a record is kept.
fn kept(bug: Bug, key: &Key) -> Key {
    let bytes = key.as_bytes();
    match bug {
        Bug::HashOrder => {
            let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
            Key::new([&hash.to_be_bytes()[..], bytes].concat())
        }
        Bug::BackwardOrder => Key::new(bytes.iter().map(|byte| !byte).collect::<Vec<u8>>()),
        _ => key.clone(),
    }
}

/// The key of a record that was found.
fn shown(bug: Bug, key: &Key) -> Key {
    match bug {
        Bug::HashOrder => Key::copy_from(key.as_bytes().get(HASH..).unwrap_or_default()),
        // Twice is as it was.
        _ => kept(bug, key),
    }
}

impl Ordered {
    fn kept(&self, key: &Key) -> Key {
        kept(self.bug, key)
    }

    fn item(&self, mut item: BatchItem) -> BatchItem {
        let key = self.kept(item.key());
        match &mut item {
            BatchItem::Put(put) => put.key = key,
            BatchItem::Delete(delete) => delete.key = key,
        }
        item
    }
}

fn named<T>(result: Result<T>, key: Key) -> Result<T> {
    result.map_err(|error: Error| error.with_key(key))
}

#[async_trait]
impl Namespace for Ordered {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let found = named(self.inner.get(&self.kept(key), options).await, key.clone())?;
        Ok(found.map(|mut record| {
            record.key = key.clone();
            record
        }))
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let mut results = Vec::new();
        for key in keys {
            results.push(self.get(key, options).await);
        }
        Ok(results)
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        named(self.inner.has(&self.kept(key), options).await, key.clone())
    }

    async fn put(&self, mut put: Put, options: WriteOptions) -> Result<Written> {
        let key = put.key.clone();
        put.key = self.kept(&key);
        named(self.inner.put(put, options).await, key)
    }

    async fn delete(&self, mut delete: Delete, options: WriteOptions) -> Result<Written> {
        let key = delete.key.clone();
        delete.key = self.kept(&key);
        named(self.inner.delete(delete, options).await, key)
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let keys: Vec<Key> = batch.iter().map(|item| item.key().clone()).collect();
        let batch = batch.into_iter().map(|item| self.item(item)).collect();
        let outcome = self.inner.apply(batch, options).await?;
        let outcomes = outcome.items.into_iter().zip(keys).map(|(item, key)| named(item, key));
        Ok(BatchOutcome::new(outcomes.collect()))
    }

    async fn scan(&self, mut options: ScanOptions) -> Result<Box<dyn Scan>> {
        if self.bug == Bug::InSevens {
            options.page_rows = options.page_rows.clamp(1, 7);
        }
        let inner = self.inner.scan(options).await?;
        Ok(Box::new(OrderedScan { inner, bug: self.bug }))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(&self.kept(key))
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

struct OrderedScan {
    inner: Box<dyn Scan>,
    bug: Bug,
}

#[async_trait]
impl Scan for OrderedScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let mut step = self.inner.next().await?;
        if let ScanStep::Page(page) = &mut step {
            for record in page.items.iter_mut().flatten() {
                record.key = shown(self.bug, &record.key);
                // Fresh ones, as of a store that decodes what it reads.
                record.value = Bytes::copy_from_slice(&record.value);
            }
        }
        Ok(step)
    }
}
