//! The tree of one namespace, behind a door.
//!
//! Every handle on a namespace shares one room. Reads hold the door open while they are in
//! the tree; dropping the namespace waits for them and shuts it for good, so that no handle
//! ever meets freed pages or another namespace of the same name.

use parking_lot::RwLock;
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result, Scope};

use crate::error::{closed, error};

enum Door {
    Open(sled::Tree),
    /// The namespace was dropped or replaced.
    Gone,
    /// The store was closed.
    Closed,
}

/// The tree of one namespace.
pub(crate) struct Room {
    pub(crate) scope: Scope,
    /// The number of the tree.
    pub(crate) number: u64,
    door: RwLock<Door>,
}

impl Room {
    pub(crate) fn new(scope: Scope, number: u64, tree: sled::Tree) -> Self {
        Self { scope, number, door: RwLock::new(Door::Open(tree)) }
    }

    /// Works in the tree, beside others.
    pub(crate) fn enter<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&sled::Tree) -> Result<T>,
    ) -> Result<T> {
        work(self.check(operation, &self.door.read())?)
    }

    /// Works in the tree if the door stands open and there is nobody to wait for.
    pub(crate) fn try_enter<T>(
        &self,
        work: impl FnOnce(&sled::Tree) -> Result<T>,
    ) -> Option<Result<T>> {
        match &*self.door.try_read()? {
            Door::Open(tree) => Some(work(tree)),
            Door::Gone | Door::Closed => None,
        }
    }

    /// Works in the tree, alone: what is changed is seen all at once.
    pub(crate) fn enter_alone<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&sled::Tree) -> Result<T>,
    ) -> Result<T> {
        work(self.check(operation, &self.door.write())?)
    }

    fn check<'a>(&self, operation: Operation, door: &'a Door) -> Result<&'a sled::Tree> {
        match door {
            Door::Open(tree) => Ok(tree),
            Door::Gone => Err(no_namespace(operation, self.scope.namespace.as_str())),
            Door::Closed => Err(closed(operation)),
        }
    }

    /// Waits for those inside, then lets nobody in any more.
    pub(crate) fn shut_gone(&self) {
        *self.door.write() = Door::Gone;
    }

    /// As [`shut_gone`](Self::shut_gone), for a store that closes. Gives the tree back:
    /// dropping it flushes the engine.
    pub(crate) fn shut_closed(&self) -> Option<sled::Tree> {
        let mut door = self.door.write();
        match std::mem::replace(&mut *door, Door::Closed) {
            Door::Open(tree) => Some(tree),
            shut => {
                *door = shut;
                None
            }
        }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("scope", &self.scope).field("number", &self.number).finish()
    }
}

/// The answer where a namespace is not there, or not any more.
pub(crate) fn no_namespace(operation: Operation, name: &str) -> Error {
    error(ErrorKind::NoNamespace, operation, format!("there is no namespace '{name}'"))
        .with_outcome(Outcome::NotApplied)
}
