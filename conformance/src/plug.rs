//! What a backend brings to be tested.

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
