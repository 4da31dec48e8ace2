//! What a user may set.

use pinstate_core::config::ByteSize;
use pinstate_core::{Error, ErrorKind, Operation, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::BACKEND;

/// Longest key in bytes: the shortest limit among the databases that pins may move to.
pub(crate) const MAX_KEY_BYTES: u64 = 65_533;

/// Settings of a memory store. All have defaults.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Longest value that is taken.
    pub max_value_bytes: ByteSize,
    /// Most writes in one atomic batch. An atomic batch holds up every
    /// other writer of its namespace while it applies, about a microsecond a write.
    #[schemars(range(min = 1))]
    pub max_atomic_batch: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max_value_bytes: ByteSize(16 << 20), max_atomic_batch: 65_536 }
    }
}

impl MemoryConfig {
    /// Refuses settings that no store could work with.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn check(&self) -> Result<()> {
        for (key, value) in [
            ("max_value_bytes", self.max_value_bytes.0),
            ("max_atomic_batch", self.max_atomic_batch),
        ] {
            if value == 0 {
                return Err(Error::new(
                    ErrorKind::Config,
                    Operation::Open,
                    format!("'{key}' is 0: leave it out for the default, or set 1 or more"),
                )
                .with_backend(BACKEND));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_limits_are_refused_by_name() {
        MemoryConfig::default().check().unwrap();
        let config = MemoryConfig { max_atomic_batch: 0, ..MemoryConfig::default() };
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("'max_atomic_batch' is 0"), "{error}");
    }
}
