//! Record operations on one namespace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, Count, CountOptions, Cursor,
    Delete, Error, ErrorKind, Key, Namespace, Operation, Outcome, Precondition, Put, Range,
    ReadOptions, Record, Result, Scan, ScanOptions, Scope, Version, WriteOptions, Written,
};
use scylla::response::query_result::QueryResult;
use scylla::statement::prepared::PreparedStatement;

use crate::config::MAX_KEY_BYTES;
use crate::core::{Core, Counters};
use crate::count;
use crate::error::{Work, error, from_rows};
use crate::ring::{encode, parts};
use crate::room::Room;
use crate::scan::{ScyllaScan, position_of};

/// How far a version may be ahead of this machine's clock. Servers check only some of the
/// ways in which a version can come, and nothing that is ahead can be overwritten until
/// its time has come.
const MOST_AHEAD_MICROS: i64 = 3_600_000_000;

/// Most writes or reads of one call that are under way at the same time: more only wait
/// for each other.
const MOST_AT_ONCE: usize = 256;

/// A handle on one namespace.
#[derive(Clone, Debug)]
pub(crate) struct ScyllaNamespace {
    pub(crate) core: Arc<Core>,
    pub(crate) room: Arc<Room>,
}

/// Microseconds since the Unix epoch.
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn unsupported(operation: Operation, what: &'static str) -> Error {
    error(ErrorKind::Unsupported, operation, what)
}

/// Whether a key can be there at all.
fn can_be_there(key: &Key) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY_BYTES
}

impl ScyllaNamespace {
    fn check_version(operation: Operation, key: &Key, version: Version) -> Result<()> {
        let refuse = |text: String| {
            Err(error(ErrorKind::InvalidInput, operation, text).with_key(key.clone()))
        };
        if version < Version::MIN {
            return refuse(format!("the version {version} is below the lowest that there is"));
        }
        // Most versions are of the past, which a comparison with the clock would only tell
        // at the price of reading it twice.
        let ahead = version.micros().saturating_sub(now_micros());
        if ahead > MOST_AHEAD_MICROS {
            return refuse(format!(
                "the version {version} is {} s ahead of this machine's clock, of at most {}: set \
                 the clock right",
                ahead / 1_000_000,
                MOST_AHEAD_MICROS / 1_000_000
            ));
        }
        Ok(())
    }

    fn check_put(&self, put: &Put, operation: Operation) -> Result<()> {
        let limits = &self.core.capabilities;
        for (what, len, limit) in [
            ("key", put.key.len(), limits.max_key_bytes),
            ("value", put.value.len(), limits.max_value_bytes),
        ] {
            if len as u64 > limit {
                return Err(error(
                    ErrorKind::TooLarge,
                    operation,
                    format!("the {what} is {len} bytes long, of at most {limit}"),
                )
                .with_key(put.key.clone()));
            }
        }
        if put.key.is_empty() {
            return Err(error(
                ErrorKind::InvalidInput,
                operation,
                "the key is empty, which CQL does not take",
            )
            .with_key(put.key.clone()));
        }
        Self::check_version(operation, &put.key, put.version)
    }

    /// What a failure about one record means.
    async fn failed(&self, key: &Key, error: Error) -> Error {
        // On the heap, since this is rare and would make every call larger.
        Box::pin(self.room.found(&self.core, error)).await.with_key(key.clone())
    }

    async fn put_one(&self, put: &Put, operation: Operation, if_newer: bool) -> Result<Written> {
        self.check_put(put, operation)?;
        let values = (put.key.as_bytes(), &put.value[..], put.version.micros());
        let statement = &self.room.statements.put;
        let bytes = put.value.len();
        match self.core.carry(operation, Work::Write, statement, values, bytes).await {
            Ok(_) => Ok(if if_newer { Written::Resolved } else { Written::Applied }),
            Err(error) => Err(self.failed(&put.key, error).await),
        }
    }

    async fn delete_one(
        &self,
        delete: &Delete,
        operation: Operation,
        if_newer: bool,
    ) -> Result<Written> {
        Self::check_version(operation, &delete.key, delete.version)?;
        let written = if if_newer { Written::Resolved } else { Written::Applied };
        if !can_be_there(&delete.key) {
            self.core.session(operation)?;
            return Ok(written);
        }
        let statements = &self.room.statements;
        let statement = if if_newer { &statements.mark } else { &statements.delete };
        let values = (delete.version.micros(), delete.key.as_bytes());
        match self.core.run(operation, Work::Write, statement, values).await {
            Ok(_) => Ok(written),
            Err(error) => Err(self.failed(&delete.key, error).await),
        }
    }

    async fn get_one(&self, key: &Key, operation: Operation) -> Result<Option<Record>> {
        if !can_be_there(key) {
            self.core.session(operation)?;
            return Ok(None);
        }
        let statements = &self.room.statements;
        let read = |result: QueryResult| -> Result<Option<Record>> {
            let rows = result.into_rows_result().map_err(|e| from_rows(&e, operation))?;
            let row = rows
                .maybe_first_row::<(Option<Bytes>, Option<i64>, Option<i64>)>()
                .map_err(|e| from_rows(&e, operation))?;
            Ok(match row {
                Some((Some(value), Some(v), d)) if d.is_none_or(|d| d < v) => {
                    Some(Record::live(key.clone(), value, Version(v)))
                }
                _ => None,
            })
        };
        match self.core.run(operation, Work::Read, &statements.get, (key.as_bytes(),)).await {
            Ok(result) => read(result).map_err(|error| error.with_key(key.clone())),
            Err(error) => {
                let degraded = statements.get_degraded.as_ref();
                let result = self.degraded(degraded, key, operation, error).await?;
                match read(result.0)? {
                    Some(mut record) => {
                        record.degraded = true;
                        Ok(Some(record))
                    }
                    // That one replica does not have it says nothing.
                    None => Err(result.1),
                }
            }
        }
    }

    async fn has_one(&self, key: &Key, operation: Operation) -> Result<bool> {
        if !can_be_there(key) {
            self.core.session(operation)?;
            return Ok(false);
        }
        let statements = &self.room.statements;
        let read = |result: QueryResult| -> Result<bool> {
            let rows = result.into_rows_result().map_err(|e| from_rows(&e, operation))?;
            let row = rows
                .maybe_first_row::<(Option<i64>, Option<i64>)>()
                .map_err(|e| from_rows(&e, operation))?;
            Ok(matches!(row, Some((Some(v), d)) if d.is_none_or(|d| d < v)))
        };
        match self.core.run(operation, Work::Read, &statements.has, (key.as_bytes(),)).await {
            Ok(result) => read(result).map_err(|error| error.with_key(key.clone())),
            Err(error) => {
                let degraded = statements.has_degraded.as_ref();
                let result = self.degraded(degraded, key, operation, error).await?;
                if read(result.0)? { Ok(true) } else { Err(result.1) }
            }
        }
    }

    /// Reads at the lower level where that is configured and `failure` is that the other
    /// one cannot be met. Gives the failure back with the answer: it stands where nothing
    /// was found.
    async fn degraded(
        &self,
        statement: Option<&PreparedStatement>,
        key: &Key,
        operation: Operation,
        failure: Error,
    ) -> Result<(QueryResult, Error)> {
        let failure = self.failed(key, failure).await;
        let cannot = matches!(failure.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
        let Some(statement) = statement.filter(|_| cannot) else { return Err(failure) };
        match self.core.run(operation, Work::Read, statement, (key.as_bytes(),)).await {
            Ok(result) => {
                Counters::add(&self.core.counters.degraded_reads);
                tracing::warn!(
                    key = key.short(),
                    consistency = self.core.config.degraded_reads.map(|level| level.as_str()),
                    "a read was made at a lower consistency than configured: {}",
                    failure.brief(Some(key))
                );
                Ok((result, failure))
            }
            Err(_) => Err(failure),
        }
    }

    async fn write_item(&self, item: &BatchItem, if_newer: bool) -> Result<Written> {
        match item {
            BatchItem::Put(put) => self.put_one(put, Operation::Apply, if_newer).await,
            BatchItem::Delete(delete) => self.delete_one(delete, Operation::Apply, if_newer).await,
        }
    }

    /// How many of so many pieces of work to do at a time.
    fn workers(&self, count: usize) -> usize {
        count.min(MOST_AT_ONCE).min(self.core.limit.total())
    }
}

/// Why there are no conditions on the present state.
const NO_CONDITION: &str = "a condition on the present record would need a lightweight \
     transaction, and these must not meet writes with versions on one row: write 'if newer'";

/// Does the work for each item, some at a time, and gives the results in order. Each worker
/// takes the next item when it is done with one; a future for each item at once would cost
/// more.
async fn each<'a, I, T, F>(
    workers: usize,
    items: &'a [I],
    work: impl Fn(&'a I) -> F + Sync,
) -> Vec<Option<T>>
where
    I: Sync,
    T: Send,
    F: Future<Output = T> + Send,
{
    let mut results: Vec<Option<T>> = Vec::with_capacity(items.len());
    results.resize_with(items.len(), || None);
    let results = Mutex::new(results);
    let next = AtomicUsize::new(0);
    let worker = || async {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item).await;
            if let Some(slot) = results.lock().get_mut(index) {
                *slot = Some(result);
            }
        }
    };
    let mut running: FuturesUnordered<_> = (0..workers).map(|_| worker()).collect();
    while running.next().await.is_some() {}
    drop(running);
    results.into_inner()
}

fn unanswered(operation: Operation) -> Error {
    error(ErrorKind::Internal, operation, "nobody did the work for this record")
        .with_outcome(Outcome::Unknown)
}

#[async_trait]
impl Namespace for ScyllaNamespace {
    fn scope(&self) -> &Scope {
        &self.room.scope
    }

    fn capabilities(&self) -> &Capabilities {
        &self.core.capabilities
    }

    async fn get(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        self.room.enter(Operation::Get)?;
        self.get_one(key, Operation::Get).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        _options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let operation = Operation::GetMany;
        self.room.enter(operation)?;
        self.core.session(operation)?;
        let results =
            each(self.workers(keys.len()), keys, |key| self.get_one(key, operation)).await;
        Ok(results.into_iter().map(|r| r.unwrap_or_else(|| Err(unanswered(operation)))).collect())
    }

    async fn has(&self, key: &Key, _options: ReadOptions) -> Result<bool> {
        self.room.enter(Operation::Has)?;
        self.has_one(key, Operation::Has).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let operation = Operation::Put;
        self.room.enter(operation)?;
        let if_newer = match options.precondition {
            Precondition::None => false,
            Precondition::IfNewer => true,
            _ => return Err(unsupported(operation, NO_CONDITION).with_key(put.key)),
        };
        self.put_one(&put, operation, if_newer).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let operation = Operation::Delete;
        self.room.enter(operation)?;
        let if_newer = match options.precondition {
            Precondition::None => false,
            Precondition::IfNewer => true,
            Precondition::IfAbsent => {
                return Err(error(
                    ErrorKind::InvalidInput,
                    operation,
                    "a delete 'if absent' makes no sense",
                )
                .with_key(delete.key));
            }
            _ => return Err(unsupported(operation, NO_CONDITION).with_key(delete.key)),
        };
        self.delete_one(&delete, operation, if_newer).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let operation = Operation::Apply;
        options.check().map_err(|error| error.with_backend(crate::error::BACKEND))?;
        self.room.enter(operation)?;
        self.core.session(operation)?;
        if options.atomicity != Atomicity::PerItem {
            return Err(unsupported(
                operation,
                "a batch over many records cannot be all or nothing here: apply it per item",
            ));
        }
        let if_newer = options.if_newer;
        let results =
            each(self.workers(batch.len()), &batch, |item| self.write_item(item, if_newer)).await;
        let items = results.into_iter().map(|r| r.unwrap_or_else(|| Err(unanswered(operation))));
        Ok(BatchOutcome::new(items.collect()))
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        self.room.enter(Operation::Scan)?;
        self.core.session(Operation::Scan)?;
        let (core, room) = (Arc::clone(&self.core), Arc::clone(&self.room));
        Ok(Box::new(ScyllaScan::new(core, room, options)?))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        Cursor { range: Range::all(self.room.scope.clone()), position: position_of(key.as_bytes()) }
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.room.enter(Operation::Split)?;
        self.core.session(Operation::Split)?;
        let parts = parts(n);
        let count = parts.len();
        let token = |token: i64| Some(Bytes::copy_from_slice(&encode(token)));
        let range = |(i, (first, last)): (usize, (i64, i64))| Range {
            scope: self.room.scope.clone(),
            start: if i == 0 { None } else { token(first) },
            end: if i + 1 == count { None } else { token(last + 1) },
        };
        Ok(parts.into_iter().enumerate().map(range).collect())
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.room.enter(Operation::Count)?;
        if options.estimate {
            count::estimate(&self.core, &self.room).await
        } else {
            count::exact(&self.core, &self.room).await.map(Count::Exact)
        }
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        self.room.enter(Operation::Purge)?;
        count::purge(&self.core, &self.room, before).await
    }
}
