//! Writing many records in one call.

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::Key;
use crate::write::{Delete, Put, Written};

/// One write of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchItem {
    /// Replace a record.
    Put(Put),
    /// Delete a record.
    Delete(Delete),
}

impl From<Put> for BatchItem {
    fn from(put: Put) -> Self {
        Self::Put(put)
    }
}

impl From<Delete> for BatchItem {
    fn from(delete: Delete) -> Self {
        Self::Delete(delete)
    }
}

impl BatchItem {
    /// The key it writes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.key,
            Self::Delete(delete) => &delete.key,
        }
    }

    /// Bytes of key and value.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Put(put) => put.key.len() + put.value.len(),
            Self::Delete(delete) => delete.key.len(),
        }
    }

    /// Whether both key and value are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a batch stands or falls as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Atomicity {
    /// Each write has its own outcome: the bulk path.
    #[default]
    PerItem,
    /// All or nothing, for readers and across a crash; `Unsupported` where
    /// [`atomic_batch`](crate::Capabilities::atomic_batch) is not declared.
    Required,
}

/// Options of [`apply`](crate::Namespace::apply).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Whether the batch stands or falls as one.
    pub atomicity: Atomicity,
    /// Every write applies only if newer than what is stored. Per item only.
    pub if_newer: bool,
}

impl BatchOptions {
    /// Per item, without conditions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All or nothing.
    #[must_use]
    pub fn atomic() -> Self {
        Self { atomicity: Atomicity::Required, ..Self::default() }
    }

    /// Each write applies only if newer than what is stored.
    #[must_use]
    pub fn if_newer() -> Self {
        Self { if_newer: true, ..Self::default() }
    }

    /// Refuses options that contradict each other; every backend calls this first.
    pub fn check(&self) -> Result<()> {
        if self.if_newer && self.atomicity == Atomicity::Required {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Apply,
                "an atomic batch takes no condition: choose per-item atomicity for 'if newer'",
            ));
        }
        Ok(())
    }
}

/// What each write of a batch came to, in the order of the batch.
///
/// An `Err` from [`apply`](crate::Namespace::apply) as a whole means that the outcome in
/// that error holds for every item.
#[derive(Clone, Debug)]
#[must_use = "a per-item failure stands only here"]
#[non_exhaustive]
pub struct BatchOutcome {
    /// One result for each item.
    pub items: Vec<Result<Written>>,
}

impl BatchOutcome {
    /// One result for each item, in order.
    pub fn new(items: Vec<Result<Written>>) -> Self {
        Self { items }
    }

    /// Every one of `count` writes applied.
    pub fn applied(count: usize) -> Self {
        Self { items: (0..count).map(|_| Ok(Written::Applied)).collect() }
    }

    /// The first failure, with its index.
    #[must_use]
    pub fn first_error(&self) -> Option<(usize, &Error)> {
        self.items.iter().enumerate().find_map(|(i, item)| Some((i, item.as_ref().err()?)))
    }

    /// All writes took effect or were decided by their condition; else the first failure.
    pub fn into_result(self) -> Result<Vec<Written>> {
        self.items.into_iter().collect()
    }
}
