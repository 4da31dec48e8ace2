//! A handle on one namespace: all record operations.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, Count, CountOptions, Cursor,
    Delete, Error, ErrorKind, Key, Namespace, Operation, Precondition, Put, Range, ReadOptions,
    Record, Result, Scan, ScanOptions, Scope, Version, WriteOptions, Written,
};

use crate::BACKEND;
use crate::commit::{Rule, Writes};
use crate::error::engine as engine_error;
use crate::format::{Body, Head, Row, damaged, engine_key, record_part};
use crate::room::Space;
use crate::rows::Look;
use crate::scan::FjallScan;
use crate::split;
use crate::store::Core;

/// Refuses conditions that this store does not know.
fn check_condition(operation: Operation, condition: Precondition) -> Result<()> {
    match condition {
        Precondition::None
        | Precondition::IfNewer
        | Precondition::IfAbsent
        | Precondition::IfVersion(_) => Ok(()),
        _ => Err(Error::unsupported(operation, "this store does not know the condition")
            .with_backend(BACKEND)),
    }
}

/// What [`open_namespace`](pinstate_core::Store::open_namespace) gives.
pub(crate) struct FjallNamespace {
    core: Arc<Core>,
    space: Arc<Space>,
}

impl fmt::Debug for FjallNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FjallNamespace").field(&self.space.scope().namespace).finish()
    }
}

impl FjallNamespace {
    pub(crate) fn new(core: Arc<Core>, space: Arc<Space>) -> Self {
        Self { core, space }
    }

    /// Reads many rows of what the namespace is now.
    async fn read<T: Send + 'static>(
        &self,
        operation: Operation,
        read: impl FnOnce(&Look<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tables = self.space.tables(operation)?;
        self.core.readers.pass(operation, move || read(&tables.look())).await
    }

    /// Reads one row: here if that is quick, or else on a thread that may block.
    async fn read_row<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &Key,
        read: impl Fn(&Look<'_>, &Key) -> Result<T> + Copy + Send + 'static,
    ) -> Result<T> {
        let here = || self.space.read_here(|tables| read(&tables.look(), key));
        if let Some(answer) = self.core.readers.here(operation, here) {
            // Who does nothing but read quick rows must let other tasks have their turn, too.
            tokio::task::coop::consume_budget().await;
            return answer;
        }
        let (tables, key) = (self.space.tables(operation)?, key.clone());
        self.core.readers.point(operation, move || read(&tables.look(), &key)).await
    }

    async fn write(
        &self,
        operation: Operation,
        items: Vec<(Bytes, Row)>,
        rule: Rule,
    ) -> Result<Vec<Result<Written>>> {
        let space = Arc::clone(&self.space);
        self.core.committer.write(Writes { space, operation, items, rule }).await
    }

    async fn write_one(
        &self,
        operation: Operation,
        item: BatchItem,
        condition: Precondition,
    ) -> Result<Written> {
        self.space.tables(operation)?;
        let key = item.key().clone();
        let mut room = Space::memory(std::slice::from_ref(&item));
        let write = self.space.prepare(operation, item, &mut room)?;
        let written = self.write(operation, vec![write], Rule::Given(condition)).await;
        let one = written.and_then(|written| {
            written.into_iter().next().unwrap_or_else(|| Err(crate::error::no_answer(operation)))
        });
        one.map_err(|error| error.with_key(key))
    }
}

/// A value in a row; a short one is copied, since it would keep all of its block in memory.
fn value_in(row: &Bytes, value: &[u8]) -> Bytes {
    if value.len() < 1_024 { Bytes::copy_from_slice(value) } else { row.slice_ref(value) }
}

/// The live record under a key.
fn get(look: &Look<'_>, operation: Operation, key: &Key) -> Result<Option<Record>> {
    let engine_key = engine_key(key.as_bytes());
    let failed = |error| engine_error(error, operation).with_key(key.clone());
    let unfit = |reason| damaged(operation, key, reason);
    let Some(row) = look.find(&engine_key).map_err(failed)? else { return Ok(None) };
    let Head { version, body } = Head::decode(&engine_key, &row).map_err(unfit)?;
    let value = match body {
        Body::Marker => return Ok(None),
        Body::Here(value) => value_in(&row, value),
        Body::Apart { len, sum } => {
            look.apart(&engine_key, (len, sum)).map_err(failed)?.map_err(unfit)?
        }
    };
    Ok(Some(Record::live(key.clone(), value, version)))
}

#[async_trait]
impl Namespace for FjallNamespace {
    fn scope(&self) -> &Scope {
        self.space.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        self.space.capabilities()
    }

    async fn get(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        self.read_row(Operation::Get, key, |look, key| get(look, Operation::Get, key)).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        _options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let keys = keys.to_vec();
        let operation = Operation::GetMany;
        let read = move |look: &Look<'_>| {
            // In their order, in which what one needs is often what the one before has read.
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_unstable_by_key(|&at| keys.get(at));
            let mut found: Vec<_> = keys.iter().map(|_| Ok(None)).collect();
            for at in order {
                if let (Some(key), Some(found)) = (keys.get(at), found.get_mut(at)) {
                    *found = get(look, operation, key);
                }
            }
            Ok(found)
        };
        self.read(operation, read).await
    }

    async fn has(&self, key: &Key, _options: ReadOptions) -> Result<bool> {
        let has = |look: &Look<'_>, key: &Key| {
            let engine_key = engine_key(key.as_bytes());
            let found = look.find(&engine_key);
            let failed = |error| engine_error(error, Operation::Has).with_key(key.clone());
            // A damaged row is one that is there.
            Ok(found.map_err(failed)?.is_some_and(|row| {
                Head::decode(&engine_key, &row).map_or(true, |head| head.is_live())
            }))
        };
        self.read_row(Operation::Has, key, has).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let condition = options.precondition;
        check_condition(Operation::Put, condition)?;
        self.write_one(Operation::Put, put.into(), condition).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let condition = options.precondition;
        check_condition(Operation::Delete, condition)?;
        if condition == Precondition::IfAbsent {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Delete,
                "a delete 'if absent' has nothing to delete: use another condition or none",
            )
            .with_backend(BACKEND)
            .with_key(delete.key));
        }
        self.write_one(Operation::Delete, delete.into(), condition).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        options.check()?;
        let operation = Operation::Apply;
        self.space.tables(operation)?;
        let condition = if options.if_newer { Precondition::IfNewer } else { Precondition::None };
        let atomic = match options.atomicity {
            Atomicity::PerItem => false,
            Atomicity::Required => true,
            _ => {
                let message = "this store does not know the kind of batch";
                return Err(Error::unsupported(operation, message).with_backend(BACKEND));
            }
        };
        let limit = self.space.capabilities().max_atomic_batch;
        if atomic && batch.len() as u64 > limit {
            let writes = batch.len();
            return Err(Error::new(
                ErrorKind::TooLarge,
                operation,
                format!("the batch has {writes} writes, and the store takes {limit}"),
            )
            .with_backend(BACKEND));
        }
        let mut room = Space::memory(&batch);
        let mut items = Vec::with_capacity(batch.len());
        // Where each write's outcome is: among those of the writer, or known already.
        let mut outcomes = Vec::with_capacity(batch.len());
        for item in batch {
            match self.space.prepare(operation, item, &mut room) {
                Ok(write) => {
                    items.push(write);
                    outcomes.push(None);
                }
                // The first that cannot be stored ends an atomic batch, before anything was.
                Err(error) if atomic => return Err(error),
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        let mut written = if items.is_empty() {
            Vec::new()
        } else {
            self.write(operation, items, Rule::Given(condition)).await?
        }
        .into_iter();
        let answer = |known: Option<Result<Written>>| {
            known
                .or_else(|| written.next())
                .unwrap_or_else(|| Err(crate::error::no_answer(operation)))
        };
        Ok(BatchOutcome::new(outcomes.into_iter().map(answer).collect()))
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        if let Some(range) = &options.range {
            self.space.scope().check(&range.scope)?;
        }
        if let Some(cursor) = &options.after {
            self.space.scope().check(&cursor.range.scope)?;
        }
        let tables = self.space.tables(Operation::Scan)?;
        let space = Arc::clone(&self.space);
        Ok(Box::new(FjallScan::new(&self.core, space, &tables, options)))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        let range = Range::all(self.space.scope().clone());
        Cursor { range, position: Bytes::copy_from_slice(key.as_bytes()) }
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let bounds = self.read(Operation::Split, move |look| split::quantiles(look, n)).await?;
        let starts = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let ends = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
        let range = |(start, end)| Range { scope: self.space.scope().clone(), start, end };
        Ok(starts.zip(ends).map(range).collect())
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        let estimate = options.estimate;
        let count = move |look: &Look<'_>| {
            if estimate {
                // What the engine's files and memory tables hold: overwritten rows, too.
                return Ok(Count::Estimate(look.tables.rows.approximate_len() as u64));
            }
            split::count(look).map(Count::Exact)
        };
        self.read(Operation::Count, count).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let operation = Operation::Purge;
        let mut purged = 0;
        let mut after = None;
        loop {
            let from = after.take();
            let found =
                self.read(operation, move |look| split::markers(look, from, before)).await?;
            after = found.last().cloned();
            if after.is_none() {
                return Ok(purged);
            }
            let mut room = BytesMut::new();
            let marker = |key: Bytes| Row::new(record_part(&key), before, None, &mut room);
            let items = found.into_iter().map(marker).collect();
            for written in self.write(operation, items, Rule::Purge(before)).await? {
                purged += u64::from(written? == Written::Applied);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pinstate_core::{CheckedScan, Outcome, Store};

    use super::*;
    use crate::{FjallConfig, FjallStore};

    /// The engine's own checksums find damage before this backend's: so the rows are spoilt
    /// through the engine.
    #[tokio::test]
    async fn a_damaged_row_is_said_to_be_one_everywhere_and_a_put_heals_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = FjallConfig::new(folder.path().join("store"));
        config.create = true;
        let store = FjallStore::open(&config).await.unwrap();
        let name = "pins".parse().unwrap();
        store.create_namespace(&name).await.unwrap();
        let pins = store.open_namespace(&name).await.unwrap();
        let (key, long) = (Key::copy_from(b"a"), Key::copy_from(b"b"));
        let put = |key: &Key, len| Put::new(key.clone(), vec![1; len], Version(1));
        pins.put(put(&key, 10), WriteOptions::new()).await.unwrap();
        pins.put(put(&long, 20_000), WriteOptions::new()).await.unwrap();
        {
            let tables = store.room(&name).unwrap().tables(Operation::Get).unwrap();
            tables.rows.insert(engine_key(b"a"), "spoilt").unwrap();
            tables.values.get().unwrap().insert(engine_key(b"b"), "spoilt").unwrap();
        }

        for key in [&key, &long] {
            let error = pins.get(key, ReadOptions::new()).await.unwrap_err();
            assert_eq!((error.kind(), error.key()), (ErrorKind::Corrupt, Some(key)));
            assert!(pins.has(key, ReadOptions::new()).await.unwrap());
            let error = pins.put(put(key, 10), WriteOptions::if_newer()).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Corrupt, Outcome::NotApplied));
        }
        let scan = pins.scan(ScanOptions::new()).await.unwrap();
        let rows = CheckedScan::new(scan).collect().await.unwrap();
        let damaged: Vec<_> = rows.into_iter().map(|row| row.unwrap_err()).collect();
        assert_eq!(
            damaged.iter().map(|row| row.key.clone()).collect::<Vec<_>>(),
            [key.clone(), long.clone()]
        );
        assert_eq!(damaged.first().unwrap().raw, "spoilt");
        assert_eq!(pins.count(CountOptions::new()).await.unwrap(), Count::Exact(2));

        for key in [&key, &long] {
            pins.put(put(key, 10), WriteOptions::new()).await.unwrap();
            assert!(pins.get(key, ReadOptions::new()).await.unwrap().is_some());
        }
    }
}
