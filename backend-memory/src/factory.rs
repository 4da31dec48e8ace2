//! How a store is opened by its name.

use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Dict;
use pinstate_core::config::{
    BackendFactory, Description, OpenOptions, Settings, StoreUri, invalid,
};
use pinstate_core::layer::Layers;
use pinstate_core::{Capabilities, Result, Store};

use crate::config::MemoryConfig;
use crate::store::capabilities;
use crate::{BACKEND, MemoryStore};

/// What opens memory stores for a [`Registry`](pinstate_core::config::Registry): `memory:`
/// as a URI, `backend = "memory"` in a configuration file.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MemoryFactory;

impl MemoryFactory {
    /// The backend.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl BackendFactory for MemoryFactory {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["mem", "inmem"]
    }

    fn about(&self) -> &'static str {
        "in this process's memory, gone at its end"
    }

    fn description(&self) -> Description {
        Description::of::<MemoryConfig>()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&MemoryConfig::default())
    }

    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict> {
        if uri.rest().is_empty() {
            return Ok(Dict::new());
        }
        Err(invalid(format!(
            "a store in memory has no place: write '{BACKEND}:' alone, not '{uri}'"
        )))
    }

    fn check(&self, settings: &Settings) -> Result<()> {
        let config = settings.extract::<MemoryConfig>()?;
        config.check().map_err(|error| settings.refuse_all(&error))
    }

    fn layers(&self, _settings: &Settings) -> Result<Layers> {
        // A call answers at once: a deadline or a retry would only break it off.
        Ok(Layers::none())
    }

    async fn open(&self, settings: &Settings, _options: OpenOptions) -> Result<Arc<dyn Store>> {
        // Every open makes a new store, so there is none that could be missing.
        let config = settings.extract::<MemoryConfig>()?;
        Ok(Arc::new(MemoryStore::open(&config)?))
    }
}

#[cfg(test)]
mod tests {
    use pinstate_core::ErrorKind;
    use pinstate_core::config::{Config, Registry};

    use super::*;

    #[tokio::test]
    async fn a_store_is_opened_by_each_of_its_names_as_it_is_configured() {
        let registry = Registry::new().with(MemoryFactory::new());
        let config = Config::default();
        for name in ["memory", "mem", "inmem"] {
            let uri = format!("{name}:?max_atomic_batch=10");
            let store = registry.open(&config, &uri, OpenOptions::new()).await.unwrap();
            assert_eq!(store.capabilities().max_atomic_batch, 10);
        }
        let error = registry.check(&config, "memory:?max_atomic_batch=0").unwrap_err();
        assert!(error.to_string().contains("'max_atomic_batch' is 0"), "{error}");
    }

    fn resolve(uri: &str) -> Result<MemoryConfig> {
        let uri: StoreUri = uri.parse()?;
        Settings::from_uri(&uri, MemoryFactory.uri_settings(&uri)?).extract()
    }

    #[test]
    fn a_uri_sets_limits_and_names_what_it_does_not_know() {
        assert_eq!(resolve("memory:").unwrap(), MemoryConfig::default());
        let config = resolve("memory:?max_value_bytes=2MiB&max_atomic_batch=10").unwrap();
        assert_eq!((config.max_value_bytes.0, config.max_atomic_batch), (2 << 20, 10));
        for (uri, part) in [
            ("memory:/data", "'memory:' alone"),
            ("memory:?max_atomic_bach=10", "'max_atomic_batch'"),
            ("memory:?max_atomic_batch=x", "'max_atomic_batch'"),
        ] {
            let error = resolve(uri).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{uri}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
