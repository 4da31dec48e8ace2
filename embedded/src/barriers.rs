//! How often writes were made durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts barriers: the moments up to which everything that was written is durable, which many
/// calls share.
#[derive(Debug, Default)]
pub struct Barriers {
    barriers: AtomicU64,
    calls: AtomicU64,
    nanos: AtomicU64,
}

/// The barriers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierCounts {
    /// How many there were.
    pub barriers: u64,
    /// The calls that were answered by them.
    pub calls: u64,
    /// How long they took, in all.
    pub took: Duration,
}

impl Barriers {
    /// Counts one that has answered so many calls.
    pub fn passed(&self, calls: usize, took: Duration) {
        self.barriers.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(calls as u64, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Those so far.
    pub fn counts(&self) -> BarrierCounts {
        BarrierCounts {
            barriers: self.barriers.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            took: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}
