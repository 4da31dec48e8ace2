//! Making one pinset like another, key by key.

use std::collections::BTreeSet;

use pinstate_core::{
    BatchItem, BatchOptions, Clock, Delete, ErrorKind, Key, Namespace, Put, ReadOptions, Record,
    Result, Version,
};

use crate::difference::Difference;
use crate::pinset::Pinset;

/// Keys that are repaired at a time.
const GROUP: usize = 500;

/// Takes what is about to be replaced or deleted. Nothing is until it returns. A row that the
/// store cannot read is not among it.
pub trait Backup: Send {
    /// Keeps these records, as durably as it promises.
    ///
    /// # Errors
    /// If they cannot be kept; they are then left as they are.
    fn keep(&mut self, records: &[Record]) -> Result<()>;
}

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Records that were written.
    pub written: u64,
    /// Records that were deleted.
    pub deleted: u64,
    /// Extra records that were left, since they were not to be deleted.
    pub extra: u64,
    /// Keys that were left because the left side cannot read what it has there, or has
    /// several records.
    pub unclear: u64,
}

/// Copies to the right side what the left side has *now* under the keys that differ, and
/// deletes what it has not, where that is wanted. Everything is written as of now: with
/// versions drawn from the clock of the right side, so that nothing older comes in between.
///
/// # Errors
/// The first failure; what was written before it stays. Repeating the repair is harmless.
pub async fn repair(
    left: &dyn Pinset,
    right: &dyn Namespace,
    clock: &Clock,
    differences: &[Difference],
    delete_extra: bool,
    backup: &mut dyn Backup,
) -> Result<Repaired> {
    let mut repaired = Repaired::default();
    for group in differences.chunks(GROUP) {
        let keys: Vec<Key> = group.iter().map(|difference| difference.key.clone()).collect();
        let wanted = left.look_up(&keys).await?;
        let mut replaced = Vec::new();
        let mut there = Vec::with_capacity(keys.len());
        for record in right.get_many(&keys, ReadOptions::new()).await? {
            match record {
                Ok(record) => {
                    there.push(record.is_some());
                    replaced.extend(record);
                }
                // Nothing of it can be kept, and it is to be replaced.
                Err(error) if error.kind() == ErrorKind::Corrupt => there.push(true),
                Err(error) => return Err(error),
            }
        }
        let first = clock.draw_many(keys.len()).await?;
        let mut items = Vec::new();
        let (mut written, mut deleted) = (0, 0);
        let versions = (first.micros()..).map(Version);
        for (((key, found), there), version) in
            keys.into_iter().zip(wanted).zip(there).zip(versions)
        {
            match &found.values[..] {
                _ if found.damaged => repaired.unclear += 1,
                [value] => {
                    items.push(BatchItem::Put(Put::new(key, value.clone(), version)));
                    written += 1;
                }
                [] if !there => {}
                [] if delete_extra => {
                    items.push(BatchItem::Delete(Delete::new(key, version)));
                    deleted += 1;
                }
                [] => repaired.extra += 1,
                _ => repaired.unclear += 1,
            }
        }
        if items.is_empty() {
            continue;
        }
        let touched: BTreeSet<&Key> = items.iter().map(BatchItem::key).collect();
        replaced.retain(|record: &Record| touched.contains(&record.key));
        backup.keep(&replaced)?;
        right.apply(items, BatchOptions::new()).await?.into_result()?;
        repaired.written += written;
        repaired.deleted += deleted;
    }
    Ok(repaired)
}
