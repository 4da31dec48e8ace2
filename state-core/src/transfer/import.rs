//! Storing the entries of a file or stream.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::source::{Group, with_entries};
use super::{StopFlag, Watch};
use crate::batch::{BatchItem, BatchOptions, BatchOutcome};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};
use crate::format::{Decoder, Entry, Position};
use crate::namespace::Namespace;
use crate::record::{Key, Version};
use crate::write::Put;

/// Options of an import.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Records in a batch, and so between two durable barriers.
    pub batch: usize,
    /// Batches under way at once.
    pub in_flight: usize,
    /// Go on after an entry that cannot be stored, where the reader knows where the next
    /// begins.
    pub keep_going: bool,
    /// Asks to stop.
    pub stop: StopFlag,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { batch: 1_000, in_flight: 4, keep_going: false, stop: StopFlag::new() }
    }
}

impl ImportOptions {
    /// Batches of 1,000, four under way, stopping at the first entry that cannot be stored.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on after entries that cannot be stored.
    #[must_use]
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.keep_going = keep_going;
        self
    }

    /// Sets the batch size.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// Sets the flag that asks to stop.
    #[must_use]
    pub fn with_stop(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }
}

/// How an import ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportEnd {
    /// At the end of the input.
    Complete,
    /// At an entry that cannot be stored; everything before it is stored.
    Refused(Box<Entry>),
    /// On request; everything counted is stored.
    Stopped,
    /// By a failure of the store or the input.
    Failed(Error),
}

/// What an import did. Never discarded unread: a failure stands only in `end`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportReport {
    /// Entries read, good and bad.
    pub read: u64,
    /// Pins stored and acknowledged; in a check, pins that can be stored.
    pub stored: u64,
    /// Pins whose write failed without telling whether it happened.
    pub unknown: u64,
    /// Entries that were not stored.
    pub rejected: u64,
    /// What a compatible reader let through, by kind.
    pub let_through: BTreeMap<&'static str, u64>,
    /// Bytes of input used.
    pub bytes: u64,
    /// Where the last entry stands whose predecessors are all stored.
    pub last: Position,
    /// How it ended.
    pub end: ImportEnd,
}

impl ImportReport {
    fn new() -> Self {
        Self {
            read: 0,
            stored: 0,
            unknown: 0,
            rejected: 0,
            let_through: BTreeMap::new(),
            bytes: 0,
            last: Position::default(),
            end: ImportEnd::Complete,
        }
    }

    /// The report of a complete import, or the failure.
    ///
    /// # Errors
    /// What ended the import early; `InvalidInput` for an entry that cannot be stored.
    pub fn complete(self) -> Result<Self> {
        match &self.end {
            ImportEnd::Complete => Ok(self),
            ImportEnd::Failed(error) => {
                Err(error.clone().with_context("pins stored before", self.stored))
            }
            ImportEnd::Stopped => {
                Err(Error::new(ErrorKind::Cancelled, Operation::Import, "stopped on request")
                    .with_context("pins stored before", self.stored))
            }
            ImportEnd::Refused(entry) => Err(refusal(entry)
                .with_outcome(Outcome::Unknown)
                .with_context("pins stored before", self.stored)),
        }
    }
}

/// The error that tells of an entry that cannot be stored.
fn refusal(entry: &Entry) -> Error {
    let reason = match &entry.body {
        Err(fault) => fault.to_string(),
        Ok(_) => "refused".to_owned(),
    };
    let mut error = Error::new(ErrorKind::InvalidInput, Operation::Import, reason)
        .with_context("entry", entry.at.ordinal);
    if entry.at.line > 0 {
        error = error.with_context("line", entry.at.line);
    }
    let offset = entry.body.as_ref().err().and_then(|fault| fault.offset);
    error.with_context("byte", offset.unwrap_or(entry.at.offset))
}

/// Reads the whole input without storing anything: what an import of it would meet.
#[must_use = "a failure stands only in the report"]
pub async fn check<R>(
    reader: R,
    decoder: Box<dyn Decoder>,
    options: ImportOptions,
    watch: &mut dyn Watch,
) -> ImportReport
where
    R: AsyncRead + Unpin + Send,
{
    let group = options.batch;
    with_entries(reader, decoder, group, async move |groups| {
        let mut run = Run { report: ImportReport::new(), options, watch, sink: None };
        run.drive(groups).await;
        run.report
    })
    .await
}

/// Stores the entries of an input. The last entry of a key wins, as in the input's order.
///
/// Ends with the report also when it fails: what is in is in, and the report says how much.
/// No barrier beyond the store's own acknowledgement: call [`sync`](crate::Store::sync).
#[must_use = "a failure stands only in the report"]
pub async fn import<R>(
    namespace: Arc<dyn Namespace>,
    clock: &Clock,
    reader: R,
    decoder: Box<dyn Decoder>,
    options: ImportOptions,
    watch: &mut dyn Watch,
) -> ImportReport
where
    R: AsyncRead + Unpin + Send,
{
    let group = options.batch;
    with_entries(reader, decoder, group, async move |groups| {
        let sink = Sink {
            namespace,
            clock,
            open: Vec::with_capacity(options.batch),
            keys: HashSet::new(),
            in_flight: VecDeque::new(),
        };
        let mut run = Run { report: ImportReport::new(), options, watch, sink: Some(sink) };
        run.drive(groups).await;
        run.report
    })
    .await
}

struct Run<'a> {
    report: ImportReport,
    options: ImportOptions,
    watch: &'a mut dyn Watch,
    /// `None` in a check.
    sink: Option<Sink<'a>>,
}

struct Sink<'a> {
    namespace: Arc<dyn Namespace>,
    clock: &'a Clock,
    /// The batch that is being filled.
    open: Vec<(Key, bytes::Bytes)>,
    /// Fingerprints of the keys of the open batch and of those under way. Two writes of one
    /// key are never under way at once, so that the later one wins in every store; two keys
    /// of one fingerprint only wait for each other without need.
    keys: HashSet<u64>,
    in_flight: VecDeque<Flight>,
}

struct Flight {
    keys: Vec<u64>,
    outcome: tokio::task::JoinHandle<Result<BatchOutcome>>,
}

/// The last bytes of a key: of a CID, bytes of a digest, as good as random.
fn fingerprint(key: &Key) -> u64 {
    let bytes = key.as_bytes();
    let tail = bytes.get(bytes.len().saturating_sub(8)..).unwrap_or_default();
    tail.iter().fold(bytes.len() as u64, |print, &byte| print << 8 | u64::from(byte))
}

/// Why a run ends before its input does.
struct Ended;

impl Run<'_> {
    async fn drive(&mut self, mut groups: mpsc::Receiver<Result<Group>>) {
        let ended = self.consume(&mut groups).await.is_err();
        // Whatever ended the run, what is under way is waited for and counted.
        while self.land().await {}
        if ended && matches!(self.report.end, ImportEnd::Complete) {
            self.report.end = ImportEnd::Stopped;
        }
    }

    async fn consume(
        &mut self,
        groups: &mut mpsc::Receiver<Result<Group>>,
    ) -> std::result::Result<(), Ended> {
        let stop = self.options.stop.clone();
        loop {
            let group = tokio::select! {
                biased;
                () = stop.stopped() => {
                    self.flush().await?;
                    return Err(Ended);
                }
                group = groups.recv() => group,
            };
            let group = match group {
                Some(Ok(group)) => group,
                Some(Err(error)) => return self.fail(error).await,
                None => {
                    return self
                        .fail(Error::new(
                            ErrorKind::Internal,
                            Operation::Import,
                            "the decoder died before the end of the input",
                        ))
                        .await;
                }
            };
            let pins_before = self.report.read;
            for entry in group.entries {
                if self.options.stop.is_set() {
                    self.flush().await?;
                    return Err(Ended);
                }
                self.take(entry).await?;
            }
            let bytes = group.bytes - self.report.bytes;
            self.report.bytes = group.bytes;
            self.watch.advance(self.report.read - pins_before, bytes);
            if group.last {
                return self.flush().await;
            }
        }
    }

    async fn take(&mut self, entry: Entry) -> std::result::Result<(), Ended> {
        self.report.read += 1;
        for &kind in &entry.let_through {
            *self.report.let_through.entry(kind).or_default() += 1;
        }
        let at = entry.at;
        match entry.body {
            Ok((key, value)) => {
                self.store(Key::new(key), value).await?;
            }
            Err(ref fault) => {
                self.report.rejected += 1;
                self.watch.rejected(&entry);
                // What ipfs-cluster itself passes over ends nothing.
                let passed_over = !entry.let_through.is_empty();
                if !passed_over && (!self.options.keep_going || !fault.recoverable) {
                    self.flush().await?;
                    self.report.end = ImportEnd::Refused(Box::new(entry));
                    return Err(Ended);
                }
            }
        }
        self.report.last = at;
        Ok(())
    }

    async fn store(&mut self, key: Key, value: bytes::Bytes) -> std::result::Result<(), Ended> {
        let Some(sink) = &mut self.sink else {
            self.report.stored += 1;
            return Ok(());
        };
        let fingerprint = fingerprint(&key);
        if sink.keys.contains(&fingerprint) {
            self.flush().await?;
            while self.land().await {}
            self.check_failed()?;
        }
        let Some(sink) = &mut self.sink else { return Ok(()) };
        sink.keys.insert(fingerprint);
        sink.open.push((key, value));
        if sink.open.len() >= self.options.batch {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends the open batch on its way; waits for the oldest where too many are.
    async fn flush(&mut self) -> std::result::Result<(), Ended> {
        while self.sink.as_ref().is_some_and(|s| s.in_flight.len() >= self.options.in_flight.max(1))
        {
            self.land().await;
        }
        self.check_failed()?;
        let Some(sink) = &mut self.sink else { return Ok(()) };
        if sink.open.is_empty() {
            return Ok(());
        }
        let pins = std::mem::take(&mut sink.open);
        let first = match sink.clock.draw_many(pins.len()).await {
            Ok(first) => first,
            Err(error) => return self.fail(error).await,
        };
        let keys = pins.iter().map(|(key, _)| fingerprint(key)).collect();
        let batch: Vec<BatchItem> = pins
            .into_iter()
            .zip(first.micros()..)
            .map(|((key, value), version)| Put::new(key, value, Version(version)).into())
            .collect();
        let namespace = Arc::clone(&sink.namespace);
        let apply: BoxFuture<'static, _> =
            Box::pin(async move { namespace.apply(batch, BatchOptions::new()).await });
        sink.in_flight.push_back(Flight { keys, outcome: tokio::spawn(apply) });
        sink.open.reserve(self.options.batch);
        Ok(())
    }

    /// Waits for the oldest batch under way; false where there is none.
    async fn land(&mut self) -> bool {
        let Some(sink) = &mut self.sink else { return false };
        let Some(flight) = sink.in_flight.pop_front() else { return false };
        let outcome = flight.outcome.await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, Operation::Import, "a batch's task died")
                .with_source(error))
        });
        let count = flight.keys.len() as u64;
        for key in flight.keys {
            sink.keys.remove(&key);
        }
        match outcome {
            Ok(outcome) => {
                let unanswered = count.saturating_sub(outcome.items.len() as u64);
                if unanswered > 0 {
                    let error = Error::new(
                        ErrorKind::Internal,
                        Operation::Import,
                        "the store did not answer for every write of a batch",
                    );
                    self.count_failure(error, unanswered);
                }
                for item in outcome.items {
                    match item {
                        Ok(_) => self.report.stored += 1,
                        Err(error) => self.count_failure(error, 1),
                    }
                }
            }
            Err(error) => self.count_failure(error, count),
        }
        true
    }

    fn count_failure(&mut self, error: Error, pins: u64) {
        if error.outcome() == Outcome::Unknown {
            self.report.unknown += pins;
        }
        if !matches!(self.report.end, ImportEnd::Failed(_)) {
            self.report.end = ImportEnd::Failed(error);
        }
    }

    fn check_failed(&self) -> std::result::Result<(), Ended> {
        match self.report.end {
            ImportEnd::Failed(_) => Err(Ended),
            _ => Ok(()),
        }
    }

    async fn fail(&mut self, error: Error) -> std::result::Result<(), Ended> {
        self.report.end = ImportEnd::Failed(error);
        Err(Ended)
    }
}
