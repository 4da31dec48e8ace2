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

use crate::config::FjallConfig;
use crate::store::capabilities;
use crate::{BACKEND, FjallStore, directory};

/// What opens stores on fjall for a [`Registry`](pinstate_core::config::Registry):
/// `fjall:PATH` as a URI, `backend = "fjall"` in a configuration file.
#[derive(Clone, Copy, Debug, Default)]
pub struct FjallFactory;

fn config(settings: &Settings) -> Result<FjallConfig> {
    let config = settings.extract::<FjallConfig>()?;
    config.check().map_err(|error| settings.refuse_all(&error))?;
    Ok(config)
}

#[async_trait]
impl BackendFactory for FjallFactory {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    fn about(&self) -> &'static str {
        "embedded, in one folder, for one process at a time; for large pinsets and many writes"
    }

    fn description(&self) -> Description {
        Description::of::<FjallConfig>()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&FjallConfig::default())
    }

    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict> {
        if uri.path().is_empty() {
            return Err(invalid("a fjall store's URI names its folder, as in fjall:/var/lib/pins")
                .with_backend(BACKEND));
        }
        Ok(Dict::from([("path".to_owned(), uri.path().into())]))
    }

    fn check(&self, settings: &Settings) -> Result<()> {
        config(settings).map(drop)
    }

    fn layers(&self, settings: &Settings) -> Result<Layers> {
        config(settings)?;
        // The engine is in this process: a call needs its time and nothing else.
        Ok(Layers::none())
    }

    fn is_at(&self, folder: &Path) -> bool {
        directory::is_at(folder)
    }

    async fn open(&self, settings: &Settings, options: OpenOptions) -> Result<Arc<dyn Store>> {
        let mut config = config(settings)?;
        config.create |= options.create;
        Ok(Arc::new(FjallStore::open(&config).await?))
    }
}

#[cfg(test)]
mod tests {
    use pinstate_core::ErrorKind;

    use super::*;
    use crate::config::Compression;
    use crate::durability::Safety;

    fn resolve(uri: &str) -> Result<FjallConfig> {
        let uri: StoreUri = uri.parse()?;
        config(&Settings::from_uri(&uri, FjallFactory.uri_settings(&uri)?))
    }

    #[test]
    fn a_uri_names_the_folder_and_sets_what_it_says() {
        let expected = FjallConfig::new("/data/pins");
        assert_eq!(resolve("fjall:/data/pins").unwrap(), expected);
        assert_eq!(resolve("fjall:///data/pins").unwrap(), expected);
        let uri = "fjall:pins?durability=process&compression=none&cache=8MiB&create=true";
        let config = resolve(uri).unwrap();
        assert_eq!(config.durability, Safety::Process);
        assert_eq!(config.compression, Compression::None);
        assert_eq!((config.cache.0, config.create), (8 << 20, true));
        for (uri, part) in [
            ("fjall:", "names its folder"),
            ("fjall:pins?cach=1", "'cache'"),
            ("fjall:pins?cache=1", "'cache' is 1"),
            ("fjall:pins?max_value_bytes=2GiB", "'max_value_bytes' is"),
            ("fjall:pins?max_atomic_batch=0", "'max_atomic_batch' is 0"),
            ("fjall:pins?durability=none", "'durability'"),
        ] {
            let error = resolve(uri).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{uri}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
