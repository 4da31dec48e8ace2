//! How a store is opened by its name.

use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::config::invalid;
use pinstate_core::config::{BackendFactory, Description, Dict, OpenOptions, Settings, StoreUri};
use pinstate_core::layer::Layers;
use pinstate_core::{Capabilities, Result, Store};

use crate::config::LogConfig;
use crate::store::capabilities;
use crate::{BACKEND, LogStore};

/// Opens stores by `logstore:PATH`, and by `backend = "logstore"` in a configuration file.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogFactory;

#[async_trait]
impl BackendFactory for LogFactory {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    fn about(&self) -> &'static str {
        "an append-only file, synced before each answer"
    }

    fn description(&self) -> Description {
        Description::of::<LogConfig>()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict> {
        if uri.path().is_empty() {
            return Err(invalid("a logstore's URI names its folder, as in logstore:/var/lib/pins"));
        }
        Ok(Dict::from([("path".to_owned(), uri.path().into())]))
    }

    fn check(&self, settings: &Settings) -> Result<()> {
        settings.extract::<LogConfig>().map(drop)
    }

    fn layers(&self, _settings: &Settings) -> Result<Layers> {
        Ok(Layers::none())
    }

    async fn open(&self, settings: &Settings, options: OpenOptions) -> Result<Arc<dyn Store>> {
        let config: LogConfig = settings.extract()?;
        Ok(Arc::new(LogStore::open(&config.path, config.create || options.create)?))
    }
}

#[cfg(test)]
mod tests {
    use pinstate_core::config::{Config, Registry};

    use super::*;

    #[tokio::test]
    async fn a_store_is_opened_by_its_uri_and_its_keys_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("logstore:{}", folder.path().join("store").display());
        let (registry, config) = (Registry::new().with(LogFactory), Config::default());
        assert!(registry.open(&config, &uri, OpenOptions::new()).await.is_err());
        let store = registry.open(&config, &uri, OpenOptions::create()).await.unwrap();
        store.close().await.unwrap();
        let keys = LogFactory.description().keys();
        let told: Vec<_> = keys.iter().map(|key| (&*key.name, key.required)).collect();
        assert_eq!(told, [("path", true), ("create", false)]);
        let error = registry.check(&config, &format!("{uri}?pth=x")).unwrap_err();
        assert_eq!(error.problem().unwrap().nearest.as_deref(), Some("path"));
    }
}
