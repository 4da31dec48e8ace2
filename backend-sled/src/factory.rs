//! How a store is opened by its name.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Dict;
use pinstate_core::config::{
    BackendFactory, Description, OpenOptions, Settings, StoreUri, invalid,
};
use pinstate_core::layer::Layers;
use pinstate_core::{Capabilities, Result, Store};

use crate::config::SledConfig;
use crate::directory;
use crate::durability::Safety;
use crate::error::BACKEND;
use crate::store::{SledStore, capabilities};

/// Opens sled stores from configuration: `sled:PATH?durability=process&cache=64MiB`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SledFactory;

#[async_trait]
impl BackendFactory for SledFactory {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    fn about(&self) -> &'static str {
        "embedded, in one folder, for one process at a time"
    }

    fn description(&self) -> Description {
        Description::of::<SledConfig>()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(Safety::default())
    }

    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict> {
        if uri.path().is_empty() {
            return Err(invalid("a sled store's URI names its folder, as in sled:/var/lib/pins")
                .with_backend(BACKEND));
        }
        Ok([("path".to_owned(), uri.path().into())].into())
    }

    fn check(&self, settings: &Settings) -> Result<()> {
        let config = settings.extract::<SledConfig>()?;
        config.check().map_err(|error| settings.refuse_all(&error))
    }

    fn layers(&self, _settings: &Settings) -> Result<Layers> {
        // A call that is under way only needs its time: a deadline or a retry would only
        // break it off.
        Ok(Layers::none())
    }

    fn is_at(&self, folder: &Path) -> bool {
        directory::is_at(folder)
    }

    async fn open(&self, settings: &Settings, options: OpenOptions) -> Result<Arc<dyn Store>> {
        let mut config: SledConfig = settings.extract()?;
        config.create |= options.create;
        Ok(Arc::new(SledStore::open(&config).await?))
    }
}
