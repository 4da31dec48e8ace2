//! One reading of both sides: every row is hashed once, where it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Operation, Result};

use crate::pinset::{Pinset, Row, Rows, Side};
use crate::row::{Hashed, RowHasher};

/// Parts of a side for each worker: small enough that none of them is alone at the end.
const PARTS: usize = 4;

/// Takes what a pass finds. Rows come in the order of no side.
pub(crate) trait Sink: Send {
    /// Takes rows of a side, with what they hash to.
    fn take(&mut self, side: Side, rows: &[(Row, Hashed)]);
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
        let workers = parts.into_iter().map(|(_, side, rows)| {
            let (pass, wanted, sink) = (self.clone(), Arc::clone(wanted), Arc::clone(&sink));
            let reading = async move { pass.part(side, rows, &wanted, &sink).await };
            async move {
                // Dropped with the pass, so that a failure of one part ends the others.
                let task = AbortOnDrop(tokio::spawn(reading));
                task.ended().await
            }
        });
        stream::iter(workers).buffer_unordered(self.workers).try_collect::<Vec<()>>().await?;
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
            if self.stop.is_set() {
                return Err(Error::new(
                    ErrorKind::Cancelled,
                    Operation::Scan,
                    "stopped before the end, so nothing is known",
                ));
            }
            self.read.fetch_add(rows.len() as u64, Ordering::Relaxed);
            let hashed: Vec<(Row, Hashed)> = rows
                .into_iter()
                .filter_map(|row| {
                    match wanted {
                        Wanted::All => Some(self.hasher.hash(row.key.as_bytes(), &row.value)),
                        Wanted::Buckets(_) => {
                            let bucket = self.hasher.bucket(row.key.as_bytes());
                            wanted
                                .has(bucket)
                                .then(|| self.hasher.hash(row.key.as_bytes(), &row.value))
                        }
                    }
                    .map(|hashed| (row, hashed))
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

/// A task that does not outlive whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Result<()>>);

impl AbortOnDrop {
    async fn ended(mut self) -> Result<()> {
        match (&mut self.0).await {
            Ok(ended) => ended,
            Err(error) => {
                Err(Error::new(ErrorKind::Internal, Operation::Scan, "a task died")
                    .with_source(error))
            }
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
