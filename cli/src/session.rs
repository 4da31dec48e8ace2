//! From the command line to an opened store: configuration, store, layers, namespace,
//! clock, pinset.

use std::path::PathBuf;
use std::sync::Arc;

use pinstate_core::config::{
    BackendFactory, Config, OpenOptions, Registry, Settings, StoreUri, invalid,
};
use pinstate_core::layer::Layers;
use pinstate_core::{
    Clock, ClockOptions, Error, ErrorKind, Namespace, NamespaceName, State, Store,
};

use crate::args::{Global, VARIABLES};
#[cfg(feature = "scylla")]
use crate::backends::cql;
use crate::backends::{DEFAULT_BACKEND, registry};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::signal::AtHangup;
use crate::{logging, observe, paths, redact, signal, staging, traces};

/// What a command is going to do with the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Read. Neither a store nor a namespace is created.
    Read,
    /// Change what is there. Nothing is created either.
    Modify,
    /// Add to it. A missing store is created, and so is the default namespace.
    Create,
}

/// What the configuration says, and which store was named.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    /// The configuration file that was read.
    pub(crate) file: Option<PathBuf>,
    /// The store that was named: a name in the configuration, or a URI.
    pub(crate) named: Option<String>,
}

impl Choice {
    /// Reads the configuration and finds the store that was named. What it says of the log
    /// and of traces holds from now on.
    pub(crate) fn new(global: &Global) -> Outcome<Self> {
        let choice = Self::read(global)?;
        logging::configure(&choice.config.log, global.log_format);
        traces::configure(&choice.config.traces);
        Ok(choice)
    }

    fn read(global: &Global) -> Outcome<Self> {
        let file = config_file(global);
        let config = Config::load(file.as_deref(), VARIABLES)?;
        let named = global.store.clone().or_else(|| config.default_store.clone());
        Ok(Self { registry: registry(), config, file, named })
    }

    /// The store to open.
    pub(crate) fn store(&self) -> Outcome<String> {
        self.named.clone().map_or_else(|| self.default_store(None), Ok)
    }

    /// The store to put under load or to take apart: one that was named. Nobody who names none
    /// means the one with his pins.
    pub(crate) fn store_to_test(&self) -> Outcome<String> {
        let unnamed = || Failure::usage("name the store to test, as --store sled:PATH");
        self.named.clone().ok_or_else(unnamed)
    }

    /// The store that a backend's name alone stands for; a store's name or URI is itself.
    pub(crate) fn store_of_backend(&self, name: &str) -> Outcome<String> {
        if StoreUri::looks_like(name) || self.config.stores.contains_key(name) {
            return Ok(name.to_owned());
        }
        let factory = self.registry.backend(name)?;
        match factory.name() {
            name if has_folder(factory) => self.default_store(Some(name)),
            other => Ok(format!("{other}:")),
        }
    }

    /// The store that is used when none is named, or when only its backend is.
    fn default_store(&self, backend: Option<&str>) -> Outcome<String> {
        let folder = paths::default_stores().ok_or_else(|| {
            invalid(
                "no store is named, and there is no home directory to keep one in: name one with \
                 --store, such as sled:PATH",
            )
        })?;
        let is_there = |backend: &&str| {
            let found = self.registry.recognise(&folder.join(backend));
            found.is_some_and(|found| found.name() == *backend)
        };
        // One that is there stays in use, whatever new ones are made with.
        let embedded = self.registry.backends().filter(|factory| has_folder(factory));
        let known = std::iter::once(DEFAULT_BACKEND).chain(embedded.map(|factory| factory.name()));
        let backend =
            backend.or_else(|| known.into_iter().find(is_there)).unwrap_or(DEFAULT_BACKEND);
        let path = folder.join(backend);
        let path = path.to_str().filter(|path| !path.contains('?')).ok_or_else(|| {
            invalid(format!(
                "no store is named, and {} cannot be written as a URI: name one with --store",
                path.display()
            ))
        })?;
        Ok(format!("{backend}:{path}"))
    }

    /// The configuration of the store on a CQL cluster that was named.
    #[cfg(feature = "scylla")]
    pub(crate) fn scylla(&self) -> Outcome<cql::ScyllaConfig> {
        let store = self.store()?;
        let (factory, settings) = self.resolved(&store)?;
        if factory.name() != cql::BACKEND {
            return Err(Failure::usage(format!(
                "this is for stores on a ScyllaDB or Cassandra cluster, and {} is none: name one \
                 with --store, such as scylla://HOST/KEYSPACE",
                redact::store(&store)
            )));
        }
        Ok(cql::ScyllaFactory::config(&settings)?)
    }

    /// The backend and the checked settings of a store, for whoever opens it more than once.
    #[cfg(feature = "conformance")]
    pub(crate) fn checked(
        &self,
        store: &str,
    ) -> Result<(Arc<dyn BackendFactory>, Settings), Error> {
        let (factory, settings) = self.resolved(store)?;
        factory.check(&settings)?;
        Ok((Arc::clone(factory), settings))
    }

    /// The backend and the settings of a store, which say how much is logged from now on.
    fn resolved(&self, store: &str) -> Result<(&Arc<dyn BackendFactory>, Settings), Error> {
        let (factory, settings) = self.registry.resolve(&self.config, store)?;
        if let Some(level) = factory.log_level(&settings)? {
            logging::level(level);
        }
        Ok((factory, settings))
    }

    /// Whether the settings of one of these stores say how much is logged, and how much: the one
    /// that logs most.
    fn log_level(&self, stores: &[String]) -> Result<Option<tracing::Level>, Error> {
        let mut most = None;
        for store in stores {
            self.registry.check(&self.config, store)?;
            let (factory, settings) = self.registry.resolve(&self.config, store)?;
            most = most.max(factory.log_level(&settings)?);
        }
        Ok(most)
    }

    /// The layers that a store wants around it.
    fn layers(&self, store: &str) -> Result<Layers, Error> {
        let (factory, settings) = self.resolved(store)?;
        factory.layers(&settings)
    }

    /// Whether a store is one that this process alone has open.
    fn is_embedded(&self, store: &str) -> Result<bool, Error> {
        let (factory, _) = self.registry.resolve(&self.config, store)?;
        Ok(factory.capabilities().exclusive_open)
    }

    /// Whether a store that is not there is made when something is to be put into it: an
    /// embedded one, and one on a cluster if the configuration says with how many replicas.
    pub(crate) fn can_be_made(&self, store: &str) -> Result<bool, Error> {
        let (factory, settings) = self.registry.resolve(&self.config, store)?;
        let replicated = settings.text("replication").is_some();
        Ok(factory.capabilities().exclusive_open || replicated)
    }

    async fn open(&self, store: &str, options: OpenOptions) -> Result<Arc<dyn Store>, Error> {
        self.registry.open(&self.config, store, options).await
    }
}

/// The configuration file that is read: the one that was named, or the user's if it is there.
pub(crate) fn config_file(global: &Global) -> Option<PathBuf> {
    let named = global.config.clone();
    named.or_else(|| paths::default_config().filter(|file| file.exists()))
}

/// Reads the configuration anew at every SIGHUP, for a command that works long on these stores:
/// how much is logged. The rest holds from the start, and passwords in files are read at every
/// login anyway.
pub(crate) fn reload_at_hangup(
    global: &Global,
    stores: impl IntoIterator<Item = String>,
    out: Output,
) -> Option<AtHangup> {
    let (file, global) = (config_file(global), global.clone());
    // What is a file or a peer has no configuration.
    let configured = |store: &String| {
        Choice::new(&global)
            .is_ok_and(|choice| choice.registry.resolve(&choice.config, store).is_ok())
    };
    let stores: Vec<String> = stores.into_iter().filter(configured).collect();
    signal::at_hangup(move || {
        let read = Choice::read(&global).and_then(|choice| {
            let level = choice.log_level(&stores)?.unwrap_or(logging::USUAL);
            Ok((choice.config.log, level))
        });
        match read {
            Ok((log, level)) => {
                logging::configure(&log, global.log_format);
                logging::level(level);
                let logged = match logging::said_by() {
                    None => format!("logging {level}"),
                    Some(who) => format!("logging what {who} says"),
                };
                let file = file.as_ref().map_or("no file".to_owned(), |f| f.display().to_string());
                out.note(format_args!("read the configuration anew ({file}): {logged}"));
            }
            // The work is more important than what is said of it.
            Err(failure) => {
                out.failure(&failure);
                out.note("the configuration that was read before still holds");
            }
        }
    })
}

/// Whether a backend keeps its stores in folders, each for one process at a time.
pub(crate) fn has_folder(factory: &Arc<dyn BackendFactory>) -> bool {
    factory.description().names().contains(&"path") && factory.capabilities().persistent
}

/// An opened store and what the command line says about it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespace: NamespaceName,
    pub(crate) out: Output,
    access: Access,
}

impl Session {
    /// Opens the store that the command line names.
    pub(crate) async fn open(global: &Global, out: Output, access: Access) -> Outcome<Self> {
        Self::open_choice(Choice::new(global)?, global, out, access).await
    }

    /// Opens a store that was chosen.
    pub(crate) async fn open_choice(
        choice: Choice,
        global: &Global,
        out: Output,
        access: Access,
    ) -> Outcome<Self> {
        let name = choice.store()?;
        let shown = redact::store(&name);
        if choice.named.is_none() {
            out.note(format_args!("no store was named, so this is {shown}"));
        }
        // Traces cost something for each call, so they are there when somebody reads them.
        let layers = choice.layers(&name)?;
        let trace = layers.trace || logging::wanted();
        let layers = layers.with_trace(trace).with_trace_every(choice.config.log.every());
        let layers = layers.with_spans(traces::wanted());
        let layers = observe::observed(layers, global);
        let store = match choice.open(&name, OpenOptions::new()).await {
            Err(error) if error.kind() == ErrorKind::NoStore && access == Access::Create => {
                let store = choice.open(&name, OpenOptions::create()).await?;
                out.note(format_args!("created the store {shown}"));
                store
            }
            // One that is made by itself; others say themselves how they are made.
            Err(error) if error.kind() == ErrorKind::NoStore && choice.is_embedded(&name)? => {
                return Err(Failure::from(error).with_hint(format!(
                    "nothing has been stored in {shown} yet: 'pinstate import FILE' or 'pinstate \
                     pin add CID' creates it"
                )));
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
                    && !choice.is_embedded(&name)? =>
            {
                return Err(Failure::from(error)
                    .with_hint("'pinstate doctor' says of each node whether it can be reached"));
            }
            opened => opened?,
        };
        if let Some(metrics) = global.metrics.get() {
            metrics.watch(&store);
        }
        let session =
            Self { store: layers.apply(store), namespace: global.namespace.clone(), out, access };
        match session.prepare().await {
            Ok(()) => Ok(session),
            Err(failure) => session.close(Err(failure)).await,
        }
    }

    /// What is to be done before anything is changed.
    async fn prepare(&self) -> Outcome<()> {
        if self.access == Access::Read {
            return Ok(());
        }
        let capabilities = self.store.capabilities();
        if self.access == Access::Create && !capabilities.persistent {
            self.out.note("this store is kept in memory: it is gone when this command ends");
        }
        if capabilities.exclusive_open {
            self.sweep().await?;
        }
        Ok(())
    }

    /// Removes what interrupted imports have left. Only where nobody else is at work.
    async fn sweep(&self) -> Outcome<()> {
        for left in staging::sweep(&*self.store).await? {
            self.out.note(format_args!(
                "removed what an interrupted import into '{}' had left ({})",
                left.target, left.staging
            ));
        }
        Ok(())
    }

    /// The namespace that the command line names.
    pub(crate) async fn namespace(&self) -> Outcome<Arc<dyn Namespace>> {
        self.namespace_of(&self.namespace).await
    }

    /// A namespace of the store.
    pub(crate) async fn namespace_of(&self, name: &NamespaceName) -> Outcome<Arc<dyn Namespace>> {
        match self.store.open_namespace(name).await {
            Err(error) if error.kind() == ErrorKind::NoNamespace => {
                if self.access == Access::Create && *name == NamespaceName::default() {
                    match self.store.create_namespace(name).await {
                        // Another process was faster.
                        Err(error) if error.kind() == ErrorKind::Conflict => {}
                        created => created?,
                    }
                    return Ok(self.store.open_namespace(name).await?);
                }
                let hint = if *name == NamespaceName::default() {
                    "nothing has been stored here yet: 'pinstate import FILE' or 'pinstate pin \
                     add CID' creates it"
                        .to_owned()
                } else {
                    format!(
                        "'pinstate namespaces list' shows those there are, 'pinstate namespaces \
                         create {name}' makes it"
                    )
                };
                Err(Failure::from(error).with_hint(hint))
            }
            opened => Ok(opened?),
        }
    }

    /// The namespace that the command line names, if it is there.
    pub(crate) async fn existing(&self) -> Outcome<Option<Arc<dyn Namespace>>> {
        match self.store.open_namespace(&self.namespace).await {
            Err(error) if error.kind() == ErrorKind::NoNamespace => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    /// The clock for what the command writes.
    ///
    /// Reading commands get one without a mark: they draw nothing from it, and a clock that
    /// is wrong must not keep anybody from reading.
    pub(crate) async fn clock(&self) -> Outcome<Arc<Clock>> {
        Ok(Arc::new(match self.access {
            Access::Read => Clock::volatile(),
            Access::Modify | Access::Create => {
                Clock::open(Arc::clone(&self.store), ClockOptions::new()).await?
            }
        }))
    }

    /// The pinset that the command line names.
    pub(crate) async fn pins(&self) -> Outcome<State> {
        let namespace = self.namespace().await?;
        Ok(State::new(namespace, self.clock().await?))
    }

    /// Refuses to put a namespace in another's place where others may be writing to it,
    /// unless the operator says that nobody does: then what interrupted imports have left
    /// can go, too, which in a store of this process alone went when it was opened.
    pub(crate) async fn alone(&self, exclusive: bool) -> Outcome<()> {
        let capabilities = self.store.capabilities();
        if capabilities.exclusive_open || !capabilities.persistent {
            return Ok(());
        }
        if exclusive {
            return self.sweep().await;
        }
        Err(Failure::usage(
            "others can write to this store at the same time, and what they write now would be \
             lost: stop them, and say so with --exclusive",
        ))
    }

    /// Closes the store and gives the command's result; a failure to close is one, unless
    /// there is an earlier one to tell of.
    pub(crate) async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        let closed = self.store.close().await;
        let value = result?;
        closed?;
        Ok(value)
    }
}
