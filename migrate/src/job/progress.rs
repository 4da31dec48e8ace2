//! How far a job has come, for whoever looks on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::ledger::{Counts, Phase};

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(20);

/// A job as it is seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Progress {
    /// What is done.
    pub phase: Phase,
    /// Parts that are complete, and all of them.
    pub parts: (usize, usize),
    /// Records so far, those of earlier runs included.
    pub counts: Counts,
    /// About how many records there are to read, where that is known.
    pub expected: Option<u64>,
    /// Records read in a second, lately.
    pub rows_per_second: f64,
    /// Bytes written in a second, lately.
    pub bytes_per_second: f64,
    /// Calls that were made again.
    pub retries: u64,
    /// Why it is slower than it could be.
    pub throttled: Option<String>,
}

impl Progress {
    /// How much of the copying is done, between 0 and 1; never 1 before every part is
    /// complete. Nothing where nobody knows.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        let (complete, all) = self.parts;
        if all > 0 && complete == all {
            return Some(1.0);
        }
        let expected = self.expected.filter(|expected| *expected > 0)?;
        Some((self.counts.read as f64 / expected as f64).min(0.999))
    }

    /// The time that copying will still take, by the rate of late; nothing before a hundredth
    /// is done.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let fraction = self.fraction().filter(|fraction| *fraction >= 0.01)?;
        let expected = self.expected? as f64;
        let left = (expected * (1.0 - fraction)).max(0.0);
        Duration::try_from_secs_f64(left / self.rows_per_second).ok()
    }
}

/// What workers tell, and others read.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// Records read and bytes written by then.
    points: VecDeque<(Instant, u64, u64)>,
}

impl Board {
    pub(super) fn new(progress: Progress) -> Self {
        let first = (Instant::now(), progress.counts.read, progress.counts.bytes);
        Self { state: Mutex::new(State { progress, points: VecDeque::from([first]) }) }
    }

    /// Adds what was done; says how many records became dead letters and were read so far.
    pub(super) fn add(&self, counts: &Counts, complete: bool) -> (u64, u64) {
        let mut state = self.state.lock();
        let progress = &mut state.progress;
        progress.counts.add(counts);
        progress.parts.0 += usize::from(complete);
        (progress.counts.dead, progress.counts.read)
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.state.lock().progress.phase = phase;
    }

    /// How far it is.
    pub(super) fn now(&self, retries: u64, throttled: Option<String>) -> Progress {
        let mut state = self.state.lock();
        let now = Instant::now();
        let (read, bytes) = (state.progress.counts.read, state.progress.counts.bytes);
        while state.points.len() > 1
            && state.points.front().is_some_and(|(then, ..)| now - *then > WINDOW)
        {
            state.points.pop_front();
        }
        let rates = state.points.front().map_or((0.0, 0.0), |(then, rows, written)| {
            let seconds = (now - *then).as_secs_f64().max(0.001);
            ((read - rows) as f64 / seconds, (bytes - written) as f64 / seconds)
        });
        state.points.push_back((now, read, bytes));
        (state.progress.rows_per_second, state.progress.bytes_per_second) = rates;
        state.progress.retries = retries;
        state.progress.throttled = throttled;
        state.progress.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_all_done_before_every_part_is() {
        let mut progress = Progress { expected: Some(1_000), parts: (1, 2), ..Progress::default() };
        progress.counts.read = 1_200;
        progress.rows_per_second = 100.0;
        assert!(progress.fraction().unwrap() < 1.0);
        progress.counts.read = 500;
        assert_eq!(progress.remaining().unwrap().as_secs(), 5);
        progress.counts.read = 5;
        assert_eq!(progress.remaining(), None, "too early to say");
        progress.parts.0 = 2;
        assert_eq!(progress.fraction(), Some(1.0));
        assert_eq!(Progress::default().fraction(), None);
    }
}
