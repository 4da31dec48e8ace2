//! The highest rate at which a store keeps a promise about its latency.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pinstate_core::Result;
use pinstate_core::transfer::StopFlag;
use serde::{Deserialize, Serialize};

use crate::load::{Load, Loop};
use crate::outcome::{Latencies, Run};
use crate::schedule::Arrivals;
use crate::session::Session;

/// Such as `p99<10ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    quantile: Quantile,
    below: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantile {
    P50,
    P90,
    P99,
    P999,
}

const QUANTILES: [(&str, Quantile); 4] = [
    ("p50", Quantile::P50),
    ("p90", Quantile::P90),
    ("p999", Quantile::P999),
    ("p99", Quantile::P99),
];

impl FromStr for Promise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{}' is no promise: write it like p99<10ms", text.escape_debug());
        let (quantile, below) = text.split_once('<').ok_or_else(wrong)?;
        let quantile = QUANTILES.iter().find(|(name, _)| *name == quantile.trim());
        let (number, unit) = below.trim().split_at(
            below.trim().find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?,
        );
        let factor = match unit.trim() {
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            _ => return Err(wrong()),
        };
        let below = number.parse::<f64>().map_err(|_| wrong())? * factor;
        let below = Duration::try_from_secs_f64(below).map_err(|_| wrong())?;
        let quantile = quantile.ok_or_else(wrong)?.1;
        if below.is_zero() { Err(wrong()) } else { Ok(Self { quantile, below }) }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = QUANTILES.iter().find(|(_, quantile)| *quantile == self.quantile);
        write!(f, "{}<{:?}", name.map_or("", |(name, _)| name), self.below)
    }
}

impl Promise {
    /// Whether a run kept it: one that is saturated, wrong or has errors did not.
    #[must_use]
    pub fn is_kept(&self, run: &Run) -> bool {
        let Some(all) = run.kinds.first() else { return false };
        let Latencies { count, p50, p90, p99, p999, .. } = all.latency;
        let time = match self.quantile {
            Quantile::P50 => p50,
            Quantile::P90 => p90,
            Quantile::P99 => p99,
            Quantile::P999 => p999,
        };
        run.saturated.is_none()
            && run.wrong_count == 0
            && all.errors.is_empty()
            && count > 0
            && Duration::from_nanos(time) < self.below
    }
}

/// What a search has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The highest rate at which the promise was kept; `None` if it was at no rate.
    pub rate: Option<f64>,
    /// The lowest rate at which it was not; `None` if it was at each.
    pub broken_at: Option<f64>,
    /// Each run, with its rate, in the order they were made.
    pub runs: Vec<Run>,
}

/// Most doublings.
const DOUBLINGS: u32 = 16;
/// Ends when the two rates are as close as that.
const CLOSE: f64 = 1.05;
/// A rate counts as too high if the promise was broken in two runs of three.
const TRIES: usize = 3;

/// Doubles the rate, from `from` on, until the promise is broken, and then halves the gap.
///
/// # Errors
/// `Cancelled` when it is told to stop; those of a run.
pub async fn find_rate(
    session: &mut Session,
    load: &Load,
    promise: Promise,
    from: f64,
    stop: &StopFlag,
    mut seen: impl FnMut(f64, &Run, bool),
) -> Result<Found> {
    let arrivals = match load.how {
        Loop::Open { arrivals, .. } => arrivals,
        Loop::Closed { .. } => Arrivals::Poisson,
    };
    let mut runs = Vec::new();
    let mut keeps = async |rate: f64| -> Result<bool> {
        let (mut kept, mut broken) = (0, 0);
        while kept.max(broken) < TRIES / 2 + 1 {
            let load = Load { how: Loop::Open { rate, arrivals }, ..*load };
            let run = session.run(&load, 0, runs.len() + 1, stop).await?;
            let keeps = promise.is_kept(&run);
            seen(rate, &run, keeps);
            // Far too high a rate needs no second look.
            let hopeless = run.saturated.is_some();
            runs.push(run);
            match keeps {
                true => kept += 1,
                false if hopeless => broken = TRIES,
                false => broken += 1,
            }
        }
        Ok(kept > broken)
    };
    let (mut rate, mut broken_at) = (None, None);
    let mut next = from;
    for _ in 0..DOUBLINGS {
        if keeps(next).await? {
            rate = Some(next);
            if broken_at.is_some() {
                break;
            }
            next *= 2.0;
        } else {
            broken_at = Some(next);
            if rate.is_some() || next < 1.0 {
                break;
            }
            next /= 2.0;
        }
    }
    while let (Some(low), Some(high)) = (rate, broken_at)
        && high / low > CLOSE
    {
        let middle = (low * high).sqrt();
        if keeps(middle).await? {
            rate = Some(middle);
        } else {
            broken_at = Some(middle);
        }
    }
    Ok(Found { rate, broken_at, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_read() {
        for (text, shown) in [
            ("p99<10ms", "p99<10ms"),
            (" p999 < 1.5 s", "p999<1.5s"),
            ("p50<200us", "p50<200\u{b5}s"),
        ] {
            let promise: Promise = text.parse().unwrap();
            assert_eq!(promise.to_string(), shown);
        }
        for text in ["", "p99", "p99<", "p98<1ms", "p99<1", "p99<0ms", "p99<-1ms", "p99<1h"] {
            let told = text.parse::<Promise>().unwrap_err();
            assert!(told.contains("p99<10ms"), "{told}");
        }
    }
}
