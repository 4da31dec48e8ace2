//! How a store is opened by its name.

use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Dict;
use pinstate_core::config::{BackendFactory, Description, OpenOptions, Settings, StoreUri};
use pinstate_core::layer::Layers;
use pinstate_core::{Capabilities, Result, Store};

use crate::config::{LogLevel, ScyllaConfig, uri};
use crate::error::BACKEND;
use crate::store::{ScyllaStore, capabilities};

/// Opens stores on CQL clusters from configuration: `scylla://USER@HOST,HOST/KEYSPACE?…`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ScyllaFactory;

impl ScyllaFactory {
    /// The factory.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// The configuration that settings stand for.
    ///
    /// # Errors
    /// `Config`, naming the key, where it stands and what it may be.
    pub fn config(settings: &Settings) -> Result<ScyllaConfig> {
        settings.extract().map_err(|error| error.with_backend(BACKEND))
    }
}

#[async_trait]
impl BackendFactory for ScyllaFactory {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["scylladb", "cassandra"]
    }

    fn about(&self) -> &'static str {
        "a ScyllaDB or Cassandra cluster, for many processes at a time"
    }

    fn description(&self) -> Description {
        Description::of::<ScyllaConfig>()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&ScyllaConfig::default(), true)
    }

    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict> {
        uri::settings(uri)
    }

    fn check(&self, settings: &Settings) -> Result<()> {
        Self::config(settings)?.check().map_err(|error| settings.refuse_all(&error))
    }

    fn layers(&self, settings: &Settings) -> Result<Layers> {
        Ok(Self::config(settings)?.layers())
    }

    fn log_level(&self, settings: &Settings) -> Result<Option<tracing::Level>> {
        Ok(Self::config(settings)?.log_level.map(LogLevel::level))
    }

    async fn open(&self, settings: &Settings, options: OpenOptions) -> Result<Arc<dyn Store>> {
        let mut config = Self::config(settings)?;
        // A keyspace is made only for whoever says with how many replicas.
        config.create |= options.create && config.replication.is_some();
        Ok(Arc::new(ScyllaStore::open(&config).await?))
    }
}
