//! The backends that a program has, as a value: nothing registers itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Dict;

use super::unknown::nearest;
use super::{Config, Description, Problem, Settings, StoreUri, invalid};
use crate::capability::Capabilities;
use crate::error::Result;
use crate::layer::Layers;
use crate::store::Store;

/// How a store is to be opened, beside its own settings.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Create a store that is missing. Without it a missing store is `NoStore`, never an
    /// empty one.
    pub create: bool,
}

impl OpenOptions {
    /// Opens what is there.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates what is missing.
    #[must_use]
    pub fn create() -> Self {
        Self { create: true }
    }
}

/// What opens stores of one backend.
#[async_trait]
pub trait BackendFactory: Send + Sync + fmt::Debug {
    /// The backend's name, in configuration and URIs.
    fn name(&self) -> &'static str;

    /// Other names that mean the same.
    fn aliases(&self) -> &'static [&'static str];

    /// What it is, in half a line.
    fn about(&self) -> &'static str;

    /// The keys of its configuration, as [`Description::of`] the type that [`open`](Self::open)
    /// reads them into: for help, files to begin with, and the schema that editors read.
    fn description(&self) -> Description;

    /// What a store opened with the default settings can do.
    fn capabilities(&self) -> Capabilities;

    /// What the part of a URI before the question mark means, as keys and values.
    ///
    /// # Errors
    /// `Config` for a URI that makes no sense for this backend.
    fn uri_settings(&self, uri: &StoreUri) -> Result<Dict>;

    /// Judges settings as [`open`](Self::open) does before it touches anything: nothing is
    /// opened, locked, connected to or read.
    ///
    /// # Errors
    /// `Config` for settings that no store can be opened with, naming where they stand.
    fn check(&self, settings: &Settings) -> Result<()>;

    /// The layers that a store of these settings wants around it: none where the engine is
    /// in this process and a call only needs its time, and those that its settings ask for
    /// where there is a network in between.
    ///
    /// # Errors
    /// `Config` for bad settings.
    fn layers(&self, settings: &Settings) -> Result<Layers>;

    /// How much these settings want the program to log, where nothing else says it: the
    /// environment and the program's own settings come first.
    ///
    /// # Errors
    /// `Config` for bad settings.
    fn log_level(&self, _settings: &Settings) -> Result<Option<tracing::Level>> {
        Ok(None)
    }

    /// Whether a folder holds a store of this backend, in whatever version of its format. It is
    /// looked at and no more: not opened, and not locked.
    fn is_at(&self, _folder: &Path) -> bool {
        false
    }

    /// Opens a store.
    ///
    /// # Errors
    /// `Config` for bad settings; `NoStore`, `Locked`, `Incompatible`, `Corrupt`,
    /// `Unavailable` as they are.
    async fn open(&self, settings: &Settings, options: OpenOptions) -> Result<Arc<dyn Store>>;
}

/// The backends of a program: those it has, and those it was built without.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn BackendFactory>>,
    left_out: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// No backend.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend.
    #[must_use]
    pub fn with(mut self, factory: impl BackendFactory + 'static) -> Self {
        self.factories.insert(factory.name(), Arc::new(factory));
        self
    }

    /// Names a backend that this program was built without, and the feature that adds it.
    #[must_use]
    pub fn with_left_out(mut self, name: &'static str, feature: &'static str) -> Self {
        self.left_out.insert(name, feature);
        self
    }

    /// The backends there are, by name.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<dyn BackendFactory>> {
        self.factories.values()
    }

    /// The backends left out: name and feature.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.left_out.iter().map(|(name, feature)| (*name, *feature))
    }

    /// A backend by name or alias.
    ///
    /// # Errors
    /// `Config`: one that was left out says so, an unknown one lists those there are.
    pub fn backend(&self, name: &str) -> Result<&Arc<dyn BackendFactory>> {
        let lower = name.to_ascii_lowercase();
        if let Some(factory) = self.factories.get(lower.as_str()).or_else(|| {
            self.factories.values().find(|factory| factory.aliases().contains(&lower.as_str()))
        }) {
            return Ok(factory);
        }
        if let Some(feature) = self.left_out.get(lower.as_str()) {
            return Err(invalid(format!(
                "this program was built without the backend '{lower}': build it with the feature \
                 '{feature}'"
            )));
        }
        let names: Vec<&str> = self.factories.keys().copied().collect();
        let near = nearest(&lower, names.iter().copied())
            .map_or_else(String::new, |near| format!("; nearest: '{near}'"));
        Err(invalid(format!(
            "there is no backend '{}'; there are: {}{near}",
            name.escape_debug(),
            names.join(", ")
        )))
    }

    /// The backend whose store a folder holds.
    #[must_use]
    pub fn recognise(&self, folder: &Path) -> Option<&Arc<dyn BackendFactory>> {
        self.factories.values().find(|factory| factory.is_at(folder))
    }

    /// Opens a store that is named by URI, by name in a configuration, or by the path of a
    /// folder that holds one.
    ///
    /// # Errors
    /// `Config` for a name, a URI or settings that are wrong, and for a folder with a store of
    /// another backend; else the backend's own.
    pub async fn open(
        &self,
        config: &Config,
        store: &str,
        options: OpenOptions,
    ) -> Result<Arc<dyn Store>> {
        let (factory, settings) = self.resolve(config, store)?;
        factory.check(&settings)?;
        if let Some(path) = settings.text("path")
            && let Some(other) = self.recognise(Path::new(path))
            && other.name() != factory.name()
        {
            let (other, backend) = (other.name(), factory.name());
            let text = format!("holds a store of {other} and none of {backend}: name it {other}:");
            return Err(settings.refuse("path", format_args!("{path} {text}{path}")));
        }
        factory.open(&settings, options).await
    }

    /// Judges what a store is configured with, without touching the store.
    ///
    /// # Errors
    /// `Config`, as [`open`](Self::open).
    pub fn check(&self, config: &Config, store: &str) -> Result<()> {
        let (factory, settings) = self.resolve(config, store)?;
        factory.check(&settings)
    }

    /// Everything that is wrong with the stores of a configuration, in the order of their names.
    #[must_use]
    pub fn problems(&self, config: &Config) -> Vec<Problem> {
        let of_store = |store: &str| match self.resolve(config, store) {
            Ok((factory, settings)) => settings.problems(&**factory),
            Err(error) => error.problem().into_iter().cloned().collect(),
        };
        config.stores.keys().flat_map(|store| of_store(store)).collect()
    }

    /// The backend and settings of a store, without opening it.
    ///
    /// # Errors
    /// `Config`, as [`open`](Self::open).
    pub fn resolve(
        &self,
        config: &Config,
        store: &str,
    ) -> Result<(&Arc<dyn BackendFactory>, Settings)> {
        if StoreUri::looks_like(store) {
            let uri: StoreUri = store.parse()?;
            let factory = self.backend(uri.scheme())?;
            let settings = Settings::from_uri(&uri, factory.uri_settings(&uri)?);
            return Ok((factory, settings));
        }
        // A name in the configuration comes before a folder of the same name.
        if !config.stores.contains_key(store)
            && let Some(factory) = self.recognise(Path::new(store))
            && let Ok(uri) = format!("{}:{store}", factory.name()).parse()
        {
            return Ok((factory, Settings::from_uri(&uri, factory.uri_settings(&uri)?)));
        }
        let configured = config.store(store)?;
        let factory = self
            .backend(&configured.backend)
            .map_err(|error| configured.settings.refuse("backend", error.message()))?;
        Ok((factory, configured.settings.clone()))
    }
}
