//! Record operations on one namespace.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::batch::{BatchItem, BatchOptions, BatchOutcome};
use crate::capability::Capabilities;
use crate::error::Result;
use crate::range::{Cursor, Range, Scope};
use crate::record::{Key, Record, Version};
use crate::scan::{Scan, ScanOptions};
use crate::write::{Delete, Put, WriteOptions, Written};

/// Options of reads. Empty today; backends and layers pass it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {}

impl ReadOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// How many records there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Counted.
    Exact(u64),
    /// Estimated, and to be called so wherever it is shown.
    Estimate(u64),
}

impl Count {
    /// The number, however it was come by.
    #[must_use]
    pub fn value(self) -> u64 {
        match self {
            Self::Exact(n) | Self::Estimate(n) => n,
        }
    }
}

/// Options of [`count`](Namespace::count).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CountOptions {
    /// An estimate is good enough: what the store can tell without reading every key.
    pub estimate: bool,
}

impl CountOptions {
    /// An exact count.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An estimate.
    #[must_use]
    pub fn estimate() -> Self {
        Self { estimate: true }
    }
}

/// A handle on one namespace: all record operations.
///
/// # For authors
/// One attempt per call: who retries is the retry layer, never a backend. A write is
/// acknowledged only at the declared
/// [`ack_durability`](Capabilities::ack_durability). A backend never draws a version.
/// Dropping a future may or may not stop the work, but leaves the handle usable and no
/// record torn; what it had begun does not apply after a later
/// [`sync`](crate::Store::sync) has returned. After [`close`](crate::Store::close) everything answers `Closed`; after
/// the namespace was dropped or replaced everything answers `NoNamespace`: a handle never
/// silently reads or writes another namespace that has taken the name.
#[async_trait]
pub trait Namespace: Send + Sync + fmt::Debug {
    /// Which namespace of which store this is.
    fn scope(&self) -> &Scope;

    /// What the store can do.
    fn capabilities(&self) -> &Capabilities;

    /// The live record under `key`, or `None` where there certainly is none.
    ///
    /// # Errors
    /// `Corrupt` where the stored row is damaged.
    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>>;

    /// The records under `keys`, one result for each, in order; the same key may appear
    /// twice.
    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>>;

    /// Whether a live record has this key; true for a damaged one.
    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool>;

    /// Writes one record, all of it.
    ///
    /// # Errors
    /// `TooLarge` beyond the declared limits, with nothing stored. `Unsupported` for a
    /// condition that the store cannot check in one place.
    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written>;

    /// Deletes one record; a key that is not there is no error. With a condition a hidden
    /// marker stays, so that an older put `if newer` cannot bring the record back. Without one
    /// none need stay, and one that was there may go: whoever writes `if newer` deletes so too.
    ///
    /// # Errors
    /// `Unsupported` for a condition that the store cannot check, `InvalidInput` for
    /// `if absent`.
    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written>;

    /// Writes a batch. Writes of one key keep their order.
    ///
    /// # Errors
    /// For the batch as a whole: `Unsupported` or `TooLarge` with nothing written, or a
    /// failure whose outcome holds for every item.
    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome>;

    /// Begins to read a range in the backend's own order.
    ///
    /// # Errors
    /// `InvalidInput` for a range or cursor of another store or namespace.
    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>>;

    /// The place right after `key` in a scan of the whole namespace, whether the key is
    /// there or not: where a caller that stopped in the middle of a page goes on.
    fn cursor_after(&self, key: &Key) -> Cursor;

    /// At most `n` (at least one) ranges that are disjoint and cover everything, the
    /// largest at most about twice the mean for keys that are CIDs.
    async fn split(&self, n: usize) -> Result<Vec<Range>>;

    /// How many live records there are, damaged ones included.
    async fn count(&self, options: CountOptions) -> Result<Count>;

    /// Drops the markers of conditional deletes older than `before`; returns how many.
    async fn purge_deleted(&self, before: Version) -> Result<u64>;
}
