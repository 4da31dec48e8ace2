//! When operations are to begin: laid down before the first one does.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp;
use serde::{Deserialize, Serialize};

/// How the times are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// As those of many who know nothing of each other: a Poisson process.
    #[default]
    Poisson,
    /// Evenly.
    Fixed,
}

impl Arrivals {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Fixed => "fixed",
        }
    }
}

/// The times from the beginning of a run at which its operations are to begin, without end.
#[derive(Debug)]
pub struct Schedule {
    random: ChaCha8Rng,
    gaps: Option<Exp<f64>>,
    rate: f64,
    count: u64,
    seconds: f64,
}

impl Schedule {
    /// So many a second, as follows from the seed.
    ///
    /// # Errors
    /// A rate that is none.
    pub fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Result<Self, String> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(format!("{rate} operations a second are no rate"));
        }
        let gaps = match arrivals {
            Arrivals::Fixed => None,
            Arrivals::Poisson => Some(Exp::new(rate).map_err(|error| error.to_string())?),
        };
        // Not the stream that operations are drawn from.
        let random = ChaCha8Rng::seed_from_u64(seed ^ 0x5c4e_d01e);
        Ok(Self { random, gaps, rate, count: 0, seconds: 0.0 })
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let at = match self.gaps {
            // Not a sum, in which errors would add up.
            None => self.count as f64 / self.rate,
            Some(gaps) => {
                self.seconds += self.random.sample(gaps);
                self.seconds
            }
        };
        self.count += 1;
        Some(Duration::from_secs_f64(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rate: f64, arrivals: Arrivals, count: usize) -> Vec<Duration> {
        Schedule::new(rate, arrivals, 3).unwrap().take(count).collect()
    }

    #[test]
    fn fixed_times_are_even_for_ever() {
        let times = times(1_000.0, Arrivals::Fixed, 10_000_001);
        assert_eq!(times[0], Duration::ZERO);
        assert_eq!(times[7], Duration::from_millis(7));
        assert_eq!(times[10_000_000], Duration::from_secs(10_000));
    }

    #[test]
    fn poisson_times_have_the_rate_and_its_spread() {
        let times = times(1_000.0, Arrivals::Poisson, 100_001);
        let gaps: Vec<f64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let spread = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The spread of such gaps is their mean.
        assert!((mean - 0.001).abs() < 2e-5 && (spread.sqrt() - 0.001).abs() < 5e-5);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::new(rate, Arrivals::Fixed, 1).is_err());
        }
    }
}
