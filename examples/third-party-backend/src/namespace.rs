//! Record operations on one namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::MappedMutexGuard;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, Contender, Count, CountOptions,
    Cursor, Delete, Error, ErrorKind, Key, Namespace, Operation, Page, Precondition, Put, Range,
    ReadOptions, Record, Result, Scan, ScanEnd, ScanItem, ScanOptions, ScanStep, Scope, Version,
    WriteOptions, Written,
};
use uuid::Uuid;

use crate::fail;
use crate::log::{Entry, Holds, RowEntry};
use crate::store::{Inner, Row, Shared, Space, open_of};

/// A handle on one namespace.
#[derive(Clone)]
pub(crate) struct LogNamespace {
    pub(crate) scope: Scope,
    pub(crate) id: Uuid,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for LogNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogNamespace").field(&self.scope.namespace).finish()
    }
}

impl LogNamespace {
    fn gone(&self, operation: Operation) -> Error {
        let message = "the namespace was dropped or replaced: open it anew";
        fail(ErrorKind::NoNamespace, operation, message)
            .with_context("namespace", &self.scope.namespace)
    }

    fn inner(&self, operation: Operation) -> Result<MappedMutexGuard<'_, Inner>> {
        let inner = open_of(&self.shared, operation)?;
        match inner.spaces.get(&self.scope.namespace) {
            Some(space) if space.id == self.id => Ok(inner),
            _ => Err(self.gone(operation)),
        }
    }

    fn space(&self, operation: Operation) -> Result<MappedMutexGuard<'_, Space>> {
        let name = &self.scope.namespace;
        MappedMutexGuard::try_map(self.inner(operation)?, |inner| inner.spaces.get_mut(name))
            .map_err(|_| self.gone(operation))
    }

    fn check_len(&self, operation: Operation, item: &BatchItem) -> Result<()> {
        let value = match item {
            BatchItem::Put(put) => put.value.len(),
            BatchItem::Delete(_) => 0,
        };
        let limits = &self.capabilities;
        for (what, len, limit) in [
            ("key", item.key().len(), limits.max_key_bytes),
            ("value", value, limits.max_value_bytes),
        ] {
            if len as u64 > limit {
                let message =
                    format!("the {what} is {len} bytes long, and the store takes {limit}");
                return Err(
                    fail(ErrorKind::TooLarge, operation, message).with_key(item.key().clone())
                );
            }
        }
        Ok(())
    }

    /// Writes items, each under the condition, in one entry of the log.
    fn write(
        &self,
        operation: Operation,
        items: Vec<BatchItem>,
        condition: Precondition,
    ) -> Result<Vec<Written>> {
        let mut inner = self.inner(operation)?;
        let mut staged: BTreeMap<Key, Option<Row>> = BTreeMap::new();
        let (mut answers, mut rows, mut body) = (Vec::new(), Vec::new(), Vec::new());
        {
            let space = inner.spaces.get(&self.scope.namespace);
            let stored = |key: &Key| space.and_then(|space| space.rows.get(key)).cloned();
            for item in items {
                let (key, version, value) = match item {
                    BatchItem::Put(Put { key, version, value, .. }) => (key, version, Some(value)),
                    BatchItem::Delete(Delete { key, version, .. }) => (key, version, None),
                };
                let new = Row { version, value };
                let current = staged.get(&key).cloned().unwrap_or_else(|| stored(&key));
                if let Some(refusal) = refusal(operation, &new, condition, current.as_ref())? {
                    answers.push(refusal);
                    continue;
                }
                answers.push(Written::Applied);
                let new = match (&new.value, condition, &current) {
                    (None, Precondition::None, None) => continue,
                    // A plain delete leaves nothing, but takes no marker away.
                    (None, Precondition::None, Some(Row { value: None, version })) => {
                        Some(Row { version: new.version.max(*version), value: None })
                    }
                    (None, Precondition::None, Some(_)) => None,
                    _ => Some(new),
                };
                let holds = match &new {
                    None => Holds::Nothing,
                    Some(Row { value: None, .. }) => Holds::Marker,
                    Some(Row { value: Some(value), .. }) => {
                        body.extend_from_slice(value);
                        Holds::Value(value.len())
                    }
                };
                let version = new.as_ref().map_or(version, |row| row.version);
                let hex = data_encoding::HEXLOWER.encode(key.as_bytes());
                rows.push(RowEntry { key: hex, version, holds });
                staged.insert(key, new);
            }
        }
        if !rows.is_empty() {
            let namespace = self.scope.namespace.clone();
            inner.commit(operation, Entry::Rows { namespace, rows }, &body)?;
        }
        Ok(answers)
    }

    fn write_one(
        &self,
        operation: Operation,
        item: BatchItem,
        options: WriteOptions,
    ) -> Result<Written> {
        self.check_len(operation, &item)?;
        let key = item.key().clone();
        let answers = self.write(operation, vec![item], options.precondition);
        let answers = answers.map_err(|error| error.with_key(key))?;
        answers.into_iter().next().ok_or_else(|| self.gone(operation))
    }
}

/// The answer to a write whose condition does not hold.
fn refusal(
    operation: Operation,
    new: &Row,
    condition: Precondition,
    stored: Option<&Row>,
) -> Result<Option<Written>> {
    let live = stored.filter(|row| row.value.is_some()).map(|row| row.version);
    let contender = |row: &Row| (row.version, row.value.clone());
    Ok(match condition {
        Precondition::None => None,
        Precondition::IfNewer => stored.and_then(|stored| {
            let (old, new) = (contender(stored), contender(new));
            let beats = Contender { version: new.0, value: new.1.as_deref() }
                .beats(&Contender { version: old.0, value: old.1.as_deref() });
            // What is there already has taken effect: a repeated write hears so.
            (!beats && old != new).then_some(Written::Superseded { current: stored.version })
        }),
        Precondition::IfAbsent => live.map(|live| Written::Refused { current: Some(live) }),
        Precondition::IfVersion(expected) => {
            (live != Some(expected)).then_some(Written::Refused { current: live })
        }
        _ => {
            let what = "this store does not know the condition";
            return Err(fail(ErrorKind::Unsupported, operation, what));
        }
    })
}

fn record(key: &Key, row: &Row) -> Option<Record> {
    let value = row.value.clone()?;
    Some(Record::live(key.clone(), value, row.version))
}

#[async_trait]
impl Namespace for LogNamespace {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let space = self.space(Operation::Get)?;
        Ok(space.rows.get(key).and_then(|row| record(key, row)))
    }

    async fn get_many(
        &self,
        keys: &[Key],
        _options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let space = self.space(Operation::GetMany)?;
        let get = |key: &Key| Ok(space.rows.get(key).and_then(|row| record(key, row)));
        Ok(keys.iter().map(get).collect())
    }

    async fn has(&self, key: &Key, _options: ReadOptions) -> Result<bool> {
        let space = self.space(Operation::Has)?;
        Ok(space.rows.get(key).is_some_and(|row| row.value.is_some()))
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        self.write_one(Operation::Put, put.into(), options)
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        if options.precondition == Precondition::IfAbsent {
            let message = "a delete 'if absent' has nothing to delete: use another condition";
            return Err(
                fail(ErrorKind::InvalidInput, Operation::Delete, message).with_key(delete.key)
            );
        }
        self.write_one(Operation::Delete, delete.into(), options)
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        options.check()?;
        let operation = Operation::Apply;
        let condition = if options.if_newer { Precondition::IfNewer } else { Precondition::None };
        if options.atomicity == Atomicity::Required {
            let (writes, limit) = (batch.len(), self.capabilities.max_atomic_batch);
            if writes as u64 > limit {
                let message = format!("the batch has {writes} writes, and the store takes {limit}");
                return Err(fail(ErrorKind::TooLarge, operation, message));
            }
            batch.iter().try_for_each(|item| self.check_len(operation, item))?;
        }
        let checks: Vec<Result<()>> =
            batch.iter().map(|item| self.check_len(operation, item)).collect();
        let good = batch.into_iter().zip(&checks).filter(|(_, check)| check.is_ok());
        let good = good.map(|(item, _)| item).collect();
        let mut answers = self.write(operation, good, condition)?.into_iter();
        let answer = |check: Result<()>| {
            check.and_then(|()| answers.next().ok_or_else(|| self.gone(operation)))
        };
        Ok(BatchOutcome::new(checks.into_iter().map(answer).collect()))
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        for range in options.range.iter().chain(options.after.iter().map(|after| &after.range)) {
            self.scope.check(&range.scope)?;
        }
        drop(self.inner(Operation::Scan)?);
        let (range, position) = match options.after.clone() {
            Some(cursor) => (cursor.range, Some(cursor.position)),
            None => (options.range.clone().unwrap_or_else(|| Range::all(self.scope.clone())), None),
        };
        Ok(Box::new(LogScan { namespace: self.clone(), options, range, position, given: 0 }))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        let range = Range::all(self.scope.clone());
        Cursor { range, position: Bytes::copy_from_slice(key.as_bytes()) }
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let space = self.space(Operation::Split)?;
        let len = space.rows.len();
        let n = n.clamp(1, len.max(1));
        // The keys at the quantiles are where one range ends and the next begins.
        let size = len.div_ceil(n).max(1);
        let bounds = space.rows.keys().step_by(size).skip(1).take(n - 1);
        let bounds: Vec<Bytes> = bounds.map(|key| Bytes::copy_from_slice(key.as_bytes())).collect();
        let starts = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let ends = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
        let range = |(start, end)| Range { scope: self.scope.clone(), start, end };
        Ok(starts.zip(ends).map(range).collect())
    }

    async fn count(&self, _options: CountOptions) -> Result<Count> {
        let space = self.space(Operation::Count)?;
        Ok(Count::Exact(space.rows.values().filter(|row| row.value.is_some()).count() as u64))
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let mut inner = self.inner(Operation::Purge)?;
        let namespace = self.scope.namespace.clone();
        let old = |row: &&Row| row.value.is_none() && row.version < before;
        let rows =
            inner.spaces.get(&namespace).map(|space| space.rows.values().filter(old).count());
        let purged = rows.unwrap_or_default() as u64;
        if purged > 0 {
            inner.commit(Operation::Purge, Entry::Purge { namespace, before }, &[])?;
        }
        Ok(purged)
    }
}

/// A scan, which reads each page from the index as it is then.
struct LogScan {
    namespace: LogNamespace,
    options: ScanOptions,
    range: Range,
    /// The last key that was read.
    position: Option<Bytes>,
    given: u64,
}

#[async_trait]
impl Scan for LogScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let space = self.namespace.space(Operation::Scan)?;
        let start = match (&self.position, &self.range.start) {
            (Some(after), Some(start)) if after < start => Bound::Included(start),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(start)) => Bound::Included(start),
            (None, None) => Bound::Unbounded,
        };
        let start = start.map(|bytes| Key::copy_from(bytes));
        let end = self.range.end.as_ref().map(|bytes| Key::copy_from(bytes));
        let before_end = |key: &Key| end.as_ref().is_none_or(|end| key < end);
        let rows = space.rows.range((start, Bound::Unbounded));
        let items: Vec<ScanItem> = rows
            .take_while(|(key, _)| before_end(key))
            .filter(|(_, row)| row.value.is_some() || self.options.include_deleted)
            .take(self.options.page_rows.max(1))
            .map(|(key, row)| {
                let mut shown =
                    record(key, row).unwrap_or_else(|| Record::marker(key.clone(), row.version));
                if self.options.keys_only {
                    shown.value = Bytes::new();
                }
                Ok(shown)
            })
            .collect();
        let last = items.last().and_then(|item| item.as_ref().ok());
        let Some(last) = last.map(|record| Bytes::copy_from_slice(record.key.as_bytes())) else {
            return Ok(ScanStep::End(ScanEnd::new(self.given)));
        };
        self.given += items.len() as u64;
        self.position = Some(last.clone());
        let cursor = Cursor { range: self.range.clone(), position: last };
        Ok(ScanStep::Page(Page::new(items, cursor)))
    }
}
