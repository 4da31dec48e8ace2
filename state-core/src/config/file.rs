//! The configuration file, with the environment over it.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Env, Format, Json, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Source};

use super::unknown::{hint, nearest};
use super::{LogConfig, MetricsConfig, Settings, invalid};
use crate::error::Result;

const PREFIX: &str = "PINSTATE_";
const KEYS: [&str; 4] = ["default_store", "log", "metrics", "stores"];

/// What the file and the environment say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The store that is used when none is named.
    pub default_store: Option<String>,
    /// The stores by name.
    pub stores: BTreeMap<String, StoreConfig>,
    /// Where the program's metrics are.
    pub metrics: MetricsConfig,
    /// What the program logs.
    pub log: LogConfig,
}

/// One configured store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The backend's name.
    pub backend: String,
    /// All other keys.
    pub settings: Settings,
}

impl Config {
    /// Reads a file (JSON where its name ends in `.json`, else TOML) and the `PINSTATE_…`
    /// variables of the environment. `flags` names, without the prefix and in lower case, the
    /// variables that belong to the command line.
    ///
    /// # Errors
    /// `Config`, naming file or variable, key and reason.
    pub fn load(file: Option<&Path>, flags: &'static [&'static str]) -> Result<Self> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                invalid("the configuration file cannot be read")
                    .with_context("file", path.display())
                    .with_source(error)
            })?;
            // Parsed from the file itself, so that errors carry its name.
            figment = if path.extension().is_some_and(|extension| extension == "json") {
                serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| {
                    invalid(format!("{error}")).with_context("file", path.display())
                })?;
                figment.merge(Json::file_exact(path))
            } else {
                figment.merge(Toml::file_exact(path))
            };
        }
        figment = figment.merge(
            Env::prefixed(PREFIX)
                .filter(move |key| !flags.contains(&key.as_str().to_lowercase().as_str()))
                .split("__"),
        );
        Self::from_figment(&figment)
    }

    fn from_figment(figment: &Figment) -> Result<Self> {
        let root: Dict = figment.extract().map_err(|error| {
            let place = error.metadata.as_ref().map_or_else(String::new, |metadata| {
                metadata.source.as_ref().map_or_else(String::new, |source| format!("{source}: "))
            });
            // The parser of TOML shows the line that it stumbled over, behind a bar: there may
            // be a password in it.
            let reason = error.kind.to_string();
            let reason: Vec<&str> =
                reason.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
            invalid(format!("{place}{}", reason.join(": ")))
        })?;
        if let Some(key) = root.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let near = nearest(key, KEYS);
            return Err(invalid(format!(
                "unknown key '{key}' in {}{}",
                place(figment, key),
                near.map_or_else(
                    || hint(key, &KEYS),
                    |near| format!("; nearest known key: '{near}'")
                )
            )));
        }
        let text = |key: &str, value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| invalid(format!("'{key}' in {} must be text", place(figment, key))))
        };
        let default_store =
            root.get("default_store").map(|value| text("default_store", value)).transpose()?;
        let mut stores = BTreeMap::new();
        if let Some(table) = root.get("stores") {
            let table = table.as_dict().ok_or_else(|| {
                invalid(format!(
                    "'stores' in {} must be a table of stores",
                    place(figment, "stores")
                ))
            })?;
            for (name, value) in table {
                let prefix = format!("stores.{name}");
                let mut values = value.as_dict().cloned().ok_or_else(|| {
                    invalid(format!("'{prefix}' in {} must be a table", place(figment, &prefix)))
                })?;
                let backend = values.remove("backend").ok_or_else(|| {
                    invalid(format!(
                        "'{prefix}' in {} names no backend: add backend = \"…\"",
                        place(figment, &prefix)
                    ))
                })?;
                let backend = text(&format!("{prefix}.backend"), &backend)?;
                let settings = Settings::from_file(figment.clone(), prefix, values);
                stores.insert(name.clone(), StoreConfig { backend, settings });
            }
        }
        let table = |name: &str| {
            let Some(table) = root.get(name) else { return Ok(None) };
            let values = table.as_dict().cloned().ok_or_else(|| {
                invalid(format!("'{name}' in {} must be a table", place(figment, name)))
            })?;
            Ok(Some(Settings::from_file(figment.clone(), name.to_owned(), values)))
        };
        let metrics = table("metrics")?.map(|table| MetricsConfig::read(&table)).transpose()?;
        let log = table("log")?.map(|table| LogConfig::read(&table)).transpose()?;
        let (metrics, log) = (metrics.unwrap_or_default(), log.unwrap_or_default());
        let config = Self { default_store, stores, metrics, log };
        if let Some(name) = &config.default_store {
            config.store(name).map_err(|error| {
                invalid(format!(
                    "'default_store' in {}: {}",
                    place(figment, "default_store"),
                    error.message()
                ))
            })?;
        }
        Ok(config)
    }

    /// A store by name.
    ///
    /// # Errors
    /// `Config`, with the names there are.
    pub fn store(&self, name: &str) -> Result<&StoreConfig> {
        self.stores.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.stores.keys().map(String::as_str).collect();
            invalid(if names.is_empty() {
                format!("no store '{name}' is configured: no store is; name one by URI, such as sled:PATH")
            } else {
                format!("no store '{name}' is configured; configured: {}", names.join(", "))
            })
        })
    }
}

/// Where a key stands, for people.
pub(super) fn place(figment: &Figment, key: &str) -> String {
    let Some(metadata) = figment.find_metadata(key) else { return "the configuration".to_owned() };
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        Some(other) => other.to_string(),
        None => format!("the environment ({PREFIX}{})", key.to_uppercase().replace('.', "__")),
    }
}
