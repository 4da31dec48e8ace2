//! What a user may set.

use std::path::PathBuf;

use pinstate_core::Result;
use pinstate_core::config::{ByteSize, invalid};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::durability::Safety;
use crate::error::BACKEND;

/// The engine's page cache unless configured: with it the process stays under 256 MiB while
/// two million pins are imported (see the [crate docs](crate)).
pub const DEFAULT_CACHE: ByteSize = ByteSize(24 << 20);

/// Least size of the cache: below it the pages of one path down the tree push each other
/// out.
pub const MIN_CACHE: ByteSize = ByteSize(1 << 20);

/// How a sled store is opened. As configuration every key but `path` may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SledConfig {
    /// The store's folder. One process at a time has it open.
    #[schemars(example = &"/var/lib/pinstate/sled")]
    pub path: PathBuf,
    /// Make the store where there is none. Commands that add pins do so without it.
    #[serde(default)]
    pub create: bool,
    /// Size of the engine's page cache in bytes, counted as on disk. The process takes
    /// about one and a half times that, and some 40 MiB for each million records.
    #[serde(default = "default_cache")]
    pub cache: ByteSize,
    /// What an acknowledged write is safe from.
    #[serde(default)]
    pub durability: Safety,
}

fn default_cache() -> ByteSize {
    DEFAULT_CACHE
}

impl SledConfig {
    /// An existing store at `path`, safe from the loss of power.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            create: false,
            cache: DEFAULT_CACHE,
            durability: Safety::default(),
        }
    }

    /// Makes the store where there is none.
    #[must_use]
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Sets the size of the cache; less than [`MIN_CACHE`] is refused when opening.
    #[must_use]
    pub fn with_cache(mut self, cache: ByteSize) -> Self {
        self.cache = cache;
        self
    }

    /// Sets what an acknowledged write is safe from.
    #[must_use]
    pub fn with_durability(mut self, durability: Safety) -> Self {
        self.durability = durability;
        self
    }

    /// Refuses what no store can be opened with.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |text: String| Err(invalid(text).with_backend(BACKEND));
        if self.path.as_os_str().is_empty() {
            return refuse(
                "'path' is empty: name the store's folder, as in sled:/var/lib/pins".into(),
            );
        }
        if self.cache < MIN_CACHE {
            return refuse(format!("'cache' is {}: the least is {MIN_CACHE}", self.cache));
        }
        Ok(())
    }
}
