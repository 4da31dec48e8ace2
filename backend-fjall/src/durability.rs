//! What an acknowledged write is safe from.
//!
//! The engine appends every batch to its journal and keeps it in memory until its files are
//! written and synced. `PersistMode::SyncAll` is an `fsync` of the journal before the batch is
//! shown to readers; `PersistMode::Buffer` hands it to the system, which outlives the process.
//! A failed write or `fsync` of the journal poisons the engine, so that no later success can
//! hide it. What the engine leaves out is the folder of a new keyspace: `Engine::sync_folders`.

use fjall::PersistMode;
use pinstate_core::Durability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an acknowledged write is safe from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Safety {
    /// The loss of power: writes wait for the disk, together.
    #[default]
    Power,
    /// The death of the process; `sync` waits for the disk.
    Process,
}

impl Safety {
    /// What a write waits for.
    pub(crate) fn mode(self) -> PersistMode {
        match self {
            Self::Power => PersistMode::SyncAll,
            Self::Process => PersistMode::Buffer,
        }
    }
}

impl From<Safety> for Durability {
    fn from(safety: Safety) -> Self {
        match safety {
            Safety::Power => Self::Power,
            Safety::Process => Self::Process,
        }
    }
}
