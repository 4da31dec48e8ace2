//! What can be compared: anything whose records can be read from the beginning as often as
//! needed.

mod file;
mod namespace;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{Key, Result};

pub use self::file::{OpenFile, PinFile};
pub use self::namespace::StoredPins;

/// Which of two pinsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first, which is taken for what should be.
    Left,
    /// The second.
    Right,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// One record of a pinset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Its value; of a damaged row what is stored, as it is.
    pub value: Bytes,
    /// Whether the store says that it cannot read the row.
    pub damaged: bool,
}

/// What stands under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its values: none, one, or in a file several.
    pub values: Vec<Bytes>,
    /// Whether there is a row that the store cannot read.
    pub damaged: bool,
}

impl Found {
    /// Whether nothing stands there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.values.is_empty() && !self.damaged
    }
}

/// A pinset: the records of a namespace, or those of a file.
#[async_trait]
pub trait Pinset: Send + Sync + fmt::Debug {
    /// What it is, for people.
    fn name(&self) -> &str;

    /// At most about `n` parts that can be read at the same time and together are all of it.
    ///
    /// # Errors
    /// What keeps it from being read.
    async fn parts(&self, n: usize) -> Result<Vec<Box<dyn Rows>>>;

    /// How many records there are.
    ///
    /// # Errors
    /// What keeps it from being read.
    async fn count(&self) -> Result<u64>;

    /// What stands under each of these keys now.
    ///
    /// # Errors
    /// What keeps it from being read; one key that cannot be read is one.
    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>>;

    /// Whether one key can stand in it more than once.
    fn may_repeat(&self) -> bool;
}

/// Rows in a row.
#[async_trait]
pub trait Rows: Send {
    /// The next rows, or `None` when certainly all were given. No rows are no end.
    ///
    /// # Errors
    /// What keeps them from being read. There is no other way to stop before the end.
    async fn next(&mut self) -> Result<Option<Vec<Row>>>;
}
