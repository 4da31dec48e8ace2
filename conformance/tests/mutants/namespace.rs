//! Namespaces that are broken on purpose.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, CheckedScan, Count,
    CountOptions, Cursor, Delete, Error, ErrorKind, Key, Namespace, Operation, Precondition, Put,
    Range, ReadOptions, Record, Result, Scan, ScanItem, ScanOptions, ScanStep, Scope, Store,
    Version, WriteOptions, Written,
};

use crate::scan::BrokenScan;
use crate::store::{broken, powerless};
use crate::{Bug, pins};

#[derive(Debug)]
pub(crate) struct BrokenNamespace {
    inner: Arc<dyn Namespace>,
    store: Arc<dyn Store>,
    capabilities: Capabilities,
    bug: Bug,
    memory: Mutex<Memory>,
    /// How many scans are under way.
    scans: Arc<AtomicUsize>,
    /// Held by the write whose turn it is.
    turn: tokio::sync::Mutex<()>,
}

/// What a broken handle remembers and should not.
#[derive(Debug, Default)]
struct Memory {
    count: Option<Count>,
    deletes_of_absent: u64,
    read: BTreeMap<Key, Option<Record>>,
    deleted: Vec<ScanItem>,
    values: Vec<Bytes>,
    /// Writers between their reading and their writing.
    in_gap: usize,
    /// Writes that were acknowledged and not made.
    waiting: Vec<BatchItem>,
    repeated_puts: u64,
    batches: Vec<Vec<BatchItem>>,
    last_deleted: Option<Record>,
    opened_scans: u64,
    batch_deletes: usize,
}

impl BrokenNamespace {
    pub(crate) fn new(
        inner: Arc<dyn Namespace>,
        store: Arc<dyn Store>,
        capabilities: Capabilities,
        bug: Bug,
    ) -> Self {
        Self {
            inner,
            store,
            capabilities,
            bug,
            memory: Mutex::default(),
            scans: Arc::default(),
            turn: Default::default(),
        }
    }

    /// The key that the broken store takes this one for.
    fn key(&self, key: &Key) -> Key {
        let bytes = key.as_bytes();
        match self.bug {
            Bug::KeyCutAtNul => {
                Key::copy_from(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
            }
            Bug::KeyCutAt64 => Key::copy_from(bytes.get(..64).unwrap_or(bytes)),
            Bug::CaseFolded => Key::new(bytes.to_ascii_lowercase()),
            Bug::IdentityDigestCut => match bytes {
                [0x01, 0x55, 0x00, ..] => Key::copy_from(bytes.get(..36).unwrap_or(bytes)),
                _ => key.clone(),
            },
            Bug::KeyIsMultihash => match bytes {
                [0x01, 0x55 | 0x70, multihash @ ..] => Key::copy_from(multihash),
                _ => key.clone(),
            },
            _ => key.clone(),
        }
    }

    /// The handle that calls really go to.
    async fn target(&self) -> Arc<dyn Namespace> {
        if self.bug == Bug::HandleFollowsName
            && let Ok(now) = self.store.open_namespace(&self.inner.scope().namespace).await
        {
            return now;
        }
        Arc::clone(&self.inner)
    }

    async fn rows(&self) -> Result<Vec<Record>> {
        let scan = CheckedScan::new(self.inner.scan(ScanOptions::new()).await?);
        Ok(scan.collect().await?.into_iter().flatten().collect())
    }

    fn refuse_powers(&self, operation: Operation, options: WriteOptions) -> Result<()> {
        let refused =
            matches!(options.precondition, Precondition::IfAbsent | Precondition::IfVersion(_));
        if self.bug == Bug::Powerless && refused { Err(powerless(operation)) } else { Ok(()) }
    }

    fn answer(&self, written: Written, options: WriteOptions) -> Written {
        let resolves = self.bug == Bug::Resolving && options.precondition == Precondition::IfNewer;
        if resolves { Written::Resolved } else { written }
    }
}

#[async_trait]
impl Namespace for BrokenNamespace {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let result = self.target().await.get(&self.key(key), options).await;
        let result = result.map(|found| {
            found.map(|record| Record::live(key.clone(), record.value, record.version))
        });
        match self.bug {
            Bug::GetSwallowsErrors => Ok(result.unwrap_or(None)),
            Bug::MissingWithoutServer => match result {
                Err(error) if error.kind() == ErrorKind::Unavailable => Ok(None),
                result => result,
            },
            Bug::ExpiredIsHidden => {
                result.map(|found| found.filter(|record| !pins::has_expired(record)))
            }
            Bug::VersionsRounded => result.map(|found| {
                found.map(|mut record| {
                    record.version.0 = record.version.0 / 1_000 * 1_000;
                    record
                })
            }),
            Bug::IndexOfThousand => {
                let rows =
                    self.inner.scan(ScanOptions::new().with_page_rows(1_000).keys_only()).await;
                let indexed = match rows?.next().await? {
                    ScanStep::Page(page) => page.items.into_iter().flatten().any(|r| r.key == *key),
                    ScanStep::End(_) => false,
                };
                if indexed { result } else { Ok(None) }
            }
            Bug::AbsentIsDefault => result.map(|found| {
                found.or_else(|| Some(Record::live(key.clone(), Bytes::new(), Version(0))))
            }),
            Bug::PrefixIsKey => match result? {
                Some(record) => Ok(Some(record)),
                None => {
                    let mut rows = self.rows().await?.into_iter();
                    let found = rows.find(|row| row.key.as_bytes().starts_with(key.as_bytes()));
                    Ok(found.map(|row| Record::live(key.clone(), row.value, row.version)))
                }
            },
            Bug::StaleHandle => {
                let found = result?;
                Ok(self.memory.lock().unwrap().read.entry(key.clone()).or_insert(found).clone())
            }
            _ => result,
        }
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let mut results = Vec::new();
        for key in keys {
            results.push(self.get(key, options).await);
        }
        Ok(results)
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        let result = self.target().await.has(&self.key(key), options).await;
        match self.bug {
            Bug::HasSwallowsErrors => Ok(result.unwrap_or(false)),
            Bug::HasOfEmptyIsFalse => {
                let found = self.inner.get(key, options).await?;
                Ok(found.is_some_and(|record| !record.value.is_empty()))
            }
            Bug::HasSaysMaybe => Ok(result? || !self.rows().await?.is_empty()),
            _ => result,
        }
    }

    async fn put(&self, mut put: Put, options: WriteOptions) -> Result<Written> {
        self.refuse_powers(Operation::Put, options)?;
        let target = self.target().await;
        let read = ReadOptions::new();
        put.key = self.key(&put.key);
        put.value = pins::kept(self.bug, &put.key, &put.value);
        let limits = self.inner.capabilities();
        let key_over = put.key.len() as u64 > limits.max_key_bytes;
        let value_over = put.value.len() as u64 > limits.max_value_bytes;
        match self.bug {
            Bug::ValueTailKept => {
                if let Some(old) = self.inner.get(&put.key, read).await?
                    && let Some(tail) = old.value.get(put.value.len()..)
                {
                    put.value = [&put.value[..], tail].concat().into();
                }
            }
            Bug::ValueCutAtNul => {
                let cut = put.value.iter().position(|byte| *byte == 0);
                put.value.truncate(cut.unwrap_or(put.value.len()));
            }
            Bug::LimitOffByOne if put.key.len() as u64 == limits.max_key_bytes => {
                return Err(Error::new(ErrorKind::TooLarge, Operation::Put, "too long")
                    .with_backend("memory")
                    .with_key(put.key));
            }
            Bug::LengthOf16Bits => put.value.truncate(put.value.len() % 65_536),
            Bug::RepeatedPutsCount => {
                let old = self.inner.get(&put.key, read).await?;
                if old.is_some_and(|old| old.version == put.version) {
                    self.memory.lock().unwrap().repeated_puts += 1;
                }
            }
            Bug::PutRevivesDeleted => {
                let deleted = self.memory.lock().unwrap().last_deleted.take();
                if let Some(old) = deleted.filter(|old| old.key != put.key) {
                    let old = Put::new(old.key, old.value, old.version);
                    target.put(old, WriteOptions::new()).await?;
                }
            }
            Bug::ScanHoldsWriters => {
                while self.scans.load(Ordering::SeqCst) > 0 {
                    tokio::task::yield_now().await;
                }
            }
            Bug::WaitingPutsCopied => {
                put.value = Bytes::copy_from_slice(&put.value);
                let _turn = self.turn.lock().await;
                tokio::task::yield_now().await;
            }
            Bug::LargeValueCut => {
                let limit = usize::try_from(limits.max_value_bytes).unwrap();
                put.value.truncate(limit);
            }
            Bug::RefusedIsStored if key_over || value_over => {
                let mut cut = put.clone();
                cut.value.truncate(10);
                cut.key = Key::copy_from(cut.key.as_bytes().get(..10).unwrap_or(b"k"));
                target.put(cut, WriteOptions::new()).await?;
            }
            Bug::ExpiryKept | Bug::ExpiryInMinutes => {
                let old = self.inner.get(&put.key, read).await?;
                let new = Record::live(put.key.clone(), put.value.clone(), put.version);
                put.value = pins::replacing(self.bug, old.as_ref(), &new);
            }
            Bug::KeepsCallersMemory => {
                self.memory.lock().unwrap().values.push(put.value.clone());
            }
            Bug::IfAbsentRaces if options.precondition == Precondition::IfAbsent => {
                if self.inner.get(&put.key, read).await?.is_none() {
                    self.memory.lock().unwrap().in_gap += 1;
                    // Until another is in the gap, too, or none seems to come.
                    for _ in 0..10_000 {
                        if self.memory.lock().unwrap().in_gap > 1 {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                    let written = target.put(put, WriteOptions::new()).await;
                    self.memory.lock().unwrap().in_gap -= 1;
                    return written;
                }
            }
            Bug::EqualVersionsByArrival if options.precondition == Precondition::IfNewer => {
                if let Some(old) = self.inner.get(&put.key, read).await?
                    && old.version == put.version
                {
                    return target.put(put, WriteOptions::new()).await;
                }
            }
            Bug::OlderPutResurrects if options.precondition == Precondition::IfNewer => {
                if self.inner.get(&put.key, read).await?.is_none() {
                    return target.put(put, WriteOptions::new()).await;
                }
            }
            _ => {}
        }
        let written = broken(self.bug, target.put(put, options).await)?;
        Ok(self.answer(written, options))
    }

    async fn delete(&self, mut delete: Delete, options: WriteOptions) -> Result<Written> {
        self.refuse_powers(Operation::Delete, options)?;
        delete.key = self.key(&delete.key);
        let there = self.inner.get(&delete.key, ReadOptions::new()).await;
        match (self.bug, there) {
            (Bug::DeleteOfAbsentFails, Ok(None)) => {
                return Err(Error::not_found(Operation::Delete, delete.key));
            }
            (Bug::DeleteOfAbsentCounts, Ok(None)) => {
                self.memory.lock().unwrap().deletes_of_absent += 1;
            }
            (Bug::PutRevivesDeleted, Ok(Some(record))) => {
                self.memory.lock().unwrap().last_deleted = Some(record);
            }
            (Bug::RepeatedDeleteForgets, Ok(None))
                if options.precondition == Precondition::IfNewer =>
            {
                let above = Version(delete.version.0 + 1);
                self.inner.purge_deleted(above).await?;
                return Ok(Written::Applied);
            }
            (Bug::DeletedIsListed, Ok(Some(record))) => {
                self.memory.lock().unwrap().deleted.push(Ok(record));
            }
            _ => {}
        }
        let written = broken(self.bug, self.target().await.delete(delete, options).await)?;
        Ok(self.answer(written, options))
    }

    async fn apply(
        &self,
        mut batch: Vec<BatchItem>,
        options: BatchOptions,
    ) -> Result<BatchOutcome> {
        options.check()?;
        let atomic = options.atomicity == Atomicity::Required;
        match self.bug {
            Bug::Powerless if atomic => return Err(powerless(Operation::Apply)),
            Bug::EmptyBatchHangs if batch.is_empty() => std::future::pending().await,
            Bug::BatchReorders => {
                batch.sort_by_key(|item| matches!(item, BatchItem::Put(_)));
            }
            Bug::ShortBatchWaits if !atomic && (2..100).contains(&batch.len()) => {
                let count = batch.len();
                let before = std::mem::replace(&mut self.memory.lock().unwrap().waiting, batch);
                self.inner.apply(before, options).await?.into_result()?;
                return Ok(BatchOutcome::applied(count));
            }
            Bug::LostInMerge => {
                let is_delete = |item: &&BatchItem| matches!(item, BatchItem::Delete(_));
                let (before, now) = {
                    let deletes = &mut self.memory.lock().unwrap().batch_deletes;
                    let before = *deletes;
                    *deletes += batch.iter().filter(is_delete).count();
                    (before, *deletes)
                };
                if (before..now).contains(&1_800) {
                    let touched: Vec<_> = batch.iter().map(BatchItem::key).collect();
                    let mut rows = self.rows().await?.into_iter();
                    if let Some(lost) = rows.find(|row| !touched.contains(&&row.key)) {
                        let delete = Delete::new(lost.key, lost.version);
                        self.inner.delete(delete, WriteOptions::new()).await?;
                    }
                }
            }
            Bug::BatchLosesLast if !atomic && batch.len() > 20 => {
                let count = batch.len();
                batch.pop();
                self.inner.apply(batch, options).await?.into_result()?;
                return Ok(BatchOutcome::applied(count));
            }
            Bug::BatchAgainIsAnother => {
                let batches = &mut self.memory.lock().unwrap().batches;
                if batches.contains(&batch) {
                    batch.retain(|item| matches!(item, BatchItem::Put(_)));
                    batch.extend(
                        batch
                            .first()
                            .map(|item| Delete::new(item.key().clone(), Version(1)).into()),
                    );
                } else {
                    batches.push(batch.clone());
                }
            }
            Bug::BatchReapplied => {
                let earlier = std::mem::replace(
                    &mut self.memory.lock().unwrap().batches,
                    vec![batch.clone()],
                );
                for batch in earlier {
                    self.inner.apply(batch, BatchOptions::new()).await?.into_result()?;
                }
            }
            Bug::BatchesAtOnceLose => {
                self.memory.lock().unwrap().in_gap += 1;
                for _ in 0..1_000 {
                    if self.memory.lock().unwrap().in_gap > 1 {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let count = batch.len();
                if self.memory.lock().unwrap().in_gap > 1 && count > 0 {
                    batch.remove(0);
                }
                let outcome = self.inner.apply(batch, options).await;
                self.memory.lock().unwrap().in_gap -= 1;
                outcome?.into_result()?;
                return Ok(BatchOutcome::applied(count));
            }
            Bug::BatchCut => {
                let count = batch.len();
                batch.truncate(1_000);
                self.inner.apply(batch, options).await?.into_result()?;
                return Ok(BatchOutcome::applied(count));
            }
            _ => {}
        }
        let in_parts =
            [Bug::BatchVisibleInParts, Bug::BatchAppliesUpToError, Bug::UndeclaredBatchWorks];
        if atomic && !in_parts.contains(&self.bug) {
            return self.inner.apply(batch, options).await;
        }
        if atomic && self.bug != Bug::BatchAppliesUpToError {
            // What is refused is refused in time: only readers can tell.
            let limits = self.inner.capabilities();
            if batch.len() as u64 > limits.max_atomic_batch
                || batch.iter().any(|item| item.key().len() as u64 > limits.max_key_bytes)
            {
                return self.inner.apply(batch, options).await;
            }
        }
        // Through the broken single writes.
        let condition =
            if options.if_newer { WriteOptions::if_newer() } else { WriteOptions::new() };
        let mut outcomes = Vec::new();
        for item in batch {
            let outcome = match item {
                BatchItem::Put(put) => self.put(put, condition).await,
                BatchItem::Delete(delete) => self.delete(delete, condition).await,
            };
            if atomic {
                outcome.as_ref().map_err(Clone::clone)?;
                tokio::task::yield_now().await;
            }
            outcomes.push(match outcome {
                Err(error)
                    if error.kind() == ErrorKind::TooLarge
                        && self.bug == Bug::BatchHidesFailures =>
                {
                    Ok(Written::Applied)
                }
                outcome => outcome,
            });
        }
        Ok(BatchOutcome::new(outcomes))
    }

    async fn scan(&self, mut options: ScanOptions) -> Result<Box<dyn Scan>> {
        let target = self.target().await;
        let read = ReadOptions::new();
        let mut first = Vec::new();
        match self.bug {
            Bug::ForeignCursorsTaken => {
                if let Some(cursor) = &mut options.after {
                    cursor.range.scope = self.inner.scope().clone();
                }
            }
            Bug::MarkerIsListed => options.include_deleted = true,
            Bug::DeletedIsListed => first = self.memory.lock().unwrap().deleted.clone(),
            Bug::CursorInclusive => {
                if let Some(cursor) = &options.after {
                    let key = Key::new(cursor.position.clone());
                    first.extend(self.inner.get(&key, read).await?.map(Ok));
                }
            }
            Bug::CursorOfDeletedRestarts => {
                if let Some(cursor) = &options.after {
                    let key = Key::new(cursor.position.clone());
                    if self.inner.get(&key, read).await?.is_none() {
                        options.range = Some(cursor.range.clone());
                        options.after = None;
                    }
                }
            }
            _ => {}
        }
        match self.bug {
            Bug::TinyPages => options.page_rows = 1,
            Bug::EmptyPagePanics => assert!(options.page_rows > 0, "a page of no rows"),
            Bug::DroppedScansHold => {
                let memory = &mut *self.memory.lock().unwrap();
                memory.opened_scans += 1;
                if memory.opened_scans > 100 {
                    return Err(Error::new(
                        ErrorKind::Overloaded,
                        Operation::Scan,
                        "no more scans",
                    ));
                }
            }
            _ => {}
        }
        let mut asked = options.clone();
        if self.bug == Bug::LongValuesInKeyScans {
            asked.keys_only = false;
        }
        let inner = broken(self.bug, target.scan(asked).await)?;
        let scans = Arc::clone(&self.scans);
        let inner = BrokenScan::new(inner, Arc::clone(&self.inner), options, self.bug, first);
        Ok(Box::new(inner.counted(scans)))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        let mut ranges = self.inner.split(n).await?;
        match self.bug {
            Bug::SplitMissesLast if ranges.len() > 1 => {
                ranges.pop();
            }
            Bug::SplitUnbalanced => {
                // By the first byte, which all CIDs share.
                let bound =
                    |byte: usize| Some(Bytes::from(vec![u8::try_from(byte).unwrap_or(255)]));
                let n = n.clamp(1, 255);
                let range = |i: usize| Range {
                    scope: self.inner.scope().clone(),
                    start: if i == 0 { None } else { bound(i) },
                    end: if i + 1 == n { None } else { bound(i + 1) },
                };
                ranges = (0..n).map(range).collect();
            }
            Bug::SplitOverlaps => {
                for range in &mut ranges {
                    if let Some(end) = &range.end {
                        range.end = Some([&end[..], b"\0"].concat().into());
                    }
                }
            }
            _ => {}
        }
        Ok(ranges)
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        while self.bug == Bug::BrokenExportBlocks && self.scans.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        let count = self.inner.count(options).await?;
        let namespace = self.inner.scope().namespace.as_str();
        let control = self.store.control_list(namespace).await?.len() as u64;
        let memory = &mut *self.memory.lock().unwrap();
        Ok(match self.bug {
            Bug::CountCached => *memory.count.get_or_insert(count),
            Bug::CountRounded => Count::Exact(count.value() / 4 * 4),
            Bug::RepeatedPutsCount => Count::Exact(count.value() + memory.repeated_puts),
            Bug::ControlIsCounted => Count::Exact(count.value() + control),
            Bug::DeleteOfAbsentCounts => {
                Count::Exact(count.value().wrapping_sub(memory.deletes_of_absent))
            }
            _ => count,
        })
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        self.inner.purge_deleted(before).await
    }
}
