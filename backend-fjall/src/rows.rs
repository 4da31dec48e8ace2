//! The keyspaces of one namespace, and reading what they hold at one moment.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fjall::{Database, Keyspace, Readable, Snapshot};

use crate::config::MAX_KEY_BYTES;
use crate::format::{Body, Head, Reason, check_long};

/// The keyspaces of one namespace.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) id: u64,
    pub(crate) db: Database,
    pub(crate) rows: Keyspace,
    /// Where the long values are, once there was one.
    pub(crate) values: Arc<OnceLock<Keyspace>>,
}

/// A stored row, or what is there in its stead.
pub(crate) type Found = std::result::Result<Head, (Bytes, Reason)>;

/// Reads a row's head under a key of the engine's.
pub(crate) fn decode(key: &[u8], row: Bytes) -> Found {
    Head::decode(key, &row).map_err(|reason| (row, reason))
}

impl Tables {
    /// A namespace as it is now: all of a batch, or nothing of it.
    pub(crate) fn look(&self) -> Look<'_> {
        Look { snapshot: self.db.snapshot(), tables: self }
    }
}

/// A namespace as it was at one moment.
pub(crate) struct Look<'t> {
    pub(crate) snapshot: Snapshot,
    pub(crate) tables: &'t Tables,
}

impl Look<'_> {
    /// The row under a key of the engine's.
    pub(crate) fn find(&self, key: &[u8]) -> fjall::Result<Option<Found>> {
        // Nothing is stored under a longer key, and the engine panics over one.
        if key.len() as u64 > MAX_KEY_BYTES + 1 {
            return Ok(None);
        }
        let row = self.snapshot.get(&self.tables.rows, key)?;
        Ok(row.map(|row| decode(key, row.into())))
    }

    /// The value that a row speaks of; nothing for a marker.
    pub(crate) fn value(&self, key: &[u8], head: &Head) -> fjall::Result<Result<Bytes, Reason>> {
        match &head.body {
            Body::Marker => Ok(Ok(Bytes::new())),
            Body::Here(value) => Ok(Ok(value.clone())),
            Body::Apart { len, sum } => {
                let values = self.tables.values.get();
                let value = values.map(|values| self.snapshot.get(values, key)).transpose()?;
                Ok(check_long(value.flatten().map(Bytes::from), *len, *sum))
            }
        }
    }
}
