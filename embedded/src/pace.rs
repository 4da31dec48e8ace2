//! Whether a point read is made where it was asked for, or on a worker.
//!
//! A row in the engine's cache is read in one or two microseconds. Handing that to a worker
//! and back takes two wake-ups of threads, 40 µs where they are dear. A row that must come
//! from a slow disk takes milliseconds, for which nobody may hold up the caller's thread,
//! which serves other tasks. The engine cannot say beforehand which it will be. So reads
//! are made in place until some are slow; then the next [`AWAY`] go to workers before another
//! is tried. On a store larger than memory one read in [`AWAY`] stands in the way, for
//! about as long as a page fault; on one in memory none leaves its thread.
//!
//! On a busy machine a read is also slow when its thread had to make room for another. That
//! says nothing of the disk, and more threads would make it worse. So after a slow read the
//! next [`WATCHED`] are made with an eye on how often their thread has waited of its own
//! accord, which the system counts apart; that is not free, and therefore not done always.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A read that takes longer than this went to the disk, or waited for a processor.
const SLOW: Duration = Duration::from_micros(100);
/// How many reads go to workers after a slow one.
const AWAY: u32 = 64;
/// How many reads are watched after a slow one.
const WATCHED: u32 = 512;

/// Decides for one store.
#[derive(Debug, Default)]
pub struct Pace {
    /// Reads that are still to go to workers.
    away: AtomicU32,
    /// Reads in place that are still to be watched.
    watched: AtomicU32,
}

/// Takes one off, if there is one.
fn take(count: &AtomicU32) -> bool {
    let less = |count: u32| count.checked_sub(1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
}

/// How often this thread has waited for something other than a processor, where that is known.
#[cfg(target_os = "linux")]
fn waits() -> Option<i64> {
    use nix::sys::resource::{UsageWho, getrusage};

    let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    Some(usage.voluntary_context_switches())
}

/// Not known: a read that is slow while it is watched counts as one from a disk.
#[cfg(not(target_os = "linux"))]
fn waits() -> Option<i64> {
    None
}

impl Pace {
    /// Makes a read in place, where reads are quick at present and it can be begun at once.
    pub fn here<T>(&self, read: impl FnOnce() -> Option<T>) -> Option<T> {
        if take(&self.away) {
            return None;
        }
        let before = take(&self.watched).then(waits);
        let began = Instant::now();
        let answer = read();
        if began.elapsed() > SLOW {
            self.was_slow(before);
        }
        answer
    }

    /// Takes note of a slow read; `before` is what [`waits`] said before one that was watched.
    fn was_slow(&self, before: Option<Option<i64>>) {
        self.watched.store(WATCHED, Ordering::Relaxed);
        let waited = |before: Option<i64>| before.is_none() || waits() != before;
        if before.is_some_and(waited) {
            self.away.store(AWAY, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(2);

    fn quick() -> Option<()> {
        Some(())
    }

    /// As from a disk: the thread waits.
    fn from_disk() -> Option<()> {
        std::thread::sleep(LONG);
        Some(())
    }

    /// As on a busy machine: the thread has enough to do, or would like to.
    #[cfg(target_os = "linux")]
    fn delayed() -> Option<()> {
        let began = Instant::now();
        while began.elapsed() < LONG {
            std::hint::spin_loop();
        }
        Some(())
    }

    #[test]
    fn quick_reads_stay_and_slow_ones_send_the_next_away() {
        let pace = Pace::default();
        assert_eq!(pace.here(from_disk), Some(()), "may have been chance");
        assert_eq!(pace.here(quick), Some(()));
        assert_eq!(pace.here(from_disk), Some(()));
        for _ in 0..AWAY {
            assert_eq!(pace.here(quick), None);
        }
        assert_eq!(pace.here(quick), Some(()));
        assert_eq!(pace.here(from_disk), Some(()), "still watched");
        assert_eq!(pace.here(quick), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_read_that_was_slow_for_want_of_a_processor_sends_none_away() {
        let pace = Pace::default();
        for _ in 0..20 {
            assert_eq!(pace.here(delayed), Some(()));
        }
    }

    #[test]
    fn a_read_that_cannot_begin_is_left_to_a_worker() {
        assert_eq!(Pace::default().here(|| None::<u8>), None);
    }
}
