//! Namespaces and scans that are broken on purpose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, BatchOutcome, Capabilities, CheckedScan, Count,
    CountOptions, Cursor, Delete, Error, ErrorKind, Key, Namespace, Operation, Page, Precondition,
    Put, Range, ReadOptions, Record, Result, Scan, ScanEnd, ScanItem, ScanOptions, ScanStep, Scope,
    Store, Version, WriteOptions, Written,
};

use crate::Bug;
use crate::store::{broken, powerless};

#[derive(Debug)]
pub(crate) struct BrokenNamespace {
    inner: Arc<dyn Namespace>,
    store: Arc<dyn Store>,
    capabilities: Capabilities,
    bug: Bug,
    memory: Mutex<Memory>,
}

/// What a broken handle remembers and should not.
#[derive(Debug, Default)]
struct Memory {
    count: Option<Count>,
    deletes_of_absent: u64,
    read: BTreeMap<Key, Option<Record>>,
    deleted: Vec<ScanItem>,
    values: Vec<Bytes>,
}

impl BrokenNamespace {
    pub(crate) fn new(
        inner: Arc<dyn Namespace>,
        store: Arc<dyn Store>,
        capabilities: Capabilities,
        bug: Bug,
    ) -> Self {
        Self { inner, store, capabilities, bug, memory: Mutex::default() }
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
        if self.bug == Bug::HasSwallowsErrors { Ok(result.unwrap_or(false)) } else { result }
    }

    async fn put(&self, mut put: Put, options: WriteOptions) -> Result<Written> {
        self.refuse_powers(Operation::Put, options)?;
        let target = self.target().await;
        let read = ReadOptions::new();
        put.key = self.key(&put.key);
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
            Bug::KeepsCallersMemory => {
                self.memory.lock().unwrap().values.push(put.value.clone());
            }
            Bug::IfAbsentRaces if options.precondition == Precondition::IfAbsent => {
                if self.inner.get(&put.key, read).await?.is_none() {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    return target.put(put, WriteOptions::new()).await;
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
            Bug::BatchCut => {
                let count = batch.len();
                batch.truncate(10_000);
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
        if self.bug == Bug::TinyPages {
            options.page_rows = 1;
        }
        let inner = broken(self.bug, target.scan(options.clone()).await)?;
        Ok(Box::new(BrokenScan {
            inner,
            namespace: Arc::clone(&self.inner),
            options,
            bug: self.bug,
            first,
            ahead: None,
            last: None,
            given: 0,
            turn: 0,
            ended: false,
        }))
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
        let count = self.inner.count(options).await?;
        let namespace = self.inner.scope().namespace.as_str();
        let control = self.store.control_list(namespace).await?.len() as u64;
        let memory = &mut *self.memory.lock().unwrap();
        Ok(match self.bug {
            Bug::CountCached => *memory.count.get_or_insert(count),
            Bug::CountRounded => Count::Exact(count.value() / 4 * 4),
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

struct BrokenScan {
    inner: Box<dyn Scan>,
    namespace: Arc<dyn Namespace>,
    options: ScanOptions,
    bug: Bug,
    /// Rows that come first and should not.
    first: Vec<ScanItem>,
    /// A page that was read and not yet given.
    ahead: Option<Page>,
    last: Option<ScanItem>,
    given: u64,
    turn: u64,
    ended: bool,
}

impl BrokenScan {
    fn end(&self, hidden: usize) -> ScanStep {
        ScanStep::End(ScanEnd::new(self.given + hidden as u64))
    }

    fn give(&mut self, mut page: Page) -> ScanStep {
        if !self.first.is_empty() {
            let mut items = std::mem::take(&mut self.first);
            items.append(&mut page.items);
            items.truncate(self.options.page_rows.max(1));
            page.items = items;
        }
        match self.bug {
            Bug::PageRepeatsRow => {
                let last = std::mem::replace(&mut self.last, page.items.last().cloned());
                if let Some(last) = last {
                    page.items.insert(0, last);
                    page.items.truncate(self.options.page_rows.max(1));
                }
            }
            Bug::ScanTearsRows => {
                if let [Ok(one), Ok(two), ..] = page.items.as_mut_slice() {
                    std::mem::swap(&mut one.value, &mut two.value);
                }
            }
            Bug::ScanStopsAtTenThousand => {
                let left = 10_000_u64.saturating_sub(self.given);
                page.items.truncate(usize::try_from(left).unwrap());
                if page.items.is_empty() {
                    return self.end(0);
                }
            }
            _ => {}
        }
        self.given += page.items.len() as u64;
        ScanStep::Page(page)
    }
}

#[async_trait]
impl Scan for BrokenScan {
    async fn next(&mut self) -> Result<ScanStep> {
        self.turn += 1;
        if self.bug == Bug::TinyPages && !self.ended && self.turn.is_multiple_of(2) {
            let range = Range::all(self.namespace.scope().clone());
            let cursor = self.options.after.clone().unwrap_or_else(|| Cursor {
                range: self.options.range.clone().unwrap_or(range),
                position: Bytes::new(),
            });
            return Ok(ScanStep::Page(Page::new(Vec::new(), cursor)));
        }
        if self.bug == Bug::ScanOfManyMoments {
            self.inner = self.namespace.scan(self.options.clone()).await?;
        }
        let step = match self.inner.next().await {
            Err(_) if self.bug == Bug::CutOffScanEnds => return Ok(self.end(0)),
            step => step?,
        };
        match step {
            ScanStep::Page(page) => {
                self.options.after = Some(page.cursor.clone());
                if matches!(self.bug, Bug::ScanEndsEarly | Bug::ScanEndsShort) {
                    return match self.ahead.replace(page) {
                        Some(page) => Ok(self.give(page)),
                        None => self.next().await,
                    };
                }
                Ok(self.give(page))
            }
            ScanStep::End(end) => {
                self.ended = true;
                if let Some(left_out) = self.ahead.take() {
                    let hidden =
                        if self.bug == Bug::ScanEndsShort { left_out.items.len() } else { 0 };
                    return Ok(self.end(hidden));
                }
                Ok(match self.bug {
                    Bug::CursorInclusive
                    | Bug::PageRepeatsRow
                    | Bug::DeletedIsListed
                    | Bug::ScanEndsEarly
                    | Bug::ScanEndsShort
                    | Bug::ScanStopsAtTenThousand
                    | Bug::ScanOfManyMoments => self.end(0),
                    _ => ScanStep::End(end),
                })
            }
        }
    }
}
