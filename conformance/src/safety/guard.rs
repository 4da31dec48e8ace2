//! A store that lets the suite touch what it made itself, and nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinstate_core::{
    Capabilities, ControlRecord, ControlWritten, Durability, Error, ErrorKind, Expect, Health,
    Namespace, NamespaceInfo, NamespaceName, Operation, Result, Store, StoreIdentity,
};
use tokio::sync::{Mutex, RwLock};

use super::leftovers::{mark, remove};

/// How long the end of a leg waits for namespaces that are still being made.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches over one leg on a store that is somebody's.
#[derive(Clone)]
pub(crate) struct Guard {
    inner: Arc<dyn Store>,
    prefix: String,
    /// What has a mark.
    marked: Arc<Mutex<BTreeSet<NamespaceName>>>,
    /// Held for reading by everything that makes something.
    making: Arc<RwLock<()>>,
}

impl Guard {
    /// Watches over `inner`: names and keys with this prefix are the run's own.
    pub(crate) fn new(inner: Arc<dyn Store>, prefix: String) -> Self {
        Self { inner, prefix, marked: Arc::default(), making: Arc::default() }
    }

    /// The store as the cases may have it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    fn own(&self, operation: Operation, name: &str) -> Result<()> {
        if name.starts_with(&self.prefix) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Internal,
            operation,
            format!(
                "the suite was about to touch '{}', which it did not make: it was not done",
                name.escape_debug()
            ),
        )
        .with_backend(self.inner.identity().backend))
    }

    async fn mark(&self, name: &NamespaceName) -> Result<()> {
        let mut marked = self.marked.lock().await;
        if !marked.contains(name) {
            mark(&*self.inner, name).await?;
            marked.insert(name.clone());
        }
        Ok(())
    }

    /// Does what makes something to its end, even if the case goes away meanwhile: what
    /// would come into being after the end of the run would stay.
    async fn whole<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let making = Arc::clone(&self.making).read_owned().await;
        let work = work(self.clone());
        let done = tokio::spawn(async move {
            let result = work.await;
            drop(making);
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Error::new(
                    ErrorKind::Cancelled,
                    Operation::CreateNamespace,
                    "the run is over",
                )
                .with_source(error)),
            },
        }
    }

    /// Removes everything that the leg has made. Gives what could not be removed, and why;
    /// that keeps its mark.
    pub(crate) async fn sweep(&self) -> Vec<String> {
        let Ok(_none) = tokio::time::timeout(PATIENCE, self.making.write()).await else {
            return vec!["a namespace is still being made".to_owned()];
        };
        let mut left = Vec::new();
        let mut marked = self.marked.lock().await;
        for name in std::mem::take(&mut *marked) {
            if let Err(error) = remove(&*self.inner, &name).await {
                left.push(format!("{name}: {error}"));
                marked.insert(name);
            }
        }
        drop(marked);
        left.extend(self.remains().await.unwrap_or_else(|error| vec![error.to_string()]));
        left
    }

    /// What the store still shows of the leg.
    async fn remains(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for info in self.inner.list_namespaces().await? {
            if info.name.as_str().starts_with(&self.prefix) {
                found.push(format!("the namespace {}", info.name));
            }
        }
        for prefix in [self.prefix.clone(), format!("{}{}", super::leftovers::MARKS, self.prefix)] {
            for (key, _) in self.inner.control_list(&prefix).await? {
                found.push(format!("the control record '{}'", key.escape_debug()));
            }
        }
        Ok(found)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Store for Guard {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.own(Operation::CreateNamespace, name.as_str())?;
        let name = name.clone();
        self.whole(|guard| async move {
            guard.mark(&name).await?;
            guard.inner.create_namespace(&name).await
        })
        .await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        self.own(Operation::OpenNamespace, name.as_str())?;
        self.inner.open_namespace(name).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.inner.list_namespaces().await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        self.own(Operation::DropNamespace, name.as_str())?;
        self.inner.drop_namespace(name).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        self.own(Operation::ReplaceNamespace, name.as_str())?;
        self.own(Operation::ReplaceNamespace, staged.as_str())?;
        let (name, staged) = (name.clone(), staged.clone());
        self.whole(|guard| async move {
            guard.mark(&name).await?;
            guard.inner.replace_namespace(&name, &staged).await
        })
        .await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        self.inner.control_get(key).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        self.inner.control_list(prefix).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        self.own(Operation::ControlSet, key)?;
        // A record belongs to the name that its key begins with, and is found by its mark.
        let owner =
            key.get(..super::name(&self.prefix, 0).len()).and_then(|name| name.parse().ok());
        let (key, value) = (key.to_owned(), value.to_vec());
        self.whole(|guard| async move {
            if let Some(owner) = owner {
                guard.mark(&owner).await?;
            }
            guard.inner.control_set(&key, expect, &value).await
        })
        .await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        self.own(Operation::ControlDelete, key)?;
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
}

#[cfg(test)]
mod tests {
    use pinstate_memory::{MemoryConfig, MemoryStore};

    use super::*;
    use crate::safety::leftovers::leftovers;

    fn name(text: &str) -> NamespaceName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn what_the_run_did_not_make_is_refused() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap());
        store.create_namespace(&name("default")).await.unwrap();
        let guard = Guard::new(Arc::clone(&store), "conf-me-".to_owned());
        let (own, other) = (name("conf-me-000001"), name("default"));
        guard.create_namespace(&own).await.unwrap();
        let refused = [
            guard.drop_namespace(&other).await,
            guard.create_namespace(&name("conf-you-000001")).await,
            guard.replace_namespace(&own, &other).await,
            guard.replace_namespace(&other, &own).await,
            guard.open_namespace(&other).await.map(drop),
            guard.control_set("clock", Expect::Absent, b"").await.map(drop),
            guard.control_delete("clock", Expect::Absent).await.map(drop),
        ];
        for result in refused {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.message().contains("did not make"), "{error}");
        }
        let left = store.list_namespaces().await.unwrap();
        assert_eq!(
            left.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(),
            ["conf-me-000001", "default"]
        );
    }

    #[tokio::test]
    async fn marks_come_before_namespaces_and_go_after_them() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap());
        let guard = Guard::new(Arc::clone(&store), "conf-me-".to_owned());
        let own = name("conf-me-000001");
        // A case that goes away in the middle: what it began is done, and swept away.
        drop(futures::poll!(guard.create_namespace(&own)));
        let set = guard.control_set("conf-me-000002/x", Expect::Absent, b"x").await.unwrap();
        assert!(set.is_applied());
        let marked = leftovers(&*store).await.unwrap();
        assert!(marked.iter().any(|left| left.namespace == name("conf-me-000002")), "{marked:?}");
        assert_eq!(guard.sweep().await, [""; 0]);
        assert_eq!(store.list_namespaces().await.unwrap(), []);
        assert_eq!(store.control_list("").await.unwrap(), []);

        // A mark that somebody else has is no permission.
        let theirs = "conformance/conf-me-000003";
        assert!(store.control_set(theirs, Expect::Absent, b"x").await.unwrap().is_applied());
        let taken = guard.create_namespace(&name("conf-me-000003")).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::Conflict);
        assert_eq!(store.list_namespaces().await.unwrap(), []);
    }
}
