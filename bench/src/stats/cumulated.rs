//! All windows of one store, laid out so that a percentile of any mixture of them is found fast.
//!
//! Each resample takes each window some number of times. To merge their histograms would touch
//! every distinct time of every window. Here, for each time, it is known beforehand how many of
//! each window took no longer; how many of a mixture did is one sum over the windows, and a
//! dozen such sums, by bisection, find a percentile.

use std::ops::Range;

use crate::outcome::Window;

/// The windows of one store, round after round.
pub(super) struct Cumulated {
    /// Which windows are those of which round.
    rounds: Vec<Range<usize>>,
    operations: Vec<u64>,
    seconds: Vec<f64>,
    /// By time, rising.
    times: Vec<UpTo>,
}

/// How much took no longer than this.
struct UpTo {
    /// In nanoseconds.
    time: u64,
    /// How many of each window.
    counts: Box<[u64]>,
}

impl Cumulated {
    /// Of each round's windows.
    pub(super) fn new<'a>(runs: impl Iterator<Item = &'a [Window]>) -> Self {
        let mut windows: Vec<&Window> = Vec::new();
        let mut rounds = Vec::new();
        for run in runs {
            let first = windows.len();
            windows.extend(run);
            rounds.push(first..windows.len());
        }
        Self {
            rounds,
            operations: windows.iter().map(|window| window.operations).collect(),
            seconds: windows.iter().map(|window| window.seconds).collect(),
            times: cumulate(&windows),
        }
    }

    /// How many windows there are.
    pub(super) fn windows(&self) -> usize {
        self.operations.len()
    }

    /// Which windows are those of each round.
    pub(super) fn rounds(&self) -> &[Range<usize>] {
        &self.rounds
    }

    /// How many times there are, with each window taken so often.
    pub(super) fn samples(&self, weights: &[u64]) -> u64 {
        self.times.last().map_or(0, |last| last.of(weights))
    }

    /// The least time that `permille` in 1,000 do not exceed, in nanoseconds, with each window
    /// taken so often; `None` without any.
    pub(super) fn percentile(&self, permille: u64, weights: &[u64]) -> Option<u64> {
        let samples = self.samples(weights);
        let rank = (samples * permille).div_ceil(1_000);
        let at = self.times.partition_point(|up_to| up_to.of(weights) < rank);
        self.times.get(at).filter(|_| samples > 0).map(|up_to| up_to.time)
    }

    /// Operations a second, with each window taken so often; `None` without any time.
    pub(super) fn throughput(&self, weights: &[u64]) -> Option<f64> {
        let seconds: f64 = self.seconds.iter().zip(weights).map(|(s, &w)| s * w as f64).sum();
        (seconds > 0.0).then(|| dot(&self.operations, weights) as f64 / seconds)
    }
}

impl UpTo {
    fn of(&self, weights: &[u64]) -> u64 {
        dot(&self.counts, weights)
    }
}

fn dot(left: &[u64], right: &[u64]) -> u64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn cumulate(windows: &[&Window]) -> Vec<UpTo> {
    let mut times: Vec<u64> =
        windows.iter().flat_map(|window| window.times.iter().map(|(time, _)| *time)).collect();
    times.sort_unstable();
    times.dedup();
    let mut table: Vec<UpTo> = times
        .into_iter()
        .map(|time| UpTo { time, counts: vec![0; windows.len()].into() })
        .collect();
    for (at, window) in windows.iter().enumerate() {
        for &(time, count) in &window.times {
            let row = table.partition_point(|row| row.time < time);
            if let Some(cell) = table.get_mut(row).and_then(|row| row.counts.get_mut(at)) {
                *cell += u64::from(count);
            }
        }
    }
    let mut sums = vec![0; windows.len()];
    for row in &mut table {
        for (sum, cell) in sums.iter_mut().zip(&mut row.counts) {
            *sum += *cell;
            *cell = *sum;
        }
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn window(operations: u64, seconds: f64, times: &[(u64, u32)]) -> Window {
        Window { at: 0.0, seconds, operations, errors: 0, times: times.to_vec() }
    }

    fn of(windows: &[Window]) -> Cumulated {
        Cumulated::new(std::iter::once(windows))
    }

    /// Rounds of so many windows, in which nothing was done.
    pub(in crate::stats) fn rounds(windows: &[usize]) -> Cumulated {
        let rounds: Vec<_> =
            windows.iter().map(|&count| vec![window(0, 1.0, &[]); count]).collect();
        Cumulated::new(rounds.iter().map(Vec::as_slice))
    }

    #[test]
    fn percentiles_are_those_of_all_times_together() {
        // 1 to 10 in one window, 101 to 110 in the other.
        let low: Vec<_> = (1..=10).map(|time| (time, 1)).collect();
        let high: Vec<_> = (101..=110).rev().map(|time| (time, 1)).collect();
        let side = of(&[window(10, 1.0, &low), window(10, 1.0, &high)]);
        assert_eq!(side.samples(&[1, 1]), 20);
        assert_eq!(side.percentile(500, &[1, 1]), Some(10));
        assert_eq!(side.percentile(501, &[1, 1]), Some(101));
        assert_eq!(side.percentile(990, &[1, 1]), Some(110));
        assert_eq!(side.percentile(1, &[1, 1]), Some(1));
        // Of 30, the 15th is the 5th of the high ones where those come twice.
        assert_eq!(side.percentile(500, &[1, 2]), Some(103));
        assert_eq!(side.percentile(500, &[3, 0]), Some(5));
        assert_eq!(side.percentile(500, &[0, 0]), None);
    }

    #[test]
    fn a_time_counts_as_often_as_it_was_met() {
        let side = of(&[window(4, 1.0, &[(7, 998), (9, 1), (7, 1)])]);
        assert_eq!(side.percentile(999, &[1]), Some(7));
        let side = of(&[window(4, 1.0, &[(7, 998), (9, 2)])]);
        assert_eq!(side.percentile(999, &[1]), Some(9));
    }

    #[test]
    fn throughput_is_of_all_operations_and_seconds() {
        let side = of(&[window(100, 1.0, &[]), window(50, 0.25, &[])]);
        assert_eq!(side.throughput(&[1, 1]), Some(120.0));
        assert_eq!(side.throughput(&[1, 3]), Some(250.0 / 1.75));
        assert_eq!(side.throughput(&[0, 0]), None);
        assert_eq!(side.percentile(500, &[1, 1]), None);
    }
}
