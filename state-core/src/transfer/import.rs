//! Storing the entries of a file or stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::runs::{Run, SortedRun, Writer};
use super::source::{Group, with_entries};
use super::{StopFlag, Watch};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};
use crate::format::{Decoder, Entry, Position};
use crate::namespace::Namespace;
use crate::record::Key;

/// Options of an import.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Records in a batch, and so between two durable barriers.
    pub batch: usize,
    /// Batches under way at once.
    pub in_flight: usize,
    /// Records that are sorted by key before they are written, so that neighbours meet in
    /// one page of an ordered store; about three times as many are held in memory. `None`
    /// for 50,000 where the store keeps its records in order on a disk, and 4,000 elsewhere.
    pub run: Option<usize>,
    /// Look before writing, and leave alone what is there with the same value, for as long as
    /// anything is found to be so: an import that was broken off and is made again writes
    /// what had been under way once more, and nothing before it. Into a pinset that has
    /// nothing of the input, it costs the reading of one batch.
    pub pass_over_equal: bool,
    /// Go on after an entry that cannot be stored, where the reader knows where the next
    /// begins.
    pub keep_going: bool,
    /// Asks to stop.
    pub stop: StopFlag,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            batch: 1_000,
            in_flight: 4,
            run: None,
            pass_over_equal: false,
            keep_going: false,
            stop: StopFlag::new(),
        }
    }
}

impl ImportOptions {
    /// Batches of 1,000, four under way, in sorted runs as suit the store; stopping at the first entry that cannot be stored.
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

    /// Leaves alone what is there already.
    #[must_use]
    pub fn pass_over_equal(mut self, pass_over: bool) -> Self {
        self.pass_over_equal = pass_over;
        self
    }

    /// Sets the batch size.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// Sets how many records are sorted at a time.
    #[must_use]
    pub fn with_run(mut self, run: usize) -> Self {
        self.run = Some(run.max(1));
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
    /// Of these, pins that were there with the same value, and were not written again.
    pub unchanged: u64,
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
            unchanged: 0,
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
        let mut collector = Collector::new(options, watch, None);
        collector.drive(groups).await;
        collector.report.stored = collector.report.read - collector.report.rejected;
        collector.report
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
        let store = namespace.capabilities();
        let on_disk = store.persistent && store.ordered_scan;
        let run = options.run.unwrap_or(if on_disk { LONG_RUN } else { FIRST_RUN });
        // One run may wait while another is written and a third is collected.
        let (runs, waiting) = mpsc::channel(1);
        let writer = Writer::new(namespace, clock, &options);
        let mut collector = Collector::new(options, watch, Some(runs));
        collector.longest = run;
        collector.full = run.min(FIRST_RUN);
        let (written, ()) = futures::join!(writer.write(waiting), collector.drive(groups));
        let mut report = collector.report;
        report.stored = written.stored;
        report.unchanged = written.unchanged;
        report.unknown = written.unknown;
        if let Some(error) = written.failure {
            report.end = ImportEnd::Failed(error);
            report.last = written.last;
        }
        report
    })
    .await
}

/// Sees to every entry, in order, and gathers those that are to be stored into runs.
struct Collector<'a> {
    report: ImportReport,
    options: ImportOptions,
    watch: &'a mut dyn Watch,
    /// Where full runs go; `None` in a check.
    runs: Option<mpsc::Sender<SortedRun>>,
    open: Run,
    /// Records at which the open run is full. Runs begin short, so that writing begins soon.
    full: usize,
    /// Records at which any run is full.
    longest: usize,
}

/// Records in the first run.
const FIRST_RUN: usize = 4_000;
/// Records in a run for an ordered store on a disk.
const LONG_RUN: usize = 50_000;
/// Bytes at which a run is full, however few its records are.
const RUN_BYTES: usize = 16 << 20;

/// Why a run ends before its input does.
struct Ended;

impl<'a> Collector<'a> {
    fn new(
        options: ImportOptions,
        watch: &'a mut dyn Watch,
        runs: Option<mpsc::Sender<SortedRun>>,
    ) -> Self {
        Self {
            report: ImportReport::new(),
            options,
            watch,
            runs,
            open: Run::default(),
            full: FIRST_RUN,
            longest: FIRST_RUN,
        }
    }

    /// Everything up to where the collecting ends is handed on, however it ends.
    async fn drive(&mut self, mut groups: mpsc::Receiver<Result<Group>>) {
        let ended = self.consume(&mut groups).await.is_err();
        let handed_on = self.hand_on().await.is_ok();
        self.runs = None;
        if (ended || !handed_on) && matches!(self.report.end, ImportEnd::Complete) {
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
                () = stop.stopped() => return Err(Ended),
                group = groups.recv() => group,
            };
            let group = match group {
                Some(Ok(group)) => group,
                Some(Err(error)) => return self.fail(error),
                None => {
                    return self.fail(Error::new(
                        ErrorKind::Internal,
                        Operation::Import,
                        "the decoder died before the end of the input",
                    ));
                }
            };
            let read_before = self.report.read;
            for entry in group.entries {
                if stop.is_set() {
                    return Err(Ended);
                }
                self.take(entry).await?;
            }
            let bytes = group.bytes - self.report.bytes;
            self.report.bytes = group.bytes;
            self.watch.advance(self.report.read - read_before, bytes);
            if group.last {
                return Ok(());
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
                if self.runs.is_some() {
                    self.open.push(Key::new(key), value, at);
                    if self.open.len() >= self.full || self.open.bytes() >= RUN_BYTES {
                        self.hand_on().await?;
                    }
                }
            }
            Err(ref fault) => {
                self.report.rejected += 1;
                self.watch.rejected(&entry);
                // What ipfs-cluster itself passes over ends nothing.
                let passed_over = !entry.let_through.is_empty();
                if !passed_over && (!self.options.keep_going || !fault.recoverable) {
                    self.report.end = ImportEnd::Refused(Box::new(entry));
                    return Err(Ended);
                }
            }
        }
        self.report.last = at;
        Ok(())
    }

    async fn hand_on(&mut self) -> std::result::Result<(), Ended> {
        if self.open.len() == 0 {
            return Ok(());
        }
        let run = std::mem::take(&mut self.open);
        self.full = (self.full * 2).min(self.longest);
        match &self.runs {
            // A writer that is gone has failed, and says why itself.
            Some(runs) => runs.send(run.sort()).await.map_err(|_| Ended),
            None => Ok(()),
        }
    }

    fn fail(&mut self, error: Error) -> std::result::Result<(), Ended> {
        self.report.end = ImportEnd::Failed(error);
        Err(Ended)
    }
}
