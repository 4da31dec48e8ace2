//! What resamples say: the interval, and how likely chance is.

use super::student::widening;

/// The part of the resamples that lies outside the interval, half of it at each end.
const OUTSIDE: f64 = 0.05;

/// What an estimate came out as.
#[derive(Clone, Copy)]
pub(super) struct Resample {
    /// With rounds drawn whole.
    pub(super) whole: f64,
    /// With windows drawn from the same rounds.
    pub(super) parts: f64,
}

/// An estimate, and how far from it resamples came out.
pub(super) struct Spread {
    estimate: f64,
    /// How far, with windows drawn: rising.
    distances: Vec<f64>,
    /// How many resamples there were.
    resamples: usize,
    /// Those that came out as nothing. They may lie anywhere, so they are taken to lie beyond
    /// both ends.
    unknown: usize,
    rounds: usize,
    /// The mean square of `distances`.
    variance: f64,
    /// The part of it that comes from which rounds were drawn.
    between: f64,
    /// The part of it that comes from which windows were drawn.
    within: f64,
}

/// Which end.
#[derive(Clone, Copy)]
enum End {
    Low,
    High,
}

impl Spread {
    /// Of so many resamples, of which some may be missing, over so many rounds.
    pub(super) fn new(
        estimate: f64,
        resampled: &[Resample],
        resamples: usize,
        rounds: usize,
    ) -> Self {
        let mean_square = |far: fn(&Resample, f64) -> f64| {
            let sum: f64 = resampled.iter().map(|it| far(it, estimate).powi(2)).sum();
            sum / resampled.len().max(1) as f64
        };
        let mut distances: Vec<f64> = resampled.iter().map(|it| it.parts - estimate).collect();
        distances.sort_by(f64::total_cmp);
        Self {
            estimate,
            distances,
            resamples,
            unknown: resamples.saturating_sub(resampled.len()),
            rounds,
            variance: mean_square(|it, estimate| it.parts - estimate),
            between: mean_square(|it, estimate| it.whole - estimate),
            within: mean_square(|it, _| it.parts - it.whole),
        }
    }

    /// Where the true value is in 95 of 100 cases; `None` if too many resamples are missing.
    pub(super) fn interval(&self) -> Option<(f64, f64)> {
        let nth = ((self.resamples + 1) as f64 * OUTSIDE / 2.0) as usize;
        Some((self.bound(End::Low, nth)?, self.bound(End::High, nth)?))
    }

    /// The least part outside with which the interval does not reach 0.
    pub(super) fn p(&self) -> f64 {
        let end = if self.estimate > 0.0 { End::Low } else { End::High };
        // The further from the end, the narrower: the first `nth` that will do is what is sought.
        let mut reaching = 0;
        let mut clear = self.resamples / 2 + 1;
        while clear - reaching > 1 {
            let nth = usize::midpoint(reaching, clear);
            let is_clear = self.bound(end, nth).is_some_and(|bound| match end {
                End::Low => bound > 0.0,
                End::High => bound < 0.0,
            });
            if is_clear {
                clear = nth;
            } else {
                reaching = nth;
            }
        }
        if clear > self.resamples / 2 { 1.0 } else { self.outside(clear) }
    }

    /// The part that lies at or beyond the `nth` from each end.
    fn outside(&self, nth: usize) -> f64 {
        2.0 * nth as f64 / (self.resamples + 1) as f64
    }

    /// The `nth` from that end, as far from the estimate as it should be.
    fn bound(&self, end: End, nth: usize) -> Option<f64> {
        let known = nth.checked_sub(self.unknown)?;
        let at = match end {
            End::Low => known.checked_sub(1)?,
            End::High => self.distances.len().checked_sub(known)?,
        };
        let distance = *self.distances.get(at)?;
        // Never on the wrong side of the estimate.
        let distance = match end {
            End::Low => distance.min(0.0),
            End::High => distance.max(0.0),
        };
        Some(self.estimate + distance * self.stretch(self.outside(nth)))
    }

    /// By how much distances are to be multiplied where this part of them lies outside.
    fn stretch(&self, outside: f64) -> f64 {
        if self.variance > 0.0 {
            let between = self.between * widening(self.rounds, outside).powi(2);
            (between.max(self.within) / self.variance).sqrt()
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::student::normal_quantile;
    use super::*;

    /// 2,000 resamples of a normal distribution, without chance.
    fn normal(deviation: f64) -> Vec<f64> {
        (1..=2_000)
            .map(|rank| {
                let below = f64::from(rank) / 2_001.0;
                let far = normal_quantile(2.0 * below.min(1.0 - below));
                deviation * if below < 0.5 { -far } else { far }
            })
            .collect()
    }

    /// All differences are between rounds.
    fn between(estimate: f64, distances: &[f64]) -> Vec<Resample> {
        let far = distances.iter().map(|distance| estimate + distance);
        far.map(|far| Resample { whole: far, parts: far }).collect()
    }

    #[test]
    fn five_normal_rounds_have_the_interval_and_p_of_students_t() {
        // Five values with mean 0.1 and standard deviation 0.05: their bootstrap has the
        // deviation 0.05 x sqrt(4 / 5) / sqrt(5) = 0.02, and t is 0.1 / (0.05 / sqrt(5)) = 4.472.
        let spread = Spread::new(0.1, &between(0.1, &normal(0.02)), 2_000, 5);
        let (low, high) = spread.interval().unwrap();
        // t with 4 degrees of freedom: 2.776 at 95 %, and 4.472 has a p of 0.0111.
        assert!((low - (0.1 - 2.776 * 0.05 / 5f64.sqrt())).abs() < 1e-4, "{low}");
        assert!((high - (0.1 + 2.776 * 0.05 / 5f64.sqrt())).abs() < 1e-4, "{high}");
        assert!((spread.p() - 0.0111).abs() < 0.001, "{}", spread.p());
    }

    #[test]
    fn interval_and_p_agree() {
        let around = normal(0.02);
        for step in 0..400 {
            let estimate = f64::from(step - 200) / 1_000.0;
            let spread = Spread::new(estimate, &between(estimate, &around), 2_000, 5);
            let (low, high) = spread.interval().unwrap();
            let p = spread.p();
            assert_eq!(low > 0.0 || high < 0.0, p <= 100.0 / 2_001.0, "{estimate} {p}");
            assert!(p >= 1.0 / 2_001.0);
        }
    }

    #[test]
    fn nothing_differs_from_itself() {
        let spread = Spread::new(0.0, &between(0.0, &[0.0; 2_000]), 2_000, 5);
        assert_eq!(spread.interval(), Some((0.0, 0.0)));
        assert!(spread.p() >= 1.0);
    }

    #[test]
    fn the_ends_are_the_fiftieth_of_two_thousand() {
        // Very many rounds ask for no more than the resamples themselves.
        let even: Vec<f64> = (1..=2_000).map(|rank| f64::from(rank) - 1_000.5).collect();
        let (low, high) =
            Spread::new(0.0, &between(0.0, &even), 2_000, 100_001).interval().unwrap();
        assert!((low + 950.5).abs() < 0.1, "{low}");
        assert!((high - 950.5).abs() < 0.1, "{high}");
    }

    #[test]
    fn what_is_not_known_lies_beyond_both_ends() {
        let of = |known: i32| {
            let resampled: Vec<f64> = (1..=known).map(|rank| f64::from(rank) - 1_000.5).collect();
            Spread::new(2_000.0, &between(2_000.0, &resampled), 2_000, 5)
        };
        assert!(of(1_960).interval().unwrap().0 < of(2_000).interval().unwrap().0);
        assert!(of(1_960).p() > of(2_000).p());
        assert_eq!(of(1_950).interval(), None);
        assert!(of(1_950).p() >= 2.0 * 51.0 / 2_001.0);
        assert!(of(0).p() >= 1.0);
    }

    #[test]
    fn the_estimate_is_within_the_interval() {
        let resamples = |distance: f64| between(0.1, &[distance; 2_000]);
        let (low, high) = Spread::new(0.1, &resamples(0.05), 2_000, 5).interval().unwrap();
        assert!(low <= 0.1 && high > 0.1, "{low} {high}");
        let (low, high) = Spread::new(0.1, &resamples(-0.05), 2_000, 5).interval().unwrap();
        assert!(low < 0.1 && high >= 0.1, "{low} {high}");
    }

    #[test]
    fn noise_within_runs_counts_once_and_never_less() {
        // Two sources of noise, as independent as 2,000 values without chance allow.
        let far = normal(0.02);
        let resampled = |rounds: f64, windows: f64| -> Vec<Resample> {
            (0..2_000)
                .map(|at| (far[at] * rounds, far[at * 741 % 2_000] * windows))
                .map(|(whole, part)| Resample { whole, parts: whole + part })
                .collect()
        };
        let half_width = |rounds: f64, windows: f64| {
            let (low, high) =
                Spread::new(0.0, &resampled(rounds, windows), 2_000, 5).interval().unwrap();
            (high - low) / 2.0
        };
        let rounds_alone = half_width(1.0, 0.0);
        assert!((half_width(1.0, 1.0) / rounds_alone - 1.0).abs() < 0.05);
        // Rounds that agree by chance: 1.96 normal deviations of the windows.
        assert!((half_width(0.01, 1.0) / (1.96 * 0.02) - 1.0).abs() < 0.05);
    }
}
