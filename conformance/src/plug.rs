//! What a backend brings to be tested.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::layer::Layers;
use pinstate_core::{Result, Store};

/// A backend under test.
#[async_trait]
pub trait Plug: Send + Sync + 'static {
    /// The backend's name, for reports.
    fn name(&self) -> &str;

    /// A place for one new store. Called a few dozen times a run: where making one is dear,
    /// as a keyspace is, keep some ready.
    ///
    /// # Errors
    /// What kept it from being made; the case that asked fails with it.
    async fn site(&self) -> Result<Box<dyn Site>>;

    /// The store that cases share, where it is somebody's and to be treated as such: only
    /// what the run made itself is touched, what else is there is compared before and
    /// after, and dropping the site leaves the store. Otherwise cases share a new store of
    /// a [`site`](Self::site).
    ///
    /// # Errors
    /// What keeps it from being used; every case of the leg fails with it.
    async fn standing(&self) -> Result<Option<Box<dyn Site>>> {
        Ok(None)
    }

    /// Why cases that need a store of their own cannot have one; they are skipped with it.
    fn without_sites(&self) -> Option<String> {
        None
    }

    /// The site of a store that keeps all its files in this folder, for backends that keep
    /// files. The folder is there; it is empty, or a site of it has been opened before, by
    /// this process or by another. Dropping the site leaves the folder, which is the suite's.
    ///
    /// With it the store is opened in processes that are killed, on disks that lose power,
    /// and with damaged files. Without it those cases are skipped.
    fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
        let _ = folder;
        None
    }

    /// The folders of stores that released versions have written, one for each version of the
    /// format; they are copied, and opened with [`site_in`](Self::site_in). A test program
    /// makes one of the present format in the folder that `PINSTATE_CONFORMANCE_FIXTURE`
    /// names. Without any the cases about them are skipped.
    fn fixtures(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What a report says of the backend beside its name.
    fn about(&self) -> About {
        About::default()
    }
}

/// What a report says of a backend beside its name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct About {
    /// The version of its crate.
    pub version: Option<String>,
    /// How the store was configured: key and value. It is printed, so never a secret.
    pub configuration: BTreeMap<String, String>,
}

impl About {
    /// A version, and no configuration.
    #[must_use]
    pub fn version(version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), configuration: BTreeMap::new() }
    }

    /// Adds a setting as it may be shown.
    #[must_use]
    pub fn with_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configuration.insert(key.into(), value.into());
        self
    }
}

/// A place where one store lives. Dropping it removes the store and all that belongs to it;
/// it is dropped after every handle on the store.
#[async_trait]
pub trait Site: Send + Sync {
    /// Opens the store of this site, which is created the first time. Called again after
    /// the store was closed or dropped; a persistent one must have kept everything.
    ///
    /// # Errors
    /// The backend's.
    async fn open(&self) -> Result<Arc<dyn Store>>;

    /// Opens the store of this site only if it is there; `None` where the backend has no way
    /// to ask for that, and cases about it are skipped.
    async fn open_existing(&self) -> Option<Result<Arc<dyn Store>>> {
        None
    }

    /// Makes the format of this site's store, which is closed, one version newer than the one
    /// that it has, as a later release of the backend would mark it; `None` where there is no
    /// way to do that, and the cases about it are skipped.
    ///
    /// # Errors
    /// What kept it from being done.
    async fn make_newer(&self) -> Option<Result<()>> {
        None
    }

    /// The server behind the store of this site, for the case that takes it away for a while,
    /// when no other case runs. `None` where there is none, or none to be taken away; that
    /// case is skipped then.
    fn server(&self) -> Option<Arc<dyn Server>> {
        None
    }
}

/// A server that can be taken away. A case that is broken off may leave it stopped.
#[async_trait]
pub trait Server: Send + Sync {
    /// Stops it. Returns when it answers nobody any more.
    ///
    /// # Errors
    /// What kept it from being stopped.
    async fn stop(&self) -> Result<()>;

    /// Starts it again with all that it had. Returns when it answers.
    ///
    /// # Errors
    /// What kept it from being started.
    async fn start(&self) -> Result<()>;
}

/// One way of running every case: the store under some layers, or none.
#[derive(Clone, Debug)]
pub struct Leg {
    pub(crate) name: &'static str,
    pub(crate) layers: Layers,
}

impl Leg {
    /// A leg of this name under these layers.
    #[must_use]
    pub fn new(name: &'static str, layers: Layers) -> Self {
        Self { name, layers }
    }

    /// The store as it is.
    #[must_use]
    pub fn raw() -> Self {
        Self::new("raw", Layers::none())
    }

    /// The store under the layers that the binary puts around every store.
    #[must_use]
    pub fn layered() -> Self {
        Self::new("layered", Layers::standard())
    }
}
