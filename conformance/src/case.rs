//! What a case works with: namespaces of its own, versions, a seeded generator.

mod ns;
mod own;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::lock::Mutex;
use pinstate_core::layer::{Retry, RetryBudget, RetryOptions, wrap};
use pinstate_core::{
    Capabilities, Consistency, Error, ErrorKind, NamespaceName, Operation, RetryClass, State,
    Store, Version,
};

use crate::check::{Checked, Violation, same};
use crate::disk::Disk;
use crate::evidence::Desk;
use crate::marks::Marks;
use crate::meter::Meter;
use crate::plug::Site;
use crate::safety::Folder;
use crate::session::Session;
use crate::watch::Calls;

pub(crate) use self::ns::Ns;
pub(crate) use self::own::Own;

/// What one case works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cx {
    session: Arc<Session>,
    store: Arc<dyn Store>,
    /// The same, which is read without waiting until what was written has settled.
    unsettled: Arc<dyn Store>,
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
        let bare = session.store().await?;
        let unsettled = calls.watch(Arc::clone(&bare), Duration::ZERO);
        let lag = session.lag(bare.capabilities());
        let store = calls.watch(bare, lag);
        let marks = session.marks().clone();
        Ok(Self { session, store, unsettled, seed, calls, desk, marks, created: Arc::default() })
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
        let again = |store: &_| wrap(Arc::clone(store), Retry::new(options.clone()));
        let (store, unsettled) = (again(&self.store), again(&self.unsettled));
        Self { store, unsettled, ..self.clone() }
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

    /// The same, read as it is when it is asked: for cases about what clients see who work at
    /// the same time.
    pub(crate) fn unsettled(&self) -> &Arc<dyn Store> {
        &self.unsettled
    }

    /// Waits until what was written so far has settled, where the store is eventual.
    pub(crate) async fn settled(&self) {
        let lag = self.session.lag(self.capabilities());
        self.calls.settling.settled(lag).await;
    }

    /// Another of many parts of the case begins, which has the time of a case for itself.
    pub(crate) fn begin_part(&self) {
        self.calls.begin_part();
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    /// Whether all handles see a write as soon as it was acknowledged.
    pub(crate) fn is_linearizable(&self) -> bool {
        self.capabilities().consistency == Consistency::Linearizable
    }

    /// Whether it is promised when all handles see a write, and not only that they will.
    pub(crate) fn settles_in_time(&self) -> bool {
        let consistency = self.capabilities().consistency;
        self.is_linearizable() || matches!(consistency, Consistency::Eventual { settle: Some(_) })
    }

    /// What a handle reads of another one's writes: when the store has promised it, else soon.
    pub(crate) async fn reads<T, F>(
        &self,
        what: &str,
        expected: T,
        read: impl Fn() -> F + Send,
    ) -> Checked
    where
        T: PartialEq + Debug + Send,
        F: Future<Output = Checked<T>> + Send,
    {
        let most = if self.settles_in_time() { 1 } else { ASKED };
        for _ in 1..most {
            if read().await? == expected {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        same(what, read().await?, expected)
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
    pub(crate) fn folder(&self) -> Checked<Folder> {
        Folder::new().map_err(|error| {
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
        // Others may have written to it before, a process that was killed for one.
        self.calls.settling.written();
        let store = self.session.layered(store);
        let lag = self.session.lag(store.capabilities());
        self.calls.watch(store, lag)
    }
}

/// Longest time for what a healthy store does at once, however busy it is.
pub(crate) const AT_LAST: Duration = Duration::from_secs(60);

/// How often handles that may lag are asked whether they agree, and how long is waited
/// between.
pub(crate) const ASKED: u32 = 100;
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

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
