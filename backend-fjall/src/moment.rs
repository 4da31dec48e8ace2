//! What readers see: a store between two batches, never within one.

use std::sync::Arc;

use fjall::{Database, OwnedWriteBatch, Snapshot};
use parking_lot::RwLock;

/// Gives snapshots, and commits batches so that no snapshot has a part of one. A clone is
/// another handle.
///
/// The engine takes the numbers of its batches and those of its own work from one counter: a
/// table that it has written out meanwhile makes everything below its number visible, with a
/// batch of which half is in memory.
#[derive(Clone)]
pub(crate) struct Moments {
    db: Database,
    /// While a batch is committed: the last moment before it.
    before: Arc<RwLock<Option<Snapshot>>>,
}

impl Moments {
    pub(crate) fn new(db: Database) -> Self {
        Self { db, before: Arc::default() }
    }

    /// Everything as it is now. Does not wait for a batch that is being committed.
    pub(crate) fn now(&self) -> Snapshot {
        let before = self.before.read();
        // With the lock held, so that no batch begins meanwhile.
        before.as_ref().map_or_else(|| self.db.snapshot(), Snapshot::clone)
    }

    /// Commits a batch: whoever looks sees nothing of it until this returns, and then all. For
    /// the one writer, so that there is never more than one under way.
    pub(crate) fn commit(&self, batch: OwnedWriteBatch) -> fjall::Result<()> {
        *self.before.write() = Some(self.db.snapshot());
        let result = batch.commit();
        *self.before.write() = None;
        result
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use fjall::{KeyspaceCreateOptions, Readable};

    use super::*;

    /// Long enough to be committed while a table is finished.
    const ROWS: u32 = 400;

    #[test]
    fn nobody_sees_a_part_of_a_batch_while_tables_are_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path()).open().unwrap();
        let keyspace = |name| db.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        let (rows, other) = (keyspace("rows"), keyspace("other"));
        let moments = Moments::new(db.clone());
        let write = |token: u32| {
            let mut batch = db.batch();
            for row in 0..ROWS {
                batch.insert(&rows, row.to_be_bytes(), token.to_be_bytes());
            }
            moments.commit(batch).unwrap();
        };
        write(0);
        let done = AtomicBool::new(false);
        let unless_done = || !done.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while unless_done() {
                    other.insert("a", "b").unwrap();
                    other.rotate_memtable_and_wait().unwrap();
                }
            });
            let reader = scope.spawn(|| {
                while unless_done() {
                    let now = moments.now();
                    let row = |row: u32| now.get(&rows, row.to_be_bytes()).unwrap().unwrap();
                    let tokens: BTreeSet<_> = (0..ROWS).map(row).collect();
                    assert_eq!(tokens.len(), 1, "{tokens:?}");
                }
            });
            (1..500).take_while(|_| !reader.is_finished()).for_each(write);
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
    }
}
