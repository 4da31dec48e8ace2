//! A handle on one namespace: all record operations.

use std::fmt;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use crossbeam_utils::sync::{ShardedLock, ShardedLockWriteGuard};
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, Count, CountOptions, Cursor,
    Delete, Error, ErrorKind, Key, Namespace, Operation, Precondition, Put, Range, ReadOptions,
    Record, Result, Scan, ScanOptions, Scope, Version, WriteOptions, Written,
};

use crate::BACKEND;
use crate::key::TreeKey;
use crate::row::Row;
use crate::scan::MemoryScan;
use crate::table::{Snapshot, Table};

/// A namespace. The store and every handle and scan share one.
pub(crate) struct Space {
    scope: Scope,
    capabilities: Arc<Capabilities>,
    /// Each reader locks a part of it, and a writer all of them: a lock of one piece is written
    /// to by every reader, and processors that read at once would wait for each other's writes.
    state: ShardedLock<State>,
}

/// The rows, and why there are none any more. Both stand behind one lock, so that no write
/// can slip in after a namespace was dropped and none is lost while it is being replaced.
enum State {
    Open(Table),
    /// Dropped, or replaced by another.
    Gone,
    Closed,
}

impl Space {
    pub(crate) fn new(scope: Scope, capabilities: Arc<Capabilities>, rows: Table) -> Self {
        Self { scope, capabilities, state: ShardedLock::new(State::Open(rows)) }
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes the rows and turns every handle away from now on.
    pub(crate) fn take_gone(&self) -> Table {
        self.take(State::Gone)
    }

    /// Frees the rows and turns every handle away from now on.
    pub(crate) fn close(&self) {
        drop(self.take(State::Closed));
    }

    /// Nothing under the lock is expected to panic; if it does, the rows are there all the same.
    fn lock(&self) -> ShardedLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, end: State) -> Table {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, end) {
            State::Open(rows) => rows,
            // What has ended stays as it has ended.
            ended => {
                *state = ended;
                Table::default()
            }
        }
    }

    /// Whether the namespace can still be used.
    pub(crate) fn check(&self, operation: Operation) -> Result<()> {
        self.read(operation, |_| ())
    }

    /// Does `work` on the rows, beside others that read.
    pub(crate) fn read<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Table) -> T,
    ) -> Result<T> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(rows) => Ok(work(rows)),
            ended => Err(self.ended(ended, operation)),
        }
    }

    /// Does `work` on the rows, alone.
    fn write<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Table) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.lock();
        match &mut *state {
            State::Open(rows) => work(rows),
            ended => Err(self.ended(ended, operation)),
        }
    }

    fn ended(&self, state: &State, operation: Operation) -> Error {
        let error = if matches!(state, State::Closed) {
            closed(operation)
        } else {
            Error::new(
                ErrorKind::NoNamespace,
                operation,
                "the namespace was dropped or replaced: open it anew",
            )
            .with_backend(BACKEND)
        };
        error.with_context("namespace", &self.scope.namespace)
    }

    fn snapshot(&self, operation: Operation) -> Result<Snapshot> {
        self.read(operation, Table::snapshot)
    }

    fn check_len(&self, operation: Operation, key: &Key, value: &[u8]) -> Result<()> {
        let limits = &self.capabilities;
        for (what, len, limit) in [
            ("key", key.len(), limits.max_key_bytes),
            ("value", value.len(), limits.max_value_bytes),
        ] {
            if len as u64 > limit {
                self.check(operation)?;
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    operation,
                    format!("the {what} is {len} bytes long, and the store takes {limit}"),
                )
                .with_backend(BACKEND)
                .with_key(key.clone()));
            }
        }
        Ok(())
    }

    /// Makes what a write will store, before any lock is taken.
    fn prepare(&self, operation: Operation, item: BatchItem) -> Result<Prepared> {
        match item {
            BatchItem::Put(put) => self.prepare_put(operation, put),
            BatchItem::Delete(delete) => self.prepare_delete(operation, &delete),
        }
    }

    fn prepare_put(&self, operation: Operation, put: Put) -> Result<Prepared> {
        self.check_len(operation, &put.key, &put.value)?;
        Ok(Prepared {
            key: TreeKey::new(put.key.as_bytes()),
            row: Row::live(put.value, put.version),
        })
    }

    fn prepare_delete(&self, operation: Operation, delete: &Delete) -> Result<Prepared> {
        self.check_len(operation, &delete.key, &[])?;
        Ok(Prepared { key: TreeKey::new(delete.key.as_bytes()), row: Row::marker(delete.version) })
    }
}

/// A write that is ready to be stored: a put is a live row, a delete a marker.
struct Prepared {
    key: TreeKey,
    row: Row,
}

impl Prepared {
    /// The one place where a write meets what is stored.
    fn write(self, rows: &mut Table, condition: Precondition) -> Written {
        let Self { key, row } = self;
        let conditional = condition != Precondition::None;
        // A write without a condition needs no look at what is there.
        if conditional
            && let Some(answer) =
                condition.refusal(row.contender(), rows.get(&key).map(Row::contender))
        {
            return answer;
        }
        if row.is_live() || conditional {
            rows.set(key, row);
            return Written::Applied;
        }
        // A plain delete leaves nothing, but it must not take an older marker away: what
        // that marker holds off, this delete is all the more meant to hold off.
        match rows.get(&key) {
            Some(stored) if !stored.is_live() => {
                let version = stored.version.max(row.version);
                rows.set(key, Row::marker(version));
            }
            _ => rows.remove(&key),
        }
        Written::Applied
    }
}

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

/// The error of a closed store.
pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store was closed: open it anew")
        .with_outcome(pinstate_core::Outcome::NotApplied)
        .with_backend(BACKEND)
}

/// What [`open_namespace`](pinstate_core::Store::open_namespace) gives.
pub(crate) struct MemoryNamespace(pub(crate) Arc<Space>);

impl fmt::Debug for MemoryNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryNamespace").field(&self.0.scope.namespace).finish()
    }
}

#[async_trait]
impl Namespace for MemoryNamespace {
    fn scope(&self) -> &Scope {
        &self.0.scope
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn get(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let tree_key = TreeKey::new(key.as_bytes());
        self.0.read(Operation::Get, |rows| rows.get(&tree_key).and_then(|row| row.record(key)))
    }

    async fn get_many(
        &self,
        keys: &[Key],
        _options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        self.0.read(Operation::GetMany, |rows| {
            // All rows first, then all values: the processor waits for several at a time.
            let find = |key: &Key| rows.get(&TreeKey::new(key.as_bytes()));
            let found: Vec<Option<&Row>> = keys.iter().map(find).collect();
            let record = |(key, row): (&Key, Option<&Row>)| Ok(row.and_then(|row| row.record(key)));
            keys.iter().zip(found).map(record).collect()
        })
    }

    async fn has(&self, key: &Key, _options: ReadOptions) -> Result<bool> {
        let key = TreeKey::new(key.as_bytes());
        self.0.read(Operation::Has, |rows| rows.get(&key).is_some_and(Row::is_live))
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        check_condition(Operation::Put, options.precondition)?;
        let write = self.0.prepare_put(Operation::Put, put)?;
        self.0.write(Operation::Put, |rows| Ok(write.write(rows, options.precondition)))
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        check_condition(Operation::Delete, options.precondition)?;
        if options.precondition == Precondition::IfAbsent {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Delete,
                "a delete 'if absent' has nothing to delete: use another condition or none",
            )
            .with_backend(BACKEND)
            .with_key(delete.key));
        }
        let write = self.0.prepare_delete(Operation::Delete, &delete)?;
        self.0.write(Operation::Delete, |rows| Ok(write.write(rows, options.precondition)))
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        options.check()?;
        let operation = Operation::Apply;
        let condition = if options.if_newer { Precondition::IfNewer } else { Precondition::None };
        let writes = batch.len();
        let prepared = batch.into_iter().map(|item| self.0.prepare(operation, item));
        let outcomes = match options.atomicity {
            Atomicity::PerItem => {
                let prepared: Vec<Result<Prepared>> = prepared.collect();
                self.0.write(operation, |rows| {
                    let outcome = |write: Result<Prepared>| Ok(write?.write(rows, condition));
                    Ok(prepared.into_iter().map(outcome).collect())
                })?
            }
            Atomicity::Required => {
                let limit = self.0.capabilities.max_atomic_batch;
                if writes as u64 > limit {
                    return Err(Error::new(
                        ErrorKind::TooLarge,
                        operation,
                        format!("the batch has {writes} writes, and the store takes {limit}"),
                    )
                    .with_backend(BACKEND));
                }
                // The first item that cannot be stored ends it, before anything was.
                let prepared: Vec<Prepared> = prepared.collect::<Result<_>>()?;
                self.0.write(operation, |rows| {
                    Ok(prepared.into_iter().map(|write| Ok(write.write(rows, condition))).collect())
                })?
            }
            _ => {
                return Err(Error::unsupported(
                    operation,
                    "this store does not know the kind of batch",
                )
                .with_backend(BACKEND));
            }
        };
        Ok(BatchOutcome::new(outcomes))
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        if let Some(range) = &options.range {
            self.0.scope.check(&range.scope)?;
        }
        if let Some(cursor) = &options.after {
            self.0.scope.check(&cursor.range.scope)?;
        }
        let snapshot = self.0.snapshot(Operation::Scan)?;
        Ok(Box::new(MemoryScan::new(Arc::clone(&self.0), snapshot, options)))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        let range = Range::all(self.0.scope.clone());
        Cursor { range, position: Bytes::copy_from_slice(key.as_bytes()) }
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let snapshot = self.0.snapshot(Operation::Split)?;
        // The keys at the quantiles are where one range ends and the next begins.
        let bounds: Vec<Bytes> = snapshot.quantiles(n).into_iter().map(TreeKey::to_bytes).collect();
        let starts = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let ends = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
        let range = |(start, end)| Range { scope: self.0.scope.clone(), start, end };
        Ok(starts.zip(ends).map(range).collect())
    }

    async fn count(&self, _options: CountOptions) -> Result<Count> {
        // Counted with every write, so there is nothing to estimate.
        self.0.read(Operation::Count, |rows| Count::Exact(rows.live()))
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        // Looking through every row would hold up the writers: look through a snapshot, and
        // take the lock for those found.
        let marked = |rows: &Table| (rows.markers() > 0).then(|| rows.snapshot());
        let Some(snapshot) = self.0.read(Operation::Purge, marked)? else {
            return Ok(0);
        };
        let old = |row: &Row| !row.is_live() && row.version < before;
        let found: Vec<&TreeKey> =
            snapshot.iter().filter(|(_, row)| old(row)).map(|(key, _)| key).collect();
        self.0.write(Operation::Purge, |rows| {
            let mut purged = 0;
            for key in found {
                if rows.get(key).is_some_and(old) {
                    rows.remove(key);
                    purged += 1;
                }
            }
            Ok(purged)
        })
    }
}
