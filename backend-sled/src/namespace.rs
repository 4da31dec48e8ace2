//! Record operations on one namespace.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, Count, CountOptions, Cursor, Delete, Key,
    Namespace, Operation, Precondition, Put, Range, ReadOptions, Record, Result, Scan, ScanOptions,
    Scope, Version, WriteOptions, Written,
};

use crate::engine::Engine;
use crate::error::from_engine;
use crate::format::Row;
use crate::room::Room;
use crate::rows::{self, Keys};
use crate::scan::SledScan;
use crate::split::Sample;

/// Rows looked at in one job of a count or a purge, so that others get their turn.
const STRIDE: usize = 16_384;

/// A handle on one namespace.
#[derive(Debug)]
pub(crate) struct SledNamespace {
    engine: Arc<Engine>,
    room: Arc<Room>,
    capabilities: Arc<Capabilities>,
}

impl SledNamespace {
    pub(crate) fn new(
        engine: Arc<Engine>,
        room: Arc<Room>,
        capabilities: Arc<Capabilities>,
    ) -> Self {
        Self { engine, room, capabilities }
    }

    /// Reads in the tree, on a worker.
    async fn read<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce(&sled::Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = Arc::clone(&self.room);
        self.engine.read(operation, move || room.enter(operation, job)).await
    }

    /// As [`read`](Self::read), for what reads many rows one after the other.
    async fn read_through<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce(&sled::Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = Arc::clone(&self.room);
        self.engine.read_through(operation, move || room.enter(operation, job)).await
    }

    /// Reads one row: here if that is quick, or else on a worker.
    async fn read_row<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &Key,
        job: impl Fn(&sled::Tree, &Key) -> Result<T> + Copy + Send + 'static,
    ) -> Result<T> {
        let here = || self.room.try_enter(|tree| job(tree, key));
        if let Some(answer) = self.engine.read_here(operation, here) {
            // Who does nothing but read quick rows must let other tasks have their turn, too.
            tokio::task::coop::consume_budget().await;
            return answer;
        }
        let key = key.clone();
        self.read(operation, move |tree| job(tree, &key)).await
    }

    async fn write_one(
        &self,
        item: BatchItem,
        precondition: Precondition,
        operation: Operation,
    ) -> Result<Written> {
        rows::check_condition(&item, precondition)?;
        rows::check_size(&item, operation)?;
        let room = Arc::clone(&self.room);
        let work = move || {
            room.enter(operation, |tree| {
                rows::write(tree, &item, precondition, operation, &mut Vec::new())
            })
        };
        self.engine.write(operation, 0, work).await
    }
}

#[async_trait]
impl Namespace for SledNamespace {
    fn scope(&self) -> &Scope {
        &self.room.scope
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        self.read_row(Operation::Get, key, rows::get).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        _options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let asked = Keys::new(keys);
        let look_up = move |tree: &sled::Tree| Ok(rows::get_many(tree, &asked));
        Ok(self.read(Operation::GetMany, look_up).await?.into_records(keys))
    }

    async fn has(&self, key: &Key, _options: ReadOptions) -> Result<bool> {
        self.read_row(Operation::Has, key, rows::has).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        self.write_one(put.into(), options.precondition, Operation::Put).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        self.write_one(delete.into(), options.precondition, Operation::Delete).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        options.check()?;
        let atomic = rows::is_atomic(options)?;
        if atomic {
            rows::check_atomic(&batch)?;
        }
        let room = Arc::clone(&self.room);
        let bytes = batch.iter().map(BatchItem::len).sum();
        let work = move || {
            if atomic {
                room.enter_alone(Operation::Apply, |tree| rows::apply_atomic(tree, &batch))?;
                return Ok(BatchOutcome::applied(batch.len()));
            }
            room.enter(Operation::Apply, |tree| {
                Ok(BatchOutcome::new(rows::apply_each(tree, &batch, options)?))
            })
        };
        self.engine.write(Operation::Apply, bytes, work).await
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.room.enter(Operation::Scan, |_| Ok(()))?;
        let (engine, room) = (Arc::clone(&self.engine), Arc::clone(&self.room));
        Ok(Box::new(SledScan::new(engine, room, options)?))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        let position = Bytes::copy_from_slice(key.as_bytes());
        Cursor { range: Range::all(self.room.scope.clone()), position }
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let n = n.max(1);
        let boundaries = self
            .read(Operation::Split, move |tree| Ok(Sample::take(tree, n)?.boundaries(n)))
            .await?;
        let starts = std::iter::once(None).chain(boundaries.iter().cloned().map(Some));
        let ends = boundaries.iter().cloned().map(Some).chain(std::iter::once(None));
        Ok(starts
            .zip(ends)
            .map(|(start, end)| Range { start, end, ..Range::all(self.room.scope.clone()) })
            .collect())
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        if options.estimate {
            let sampled = |tree: &sled::Tree| Ok(Sample::take(tree, 16)?.keys());
            return Ok(Count::Estimate(self.read(Operation::Count, sampled).await?));
        }
        let (mut count, mut after) = (0, None);
        loop {
            let (live, last) = self
                .read_through(Operation::Count, move |tree| {
                    let mut live = 0;
                    let last = stride(tree, after, Operation::Count, |_, stored| {
                        live += u64::from(
                            !matches!(Row::decode(stored), Ok(row) if row.value.is_none()),
                        );
                    })?;
                    Ok((live, last))
                })
                .await?;
            count += live;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(Count::Exact(count)),
            }
        }
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let (mut purged, mut after) = (0, None);
        loop {
            let (old, last) = self
                .read_through(Operation::Purge, move |tree| {
                    let mut old = Vec::new();
                    let last = stride(tree, after, Operation::Purge, |key, stored| {
                        if is_marker_before(stored, before) {
                            old.push(key.clone());
                        }
                    })?;
                    Ok((old, last))
                })
                .await?;
            if !old.is_empty() {
                let room = Arc::clone(&self.room);
                let work =
                    move || room.enter(Operation::Purge, |tree| remove_markers(tree, &old, before));
                purged += self.engine.write(Operation::Purge, 0, work).await?;
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(purged),
            }
        }
    }
}

/// Looks at the next rows after a key; gives the last key, or `None` at the end.
fn stride(
    tree: &sled::Tree,
    after: Option<sled::IVec>,
    operation: Operation,
    mut look: impl FnMut(&sled::IVec, &[u8]),
) -> Result<Option<sled::IVec>> {
    let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let mut last = None;
    let mut looked_at = 0;
    for item in tree.range((start, std::ops::Bound::Unbounded)) {
        let (key, stored) = item.map_err(|e| from_engine(e, operation))?;
        look(&key, &stored);
        last = Some(key);
        looked_at += 1;
        if looked_at == STRIDE {
            return Ok(last);
        }
    }
    drop(last);
    Ok(None)
}

fn is_marker_before(stored: &[u8], before: Version) -> bool {
    matches!(Row::decode(stored), Ok(row) if row.value.is_none() && row.version < before)
}

/// Removes markers, having looked again: a put may have come in between.
fn remove_markers(tree: &sled::Tree, keys: &[sled::IVec], before: Version) -> Result<u64> {
    let engine = |e: sled::Error| from_engine(e, Operation::Purge);
    let mut removed = 0;
    for key in keys {
        let stored = tree.get(key).map_err(engine)?;
        if stored.is_some_and(|stored| is_marker_before(&stored, before)) {
            tree.remove(key).map_err(engine)?;
            removed += 1;
        }
    }
    Ok(removed)
}
