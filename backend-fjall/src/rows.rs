//! The keyspaces of one namespace, and reading what they hold at one moment.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fjall::{Database, Keyspace, Readable, Snapshot};

use crate::config::MAX_KEY_BYTES;
use crate::format::{Reason, check_long};

/// The keyspaces of one namespace.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) id: u64,
    pub(crate) db: Database,
    pub(crate) rows: Keyspace,
    /// Where the long values are, once there was one.
    pub(crate) values: Arc<OnceLock<Keyspace>>,
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
    pub(crate) fn find(&self, key: &[u8]) -> fjall::Result<Option<Bytes>> {
        // Nothing is stored under a longer key, and the engine panics over one.
        if key.len() as u64 > MAX_KEY_BYTES + 1 {
            return Ok(None);
        }
        Ok(self.snapshot.get(&self.tables.rows, key)?.map(Bytes::from))
    }

    /// The value under a key that stands apart from its row, with this length and CRC-32.
    pub(crate) fn apart(
        &self,
        key: &[u8],
        (len, sum): (u32, u32),
    ) -> fjall::Result<Result<Bytes, Reason>> {
        let values = self.tables.values.get();
        let value = values.map(|values| self.snapshot.get(values, key)).transpose()?;
        Ok(check_long(value.flatten().map(Bytes::from), len, sum))
    }
}
