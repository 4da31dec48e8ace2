//! Stores that are broken on purpose.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pinstate_core::control::MAX_CONTROL_VALUE_BYTES;
use pinstate_core::{
    Capabilities, CheckedScan, Consistency, ControlRecord, ControlWritten, Durability, Error,
    ErrorKind, Expect, Health, IfNewer, Namespace, NamespaceInfo, NamespaceName, Operation,
    Outcome, Put, Result, RetryClass, ScanOptions, Store, StoreIdentity, WriteOptions,
};

use crate::namespace::BrokenNamespace;
use crate::{Bug, order, racing};

#[derive(Debug)]
pub(crate) struct BrokenStore {
    inner: Arc<dyn Store>,
    capabilities: Capabilities,
    bug: Bug,
    /// Records of dropped namespaces.
    kept: Mutex<BTreeMap<NamespaceName, Vec<Put>>>,
    /// Writers of control records between their reading and their writing.
    in_gap: AtomicUsize,
    racing: Arc<racing::Shared>,
}

impl BrokenStore {
    pub(crate) fn new(inner: Arc<dyn Store>, bug: Bug) -> Self {
        let mut capabilities = inner.capabilities().clone();
        match bug {
            Bug::UndeclaredIfAbsentWorks => capabilities.if_absent = false,
            Bug::UndeclaredBatchWorks => capabilities.atomic_batch = false,
            Bug::Resolving => capabilities.if_newer = IfNewer::Resolved,
            Bug::Lagging | Bug::NeverCatchesUp => {
                capabilities.consistency = Consistency::ReadYourWrites
            }
            Bug::OpenLeaksThread => leak_thread(),
            Bug::Powerless => {
                capabilities.if_absent = false;
                capabilities.if_version = false;
                capabilities.atomic_batch = false;
                capabilities.max_atomic_batch = 0;
                capabilities.ordered_scan = false;
                capabilities.snapshot_scan = false;
            }
            _ => {}
        }
        order::declared(bug, &mut capabilities);
        Self {
            inner,
            capabilities,
            bug,
            kept: Mutex::default(),
            in_gap: AtomicUsize::new(0),
            racing: Arc::default(),
        }
    }
}

/// What keeps leaked threads waiting.
static LEAKED: Mutex<Vec<Leaked>> = Mutex::new(Vec::new());

type Leaked = (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>);

fn leak_thread() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = receiver.recv();
    });
    LEAKED.lock().unwrap().push((sender, thread));
}

/// Lets the threads that were leaked so far end.
pub(crate) fn end_leaked_threads() {
    for (sender, thread) in std::mem::take(&mut *LEAKED.lock().unwrap()) {
        drop(sender);
        thread.join().unwrap();
    }
}

/// An error as a broken store would give it.
pub(crate) fn broken<T>(bug: Bug, result: Result<T>) -> Result<T> {
    result.map_err(|error| match bug {
        Bug::RefusalAsksForRetry => error.with_retry(RetryClass::Backoff),
        Bug::RefusalMayHaveApplied => error.with_outcome(Outcome::Unknown),
        Bug::ErrorsWithoutBackend => {
            Error::new(error.kind(), error.operation(), error.message().to_owned())
        }
        _ => error,
    })
}

#[async_trait]
impl Store for BrokenStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let result = broken(self.bug, self.inner.create_namespace(name).await);
        match result {
            Err(error) if self.bug == Bug::CreateTwice && error.kind() == ErrorKind::Conflict => {
                Ok(())
            }
            Ok(()) if self.bug == Bug::DropKeepsRecords => {
                let kept = self.kept.lock().unwrap().remove(name).unwrap_or_default();
                let new = self.inner.open_namespace(name).await?;
                for put in kept {
                    new.put(put, WriteOptions::new()).await?;
                }
                Ok(())
            }
            result => result,
        }
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let inner = broken(self.bug, self.inner.open_namespace(name).await)?;
        let inner = racing::around(inner, self.bug, &self.racing);
        let inner = order::around(inner, &self.capabilities, self.bug);
        let store = Arc::clone(&self.inner);
        Ok(Arc::new(BrokenNamespace::new(inner, store, self.capabilities.clone(), self.bug)))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.inner.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        if self.bug == Bug::DropKeepsRecords {
            let old = self.inner.open_namespace(name).await?;
            let rows = CheckedScan::new(old.scan(ScanOptions::new()).await?).collect().await?;
            let puts = rows.into_iter().flatten().map(|r| Put::new(r.key, r.value, r.version));
            self.kept.lock().unwrap().insert(name.clone(), puts.collect());
        }
        if self.bug == Bug::DropTakesPrefix {
            for info in self.inner.list_namespaces().await? {
                let other = info.name.as_str();
                if other.starts_with(name.as_str()) && other != name.as_str() {
                    self.inner.drop_namespace(&info.name).await?;
                }
            }
        }
        broken(self.bug, self.inner.drop_namespace(name).await)
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        if self.bug == Bug::ReplaceMerges
            && name != staged
            && let Ok(old) = self.inner.open_namespace(name).await
        {
            let new = self.inner.open_namespace(staged).await?;
            let rows = CheckedScan::new(old.scan(ScanOptions::new()).await?).collect().await?;
            for row in rows.into_iter().flatten() {
                let put = Put::new(row.key, row.value, row.version);
                new.put(put, WriteOptions::if_absent()).await?;
            }
        }
        broken(self.bug, self.inner.replace_namespace(name, staged).await)
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.inner.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.inner.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        if self.bug == Bug::ControlLimitOffByOne && value.len() == MAX_CONTROL_VALUE_BYTES {
            let error = Error::new(ErrorKind::TooLarge, Operation::ControlSet, "too long");
            return Err(error.with_backend("memory"));
        }
        let expect = match (self.bug, self.inner.control_get(key).await?) {
            (Bug::ControlIgnoresRevision, Some(record)) => Expect::Revision(record.revision),
            (Bug::ControlRaces, Some(record)) if expect == Expect::Revision(record.revision) => {
                self.in_gap.fetch_add(1, Ordering::SeqCst);
                // Until another is in the gap, too, or none seems to come.
                for _ in 0..10_000 {
                    if self.in_gap.load(Ordering::SeqCst) > 1 {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                // The last to leave is the one that loses an update.
                for _ in 0..30 {
                    tokio::task::yield_now().await;
                }
                self.in_gap.fetch_sub(1, Ordering::SeqCst);
                let now = self.inner.control_get(key).await?;
                now.map_or(Expect::Absent, |record| Expect::Revision(record.revision))
            }
            _ => expect,
        };
        broken(self.bug, self.inner.control_set(key, expect, value).await)
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        self.inner.control_delete(key, expect).await
    }

    async fn health(&self) -> Result<Health> {
        if self.bug == Bug::HealthWrites {
            let _ = self.inner.control_set("health/asked", Expect::Absent, b"now").await?;
        }
        let health = self.inner.health().await;
        let blind = [Bug::ClosedIsReady, Bug::ReadyWithoutServer];
        if blind.contains(&self.bug) { Ok(Health::ready()) } else { health }
    }

    async fn sync(&self) -> Result<Durability> {
        self.racing.settle().await;
        self.inner.sync().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// The refusal of a power that a store does not have.
pub(crate) fn powerless(operation: Operation) -> Error {
    Error::unsupported(operation, "not a power of this store").with_backend("memory")
}
