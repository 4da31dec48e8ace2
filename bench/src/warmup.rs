//! When a load has run for long enough to be measured.

use std::collections::VecDeque;

/// So many windows must be alike.
const WINDOWS: usize = 5;
/// Alike: no further from their mean than that.
const SPREAD: f64 = 0.05;

/// Looks at one window after the other.
#[derive(Debug, Default)]
pub(crate) struct Warmup {
    last: VecDeque<(f64, f64)>,
}

impl Warmup {
    /// Takes a window's operations and their median latency; says whether it and those before
    /// are alike in both.
    pub(crate) fn saw(&mut self, operations: u64, median: u64) -> bool {
        self.last.push_back((operations as f64, median as f64));
        if self.last.len() > WINDOWS {
            self.last.pop_front();
        }
        self.last.len() == WINDOWS && self.alike(|(n, _)| *n) && self.alike(|(_, time)| *time)
    }

    fn alike(&self, of: fn(&(f64, f64)) -> f64) -> bool {
        let mean = self.last.iter().map(of).sum::<f64>() / self.last.len() as f64;
        mean > 0.0 && self.last.iter().map(of).all(|one| (one - mean).abs() <= SPREAD * mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_windows_that_are_alike_are_enough() {
        let mut warmup = Warmup::default();
        let saw: Vec<bool> =
            [(100, 10), (1_000, 10), (1_010, 10), (990, 10), (1_000, 10), (1_000, 10)]
                .map(|(operations, median)| warmup.saw(operations, median))
                .to_vec();
        assert_eq!(saw, [false, false, false, false, false, true]);
        assert!(!warmup.saw(1_000, 20), "a median that is twice the others");
        let later: Vec<bool> = (0..4).map(|_| warmup.saw(1_000, 20)).collect();
        assert_eq!(later, [false, false, false, true]);
    }

    #[test]
    fn windows_without_operations_are_never_enough() {
        let mut warmup = Warmup::default();
        assert!((0..10).all(|_| !warmup.saw(0, 0)));
    }
}
