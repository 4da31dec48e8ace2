//! A namespace: its keyspaces, its limits, and its end.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use pinstate_core::{
    BatchItem, Capabilities, Delete, Error, ErrorKind, Key, Operation, Put, Result, Scope,
};

use crate::BACKEND;
use crate::error::{closed, gone};
use crate::format::{Row, written_bytes};
use crate::rows::Tables;

/// A namespace. The store and every handle and scan share one.
pub(crate) struct Space {
    scope: Scope,
    capabilities: Arc<Capabilities>,
    state: RwLock<State>,
}

/// The keyspaces, and why there are none any more.
enum State {
    Open(Tables),
    /// Dropped, or replaced by another.
    Gone,
    Closed,
}

impl Space {
    pub(crate) fn new(scope: Scope, capabilities: Arc<Capabilities>, tables: Tables) -> Self {
        Self { scope, capabilities, state: RwLock::new(State::Open(tables)) }
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Turns every handle away from now on, and gives what it had.
    pub(crate) fn end(&self) -> Option<Tables> {
        self.take(State::Gone)
    }

    /// The same, since the store is being closed.
    pub(crate) fn close(&self) -> Option<Tables> {
        self.take(State::Closed)
    }

    fn take(&self, end: State) -> Option<Tables> {
        let mut state = self.state.write();
        match std::mem::replace(&mut *state, end) {
            State::Open(tables) => Some(tables),
            // What has ended stays as it has ended.
            ended => {
                *state = ended;
                None
            }
        }
    }

    /// The keyspaces, while the namespace is there.
    pub(crate) fn tables(&self, operation: Operation) -> Result<Tables> {
        let error = match &*self.state.read() {
            State::Open(tables) => return Ok(tables.clone()),
            State::Gone => gone(operation),
            State::Closed => closed(operation),
        };
        Err(error.with_context("namespace", &self.scope.namespace))
    }

    /// Reads on the caller's thread, unless the namespace is about to end or has ended. It does
    /// not end before that is over, and no handle on the engine is left behind.
    pub(crate) fn read_here<T>(&self, read: impl FnOnce(&Tables) -> T) -> Option<T> {
        match &*self.state.try_read()? {
            State::Open(tables) => Some(read(tables)),
            State::Gone | State::Closed => None,
        }
    }

    fn check_len(&self, operation: Operation, key: &Key, value: &[u8]) -> Result<()> {
        let limits = &self.capabilities;
        for (what, len, limit) in [
            ("key", key.len(), limits.max_key_bytes),
            ("value", value.len(), limits.max_value_bytes),
        ] {
            if len as u64 > limit {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    operation,
                    format!("the {what} is {len} bytes long, and the store takes {limit}"),
                )
                .with_backend(BACKEND)
                .with_key(key.clone()));
            }
        }
        Ok(())
    }

    /// Memory for what these writes store.
    pub(crate) fn memory(items: &[BatchItem]) -> BytesMut {
        let bytes = |item: &BatchItem| match item {
            BatchItem::Put(put) => written_bytes(put.key.as_bytes(), Some(&put.value)),
            BatchItem::Delete(delete) => written_bytes(delete.key.as_bytes(), None),
        };
        BytesMut::with_capacity(items.iter().map(bytes).sum())
    }

    /// What a write will store, under the engine's key; both in the memory of its call.
    pub(crate) fn prepare(
        &self,
        operation: Operation,
        item: BatchItem,
        room: &mut BytesMut,
    ) -> Result<(Bytes, Row)> {
        let (key, value, version) = match item {
            BatchItem::Put(Put { key, value, version, .. }) => (key, Some(value), version),
            BatchItem::Delete(Delete { key, version, .. }) => (key, None, version),
        };
        self.check_len(operation, &key, value.as_deref().unwrap_or_default())?;
        Ok(Row::new(key.as_bytes(), version, value, room))
    }
}
