//! The configuration file, with the environment over it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use figment::providers::{Env, Format, Json, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::place::Places;
use super::{
    Description, LogConfig, MetricsConfig, Place, Problem, Settings, TracesConfig, invalid,
};
use crate::error::Result;

const PREFIX: &str = "PINSTATE_";

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
    /// Where the program's traces go.
    pub traces: TracesConfig,
    sources: Sources,
}

/// One configured store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The backend's name.
    pub backend: String,
    /// All other keys.
    pub settings: Settings,
}

/// The configuration as a whole. Its documentation is what users read: a section is a field
/// whose type says its keys, and is known from here to the check of keys, new files, the
/// reference and the schema.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes, and the values are read key by key")]
struct File {
    /// The store that commands use when none is named: its name under `stores`.
    #[schemars(example = &"main")]
    default_store: Option<String>,
    /// The stores, each a table under a name of your choice. Its `backend` says what it is, and
    /// the backend which other keys it has.
    #[serde(default)]
    stores: BTreeMap<String, BTreeMap<String, String>>,
    /// Numbers for Prometheus.
    #[serde(default)]
    metrics: MetricsConfig,
    /// What is logged to stderr, and how. `PINSTATE_LOG` comes before it.
    #[serde(default)]
    log: LogConfig,
    /// Spans for OpenTelemetry, of a program that was built with its feature `otlp`.
    #[serde(default)]
    traces: TracesConfig,
}

impl Config {
    /// The keys of a configuration file, but for those of the stores, which are their backends'.
    #[must_use]
    pub fn description() -> Description {
        Description::of::<File>()
    }

    /// Reads a file (JSON where its name ends in `.json`, else TOML) and the `PINSTATE_…`
    /// variables of the environment. `flags` names, without the prefix and in lower case, the
    /// variables that belong to the command line.
    ///
    /// # Errors
    /// `Config`, naming file or variable, key and reason: the first of the
    /// [problems](Self::survey).
    pub fn load(file: Option<&Path>, flags: &'static [&'static str]) -> Result<Self> {
        let (config, problems) = Self::survey(file, flags)?;
        problems.into_iter().next().map_or(Ok(config), |problem| Err(problem.into()))
    }

    /// Reads the same as far as it can be read, and tells everything that is wrong with it. What
    /// is wrong with the settings of a store its backend says:
    /// [`Registry::problems`](super::Registry::problems).
    ///
    /// # Errors
    /// `Config` for a file that cannot be read.
    pub fn survey(
        file: Option<&Path>,
        flags: &'static [&'static str],
    ) -> Result<(Self, Vec<Problem>)> {
        let mut figment = Figment::new();
        let mut places = Places::default();
        let mut problems = Vec::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                invalid("the configuration file cannot be read")
                    .with_context("file", path.display())
                    .with_source(error)
            })?;
            let json = path.extension().is_some_and(|extension| extension == "json");
            match Places::read(path, &text, json) {
                Ok(read) => {
                    places = read;
                    // Parsed from the file itself, so that errors carry its name.
                    figment = match json {
                        true => figment.merge(Json::file_exact(path)),
                        false => figment.merge(Toml::file_exact(path)),
                    };
                }
                Err(broken) => problems.push(Problem::of_all(broken.place, broken.reason)),
            }
        }
        figment = figment.merge(
            Env::prefixed(PREFIX)
                .filter(move |key| !flags.contains(&key.as_str().to_lowercase().as_str()))
                .split("__"),
        );
        // What a broken file would have said is not known, and so not missed.
        if !problems.is_empty() {
            return Ok((Self::default(), problems));
        }
        let sources = Sources(Arc::new(Read { figment, places }));
        let mut reader = Reader { sources, problems };
        let config = reader.read();
        Ok((config, reader.problems))
    }

    /// Where a key stands, by its path through the tables.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        self.sources.place(key)
    }

    /// What is said in one of the program's own tables, such as `log`.
    #[must_use]
    pub fn section(&self, name: &str) -> Settings {
        let value = self.sources.0.figment.find_value(name).ok();
        let values = value.as_ref().and_then(Value::as_dict).cloned().unwrap_or_default();
        Settings::from_file(self.sources.clone(), name.to_owned(), values)
    }

    /// A store by name.
    ///
    /// # Errors
    /// `Config`, with the names there are.
    pub fn store(&self, name: &str) -> Result<&StoreConfig> {
        self.stores.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.stores.keys().map(String::as_str).collect();
            invalid(if name.contains(std::path::is_separator) {
                format!(
                    "there is no store at {name}: check the path, or name by its backend the one \
                     that is to be made, such as fjall:{name}"
                )
            } else if names.is_empty() {
                format!("no store '{name}' is configured, nor any other: name one by URI, such as memory: or fjall:PATH")
            } else {
                format!("no store '{name}' is configured; configured: {}", names.join(", "))
            })
        })
    }
}

/// Reads what file and environment say, and keeps what is wrong with it.
struct Reader {
    sources: Sources,
    problems: Vec<Problem>,
}

impl Reader {
    fn place(&self, key: &str) -> Place {
        self.sources.place(key)
    }

    fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.push(Problem::new(self.place(key), key, reason));
    }

    fn text(&mut self, key: &str, value: &Value) -> Option<String> {
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.refuse(key, "must be text, in quotes");
        }
        text
    }

    fn read(&mut self) -> Config {
        let root: Dict = match self.sources.0.figment.extract() {
            Ok(root) => root,
            Err(error) => {
                // A parser may show the line that it stumbled over, behind a bar: there may be a
                // password in it.
                let reason = error.kind.to_string();
                let reason: Vec<&str> =
                    reason.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
                self.problems.push(Problem::of_all(self.place(""), reason.join(": ")));
                return Config::default();
            }
        };
        let description = Config::description();
        for (key, known) in description.unknown(&root) {
            let problem = Problem::unknown(self.place(&key), &key, &known);
            self.problems.push(problem);
        }
        let default_store =
            root.get("default_store").and_then(|value| self.text("default_store", value));
        let mut config = Config {
            default_store,
            stores: BTreeMap::new(),
            metrics: self.section(&root, "metrics", MetricsConfig::read),
            log: self.section(&root, "log", LogConfig::read),
            traces: self.section(&root, "traces", TracesConfig::read),
            sources: self.sources.clone(),
        };
        // Whether every store that is named is there to be looked for.
        let mut whole = true;
        match root.get("stores").map(|stores| (stores, stores.as_dict())) {
            None => {}
            Some((_, Some(table))) => {
                for (name, value) in table {
                    match self.store(name, value) {
                        Some(store) => drop(config.stores.insert(name.clone(), store)),
                        None => whole &= config.default_store.as_ref() != Some(name),
                    }
                }
            }
            Some((_, None)) => {
                self.refuse("stores", "must be a table of stores");
                whole = false;
            }
        }
        if let Some(name) = &config.default_store
            && whole
            && let Err(error) = config.store(name)
        {
            self.refuse("default_store", error.message());
        }
        config
    }

    /// A table of the program's own; as if it were not there where something is wrong with it.
    fn section<T: Default + JsonSchema + DeserializeOwned>(
        &mut self,
        root: &Dict,
        name: &str,
        read: fn(&Settings) -> Result<T>,
    ) -> T {
        let Some(value) = root.get(name) else { return T::default() };
        let Some(mut values) = value.as_dict().cloned() else {
            self.refuse(name, "must be a table");
            return T::default();
        };
        // Keys that are not known were told with those of the whole file.
        let known = Description::of::<T>();
        values.retain(|key, _| known.names().contains(&key.as_str()));
        let settings = Settings::from_file(self.sources.clone(), name.to_owned(), values);
        read(&settings).unwrap_or_else(|error| {
            self.problems.extend(error.problem().cloned());
            T::default()
        })
    }

    fn store(&mut self, name: &str, value: &Value) -> Option<StoreConfig> {
        let prefix = format!("stores.{name}");
        let Some(mut values) = value.as_dict().cloned() else {
            self.refuse(&prefix, "must be a table");
            return None;
        };
        let key = format!("{prefix}.backend");
        let Some(backend) = values.remove("backend") else {
            self.refuse(&key, "names no backend: add backend = \"…\"");
            return None;
        };
        let backend = self.text(&key, &backend)?;
        let settings = Settings::from_file(self.sources.clone(), prefix, values);
        Some(StoreConfig { backend, settings })
    }
}

/// What was read, for the places of keys.
#[derive(Clone, Default)]
pub(super) struct Sources(Arc<Read>);

#[derive(Default)]
struct Read {
    figment: Figment,
    places: Places,
}

impl Sources {
    /// Where a key stands, by its path through the tables.
    pub(super) fn place(&self, key: &str) -> Place {
        let Read { figment, places } = &*self.0;
        match figment.find_metadata(key).map(|metadata| &metadata.source) {
            Some(Some(Source::File(_))) => places.place(key),
            Some(Some(other)) => Place::of(other.to_string()),
            Some(None) => {
                let variable = key.to_uppercase().replace('.', "__");
                Place::of(format!("the environment ({PREFIX}{variable})"))
            }
            // It stands nowhere: it is missing from the table around it.
            None => match key.rsplit_once('.') {
                Some((table, _)) => self.place(table),
                None => places.place(key),
            },
        }
    }
}

impl fmt::Debug for Sources {
    // There may be secrets in what was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sources").finish_non_exhaustive()
    }
}
