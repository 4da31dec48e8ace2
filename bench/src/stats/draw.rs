//! Rounds and windows, drawn with replacement.

use std::ops::Range;

use fastrand::Rng;

use super::cumulated::Cumulated;

/// How often each window is taken, of each of two stores.
pub(super) struct Weights {
    pub(super) base: Vec<u64>,
    pub(super) other: Vec<u64>,
}

impl Weights {
    fn all(base: &Cumulated, other: &Cumulated, weight: u64) -> Self {
        Self { base: vec![weight; base.windows()], other: vec![weight; other.windows()] }
    }

    /// Each window once.
    pub(super) fn once(base: &Cumulated, other: &Cumulated) -> Self {
        Self::all(base, other, 1)
    }

    fn clear(&mut self) {
        self.base.fill(0);
        self.other.fill(0);
    }
}

/// Draws resamples of two stores' windows.
pub(super) struct Draw {
    /// Which windows are those of which round, of the base and of the other.
    rounds: Vec<(Range<usize>, Range<usize>)>,
    block: usize,
    rng: Rng,
    whole: Weights,
    parts: Weights,
}

impl Draw {
    /// Of two stores with the same number of rounds; so many windows at a time.
    pub(super) fn new(base: &Cumulated, other: &Cumulated, block: usize, seed: u64) -> Self {
        let rounds = base.rounds().iter().cloned().zip(other.rounds().iter().cloned());
        Self {
            rounds: rounds.collect(),
            block: block.max(1),
            rng: Rng::with_seed(seed),
            whole: Weights::all(base, other, 0),
            parts: Weights::all(base, other, 0),
        }
    }

    /// Rounds as they were, and the same rounds with windows drawn from each.
    pub(super) fn next(&mut self) -> (&Weights, &Weights) {
        self.whole.clear();
        self.parts.clear();
        for _ in 0..self.rounds.len() {
            let Some((base, other)) = self.rng.choice(&self.rounds) else { break };
            for (weights, run) in [(&mut self.whole.base, base), (&mut self.whole.other, other)] {
                for weight in weights.get_mut(run.clone()).unwrap_or_default() {
                    *weight += 1;
                }
            }
            let mut base = self.parts.base.get_mut(base.clone()).unwrap_or_default();
            let mut other = self.parts.other.get_mut(other.clone()).unwrap_or_default();
            for begin in (0..base.len().max(other.len())).step_by(self.block) {
                // One position for both, as a part of the run, should one be shorter.
                let position = self.rng.f64();
                for run in [&mut base, &mut other] {
                    take_block(run, position, begin, self.block);
                }
            }
        }
        (&self.whole, &self.parts)
    }
}

/// Takes a block that begins at `position`, a part of the run, and no more windows than are
/// still missing once `taken` were taken.
fn take_block(run: &mut [u64], position: f64, taken: usize, block: usize) {
    let windows = run.len();
    let first = (position * windows as f64) as usize;
    for offset in 0..block.min(windows.saturating_sub(taken)) {
        if let Some(weight) = run.get_mut((first + offset) % windows) {
            *weight += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::cumulated::tests::rounds;

    const DRAWS: u64 = 2_000;

    #[test]
    fn a_round_is_drawn_whole_and_with_both_its_runs() {
        let (base, other) = (rounds(&[6, 6, 6]), rounds(&[6, 6, 6]));
        let mut draw = Draw::new(&base, &other, 2, 7);
        for _ in 0..DRAWS {
            let (whole, parts) = draw.next();
            assert_eq!(whole.base, whole.other);
            assert_eq!(parts.base, parts.other);
            assert_eq!(whole.base.iter().sum::<u64>(), 18);
            for (whole, parts) in whole.base.chunks(6).zip(parts.base.chunks(6)) {
                assert!(whole.iter().all(|weight| *weight == whole[0]), "{whole:?}");
                assert_eq!(whole.iter().sum::<u64>(), parts.iter().sum::<u64>());
            }
        }
    }

    #[test]
    fn each_window_is_drawn_once_on_average() {
        // Runs of unequal length, and a block that divides neither.
        let (base, other) = (rounds(&[7, 5]), rounds(&[8, 5]));
        let mut draw = Draw::new(&base, &other, 3, 7);
        let mut sums = vec![0; 25];
        for _ in 0..DRAWS {
            let (_, parts) = draw.next();
            for (sum, weight) in sums.iter_mut().zip(parts.base.iter().chain(&parts.other)) {
                *sum += weight;
            }
        }
        for sum in &sums {
            assert!(sum.abs_diff(DRAWS) < DRAWS / 8, "{sums:?}");
        }
    }

    #[test]
    fn neighbours_are_drawn_together() {
        let (base, other) = (rounds(&[10, 10]), rounds(&[10, 10]));
        let mut draw = Draw::new(&base, &other, 5, 7);
        for _ in 0..DRAWS {
            let (_, parts) = draw.next();
            for run in parts.base.chunks(10) {
                // Blocks of five: no window stands alone, going round.
                for at in 0..10 {
                    let beside = run[(at + 1) % 10] + run[(at + 9) % 10];
                    assert!(run[at] == 0 || beside > 0, "{run:?}");
                }
            }
        }
    }

    #[test]
    fn a_run_without_windows_is_no_trouble() {
        let (base, other) = (rounds(&[0, 2]), rounds(&[3, 0]));
        let mut draw = Draw::new(&base, &other, 9, 7);
        for _ in 0..20 {
            let (_, parts) = draw.next();
            assert_eq!(parts.base.iter().sum::<u64>() % 2, 0);
            assert_eq!(parts.other.iter().sum::<u64>() % 3, 0);
        }
    }
}
