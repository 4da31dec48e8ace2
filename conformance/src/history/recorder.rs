//! Recording what clients do.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Delete, Durability, Error, ErrorKind, Key, Namespace,
    Operation, Outcome, Put, ReadOptions, Record, Result, ScanOptions, Store, Version,
    WriteOptions, Written,
};

use super::event::{Answer, Barrier, Call, Condition, End, Event, Found, History, Reply};

/// Writes down what clients do to one namespace. All of them share one counter, which gives
/// the moments.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Recorded>);

#[derive(Debug, Default)]
struct Recorded {
    now: u64,
    history: History,
}

impl Recorded {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Recorder {
    /// A recorder for a namespace that is empty.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What happened so far.
    #[must_use]
    pub fn history(&self) -> History {
        self.0.lock().history.clone()
    }

    /// A client with a handle of its own, which draws versions from `clock`. Two clients
    /// have different numbers.
    #[must_use]
    pub fn client(
        self: &Arc<Self>,
        number: u32,
        namespace: Arc<dyn Namespace>,
        clock: Arc<dyn Fn() -> Version + Send + Sync>,
    ) -> Client {
        Client { recorder: Arc::clone(self), number, namespace, clock }
    }
}

/// Operations on a namespace that are written down. Dropping the future of one of them is
/// written down as well.
#[derive(Clone)]
pub struct Client {
    recorder: Arc<Recorder>,
    number: u32,
    namespace: Arc<dyn Namespace>,
    clock: Arc<dyn Fn() -> Version + Send + Sync>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Operations under way, which have no end yet.
struct Begun<'a> {
    recorder: &'a Recorder,
    /// Their places in the history.
    places: std::ops::Range<usize>,
}

impl Begun<'_> {
    /// Writes down one moment as the end of all operations, each with what it came to.
    fn end(self, ends: impl IntoIterator<Item = Ended>) {
        let recorded = &mut *self.recorder.0.lock();
        let at = recorded.tick();
        let places = recorded.history.events.get_mut(self.places.clone()).unwrap_or_default();
        for (event, ended) in places.iter_mut().zip(ends) {
            event.end = match ended {
                Ok(answer) => End::Answered { at, answer },
                Err((Outcome::NotApplied, error)) => End::NotApplied { at, error },
                Err((Outcome::Unknown, error)) => End::Unknown { at, error },
            };
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let recorded = &mut *self.recorder.0.lock();
        let at = recorded.tick();
        let places = recorded.history.events.get_mut(self.places.clone()).unwrap_or_default();
        for event in places {
            if event.end == End::Open {
                event.end = End::Dropped { at };
            }
        }
    }
}

type Ended = std::result::Result<Answer, (Outcome, String)>;

fn failed<T>(error: &Error) -> std::result::Result<T, (Outcome, String)> {
    Err((error.outcome(), error.to_string()))
}

fn read(result: &Result<Option<Record>>) -> Ended {
    match result {
        // What a store says with less than its usual certainty tells nothing.
        Ok(Some(record)) if record.degraded => {
            Err((Outcome::Unknown, "read at a lower consistency".to_owned()))
        }
        Ok(record) => Ok(Answer::Record(record.as_ref().map(|record| Found {
            version: record.version,
            value: Bytes::copy_from_slice(&record.value),
        }))),
        Err(error) => failed(error),
    }
}

fn wrote(result: &Result<Written>) -> Ended {
    match result {
        Ok(written) => match Reply::of(*written) {
            Some(reply) => Ok(Answer::Written(reply)),
            None => Err((Outcome::Unknown, format!("an answer that is not known: {written:?}"))),
        },
        Err(error) => failed(error),
    }
}

fn condition(options: WriteOptions) -> Condition {
    // A condition that is not known here is not one that the suite uses.
    Condition::of(options.precondition).unwrap_or(Condition::None)
}

fn call_of(item: &BatchItem, condition: Condition) -> (Key, Call) {
    match item {
        BatchItem::Put(put) => (
            put.key.clone(),
            Call::Put {
                value: Bytes::copy_from_slice(&put.value),
                version: put.version,
                condition,
            },
        ),
        BatchItem::Delete(delete) => {
            (delete.key.clone(), Call::Delete { version: delete.version, condition })
        }
    }
}

impl Client {
    /// The client's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The next version of the clock, for a write `if newer` that is made later.
    #[must_use]
    pub fn draw(&self) -> Version {
        (self.clock)()
    }

    fn begin(&self) -> u64 {
        self.recorder.0.lock().tick()
    }

    fn begun(&self, invoked: u64, calls: impl IntoIterator<Item = (Key, Call)>) -> Begun<'_> {
        let recorded = &mut *self.recorder.0.lock();
        let events = &mut recorded.history.events;
        let from = events.len();
        let event = |(key, call)| Event { client: self.number, key, call, invoked, end: End::Open };
        events.extend(calls.into_iter().map(event));
        Begun { recorder: &self.recorder, places: from..events.len() }
    }

    /// Gets a record.
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn get(&self, key: &Key) -> Result<Option<Record>> {
        let begun = self.begun(self.begin(), [(key.clone(), Call::Get)]);
        let result = self.namespace.get(key, ReadOptions::new()).await;
        begun.end([read(&result)]);
        result
    }

    /// Gets many records.
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Result<Option<Record>>>> {
        let calls = keys.iter().map(|key| (key.clone(), Call::Get));
        let begun = self.begun(self.begin(), calls);
        let results = self.namespace.get_many(keys, ReadOptions::new()).await;
        match &results {
            Ok(results) => begun.end(results.iter().map(read)),
            Err(error) => begun.end(keys.iter().map(|_| failed(error))),
        }
        results
    }

    /// Asks whether there is a record.
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn has(&self, key: &Key) -> Result<bool> {
        let begun = self.begun(self.begin(), [(key.clone(), Call::Has)]);
        let result = self.namespace.has(key, ReadOptions::new()).await;
        begun.end([match &result {
            Ok(present) => Ok(Answer::Present(*present)),
            Err(error) => failed(error),
        }]);
        result
    }

    /// Reads the whole namespace, which is written down as one read of each of `keys` and of
    /// each row that came beside them.
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn scan(&self, keys: &[Key], options: ScanOptions) -> Result<Vec<Record>> {
        let begun = self.begun(self.begin(), keys.iter().map(|key| (key.clone(), Call::Get)));
        let result = async {
            let scan = CheckedScan::new(self.namespace.scan(options).await?);
            let rows = scan.collect().await?.into_iter().map(|row| {
                row.map_err(|damaged| {
                    Error::new(ErrorKind::Corrupt, Operation::Scan, "a row cannot be read")
                        .with_key(damaged.key)
                })
            });
            rows.collect()
        };
        let result: Result<Vec<Record>> = result.await;
        match &result {
            Ok(rows) => {
                let row = |key: &Key| rows.iter().find(|row| row.key == *key).cloned();
                let beside = rows.iter().filter(|row| !keys.contains(&row.key));
                // As one that began with the others: their moments are those of the scan.
                let odd = beside.map(|row| (row.key.clone(), Call::Get));
                let odd = odd.collect::<Vec<_>>();
                let invoked = self.moment(&begun);
                let also = self.begun(invoked, odd.iter().cloned());
                begun.end(keys.iter().map(|key| read(&Ok(row(key)))));
                also.end(odd.iter().map(|(key, _)| read(&Ok(row(key)))));
            }
            Err(error) => begun.end(keys.iter().map(|_| failed(error))),
        }
        result
    }

    /// When these operations began.
    fn moment(&self, begun: &Begun<'_>) -> u64 {
        let recorded = self.recorder.0.lock();
        recorded.history.events.get(begun.places.start).map_or(0, |event| event.invoked)
    }

    /// Puts a record. The version is drawn between the beginning that is written down and
    /// the call, unless it is given.
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn put(
        &self,
        key: &Key,
        value: impl Into<Bytes> + Send,
        version: Option<Version>,
        options: WriteOptions,
    ) -> Result<Written> {
        let value = value.into();
        let invoked = self.begin();
        let version = version.unwrap_or_else(|| self.draw());
        let put = Put::new(key.clone(), value, version);
        let call = call_of(&put.clone().into(), condition(options));
        let begun = self.begun(invoked, [call]);
        let result = self.namespace.put(put, options).await;
        begun.end([wrote(&result)]);
        result
    }

    /// Deletes a record; the version as for [`put`](Self::put).
    ///
    /// # Errors
    /// The store's, which is written down.
    pub async fn delete(
        &self,
        key: &Key,
        version: Option<Version>,
        options: WriteOptions,
    ) -> Result<Written> {
        let invoked = self.begin();
        let version = version.unwrap_or_else(|| self.draw());
        let delete = Delete::new(key.clone(), version);
        let call = call_of(&delete.clone().into(), condition(options));
        let begun = self.begun(invoked, [call]);
        let result = self.namespace.delete(delete, options).await;
        begun.end([wrote(&result)]);
        result
    }

    /// Writes a batch, item by item: a value puts, nothing deletes. No key stands twice in
    /// it.
    ///
    /// # Errors
    /// The store's for the batch as a whole, which is written down.
    pub async fn apply(
        &self,
        writes: Vec<(Key, Option<Bytes>)>,
        options: BatchOptions,
    ) -> Result<Vec<Result<Written>>> {
        let invoked = self.begin();
        let item = |(key, value): (Key, Option<Bytes>)| -> BatchItem {
            let version = self.draw();
            match value {
                Some(value) => Put::new(key, value, version).into(),
                None => Delete::new(key, version).into(),
            }
        };
        let batch: Vec<BatchItem> = writes.into_iter().map(item).collect();
        let condition = if options.if_newer { Condition::IfNewer } else { Condition::None };
        let count = batch.len();
        let begun = self.begun(invoked, batch.iter().map(|item| call_of(item, condition)));
        let outcome = self.namespace.apply(batch, options).await;
        match &outcome {
            Ok(outcome) => begun.end(outcome.items.iter().map(wrote)),
            Err(error) => begun.end((0..count).map(|_| failed(error))),
        }
        outcome.map(|outcome| outcome.items)
    }

    /// Waits for a barrier: `sync`.
    ///
    /// # Errors
    /// The store's; such a call is no barrier.
    pub async fn sync(&self, store: &dyn Store) -> Result<Durability> {
        let invoked = self.begin();
        let level = store.sync().await?;
        let recorded = &mut *self.recorder.0.lock();
        let returned = recorded.tick();
        let barrier = Barrier { client: self.number, invoked, returned };
        recorded.history.barriers.push(barrier);
        Ok(level)
    }
}
