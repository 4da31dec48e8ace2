//! One reading of both sides: every row is hashed once, where it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Operation, Result};
use tokio::task::JoinSet;

use crate::pinset::{Pinset, Row, Rows, Side};
use crate::row::{Hashed, RowHasher};

/// Parts of a side for each worker: small enough that none of them is alone at the end.
const PARTS: usize = 4;

/// A row that was read, and what it hashes to.
pub(crate) struct Read {
    pub(crate) row: Row,
    pub(crate) bucket: u16,
    pub(crate) hashed: Hashed,
}

/// Takes what a pass finds. Rows come in the order of no side.
pub(crate) trait Sink: Send {
    /// Takes rows of a side.
    fn take(&mut self, side: Side, rows: &[Read]);
}

/// How both sides are read.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) sides: [Arc<dyn Pinset>; 2],
    pub(crate) hasher: RowHasher,
    pub(crate) workers: usize,
    pub(crate) stop: StopFlag,
    /// Rows that all passes have read so far.
    pub(crate) read: Arc<AtomicU64>,
}

impl Pass {
    /// Reads both sides to their ends and gives each row whose bucket is wanted to the sink.
    pub(crate) async fn run<S>(&self, wanted: &Arc<Wanted>, sink: S) -> Result<S>
    where
        S: Sink + 'static,
    {
        let sink = Arc::new(Mutex::new(sink));
        let mut parts = Vec::new();
        for (pinset, side) in self.sides.iter().zip([Side::Left, Side::Right]) {
            let of_side = pinset.parts(self.workers * PARTS).await?;
            parts.extend(of_side.into_iter().zip(0..).map(|(rows, nth)| (nth, side, rows)));
        }
        // Both sides in turn, so that a part of each is being read.
        parts.sort_by_key(|(nth, ..): &(i32, _, _)| *nth);
        let mut parts = parts.into_iter();
        // Dropped with the pass, so that a failure of one part ends the others.
        let mut reading = JoinSet::new();
        loop {
            while reading.len() < self.workers
                && let Some((_, side, rows)) = parts.next()
            {
                let (pass, wanted, sink) = (self.clone(), Arc::clone(wanted), Arc::clone(&sink));
                reading.spawn(async move { pass.part(side, rows, &wanted, &sink).await });
            }
            let Some(ended) = reading.join_next().await else { break };
            ended.map_err(|error| {
                Error::new(ErrorKind::Internal, Operation::Scan, "a task died").with_source(error)
            })??;
        }
        match Arc::try_unwrap(sink) {
            Ok(sink) => Ok(sink.into_inner()),
            Err(_) => Err(Error::new(ErrorKind::Internal, Operation::Scan, "a part is still read")),
        }
    }

    async fn part<S: Sink>(
        &self,
        side: Side,
        mut rows: Box<dyn Rows>,
        wanted: &Wanted,
        sink: &Mutex<S>,
    ) -> Result<()> {
        while let Some(rows) = rows.next().await? {
            not_stopped(&self.stop, Operation::Scan)?;
            self.read.fetch_add(rows.len() as u64, Ordering::Relaxed);
            let hashed: Vec<Read> = rows
                .into_iter()
                .filter_map(|row| {
                    let bucket = self.hasher.bucket(row.key.as_bytes());
                    let hash = || self.hasher.hash(row.key.as_bytes(), &row.value);
                    let hashed = wanted.has(bucket).then(hash)?;
                    Some(Read { row, bucket, hashed })
                })
                .collect();
            sink.lock().take(side, &hashed);
        }
        Ok(())
    }
}

/// The buckets that a pass is about.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// Those that are set.
    Buckets(Vec<bool>),
}

impl Wanted {
    /// These buckets.
    pub(crate) fn these(buckets: &[u16]) -> Self {
        let mut set = vec![false; crate::row::BUCKETS];
        for bucket in buckets {
            if let Some(place) = set.get_mut(usize::from(*bucket)) {
                *place = true;
            }
        }
        Self::Buckets(set)
    }

    fn has(&self, bucket: u16) -> bool {
        match self {
            Self::All => true,
            Self::Buckets(set) => set.get(usize::from(bucket)).copied().unwrap_or_default(),
        }
    }
}

/// An error once it was asked to stop: what is known by then is no result.
pub(crate) fn not_stopped(stop: &StopFlag, operation: Operation) -> Result<()> {
    if stop.is_set() {
        let what = "stopped before the end, so nothing is known";
        return Err(Error::new(ErrorKind::Cancelled, operation, what));
    }
    Ok(())
}
