//! The store: opening and closing it, its namespaces and its control records.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{
    Capabilities, Consistency, ControlRecord, ControlWritten, Durability, Error, ErrorKind, Expect,
    Gauge, Health, IfNewer, Namespace, NamespaceInfo, NamespaceName, Operation, Result, Scope,
    Store, StoreIdentity,
};
use uuid::Uuid;

use crate::commit::Committer;
use crate::config::{FjallConfig, MAX_KEY_BYTES};
use crate::directory::{FORMAT, Folder};
use crate::durability::Safety;
use crate::engine::{CATALOG, Engine, rows_name, values_name};
use crate::error::{closed, corrupt, engine as engine_error, no_namespace};
use crate::namespace::FjallNamespace;
use crate::readers::{Readers, aside};
use crate::room::Space;
use crate::rows::Tables;
use crate::stats::gauges;
use crate::{BACKEND, catalog, journal};

/// A store on fjall. It stays open, and locked, until it is closed or the last handle on it
/// and its namespaces is gone.
pub struct FjallStore(Arc<Core>);

/// What a store's handles share.
pub(crate) struct Core {
    identity: StoreIdentity,
    capabilities: Arc<Capabilities>,
    spaces: Arc<Mutex<BTreeMap<NamespaceName, Arc<Space>>>>,
    /// Gone once the store is closed.
    open: RwLock<Option<(Engine, Folder)>>,
    closing: Mutex<()>,
    pub(crate) readers: Readers,
    pub(crate) committer: Committer,
}

/// What this store claims. Each line is a promise that the conformance suite tests.
pub(crate) fn capabilities(config: &FjallConfig) -> Capabilities {
    let mut claims = Capabilities::minimal();
    claims.persistent = true;
    claims.exclusive_open = true;
    claims.ack_durability = config.durability.into();
    claims.sync_durability = Durability::Power;
    claims.ordered_scan = true;
    claims.snapshot_scan = true;
    claims.atomic_batch = true;
    claims.max_atomic_batch = config.max_atomic_batch;
    claims.if_newer = IfNewer::Exact;
    claims.if_absent = true;
    claims.if_version = true;
    claims.consistency = Consistency::Linearizable;
    claims.max_key_bytes = MAX_KEY_BYTES;
    claims.max_value_bytes = config.max_value_bytes.0;
    claims
}

impl FjallStore {
    /// Opens the store in a folder, or creates it there if the settings say so.
    ///
    /// # Errors
    /// `Config` for settings that no store could work with; `NoStore` where there is none;
    /// `Locked` where somebody has it open; `Incompatible` for another version of the format;
    /// `Corrupt` for damaged files.
    pub async fn open(config: &FjallConfig) -> Result<Self> {
        config.check()?;
        let config = config.clone();
        let core = aside(Operation::Open, move || Core::open(&config)).await?;
        Ok(Self(Arc::new(core)))
    }

    #[cfg(test)]
    pub(crate) fn room(&self, name: &NamespaceName) -> Option<Arc<Space>> {
        self.0.spaces.lock().get(name).cloned()
    }

    async fn alone<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.check_open(operation)?;
        self.0.committer.alone(operation, work).await
    }
}

impl Core {
    fn open(config: &FjallConfig) -> Result<Self> {
        let folder = Folder::lock(&config.path, config.create)?;
        let known = folder.identity()?;
        if known.is_none() {
            if !config.create {
                return Err(crate::directory::no_store(&config.path));
            }
            folder.clear()?;
        } else {
            if !folder.engine().join("version").is_file() {
                return Err(corrupt(Operation::Open, "the engine's files are missing")
                    .with_context("path", folder.engine().display()));
            }
            journal::check(&folder.engine(), config.durability == Safety::Power)?;
        }
        let engine = Engine::open(&folder.engine(), known.is_none(), config)?;
        let uuid = match known {
            Some(uuid) => uuid,
            None => {
                let uuid = Uuid::new_v4();
                engine.sync(Operation::Open)?;
                let synced = engine.sync_folders();
                synced.map_err(|error| engine_error(error, Operation::Open))?;
                folder.name(uuid)?;
                uuid
            }
        };
        let location = config.path.display().to_string();
        let identity = StoreIdentity::new(uuid, BACKEND, FORMAT, location);
        let capabilities = Arc::new(capabilities(config));
        let spaces = catch_unwind(AssertUnwindSafe(|| spaces(&engine, uuid, &capabilities)))
            .map_err(|_| corrupt(Operation::Open, "the engine could not read its files"))??;
        Ok(Self {
            identity,
            capabilities,
            spaces: Arc::new(Mutex::new(spaces)),
            readers: Readers::start()?,
            committer: Committer::start(engine.clone())?,
            open: RwLock::new(Some((engine, folder))),
            closing: Mutex::new(()),
        })
    }

    pub(crate) fn check_open(&self, operation: Operation) -> Result<()> {
        if self.open.read().is_some() { Ok(()) } else { Err(closed(operation)) }
    }

    pub(crate) fn engine(&self, operation: Operation) -> Result<Engine> {
        let open = self.open.read();
        open.as_ref().map(|(engine, _)| engine.clone()).ok_or_else(|| closed(operation))
    }

    /// Finishes what is under way and lets go of everything. Blocks.
    fn close(&self) -> Result<()> {
        // Whoever closes it as well waits until it is closed.
        let _alone = self.closing.lock();
        let Some((engine, folder)) = self.open.write().take() else { return Ok(()) };
        self.committer.stop();
        for space in std::mem::take(&mut *self.spaces.lock()).values() {
            drop(space.close());
        }
        self.readers.stop();
        let synced = engine.sync(Operation::Close);
        // The engine waits for its own threads here; the lock goes last.
        let _panic = catch_unwind(AssertUnwindSafe(move || drop(engine)));
        let _stays = journal::trim(&folder.engine());
        drop(folder);
        synced
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the store was let go of without a last sync");
        }
    }
}

/// The namespaces of the catalog. Keyspaces that none of them names are what a crash left of a
/// namespace that was being made or dropped, and go.
fn spaces(
    engine: &Engine,
    store: Uuid,
    capabilities: &Arc<Capabilities>,
) -> Result<BTreeMap<NamespaceName, Arc<Space>>> {
    let failed = |error| engine_error(error, Operation::Open);
    let mut spaces = BTreeMap::new();
    let mut known = vec![CATALOG.to_owned()];
    for (namespace, id) in catalog::namespaces(engine)? {
        if !engine.db.keyspace_exists(&rows_name(id)) {
            return Err(corrupt(Operation::Open, "the files of a namespace are missing")
                .with_context("namespace", namespace));
        }
        let tables = engine.tables(id).map_err(failed)?;
        known.extend([rows_name(id), values_name(id)]);
        let scope = Scope { store, format: FORMAT, namespace: namespace.clone() };
        spaces.insert(namespace, Arc::new(Space::new(scope, Arc::clone(capabilities), tables)));
    }
    for name in engine.db.list_keyspace_names() {
        if !known.iter().any(|known| **known == *name) {
            let left = engine.db.keyspace(&name, fjall::KeyspaceCreateOptions::default);
            left.and_then(|left| engine.db.delete_keyspace(left)).map_err(failed)?;
        }
    }
    Ok(spaces)
}

/// Gives up the keyspaces of a namespace that is gone already.
fn discard(engine: &Engine, tables: &Tables) {
    if let Err(error) = engine.discard(tables) {
        let error = engine_error(error, Operation::DropNamespace);
        tracing::warn!(%error, "the files of a dropped namespace stay until the store is opened");
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore").field("location", &self.0.identity.location).finish()
    }
}

#[async_trait]
impl Store for FjallStore {
    fn identity(&self) -> &StoreIdentity {
        &self.0.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::CreateNamespace;
        let (name, core) = (name.clone(), &self.0);
        let (spaces, capabilities) = (Arc::clone(&core.spaces), Arc::clone(&core.capabilities));
        let scope = Scope { store: core.identity.uuid, format: FORMAT, namespace: name.clone() };
        let create = move |engine: &Engine| {
            if spaces.lock().contains_key(&name) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    operation,
                    format!("the namespace '{name}' exists: open it, or choose another name"),
                )
                .with_backend(BACKEND));
            }
            let id = catalog::next_id(engine)?;
            let tables = engine.new_tables(id).map_err(|error| engine_error(error, operation))?;
            catalog::create(engine, &name, id)?;
            spaces.lock().insert(name, Arc::new(Space::new(scope, capabilities, tables)));
            Ok(())
        };
        self.alone(operation, create).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let operation = Operation::OpenNamespace;
        self.0.check_open(operation)?;
        let space = self.0.spaces.lock().get(name).cloned();
        let space = space.ok_or_else(|| no_namespace(operation, name))?;
        Ok(Arc::new(FjallNamespace::new(Arc::clone(&self.0), space)))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.0.check_open(Operation::ListNamespaces)?;
        Ok(self.0.spaces.lock().keys().cloned().map(NamespaceInfo::new).collect())
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let operation = Operation::DropNamespace;
        let (name, spaces) = (name.clone(), Arc::clone(&self.0.spaces));
        let remove = move |engine: &Engine| {
            if !spaces.lock().contains_key(&name) {
                return Err(no_namespace(operation, &name));
            }
            catalog::drop_namespace(engine, &name)?;
            let space = spaces.lock().remove(&name);
            if let Some(tables) = space.and_then(|space| space.end()) {
                discard(engine, &tables);
            }
            Ok(())
        };
        self.alone(operation, remove).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let operation = Operation::ReplaceNamespace;
        if name == staged {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                operation,
                format!("the namespace '{name}' cannot take its own place: stage it elsewhere"),
            )
            .with_backend(BACKEND));
        }
        let (name, staged) = (name.clone(), staged.clone());
        let (spaces, capabilities) = (Arc::clone(&self.0.spaces), Arc::clone(&self.0.capabilities));
        let replace = move |engine: &Engine| {
            let found = spaces.lock().get(&staged).cloned();
            let found = found.ok_or_else(|| no_namespace(operation, &staged))?;
            let tables = found.tables(operation)?;
            catalog::replace(engine, &name, &staged, tables.id)?;
            let scope = Scope { namespace: name.clone(), ..found.scope().clone() };
            // Handles know their namespace by name, so both old ones end.
            found.end();
            let space = Arc::new(Space::new(scope, capabilities, tables));
            let old = {
                let mut spaces = spaces.lock();
                spaces.remove(&staged);
                spaces.insert(name, space)
            };
            if let Some(tables) = old.and_then(|old| old.end()) {
                discard(engine, &tables);
            }
            Ok(())
        };
        self.alone(operation, replace).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        let operation = Operation::ControlGet;
        let (engine, key) = (self.0.engine(operation)?, key.to_owned());
        let get = move || catalog::control_get(&engine, operation, &key);
        self.0.readers.point(operation, get).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        let operation = Operation::ControlList;
        let (engine, prefix) = (self.0.engine(operation)?, prefix.to_owned());
        self.0.readers.point(operation, move || catalog::control_list(&engine, &prefix)).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let operation = Operation::ControlSet;
        for (what, len, limit) in [
            ("key", key.len(), MAX_CONTROL_KEY_BYTES),
            ("value", value.len(), MAX_CONTROL_VALUE_BYTES),
        ] {
            if len > limit {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    operation,
                    format!("the control record's {what} is {len} bytes long, of at most {limit}"),
                )
                .with_backend(BACKEND));
            }
        }
        let (key, value) = (key.to_owned(), value.to_owned());
        let set = move |engine: &Engine| catalog::control_set(engine, &key, expect, &value);
        self.alone(operation, set).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let key = key.to_owned();
        let delete = move |engine: &Engine| catalog::control_delete(engine, &key, expect);
        self.alone(Operation::ControlDelete, delete).await
    }

    async fn health(&self) -> Result<Health> {
        let operation = Operation::Health;
        let engine = self.0.engine(operation)?;
        let namespaces = self.0.spaces.lock().len();
        let look = move || {
            // Writes nothing, and tells whether a write, or the engine's own work, has failed.
            if let Err(error) = engine.db.persist(fjall::PersistMode::Buffer) {
                return Ok(Health::not_ready(engine.failed(error, operation).to_string()));
            }
            let bytes = engine.db.disk_space().map_err(|error| engine_error(error, operation))?;
            Ok(Health::ready()
                .with_detail("namespaces", namespaces.to_string())
                .with_detail("bytes on disk", bytes.to_string())
                .with_detail("journals", engine.db.journal_count().to_string()))
        };
        self.0.readers.point(operation, look).await
    }

    async fn sync(&self) -> Result<Durability> {
        let sync = |engine: &Engine| engine.sync(Operation::Sync).map(|()| Durability::Power);
        self.alone(Operation::Sync, sync).await
    }

    async fn close(&self) -> Result<()> {
        let core = Arc::clone(&self.0);
        aside(Operation::Close, move || core.close()).await
    }

    fn gauges(&self) -> Vec<(Gauge, f64)> {
        gauges(&self.0)
    }
}
