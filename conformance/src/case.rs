//! What a case works with: namespaces of its own, versions, a seeded generator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use pinstate_core::layer::{Retry, RetryBudget, RetryOptions, wrap};
use pinstate_core::{
    BatchItem, BatchOptions, Capabilities, CheckedScan, Clock, Count, CountOptions, Delete, Error,
    ErrorKind, Key, Namespace, NamespaceName, Operation, Put, ReadOptions, Record, RetryClass,
    ScanOptions, State, Store, Version, WriteOptions, Written,
};

use crate::check::{Checked, Violation, holds, same};
use crate::disk::Disk;
use crate::evidence::Desk;
use crate::kill::{opened, opened_existing};
use crate::marks::Marks;
use crate::meter::Meter;
use crate::plug::{Server, Site};
use crate::session::Session;
use crate::watch::Calls;

/// What one case works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cx {
    session: Arc<Session>,
    store: Arc<dyn Store>,
    pub(crate) seed: u64,
    calls: Calls,
    pub(crate) desk: Desk,
    marks: Marks,
    /// The namespaces that this case created in the shared store.
    created: Arc<Mutex<Vec<NamespaceName>>>,
}

impl Cx {
    pub(crate) async fn new(
        session: Arc<Session>,
        calls: Calls,
        desk: Desk,
        seed: u64,
    ) -> Checked<Self> {
        let store = calls.watch(session.store().await?);
        let marks = session.marks().clone();
        Ok(Self { session, store, seed, calls, desk, marks, created: Arc::default() })
    }

    /// Drops the namespaces that the case created, whatever became of it.
    pub(crate) async fn clean_up(&self) -> Checked {
        for name in self.created.lock().await.drain(..) {
            at_last(|| self.store.drop_namespace(&name), ErrorKind::NoNamespace).await?;
        }
        Ok(())
    }

    /// The same over a store whose refusals are tried again where they say that they may be:
    /// for cases that press a store, and what they do beside that.
    pub(crate) fn patient(&self) -> Self {
        let options = RetryOptions::new()
            .with_attempts(100)
            .with_elapsed(AT_LAST)
            .with_budget(Arc::new(RetryBudget::new(10.0, 1_000.0, 10_000.0)))
            .with_seed(self.seed);
        let store = wrap(Arc::clone(&self.store), Retry::new(options));
        Self { store, ..self.clone() }
    }

    /// Whether calls may fail, since the store is disturbed from outside.
    pub(crate) fn amid_failures(&self) -> bool {
        self.session.is_amid_failures()
    }

    /// The same where calls may fail, since the store is disturbed from outside: for cases
    /// that would never get through otherwise. Elsewhere nothing is tried again.
    pub(crate) fn hardened(&self) -> Self {
        if self.amid_failures() { self.patient() } else { self.clone() }
    }

    /// The store that cases share: for its namespaces use [`namespace`](Self::namespace).
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    /// A number of rows, bytes or rounds: the first for a quick run, the other for a full one.
    pub(crate) fn size(&self, quick: usize, full: usize) -> usize {
        if self.session.profile().is_full() { full } else { quick }
    }

    /// A version later than every one drawn before in this leg.
    pub(crate) fn version(&self) -> Version {
        self.session.version()
    }

    /// Says that the case met what it is there to meet: see [`marks`](crate::marks).
    pub(crate) fn mark(&self, name: &'static str) {
        self.marks.hit(name);
    }

    /// Whether that has been said.
    pub(crate) fn has_met(&self, name: &'static str) -> bool {
        self.marks.has(name)
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
        // Nobody else has the name: where it exists, an attempt that was taken for lost made it.
        at_last(|| self.store.create_namespace(&name), ErrorKind::Conflict).await?;
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
        Ok(ns.state())
    }

    /// A store of the case's own, which may be closed and opened again.
    pub(crate) async fn own_store(&self) -> Checked<Own> {
        let plug = self.session.plug();
        if let Some(reason) = plug.without_sites() {
            return Err(Violation::not_here(reason));
        }
        let site = plug.site().await;
        let site = site.map_err(|e| Violation::harness("no place for a store of its own", &e))?;
        Ok(Own { site, cx: self.clone() })
    }

    /// The name of the backend, as its plug has it.
    pub(crate) fn backend(&self) -> &str {
        self.session.plug().name()
    }

    /// The name of the leg.
    pub(crate) fn leg(&self) -> &'static str {
        self.session.leg()
    }

    /// A folder that is removed when it is dropped.
    pub(crate) fn folder(&self) -> Checked<tempfile::TempDir> {
        tempfile::Builder::new().prefix("pinstate-conformance-").tempdir().map_err(|error| {
            let error = Error::new(ErrorKind::Io, Operation::Open, "the temporary folder")
                .with_source(error);
            Violation::harness("no folder can be made", &error)
        })
    }

    /// A site that keeps its files in this folder.
    pub(crate) fn site_in(&self, folder: &Path) -> Checked<Box<dyn Site>> {
        let plug = self.session.plug();
        if let Some(reason) = plug.without_sites() {
            return Err(Violation::not_here(reason));
        }
        plug.site_in(folder).ok_or_else(|| {
            Violation::not_here(
                "needs a store in a folder of the suite's, and the plug has no 'site_in'",
            )
        })
    }

    /// A store of the case's own that keeps its files in this folder.
    pub(crate) fn own_in(&self, folder: &Path) -> Checked<Own> {
        Ok(Own { site: self.site_in(folder)?, cx: self.clone() })
    }

    /// Folders of stores that released versions have written.
    pub(crate) fn fixtures(&self) -> Vec<PathBuf> {
        self.session.plug().fixtures()
    }

    /// A disk that loses power.
    pub(crate) fn disk(&self) -> Checked<Box<dyn Disk>> {
        match self.session.disks() {
            Some(disks) => disks.disk().map_err(Violation::not_here),
            None => Err(Violation::not_here(
                "needs a disk that can lose power: this program gives the suite none",
            )),
        }
    }

    /// What tells how much memory the process holds.
    pub(crate) fn meter(&self) -> Checked<Meter> {
        self.session.meter().ok_or_else(|| {
            Violation::not_here(
                "needs to know how much memory the process holds: this program gives the suite no \
                 'Meter'",
            )
        })
    }

    /// A store under the layers of the leg, and under watch.
    pub(crate) fn dressed(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        self.calls.watch(self.session.layered(store))
    }
}

/// Longest time for what a healthy store does at once, however busy it is.
pub(crate) const AT_LAST: Duration = Duration::from_secs(60);

/// What a call comes to, which must come in time.
pub(crate) async fn answered<T>(what: &str, call: impl Future<Output = Checked<T>>) -> Checked<T> {
    match tokio::time::timeout(AT_LAST, call).await {
        Ok(result) => result,
        Err(_) => Err(Violation::new(format!(
            "{what}: expected an end, got none in {} s",
            AT_LAST.as_secs()
        ))),
    }
}

/// Does something to a namespace until it is done, or was done before. A refusal that may be
/// tried again is the store's right, as is one that cannot say what came of it.
pub(crate) async fn at_last<F>(call: impl Fn() -> F, before: ErrorKind) -> Checked
where
    F: Future<Output = pinstate_core::Result<()>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Err(error) if error.kind() == before => return Ok(()),
            Err(error) if error.retry_class() != RetryClass::Never && began.elapsed() < AT_LAST => {
                tokio::task::yield_now().await;
            }
            done => return Ok(done?),
        }
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
        Ok(self.cx.dressed(opened(&*self.site).await?))
    }

    /// Opens the store, asking again for so long while somebody else has it.
    pub(crate) async fn open_when_free(
        &self,
        patience: Duration,
    ) -> pinstate_core::Result<Arc<dyn Store>> {
        let began = Instant::now();
        loop {
            match self.open().await {
                Err(error) if error.kind() == ErrorKind::Locked && began.elapsed() < patience => {
                    tokio::task::yield_now().await;
                }
                opened => return opened,
            }
        }
    }

    /// Opens the store only if it is there.
    pub(crate) async fn open_existing(&self) -> Checked<pinstate_core::Result<Arc<dyn Store>>> {
        match opened_existing(&*self.site).await {
            Some(opened) => Ok(opened.map(|store| self.cx.dressed(store))),
            None => Err(Violation::not_here(
                "needs a way to open a store only if it is there, and the plug's sites have no \
                 'open_existing'",
            )),
        }
    }

    /// Makes the format of the closed store one version newer.
    pub(crate) async fn make_newer(&self) -> Option<pinstate_core::Result<()>> {
        self.site.make_newer().await
    }

    /// The server behind the store.
    pub(crate) fn server(&self) -> Checked<Arc<dyn Server>> {
        self.site.server().ok_or_else(|| {
            Violation::not_here(
                "needs a server that can be taken away, and the plug's sites have no 'server'",
            )
        })
    }

    /// Opens the store and makes a namespace in it.
    pub(crate) async fn open_new(&self) -> Checked<(Arc<dyn Store>, Ns)> {
        let store = self.open().await?;
        let name = self.cx.name()?;
        at_last(|| store.create_namespace(&name), ErrorKind::Conflict).await?;
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
