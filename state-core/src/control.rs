//! Control records: a small key space beside the pins, for what the store must remember
//! about itself and about jobs.
//!
//! They are never seen by scan, count, export or digest. Every backend has them, with
//! compare-and-set, and they are durable when acknowledged, at the level of `sync`.

use bytes::Bytes;

/// A control record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ControlRecord {
    /// Its value.
    pub value: Bytes,
    /// Its revision: changes with every write and is never used twice for one key, not
    /// even after a delete.
    pub revision: u64,
}

impl ControlRecord {
    /// A control record.
    #[must_use]
    pub fn new(value: impl Into<Bytes>, revision: u64) -> Self {
        Self { value: value.into(), revision }
    }
}

/// What must be there for a control write to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No record.
    Absent,
    /// A record with this revision.
    Revision(u64),
}

/// What a control write did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a conflict stands only here"]
pub enum ControlWritten {
    /// It applied.
    Applied {
        /// The new revision; 0 after a delete.
        revision: u64,
    },
    /// It did not, since something else is there.
    Conflict {
        /// What is there.
        current: Option<ControlRecord>,
    },
}

impl ControlWritten {
    /// Whether it applied.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied { .. })
    }
}

/// Longest key of a control record in bytes.
pub const MAX_CONTROL_KEY_BYTES: usize = 1_024;
/// Longest value of a control record in bytes.
pub const MAX_CONTROL_VALUE_BYTES: usize = 65_536;
