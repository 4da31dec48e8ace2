//! What a user may set, and how a store is opened by its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Dict;
use pinstate_core::config::{
    BackendFactory, ByteSize, Description, OpenOptions, Settings, StoreUri, invalid,
};
use pinstate_core::layer::Layers;
use pinstate_core::{Capabilities, Error, ErrorKind, Operation, Result, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::durability::Safety;
use crate::store::capabilities;
use crate::{BACKEND, FjallStore, directory};

/// Longest key in bytes: the shortest limit among the databases that pins may move to. The
/// engine's own is 65,535.
pub(crate) const MAX_KEY_BYTES: u64 = 65_533;

/// How rows and long values are compressed on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// With LZ4, but for what was written a moment ago.
    #[default]
    Lz4,
}

/// Settings of a store. All but the path have defaults.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
#[non_exhaustive]
pub struct FjallConfig {
    /// The store's folder. One process at a time has it open.
    #[schemars(example = &"/var/lib/pinstate/fjall")]
    pub path: PathBuf,
    /// Make the store where there is none. Commands that add pins do so without it.
    pub create: bool,
    /// Memory for blocks that were read.
    pub cache: ByteSize,
    /// What a namespace keeps in memory of what was written, before the engine writes it out as a
    /// sorted file; at least 64 KiB. Holds for namespaces made from then on.
    pub write_buffer: ByteSize,
    /// What an acknowledged write is safe from.
    pub durability: Safety,
    /// How new namespaces are compressed.
    pub compression: Compression,
    /// Longest value that is taken; at most 1 GiB.
    pub max_value_bytes: ByteSize,
    /// Most writes in one atomic batch.
    #[schemars(range(min = 1))]
    pub max_atomic_batch: u64,
}

impl Default for FjallConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            create: false,
            cache: ByteSize(32 << 20),
            write_buffer: ByteSize(16 << 20),
            durability: Safety::Power,
            compression: Compression::Lz4,
            max_value_bytes: ByteSize(16 << 20),
            max_atomic_batch: 65_536,
        }
    }
}

impl FjallConfig {
    /// A store in this folder, with the defaults.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Refuses settings that no store could work with.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |text: String| {
            Err(Error::new(ErrorKind::Config, Operation::Open, text).with_backend(BACKEND))
        };
        if self.path.as_os_str().is_empty() {
            return refuse("'path' is missing: name the store's folder".to_owned());
        }
        for (key, value, least, most) in [
            ("cache", self.cache.0, 1 << 20, u64::MAX),
            ("write_buffer", self.write_buffer.0, 64 << 10, 1 << 30),
            ("max_value_bytes", self.max_value_bytes.0, 1, 1 << 30),
            ("max_atomic_batch", self.max_atomic_batch, 1, u64::from(u32::MAX >> 1)),
        ] {
            if !(least..=most).contains(&value) {
                return refuse(format!(
                    "'{key}' is {value}: leave it out for the default, or set {least} to {most}"
                ));
            }
        }
        Ok(())
    }
}

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
    use super::*;

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
