//! What a mirror says of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Inner;
use super::phase::Phase;
use super::side::Role;

/// What has been done since the mirror was opened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) ranges: AtomicU64,
    pub(super) ranges_done: AtomicU64,
    pub(super) copied: AtomicU64,
    pub(super) compared: AtomicU64,
    pub(super) different: AtomicU64,
    pub(super) repaired: AtomicU64,
    pub(super) secondary_failures: AtomicU64,
    pub(super) shadow_turns: AtomicU64,
    pub(super) shadow_compared: AtomicU64,
    pub(super) shadow_different: AtomicU64,
    pub(super) shadow_failed: AtomicU64,
    pub(super) shadow_skipped: AtomicU64,
    pub(super) last_failure: Mutex<Option<String>>,
    pub(super) last_pause: Mutex<Option<Duration>>,
}

impl Counts {
    /// Whether this read is one of those that are compared, of every hundred `percent`.
    pub(super) fn shadow_turn(&self, percent: u64) -> bool {
        let turn = self.shadow_turns.fetch_add(1, Ordering::Relaxed);
        (turn * percent) / 100 != ((turn + 1) * percent) / 100
    }
}

/// How a migration is. Numbers are counted since the mirror was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The job.
    pub job: Uuid,
    /// How far it is.
    pub phase: Phase,
    /// Grows with every step.
    pub epoch: u64,
    /// The store that answers reads and is written first.
    pub primary: Role,
    /// Keys that may differ, and are not being written just now.
    pub journal_keys: u64,
    /// Length of the journal in bytes.
    pub journal_bytes: u64,
    /// Why the secondary is not written to now, where that is so.
    pub secondary_down: Option<String>,
    /// Writes that the secondary failed to take.
    pub secondary_failures: u64,
    /// The last failure of a repair.
    pub last_failure: Option<String>,
    /// Parts that the backfill has, where it has begun.
    pub backfill_parts: u64,
    /// How many of them are done.
    pub backfill_parts_done: u64,
    /// Records that the backfill has copied.
    pub copied: u64,
    /// Records of the last comparison.
    pub compared: u64,
    /// Keys that were found different.
    pub different: u64,
    /// Keys that were copied again.
    pub repaired: u64,
    /// Reads of every hundred that are made on both stores.
    pub shadow_percent: u64,
    /// Reads that were.
    pub shadow_compared: u64,
    /// And differed.
    pub shadow_different: u64,
    /// And failed on one of the stores.
    pub shadow_failed: u64,
    /// How long writes were held by the last flip, in microseconds.
    pub last_pause_us: Option<u64>,
    /// Whether a step waits for writes that had begun before it, or makes its change.
    pub fenced: bool,
    /// How often a write or a repair has waited for another of the same key.
    pub lock_waits: u64,
}

impl Inner {
    pub(super) fn status(&self) -> Status {
        let counts = &self.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let phase = self.pair.phase();
        Status {
            job: self.job,
            phase,
            epoch: self.epoch.load(Ordering::Acquire),
            primary: phase.primary(),
            journal_keys: self.journal.depth() as u64,
            journal_bytes: self.journal.bytes(),
            secondary_down: self.down.lock().as_ref().map(ToString::to_string),
            secondary_failures: of(&counts.secondary_failures),
            last_failure: counts.last_failure.lock().clone(),
            backfill_parts: of(&counts.ranges),
            backfill_parts_done: of(&counts.ranges_done),
            copied: of(&counts.copied),
            compared: of(&counts.compared),
            different: of(&counts.different),
            repaired: of(&counts.repaired),
            shadow_percent: self.shadow_percent.load(Ordering::Relaxed),
            shadow_compared: of(&counts.shadow_compared),
            shadow_different: of(&counts.shadow_different),
            shadow_failed: of(&counts.shadow_failed),
            last_pause_us: counts
                .last_pause
                .lock()
                .map(|pause| u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)),
            fenced: self.fenced.load(Ordering::Acquire),
            lock_waits: self.locks.waits(),
        }
    }
}
