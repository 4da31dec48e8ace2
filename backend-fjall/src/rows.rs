//! The keyspaces of one namespace, and reading what they hold at one moment.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{Keyspace, Readable, Snapshot};

use crate::config::MAX_KEY_BYTES;
use crate::format::{Reason, check_long};
use crate::moment::Moments;

/// The keyspaces of one namespace.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) id: u64,
    pub(crate) moments: Moments,
    pub(crate) rows: Keyspace,
    /// Where the long values are, once there was one.
    pub(crate) values: Arc<OnceLock<Keyspace>>,
}

/// Full tables in memory that may wait to be written out. The engine itself lets four wait,
/// and then stops all writes for a tenth of a second at a time.
const FULL_TABLES: usize = 2;
/// Longest wait for that: an engine whose own threads have failed says so when it is written to.
const PATIENCE: Duration = Duration::from_secs(1);

impl Tables {
    /// Waits while too much of what was written is in memory alone. Blocks.
    pub(crate) fn let_it_write_out(&self) {
        let began = Instant::now();
        let waits = |keyspace: &Keyspace| keyspace.sealed_memtable_count() >= FULL_TABLES;
        while (waits(&self.rows) || self.values.get().is_some_and(waits))
            && began.elapsed() < PATIENCE
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A namespace as it is now: all of a batch, or nothing of it.
    pub(crate) fn look(&self) -> Look<'_> {
        Look { snapshot: self.moments.now(), tables: self }
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
