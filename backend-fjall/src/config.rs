//! What a user may set.

use std::path::PathBuf;

use pinstate_core::config::ByteSize;
use pinstate_core::{Error, ErrorKind, Operation, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BACKEND;
use crate::durability::Safety;

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
