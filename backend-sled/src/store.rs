//! An opened store: its namespaces, its control records, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::{
    Capabilities, Consistency, ControlRecord, ControlWritten, Durability, ErrorKind, Expect, Gauge,
    Health, IfNewer, Namespace, NamespaceInfo, NamespaceName, Operation, Outcome, Result, Scope,
    Store, StoreIdentity,
};
use tokio::sync::oneshot;

use crate::catalog;
use crate::config::SledConfig;
use crate::durability::Safety;
use crate::engine::{Engine, Rooms};
use crate::error::{BACKEND, error, from_engine, from_io, panicked};
use crate::format::{FORMAT, tree_name};
use crate::namespace::SledNamespace;
use crate::room::{Room, no_namespace};
use crate::rows;
use crate::stats::gauges;

/// An opened sled store.
///
/// It stays open while it, a namespace or a scan of it is held; dropping the last of them
/// closes it as [`close`](Store::close) does, and blocks meanwhile.
#[derive(Debug)]
pub struct SledStore {
    identity: StoreIdentity,
    capabilities: Arc<Capabilities>,
    config: SledConfig,
    engine: Arc<Engine>,
    /// Whether the store was closed; held meanwhile, so that a second caller waits.
    closed: Arc<tokio::sync::Mutex<bool>>,
}

/// What every store of this backend can do.
pub(crate) fn capabilities(safety: Safety) -> Capabilities {
    let mut capabilities = Capabilities::minimal();
    capabilities.persistent = true;
    capabilities.exclusive_open = true;
    capabilities.ack_durability = safety.into();
    capabilities.sync_durability = safety.into();
    // A damaged message in the newest part of the engine's log is passed over: `durability.rs`.
    capabilities.detects_damage = false;
    capabilities.ordered_scan = true;
    // The engine keeps no old pages for readers.
    capabilities.snapshot_scan = false;
    capabilities.atomic_batch = true;
    capabilities.if_newer = IfNewer::Exact;
    capabilities.if_absent = true;
    capabilities.if_version = true;
    capabilities.consistency = Consistency::Linearizable;
    capabilities.max_key_bytes = rows::MAX_KEY_BYTES as u64;
    capabilities.max_value_bytes = rows::MAX_VALUE_BYTES as u64;
    capabilities.max_atomic_batch = rows::MAX_ATOMIC_WRITES as u64;
    capabilities
}

impl SledStore {
    /// Opens a store.
    ///
    /// # Errors
    /// `NoStore` where there is none and [`create`](SledConfig::create) is not asked for;
    /// `Locked` where it is open elsewhere; `Incompatible` for a newer format or a folder
    /// of something else, which stays untouched; `Corrupt` for damaged files.
    pub async fn open(config: &SledConfig) -> Result<Self> {
        let (answer, opened) = oneshot::channel();
        let config = config.clone();
        std::thread::Builder::new()
            .name("pinstate-open".into())
            // A store that nobody waits for any more closes right here.
            .spawn(move || drop(answer.send(Self::open_blocking(&config))))
            .map_err(|e| from_io(e, Operation::Open))?;
        opened.await.map_err(|_| panicked(Operation::Open))?
    }

    /// Opens a store, blocking the thread.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_blocking(config: &SledConfig) -> Result<Self> {
        config.check()?;
        let (engine, marker) = Engine::open(config, |db, marker, is_new| {
            if is_new {
                catalog::create(db, marker)?;
            }
            let mut rooms = BTreeMap::new();
            for (name, number) in catalog::load(db, marker)? {
                let tree =
                    db.open_tree(tree_name(number)).map_err(|e| from_engine(e, Operation::Open))?;
                let scope =
                    Scope { store: marker.uuid, format: marker.format, namespace: name.clone() };
                rooms.insert(name, Arc::new(Room::new(scope, number, tree)));
            }
            Ok(rooms)
        })?;
        let location = config.path.display().to_string();
        Ok(Self {
            identity: StoreIdentity::new(marker.uuid, BACKEND, FORMAT, location),
            capabilities: Arc::new(capabilities(config.durability)),
            config: config.clone(),
            engine: Arc::new(engine),
            closed: Arc::new(tokio::sync::Mutex::new(false)),
        })
    }

    /// Changes the bookkeeping, on the writer.
    async fn change<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce(&sled::Db, &Rooms) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (entrance, rooms) = (self.engine.entrance(), Arc::clone(&self.engine.rooms));
        self.engine
            .write(operation, 0, move || entrance.enter(operation, |db| job(db, &rooms)))
            .await
    }

    /// Removes the rows of a namespace that was forgotten, in turns with other writes. What
    /// it does not get to, the next opening does.
    async fn drop_rows(&self, number: u64, operation: Operation) -> Result<()> {
        let drop_some = move |db: &sled::Db, _: &Rooms| {
            catalog::drop_rows(db, tree_name(number).as_bytes(), operation)
        };
        while self.change(operation, drop_some).await? {}
        Ok(())
    }

    /// Reads the bookkeeping, on a reader.
    async fn look_up<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce(&sled::Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let entrance = self.engine.entrance();
        self.engine.read(operation, move || entrance.enter(operation, job)).await
    }
}

#[async_trait]
impl Store for SledStore {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let op = Operation::CreateNamespace;
        let name = name.clone();
        let (store, format) = (self.identity.uuid, self.identity.format);
        self.change(op, move |db, rooms| {
            if rooms.lock().contains_key(&name) {
                return Err(error(
                    ErrorKind::Conflict,
                    op,
                    format!("the namespace '{name}' exists already"),
                ));
            }
            let (number, tree) = catalog::create_namespace(db, &name)?;
            let scope = Scope { store, format, namespace: name.clone() };
            rooms.lock().insert(name, Arc::new(Room::new(scope, number, tree)));
            Ok(())
        })
        .await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let op = Operation::OpenNamespace;
        self.engine.entrance().enter(op, |_| Ok(()))?;
        let room = self.engine.rooms.lock().get(name).map(Arc::clone);
        let room = room.ok_or_else(|| no_namespace(op, name.as_str()))?;
        let (engine, capabilities) = (Arc::clone(&self.engine), Arc::clone(&self.capabilities));
        Ok(Arc::new(SledNamespace::new(engine, room, capabilities)))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        self.engine.entrance().enter(Operation::ListNamespaces, |_| Ok(()))?;
        Ok(self.engine.rooms.lock().keys().cloned().map(NamespaceInfo::new).collect())
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let op = Operation::DropNamespace;
        let name = name.clone();
        let dropped = self.change(op, move |db, rooms| {
            let room = rooms.lock().get(&name).map(Arc::clone);
            let room = room.ok_or_else(|| no_namespace(op, name.as_str()))?;
            catalog::forget_namespace(db, &name)?;
            rooms.lock().remove(&name);
            room.shut_gone();
            Ok(room.number)
        });
        self.drop_rows(dropped.await?, op).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let op = Operation::ReplaceNamespace;
        if name == staged {
            return Err(error(
                ErrorKind::InvalidInput,
                op,
                format!("the namespace '{name}' cannot take its own place"),
            ));
        }
        let (name, staged) = (name.clone(), staged.clone());
        let replaced = self.change(op, move |db, rooms| {
            let (new, old) = {
                let rooms = rooms.lock();
                let new = rooms.get(&staged).map(Arc::clone);
                let new = new.ok_or_else(|| no_namespace(op, staged.as_str()))?;
                (new, rooms.get(&name).map(Arc::clone))
            };
            let number = new.number;
            let tree = db.open_tree(tree_name(number)).map_err(|e| from_engine(e, op))?;
            catalog::replace_namespace(db, &name, &staged, number)?;
            let scope = Scope { namespace: name.clone(), ..new.scope.clone() };
            {
                let mut rooms = rooms.lock();
                rooms.remove(&staged);
                rooms.insert(name, Arc::new(Room::new(scope, number, tree)));
            }
            new.shut_gone();
            Ok(old.map(|old| {
                old.shut_gone();
                old.number
            }))
        });
        match replaced.await? {
            Some(number) => self.drop_rows(number, op).await,
            None => Ok(()),
        }
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        let key = key.to_owned();
        self.look_up(Operation::ControlGet, move |db| catalog::control_get(db, &key)).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        let prefix = prefix.to_owned();
        self.look_up(Operation::ControlList, move |db| catalog::control_list(db, &prefix)).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let op = Operation::ControlSet;
        catalog::check_control(key, value, op)?;
        let (key, value) = (key.to_owned(), value.to_vec());
        self.change(op, move |db, _| catalog::control_write(db, &key, expect, Some(&value), op))
            .await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let op = Operation::ControlDelete;
        let key = key.to_owned();
        self.change(op, move |db, _| catalog::control_write(db, &key, expect, None, op)).await
    }

    async fn health(&self) -> Result<Health> {
        let op = Operation::Health;
        if let Some(failure) = self.engine.poisoned(op) {
            return Ok(Health::not_ready(failure.to_string()));
        }
        let bytes =
            self.look_up(op, move |db| db.size_on_disk().map_err(|e| from_engine(e, op))).await?;
        let files = if self.engine.synchronous { "synchronous" } else { "barrier only" };
        Ok(Health::ready()
            .with_detail("path", self.identity.location.clone())
            .with_detail("bytes on disk", bytes.to_string())
            .with_detail("cache", self.config.cache.to_string())
            .with_detail("durability", self.capabilities.ack_durability.to_string())
            .with_detail("writes of the engine", files))
    }

    async fn sync(&self) -> Result<Durability> {
        self.engine.write(Operation::Sync, 0, || Ok(())).await?;
        Ok(self.capabilities.sync_durability.clone())
    }

    async fn close(&self) -> Result<()> {
        let mut closed = Arc::clone(&self.closed).lock_owned().await;
        if *closed {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new()
            .name("pinstate-close".into())
            .spawn(move || {
                engine.shut_down();
                *closed = true;
                drop(answer.send(engine.poisoned(Operation::Close)));
            })
            .map_err(|e| from_io(e, Operation::Close))?;
        match answered.await {
            Ok(None) => Ok(()),
            Ok(Some(failure)) => Err(failure.with_outcome(Outcome::Unknown)),
            Err(_) => Err(panicked(Operation::Close)),
        }
    }

    fn gauges(&self) -> Vec<(Gauge, f64)> {
        gauges(&self.engine)
    }
}
