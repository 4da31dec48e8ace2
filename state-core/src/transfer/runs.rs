//! Writing entries in runs that are sorted by key.
//!
//! An ordered store reads and writes a page for every key that it is given; keys that come
//! in order share their pages. A run is sorted as a whole and written in batches of which
//! several are under way at once. Within a run only the last entry of a key is written, and
//! a run is begun when the one before it is done: so that two writes of one key are never
//! under way together, and the later one wins in every store.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::import::ImportOptions;
use crate::batch::{BatchItem, BatchOptions, BatchOutcome};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};
use crate::format::Position;
use crate::namespace::{Namespace, ReadOptions};
use crate::record::{Key, Version};
use crate::write::Put;

/// Entries to be stored, in the order of the input.
#[derive(Default)]
pub(super) struct Run {
    entries: Vec<(Key, Bytes)>,
    bytes: usize,
    last: Position,
}

impl Run {
    pub(super) fn push(&mut self, key: Key, value: Bytes, at: Position) {
        self.bytes += key.len() + value.len();
        self.entries.push((key, value));
        self.last = at;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins to sort the entries, on a thread of its own.
    pub(super) fn sort(self) -> SortedRun {
        let last = self.last;
        SortedRun { entries: tokio::task::spawn_blocking(move || self.sorted()), last }
    }

    /// The entries by key; the number beside each says how many of the input it stands for.
    fn sorted(mut self) -> Vec<(Key, Bytes, u64)> {
        // Sorting pairs of a key's first bytes and its place touches the keys themselves only
        // where those bytes are the same.
        let mut order: Vec<(u64, usize)> =
            self.entries.iter().map(|(key, _)| first_bytes(key)).zip(0..).collect();
        let key_at = |place: usize| self.entries.get(place).map(|(key, _)| key);
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| key_at(a.1).cmp(&key_at(b.1))).then(a.1.cmp(&b.1))
        });
        let mut sorted: Vec<(Key, Bytes, u64)> = Vec::with_capacity(order.len());
        // Nor does finding out that two keys differ.
        let mut first_before = None;
        for (first, place) in order {
            let Some(entry) = self.entries.get_mut(place) else { continue };
            let (key, value) = std::mem::take(entry);
            let like_before = first_before.replace(first) == Some(first);
            match sorted.last_mut() {
                Some(last) if like_before && last.0 == key => *last = (key, value, last.2 + 1),
                _ => sorted.push((key, value, 1)),
            }
        }
        sorted
    }
}

/// A run that is sorted, or being sorted while the one before it is written.
pub(super) struct SortedRun {
    entries: JoinHandle<Vec<(Key, Bytes, u64)>>,
    last: Position,
}

fn first_bytes(key: &Key) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(key.as_bytes()) {
        *to = *from;
    }
    u64::from_be_bytes(first)
}

/// What came of writing the runs.
#[derive(Default)]
pub(super) struct Written {
    pub(super) stored: u64,
    pub(super) unchanged: u64,
    pub(super) unknown: u64,
    /// The last entry of the last run that is stored as a whole.
    pub(super) last: Position,
    pub(super) failure: Option<Error>,
}

/// Writes runs, one after the other.
pub(super) struct Writer<'a> {
    namespace: Arc<dyn Namespace>,
    clock: &'a Clock,
    batch: usize,
    most_in_flight: usize,
    in_flight: VecDeque<Flight>,
    /// Whether to look what is there before writing.
    looks: bool,
    written: Written,
}

/// A batch under way.
struct Flight {
    /// How many entries of the input each write stands for.
    stands_for: Vec<u64>,
    outcome: JoinHandle<Result<BatchOutcome>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        namespace: Arc<dyn Namespace>,
        clock: &'a Clock,
        options: &ImportOptions,
    ) -> Self {
        Self {
            namespace,
            clock,
            batch: options.batch.max(1),
            most_in_flight: options.in_flight.max(1),
            in_flight: VecDeque::new(),
            looks: options.pass_over_equal,
            written: Written::default(),
        }
    }

    /// Writes every run that comes, until there are no more or one fails.
    pub(super) async fn write(mut self, mut runs: mpsc::Receiver<SortedRun>) -> Written {
        while self.written.failure.is_none()
            && let Some(run) = runs.recv().await
        {
            let last = run.last;
            if let Err(error) = self.write_run(run).await {
                self.written.failure.get_or_insert(error);
            }
            while self.land().await {}
            if self.written.failure.is_none() {
                self.written.last = last;
            }
        }
        self.written
    }

    async fn write_run(&mut self, run: SortedRun) -> Result<()> {
        let mut entries = run.entries.await.map_err(died)?.into_iter();
        loop {
            while self.in_flight.len() >= self.most_in_flight {
                self.land().await;
            }
            let taken: Vec<_> = entries.by_ref().take(self.batch).collect();
            if taken.is_empty() || self.written.failure.is_some() {
                return Ok(());
            }
            let taken = if self.looks { self.pass_over(taken).await } else { taken };
            if taken.is_empty() {
                continue;
            }
            let first = self.clock.draw_many(taken.len()).await?;
            let stands_for = taken.iter().map(|entry| entry.2).collect();
            let batch: Vec<BatchItem> = taken
                .into_iter()
                .zip(first.micros()..)
                .map(|((key, value, _), version)| Put::new(key, value, Version(version)).into())
                .collect();
            let namespace = Arc::clone(&self.namespace);
            let outcome =
                tokio::spawn(async move { namespace.apply(batch, BatchOptions::new()).await });
            self.in_flight.push_back(Flight { stands_for, outcome });
        }
    }

    /// The entries of a batch but for those that are there already. Where there are none of
    /// them, what was interrupted had not come further, and nothing is looked for any more.
    async fn pass_over(&mut self, batch: Vec<(Key, Bytes, u64)>) -> Vec<(Key, Bytes, u64)> {
        let keys: Vec<Key> = batch.iter().map(|entry| entry.0.clone()).collect();
        // What cannot be read is written: that is right whatever is there.
        let found = self.namespace.get_many(&keys, ReadOptions::new()).await.unwrap_or_default();
        let mut found = found.into_iter();
        let before = batch.len();
        let mut left = Vec::with_capacity(before);
        for (key, value, entries) in batch {
            // A copy that was read with less than the store's consistency may be the only one.
            let equal = matches!(
                found.next(),
                Some(Ok(Some(record))) if record.value == value && !record.degraded
            );
            if equal {
                self.written.stored += entries;
                self.written.unchanged += entries;
            } else {
                left.push((key, value, entries));
            }
        }
        self.looks = left.len() < before;
        left
    }

    /// Waits for the oldest batch under way; false where there is none.
    async fn land(&mut self) -> bool {
        let Some(flight) = self.in_flight.pop_front() else { return false };
        let mut open = flight.stands_for.into_iter();
        match flight.outcome.await.unwrap_or_else(|error| Err(died(error))) {
            Ok(outcome) => {
                for (item, entries) in outcome.items.into_iter().zip(open.by_ref()) {
                    match item {
                        Ok(_) => self.written.stored += entries,
                        Err(error) => self.written.fail(error, entries),
                    }
                }
                let unanswered: u64 = open.sum();
                if unanswered > 0 {
                    let error = Error::new(
                        ErrorKind::Internal,
                        Operation::Import,
                        "the store did not answer for every write of a batch",
                    );
                    self.written.fail(error, unanswered);
                }
            }
            Err(error) => self.written.fail(error, open.sum()),
        }
        true
    }
}

impl Written {
    fn fail(&mut self, error: Error, entries: u64) {
        if error.outcome() == Outcome::Unknown {
            self.unknown += entries;
        }
        self.failure.get_or_insert(error);
    }
}

fn died(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, Operation::Import, "a task of the import died")
        .with_source(error)
}
