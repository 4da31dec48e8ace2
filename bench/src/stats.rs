//! Is one store faster than the other, or was it chance?
//!
//! # The figures
//!
//! Throughput is all operations over all seconds, of all rounds together. A percentile is read
//! off the histogram of all windows of all rounds together: percentiles are never averaged,
//! since the mean of two percentiles is the percentile of nothing. What is compared is the
//! logarithm of `other / base`, in which twice as fast is as far from the same as half as fast.
//!
//! # The interval
//!
//! A hierarchical bootstrap (Davison and Hinkley, *Bootstrap Methods and their Application*,
//! 1997, 3.8), made [`Options::resamples`] times over. First rounds are drawn with replacement.
//! A round is drawn whole, with the runs of both stores: what made it slow for both, such as
//! another load on the machine, is on both sides of the ratio and cancels. Then, within each
//! round, windows are drawn with replacement, in blocks of neighbours, since a slow window
//! seldom comes alone (Künsch, 1989); the last window of a run has the first one for a
//! neighbour, so that each is drawn equally often (Politis and Romano, 1992). Both runs of a
//! round are drawn at the same positions: both were given the same operations there.
//!
//! What comes out gives the interval its shape, and has the wrong width, for three reasons.
//!
//! - Drawing at both levels counts the noise within a run twice: as a difference between rounds,
//!   and once more as what it is. Rounds that are drawn whole count it once (Davison and Hinkley
//!   compare the two). So each resample is evaluated both with whole rounds and with windows
//!   drawn from them, and the former says how wide.
//! - A handful of rounds resembles itself more than it resembles the next handful. With `k`
//!   rounds the variance of resamples has `k` below the line where an honest one has `k - 1`.
//! - Their tails are those of a normal distribution whose spread is known, where the spread was
//!   itself estimated from `k` values.
//!
//! Hesterberg (*What Teachers Should Know About the Bootstrap*, The American Statistician 69(4),
//! 2015) reads percentiles further out to make up for the last two. With five rounds that would
//! be the second of 2,000 resamples, with three there are none so far out; so here the
//! distance between the estimate and a percentile is stretched instead, by what comes to the
//! same for a normal distribution: `sqrt(k / (k - 1))`, times the quantile of Student's t with
//! `k - 1` degrees of freedom over that of the normal distribution. That is 1.58 for five rounds
//! and 1.22 for ten. Three rounds are stretched by 2.69 and two by 9.17: such comparisons show
//! only what is plain.
//!
//! Rounds may agree by chance, two rounds easily. So the interval is never narrower than what
//! the windows within the runs ask for, as if there were no other noise than theirs.
//!
//! # The verdict
//!
//! `p` is the smallest part that can be left out at the ends, half at each, so that the interval
//! still does not reach 1: interval and `p` can never contradict each other. All `p` of a
//! comparison are corrected together (Holm, 1979). A difference is said to be one if the
//! corrected `p` is below [`Options::level`], and the interval leaves out 1, and the estimate is
//! at least [`Options::effect`] away from 1.

mod cumulated;
mod draw;
mod holm;
mod spread;
mod student;

use self::cumulated::Cumulated;
use self::draw::{Draw, Weights};
use self::spread::{Resample, Spread};
use crate::outcome::{Metric, Run, Verdict};

/// Fewer rounds say nothing about how much rounds differ: nothing is compared then.
pub const LEAST_ROUNDS: usize = 2;

/// Fewer resamples have no percentile that 25 in 1,000 lie below.
pub const LEAST_RESAMPLES: usize = 39;

/// A percentile with fewer times than this beyond it, on either side, is left out: it would be
/// one time or the other.
const LEAST_BEYOND: u64 = 2;

/// How two stores are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How often rounds and windows are drawn anew; [`LEAST_RESAMPLES`] if fewer.
    pub resamples: usize,
    /// The least difference that matters, as a part: 0.05 asks for a ratio of at least 1.05, or
    /// of at most 1 / 1.05.
    pub effect: f64,
    /// How likely it may be that stores which are the same are said to differ in any metric.
    pub level: f64,
    /// How many neighbouring windows are drawn together. Longer than a slow spell, and far
    /// shorter than a run: the cube root of the number of windows is a fair choice (Hall,
    /// Horowitz and Jing, 1995).
    pub block: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { resamples: 2_000, effect: 0.05, level: 0.05, block: 3 }
    }
}

/// What is compared.
#[derive(Clone, Copy)]
enum Figure {
    /// Operations a second.
    Throughput,
    /// The time that so many in 1,000 do not exceed, in nanoseconds.
    Percentile(u64),
}

const FIGURES: [(&str, Figure); 4] = [
    ("throughput", Figure::Throughput),
    ("p50", Figure::Percentile(500)),
    ("p99", Figure::Percentile(990)),
    ("p999", Figure::Percentile(999)),
];

impl Figure {
    /// Whether there is enough of it.
    fn is_known(self, side: &Cumulated, all: &[u64]) -> bool {
        match self {
            Self::Throughput => true,
            Self::Percentile(permille) => {
                side.samples(all) * (1_000 - permille) >= LEAST_BEYOND * 1_000
            }
        }
    }

    /// Its value with each window taken so often: above 0, or not known.
    fn of(self, side: &Cumulated, weights: &[u64]) -> Option<f64> {
        let value = match self {
            Self::Throughput => side.throughput(weights),
            Self::Percentile(permille) => side.percentile(permille, weights).map(|ns| ns as f64),
        };
        value.filter(|value| *value > 0.0 && value.is_finite())
    }

    /// What a logarithm of `other / base` says about the other one.
    fn verdict(self, log_ratio: f64) -> Verdict {
        let more_is_better = matches!(self, Self::Throughput);
        if (log_ratio > 0.0) == more_is_better { Verdict::Faster } else { Verdict::Slower }
    }
}

/// Compares two stores: `throughput`, `p50`, `p99` and `p999`, in that order.
///
/// `base` and `other` are the runs of one store each, a round each, in the same order: those at
/// the same position were made beside each other. A run without its counterpart is left out.
/// Saturated runs are compared like others here: leave them out before, with their counterparts.
///
/// A metric is left out where it is not known: without operations on one side, with too few times
/// on one side for a percentile (4 for `p50`, 200 for `p99`, 2,000 for `p999`), or if more than
/// 1 in 40 resamples come out without any. With fewer than [`LEAST_ROUNDS`] rounds there are none.
///
/// The same runs and seed give the same result. Swapping the sides gives the same result the
/// other way round.
///
/// Takes 8 bytes of memory for each window and each distinct time of a side.
#[must_use]
pub fn compare(base: &[&Run], other: &[&Run], options: &Options, seed: u64) -> Vec<Metric> {
    let rounds = base.len().min(other.len());
    if rounds < LEAST_ROUNDS {
        return Vec::new();
    }
    let resamples = options.resamples.max(LEAST_RESAMPLES);
    let base = Cumulated::new(base.iter().take(rounds).map(|run| run.windows.as_slice()));
    let other = Cumulated::new(other.iter().take(rounds).map(|run| run.windows.as_slice()));
    let once = Weights::once(&base, &other);
    let values = |figure: Figure, weights: &Weights| {
        figure.of(&base, &weights.base).zip(figure.of(&other, &weights.other))
    };
    let mut found: Vec<Found> = FIGURES
        .into_iter()
        .filter(|(_, figure)| {
            figure.is_known(&base, &once.base) && figure.is_known(&other, &once.other)
        })
        .filter_map(|(name, figure)| {
            let values = values(figure, &once)?;
            Some(Found { name, figure, values, resampled: Vec::with_capacity(resamples) })
        })
        .collect();

    let mut draw = Draw::new(&base, &other, options.block, seed);
    for _ in 0..resamples {
        let (whole, parts) = draw.next();
        for found in &mut found {
            let both = values(found.figure, whole).zip(values(found.figure, parts));
            found.resampled.extend(both.map(|(whole, parts)| Resample {
                whole: log_ratio(whole),
                parts: log_ratio(parts),
            }));
        }
    }
    judge(found, rounds, resamples, options)
}

/// One metric on its way.
struct Found {
    name: &'static str,
    figure: Figure,
    /// Of the base and of the other.
    values: (f64, f64),
    /// The logarithm of their ratio in each resample in which both are known.
    resampled: Vec<Resample>,
}

/// The difference of logarithms, which is the same the other way round to the last bit.
fn log_ratio((base, other): (f64, f64)) -> f64 {
    other.ln() - base.ln()
}

fn judge(found: Vec<Found>, rounds: usize, resamples: usize, options: &Options) -> Vec<Metric> {
    let (found, ps): (Vec<_>, Vec<f64>) = found
        .into_iter()
        .filter_map(|Found { name, figure, values, resampled }| {
            let spread = Spread::new(log_ratio(values), &resampled, resamples, rounds);
            let interval = spread.interval()?;
            Some(((name, figure, values, interval), spread.p()))
        })
        .unzip();
    found
        .into_iter()
        .zip(holm::corrected(&ps))
        .map(|((name, figure, values, (low, high)), p)| {
            let log_ratio = log_ratio(values);
            let is_shown = p < options.level && (low > 0.0 || high < 0.0);
            let matters = log_ratio.abs() >= options.effect.ln_1p();
            Metric {
                name: name.to_owned(),
                base: values.0,
                other: values.1,
                ratio: values.1 / values.0,
                interval: (finite_exp(low), finite_exp(high)),
                p,
                verdict: if is_shown && matters {
                    figure.verdict(log_ratio)
                } else {
                    Verdict::NoDifference
                },
            }
        })
        .collect()
}

/// Two rounds that differ a thousandfold, stretched, leave the range of floating point; JSON has
/// no word for what lies beyond.
fn finite_exp(log: f64) -> f64 {
    log.exp().min(f64::MAX)
}
