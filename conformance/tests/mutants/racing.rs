//! Namespaces that are broken, or odd, only where several clients meet or a future is
//! dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, Contender, Count, CountOptions, Cursor,
    Delete, Error, ErrorKind, Key, Namespace, Operation, Outcome, Precondition, Put, Range,
    ReadOptions, Record, Result, Scan, ScanEnd, ScanOptions, ScanStep, Scope, Version,
    WriteOptions, Written,
};
use tokio::task::JoinHandle;

use crate::Bug;

/// What all handles of a store share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    handles: AtomicU64,
    writes: AtomicU64,
    /// Keys deleted a while ago, with how many puts are still lost.
    deleted: Mutex<BTreeMap<Key, u8>>,
    /// A lock that nobody gives back when a future is dropped.
    locked: AtomicBool,
    /// Writes under way that outlive their futures.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Held by a barrier, which must not end before another one that waits for more.
    barrier: tokio::sync::Mutex<()>,
}

impl Shared {
    /// Waits for all writes that are under way.
    pub(crate) async fn settle(&self) {
        let _alone = self.barrier.lock().await;
        loop {
            let task = self.tasks.lock().unwrap().pop();
            match task {
                Some(task) => task.await.unwrap(),
                None => return,
            }
        }
    }
}

/// The namespace as it is, or with a fault or oddity of this room around it.
pub(crate) fn around(
    inner: Arc<dyn Namespace>,
    bug: Bug,
    shared: &Arc<Shared>,
) -> Arc<dyn Namespace> {
    let ours = [
        Bug::ReadsAreCached,
        Bug::ReadsLag,
        Bug::Lagging,
        Bug::NeverCatchesUp,
        Bug::HasLags,
        Bug::WritesAnswerEarly,
        Bug::WritesApplyTwice,
        Bug::PutRemovesFirst,
        Bug::IfNewerRaces,
        Bug::IfVersionRaces,
        Bug::DeletesComeUndone,
        Bug::PutsAfterDeletesAreLost,
        Bug::AppliedSaysNotApplied,
        Bug::RefusedShowsForAWhile,
        Bug::HandleClockLags,
        Bug::ScanMissesOwnWrite,
        Bug::CancelledAppliesLate,
        Bug::CancelledLeavesHalf,
        Bug::CancelledKeepsLock,
        Bug::ByVersion,
        Bug::Slow,
        Bug::FinishesCancelled,
    ];
    if !ours.contains(&bug) {
        return inner;
    }
    let handle = shared.handles.fetch_add(1, Ordering::Relaxed);
    let shared = Arc::clone(shared);
    Arc::new(Racing { inner, bug, handle, shared, memory: Mutex::default() })
}

#[derive(Debug)]
struct Racing {
    inner: Arc<dyn Namespace>,
    bug: Bug,
    handle: u64,
    shared: Arc<Shared>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What was read, with how many reads it is still good for.
    read: BTreeMap<Key, (Option<Record>, u8)>,
    seen: BTreeMap<Key, (bool, u8)>,
    written: Option<Key>,
    /// How often a write of the handle's own began or ended.
    writes: u64,
}

/// Lets others run.
pub(crate) async fn pause(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Applies a write later if it is dropped before it was done.
struct Late {
    inner: Arc<dyn Namespace>,
    put: Option<Put>,
}

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(put) = self.put.take() {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                pause(40).await;
                let _ = inner.put(put, WriteOptions::new()).await;
            });
        }
    }
}

impl Racing {
    /// Whether this is one of every `n` writes of the store.
    fn every(&self, n: u64) -> bool {
        self.shared.writes.fetch_add(1, Ordering::Relaxed) % n == n - 1
    }

    /// Does a put in a while, whatever becomes of the caller.
    fn later(&self, put: Put) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            pause(12).await;
            let _ = inner.put(put, WriteOptions::new()).await;
        });
    }

    fn lags(&self) -> bool {
        matches!(self.bug, Bug::Lagging | Bug::NeverCatchesUp)
    }

    /// Forgets what was read of a key that the handle itself writes, before and after.
    fn writes(&self, key: &Key) {
        let memory = &mut *self.memory.lock().unwrap();
        memory.writes += 1;
        memory.read.remove(key);
        memory.seen.remove(key);
    }

    /// What the handle shows of a key: for a while what it read before, unless it wrote since
    /// or was writing `then`, when this reading began.
    fn lagging(&self, key: &Key, now: Option<Record>, then: u64) -> Option<Record> {
        let memory = &mut *self.memory.lock().unwrap();
        match memory.read.get_mut(key) {
            Some((old, left)) if *left > 0 => {
                if self.bug == Bug::Lagging {
                    *left -= 1;
                }
                old.clone()
            }
            _ => {
                if memory.writes == then {
                    memory.read.insert(key.clone(), (now.clone(), 2));
                }
                now
            }
        }
    }

    async fn live(&self, key: &Key) -> Result<Option<Record>> {
        self.inner.get(key, ReadOptions::new()).await
    }

    /// Does a write on a task of its own, which a dropped future does not stop.
    async fn on_a_task(&self, item: BatchItem, options: WriteOptions) -> Result<Written> {
        let inner = Arc::clone(&self.inner);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            pause(3).await;
            let result = match item {
                BatchItem::Put(put) => inner.put(put, options).await,
                BatchItem::Delete(delete) => inner.delete(delete, options).await,
            };
            let _ = answer.send(result);
        });
        self.shared.tasks.lock().unwrap().push(task);
        answered.await.unwrap()
    }

    async fn put_plain(&self, mut put: Put) -> Result<Written> {
        let plain = WriteOptions::new();
        match self.bug {
            Bug::WritesAnswerEarly => {
                self.later(put);
                return Ok(Written::Applied);
            }
            Bug::WritesApplyTwice => self.later(put.clone()),
            Bug::PutRemovesFirst => {
                self.inner.delete(Delete::new(put.key.clone(), put.version), plain).await?;
                pause(1).await;
            }
            Bug::PutsAfterDeletesAreLost => {
                let deleted = &mut *self.shared.deleted.lock().unwrap();
                if let Some(left) = deleted.get_mut(&put.key).filter(|left| **left > 0) {
                    *left -= 1;
                    return Ok(Written::Applied);
                }
            }
            Bug::AppliedSaysNotApplied if self.every(7) => {
                self.inner.put(put, plain).await?;
                return Err(refusal());
            }
            Bug::RefusedShowsForAWhile if self.every(7) => {
                let old = self.live(&put.key).await?;
                let (key, version) = (put.key.clone(), put.version);
                self.inner.put(put, plain).await?;
                pause(3).await;
                match old {
                    Some(old) => {
                        self.inner.put(Put::new(key, old.value, old.version), plain).await?
                    }
                    None => self.inner.delete(Delete::new(key, version), plain).await?,
                };
                return Err(refusal());
            }
            Bug::HandleClockLags if self.handle % 2 == 1 => {
                put.version = Version(put.version.0 - 20);
                self.inner.put(put, WriteOptions::if_newer()).await?;
                return Ok(Written::Applied);
            }
            Bug::HandleClockLags | Bug::ByVersion => {
                self.inner.put(put, WriteOptions::if_newer()).await?;
                return Ok(Written::Applied);
            }
            Bug::CancelledAppliesLate => {
                let inner = Arc::clone(&self.inner);
                let mut late = Late { inner, put: Some(put.clone()) };
                pause(2).await;
                let written = self.inner.put(put, plain).await;
                late.put = None;
                return written;
            }
            Bug::CancelledLeavesHalf => {
                let half = put.value.slice(..put.value.len() / 2);
                self.inner.put(Put::new(put.key.clone(), half, put.version), plain).await?;
                pause(1).await;
            }
            Bug::CancelledKeepsLock => {
                while self.shared.locked.swap(true, Ordering::SeqCst) {
                    pause(1).await;
                }
                pause(1).await;
                let written = self.inner.put(put, plain).await;
                self.shared.locked.store(false, Ordering::SeqCst);
                return written;
            }
            _ => {}
        }
        self.inner.put(put, plain).await
    }
}

fn refusal() -> Error {
    Error::new(ErrorKind::Unavailable, Operation::Put, "not now")
        .with_backend("memory")
        .with_outcome(Outcome::NotApplied)
}

#[async_trait]
impl Namespace for Racing {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        if self.bug == Bug::Slow {
            pause(fastrand::u32(..8)).await;
        }
        if self.lags() {
            let then = self.memory.lock().unwrap().writes;
            let now = self.inner.get(key, options).await?;
            return Ok(self.lagging(key, now, then));
        }
        if matches!(self.bug, Bug::ReadsAreCached | Bug::ReadsLag) {
            let memory = &mut *self.memory.lock().unwrap();
            if let Some((record, left)) = memory.read.get_mut(key)
                && *left > 0
            {
                *left -= 1;
                return Ok(record.clone());
            }
        }
        let result = self.inner.get(key, options).await;
        if let Ok(record) = &result {
            self.memory.lock().unwrap().read.insert(key.clone(), (record.clone(), 2));
        }
        if self.bug == Bug::Slow {
            pause(fastrand::u32(..8)).await;
        }
        result
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let then = self.memory.lock().unwrap().writes;
        let mut results = self.inner.get_many(keys, options).await?;
        if self.lags() {
            for (key, result) in keys.iter().zip(&mut results) {
                if let Ok(record) = result {
                    *record = self.lagging(key, record.take(), then);
                }
            }
        }
        Ok(results)
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        if self.lags() {
            // The two readings of a lagging handle agree.
            return Ok(self.get(key, options).await?.is_some());
        }
        if self.bug == Bug::HasLags {
            let memory = &mut *self.memory.lock().unwrap();
            if let Some((seen, left)) = memory.seen.get_mut(key)
                && *left > 0
            {
                *left -= 1;
                return Ok(*seen);
            }
        }
        let result = self.inner.has(key, options).await;
        if let Ok(seen) = result {
            self.memory.lock().unwrap().seen.insert(key.clone(), (seen, 2));
        }
        result
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let key = put.key.clone();
        if self.lags() {
            self.writes(&key);
        }
        if self.bug == Bug::ScanMissesOwnWrite {
            self.memory.lock().unwrap().written = Some(key.clone());
        }
        if self.bug == Bug::Slow {
            pause(fastrand::u32(..8)).await;
        }
        let written = match (self.bug, options.precondition) {
            (Bug::FinishesCancelled, _) => self.on_a_task(put.into(), options).await,
            (_, Precondition::None) => self.put_plain(put).await,
            (Bug::IfNewerRaces, Precondition::IfNewer) => match self.live(&key).await? {
                Some(old) => {
                    pause(2).await;
                    let new = Contender { version: put.version, value: Some(&put.value) };
                    let stored = Contender { version: old.version, value: Some(&old.value) };
                    if new.beats(&stored) {
                        self.inner.put(put, WriteOptions::new()).await
                    } else {
                        Ok(Written::Superseded { current: old.version })
                    }
                }
                None => self.inner.put(put, options).await,
            },
            (Bug::IfVersionRaces, Precondition::IfVersion(asked)) => {
                let current = self.live(&key).await?.map(|old| old.version);
                pause(2).await;
                if current == Some(asked) {
                    self.inner.put(put, WriteOptions::new()).await
                } else {
                    Ok(Written::Refused { current })
                }
            }
            _ => self.inner.put(put, options).await,
        };
        if self.bug == Bug::Slow {
            pause(fastrand::u32(..8)).await;
        }
        if self.bug == Bug::ReadsLag {
            self.memory.lock().unwrap().seen.remove(&key);
        } else {
            self.writes(&key);
        }
        written
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let key = delete.key.clone();
        let plain = options.precondition == Precondition::None;
        if self.lags() {
            self.writes(&key);
        }
        let old = self.live(&key).await;
        let written = match self.bug {
            Bug::FinishesCancelled => self.on_a_task(delete.into(), options).await,
            Bug::ByVersion if plain => {
                self.inner.delete(delete, WriteOptions::if_newer()).await?;
                Ok(Written::Applied)
            }
            _ => self.inner.delete(delete, options).await,
        };
        match (self.bug, old) {
            (Bug::DeletesComeUndone, Ok(Some(old))) if self.every(3) => {
                self.later(Put::new(key.clone(), old.value, old.version));
            }
            (Bug::PutsAfterDeletesAreLost, Ok(Some(_))) => {
                self.shared.deleted.lock().unwrap().insert(key.clone(), 1);
            }
            _ => {}
        }
        self.writes(&key);
        written
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        if !self.lags() {
            return self.inner.apply(batch, options).await;
        }
        let keys: Vec<Key> = batch.iter().map(|item| item.key().clone()).collect();
        keys.iter().for_each(|key| self.writes(key));
        let outcome = self.inner.apply(batch, options).await;
        keys.iter().for_each(|key| self.writes(key));
        outcome
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        let inner = self.inner.scan(options).await?;
        let written = self.memory.lock().unwrap().written.clone();
        match written {
            Some(key) if self.bug == Bug::ScanMissesOwnWrite => {
                Ok(Box::new(Without { inner, key, left_out: 0 }))
            }
            _ => Ok(inner),
        }
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.inner.split(n).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.inner.count(options).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        self.inner.purge_deleted(before).await
    }
}

/// A scan that leaves one key out.
struct Without {
    inner: Box<dyn Scan>,
    key: Key,
    left_out: u64,
}

#[async_trait]
impl Scan for Without {
    async fn next(&mut self) -> Result<ScanStep> {
        Ok(match self.inner.next().await? {
            ScanStep::Page(mut page) => {
                let rows = page.items.len();
                page.items.retain(|row| !row.as_ref().is_ok_and(|row| row.key == self.key));
                self.left_out += (rows - page.items.len()) as u64;
                ScanStep::Page(page)
            }
            ScanStep::End(end) => ScanStep::End(ScanEnd::new(end.rows - self.left_out)),
        })
    }
}
