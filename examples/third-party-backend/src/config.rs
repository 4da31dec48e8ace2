//! What a user may set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of a store. What is written here is what users read: `config init`, `config
/// reference` and editors have it from these fields, their documentation and their defaults.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The store's folder. One process at a time has it open.
    #[schemars(example = &"/var/lib/pinstate/logstore")]
    pub path: PathBuf,
    /// Make the store where there is none. Commands that add pins do so without it.
    #[serde(default)]
    pub create: bool,
}
