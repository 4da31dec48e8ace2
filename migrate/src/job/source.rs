//! What a job reads, in parts and pages, each of which can be found again.

mod file;
mod store;
mod stream;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{Capabilities, Key, Result, Version};
use serde::{Deserialize, Serialize};

pub use self::file::FileSource;
pub use self::store::StoreSource;
pub(super) use self::stream::KEPT;
use crate::pinset::Pinset;

/// What [`Identity::kind`] says of a store.
pub(super) const STORE: &str = "store";

/// Who a source or a target is. A job goes on only between those that it was begun with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Identity {
    /// `store`, `file` or `stream`.
    pub kind: String,
    /// The UUID of a store, the path of a file, the address of a stream.
    pub id: String,
    /// The namespace of a store; of a file what changes when it is written to.
    pub part: String,
    /// What it is called in reports. Never a secret.
    pub name: String,
}

impl Identity {
    /// Whether both are the same, whatever they are called.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_about(other) && self.part == other.part
    }

    /// Whether both are the same place, though it may hold something else by now: a file that
    /// was written to. A namespace of a store is a place of its own.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        let place = |one: &Self| {
            let namespace = (one.kind == STORE).then(|| one.part.clone());
            (one.kind.clone(), one.id.clone(), namespace)
        };
        place(self) == place(other)
    }
}

/// What a job reads.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// Who it is.
    fn identity(&self) -> Identity;

    /// What the store can do; `None` where it is none.
    fn capabilities(&self) -> Option<&Capabilities>;

    /// Puts into a job's folder what must stay as it is while the job lives, unless it is
    /// there: done before the job reads anything, and each time that it goes on.
    ///
    /// # Errors
    /// What keeps it from being put there whole.
    async fn keep(&self, folder: &Path) -> Result<()>;

    /// About how many records it has, where that can be told without reading them.
    ///
    /// # Errors
    /// What keeps it from being asked.
    async fn estimate(&self) -> Result<Option<u64>>;

    /// At most `n` parts that together are all of it, as texts that stay good for another
    /// process.
    ///
    /// # Errors
    /// What keeps it from being divided.
    async fn parts(&self, n: usize) -> Result<Vec<String>>;

    /// Begins to read a part, after a place that an earlier page of it gave.
    ///
    /// # Errors
    /// `InvalidInput` for a part or place of another source; what keeps it from being read.
    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>>;

    /// What stands under each of these keys now.
    ///
    /// # Errors
    /// What keeps it from being read.
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>>;

    /// The same, to be compared.
    fn pinset(&self) -> Arc<dyn Pinset>;
}

/// The pages of a part, in order.
#[async_trait]
pub trait Pages: Send {
    /// The next page, or `None` when certainly all were given.
    ///
    /// # Errors
    /// What keeps it from being read. There is no other way to stop before the end.
    async fn next(&mut self) -> Result<Option<SourcePage>>;
}

/// Some records, and the place after them.
#[derive(Clone, Debug)]
pub struct SourcePage {
    /// The records.
    pub rows: Vec<SourceRow>,
    /// Where to go on after them.
    pub after: String,
}

/// One record of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRow {
    /// One that can be moved.
    Record {
        /// Its key.
        key: Key,
        /// Its value.
        value: Bytes,
        /// When it was written.
        written: Written,
    },
    /// One that cannot.
    Unreadable {
        /// Its key, where that is known.
        key: Option<Key>,
        /// What is there.
        raw: Bytes,
        /// Why it cannot.
        reason: String,
    },
}

/// What is known of when a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The version that its store gave it.
    Version(Version),
    /// It is the so-manieth entry of a file, counted from 1: one that comes later replaces
    /// an earlier one of the same key.
    Entry(u64),
}
