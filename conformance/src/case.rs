//! What a case works with: namespaces of its own, versions, a seeded generator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use pinstate_core::{
    BatchItem, BatchOptions, Capabilities, CheckedScan, Clock, Count, CountOptions, Delete, Key,
    Namespace, NamespaceName, Put, ReadOptions, Record, ScanOptions, State, Store, Version,
    WriteOptions, Written,
};

use crate::check::{Checked, Violation, holds, same};
use crate::plug::{Leg, Plug, Site};

/// What all cases of one leg share: one store, and what no two cases may have in common.
pub(crate) struct Session {
    plug: Arc<dyn Plug>,
    leg: Leg,
    shared: Mutex<Option<Shared>>,
    /// Part of every namespace's name, so that runs on one server keep apart.
    run: String,
    namespaces: AtomicU64,
    versions: AtomicI64,
}

struct Shared {
    store: Arc<dyn Store>,
    // After the store, so that it is dropped after it.
    _site: Box<dyn Site>,
}

impl Session {
    pub(crate) fn new(plug: Arc<dyn Plug>, leg: Leg) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            plug,
            leg,
            shared: Mutex::new(None),
            run: format!("{:08x}", fastrand::u32(..)),
            namespaces: AtomicU64::new(0),
            versions: AtomicI64::new(i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 2)),
        }
    }

    pub(crate) fn leg(&self) -> &'static str {
        self.leg.name
    }

    /// The store that cases share.
    pub(crate) async fn store(&self) -> Checked<Arc<dyn Store>> {
        let mut shared = self.shared.lock().await;
        if let Some(shared) = &*shared {
            return Ok(Arc::clone(&shared.store));
        }
        let site = self.plug.site().await?;
        let store = self.leg.layers.apply(site.open().await?);
        *shared = Some(Shared { store: Arc::clone(&store), _site: site });
        Ok(store)
    }

    /// Closes the store that cases shared.
    pub(crate) async fn close(&self) -> Checked {
        if let Some(shared) = self.shared.lock().await.take() {
            shared.store.close().await?;
        }
        Ok(())
    }

    fn name(&self) -> Checked<NamespaceName> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        Ok(format!("conf-{}-{number}", self.run).parse()?)
    }
}

/// What one case works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cx {
    session: Arc<Session>,
    store: Arc<dyn Store>,
    pub(crate) seed: u64,
    /// The namespaces that this case created in the shared store.
    created: Arc<Mutex<Vec<NamespaceName>>>,
}

impl Cx {
    pub(crate) async fn new(session: Arc<Session>, seed: u64) -> Checked<Self> {
        let store = session.store().await?;
        Ok(Self { session, store, seed, created: Arc::default() })
    }

    /// Drops the namespaces that the case created, whatever became of it.
    pub(crate) async fn clean_up(&self) -> Checked {
        for name in self.created.lock().await.drain(..) {
            match self.store.drop_namespace(&name).await {
                Err(error) if error.kind() != pinstate_core::ErrorKind::NoNamespace => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The store that cases share: for its namespaces use [`namespace`](Self::namespace).
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    /// A version later than every one drawn before in this leg.
    pub(crate) fn version(&self) -> Version {
        Version(self.session.versions.fetch_add(1, Ordering::Relaxed))
    }

    /// The case's own generator: the same for the same seed.
    pub(crate) fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    /// A name that nobody has used.
    pub(crate) fn name(&self) -> Checked<NamespaceName> {
        self.session.name()
    }

    /// A name that nobody has used and that is dropped when the case is over.
    pub(crate) async fn own_name(&self) -> Checked<NamespaceName> {
        let name = self.name()?;
        self.created.lock().await.push(name.clone());
        Ok(name)
    }

    /// A new, empty namespace in the shared store.
    pub(crate) async fn namespace(&self) -> Checked<Ns> {
        let name = self.own_name().await?;
        self.store.create_namespace(&name).await?;
        let ns = self.open(&self.store, &name).await?;
        same("records in a new namespace", ns.count().await?, 0)?;
        Ok(ns)
    }

    /// A handle on an existing namespace of any store.
    pub(crate) async fn open(&self, store: &Arc<dyn Store>, name: &NamespaceName) -> Checked<Ns> {
        let raw = store.open_namespace(name).await?;
        Ok(Ns { raw, name: name.clone(), cx: self.clone() })
    }

    /// The pinset in a new, empty namespace.
    pub(crate) async fn state(&self) -> Checked<State> {
        let ns = self.namespace().await?;
        Ok(State::new(ns.raw, Arc::new(Clock::volatile())))
    }

    /// A store of the case's own, which may be closed and opened again.
    pub(crate) async fn own_store(&self) -> Checked<Own> {
        let site = self.session.plug.site().await?;
        Ok(Own { site, cx: self.clone() })
    }
}

/// A store that one case has for itself.
pub(crate) struct Own {
    site: Box<dyn Site>,
    cx: Cx,
}

impl Own {
    /// Opens the store, under the layers of the leg.
    pub(crate) async fn open(&self) -> pinstate_core::Result<Arc<dyn Store>> {
        Ok(self.cx.session.leg.layers.apply(self.site.open().await?))
    }

    /// Opens the store and makes a namespace in it.
    pub(crate) async fn open_new(&self) -> Checked<(Arc<dyn Store>, Ns)> {
        let store = self.open().await?;
        let name = self.cx.name()?;
        store.create_namespace(&name).await?;
        let ns = self.cx.open(&store, &name).await?;
        Ok((store, ns))
    }
}

/// A namespace with short forms of what cases do all the time.
#[derive(Clone)]
pub(crate) struct Ns {
    pub(crate) raw: Arc<dyn Namespace>,
    pub(crate) name: NamespaceName,
    cx: Cx,
}

impl Ns {
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
        while let Some(page) = scan.next_page().await? {
            holds(page.items.len() <= limit, || {
                format!("a page: expected at most {limit} rows, got {}", page.items.len())
            })?;
            for item in page.items {
                records.push(item.map_err(|damaged| {
                    Violation::new(format!("expected a readable row, got {damaged:?}"))
                })?);
            }
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
