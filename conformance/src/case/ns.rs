//! A namespace, as cases work with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Clock, Count, CountOptions, Delete, Key, Namespace,
    NamespaceName, Put, ReadOptions, Record, ScanOptions, State, Store, Version, WriteOptions,
    Written,
};

use super::Cx;
use crate::check::{Checked, Violation, holds, same};

/// A namespace with short forms of what cases do all the time.
#[derive(Clone)]
pub(crate) struct Ns {
    pub(crate) raw: Arc<dyn Namespace>,
    pub(crate) name: NamespaceName,
    pub(super) cx: Cx,
}

impl Ns {
    /// A version later than every one drawn before in this leg.
    pub(crate) fn version(&self) -> Version {
        self.cx.version()
    }

    /// The pinset in it.
    pub(crate) fn state(&self) -> State {
        State::new(Arc::clone(&self.raw), Arc::new(Clock::volatile()))
    }

    /// The store that cases share, under the watch of this case.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.cx.store()
    }

    /// A put with a version of its own, which must apply.
    pub(crate) async fn put(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Checked<Version> {
        let version = self.cx.version();
        let put = self.put_of(key, value, version);
        let written = self.raw.put(put, WriteOptions::new()).await?;
        same("the answer to a plain put", written, Written::Applied)?;
        Ok(version)
    }

    /// A put to be made later.
    pub(crate) fn put_of(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        version: Version,
    ) -> Put {
        let value = Bytes::copy_from_slice(value.as_ref());
        Put::new(Key::copy_from(key.as_ref()), value, version)
    }

    /// A plain delete with a version of its own, which must apply.
    pub(crate) async fn delete(&self, key: impl AsRef<[u8]>) -> Checked<Version> {
        let version = self.cx.version();
        let delete = Delete::new(Key::copy_from(key.as_ref()), version);
        let written = self.raw.delete(delete, WriteOptions::new()).await?;
        same("the answer to a plain delete", written, Written::Applied)?;
        Ok(version)
    }

    /// Writes these pairs in batches, each of which must apply. A boxed future, which does
    /// not hold on to the iterator.
    pub(crate) fn fill<K, V>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> BoxFuture<'_, Checked>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let put = |(key, value): (K, V)| self.put_of(key, value, self.cx.version());
        let puts: Vec<BatchItem> = pairs.into_iter().map(put).map(Into::into).collect();
        Box::pin(async move {
            let mut puts = puts.into_iter();
            loop {
                let batch: Vec<BatchItem> = puts.by_ref().take(1_000).collect();
                if batch.is_empty() {
                    return Ok(());
                }
                self.apply(batch, BatchOptions::new()).await?;
            }
        })
    }

    /// A batch of which every item must apply.
    pub(crate) async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Checked {
        let expected = vec![Written::Applied; batch.len()];
        let outcome = self.raw.apply(batch, options).await?;
        same("the answers to a batch", outcome.into_result()?, expected)
    }

    pub(crate) async fn get(&self, key: impl AsRef<[u8]>) -> Checked<Option<Record>> {
        let key = Key::copy_from(key.as_ref());
        let record = self.raw.get(&key, ReadOptions::new()).await?;
        if let Some(record) = &record {
            same("the key of a record that was got", &record.key, &key)?;
            same("whether a record that was got is a marker", record.deleted, false)?;
        }
        Ok(record)
    }

    pub(crate) async fn value(&self, key: impl AsRef<[u8]>) -> Checked<Option<Bytes>> {
        Ok(self.get(key).await?.map(|record| record.value))
    }

    pub(crate) async fn has(&self, key: impl AsRef<[u8]>) -> Checked<bool> {
        Ok(self.raw.has(&Key::copy_from(key.as_ref()), ReadOptions::new()).await?)
    }

    /// The exact count.
    pub(crate) async fn count(&self) -> Checked<u64> {
        match self.raw.count(CountOptions::new()).await? {
            Count::Exact(count) => Ok(count),
            Count::Estimate(count) => Err(Violation::new(format!(
                "an exact count was asked for: expected one, got the estimate {count}"
            ))),
        }
    }

    /// Every row of a scan with these options, in the order they came; to the end.
    pub(crate) async fn scan(&self, options: ScanOptions) -> Checked<Vec<Record>> {
        let limit = options.page_rows.max(1);
        let mut scan = CheckedScan::new(self.raw.scan(options).await?);
        let mut records = Vec::new();
        let mut full = false;
        while let Some(page) = scan.next_page().await? {
            holds(page.items.len() <= limit, || {
                format!("a page: expected at most {limit} rows, got {}", page.items.len())
            })?;
            if !page.items.is_empty() {
                if full {
                    self.cx.mark("page_boundary");
                }
                full = page.items.len() == limit;
            }
            // A store that never waits would let nobody write meanwhile.
            tokio::task::yield_now().await;
            for item in page.items {
                records.push(item.map_err(|damaged| {
                    Violation::new(format!("expected a readable row, got {damaged:?}"))
                })?);
            }
        }
        if full {
            self.cx.mark("full_last_page");
        }
        Ok(records)
    }

    /// All live records by key; a key that comes twice, or a marker, breaks the clause.
    pub(crate) async fn map(&self, options: ScanOptions) -> Checked<BTreeMap<Vec<u8>, Bytes>> {
        let mut map = BTreeMap::new();
        for record in self.scan(options).await? {
            holds(!record.deleted, || format!("a marker is visible in a scan: {record:?}"))?;
            let key = record.key.as_bytes().to_vec();
            let twice = map.insert(key, record.value).is_some();
            holds(!twice, || format!("a scan gave the key {} twice", record.key))?;
        }
        Ok(map)
    }

    /// All live records as text, by key.
    pub(crate) async fn texts(&self) -> Checked<Vec<(String, String)>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let map = self.map(ScanOptions::new()).await?;
        Ok(map.iter().map(|(key, value)| (text(key), text(value))).collect())
    }

    /// Get, has, count and scan must all show exactly these records.
    pub(crate) async fn shows(&self, expected: &BTreeMap<Vec<u8>, Bytes>) -> Checked {
        same("count", self.count().await?, expected.len() as u64)?;
        let listed = self.map(ScanOptions::new()).await?;
        same("the records of a scan", &listed, expected)?;
        let keys: Vec<Key> = expected.keys().map(|key| Key::copy_from(key)).collect();
        let many = self.raw.get_many(&keys, ReadOptions::new()).await?;
        same("results of get_many", many.len(), keys.len())?;
        for (key, result) in keys.iter().zip(many) {
            let got = result?.map(|record| record.value);
            same(&format!("get_many of {key}"), got.as_ref(), expected.get(key.as_bytes()))?;
        }
        Ok(())
    }
}
