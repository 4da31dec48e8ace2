//! Whether a point read is made where it was asked for, or on a worker.
//!
//! A row in the engine's cache is read in one or two microseconds. Handing that to a worker
//! and back takes two wake-ups of threads, 40 µs where they are dear. A row that must come
//! from a slow disk takes milliseconds, for which nobody may hold up the caller's thread,
//! which serves other tasks. The engine cannot say beforehand which it will be. So reads
//! are made in place until one is slow; then the next [`AWAY`] go to workers before another
//! is tried. On a store larger than memory one read in [`AWAY`] stands in the way, for
//! about as long as a page fault; on one in memory none leaves its thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A read that takes longer than this went to the disk.
const SLOW: Duration = Duration::from_micros(100);
/// How many reads go to workers after a slow one.
const AWAY: u32 = 64;

/// Decides for one store.
#[derive(Debug, Default)]
pub struct Pace {
    /// Reads that are still to go to workers.
    away: AtomicU32,
}

impl Pace {
    /// Makes a read in place, where reads are quick at present and it can be begun at once.
    pub fn here<T>(&self, read: impl FnOnce() -> Option<T>) -> Option<T> {
        let took_one = |away: u32| away.checked_sub(1);
        if self.away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, took_one).is_ok() {
            return None;
        }
        let began = Instant::now();
        let answer = read();
        self.note(began.elapsed());
        answer
    }

    fn note(&self, took: Duration) {
        if took > SLOW {
            self.away.store(AWAY, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_reads_stay_and_a_slow_one_sends_the_next_away() {
        let pace = Pace::default();
        pace.note(SLOW);
        assert_eq!(pace.here(|| Some(1)), Some(1));
        pace.note(SLOW * 2);
        for _ in 0..AWAY {
            assert_eq!(pace.here(|| Some(1)), None);
        }
        pace.note(Duration::ZERO);
        assert_eq!(pace.here(|| Some(1)), Some(1));
    }

    #[test]
    fn a_read_that_cannot_begin_is_left_to_a_worker() {
        assert_eq!(Pace::default().here(|| None::<u8>), None);
    }
}
